"""Compare arms: train them over seeds, score them on validation images, and once on test images."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthaug.classifiers import BALANCED, Scores, resolution
from synthaug.core import TrainingError, arithmetic, expand_path, resolve_device
from synthaug.data import LabelledImages
from synthaug.gain.arms import Arm, Source
from synthaug.gain.runs.experiment import Experiment, short_digest
from synthaug.gain.runs.folds import Fold
from synthaug.gain.runs.run import Run, seconds, test_predictions, validation_predictions
from synthaug.gain.runs.runner import Runner, StageProgress
from synthaug.gain.runs.workspace import work_directory
from synthaug.pool import SamplePool

RACE_SEEDS = 2
MOST_ERRORS = 2.0  # standard errors that an arm may be behind the best
TRAINING_DEVIATION = 0.01  # of an arm's score between trainings; two give no estimate of it
BALANCED_UP_TO = 1.5  # largest class over smallest; above it the metric is balanced accuracy


class Comparison:
    """Arms that are trained and scored under one number of optimiser steps.

    Attributes:
        experiment: What all runs share.
        metric: "accuracy" or "balanced accuracy", which choices and the gain go by.
        seeds: Seeds that choices are made on.
        steps: Optimiser steps of each run.
        teacher: The arm whose posterior is mixed into labels, once it is chosen.
    """

    def __init__(
        self, experiment: Experiment, runner: Runner, metric: str, seeds: list[int]
    ) -> None:
        self.experiment, self.metric, self.seeds = experiment, metric, seeds
        self.steps = 0
        self.teacher: Arm | None = None
        self._runner = runner
        self._given_up: dict[Arm, int] = {}  # and after how many seeds
        # Runs of an earlier measurement, each with the seconds of its training, and of this one.
        self._reused_seconds: dict[Run, float] = {}
        self._own: set[Run] = set()

    def train(
        self,
        arms: Sequence[Arm],
        stage: str,
        *,
        seeds: list[int] | None = None,
        to_test: bool = True,
    ) -> None:
        """Train the runs of some arms that are not trained yet, teachers first.

        Args:
            arms: The arms; one that is named twice is trained once.
            stage: Heading of the progress that is shown.
            seeds: Default the seeds that choices are made on.
            to_test: Whether to train networks that are only tested, too.
        """
        seeds = self.seeds if seeds is None else seeds
        pairs = [(arm, seed) for seed in seeds for arm in dict.fromkeys(arms)]
        runs = [run for pair in pairs for run in self.runs(*pair, to_test=to_test)]
        new_runs = [run for run in runs if not run.done(self.experiment)]
        self._note_old_runs(set(runs).difference(new_runs))
        self._train_runs(new_runs, stage)

    def runs(self, arm: Arm, seed: int, *, to_test: bool = True) -> list[Run]:
        """Return the arm's runs for one seed, one a fold."""
        folds = self.experiment.folds(seed)
        return [
            self._run_of(arm, seed, fold)
            for fold in folds
            if to_test or fold.validation_subset is not None
        ]

    def validation_scores(self, arm: Arm, seed: int) -> Scores:
        """Score the arm on the validation images of all folds together."""
        labels, right = self.hits(arm, seed)
        return Scores.of(labels, right, len(self.experiment.train.classes))

    def hits(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return labels of the validation images of all folds, int64 (V,), and hits, bool (V,)."""
        labels, predictions = [], []
        for fold, run in zip(self.experiment.folds(seed), self.runs(arm, seed), strict=True):
            if fold.validation_subset is not None:
                labels.append(fold.validation_subset.labels)
                predictions.append(validation_predictions(self.experiment, run))
        truth = np.concatenate(labels)
        return truth, np.concatenate(predictions) == truth

    def validation(
        self, arms: Sequence[Arm], *, seeds: list[int] | None = None
    ) -> dict[Arm, np.ndarray]:
        """Return the score of each arm on the validation images, in the metric, one a seed."""
        seeds_by_arm = {arm: self.seeds_of(arm) if seeds is None else seeds for arm in arms}
        return {
            arm: np.array(
                [self.validation_scores(arm, seed).by(self.metric) for seed in seeds_by_arm[arm]]
            )
            for arm in arms
        }

    def differences(self, arm: Arm, other: Arm, seeds: list[int]) -> list[float]:
        """Return the points of `arm` over `other` on the validation images, one a seed."""
        scores = self.validation([arm, other], seeds=seeds)
        return [100 * float(each) for each in scores[arm] - scores[other]]

    def best(self, arms: Sequence[Arm]) -> Arm:
        """Return the arm with the highest mean validation score that was not given up.

        The first of equals.

        Raises:
            TrainingError: If the trainings of all diverged.
        """
        entrants = [arm for arm in arms if arm not in self._given_up]
        scores = self.validation(entrants)
        best = max(entrants, key=lambda arm: float(scores[arm].mean()))
        if not scores[best].any():
            self.expect_trained([best], self.seeds_of(best))
        return best

    def divergences(self, arm: Arm, seeds: Sequence[int]) -> dict[int, str]:
        """Return the seeds on which the arm's training diverged, and how."""
        reasons = {}
        for seed in seeds:
            for run in self.runs(arm, seed):
                if not run.done(self.experiment):
                    continue
                if (reason := run.divergence(self.experiment)) is not None:
                    reasons[seed] = reason
        return reasons

    def expect_trained(self, arms: Sequence[Arm], seeds: Sequence[int]) -> None:
        """Raise `TrainingError` where an arm's training diverged on one of these seeds."""
        for arm in arms:
            for seed, reason in self.divergences(arm, seeds).items():
                raise TrainingError(f"{arm.name}, seed {seed}: {reason}")

    def race(self, arms: Sequence[Arm], stage: str, *, beside: Sequence[Arm] = ()) -> None:
        """Train the arms seed by seed, and give up those that are far behind.

        Far is more than two standard errors below the best of the same use, on the validation
        images of the seeds so far. Only by a rare chance is that the best of its kind, and its time
        is saved. One that is alone is trained on all seeds at once.

        Args:
            arms: The arms.
            stage: Heading of the progress that is shown.
            beside: Trained arms to compare them with, too.

        References:
            Maron and Moore, Hoeffding Races (1994).
        """
        racing = list(arms)
        others = [arm for arm in beside if arm not in self._given_up]
        count = RACE_SEEDS
        while True:
            seeds = self.seeds[:count]
            self.train(racing, stage, seeds=seeds)
            if count == len(self.seeds):
                break
            scores = self.validation([*racing, *others], seeds=seeds)
            means = {arm: float(each.mean()) for arm, each in scores.items()}
            for arm in list(racing):
                same_use = (each for each in means if each.uses == arm.uses)
                best = max(same_use, key=lambda each: means[each])
                if means[arm] < means[best] - MOST_ERRORS * self._standard_error(arm, best, seeds):
                    self._given_up[arm] = count
                    racing.remove(arm)
            count = count + 1 if len(racing) > 1 else len(self.seeds)

    def seeds_of(self, arm: Arm) -> list[int]:
        """Return the seeds that the arm was trained on for choices."""
        return self.seeds[: self._given_up.get(arm, len(self.seeds))]

    def resolution(self, seed: int) -> float:
        """Return the points that one validation image counts."""
        labels = [
            fold.validation_subset.labels
            for fold in self.experiment.folds(seed)
            if fold.validation_subset is not None
        ]
        return resolution(np.concatenate(labels), self.metric)

    def _train_runs(self, new_runs: list[Run], stage: str) -> None:
        """Train runs, teachers before those that learn from them."""
        teachers = self._teachers(new_runs)
        for runs in (teachers, [run for run in new_runs if run not in teachers]):
            if runs:
                self._own.update(runs)
                self._runner.run(runs, stage)

    def _teachers(self, new_runs: Sequence[Run]) -> list[Run]:
        """Return the runs of teachers that have to be trained before these runs."""
        teachers = dict.fromkeys(run.of_teacher for run in new_runs if run.teacher is not None)
        return [run for run in teachers if not run.complete(self.experiment)]

    def _run_of(self, arm: Arm, seed: int, fold: Fold) -> Run:
        teacher = self.teacher if arm.needs_teacher else None
        return Run(arm, seed, fold.name, self.steps, teacher)

    def _standard_error(self, arm: Arm, best: Arm, seeds: list[int]) -> float:
        """Estimate the standard error of the difference of two arms' scores.

        It has the error of the images, of which those count that only one of the two gets right,
        and that of training again.
        """
        pairs = [(self.hits(arm, seed), self.hits(best, seed)) for seed in seeds]
        labels = np.concatenate([labels for (labels, _), _ in pairs])
        disagreeing = np.concatenate([one != other for (_, one), (_, other) in pairs]).mean()
        present = np.unique(labels, return_counts=True)[1]
        image_variance = disagreeing * np.sum(1 / present) / len(present) ** 2
        return float(np.sqrt(image_variance + 2 * TRAINING_DEVIATION**2 / len(seeds)))

    def test(
        self, pairs: Sequence[tuple[Arm, int]], images: LabelledImages, stage: str
    ) -> list[Scores]:
        """Score the network of each arm and seed on the test images; train those that are missing.

        Networks that were scored need not be kept, so that this, too, goes on where it was.

        Args:
            pairs: Arms and seeds.
            images: The test images.
            stage: Heading of the progress that is shown.
        """
        runs = [self._run_of(arm, seed, self.experiment.tested_fold(seed)) for arm, seed in pairs]
        fingerprint = images.fingerprint
        teachers = self._teachers(
            [run for run in runs if not run.scorable(self.experiment, fingerprint)]
        )
        other_folds = [
            self._run_of(arm, seed, fold)
            for arm, seed in pairs
            for fold in self.experiment.folds(seed)
            if not fold.is_tested
        ]
        new_fold_runs = [run for run in other_folds if not run.done(self.experiment)]
        self._train_runs([*teachers, *new_fold_runs], stage)
        ready = {run: run.scorable(self.experiment, fingerprint) for run in runs}
        order = sorted(ready, key=lambda run: not ready[run])
        new_runs = [run for run in order if not ready[run]]
        scores = self._runner.score(order, new_runs, images, stage)
        by_run = dict(zip(order, scores, strict=True))
        return [by_run[run] for run in runs]

    def test_predictions(self, arm: Arm, seed: int, images: str) -> np.ndarray:
        """Return predictions of the test images of a fingerprint, int64 (N,), after scoring."""
        return test_predictions(
            self.experiment, self._run_of(arm, seed, self.experiment.tested_fold(seed)), images
        )

    def check_pool(self, source: Source, seeds: list[int]) -> None:
        """Raise `InputError` where a pool consists of copies of validation images for a class."""
        folds = [
            (source, seed, fold.name)
            for seed in seeds
            for fold in self.experiment.folds(seed)
            if fold.validation_subset is not None
        ]
        self._runner.check(folds, "copies in the pool")

    def pool(self, arm: Arm, seed: int) -> SamplePool:
        """Return the pool that the arm learned from for a tested seed; make it where it is gone."""
        return self._runner.pool(
            self._run_of(arm, seed, self.experiment.tested_fold(seed)), "examples"
        )

    def seconds(self, arm: Arm, seed: int) -> float:
        """Return the seconds to train the arm for one seed and to fit its generator."""
        return sum(sum(seconds(self.experiment, run)) for run in self.runs(arm, seed))

    def note_earlier(self, arm: Arm, seeds: list[int]) -> None:
        """Count the runs of the arm that an earlier measurement trained as reused."""
        runs = [run for seed in seeds for run in self.runs(arm, seed, to_test=False)]
        self._note_old_runs({run for run in runs if run.done(self.experiment)})

    def reused_networks(self) -> tuple[int, float]:
        """Return how many networks an earlier measurement trained, and the seconds it took.

        Fits of generators are not counted.
        """
        return len(self._reused_seconds), sum(self._reused_seconds.values())

    def _note_old_runs(self, old_runs: set[Run]) -> None:
        # Read now: a damaged one is to be named before hours are spent, not after.
        for run in old_runs - self._own - self._reused_seconds.keys():
            self._reused_seconds[run] = seconds(self.experiment, run)[0]


@contextmanager
def open_comparison(
    experiment: Experiment,
    seeds: list[int],
    *,
    identity: str = "",
    cache: str | Path | None,
    keep: bool,
    jobs: int,
    progress: StageProgress | None,
) -> Iterator[Comparison]:
    """Open a comparison, with a directory for its runs that lasts until the block ends well.

    Args:
        experiment: What all runs share.
        seeds: Seeds that choices are made on.
        identity: Tells this work from other work on the same images.
        cache: As in `Execution`, and the rest.
        keep: The same.
        jobs: The same.
        progress: The same.
    """
    with ExitStack() as stack:
        directory = cache or stack.enter_context(
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        )
        # Absolute: reused processes may be in another working directory.
        experiment = place_experiment(experiment, expand_path(directory).absolute())
        stack.enter_context(work_directory(experiment.directory, short_digest(identity), keep=keep))
        yield Comparison(
            experiment, Runner(experiment, jobs, progress), _metric(experiment.train), seeds
        )


def place_experiment(experiment: Experiment, directory: Path) -> Experiment:
    """Put an experiment below a directory, on the device that "auto" stands for."""
    device = resolve_device(experiment.device)
    on_device = replace(experiment, device=str(device), arithmetic=arithmetic(device))
    return on_device.below(directory)


def _metric(train: LabelledImages) -> str:
    uneven = train.counts.max() > BALANCED_UP_TO * train.counts.min()
    return BALANCED if uneven else "accuracy"
