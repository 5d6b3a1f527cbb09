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

from torch import Tensor, nn

from synthaug.core import adam, expect_number
from synthaug.generators.conditional_vae import SAMPLING_VARIANTS, Batch, ConditionalVAE
from synthaug.generators.learning.adversary import Adversary, JudgedImages
from synthaug.generators.learning.diff_augment import check_policies
from synthaug.generators.learning.losses import reparametrize
from synthaug.generators.learning.training_set import TrainingSet
from synthaug.generators.networks.coders import encoder_and_decoder
from synthaug.generators.registry import register


@register("vaegan", order=30, choices={"vaegan sampling": SAMPLING_VARIANTS})
@dataclass
class VAEGAN(ConditionalVAE):
    """A `ConditionalVAE`, with all its settings, sharpened by a discriminator.

    Its further settings, from `steps` and `latent` to `learning_rate`, are those of
    `ConditionalVAE`.

    Args:
        feature_weight: Of the L1 distance between the discriminator's features of an image and of
            its reconstruction.
        adversarial_weight: Of the hinge loss on images decoded from the code of another.
        augment: What the discriminator's images go through, of "colour", "translation", "cutout".
        discriminator_rate: Learning rate of its Adam (betas 0 and 0.99).
        scope: "shared", one network for all classes; or "per-class", one for each, trained at once.

    Raises:
        InputError: By `fit` and `sample`, for settings that make no sense.

    References:
        Larsen et al., "Autoencoding beyond pixels using a learned similarity metric",
            arXiv:1512.09300.

    Examples:
        >>> from synthaug import VAEGAN, read_images
        >>> generator = VAEGAN(steps=2).fit(read_images("digits"), device="cpu")
        >>> generator.sample(1, seed=3).labels.tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    feature_weight: float = 0.5
    adversarial_weight: float = 0.02
    augment: tuple[str, ...] = ("colour", "translation")
    discriminator_rate: float = 1e-3

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        super().check_settings()
        check_policies("augment", self.augment)
        for name in ("feature_weight", "adversarial_weight"):
            expect_number(name, getattr(self, name), zero=True)
        expect_number("discriminator_rate", self.discriminator_rate)

    def _learn(self, module: nn.Module, training_set: TrainingSet) -> nn.Module:
        encoder, _ = encoder_and_decoder(module)
        adversary = Adversary.plain(
            training_set,
            width=self.width,
            rate=self.discriminator_rate,
            steps=self.steps,
            augment=self.augment,
        )

        def swap_codes(batch: Batch) -> JudgedImages:
            """Decode the code of each image with the class of the one before."""
            mean, log_variance = encoder(batch.images, batch.labels)
            code = reparametrize(mean, log_variance, batch.draws)
            labels = batch.labels.roll(1)
            relative = self._relative(module, code, batch.labels)
            return JudgedImages(self._decode(module, relative, labels), labels)

        def loss(batch: Batch) -> Tensor:
            images, reconstruction = self._reconstruct(module, batch, training_set.networks)
            features = adversary.features(images, batch.labels)
            target = adversary.features(batch.images, batch.labels).detach()
            total: Tensor = (
                reconstruction
                + self.feature_weight * (features - target).abs().mean()
                + self.adversarial_weight * adversary.generator_loss(swap_codes(batch), batch.draws)
            )
            return total

        def show(batch: Batch) -> tuple[JudgedImages, JudgedImages]:
            return JudgedImages(batch.images, batch.labels), swap_codes(batch)

        optimizer = adam(module.parameters(), self.learning_rate)
        return adversary.train(module, optimizer, self._batches(training_set), show=show, loss=loss)
