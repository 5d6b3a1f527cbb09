"""CompositionGAN: parts of several real images of one class, put together in feature space.

An encoder f makes features of images, a decoder g images of features. Of K images of one class the
features are put together under a random partition m of the image into K smooth regions,

    h = sum_k m_k * f(x_k),    made = g(h),

so that a sample is new as a whole and anchored to real images in every part of it: the idea of
ChimeraMix (Reinders et al., IJCAI 2022), which mixes pairs. Trained on

    2 |g(f(x)) - x| + 0.5 (1 - SSIM)                  what is encoded can be decoded
    + consistency * |f(made) - h|                      the parts stay what they are
    - adversarial_weight * E d(T(made), y)             and the whole looks like one image

against a projection discriminator d under spectral normalisation, the hinge loss and
differentiable augmentation T, as `ConditionalGAN`'s.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.core import Draws, StepDraws, adam, expect_count, expect_number
from synthaug.generators.learning.adversary import Adversary, JudgedImages
from synthaug.generators.learning.diff_augment import check_policies
from synthaug.generators.learning.losses import structural_dissimilarity
from synthaug.generators.learning.trained import Trained
from synthaug.generators.learning.training_set import TrainingSet
from synthaug.generators.networks.coders import encoder_and_decoder, pyramid
from synthaug.generators.real_images import draw_member
from synthaug.generators.registry import register


class _Batch(NamedTuple):
    """Real images of a step.

    Attributes:
        images: K images of one class each, (B, K, C, H, W) in [0, 1].
        labels: (B,).
        noise: What parts them, (B, K, cells, cells).
        draws: Random numbers of the step.
    """

    images: Tensor
    labels: Tensor
    noise: Tensor
    draws: StepDraws


@register("composition", order=40)
@dataclass
class CompositionGAN(Trained):
    """A generator that puts together parts of real images of one class.

    Args:
        steps: Optimiser steps.
        sources: K, how many images a sample is made of.
        cells: The regions come from random numbers on a grid of so many cells a side; more of them
            make smaller parts. Like `sources` it can be changed after fitting.
        consistency: Weight of the L1 distance between the features of a sample and those that it
            was made of.
        adversarial_weight: Of the hinge loss.
        augment: What the discriminator's images go through, of "colour", "translation", "cutout".
        width: Channels at full size.
        batch_size: Samples a step, each of `sources` real images.
        learning_rate: Of the generator's Adam, at the start of a half cosine.
        discriminator_rate: Of the discriminator's, likewise.
        scope: "shared", one network for all classes; or "per-class", one for each, trained at once.

    Raises:
        InputError: By `fit` and `sample`, for settings that make no sense.

    References:
        Reinders et al., "ChimeraMix: Image Classification on Small Datasets via Masked Feature
            Mixing", IJCAI 2022, arXiv:2202.11616.

    Examples:
        >>> from synthaug import CompositionGAN, read_images
        >>> generator = CompositionGAN(steps=2).fit(read_images("digits"), device="cpu")
        >>> generator.sample(1, seed=3).labels.tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    steps: int = 1200
    sources: int = 2
    cells: int = 3
    consistency: float = 0.5
    adversarial_weight: float = 0.05
    augment: tuple[str, ...] = ("colour", "translation")
    width: int = 16
    batch_size: int = 32
    learning_rate: float = 2e-3
    discriminator_rate: float = 1e-3

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        super().check_settings()
        for name in ("steps", "cells", "width"):
            expect_count(name, getattr(self, name))
        for name in ("sources", "batch_size"):  # a batch of one has no batch norm
            expect_count(name, getattr(self, name), least=2)
        for name in ("consistency", "adversarial_weight"):
            expect_number(name, getattr(self, name), zero=True)
        for name in ("learning_rate", "discriminator_rate"):
            expect_number(name, getattr(self, name))
        check_policies("augment", self.augment)

    def _network(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return nn.ModuleDict(
            {
                "encoder": _Encoder(image_shape, self.width),
                "decoder": _Decoder(image_shape, self.width),
            }
        )

    def _learn(self, module: nn.Module, training_set: TrainingSet) -> nn.Module:
        encoder, decoder = encoder_and_decoder(module)
        adversary = Adversary.plain(
            training_set,
            width=self.width,
            rate=self.discriminator_rate,
            steps=self.steps,
            augment=self.augment,
        )

        def batches(step: int) -> _Batch:
            draws = training_set.draws(step)
            places = [training_set.any(draws, self.batch_size)]
            for _ in range(self.sources - 1):
                places.append(training_set.another(draws, places[-1]))
            images = torch.stack(training_set.jitter_alike(draws, *places), 1)
            noise = draws.normal(len(images), self.sources, self.cells, self.cells)
            labels = training_set.labels(places[0])
            return _Batch(images, labels, noise.to(images.device), draws)

        def show(batch: _Batch) -> tuple[JudgedImages, JudgedImages]:
            images = decoder(compose(encoder, batch.images, batch.noise))
            return JudgedImages(batch.images[:, 0], batch.labels), JudgedImages(
                images, batch.labels
            )

        def loss(batch: _Batch) -> Tensor:
            first = batch.images[:, 0]
            reconstruction = decoder(encoder(first))
            composed = compose(encoder, batch.images, batch.noise)
            images = decoder(composed)
            total: Tensor = (
                2 * (reconstruction - first).abs().mean()
                + 0.5 * structural_dissimilarity(reconstruction, first)
                + self.consistency * (encoder(images) - composed.detach()).abs().mean()
                + self.adversarial_weight
                * adversary.generator_loss(JudgedImages(images, batch.labels), batch.draws)
            )
            return total

        optimizer = adam(module.parameters(), self.learning_rate)
        return adversary.train(module, optimizer, batches, show=show, loss=loss)

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw images of one class, and noise that parts them."""
        data = self.training_data
        places = [
            draw_member(data, labels, draws, f"source {index}") for index in range(self.sources)
        ]
        noise = draws.normal("regions", self.sources, self.cells, self.cells)
        return {"images": np.stack(places, axis=1), "noise": noise}

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Put features of images together and decode them."""
        data, (encoder, decoder) = self.training_data, encoder_and_decoder(network)
        places = plan["images"]
        images = self.real_images(places.flatten()).view(*places.shape, *data.image_shape)
        decoded: Tensor = decoder(compose(encoder, images, plan["noise"]))
        return decoded


def regions(noise: Tensor, size: tuple[int, int]) -> Tensor:
    """Partition images into smooth regions.

    Args:
        noise: (B, K, cells, cells), brought to `size` bilinearly; the largest number has the place.
        size: Height and width.

    Returns:
        Zeros and ones, one of each K, float (B, K, h, w).

    >>> regions(torch.randn(2, 3, 4, 4), (7, 9)).sum(1).unique().tolist()
    [1.0]
    """
    smooth = F.interpolate(noise, size, mode="bilinear", align_corners=False)
    return F.one_hot(smooth.argmax(1), noise.shape[1]).permute(0, 3, 1, 2).float()


def compose(encoder: nn.Module, images: Tensor, noise: Tensor) -> Tensor:
    """Return the features (B, D, h, w) of images (B, K, C, H, W) under a random partition."""
    features = encoder(images.flatten(0, 1)).unflatten(0, images.shape[:2])
    masks = regions(noise, tuple(features.shape[-2:]))
    composed: Tensor = (features * masks[:, :, None].to(features.dtype)).sum(1)
    return composed


def _levels(image_shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Return sizes from the image to the features: a quarter of it, or a half where it is small."""
    _, height, width = image_shape
    return pyramid(height, width)[: 3 if min(height, width) >= 16 else 2]


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        added: Tensor = hidden + self.layers(hidden)
        return added


class _Encoder(nn.Sequential):
    """An encoder of images (B, C, H, W) in [0, 1] to features of a quarter of their size.

    Of images below 16 pixels they have half the size.
    """

    def __init__(self, image_shape: tuple[int, int, int], width: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(image_shape[0], width, 3, padding=1)]
        for _ in _levels(image_shape)[1:]:
            layers += [nn.LeakyReLU(0.2), nn.Conv2d(width, 2 * width, 3, 2, 1)]
            width *= 2
        super().__init__(*layers, _Block(width))


def _up(below: int, above: int) -> nn.Module:
    convolution = nn.Conv2d(below, above, 3, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(above), nn.LeakyReLU(0.2))


class _Decoder(nn.Module):
    """A decoder of features to images (B, C, H, W) in [0, 1]."""

    def __init__(self, image_shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        self.sizes = _levels(image_shape)[-2::-1]
        widths = [width << level for level in range(len(self.sizes) + 1)][::-1]
        self.first = _Block(widths[0])
        self.ups = nn.ModuleList(_up(below, above) for below, above in pairwise(widths))
        self.last = nn.Conv2d(width, image_shape[0], 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.first(features)
        for up, size in zip(self.ups, self.sizes, strict=True):
            hidden = up(F.interpolate(hidden, size, mode="nearest"))
        images: Tensor = self.last(hidden).float().sigmoid()
        return images
