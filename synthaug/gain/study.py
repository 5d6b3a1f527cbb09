"""What all trainings of a run share: the images, the network, the place on disk."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from synthaug.classifiers import Backbone
from synthaug.gain.parts import Part, plan_parts
from synthaug.images import LabelledImages
from synthaug.versions import versions


@dataclass(frozen=True)
class Study:
    """What all cells of a run share. Steps are part of a cell, since they are chosen, too.

    pooled: see `plan_parts`; it has parts of other names, so cells do not depend on it.
    pool_is_known: whether the pool is known to be made of the training images alone.
    """

    train: LabelledImages
    validation: LabelledImages | None
    per_class: int | None
    classifier: Backbone
    batch_size: int
    device: str
    pooled: bool = False
    pool_is_known: bool = False
    directory: Path = Path()
    _parts: dict[int, list[Part]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def unseen_by_pools(self) -> bool:
        """Whether what made a pool cannot know the images that choices are made on."""
        return not self.pooled or (self.validation is not None and self.pool_is_known)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_parts": {}}  # a process works them out for the seed it is given

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def below(self, directory: Path) -> Self:
        """The study in a subdirectory named after all that its cells depend on."""
        settings = (
            self.train.fingerprint,
            None if self.validation is None else self.validation.fingerprint,
            self.per_class,
            self.classifier.identity,
            self.batch_size,
            self.device,
            versions(),
        )
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=8).hexdigest()
        return replace(self, directory=directory / digest)

    def parts(self, seed: int) -> list[Part]:
        """The seed's parts (see `plan_parts`)."""
        if seed not in self._parts:
            self._parts[seed] = self.plan(seed)[0]
        return self._parts[seed]

    def plan(self, seed: int) -> tuple[list[Part], str]:
        """The seed's parts, and in words how validation images were set apart."""
        settings = (self.train, self.validation, self.per_class, seed)
        return plan_parts(*settings, pooled=self.pooled)

    def check(self, seeds: Sequence[int]) -> None:
        """Raise `InputError` where the images cannot be split for one of the seeds."""
        for seed in seeds:
            self.plan(seed)

    def part(self, seed: int, name: str) -> Part:
        """The seed's part of that name."""
        return next(part for part in self.parts(seed) if part.name == name)

    def tested(self, seed: int) -> Part:
        """The part whose networks meet the test images."""
        return next(part for part in self.parts(seed) if part.tested)


def short_digest(text: str) -> str:
    """Eight characters for the end of a directory's name."""
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
