"""ConditionalVAE: the label conditions the decoder, the code holds what the label does not say.

An encoder gives q(z | x, y) = N(m(x, y), s(x, y)), a decoder the image dec(z, y); trained on

    2 |dec(z, y) - x| + 0.5 (1 - SSIM) + kl_weight * KL(q || N(0, 1))

(Kingma and Welling 2014; Sohn 2015). Samples start from real images, never from the prior, whose
images proved useless for training classifiers. By default the *nuisance swap*: an image a of the
wanted class keeps its own texture and class and takes the code of an image b of any class,

    x = a + dec(m_a + t (m_b - m_a), y_a) - dec(m_a, y_a)

which breaks the chance correlations of light, background and pose with the class that few images
cannot avoid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.generators.anchors import DONORS, donor_labels, draw_member
from synthaug.generators.base import Trained
from synthaug.generators.losses import (
    kl_to_standard_normal,
    reparametrize,
    structural_dissimilarity,
)
from synthaug.generators.networks import ConditionalDecoder, ConditionalEncoder, parts_of
from synthaug.generators.settings import (
    expect_choice,
    expect_count,
    expect_number,
    expect_range,
)
from synthaug.generators.training_set import TrainingSet
from synthaug.seeding import Draws, StepDraws
from synthaug.training import Phase, Schedule, optimize


class Batch(NamedTuple):
    """Real images (B, C, H, W) in [0, 1], their labels (B,), and the step's random numbers."""

    images: Tensor
    labels: Tensor
    draws: StepDraws


SAMPLINGS = ("nuisance-swap", "interpolate", "jitter")


@dataclass
class ConditionalVAE(Trained):
    """Codes what the label leaves open, and gives real images the codes of others.

    steps: optimiser steps.
    latent: length of the code.
    sampling: "nuisance-swap" as above; "interpolate" decodes a point between the codes of two
        images of the wanted class; "jitter" decodes the code of a real image plus noise. Like
        `donors` and `strength` it can be changed after fitting.
    donors: whose code a nuisance swap takes: "any" class's that the network knows, or "within" the
        same.
    strength: t, drawn uniformly from this range: the share of the way from the first code to the
        second, or the standard deviation of the noise of "jitter".
    kl_weight: weight of KL(q || N(0, 1)), in nats an image, against 2 * L1 + 0.5 * (1 - SSIM).
        More of it makes a code that knows less about the class, which is better up to a point;
        the default is 40 times that of `TransferVAE`.
    width: channels at full size.
    batch_size: images a step.
    learning_rate: of Adam, at the start of a half cosine.

    >>> from synthaug import ConditionalVAE, read_images
    >>> generator = ConditionalVAE(steps=2).fit(read_images("digits"), device="cpu")
    >>> generator.sample(1, seed=3).labels.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    steps: int = 1200
    latent: int = 32
    sampling: str = "nuisance-swap"
    donors: str = "any"
    strength: tuple[float, float] = (0.5, 1.0)
    kl_weight: float = 8e-3
    width: int = 16
    batch_size: int = 64
    learning_rate: float = 2e-3

    def _check_settings(self) -> None:
        super()._check_settings()
        for name in ("steps", "latent", "width"):
            expect_count(name, getattr(self, name))
        expect_count("batch_size", self.batch_size, least=2)  # batch norm needs two
        expect_choice("sampling", self.sampling, SAMPLINGS)
        expect_choice("donors", self.donors, DONORS)
        expect_range("strength", self.strength)
        expect_number("kl_weight", self.kl_weight, zero=True)
        expect_number("learning_rate", self.learning_rate)

    def _build(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        sizes = (image_shape, classes, self.latent, self.width)
        return nn.ModuleDict(
            {"encoder": ConditionalEncoder(*sizes), "decoder": ConditionalDecoder(*sizes)}
        )

    def _learn(self, module: nn.Module, lessons: TrainingSet) -> nn.Module:
        def loss(batch: Batch) -> Tensor:
            return self._reconstruct(module, batch)[1]

        optimizer = torch.optim.Adam(module.parameters(), lr=self.learning_rate)
        return optimize(
            module,
            [Phase("ConditionalVAE", optimizer, loss)],
            self._batches(lessons),
            Schedule(self.steps),
            lessons.run,
            networks=lessons.networks,
        )

    def _batches(self, lessons: TrainingSet) -> Callable[[int], Batch]:
        def batches(step: int) -> Batch:
            draws = lessons.draws(step)
            chosen = lessons.any(draws, self.batch_size)
            (shown,) = lessons.jittered(draws, chosen)
            return Batch(shown, lessons.labels(chosen), draws)

        return batches

    def _reconstruct(self, module: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The batch from its codes, (B, C, H, W), and the loss above."""
        encoder, decoder = parts_of(module)
        mean, log_variance = encoder(batch.images, batch.labels)
        made = decoder(reparametrize(mean, log_variance, batch.draws), batch.labels)
        loss: Tensor = (
            2 * (made - batch.images).abs().mean()
            + 0.5 * structural_dissimilarity(made, batch.images)
            + self.kl_weight * kl_to_standard_normal(mean, log_variance)
        )
        return made, loss

    def _plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        data = self._fitted()
        low, high = self.strength
        plan = {
            "label": self._known_as(labels),
            "image": draw_member(data, labels, draws, "image"),
            "strength": draws.uniform("strength", low=low, high=high),
        }
        if self.sampling == "jitter":
            return {**plan, "noise": draws.normal("noise", self.latent)}
        swap = self.sampling == "nuisance-swap"
        shared = swap and self.scope == "shared"
        lending = donor_labels(data, labels, draws, self.donors if shared else "within")
        donor = draw_member(data, lending, draws, "donor")
        return {**plan, "donor": donor, "donor label": self._known_as(lending)}

    def _render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        encoder, decoder = parts_of(network)
        image, label = self._real(plan["image"]), plan["label"]
        strength = plan["strength"][:, None]
        code, _ = encoder(image, label)
        made: Tensor
        if "noise" in plan:
            made = decoder(code + strength * plan["noise"], label)
            return made
        other, _ = encoder(self._real(plan["donor"]), plan["donor label"])
        made = decoder(code + strength * (other - code), label)
        if self.sampling == "interpolate":
            return made
        made = image + made - decoder(code, label)
        return made.clamp(0, 1)
