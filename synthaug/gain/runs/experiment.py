"""What all trainings of a run share: the images, the network, the place on disk."""

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
    """What all cells of a run share. Steps are part of a cell, since they are chosen, too.

    pooled: see `plan_parts`; it has parts of other names, so cells do not depend on it.
    pool_is_known: whether the pool is known to be made of the training images alone.
    arithmetic: what networks multiply in on the device, which `placed` finds out: trained in
        another they are as unlike as those of another seed.
    """

    train: LabelledImages
    validation: LabelledImages | None
    per_class: int | None
    classifier: Backbone
    batch_size: int
    device: str
    pooled: bool = False
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
        """Whether what made a pool cannot know the images that choices are made on."""
        return not self.pooled or (self.validation is not None and self.pool_is_known)

    def below(self, directory: Path) -> Self:
        """The study in a subdirectory named after all that its cells depend on."""
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
        """The seed's parts (see `plan_parts`), which hold no copies of images, and in words how
        validation images were set apart."""
        if seed not in self._plans:
            settings = (self.train, self.validation, self.per_class, seed)
            self._plans[seed] = plan_folds(*settings, pooled=self.pooled, known=self._known)
        return self._plans[seed]

    @cached_property
    def _known(self) -> LabelledImages:
        """What parts are drawn by; finding copies takes looking at every image."""
        return without_images(self.train)

    def can_split(self, seed: int) -> bool:
        """Whether there is a plan for the seed."""
        try:
            self.plan(seed)
        except InputError:
            return False
        return True

    def folds(self, seed: int) -> list[Fold]:
        """The seed's parts."""
        return self.plan(seed)[0]

    def check(self, seeds: Sequence[int], ratios: Sequence[float]) -> None:
        """Raise `InputError` where the classifier cannot take the images, where one of the ratios
        of a batch comes to no image, or where the images cannot be split for one of the seeds."""
        self.classifier.check(self.train.image_shape, len(self.train.classes))
        for ratio in ratios:
            expect_share(ratio, self.batch_size)
        for seed in seeds:
            self.plan(seed)

    def fold(self, seed: int, name: str) -> Fold:
        """The seed's part of that name."""
        return next(fold for fold in self.folds(seed) if fold.name == name)

    def tested(self, seed: int) -> Fold:
        """The part whose networks meet the test images."""
        return next(fold for fold in self.folds(seed) if fold.tested)


def slug(text: str) -> str:
    """What a directory can be named of a name, which may be too long for that."""
    return re.sub(r"[^a-z0-9.+-]+", "-", text)[:100]


def short_digest(text: str) -> str:
    """Eight characters for the end of a directory's name."""
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
