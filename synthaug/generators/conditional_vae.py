"""ConditionalVAE: the label conditions the decoder, the code holds what the label does not say.

An encoder gives q(z | x, y) = N(m(x, y), s(x, y)), a decoder the image dec(z, y); trained on

    2 |dec(z, y) - x| + 0.5 (1 - SSIM) + kl_weight * KL(q || p(z))

(Kingma and Welling 2014; Sohn 2015), p(z) = N(0, 1) or a normal distribution of each class. By
default samples are a *latent swap*: an image a of the class asked for keeps its own texture and
class and takes the code of an image b of any class,

    x = a + dec(m_a + t (m_b - m_a), y_a) - dec(m_a, y_a)

which breaks the chance correlations of light, background and pose with the class that few images
cannot avoid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.core import (
    Draws,
    InputError,
    Phase,
    Schedule,
    StepDraws,
    adam,
    expect_choice,
    expect_count,
    expect_number,
    expect_range,
    optimize,
)
from synthaug.data import LabelledImages
from synthaug.generators.latents import class_from_codes, draw_from_mixtures
from synthaug.generators.learning.losses import (
    RECONSTRUCTIONS,
    dependence,
    free_bits,
    kl_of_dimensions,
    reparametrize,
)
from synthaug.generators.learning.trained import Trained
from synthaug.generators.learning.training_set import TrainingSet
from synthaug.generators.networks.coders import (
    ConditionalDecoder,
    ConditionalEncoder,
    encoder_and_decoder,
)
from synthaug.generators.real_images import DONORS, donor_labels, draw_member
from synthaug.generators.registry import Variant, register


class Batch(NamedTuple):
    """Real images of a step.

    Attributes:
        images: (B, C, H, W) in [0, 1].
        labels: (B,).
        draws: Random numbers of the step.
        kl_weight: Weight of the divergence at that step.
    """

    images: Tensor
    labels: Tensor
    draws: StepDraws
    kl_weight: float


SAMPLINGS = ("nuisance-swap", "interpolate", "jitter", "mixture", "prior")
PRIORS = ("standard", "class")
EXTRAPOLATE: dict[str, Any] = {"sampling": "interpolate", "strength": (1.0, 1.5)}
"""Sampling beyond the codes of two images of one class."""


SAMPLING_VARIANTS: dict[str, Variant] = {
    "nuisance-swap": Variant(sampling={"sampling": "nuisance-swap"}),
    "interpolate": Variant(sampling={"sampling": "interpolate"}),
    "extrapolate": Variant(sampling=EXTRAPOLATE),
    "mixture": Variant(sampling={"sampling": "mixture"}),
}


@register(
    "vae",
    order=20,
    sources={"nuisance-swap": Variant(), "extrapolate": Variant(sampling=EXTRAPOLATE)},
    choices={
        "kl_weight": {weight: Variant({"kl_weight": weight}) for weight in (2e-3, 8e-3)},
        "vae sampling": SAMPLING_VARIANTS,
    },
)
@dataclass
class ConditionalVAE(Trained):
    """A VAE that codes what the label leaves open, and gives real images the codes of others.

    Args:
        steps: Optimiser steps.
        latent: Length of the code.
        sampling: "nuisance-swap" as above; "interpolate" decodes a point between the codes of two
            images of the wanted class; "jitter" decodes the code of a real image plus noise;
            "mixture" decodes a draw from a Gaussian mixture of the class's codes (Ghosh 2020);
            "prior" one from p(z). Like `donors` and `strength` it can be changed after fitting.
        donors: Whose code a latent swap takes: of "any" class that the network learned, or "within"
            the same.
        strength: T, drawn uniformly from this range: the share of the way from the first code to
            the second (above 1 it goes on beyond it), or the standard deviation of the noise of
            "jitter".
        kl_weight: Weight of KL(q || p), in nats an image. More of it makes a code that knows less
            about the class, which is better up to a point; the default is 40 times that of
            `TransferVAE`.
        kl_warmup: Share of the steps over which that weight rises from 0 (Bowman 2016).
        free_bits: Nats that each number of the code may say at no cost (Kingma 2016).
        prior: "standard", N(0, 1) for all; or "class", a normal distribution of each class,
            learned. Codes are then taken relative to it, so that a swap moves none of what makes
            the class.
        independence: Weight of a kernel measure of how the code depends on the class (HSIC, Gretton
            2005). The card says how well a probe reads the class from the codes, `class_from_code`.
        l1: Weight of a reconstruction's mean absolute error.
        mse: Weight of its mean squared error.
        bce: Weight of its binary cross-entropy.
        ssim: Weight of its 1 - SSIM.
        width: Channels at full size.
        batch_size: Images a step.
        learning_rate: Of Adam, at the start of a half cosine.
        scope: "shared", one network for all classes; or "per-class", one for each, trained at once.

    Raises:
        InputError: By `fit` and `sample`, for settings that make no sense.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114.
        Sohn et al., "Learning Structured Output Representation using Deep Conditional Generative
            Models", NeurIPS 2015.

    Examples:
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
    kl_warmup: float = 0.0
    free_bits: float = 0.0
    prior: str = "standard"
    independence: float = 0.0
    l1: float = 2.0
    mse: float = 0.0
    bce: float = 0.0
    ssim: float = 0.5
    width: int = 16
    batch_size: int = 64
    learning_rate: float = 2e-3

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        super().check_settings()
        for name in ("steps", "latent", "width"):
            expect_count(name, getattr(self, name))
        expect_count("batch_size", self.batch_size, least=2)  # batch norm needs two
        expect_choice("sampling", self.sampling, SAMPLINGS)
        expect_choice("donors", self.donors, DONORS)
        expect_choice("prior", self.prior, PRIORS)
        expect_range("strength", self.strength)
        for name in ("kl_weight", "kl_warmup", "free_bits", "independence", *RECONSTRUCTIONS):
            expect_number(name, getattr(self, name), zero=True)
        expect_number("learning_rate", self.learning_rate)
        if self.kl_warmup > 1:
            raise InputError(f"kl_warmup: expected a share of the steps, got {self.kl_warmup}")
        if not self.l1 + self.mse + self.bce + self.ssim:
            raise InputError("l1, mse, bce, ssim: expected at least one above 0, got 0 for all")
        if self.independence and self.scope == "per-class":
            raise InputError(
                "independence: a network that knows a single class has none to be independent of; "
                "expected 0 with scope='per-class'"
            )

    def _network(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        sizes = (image_shape, classes, self.latent, self.width)
        parts = {"encoder": ConditionalEncoder(*sizes), "decoder": ConditionalDecoder(*sizes)}
        if self.prior == "class":
            parts["prior"] = _ClassPrior(classes, self.latent)
        return nn.ModuleDict(parts)

    def _learn(self, module: nn.Module, training_set: TrainingSet) -> nn.Module:
        def loss(batch: Batch) -> Tensor:
            return self._reconstruct(module, batch, training_set.networks)[1]

        optimizer = adam(module.parameters(), self.learning_rate)
        return optimize(
            module,
            [Phase(self.name, optimizer, loss)],
            self._batches(training_set),
            Schedule(self.steps),
            training_set.session,
            networks=training_set.networks,
        )

    def _batches(self, training_set: TrainingSet) -> Callable[[int], Batch]:
        warmup = self.kl_warmup * self.steps

        def batches(step: int) -> Batch:
            draws = training_set.draws(step)
            places = training_set.any(draws, self.batch_size)
            (images,) = training_set.jitter_alike(draws, places)
            share = min(1.0, (step + 1) / warmup) if warmup else 1.0
            return Batch(images, training_set.labels(places), draws, share * self.kl_weight)

        return batches

    def _reconstruct(self, module: nn.Module, batch: Batch, networks: int) -> tuple[Tensor, Tensor]:
        """Return the batch as its codes give it, (B, C, H, W), and the loss above."""
        encoder, decoder = encoder_and_decoder(module)
        mean, log_variance = encoder(batch.images, batch.labels)
        codes = reparametrize(mean, log_variance, batch.draws)
        images = decoder(codes, batch.labels)
        kl = kl_of_dimensions(mean, log_variance, *_prior(module, batch.labels, self.latent))
        loss = batch.kl_weight * free_bits(kl, self.free_bits, networks)
        for name, differ in RECONSTRUCTIONS.items():
            if weight := getattr(self, name):
                loss = loss + weight * differ(images, batch.images)
        if self.independence:
            relative = self._relative(module, codes, batch.labels)  # what is swapped
            loss = loss + self.independence * dependence(relative, batch.labels)
        return images, loss

    @property
    def changes_images(self) -> bool:
        """Tell whether samples are decoded from codes of real images."""
        return self.sampling not in ("prior", "mixture")

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw an image and one to take the code of, or a code."""
        data = self.training_data
        plan = {"label": self._network_labels(labels)}
        if self.sampling == "prior":
            return {**plan, "z": draws.normal("z", self.latent)}
        if self.sampling == "mixture":
            return {**plan, "z": draw_from_mixtures(self._codes(data), data.labels, labels, draws)}
        low, high = self.strength
        plan |= {
            "image": draw_member(data, labels, draws, "image"),
            "strength": draws.uniform("strength", low=low, high=high),
        }
        if self.sampling == "jitter":
            return {**plan, "noise": draws.normal("noise", self.latent)}
        swap = self.sampling == "nuisance-swap"
        is_shared = swap and self.scope == "shared"
        lending = donor_labels(data, labels, draws, self.donors if is_shared else "within")
        donor = draw_member(data, lending, draws, "donor")
        return {**plan, "donor": donor, "donor label": self._network_labels(lending)}

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Decode codes, or what they change about an image."""
        label = plan["label"]
        if "z" in plan:
            return self._decode(network, plan["z"], label)
        image, strength = self.base_images(plan), plan["strength"][:, None]
        code = self._encode(network, image, label)
        if "noise" in plan:
            return self._decode(network, code + strength * plan["noise"], label)
        other = self._encode(network, self.real_images(plan["donor"]), plan["donor label"])
        decoded = self._decode(network, code + strength * (other - code), label)
        if self.sampling == "interpolate":
            return decoded
        return (image + decoded - self._decode(network, code, label)).clamp(0, 1)

    def _encode(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Return codes (B, Z) of images, relative to the prior of their class."""
        encoder, _ = encoder_and_decoder(network)
        mean, _ = encoder(images, labels)
        return self._relative(network, mean, labels)

    def _relative(self, network: nn.Module, codes: Tensor, labels: Tensor) -> Tensor:
        """Return codes (B, Z) relative to the prior of their class."""
        centre, log_variance = _prior(network, labels, self.latent)
        relative: Tensor = (codes - centre) / (0.5 * log_variance).exp()
        return relative

    def _decode(self, network: nn.Module, codes: Tensor, labels: Tensor) -> Tensor:
        """Return images of codes (B, Z) relative to the prior of the class."""
        _, decoder = encoder_and_decoder(network)
        centre, log_variance = _prior(network, labels, self.latent)
        images: Tensor = decoder(centre + codes * (0.5 * log_variance).exp(), labels)
        return images

    def _codes(self, data: LabelledImages) -> np.ndarray:
        """Return the codes (N, Z) of all real images."""
        codes = np.empty((len(data), self.latent), np.float32)
        network_labels = self._network_labels(data.labels)
        # As in `sample`: they do not depend on an autocast that this is called within.
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            for index, network in enumerate(self.networks):
                shared = len(self.networks) == 1
                rows = np.arange(len(data)) if shared else np.flatnonzero(data.labels == index)
                for part in np.array_split(rows, -(-len(rows) // 256)):
                    labels = torch.as_tensor(network_labels[part]).to(self._device)
                    images = self.real_images(torch.as_tensor(part))
                    codes[part] = self._encode(network, images, labels).cpu().numpy()
        return codes

    def _describe(self, data: LabelledImages) -> dict[str, Any]:
        if self.scope == "per-class":
            return {}
        return {"class_from_code": class_from_codes(self._codes(data), data.labels)}


class _ClassPrior(nn.Module):
    """Mean and log-variance of a normal distribution of each class, N(0, 1) at the start."""

    def __init__(self, classes: int, latent: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(classes, 2 * latent)
        nn.init.zeros_(self.embed.weight)

    def forward(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (B, Z) for labels (B,)."""
        mean, log_variance = self.embed(labels).float().chunk(2, 1)
        return mean, log_variance.clamp(-10, 5)


def _prior(module: nn.Module, labels: Tensor, latent: int) -> tuple[Tensor, Tensor]:
    """Return mean and log-variance (B, Z) of p(z) for labels (B,)."""
    assert isinstance(module, nn.ModuleDict)
    if "prior" in module:
        prior: tuple[Tensor, Tensor] = module["prior"](labels)
        return prior
    zero = torch.zeros(len(labels), latent, device=labels.device)
    return zero, zero
