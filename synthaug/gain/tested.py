"""What the test images say of arms."""

from collections.abc import Mapping, Sequence

import numpy as np

from synthaug.classifiers import Scores, resolution
from synthaug.gain.arms import Arm
from synthaug.gain.statistics import Interval, paired_interval
from synthaug.gain.trials import Trials
from synthaug.images import LabelledImages


class Tested:
    """Scores on the test images, kept by arm and seed.

    scores: of each arm, by seed.
    """

    def __init__(self, trials: Trials, images: LabelledImages) -> None:
        self.scores: dict[Arm, dict[int, Scores]] = {}
        self._trials, self._images = trials, images

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
        return paired_interval(list(differences), stage_one=stage_one, resolution=self.resolution)

    @property
    def resolution(self) -> float:
        """Points that one image counts."""
        return resolution(self._images.labels, self._trials.metric)

    def _points(self, arm: Arm, seeds: Sequence[int]) -> np.ndarray:
        metric = self._trials.metric
        return 100 * np.array([self.scores[arm][seed].by(metric) for seed in seeds])
