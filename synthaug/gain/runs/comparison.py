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

    def __init__(self, study: Experiment, runner: Runner, metric: str, seeds: list[int]) -> None:
        self.study, self.metric, self.seeds = study, metric, seeds
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
        cells = [cell for pair in pairs for cell in self.cells(*pair, to_test=to_test)]
        missing = [cell for cell in cells if not cell.done(self.study)]
        self._take_over(set(cells).difference(missing))
        self._run(missing, what)

    def cells(self, arm: Arm, seed: int, *, to_test: bool = True) -> list[Run]:
        """The arm's trainings for one seed, one a part."""
        parts = self.study.parts(seed)
        wanted = [part for part in parts if to_test or part.scored is not None]
        return [self._cell(arm, seed, part) for part in wanted]

    def held(self, arm: Arm, seed: int) -> Scores:
        """How the arm did on the held images of all parts together."""
        labels, right = self.answers(arm, seed)
        return Scores.of(labels, right, len(self.study.train.classes))

    def answers(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The labels of the held images of all parts together, int64 (V,), and whether the arm got
        each right, bool (V,)."""
        truth, predicted = [], []
        for part, cell in zip(self.study.parts(seed), self.cells(arm, seed), strict=True):
            if part.scored is not None:
                truth.append(part.scored.labels)
                predicted.append(held_predictions(self.study, cell))
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
            for cell in self.cells(arm, seed):
                if cell.done(self.study) and (why := cell.diverged(self.study)) is not None:
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
        held = [part.scored.labels for part in self.study.parts(seed) if part.scored is not None]
        return resolution(np.concatenate(held), self.metric)

    def _run(self, missing: list[Run], what: str) -> None:
        """Train cells, teachers before those that learn from them."""
        first = self._teachers(missing)
        for cells in (first, [cell for cell in missing if cell not in first]):
            if cells:
                self._made.update(cells)
                self._runner.run(cells, what)

    def _teachers(self, missing: Sequence[Run]) -> list[Run]:
        """Those that have to be trained before these cells are."""
        teachers = dict.fromkeys(cell.of_teacher for cell in missing if cell.teacher is not None)
        return [cell for cell in teachers if not cell.complete(self.study)]

    def _cell(self, arm: Arm, seed: int, part: Fold) -> Run:
        teacher = self.teacher if arm.needs_teacher else None
        return Run(arm, seed, part.name, self.steps, teacher)

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
        cells = [self._cell(arm, seed, self.study.tested(seed)) for arm, seed in tested]
        told = images.fingerprint
        teachers = self._teachers([cell for cell in cells if not cell.scorable(self.study, told)])
        beside = [
            self._cell(arm, seed, part)
            for arm, seed in tested
            for part in self.study.parts(seed)
            if not part.tested
        ]
        untrained = [cell for cell in beside if not cell.done(self.study)]
        self._run([*teachers, *untrained], what)
        ready = {cell: cell.scorable(self.study, told) for cell in cells}
        order = sorted(ready, key=lambda cell: not ready[cell])
        missing = [cell for cell in order if not ready[cell]]
        scores = self._runner.score(order, missing, images, what)
        by_cell = dict(zip(order, scores, strict=True))
        return [by_cell[cell] for cell in cells]

    def said_of(self, arm: Arm, seed: int, images: str) -> np.ndarray:
        """What the arm's network of this seed said of the test images of this fingerprint, int64
        (N,), after it was scored on them."""
        return tested_predictions(
            self.study, self._cell(arm, seed, self.study.tested(seed)), images
        )

    def check_pool(self, source: Source, seeds: list[int]) -> None:
        """Raise `InputError` where a given pool has, beside the images that choices are made on for
        one of these seeds, nothing left of a class."""
        parts = [
            (source, seed, part.name)
            for seed in seeds
            for part in self.study.parts(seed)
            if part.scored is not None
        ]
        self._runner.check(parts, "copies in the pool")

    def pool(self, arm: Arm, seed: int) -> SamplePool:
        """The images that the arm learned from for a seed that was tested, made where the cells are
        all that was kept."""
        return self._runner.pool(self._cell(arm, seed, self.study.tested(seed)), "examples")

    def seconds(self, arm: Arm, seed: int) -> float:
        """Time to train the arm for one seed and to fit its generator; see `cells.seconds`."""
        return sum(sum(seconds(self.study, cell)) for cell in self.cells(arm, seed))

    def recall(self, arm: Arm, seeds: list[int]) -> None:
        """Count among what is taken over what an earlier run trained of the arm."""
        cells = [cell for seed in seeds for cell in self.cells(arm, seed, to_test=False)]
        self._take_over({cell for cell in cells if cell.done(self.study)})

    def taken_over(self) -> tuple[int, float]:
        """How many networks an earlier run had trained of those that were asked for or recalled,
        and the time that it took to train them, fits of generators apart."""
        return len(self._found), sum(self._found.values())

    def _take_over(self, done: set[Run]) -> None:
        # Read now: one that is damaged is to be named before hours are spent, not after.
        for cell in done - self._made - self._found.keys():
            self._found[cell] = seconds(self.study, cell)[0]


@contextmanager
def open_comparison(
    study: Experiment,
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
        there = place_experiment(study, expanded(directory).absolute())
        stack.enter_context(kept_until_done(there.directory, short_digest(run), keep=keep))
        yield Comparison(there, Runner(there, jobs, progress), _metric(study.train), seeds)


def place_experiment(study: Experiment, directory: Path) -> Experiment:
    """The study below `directory`, on the device that "auto" stands for."""
    device = resolve_device(study.device)
    found = replace(study, device=str(device), arithmetic=arithmetic(device))
    return found.below(directory)


def _metric(train: LabelledImages) -> str:
    uneven = train.counts.max() > BALANCED_UP_TO * train.counts.min()
    return BALANCED if uneven else "accuracy"
