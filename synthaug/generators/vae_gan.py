"""VAEGAN: a `ConditionalVAE` whose images a discriminator judges as well.

A VAE's images are blurred, since the mean of all that a code may stand for is the least wrong; a
GAN's are sharp and free to forget what few images show. Here (Larsen et al. 2016) the VAE's loss
stays, which ties each code to a real image, and to it are added

    feature_weight * |h(x) - h(dec(z, y))|                what a discriminator sees of it
    - adversarial_weight * E d(T(dec(z_b, y_a)), y_a)     what it thinks of swapped codes

The second judges what is sampled later: the code of one image decoded with the class of another.
The discriminator d, with features h, is `ConditionalGAN`'s: projection, spectral normalisation,
the hinge loss, and differentiable augmentation T of all that it judges.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from synthaug.generators.conditional_vae import Batch, ConditionalVAE
from synthaug.generators.diff_augment import check_policies, diff_augment
from synthaug.generators.losses import hinge_discriminator, hinge_generator, reparametrize
from synthaug.generators.networks import ProjectionDiscriminator, parts_of
from synthaug.generators.settings import expect_number
from synthaug.images import LabelledImages
from synthaug.seeding import torch_stream
from synthaug.training import Phase, Run, Schedule, optimize


@dataclass
class VAEGAN(ConditionalVAE):
    """A `ConditionalVAE`, with all its settings, sharpened by a discriminator.

    feature_weight: of the L1 distance between the discriminator's features of an image and of its
        reconstruction.
    adversarial_weight: of the hinge loss on images decoded from the code of another.
    augment: what the discriminator's images go through, of "colour", "translation", "cutout".
    discriminator_rate: learning rate of its Adam (betas 0 and 0.99).

    >>> from synthaug import VAEGAN, read_images
    >>> generator = VAEGAN(steps=2).fit(read_images("digits"), device="cpu")
    >>> generator.sample(1, seed=3).labels.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    feature_weight: float = 0.5
    adversarial_weight: float = 0.02
    augment: tuple[str, ...] = ("colour", "translation")
    discriminator_rate: float = 1e-3

    def _check_settings(self) -> None:
        super()._check_settings()
        check_policies("augment", self.augment)
        for name in ("feature_weight", "adversarial_weight"):
            expect_number(name, getattr(self, name), zero=True)
        expect_number("discriminator_rate", self.discriminator_rate)

    def _learn(self, module: nn.Module, data: LabelledImages, run: Run) -> nn.Module:
        encoder, decoder = parts_of(module)
        with torch_stream(run.seed, "discriminator"):
            judge = ProjectionDiscriminator(data.image_shape, len(data.classes), self.width)
            judge = judge.to(run.device)

        def judged(images: Tensor, labels: Tensor) -> Tensor:
            logits: Tensor = judge(diff_augment(images * 2 - 1, self.augment), labels)
            return logits

        def swapped(batch: Batch) -> Tensor:
            """The code of each image decoded with the class of the next."""
            code = reparametrize(*encoder(batch.images, batch.labels))
            made: Tensor = decoder(code, batch.labels.roll(1))
            return made

        def discriminator_loss(batch: Batch) -> Tensor:
            judge.requires_grad_(True)
            with torch.no_grad():
                made = swapped(batch)
            real = judged(batch.images, batch.labels)
            return hinge_discriminator(real, judged(made, batch.labels.roll(1)))

        def generator_loss(batch: Batch) -> Tensor:
            judge.requires_grad_(False)  # its gradients would be computed and thrown away
            made, loss = self._reconstruct(module, batch)
            of_made, of_real = (judge.features(x * 2 - 1) for x in (made, batch.images))
            apart = (of_made - of_real.detach()).abs().mean()
            fooled = hinge_generator(judged(swapped(batch), batch.labels.roll(1)))
            total: Tensor = loss + self.feature_weight * apart + self.adversarial_weight * fooled
            return total

        judging = torch.optim.Adam(judge.parameters(), self.discriminator_rate, betas=(0.0, 0.99))
        making = torch.optim.Adam(module.parameters(), lr=self.learning_rate)
        return optimize(
            nn.ModuleDict({"generator": module, "discriminator": judge}),
            [
                Phase("discriminator", judging, discriminator_loss),
                Phase("generator", making, generator_loss),
            ],
            self._batches(data, run),
            Schedule(self.steps),
            run,
            averaged=module,
        )
