"""What generators with nothing to learn share."""

from typing import Any

from torch import nn

from synthaug.errors import InputError
from synthaug.generators.base import Aids, Generator
from synthaug.images import LabelledImages
from synthaug.training import Run


class Untrained(Generator):
    """A generator with nothing to learn: it only recombines the images it was given."""

    @property
    def learns(self) -> bool:
        return False

    @property
    def changes_images(self) -> bool:
        return True

    def _train(
        self, data: LabelledImages, run: Run, aids: Aids, notes: dict[str, Any]
    ) -> list[nn.Module]:
        if aids != Aids():
            raise InputError(
                f"start, validation, log: {self.family} has no training that they could serve; "
                "leave them out"
            )
        return [nn.Module()]

    def _untrained(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        return [nn.Module()]
