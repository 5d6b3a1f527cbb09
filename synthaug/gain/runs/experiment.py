"""Hold what all runs share: the images, the network, the place on disk."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Self

from synthaug.classifiers import Backbone, expect_share
from synthaug.core import InputError, as_count, versions
from synthaug.data import LabelledImages
from synthaug.gain.runs.folds import Fold, plan_folds, without_images


@dataclass(frozen=True)
class Experiment:
    """The settings that all runs share. Steps are a run's own, since they are chosen, too.

    Attributes:
        train: The training images.
        validation: Images to make choices on, or None.
        per_class: Images per class to train on, or None for all.
        classifier: The network.
        batch_size: Images of a step.
        device: The device.
        beside_pool: As for `plan_folds`; its folds have other names, so runs do not depend on it.
        pool_is_known: Whether the pool is known to be made of the training images alone.
        arithmetic: Arithmetic of networks on the device. Trained in another they differ as much as
            those of another seed.
        directory: Where runs are kept.
    """

    train: LabelledImages
    validation: LabelledImages | None
    per_class: int | None
    classifier: Backbone
    batch_size: int
    device: str
    beside_pool: bool = False
    pool_is_known: bool = False
    arithmetic: str = "float32"
    directory: Path = Path()
    _plans: dict[int, tuple[list[Fold], str]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        per_class = None if self.per_class is None else as_count("per_class", self.per_class)
        object.__setattr__(self, "per_class", per_class)
        object.__setattr__(self, "batch_size", as_count("batch_size", self.batch_size))

    @property
    def unseen_by_pools(self) -> bool:
        """Tell whether the maker of a pool cannot know the images that choices are made on."""
        return not self.beside_pool or (self.validation is not None and self.pool_is_known)

    def below(self, directory: Path) -> Self:
        """Return the experiment in a subdirectory named after all that its runs depend on."""
        settings = (
            self.train.fingerprint,
            None if self.validation is None else self.validation.fingerprint,
            self.per_class,
            self.classifier.identity,
            self.batch_size,
            self.device,
            self.arithmetic,
            versions(),
        )
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=8).hexdigest()
        return replace(self, directory=directory / digest)

    def plan(self, seed: int) -> tuple[list[Fold], str]:
        """Return the seed's folds, and how validation images were set apart."""
        if seed not in self._plans:
            settings = (self.train, self.validation, self.per_class, seed)
            self._plans[seed] = plan_folds(
                *settings, beside_pool=self.beside_pool, labels=self._labels_only
            )
        return self._plans[seed]

    @cached_property
    def _labels_only(self) -> LabelledImages:
        """Labels and groups that folds are drawn by; finding copies reads every image."""
        return without_images(self.train)

    def can_split(self, seed: int) -> bool:
        """Tell whether the images can be split for the seed."""
        try:
            self.plan(seed)
        except InputError:
            return False
        return True

    def folds(self, seed: int) -> list[Fold]:
        """Return the seed's folds."""
        return self.plan(seed)[0]

    def check(self, seeds: Sequence[int], ratios: Sequence[float]) -> None:
        """Raise `InputError` where the experiment cannot run.

        The classifier may not take the images, a ratio may come to no image of a batch, or the
        images may not be split for a seed.
        """
        self.classifier.check(self.train.image_shape, len(self.train.classes))
        for ratio in ratios:
            expect_share(ratio, self.batch_size)
        for seed in seeds:
            self.plan(seed)

    def fold(self, seed: int, name: str) -> Fold:
        """Return the seed's fold of a name."""
        return next(fold for fold in self.folds(seed) if fold.name == name)

    def tested_fold(self, seed: int) -> Fold:
        """Return the fold whose networks meet the test images."""
        return next(fold for fold in self.folds(seed) if fold.is_tested)


def slug(text: str) -> str:
    """Return a part of a directory's name for a text of any length."""
    return re.sub(r"[^a-z0-9.+-]+", "-", text)[:100]


def short_digest(text: str) -> str:
    """Return eight characters for the end of a directory's name."""
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
