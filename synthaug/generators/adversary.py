"""The discriminator that a family trains beside itself, in a phase of its own."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from synthaug.generators.diff_augment import diff_augment
from synthaug.generators.losses import hinge_discriminator, hinge_generator
from synthaug.generators.networks import ProjectionDiscriminator
from synthaug.seeding import torch_stream
from synthaug.training import Phase, Run


class Shown(NamedTuple):
    """Images (B, C, H, W) in [0, 1] and the classes (B,) that they are to be judged as."""

    images: Tensor
    labels: Tensor


class Adversary:
    """A projection discriminator under the hinge loss, that sees all images augmented.

    augment: of "colour", "translation", "cutout".
    rate: learning rate of its Adam (betas 0 and 0.99).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        width: int,
        augment: Sequence[str],
        rate: float,
        run: Run,
    ) -> None:
        with torch_stream(run.seed, "discriminator"):
            network = ProjectionDiscriminator(image_shape, classes, width)
        self.network = network.to(run.device)
        self._augment = augment
        self._optimizer = torch.optim.Adam(network.parameters(), rate, betas=(0.0, 0.99))

    def phase(self, show: Callable[[Any], tuple[Shown, Shown]]) -> Phase:
        """Its turn of a step; `show` makes real and synthetic images of a batch."""

        def loss(batch: Any) -> Tensor:
            self.network.requires_grad_(True)
            with torch.no_grad():
                real, made = show(batch)
            return hinge_discriminator(self._judge(real), self._judge(made))

        return Phase("discriminator", self._optimizer, loss)

    def fooled(self, made: Shown) -> Tensor:
        """What the generator lowers in its own turn, a scalar."""
        return hinge_generator(self._judge(made))

    def rest(self) -> None:
        """For the generator's turn: its gradients would be computed and thrown away."""
        self.network.requires_grad_(False)

    def features(self, images: Tensor) -> Tensor:
        """What it sees in images (B, C, H, W) in [0, 1], float (B, D)."""
        found: Tensor = self.network.features(images * 2 - 1)
        return found

    def _judge(self, shown: Shown) -> Tensor:
        logits: Tensor = self.network(
            diff_augment(shown.images * 2 - 1, self._augment), shown.labels
        )
        return logits
