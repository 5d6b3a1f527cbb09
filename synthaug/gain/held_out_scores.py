"""What the test images say of arms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from synthaug.classifiers import Scores, error_of_images, resolution
from synthaug.data import LabelledImages
from synthaug.gain.arms import Arm
from synthaug.gain.runs.comparison import Comparison
from synthaug.gain.statistics import Interval, paired_interval


class HeldOutScores:
    """Scores on the test images, kept by arm and seed.

    scores: of each arm, by seed.
    """

    def __init__(self, trials: Comparison, images: LabelledImages) -> None:
        self.scores: dict[Arm, dict[int, Scores]] = {}
        self._trials, self._images, self._told = trials, images, images.fingerprint

    def score(self, arms: Mapping[Arm, Sequence[int]], what: str = "scoring test images") -> None:
        """Score the arms' networks of those seeds, which are trained where they are not there;
        `what` is said to the user."""
        pairs = [(arm, seed) for arm, seeds in arms.items() for seed in seeds]
        scores = self._trials.test(pairs, self._images, what)
        for (arm, seed), score in zip(pairs, scores, strict=True):
            self.scores.setdefault(arm, {})[seed] = score

    def gain(
        self, arm: Arm, other: Arm, seeds: Sequence[int], *, stage_one: int | None = None
    ) -> Interval:
        """The paired gain of `arm` over `other`, in percentage points of the metric."""
        differences = self._points(arm, seeds) - self._points(other, seeds)
        found = paired_interval(list(differences), stage_one=stage_one, resolution=self.resolution)
        apart = self._right(arm, seeds) - self._right(other, seeds)
        images = self._images
        error = error_of_images(apart, images.labels, self._trials.metric, images.groups)
        if error is None:
            return found
        return replace(found, image_error=error.points, image_freedom=error.freedom)

    @property
    def resolution(self) -> float:
        """Points that one image counts."""
        return resolution(self._images.labels, self._trials.metric)

    def _right(self, arm: Arm, seeds: Sequence[int]) -> np.ndarray:
        """How often the arm's networks of these seeds get each image right, (N,), 0 to 1."""
        said = [self._trials.said_of(arm, seed, self._told) for seed in seeds]
        right: np.ndarray = np.mean([each == self._images.labels for each in said], axis=0)
        return right

    def _points(self, arm: Arm, seeds: Sequence[int]) -> np.ndarray:
        metric = self._trials.metric
        return 100 * np.array([self.scores[arm][seed].by(metric) for seed in seeds])
