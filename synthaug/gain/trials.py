"""Trials: arms trained over seeds, scored on held images for choices, on test images at the end."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthaug.classifiers import Scores, evaluate
from synthaug.gain.arms import Arm
from synthaug.gain.cells import (
    Cell,
    Report,
    Runner,
    Study,
    held_predictions,
    load_network,
    seconds,
)
from synthaug.gain.sharing import kept_until_done
from synthaug.images import LabelledImages
from synthaug.training import resolve_device

RACE_SEEDS = 2
REACH, ERRORS = 0.03, 2.0  # of validation score, and standard errors, that an arm may be behind
BALANCED_UP_TO = 1.5  # largest class over smallest; above it the metric is balanced accuracy


class Trials:
    """What has been trained so far, under one number of optimiser steps.

    metric: "accuracy" or "balanced accuracy", the one that choices and the gain go by.
    teacher: the arm whose posterior is mixed into labels, once it is chosen.
    """

    def __init__(self, study: Study, runner: Runner, metric: str, seeds: list[int]) -> None:
        self.study, self.metric, self.seeds = study, metric, seeds
        self.steps = 0
        self.teacher: Arm | None = None
        self._runner = runner
        self._given_up: set[Arm] = set()

    def train(self, arms: Sequence[Arm], what: str, *, seeds: list[int] | None = None) -> None:
        """Train what is not trained yet; `what` is said to the user."""
        cells = [
            cell for seed in seeds or self.seeds for arm in arms for cell in self.cells(arm, seed)
        ]
        self._runner.run(cells, what)

    def cells(self, arm: Arm, seed: int) -> list[Cell]:
        """The arm's trainings for one seed, one a part."""
        teacher = self.teacher if arm.needs_teacher else None
        return [Cell(arm, seed, part.name, self.steps, teacher) for part in self.study.parts(seed)]

    def held(self, arm: Arm, seed: int) -> tuple[float, float]:
        """Accuracy and balanced accuracy over the held images of all parts together."""
        truth, predicted = [], []
        for part, cell in zip(self.study.parts(seed), self.cells(arm, seed), strict=True):
            if part.held is not None:
                truth.append(part.held.labels)
                predicted.append(held_predictions(self.study, cell))
        labels = np.concatenate(truth)
        right = np.concatenate(predicted) == labels
        recalls = [right[labels == label].mean() for label in np.unique(labels)]
        return float(right.mean()), float(np.mean(recalls))

    def validation(
        self, arms: Sequence[Arm], *, seeds: list[int] | None = None
    ) -> dict[Arm, np.ndarray]:
        """Score of each arm on the held images, in the metric, one a seed."""
        index = 1 if self.metric == "balanced accuracy" else 0
        return {
            arm: np.array([self.held(arm, seed)[index] for seed in seeds or self.seeds_of(arm)])
            for arm in arms
        }

    def best(self, arms: Sequence[Arm]) -> Arm:
        """The arm with the highest mean validation score among those that were not given up; the
        first of equals."""
        entered = [arm for arm in arms if arm not in self._given_up]
        scores = self.validation(entered)
        return max(entered, key=lambda arm: float(scores[arm].mean()))

    def race(self, arms: Sequence[Arm], what: str, *, beside: Sequence[Arm] = ()) -> None:
        """Train the arms on the first seeds, and on the others those that are not far behind.

        Far is more than three points and more than two standard errors below the best of them and
        of those `beside`, on the held images of the first seeds: what is given up then is not the
        best of all but by a rare chance, and its time is saved (racing, Maron and Moore 1994).
        """
        first = self.seeds[:RACE_SEEDS]
        self.train(arms, what, seeds=first)
        scores = {
            arm: float(each.mean())
            for arm, each in self.validation([*arms, *beside], seeds=first).items()
        }
        best = max(scores.values())
        margin = max(REACH, ERRORS * self._standard_error(best, first))
        self._given_up |= {arm for arm in arms if scores[arm] < best - margin}
        self.train([arm for arm in arms if arm not in self._given_up], what)

    def seeds_of(self, arm: Arm) -> list[int]:
        """The seeds that the arm was trained on."""
        return self.seeds[:RACE_SEEDS] if arm in self._given_up else self.seeds

    def _standard_error(self, score: float, seeds: list[int]) -> float:
        """Of the difference of two such scores, from the number of held images of each class; as
        if they were independent, which is more than it is for arms of the same seeds."""
        parts = [part for seed in seeds for part in self.study.parts(seed)]
        counts = np.sum([part.held.counts for part in parts if part.held is not None], axis=0)
        present = counts[counts > 0]
        share = np.clip(score, 0.05, 0.95)
        return float(np.sqrt(2 * share * (1 - share) * np.sum(1 / present)) / len(present))

    def test(self, arm: Arm, seed: int, images: LabelledImages) -> Scores:
        """Score the arm's stored network on the test images."""
        parts = self.study.parts(seed)
        tested = next(index for index, part in enumerate(parts) if part.tested)
        network = load_network(self.study, self.cells(arm, seed)[tested])
        return evaluate(network, images, device=self.study.device)

    def seconds(self, arm: Arm, seed: int) -> float:
        """Time spent on the arm for one seed, generator and sampling included."""
        return sum(seconds(self.study, cell) for cell in self.cells(arm, seed))


@contextmanager
def opened(
    study: Study,
    seeds: list[int],
    *,
    cache: str | Path | None,
    keep: bool,
    jobs: int,
    report: Report | None,
) -> Iterator[Trials]:
    """Trials of a study, with a directory for their cells that lasts until the block ends well: one
    of their own in `cache`, or a temporary one. See `measure_gain`."""
    with ExitStack() as stack:
        directory = cache or stack.enter_context(tempfile.TemporaryDirectory())
        device = str(resolve_device(study.device))
        placed = replace(study, device=device).below(Path(directory))
        stack.enter_context(kept_until_done(placed.directory, keep=keep))
        yield Trials(placed, Runner(placed, jobs, report), _metric(study.train), seeds)


def _metric(train: LabelledImages) -> str:
    uneven = train.counts.max() > BALANCED_UP_TO * train.counts.min()
    return "balanced accuracy" if uneven else "accuracy"
