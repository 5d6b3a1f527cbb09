"""Differentiable augmentation of what a discriminator judges, real and synthetic alike.

A discriminator that sees few images learns them by heart. Augmenting only the real ones would
teach the generator to make augmented images; augmenting both, differentiably, does not (Zhao et
al., "Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738). None of the
policies mirrors or rotates, so what makes a class stays.

Images are in [-1, 1]; zero, which fills what moves in or is cut out, is mid-grey.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from synthaug.core import InputError, StepDraws, expect_choice

SHIFT, CUT = 1 / 8, 1 / 2  # of the height and width


def diff_augment(images: Tensor, policies: Sequence[str], draws: StepDraws) -> Tensor:
    """Apply each of `policies` in turn to images (B, C, H, W), drawn anew for every image.

    >>> draws = StepDraws([torch.Generator().manual_seed(0)])
    >>> diff_augment(torch.zeros(2, 3, 8, 8), ["colour", "translation", "cutout"], draws).shape
    torch.Size([2, 3, 8, 8])
    """
    for name in policies:
        images = POLICIES[name](images, draws)
    return images


def colour(images: Tensor, draws: StepDraws) -> Tensor:
    """Change brightness by U(-0.5, 0.5), saturation times U(0, 2), contrast times U(0.5, 1.5)."""
    unit = draws.uniform(len(images), 3).T[:, :, None, None, None].to(images.device)
    images = images + unit[0] - 0.5
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * 2 * unit[1]
    middle = images.mean((1, 2, 3), keepdim=True)
    return middle + (images - middle) * (0.5 + unit[2])


def translation(images: Tensor, draws: StepDraws) -> Tensor:
    """Move images by whole pixels, up to an eighth of the size in each direction."""
    for axis in (2, 3):
        size = images.shape[axis]
        most = round(size * SHIFT)
        padding = (0, 0, most, most) if axis == 2 else (most, most, 0, 0)
        padded = F.pad(images, padding)
        first = draws.integers(len(images), 2 * most + 1).to(images.device)
        rows = first[:, None] + torch.arange(size, device=images.device)
        # gather rather than indexing: its gradient needs no slow accumulation.
        rows = rows[:, None, :, None] if axis == 2 else rows[:, None, None, :]
        images = padded.gather(axis, rows.expand_as(images))
    return images


def cutout(images: Tensor, draws: StepDraws) -> Tensor:
    """Zero a rectangle of half the height and width, whose centre falls anywhere in the image."""
    inside = []
    for axis in (2, 3):
        size = images.shape[axis]
        centre = draws.integers(len(images), size).to(images.device)
        start = centre[:, None] - round(size * CUT) // 2
        place = torch.arange(size, device=images.device)
        inside.append((place >= start) & (place < start + round(size * CUT)))
    cut = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images * ~cut


POLICIES: dict[str, Callable[[Tensor, StepDraws], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}


def check_policies(name: str, value: Any) -> None:
    """Raise `InputError` unless `value`, the setting `name`, is a tuple of policies.

    >>> check_policies("augment", ("colour", "cutout"))
    """
    if not isinstance(value, (tuple, list)):
        raise InputError(f"{name}: expected a tuple of names, got {value!r}")
    for policy in value:
        expect_choice(name, policy, POLICIES)
