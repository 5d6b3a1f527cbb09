"""TransferVAE: a conditional VAE of the difference between two images of one class.

The encoder sees a pair (a, b); the latent z ~ N(m(a, b), s(a, b)) says how b differs from a; the
decoder applies z to a as a smooth flow f, log-gain g and bias h:

    b ~ warp(a, f) * exp(g) + h

Sampling takes z from a real pair of *any* class (or of the same one) and applies it to a real
image of the class asked for, which keeps its label. How the images of a data set vary (light, blur,
pose, scanner) is so learned from all classes together, which no class of ten images can show
alone. Relatives: DAGAN (Antoniou 2017), Delta-encoder (Schwartz 2018), learned transformations
for one-shot segmentation (Zhao 2019).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.core import (
    Draws,
    Phase,
    Schedule,
    StepDraws,
    adam,
    deform,
    expect_choice,
    expect_count,
    expect_flag,
    expect_number,
    expect_range,
    optimize,
    resize_field,
)
from synthaug.generators.learning.losses import (
    kl_to_standard_normal,
    reparametrize,
    squared_variation,
    structural_dissimilarity,
)
from synthaug.generators.learning.trained import Trained
from synthaug.generators.learning.training_set import TrainingSet
from synthaug.generators.networks.coders import encoder_and_decoder
from synthaug.generators.real_images import DONORS, donor_labels, draw_member
from synthaug.generators.registry import Variant, register

SAMPLINGS = ("pairs", "prior")
FLOW, LOG_GAIN, BIAS = 0.6, 1.5, 0.5  # the largest change that a decoder can ask for


@register(
    "transfer",
    order=10,
    sources={
        "transfer-any": Variant(sampling={"donors": "any"}),
        "transfer-within": Variant(sampling={"donors": "within"}),
    },
    choices={
        "transfer donors": {
            donors: Variant(sampling={"donors": donors}) for donors in ("any", "within")
        }
    },
)
@dataclass
class TransferVAE(Trained):
    """A VAE of how images of one class differ, which applies such differences to real images.

    Args:
        steps: Optimiser steps.
        latent: Length of the code of a difference.
        sampling: "pairs" takes differences from real pairs, "prior" from N(0, 1), which they were
            kept near. Like the next four it can be changed after fitting.
        donors: "any" takes differences from pairs of any class that it learned from, "within" of
            the same class.
        strength: A difference is scaled by a uniform draw from this range.
        apart: Draw a strength for each of deformation, gain and bias, not one for all.
        chain: How many differences are applied one after another.
        batch_size: Pairs a step.
        learning_rate: Of Adam, at the start of a half cosine.
        kl_weight: Weight of the KL term against 2 * L1 + 0.5 * (1 - SSIM).
        smoothness: Weight of the flow's squared variation.
        scope: "shared", one network for all classes; or "per-class", one for each, trained at once.

    Raises:
        InputError: By `fit` and `sample`, for settings that make no sense.

    References:
        Antoniou et al., "Data Augmentation Generative Adversarial Networks", arXiv:1711.04340.
        Schwartz et al., "Delta-encoder: an effective sample synthesis method for few-shot object
            recognition", arXiv:1806.04734.
        Zhao et al., "Data augmentation using learned transformations for one-shot medical image
            segmentation", arXiv:1902.09383.

    Examples:
        >>> from synthaug import TransferVAE, read_images
        >>> generator = TransferVAE(steps=2).fit(read_images("digits"), device="cpu")
        >>> generator.sample(1, seed=3).labels.tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    changes_images = True

    steps: int = 1200
    latent: int = 16
    sampling: str = "pairs"
    donors: str = "any"
    strength: tuple[float, float] = (0.4, 1.1)
    apart: bool = False
    chain: int = 1
    batch_size: int = 64
    learning_rate: float = 2e-3
    kl_weight: float = 2e-4
    smoothness: float = 5.0

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        super().check_settings()
        expect_count("batch_size", self.batch_size, least=2)  # batch norm needs two
        for name in ("steps", "latent", "chain"):
            expect_count(name, getattr(self, name))
        expect_choice("sampling", self.sampling, SAMPLINGS)
        expect_choice("donors", self.donors, DONORS)
        expect_range("strength", self.strength)
        expect_flag("apart", self.apart)
        expect_number("learning_rate", self.learning_rate)
        for name in ("kl_weight", "smoothness"):
            expect_number(name, getattr(self, name), zero=True)

    def _network(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        shape = _Shape.of(image_shape)
        return nn.ModuleDict(
            {"encoder": _Encoder(shape, self.latent), "decoder": _Decoder(shape, self.latent)}
        )

    def _learn(self, module: nn.Module, training_set: TrainingSet) -> nn.Module:
        encoder, decoder = encoder_and_decoder(module)

        def pairs(step: int) -> _Pairs:
            draws = training_set.draws(step)
            first = training_set.any(draws, self.batch_size)
            second = training_set.another(draws, first)
            a, b = training_set.jitter_alike(draws, first, second)
            return _Pairs(a, b, draws)

        def loss(batch: _Pairs) -> Tensor:
            a, b, draws = batch
            mean, log_variance = encoder(a, b)
            flow, gain, bias = decoder(a, reparametrize(mean, log_variance, draws))
            result = apply_difference(a, flow, gain, bias)
            return (
                2 * (result - b).abs().mean()
                + 0.5 * structural_dissimilarity(result, b)
                + self.smoothness * squared_variation(flow)
                + self.kl_weight * kl_to_standard_normal(mean, log_variance)
            )

        optimizer = adam(module.parameters(), self.learning_rate)
        return optimize(
            module,
            [Phase(self.name, optimizer, loss)],
            pairs,
            Schedule(self.steps),
            training_set.session,
            networks=training_set.networks,
        )

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw an image, and pairs of images or codes that say how to change it."""
        data, (low, high) = self.training_data, self.strength
        plan = {"image": draw_member(data, labels, draws, "image")}
        lending = donor_labels(
            data, labels, draws, self.donors if self.scope == "shared" else "within"
        )
        maps = (3,) if self.apart else ()
        for link in _links(self.chain):
            if self.sampling == "pairs":
                for end in ("from", "to"):
                    plan[end + link] = draw_member(data, lending, draws, end + link)
            else:
                plan["z" + link] = draws.normal("z" + link, self.latent)
            strength = draws.uniform("strength" + link, *maps, low=low, high=high)
            plan["strength" + link] = strength
        return plan

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Apply coded differences to images, one after another."""
        encoder, decoder = encoder_and_decoder(network)
        image = self.base_images(plan)
        for link in _links(self.chain):
            if self.sampling == "pairs":
                z, _ = encoder(
                    self.real_images(plan["from" + link]), self.real_images(plan["to" + link])
                )
            else:
                z = plan["z" + link]
            strengths = plan["strength" + link].view(len(image), -1).expand(-1, 3)
            scales = strengths[:, :, None, None, None].unbind(1)
            fields = zip(scales, decoder(image, z), strict=True)
            image = apply_difference(image, *(scale * field for scale, field in fields)).clamp(0, 1)
        return image


def _links(chain: int) -> list[str]:
    """Return the suffix of the names of the draws of each chained difference."""
    return ["", *(f" {index}" for index in range(1, chain))]


def apply_difference(images: Tensor, flow: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Return warp(images, flow) * exp(gain) + bias, the fields coarse grids (B, 2 or C, h, w)."""
    height, width = images.shape[2:]
    return deform(images, flow) * resize_field(gain, height, width).exp() + resize_field(
        bias, height, width
    )


class _Pairs(NamedTuple):
    """Two images of one class each, (B, C, H, W), and the step's random numbers."""

    a: Tensor
    b: Tensor
    draws: StepDraws


class _Shape(NamedTuple):
    """Channels of an image, and how it is brought to a coarse grid of at most 8 cells a side."""

    channels: int
    halvings: int
    grid: tuple[int, int]

    @classmethod
    def of(cls, image_shape: tuple[int, int, int]) -> "_Shape":
        channels, height, width = image_shape
        halvings = max(2, math.ceil(math.log2(min(height, width) / 8)))
        return cls(channels, halvings, (min(8, height >> halvings), min(8, width >> halvings)))


class _Encoder(nn.Module):
    def __init__(self, shape: _Shape, latent: int) -> None:
        super().__init__()
        self.pair = nn.Sequential(
            _down(2 * shape.channels, shape.halvings), nn.AdaptiveAvgPool2d(shape.grid)
        )
        cells = shape.grid[0] * shape.grid[1]
        self.code = nn.Sequential(nn.Linear(64 * cells, 128), nn.LeakyReLU(0.2))
        self.mean, self.log_variance = nn.Linear(128, latent), nn.Linear(128, latent)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (B, Z) of the code of how `b` differs from `a`."""
        hidden = self.code(self.pair(torch.cat([a, b], 1) - 0.5).flatten(1))
        return self.mean(hidden).float(), self.log_variance(hidden).float().clamp(-10, 5)


class _Decoder(nn.Module):
    def __init__(self, shape: _Shape, latent: int) -> None:
        super().__init__()
        channels = shape.channels
        self.image = _down(channels, shape.halvings)
        self.mix = nn.Sequential(
            nn.Conv2d(64 + latent, 64, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.LeakyReLU(0.2),
        )
        # Zero weights: an untrained decoder changes nothing.
        self.head = nn.Conv2d(64, 2 + 2 * channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        self.channels = channels

    def forward(self, a: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return flow (B, 2, h, w), log-gain and bias (B, C, h, w) that apply `z` to `a`."""
        features = self.image(a - 0.5)
        spread = z[:, :, None, None].expand(-1, -1, *features.shape[2:])
        fields = self.head(self.mix(torch.cat([features, spread.to(features.dtype)], 1))).float()
        flow, gain, bias = fields.tanh().split([2, self.channels, self.channels], dim=1)
        return FLOW * flow, LOG_GAIN * gain, BIAS * bias


def _down(channels: int, halvings: int) -> nn.Sequential:
    """Build strided convolutions to 64 channels, the size halved `halvings` times."""
    layers: list[nn.Module] = []
    for index in range(halvings):
        width = 64 if index == halvings - 1 else 32
        layers += [nn.Conv2d(channels, width, 4, 2, 1), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
        channels = width
    return nn.Sequential(*layers)
