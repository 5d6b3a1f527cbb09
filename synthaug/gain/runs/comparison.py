"""Trials: arms trained over seeds, scored on held images for choices, on test images at the end."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthaug.classifiers import BALANCED, Scores, resolution
from synthaug.core import TrainingError, arithmetic, expanded, resolve_device
from synthaug.data import LabelledImages
from synthaug.gain.arms import Arm, Source
from synthaug.gain.runs.experiment import Experiment, short_digest
from synthaug.gain.runs.folds import Fold
from synthaug.gain.runs.run import Run, held_predictions, seconds, tested_predictions
from synthaug.gain.runs.runner import Runner, StageProgress
from synthaug.gain.runs.workspace import kept_until_done
from synthaug.pool import SamplePool

RACE_SEEDS = 2
ERRORS = 2.0  # standard errors that an arm may be behind the best
TRAINING = 0.01  # standard deviation of an arm's score between trainings; two have no own estimate
BALANCED_UP_TO = 1.5  # largest class over smallest; above it the metric is balanced accuracy


class Comparison:
    """What has been trained so far, under one number of optimiser steps.

    metric: "accuracy" or "balanced accuracy", the one that choices and the gain go by.
    seeds: those that choices are made on.
    teacher: the arm whose posterior is mixed into labels, once it is chosen.
    """

    def __init__(
        self, experiment: Experiment, runner: Runner, metric: str, seeds: list[int]
    ) -> None:
        self.experiment, self.metric, self.seeds = experiment, metric, seeds
        self.steps = 0
        self.teacher: Arm | None = None
        self._runner = runner
        self._given_up: dict[Arm, int] = {}  # after how many seeds
        self._found: dict[Run, float] = {}  # trained by an earlier run, in how many seconds
        self._made: set[Run] = set()  # by this one

    def train(
        self,
        arms: Sequence[Arm],
        what: str,
        *,
        seeds: list[int] | None = None,
        to_test: bool = True,
    ) -> None:
        """Train what is not trained yet, an arm that is named twice once, teachers before those
        that learn from them; `what` is said to the user. Networks that no choice goes by are left
        out where none is `to_test`."""
        asked, once = self.seeds if seeds is None else seeds, dict.fromkeys(arms)
        pairs = [(arm, seed) for seed in asked for arm in once]
        runs = [run for pair in pairs for run in self.runs(*pair, to_test=to_test)]
        missing = [run for run in runs if not run.done(self.experiment)]
        self._take_over(set(runs).difference(missing))
        self._run(missing, what)

    def runs(self, arm: Arm, seed: int, *, to_test: bool = True) -> list[Run]:
        """The arm's trainings for one seed, one a part."""
        folds = self.experiment.folds(seed)
        wanted = [fold for fold in folds if to_test or fold.scored is not None]
        return [self._cell(arm, seed, fold) for fold in wanted]

    def held(self, arm: Arm, seed: int) -> Scores:
        """How the arm did on the held images of all parts together."""
        labels, right = self.answers(arm, seed)
        return Scores.of(labels, right, len(self.experiment.train.classes))

    def answers(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The labels of the held images of all parts together, int64 (V,), and whether the arm got
        each right, bool (V,)."""
        truth, predicted = [], []
        for fold, run in zip(self.experiment.folds(seed), self.runs(arm, seed), strict=True):
            if fold.scored is not None:
                truth.append(fold.scored.labels)
                predicted.append(held_predictions(self.experiment, run))
        labels = np.concatenate(truth)
        return labels, np.concatenate(predicted) == labels

    def validation(
        self, arms: Sequence[Arm], *, seeds: list[int] | None = None
    ) -> dict[Arm, np.ndarray]:
        """Score of each arm on the held images, in the metric, one a seed."""
        asked = {arm: self.seeds_of(arm) if seeds is None else seeds for arm in arms}
        return {
            arm: np.array([self.held(arm, seed).by(self.metric) for seed in asked[arm]])
            for arm in arms
        }

    def differences(self, arm: Arm, other: Arm, seeds: list[int]) -> list[float]:
        """Points of `arm` over `other` on the held images, one a seed."""
        scores = self.validation([arm, other], seeds=seeds)
        return [100 * float(each) for each in scores[arm] - scores[other]]

    def best(self, arms: Sequence[Arm]) -> Arm:
        """The arm with the highest mean validation score among those that were not given up; the
        first of equals.

        Raises `TrainingError` where the trainings of all diverged.
        """
        entered = [arm for arm in arms if arm not in self._given_up]
        scores = self.validation(entered)
        best = max(entered, key=lambda arm: float(scores[arm].mean()))
        if not scores[best].any():
            self.expect_trained([best], self.seeds_of(best))
        return best

    def diverged(self, arm: Arm, seeds: Sequence[int]) -> dict[int, str]:
        """Those of these seeds on which the arm's training diverged, and how: it has nothing right
        there."""
        found = {}
        for seed in seeds:
            for run in self.runs(arm, seed):
                if run.done(self.experiment) and (why := run.diverged(self.experiment)) is not None:
                    found[seed] = why
        return found

    def expect_trained(self, arms: Sequence[Arm], seeds: Sequence[int]) -> None:
        """Raise `TrainingError` where an arm's training diverged on one of these seeds."""
        for arm in arms:
            for seed, why in self.diverged(arm, seeds).items():
                raise TrainingError(f"{arm.name}, seed {seed}: {why}")

    def race(self, arms: Sequence[Arm], what: str, *, beside: Sequence[Arm] = ()) -> None:
        """Train the arms seed by seed, and leave out of the later seeds those that are far behind.

        Far is more than two standard errors below the best of the same use among them and those
        `beside`, on the held images of the seeds so far: what is given up then is not the best of
        its kind but by a rare chance, and its time is saved (racing, Maron and Moore 1994). One
        that is left alone is trained on all seeds at once.
        """
        racing = list(arms)
        others = [arm for arm in beside if arm not in self._given_up]
        count = RACE_SEEDS
        while True:
            so_far = self.seeds[:count]
            self.train(racing, what, seeds=so_far)
            if count == len(self.seeds):
                break
            scores = self.validation([*racing, *others], seeds=so_far)
            means = {arm: float(each.mean()) for arm, each in scores.items()}
            for arm in list(racing):
                alike = (each for each in means if each.uses == arm.uses)
                best = max(alike, key=lambda each: means[each])
                if means[arm] < means[best] - ERRORS * self._standard_error(arm, best, so_far):
                    self._given_up[arm] = count
                    racing.remove(arm)
            count = count + 1 if len(racing) > 1 else len(self.seeds)

    def seeds_of(self, arm: Arm) -> list[int]:
        """The seeds that the arm was trained on for choices."""
        return self.seeds[: self._given_up.get(arm, len(self.seeds))]

    def resolution(self, seed: int) -> float:
        """Points that one held image counts."""
        held = [
            fold.scored.labels for fold in self.experiment.folds(seed) if fold.scored is not None
        ]
        return resolution(np.concatenate(held), self.metric)

    def _run(self, missing: list[Run], what: str) -> None:
        """Train cells, teachers before those that learn from them."""
        first = self._teachers(missing)
        for runs in (first, [run for run in missing if run not in first]):
            if runs:
                self._made.update(runs)
                self._runner.run(runs, what)

    def _teachers(self, missing: Sequence[Run]) -> list[Run]:
        """Those that have to be trained before these cells are."""
        teachers = dict.fromkeys(run.of_teacher for run in missing if run.teacher is not None)
        return [run for run in teachers if not run.complete(self.experiment)]

    def _cell(self, arm: Arm, seed: int, fold: Fold) -> Run:
        teacher = self.teacher if arm.needs_teacher else None
        return Run(arm, seed, fold.name, self.steps, teacher)

    def _standard_error(self, arm: Arm, best: Arm, seeds: list[int]) -> float:
        """Of the difference of two arms' scores: that of the held images, of which those count that
        one of the two gets right and the other does not, and that of training again."""
        pairs = [(self.answers(arm, seed), self.answers(best, seed)) for seed in seeds]
        labels = np.concatenate([labels for (labels, _), _ in pairs])
        disagreeing = np.concatenate([one != other for (_, one), (_, other) in pairs]).mean()
        present = np.unique(labels, return_counts=True)[1]
        of_images = disagreeing * np.sum(1 / present) / len(present) ** 2
        return float(np.sqrt(of_images + 2 * TRAINING**2 / len(seeds)))

    def test(
        self, tested: Sequence[tuple[Arm, int]], images: LabelledImages, what: str
    ) -> list[Scores]:
        """Score the network of each arm and seed on the test images. One that is not there is
        trained and scored at once; one that was scored need not be kept, so that this, too, goes on
        where it was. `what` is said to the user."""
        runs = [self._cell(arm, seed, self.experiment.tested(seed)) for arm, seed in tested]
        told = images.fingerprint
        teachers = self._teachers([run for run in runs if not run.scorable(self.experiment, told)])
        beside = [
            self._cell(arm, seed, fold)
            for arm, seed in tested
            for fold in self.experiment.folds(seed)
            if not fold.tested
        ]
        untrained = [run for run in beside if not run.done(self.experiment)]
        self._run([*teachers, *untrained], what)
        ready = {run: run.scorable(self.experiment, told) for run in runs}
        order = sorted(ready, key=lambda run: not ready[run])
        missing = [run for run in order if not ready[run]]
        scores = self._runner.score(order, missing, images, what)
        by_cell = dict(zip(order, scores, strict=True))
        return [by_cell[run] for run in runs]

    def said_of(self, arm: Arm, seed: int, images: str) -> np.ndarray:
        """What the arm's network of this seed said of the test images of this fingerprint, int64
        (N,), after it was scored on them."""
        return tested_predictions(
            self.experiment, self._cell(arm, seed, self.experiment.tested(seed)), images
        )

    def check_pool(self, source: Source, seeds: list[int]) -> None:
        """Raise `InputError` where a given pool has, beside the images that choices are made on for
        one of these seeds, nothing left of a class."""
        folds = [
            (source, seed, fold.name)
            for seed in seeds
            for fold in self.experiment.folds(seed)
            if fold.scored is not None
        ]
        self._runner.check(folds, "copies in the pool")

    def pool(self, arm: Arm, seed: int) -> SamplePool:
        """The images that the arm learned from for a seed that was tested, made where the cells are
        all that was kept."""
        return self._runner.pool(self._cell(arm, seed, self.experiment.tested(seed)), "examples")

    def seconds(self, arm: Arm, seed: int) -> float:
        """Time to train the arm for one seed and to fit its generator; see `cells.seconds`."""
        return sum(sum(seconds(self.experiment, run)) for run in self.runs(arm, seed))

    def recall(self, arm: Arm, seeds: list[int]) -> None:
        """Count among what is taken over what an earlier run trained of the arm."""
        runs = [run for seed in seeds for run in self.runs(arm, seed, to_test=False)]
        self._take_over({run for run in runs if run.done(self.experiment)})

    def taken_over(self) -> tuple[int, float]:
        """How many networks an earlier run had trained of those that were asked for or recalled,
        and the time that it took to train them, fits of generators apart."""
        return len(self._found), sum(self._found.values())

    def _take_over(self, done: set[Run]) -> None:
        # Read now: one that is damaged is to be named before hours are spent, not after.
        for run in done - self._made - self._found.keys():
            self._found[run] = seconds(self.experiment, run)[0]


@contextmanager
def open_comparison(
    experiment: Experiment,
    seeds: list[int],
    *,
    run: str = "",
    cache: str | Path | None,
    keep: bool,
    jobs: int,
    progress: StageProgress | None,
) -> Iterator[Comparison]:
    """Trials of a study, with a directory for their cells that lasts until the block ends well: one
    of their own in `cache`, or a temporary one. `run` says what is done in it; for all else see
    `measure_gain`."""
    with ExitStack() as stack:
        directory = cache or stack.enter_context(
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        # Absolute: processes of an earlier run may still be where that was started.
        there = place_experiment(experiment, expanded(directory).absolute())
        stack.enter_context(kept_until_done(there.directory, short_digest(run), keep=keep))
        yield Comparison(there, Runner(there, jobs, progress), _metric(experiment.train), seeds)


def place_experiment(experiment: Experiment, directory: Path) -> Experiment:
    """The study below `directory`, on the device that "auto" stands for."""
    device = resolve_device(experiment.device)
    found = replace(experiment, device=str(device), arithmetic=arithmetic(device))
    return found.below(directory)


def _metric(train: LabelledImages) -> str:
    uneven = train.counts.max() > BALANCED_UP_TO * train.counts.min()
    return BALANCED if uneven else "accuracy"
