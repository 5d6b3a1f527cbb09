"""Generators with nothing to learn: PatchSwap, StyleSwap and RandomField.

They only change or recombine real images, so they are the non-learned controls that a trained
generator has to beat.

PatchSwap: an image of a class takes a soft-edged part of another image of that class.

What stands beside what is chance in a few images: a part that was only ever seen beside another is
seen beside others, and the class stays what it is. It needs no training. Relatives: CutMix (Yun et
al., ICCV 2019), whose images are of two classes, as are their labels; ChimeraMix (Reinders et al.,
IJCAI 2022), which puts parts of one class together by a trained network.

StyleSwap: an image keeps its detail and takes the low frequencies of another image.

The colour cast, light and background gradient of an image of any class replace those of an image
of the class asked for, which breaks chance correlations between them and the class. It needs no
training, so it is the control that a trained generator has to beat. Relative: Fourier domain
adaptation (Yang and Soatto, CVPR 2020), here in pixel space.

RandomField: an image under a mild random smooth deformation, gain and bias.

It needs no training and knows nothing of the data: what a TransferVAE gains over it is what was
learned about how the images of this data set vary. Relative: elastic distortion (Simard 2003).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.core import (
    Draws,
    InputError,
    deform,
    expect_choice,
    expect_count,
    expect_number,
    expect_range,
    resize_field,
)
from synthaug.data import LabelledImages
from synthaug.generators.base import Generator
from synthaug.generators.real_images import DONORS, draw_donor, draw_member
from synthaug.generators.registry import Variant, register
from synthaug.generators.session import FitSession


class NonLearned(Generator):
    """A generator with nothing to learn: it changes or recombines real images."""

    learns = False
    changes_images = True

    def train(self, data: LabelledImages, session: FitSession) -> list[nn.Module]:
        """Return an empty network; refuse what only a training has a use for."""
        session.refuse_aids(self.name)
        return [nn.Module()]

    def build(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        """Return an empty network."""
        return [nn.Module()]


ASPECT = 0.5  # largest logarithm of a part's height over its width


@register("patch-swap", order=90)
@dataclass
class PatchSwap(NonLearned):
    """A generator that replaces a rectangle of an image by that of another image of its class.

    Once in as many images as the class has, the other one is the image itself: it stays as it is.

    Args:
        area: The rectangle's share of the image, drawn uniformly from this range; less where a
            large one, not being of the image's shape, would reach beyond it.
        softness: The width of its edges, in shares of the image's side.

    Raises:
        InputError: By `fit` and `sample`, for settings that make no sense.

    References:
        Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
            Features", arXiv:1905.04899.
        Reinders et al., "ChimeraMix", IJCAI 2022, arXiv:2202.11616.

    Examples:
        >>> from synthaug import PatchSwap, read_images
        >>> samples = PatchSwap().fit(read_images("digits"), device="cpu").sample(2)
        >>> samples.images.shape
        (20, 1, 16, 16)
    """

    area: tuple[float, float] = (0.3, 0.7)
    softness: float = 0.05

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        expect_range("area", self.area)
        if self.area[1] > 1:
            raise InputError(f"area: expected shares of the image, at most 1, got {self.area}")
        expect_number("softness", self.softness)

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw an image, one to take a part of, and where that part lies."""
        data = self.training_data
        return {
            "image": draw_member(data, labels, draws, "image"),
            "donor": draw_member(data, labels, draws, "donor"),
            "area": draws.uniform("area", low=self.area[0], high=self.area[1]),
            "aspect": draws.uniform("aspect", low=-ASPECT, high=ASPECT),
            "place": draws.uniform("place", 2),
        }

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Put a soft-edged part of another image into each image."""
        image, donor = self.base_images(plan), self.real_images(plan["donor"])
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
    """Return how far each pixel of a line lies within a span, negative outside of it.

    Args:
        length: Pixels of the line.
        side: Length of each span, in shares of the line's, (B,).
        place: Where each span lies, 0 to 1, (B,).

    Returns:
        Distances to the nearer end, (B, length), in shares of the length.
    """
    side = side.clamp(max=1)[:, None]
    start = place[:, None] * (1 - side)
    centres = (torch.arange(length, device=side.device) + 0.5) / length
    return torch.minimum(centres - start, start + side - centres)


@register(
    "style-swap",
    order=80,
    sources={"style-swap": Variant()},
    choices={"cells": {cells: Variant({"cells": cells}) for cells in (4, 8)}},
)
@dataclass
class StyleSwap(NonLearned):
    """A generator that swaps all that is coarser than a `cells` × `cells` grid between images.

    Args:
        cells: Side of the grid that holds what is swapped, at most a quarter of the image's; 1 is
            the mean alone.
        strength: How much of the difference is applied, drawn uniformly from this range.
        donors: "any" takes the style of an image of any class, "within" of the same class.

    Raises:
        InputError: By `fit` and `sample`, for settings that make no sense.

    References:
        Yang and Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation",
            arXiv:2004.05498.

    Examples:
        >>> from synthaug import StyleSwap, read_images
        >>> samples = StyleSwap().fit(read_images("digits"), device="cpu").sample(2)
        >>> samples.images.shape
        (20, 1, 16, 16)
    """

    cells: int = 8
    strength: tuple[float, float] = (0.5, 1.0)
    donors: str = "any"

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        expect_count("cells", self.cells)
        expect_range("strength", self.strength)
        expect_choice("donors", self.donors, DONORS)

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw an image, one to take the low frequencies of, and a strength."""
        data = self.training_data
        return {
            "image": draw_member(data, labels, draws, "image"),
            "donor": draw_donor(data, labels, draws, self.donors),
            "strength": draws.uniform("strength", low=self.strength[0], high=self.strength[1]),
        }

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Change what is coarser than the grid."""
        image, donor = self.base_images(plan), self.real_images(plan["donor"])
        step = low_frequencies(donor, self.cells) - low_frequencies(image, self.cells)
        return (image + plan["strength"][:, None, None, None] * step).clamp(0, 1)


def low_frequencies(images: Tensor, cells: int) -> Tensor:
    """Average images (B, C, H, W) over a grid of cells, and interpolate back to their shape.

    A cell is never smaller than 4 pixels: on tiny images the coarse part would be all there is.
    """
    height, width = images.shape[2:]
    grid = F.adaptive_avg_pool2d(images, (min(cells, height // 4), min(cells, width // 4)))
    return F.interpolate(grid, (height, width), mode="bicubic", align_corners=False)


@register("random-field", order=100, sources={"random-field": Variant()})
@dataclass
class RandomField(NonLearned):
    """A generator that changes a real image by smooth random flow, factors and offsets.

    Args:
        cells: Side of the grid of random numbers that is interpolated to the image's size.
        flow: Standard deviation of the displacement, in shares of half the image.
        gain: Standard deviation of the logarithm of the brightness factor.
        bias: Standard deviation of the added brightness, images being in [0, 1].

    Raises:
        InputError: By `fit` and `sample`, for settings that make no sense.

    References:
        Simard et al., "Best Practices for Convolutional Neural Networks Applied to Visual Document
            Analysis", ICDAR 2003.

    Examples:
        >>> from synthaug import RandomField, read_images
        >>> samples = RandomField().fit(read_images("digits"), device="cpu").sample(2)
        >>> samples.images.dtype
        dtype('uint8')
    """

    cells: int = 4
    flow: float = 0.04
    gain: float = 0.15
    bias: float = 0.05

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        expect_count("cells", self.cells)
        for name in ("flow", "gain", "bias"):
            expect_number(name, getattr(self, name), zero=True)

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw an image, and coarse grids of flow, gain and bias."""
        data = self.training_data
        grid = (self.cells, self.cells)
        return {
            "image": draw_member(data, labels, draws, "image"),
            "flow": self.flow * draws.normal("flow", 2, *grid),
            "gain": self.gain * draws.normal("gain", 1, *grid),
            "bias": self.bias * draws.normal("bias", 1, *grid),
        }

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Deform images, and scale and shift their brightness."""
        image = deform(self.base_images(plan), plan["flow"])
        height, width = image.shape[2:]
        gain = resize_field(plan["gain"], height, width).exp()
        return (image * gain + resize_field(plan["bias"], height, width)).clamp(0, 1)
