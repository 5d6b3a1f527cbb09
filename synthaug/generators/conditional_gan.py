"""ConditionalGAN: images of a class from noise, judged by a discriminator that sees few images.

A generator g(z, y) with conditional batch norm against a discriminator d under spectral
normalisation (Miyato 2018), by default with projection (Miyato and Koyama 2018) and the hinge loss
(Lim and Ye 2017),

    discriminator: E max(0, 1 - d(T(x), T(x'), y)) + E max(0, 1 + d(T(g(z, y)), T(g(z', y)), y))
    generator:   - E d(T(g(z, y)), T(g(z', y)), y)

It judges pairs of images of one class (PacGAN, Lin 2018): on few images conditioning alone makes
every image of a class the same one, and a pair of equals gives itself away. T is differentiable
augmentation (Zhao 2020), in both losses and on both kinds of image, of no more images than it takes
to keep the discriminator from learning a small set by heart (Karras 2020). The two learning rates
differ (Heusel 2017), and samples come from the moving average of the generator with its statistics
fixed. A saved one holds no images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.core import (
    Draws,
    InputError,
    StepDraws,
    Team,
    adam,
    expect_choice,
    expect_count,
    expect_flag,
    expect_number,
    expect_range,
)
from synthaug.generators.learning.adversarial_losses import LOSSES, mode_seeking
from synthaug.generators.learning.adversary import Adversary, JudgedImages
from synthaug.generators.learning.diff_augment import check_policies
from synthaug.generators.learning.trained import Trained
from synthaug.generators.learning.training_set import TrainingSet
from synthaug.generators.networks.coders import ConditionalDecoder, ResidualDecoder
from synthaug.generators.networks.discriminators import BACKBONES, CONDITIONINGS, Discriminator
from synthaug.generators.registry import register

DECODERS: dict[str, Callable[..., nn.Module]] = {
    "plain": ConditionalDecoder,
    "residual": ResidualDecoder,
}


class _Batch(NamedTuple):
    """Real images of a step.

    Attributes:
        real: (B, C, H, W) in [0, 1], two and two of one class.
        labels: (B,).
        strength: Of the conditioning on the class, 0 to 1, (B,).
        draws: Random numbers of the step.
    """

    real: Tensor
    labels: Tensor
    strength: Tensor
    draws: StepDraws


@register("gan", order=50)
@dataclass
class ConditionalGAN(Trained):
    """A generator of images of a class from noise.

    Args:
        steps: Updates of the discriminator, and of the generator.
        latent: Length of the noise z.
        backbone: "plain" as DCGAN's (Radford 2016), or "residual"; both from 8 to 256 pixels.
        attention: A self-attention layer in both networks (SAGAN, Zhang 2019).
        conditioning: How the discriminator is told the class: "projection"; "concatenation" of its
            embedding with the features; or "auxiliary": it is not told but says it (AC-GAN, Odena
            2017).
        loss: "hinge"; "bce", the non-saturating one (Goodfellow 2014); "least-squares" (Mao 2017);
            or "wasserstein" with a penalty on the gradient between images (Gulrajani 2017).
        pack: How many images of one class the discriminator judges together, 1 or 2.
        augment: What the discriminator's images go through, of "colour", "translation", "cutout".
            None changes the label. Cutout is off: its holes turn up in the samples.
        certainty: Adaptive augmentation (ADA, Karras 2020): as many images are augmented as keep E
            sign(d(real)) here, and none as long as it is lower; None augments all, which costs
            samples of few images much of their variety.
        late: Shares of the run between which the class is faded in, such as (0.25, 0.5); before,
            the networks are not told it (transitional training, Shahbazi 2022). (0, 0) tells it at
            once.
        diversity: Weight of the mode-seeking loss (Mao 2019).
        codes: How many numbers of z the discriminator has to read from images (InfoGAN, Chen 2016),
            so that each of them shows.
        code_weight: Of their mean squared error.
        r1: Weight of the penalty on the gradient at real images (Mescheder 2018).
        width: Channels at full size, of both networks.
        batch_size: Real images a step, every class equally often, and as many synthetic ones; even.
        generator_rate: Learning rate of the generator's Adam (betas 0 and 0.99), at the start of a
            half cosine.
        discriminator_rate: That of the discriminator's, likewise.
        clip: Largest norm of a network's gradient.
        ema: Share of the moving average that stays at each step; less in a run that would be over
            before it forgets its beginning, 1 - 10 / (steps + 10).
        scope: "shared", one network for all classes; or "per-class", one for each, trained at once.

    Raises:
        InputError: By `fit` and `sample`, for settings that make no sense.

    References:
        Miyato and Koyama, "cGANs with Projection Discriminator", arXiv:1802.05637.
        Karras et al., "Training Generative Adversarial Networks with Limited Data",
            arXiv:2006.06676.
        Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training",
            arXiv:2006.10738.
        Lin et al., "PacGAN: The power of two samples in generative adversarial networks",
            arXiv:1712.04086.

    Examples:
        >>> from synthaug import ConditionalGAN, read_images
        >>> generator = ConditionalGAN(steps=2).fit(read_images("digits"), device="cpu")
        >>> generator.sample(1, seed=3).images.dtype
        dtype('uint8')
    """

    keeps_images = False

    steps: int = 1500
    latent: int = 64
    backbone: str = "plain"
    attention: bool = False
    conditioning: str = "projection"
    loss: str = "hinge"
    pack: int = 2
    augment: tuple[str, ...] = ("colour", "translation")
    certainty: float | None = 0.6
    late: tuple[float, float] = (0.0, 0.0)
    diversity: float = 0.0
    codes: int = 0
    code_weight: float = 0.1
    r1: float = 0.0
    width: int = 16
    batch_size: int = 32
    generator_rate: float = 1e-3
    discriminator_rate: float = 2e-3
    clip: float = 5.0
    ema: float = 0.998

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        super().check_settings()
        for name in ("steps", "latent", "width"):
            expect_count(name, getattr(self, name))
        expect_count("batch_size", self.batch_size)
        if self.batch_size < 4 or self.batch_size % 2:
            raise InputError(
                f"batch_size: expected an even number of at least 4, got {self.batch_size}"
            )
        expect_choice("backbone", self.backbone, BACKBONES)
        expect_choice("conditioning", self.conditioning, CONDITIONINGS)
        expect_choice("loss", self.loss, LOSSES)
        expect_flag("attention", self.attention)
        if not isinstance(self.pack, int) or self.pack not in (1, 2):
            raise InputError(f"pack: expected 1 or 2, got {self.pack!r}")
        check_policies("augment", self.augment)
        self._check_certainty()
        expect_range("late", self.late)
        if self.late[1] > 1:
            raise InputError(f"late: expected shares of the run, at most 1, got {self.late!r}")
        expect_count("codes", self.codes, least=0)
        if self.codes > self.latent:
            raise InputError(f"codes: expected at most latent, {self.latent}, got {self.codes}")
        for name in ("diversity", "code_weight", "r1"):
            expect_number(name, getattr(self, name), zero=True)
        for name in ("generator_rate", "discriminator_rate", "clip"):
            expect_number(name, getattr(self, name))
        expect_number("ema", self.ema, zero=True)
        if self.ema >= 1:
            raise InputError(f"ema: expected a number below 1, got {self.ema}")

    def _check_certainty(self) -> None:
        if self.certainty is None:
            return
        expect_number("certainty", self.certainty)
        if self.certainty >= 1 or not self.augment or LOSSES[self.loss].even is None:
            raise InputError(
                "certainty: expected a number below 1, an augmentation to adapt, and a loss other "
                f"than wasserstein, whose logits have no middle, or None; got {self.certainty}, "
                f"augment={self.augment!r} and loss={self.loss!r}"
            )

    def _check_share(self, team: Team) -> None:
        super()._check_share(team)
        if self.batch_size // team.size % 2:  # a batch is pairs of one class
            raise InputError(
                f"batch_size: expected an even number of images for each of the {team.size} "
                f"processes, got {self.batch_size}"
            )

    def _network(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return DECODERS[self.backbone](
            image_shape, classes, self.latent, self.width, self.attention
        )

    def _discriminator(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        channels, height, width = image_shape
        return Discriminator(
            (self.pack * channels, height, width),
            classes,
            self.width,
            conditioning=self.conditioning,
            backbone=self.backbone,
            attention=self.attention,
            codes=self.codes * self.pack,
        )

    def _learn(self, module: nn.Module, training_set: TrainingSet) -> nn.Module:
        shape = training_set.image_shape
        adversary = Adversary(
            training_set.build(
                "discriminator", lambda classes: self._discriminator(shape, len(classes))
            ),
            training_set,
            rate=self.discriminator_rate,
            steps=self.steps,
            augment=self.augment,
            target=self.certainty,
            loss=self.loss,
            pack=self.pack,
            r1=self.r1,
            interpolation=10.0 if self.loss == "wasserstein" else 0.0,
            code_weight=self.code_weight,
        )

        def batches(step: int) -> _Batch:
            draws = training_set.draws(step)
            first = training_set.draw_balanced(draws, self.batch_size // 2)
            places = torch.stack([first, training_set.another(draws, first)], 1).flatten()
            strength = torch.full(
                (len(places),), self._strength(step), device=training_set.session.device
            )
            return _Batch(training_set.images(places), training_set.labels(places), strength, draws)

        def generate(batch: _Batch) -> JudgedImages:
            noise = batch.draws.normal(len(batch.labels), self.latent).to(batch.real.device)
            images = module(noise, batch.labels, batch.strength)
            return JudgedImages(images, batch.labels, batch.strength, noise)

        def show(batch: _Batch) -> tuple[JudgedImages, JudgedImages]:
            return JudgedImages(batch.real, batch.labels, batch.strength), generate(batch)

        def generator_loss(batch: _Batch) -> Tensor:
            synthetic = generate(batch)
            loss = adversary.generator_loss(synthetic, batch.draws)
            if self.diversity and synthetic.noise is not None:
                loss = loss + self.diversity * mode_seeking(synthetic.images, synthetic.noise)
            return loss

        optimizer = adam(module.parameters(), self.generator_rate, betas=(0.0, 0.99))
        average = adversary.train(
            module,
            optimizer,
            batches,
            show=show,
            loss=generator_loss,
            ema_decay=self.ema,
            clip=self.clip,
        )
        training_set.notes["certainty"] = adversary.certainty
        return average

    @property
    def _judged_after(self) -> float:
        return self.late[1]

    def _strength(self, step: int) -> float:
        """Return the conditioning's strength: 0, rising linearly between the shares, then 1."""
        start, end = (share * self.steps for share in self.late)
        if step >= end:
            return 1.0
        return 0.0 if step <= start else (step - start) / (end - start)

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw noise."""
        return {"label": self._network_labels(labels), "z": draws.normal("z", self.latent)}

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Make images of noise and labels."""
        images: Tensor = network(plan["z"], plan["label"])
        return images
