"""ConditionalGAN: images of a class from noise, judged by a discriminator that sees few images.

A generator g(z, y) with conditional batch norm against a projection discriminator d(x, y) (Miyato
and Koyama 2018) under spectral normalisation (Miyato 2018), with the hinge loss (Lim and Ye 2017)

    discriminator: E max(0, 1 - d(T(x), T(x'), y)) + E max(0, 1 + d(T(g(z, y)), T(g(z', y)), y))
    generator:   - E d(T(g(z, y)), T(g(z', y)), y)

It judges pairs of images of one class (PacGAN, Lin 2018): on few images conditioning alone makes
every image of a class the same one, and a pair of equals gives itself away. T is differentiable
augmentation (Zhao 2020), in both losses and on both kinds of image: without it a discriminator
learns a small set by heart. The two learning rates differ (Heusel 2017), and samples come from the
moving average of the generator with its statistics fixed. A saved one holds no images.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.errors import InputError
from synthaug.generators.anchors import Classmates
from synthaug.generators.base import Generator
from synthaug.generators.diff_augment import check_policies, diff_augment
from synthaug.generators.losses import hinge_discriminator, hinge_generator
from synthaug.generators.networks import ConditionalDecoder, ProjectionDiscriminator
from synthaug.generators.settings import expect_count, expect_number
from synthaug.images import LabelledImages, to_float
from synthaug.seeding import Draws, torch_stream
from synthaug.training import Phase, Run, Schedule, optimize


class _Batch(NamedTuple):
    real: Tensor
    labels: Tensor


@dataclass
class ConditionalGAN(Generator):
    """Makes images of a class from noise.

    steps: updates of the discriminator, and of the generator.
    latent: length of the noise z.
    augment: what the discriminator's images go through, of "colour", "translation", "cutout".
        None changes the label. Cutout is off: its holes turn up in the samples.
    width: channels at full size, of both networks.
    batch_size: real images a step, every class equally often, and as many synthetic ones; even.
    generator_rate, discriminator_rate: learning rates of Adam (betas 0 and 0.99), at the start
        of a half cosine.

    >>> from synthaug import ConditionalGAN, read_images
    >>> generator = ConditionalGAN(steps=2).fit(read_images("digits"), device="cpu")
    >>> generator.sample(1, seed=3).images.dtype
    dtype('uint8')
    """

    keeps_images: ClassVar[bool] = False

    steps: int = 1500
    latent: int = 64
    augment: tuple[str, ...] = ("colour", "translation")
    width: int = 16
    batch_size: int = 32
    generator_rate: float = 1e-3
    discriminator_rate: float = 2e-3

    def _check_settings(self) -> None:
        for name in ("steps", "latent", "width"):
            expect_count(name, getattr(self, name))
        expect_count("batch_size", self.batch_size)
        if self.batch_size < 4 or self.batch_size % 2:
            raise InputError(
                f"batch_size: expected an even number of at least 4, got {self.batch_size}"
            )
        check_policies("augment", self.augment)
        for name in ("generator_rate", "discriminator_rate"):
            expect_number(name, getattr(self, name))

    def _build(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        return ConditionalDecoder(image_shape, classes, self.latent, self.width)

    def _learn(self, module: nn.Module, data: LabelledImages, run: Run) -> nn.Module:
        classes = len(data.classes)
        with torch_stream(run.seed, "discriminator"):
            pair_shape = (2 * data.image_shape[0], *data.image_shape[1:])
            judge = ProjectionDiscriminator(pair_shape, classes, self.width).to(run.device)
        images = to_float(data.images, run.device)
        classmates = Classmates(data.labels, classes)

        def batches(step: int) -> _Batch:
            pairs = self.batch_size // 2
            wanted = torch.randint(classes, (pairs,))
            first = classmates.of_class(wanted)
            chosen = torch.cat([first, classmates.another(first)])
            return _Batch(images[chosen.to(run.device)], wanted.repeat(2).to(run.device))

        def judged(shown: Tensor, labels: Tensor) -> Tensor:
            """Logits (B / 2,) of pairs: the first and the second half of the batch side by side."""
            pairs = torch.cat(diff_augment(shown * 2 - 1, self.augment).chunk(2), 1)
            logits: Tensor = judge(pairs, labels.chunk(2)[0])
            return logits

        def generate(labels: Tensor) -> Tensor:
            made: Tensor = module(torch.randn(len(labels), self.latent, device=run.device), labels)
            return made

        def discriminator_loss(batch: _Batch) -> Tensor:
            judge.requires_grad_(True)
            with torch.no_grad():
                made = generate(batch.labels)
            return hinge_discriminator(judged(batch.real, batch.labels), judged(made, batch.labels))

        def generator_loss(batch: _Batch) -> Tensor:
            judge.requires_grad_(False)  # its gradients would be computed and thrown away
            return hinge_generator(judged(generate(batch.labels), batch.labels))

        return optimize(
            nn.ModuleDict({"generator": module, "discriminator": judge}),
            [
                Phase("discriminator", _adam(judge, self.discriminator_rate), discriminator_loss),
                Phase("generator", _adam(module, self.generator_rate), generator_loss),
            ],
            batches,
            Schedule(self.steps),
            run,
            averaged=module,
            ema_decay=0.998,
        )

    def _plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        return {"label": labels, "z": draws.normal("z", self.latent)}

    def _render(self, plan: dict[str, Tensor]) -> Tensor:
        made: Tensor = self._module(plan["z"], plan["label"])
        return made


def _adam(module: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=rate, betas=(0.0, 0.99))
