"""Trainings that are made up, for tests of the search."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from synthaug.classifiers import TrainConfig
from synthaug.core import InputError
from synthaug.data import LabelledImages
from synthaug.gain import Arm

REAL = [Arm("classical", TrainConfig()), Arm("mixup", TrainConfig(mix="mixup"))]


Score = Callable[[Arm, int], float]


class Made:
    """Trials whose scores are made up."""

    def __init__(self, score: Score, directory: Path, train: LabelledImages) -> None:
        plan = ([], "ten of the images")
        self.experiment = SimpleNamespace(
            directory=directory,
            train=train,
            plan=lambda _: plan,
            folds=lambda _: [SimpleNamespace(name="all", train_subset=train)],
        )
        self.metric, self.steps = "accuracy", 0
        self.seeds: list[int] = []
        self.teacher = REAL[0]
        self.trained: list[tuple[str, int]] = []
        self.recalled: list[tuple[str, int]] = []
        self.left_open: list[str] = []
        self._score = score

    def train(
        self,
        arms: Sequence[Arm],
        what: str,
        *,
        seeds: list[int] | None = None,
        to_test: bool = True,
    ) -> None:
        for arm in arms:
            if arm.source is not None and arm.source.filters == {"memorization": 0.25}:
                raise InputError("the filters left nothing")
            self.trained += [(arm.name, seed) for seed in seeds or self.seeds]

    def expect_trained(self, arms: Sequence[Arm], seeds: list[int]) -> None:
        pass

    def validation(
        self, arms: Sequence[Arm], *, seeds: list[int] | None = None
    ) -> dict[Arm, np.ndarray]:
        return {arm: np.array([self._score(arm, s) for s in seeds or self.seeds]) for arm in arms}

    def race(self, arms: Sequence[Arm], what: str, *, beside: Sequence[Arm]) -> None:
        self.train(arms, what)

    def differences(self, arm: Arm, other: Arm, seeds: list[int]) -> list[float]:
        return [100 * (self._score(arm, seed) - self._score(other, seed)) for seed in seeds]

    def resolution(self, seed: int) -> float:
        return 0.1

    def note_earlier(self, arm: Arm, seeds: list[int]) -> None:
        self.recalled += [(arm.name, seed) for seed in seeds]

    def reused_networks(self) -> tuple[int, float]:
        return 0, 0.0

    def seeds_of(self, arm: Arm) -> list[int]:
        return self.seeds

    def best(self, arms: Sequence[Arm]) -> Arm:
        return max(arms, key=lambda arm: float(self.validation([arm])[arm].mean()))


def open_files(name: str) -> list[str]:
    """Those of this process that have the name, where the system tells."""
    links = [path.readlink() for path in Path("/proc/self/fd").glob("*") if path.is_symlink()]
    return [str(link) for link in links if link.name == name]


def good(arm: Arm, seed: int) -> float:
    """Half the images, more with style swap at a low ratio on MixUp, and some luck."""
    value = 0.5 + 0.01 * (arm.config.mix == "mixup")
    if arm.source is not None:
        value += 0.03 if arm.source.name.startswith("style-swap") else -0.05
        value -= 0.1 * (arm.ratio - 0.125)
    return value + 0.001 * (seed % 3)


def is_gan(arm: Arm) -> bool:
    return arm.source is not None and arm.source.name.startswith("gan")
