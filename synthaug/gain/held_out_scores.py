"""Score arms on the test images."""

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

    Attributes:
        scores: Of each arm, by seed.
    """

    def __init__(self, comparison: Comparison, images: LabelledImages) -> None:
        self.scores: dict[Arm, dict[int, Scores]] = {}
        self._comparison, self._images = comparison, images
        self._fingerprint = images.fingerprint

    def score(self, arms: Mapping[Arm, Sequence[int]], stage: str = "scoring test images") -> None:
        """Score the arms' networks of those seeds; train those that are missing.

        Args:
            arms: The seeds of each arm.
            stage: Heading of the progress that is shown.
        """
        pairs = [(arm, seed) for arm, seeds in arms.items() for seed in seeds]
        scores = self._comparison.test(pairs, self._images, stage)
        for (arm, seed), score in zip(pairs, scores, strict=True):
            self.scores.setdefault(arm, {})[seed] = score

    def gain(
        self, arm: Arm, other: Arm, seeds: Sequence[int], *, stage_one: int | None = None
    ) -> Interval:
        """Return the paired gain of `arm` over `other`, in percentage points of the metric."""
        differences = self._points(arm, seeds) - self._points(other, seeds)
        interval = paired_interval(
            list(differences), stage_one=stage_one, resolution=self.resolution
        )
        image_differences = self._share_right(arm, seeds) - self._share_right(other, seeds)
        images, metric = self._images, self._comparison.metric
        error = error_of_images(image_differences, images.labels, metric, images.groups)
        if error is None:
            return interval
        return replace(interval, image_error=error.points, image_freedom=error.freedom)

    @property
    def resolution(self) -> float:
        """The points that one image counts."""
        return resolution(self._images.labels, self._comparison.metric)

    def _share_right(self, arm: Arm, seeds: Sequence[int]) -> np.ndarray:
        """Return how often the arm's networks get each image right, float (N,), 0 to 1."""
        predictions = [
            self._comparison.test_predictions(arm, seed, self._fingerprint) for seed in seeds
        ]
        share: np.ndarray = np.mean([each == self._images.labels for each in predictions], axis=0)
        return share

    def _points(self, arm: Arm, seeds: Sequence[int]) -> np.ndarray:
        metric = self._comparison.metric
        return 100 * np.array([self.scores[arm][seed].by(metric) for seed in seeds])
