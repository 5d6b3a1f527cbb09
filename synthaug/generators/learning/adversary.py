"""The discriminator that a family trains beside itself, in a phase of its own."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.core import ALONE, Phase, Schedule, StepDraws, Team, adam, optimize
from synthaug.generators.learning.adversarial_losses import (
    LOSSES,
    AdversarialLoss,
    interpolation_penalty,
    r1_penalty,
)
from synthaug.generators.learning.diff_augment import diff_augment
from synthaug.generators.learning.training_set import TrainingSet
from synthaug.generators.networks.discriminators import Discriminator

MEMORY = 0.99  # of the running mean of what it makes of real images
RISE = 0.25  # share of a run in which adaptive augmentation can go from never to always


class JudgedImages(NamedTuple):
    """Images for the discriminator.

    Attributes:
        images: (B, C, H, W) in [0, 1].
        labels: Classes that they are to be judged as, (B,).
        strength: Of the conditioning on those classes, 0 to 1, (B,); 1 where there is none.
        noise: What images were made of, (B, Z).
    """

    images: Tensor
    labels: Tensor
    strength: Tensor | None = None
    noise: Tensor | None = None


class DiscriminatorAugmentation(nn.Module):
    """Differentiable augmentation of all that a discriminator judges, and how certain it is.

    Its certainty is E sign(d(real)), a sign of overfitting: 0 for chance and 1 for by heart.

    Args:
        policies: Of "colour", "translation", "cutout".
        target: The certainty to keep by changing the share of images that each policy is applied
            to, from 0 on (ADA); None applies all policies to all images.
        networks: How many discriminators lie side by side.

    References:
        Karras et al., "Training Generative Adversarial Networks with Limited Data",
            arXiv:2006.06676.
    """

    certainty: Tensor
    share: Tensor

    def __init__(self, policies: Sequence[str], target: float | None, networks: int) -> None:
        super().__init__()
        self._policies, self._target = policies, target
        self.register_buffer("certainty", torch.zeros(networks))
        self.register_buffer("share", torch.full((networks,), 1.0 if target is None else 0.0))

    def forward(self, images: Tensor, draws: StepDraws) -> Tensor:
        """Augment images (B, C, H, W) in [-1, 1]."""
        if self._target is None:
            return diff_augment(images, self._policies, draws)
        shares = self.share.repeat_interleave(len(images) // len(self.share))
        for policy in self._policies:
            selection = draws.uniform(len(images)).to(images.device) < shares
            augmented_images = diff_augment(images, [policy], draws)
            images = torch.where(selection[:, None, None, None], augmented_images, images)
        return images

    @torch.no_grad()
    def update(self, real: Tensor, even: float, step_size: float, team: Team = ALONE) -> None:
        """Adapt to the logits (B,) of real images, in each process of a team of its own ones.

        Args:
            real: Logits of real images.
            even: The logit that stands for "cannot tell".
            step_size: By how much the share of augmented images changes.
            team: The processes that average what they see.
        """
        certainty = (real - even).sign().view(len(self.share), -1).mean(1)
        team.average(
            [certainty]
        )  # else each would go its own way, and a checkpoint has the first one's
        self.certainty.lerp_(certainty, 1 - MEMORY)
        if self._target is not None:
            self.share.add_((certainty - self._target).sign() * step_size).clamp_(0, 1)


class Adversary:
    """A discriminator, its optimiser and its losses.

    Args:
        discriminator: A `Discriminator` on the device, or several side by side.
        rate: Learning rate of its Adam (betas 0 and 0.99).
        steps: Of the whole run.
        pack: How many images of one class it judges together (PacGAN, Lin 2018): rows that follow
            each other. On few images conditioning alone makes every image of a class the same one,
            and a pair of equals gives itself away.
        r1, interpolation: Weights of the gradient penalties on real images and between real and
            synthetic ones.
        code_weight: Of the mean squared error of the noise that it reads from synthetic images.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        training_set: TrainingSet,
        *,
        rate: float,
        steps: int,
        augment: Sequence[str],
        target: float | None = None,
        loss: str = "hinge",
        pack: int = 1,
        r1: float = 0.0,
        interpolation: float = 0.0,
        code_weight: float = 0.0,
    ) -> None:
        self._discriminator, self._pack = discriminator, pack
        augmentation = DiscriminatorAugmentation(augment, target, training_set.networks)
        self._augmentation = augmentation.to(training_set.session.device)
        self.networks = nn.ModuleDict({"judge": discriminator, "augmentation": self._augmentation})
        self._optimizer = adam(discriminator.parameters(), rate, betas=(0.0, 0.99))
        self._loss: AdversarialLoss = LOSSES[loss]
        self._r1, self._interpolation, self._code_weight = r1, interpolation, code_weight
        self._step_size = 1 / max(1, RISE * steps)
        self._training_set, self._steps = training_set, steps

    @classmethod
    def plain(
        cls,
        training_set: TrainingSet,
        *,
        width: int,
        rate: float,
        steps: int,
        augment: Sequence[str],
    ) -> "Adversary":
        """Return one of the usual kind, with `width` channels at full size."""
        discriminator = training_set.build(
            "discriminator",
            lambda classes: Discriminator(training_set.image_shape, len(classes), width),
        )
        return cls(discriminator, training_set, rate=rate, steps=steps, augment=augment)

    def train(
        self,
        generator: nn.Module,
        optimizer: torch.optim.Optimizer,
        batches: Callable[[int], Any],
        *,
        show: Callable[[Any], tuple[JudgedImages, JudgedImages]],
        loss: Callable[[Any], Tensor],
        ema_decay: float = 0.99,
        clip: float = 5.0,
    ) -> nn.Module:
        """Train a generator and the discriminator in turns.

        Args:
            generator: Network, or several side by side.
            optimizer: The generator's.
            batches: Maps a step to its batch, which has `draws`.
            show: Makes real and synthetic images of a batch.
            loss: The generator's, of a batch.
            ema_decay: As `synthaug.core.optimize` has it.
            clip: As `synthaug.core.optimize` has it.

        Returns:
            The moving average of the generator.
        """
        return optimize(
            nn.ModuleDict({"generator": generator, "discriminator": self.networks}),
            [self.discriminator_phase(show), self.generator_phase(optimizer, loss)],
            batches,
            Schedule(self._steps),
            self._training_set.session,
            averaged=generator,
            ema_decay=ema_decay,
            clip=clip,
            networks=self._training_set.networks,
        )

    def generator_phase(
        self, optimizer: torch.optim.Optimizer, loss: Callable[[Any], Tensor]
    ) -> Phase:
        """Return the generator's turn of a step."""

        def resting(batch: Any) -> Tensor:
            # The discriminator's gradients would be computed and thrown away.
            self._discriminator.requires_grad_(False)
            return loss(batch)

        return Phase("generator", optimizer, resting)

    def discriminator_phase(
        self, show: Callable[[Any], tuple[JudgedImages, JudgedImages]]
    ) -> Phase:
        """Return the discriminator's turn of a step; `show` makes the images of a batch."""

        def loss(batch: Any) -> Tensor:
            self._discriminator.requires_grad_(True)
            with torch.no_grad():
                real, synthetic = show(batch)
            of_real = self._judge_augmented(real, batch.draws)
            of_synthetic = self._judge_augmented(synthetic, batch.draws)
            total = self._loss.discriminator(of_real["logits"], of_synthetic["logits"])
            total = total + self._reading_loss(of_real, real)
            total = total + self._reading_loss(of_synthetic, synthetic)
            if self._loss.even is not None:
                self._augmentation.update(
                    of_real["logits"],
                    self._loss.even,
                    self._step_size,
                    self._training_set.session.team,
                )
            return total + self._penalties(real, synthetic, batch.draws)

        return Phase("discriminator", self._optimizer, loss)

    def generator_loss(self, synthetic: JudgedImages, draws: StepDraws) -> Tensor:
        """Return what the generator lowers in its own turn, a scalar."""
        outputs = self._judge_augmented(synthetic, draws)
        return self._loss.generator(outputs["logits"]) + self._reading_loss(outputs, synthetic)

    def features(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the discriminator's features (B, D) of images (B, C, H, W) in [0, 1]."""
        packs = self._pack_images(images * 2 - 1)
        return self._judge_packs(JudgedImages(images, labels), packs)["features"]

    @property
    def certainty(self) -> float | None:
        """The certainty about real images, -1 to 1, the highest of several networks'.

        None where the loss has no logit that stands for "cannot tell".
        """
        return None if self._loss.even is None else self._augmentation.certainty.max().item()

    def _judge_augmented(self, batch: JudgedImages, draws: StepDraws) -> dict[str, Tensor]:
        augmented_images = self._augmentation(batch.images * 2 - 1, draws)
        return self._judge_packs(batch, self._pack_images(augmented_images))

    def _pack_images(self, images: Tensor) -> Tensor:
        return images.reshape(-1, self._pack * images.shape[1], *images.shape[2:])

    def _judge_packs(self, batch: JudgedImages, packs: Tensor) -> dict[str, Tensor]:
        """Judge packs of images in [-1, 1], with the classes of `batch`."""
        strength = batch.strength
        if strength is None:
            strength = torch.ones(len(batch.labels), device=packs.device)
        outputs: dict[str, Tensor] = self._discriminator(
            packs, batch.labels[:: self._pack], strength[:: self._pack]
        )
        return outputs

    def _reading_loss(self, outputs: dict[str, Tensor], batch: JudgedImages) -> Tensor:
        """Return the loss of what is read from images beside how real they are."""
        loss = outputs["logits"].new_zeros(())
        if "classes" in outputs:
            loss = loss + F.cross_entropy(outputs["classes"], batch.labels[:: self._pack])
        if "codes" in outputs and batch.noise is not None:
            codes = outputs["codes"]
            target = batch.noise[:, : codes.shape[1] // self._pack].reshape(codes.shape)
            loss = loss + self._code_weight * F.mse_loss(codes, target)
        return loss

    def _penalties(self, real: JudgedImages, synthetic: JudgedImages, draws: StepDraws) -> Tensor:
        def logits(packs: Tensor) -> Tensor:
            return self._judge_packs(real, packs)["logits"]

        # A pack is one thing that is judged: it has one gradient, and one place in between.
        of_real, of_synthetic = (
            self._pack_images(batch.images * 2 - 1) for batch in (real, synthetic)
        )
        total = real.images.new_zeros(())
        # The gradient of a gradient needs more digits than bfloat16 has.
        with torch.autocast(real.images.device.type, enabled=False):
            if self._r1:
                total = total + self._r1 * r1_penalty(logits, of_real)
            if self._interpolation:
                share = draws.uniform(len(of_real))
                total = total + self._interpolation * interpolation_penalty(
                    logits, of_real, of_synthetic, share
                )
        return total
