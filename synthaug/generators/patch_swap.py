"""PatchSwap: an image of a class takes a soft-edged part of another image of that class.

What stands beside what is chance in a few images: a part that was only ever seen beside another is
seen beside others, and the class stays what it is. It needs no training. Relatives: CutMix (Yun et
al., ICCV 2019), whose images are of two classes, as are their labels; ChimeraMix (Reinders et al.,
IJCAI 2022), which puts parts of one class together by a trained network.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.checks import expect_number, expect_range
from synthaug.errors import InputError
from synthaug.generators.anchors import draw_member
from synthaug.generators.untrained import Untrained
from synthaug.seeding import Draws

ASPECT = 0.5  # largest logarithm of a part's height over its width


@dataclass
class PatchSwap(Untrained):
    """Replace a rectangle of an image by what another image of its class has there; once in as many
    as the class has, that is the image itself, which stays as it is.

    area: the rectangle's share of the image, drawn uniformly from this range; less where a
        large one, not being of the image's shape, would reach beyond it.
    softness: the width of its edges, in shares of the image's side.

    `fit` and `sample` raise `InputError` for settings that make no sense.

    >>> from synthaug import PatchSwap, read_images
    >>> samples = PatchSwap().fit(read_images("digits"), device="cpu").sample(2)
    >>> samples.images.shape
    (20, 1, 16, 16)
    """

    area: tuple[float, float] = (0.3, 0.7)
    softness: float = 0.05

    def _check_settings(self) -> None:
        expect_range("area", self.area)
        if self.area[1] > 1:
            raise InputError(f"area: expected shares of the image, at most 1, got {self.area}")
        expect_number("softness", self.softness)

    def _plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        data = self._fitted()
        return {
            "image": draw_member(data, labels, draws, "image"),
            "donor": draw_member(data, labels, draws, "donor"),
            "area": draws.uniform("area", low=self.area[0], high=self.area[1]),
            "aspect": draws.uniform("aspect", low=-ASPECT, high=ASPECT),
            "place": draws.uniform("place", 2),
        }

    def _render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        image, donor = self._start(plan), self._real(plan["donor"])
        height, width = image.shape[2:]
        stretch = plan["aspect"].exp()
        sides = (plan["area"] * stretch).sqrt(), (plan["area"] / stretch).sqrt()
        within = [
            _within(length, side, place)
            for length, side, place in zip(
                (height, width), sides, plan["place"].unbind(1), strict=True
            )
        ]
        inside = torch.minimum(within[0][:, :, None], within[1][:, None, :])
        mask = (2 * inside / self.softness).sigmoid()[:, None]
        return image + mask * (donor - image)


def _within(length: int, side: Tensor, place: Tensor) -> Tensor:
    """How far each of `length` pixels lies within a span, negative outside of it, (B, length), in
    shares of the length; `side` (B,) is the span's, `place` (B,) where it lies, from 0 to 1."""
    side = side.clamp(max=1)[:, None]
    start = place[:, None] * (1 - side)
    centres = (torch.arange(length, device=side.device) + 0.5) / length
    return torch.minimum(centres - start, start + side - centres)
