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


class Shown(NamedTuple):
    """Images (B, C, H, W) in [0, 1] and the classes (B,) that they are to be judged as, `strength`
    (B,) of those classes' say, and the noise (B, Z) that an image was made of."""

    images: Tensor
    labels: Tensor
    strength: Tensor | None = None
    noise: Tensor | None = None


class DiscriminatorAugmentation(nn.Module):
    """Differentiable augmentation of all that a discriminator sees, and how sure it is of what it
    sees: E sign(d(real)), the sign of overfitting of Karras et al. ("Training generative
    adversarial networks with limited data", NeurIPS 2020), 0 for chance and 1 for by heart.

    policies: of "colour", "translation", "cutout".
    target: the certainty to keep by changing the share of images that each policy is applied to,
        from 0 on (ADA); None applies all policies to all images.
    """

    certainty: Tensor
    share: Tensor

    def __init__(self, policies: Sequence[str], target: float | None, networks: int) -> None:
        super().__init__()
        self._policies, self._target = policies, target
        self.register_buffer("certainty", torch.zeros(networks))
        self.register_buffer("share", torch.full((networks,), 1.0 if target is None else 0.0))

    def forward(self, images: Tensor, draws: StepDraws) -> Tensor:
        """Images (B, C, H, W) in [-1, 1], augmented."""
        if self._target is None:
            return diff_augment(images, self._policies, draws)
        shares = self.share.repeat_interleave(len(images) // len(self.share))
        for policy in self._policies:
            chosen = draws.uniform(len(images)).to(images.device) < shares
            changed = diff_augment(images, [policy], draws)
            images = torch.where(chosen[:, None, None, None], changed, images)
        return images

    @torch.no_grad()
    def heed(self, real: Tensor, even: float, step_size: float, team: Team = ALONE) -> None:
        """Take note of the logits (B,) of real images, in each process of a team of its own ones;
        `even` stands for "cannot tell"."""
        now = (real - even).sign().view(len(self.share), -1).mean(1)
        team.average([now])  # else each would go its own way, and a checkpoint has the first one's
        self.certainty.lerp_(now, 1 - MEMORY)
        if self._target is not None:
            self.share.add_((now - self._target).sign() * step_size).clamp_(0, 1)


class Adversary:
    """A discriminator and what it learns by.

    judge: a `Discriminator` on the device, or several side by side.
    rate: learning rate of its Adam (betas 0 and 0.99).
    steps: of the whole run.
    pack: how many images of one class it judges together (PacGAN, Lin 2018): rows that follow each
        other. On few images conditioning alone makes every image of a class the same one, and a
        pair of equals gives itself away.
    r1, interpolation: weights of the gradient penalties on real images and between real and
        synthetic ones.
    code_weight: of the mean squared error of the noise that it reads from synthetic images.
    """

    def __init__(
        self,
        judge: nn.Module,
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
        self._judge, self._pack = judge, pack
        augmentation = DiscriminatorAugmentation(augment, target, training_set.networks)
        self._augmentation = augmentation.to(training_set.session.device)
        self.networks = nn.ModuleDict({"judge": judge, "augmentation": self._augmentation})
        self._optimizer = adam(judge.parameters(), rate, betas=(0.0, 0.99))
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
        """A discriminator of the usual kind, of so many channels at full size."""
        judge = training_set.build(
            "discriminator",
            lambda known: Discriminator(training_set.image_shape, len(known), width),
        )
        return cls(judge, training_set, rate=rate, steps=steps, augment=augment)

    def train(
        self,
        generator: nn.Module,
        optimizer: torch.optim.Optimizer,
        batches: Callable[[int], Any],
        *,
        show: Callable[[Any], tuple[Shown, Shown]],
        loss: Callable[[Any], Tensor],
        ema_decay: float = 0.99,
        clip: float = 5.0,
    ) -> nn.Module:
        """Train a generator and the discriminator in turns; the average of the generator.

        show: makes real and synthetic images of a batch. loss: the generator's.
        For all else see `optimize`.
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
        """The generator's turn of a step."""

        def resting(batch: Any) -> Tensor:
            # The discriminator's gradients would be computed and thrown away.
            self._judge.requires_grad_(False)
            return loss(batch)

        return Phase("generator", optimizer, resting)

    def discriminator_phase(self, show: Callable[[Any], tuple[Shown, Shown]]) -> Phase:
        """Its own turn of a step; `show` makes real and synthetic images of a batch."""

        def loss(batch: Any) -> Tensor:
            self._judge.requires_grad_(True)
            with torch.no_grad():
                real, made = show(batch)
            of_real, of_made = self._look(real, batch.draws), self._look(made, batch.draws)
            total = self._loss.discriminator(of_real["logits"], of_made["logits"])
            total = total + self._told(of_real, real) + self._told(of_made, made)
            if self._loss.even is not None:
                self._augmentation.heed(
                    of_real["logits"],
                    self._loss.even,
                    self._step_size,
                    self._training_set.session.team,
                )
            return total + self._penalties(real, made, batch.draws)

        return Phase("discriminator", self._optimizer, loss)

    def fooled(self, made: Shown, draws: StepDraws) -> Tensor:
        """What the generator lowers in its own turn, a scalar."""
        judged = self._look(made, draws)
        return self._loss.generator(judged["logits"]) + self._told(judged, made)

    def features(self, images: Tensor, labels: Tensor) -> Tensor:
        """What it sees in images (B, C, H, W) in [0, 1], float (B, D)."""
        packs = self._packed(images * 2 - 1)
        return self._look_at(Shown(images, labels), packs)["features"]

    @property
    def certainty(self) -> float | None:
        """How often it is right about real images, -1 to 1 (the most of several); None where its
        loss has no such point."""
        return None if self._loss.even is None else self._augmentation.certainty.max().item()

    def _look(self, shown: Shown, draws: StepDraws) -> dict[str, Tensor]:
        return self._look_at(shown, self._packed(self._augmentation(shown.images * 2 - 1, draws)))

    def _packed(self, images: Tensor) -> Tensor:
        return images.reshape(-1, self._pack * images.shape[1], *images.shape[2:])

    def _look_at(self, shown: Shown, packs: Tensor) -> dict[str, Tensor]:
        """`packs` of images in [-1, 1], with the classes of `shown`."""
        strength = shown.strength
        if strength is None:
            strength = torch.ones(len(shown.labels), device=packs.device)
        judged: dict[str, Tensor] = self._judge(
            packs, shown.labels[:: self._pack], strength[:: self._pack]
        )
        return judged

    def _told(self, judged: dict[str, Tensor], shown: Shown) -> Tensor:
        """The loss of what it reads in images beside how real they are."""
        loss = judged["logits"].new_zeros(())
        if "classes" in judged:
            loss = loss + F.cross_entropy(judged["classes"], shown.labels[:: self._pack])
        if "codes" in judged and shown.noise is not None:
            codes = judged["codes"]
            wanted = shown.noise[:, : codes.shape[1] // self._pack].reshape(codes.shape)
            loss = loss + self._code_weight * F.mse_loss(codes, wanted)
        return loss

    def _penalties(self, real: Shown, made: Shown, draws: StepDraws) -> Tensor:
        def logits(packs: Tensor) -> Tensor:
            return self._look_at(real, packs)["logits"]

        # A pack is one thing that is judged: it has one gradient, and one place in between.
        of_real, of_made = (self._packed(shown.images * 2 - 1) for shown in (real, made))
        total = real.images.new_zeros(())
        # The gradient of a gradient needs more digits than bfloat16 has.
        with torch.autocast(real.images.device.type, enabled=False):
            if self._r1:
                total = total + self._r1 * r1_penalty(logits, of_real)
            if self._interpolation:
                share = draws.uniform(len(of_real))
                total = total + self._interpolation * interpolation_penalty(
                    logits, of_real, of_made, share
                )
        return total
