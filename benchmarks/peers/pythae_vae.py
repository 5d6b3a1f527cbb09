"""pythae's VAE with the layers of our encoder and decoder."""

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
from pythae.trainers import BaseTrainerConfig, training_callbacks
from torch import Tensor

from synthaug import ConditionalVAE
from synthaug.generators.networks.coders import ConditionalDecoder, ConditionalEncoder

training_callbacks.tqdm = partial(training_callbacks.tqdm, disable=True)  # a line for each epoch
OURS = ConditionalVAE()  # its sizes and learning rate
COMPONENTS = 10  # pythae's own number


class Encoder(BaseEncoder):
    """Our encoder, of a single class."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.network = ConditionalEncoder(image_shape, 1, OURS.latent, OURS.width)

    def forward(self, images: Tensor) -> ModelOutput:
        mean, log_variance = self.network(images, _only_class(images))
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    """Our decoder, of a single class."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.network = ConditionalDecoder(image_shape, 1, OURS.latent, OURS.width)

    def forward(self, codes: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.network(codes, _only_class(codes)))


def _only_class(rows: Tensor) -> Tensor:
    return torch.zeros(len(rows), dtype=torch.int64, device=rows.device)


class _AfterStep(training_callbacks.TrainingCallback):
    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def on_train_step_end(self, training_config: BaseTrainerConfig, **others: Any) -> None:
        self._call()


def train_pythae(
    images: Tensor,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    device: str,
    output: str,
    loss: str = "mse",
    amp: bool = False,
    after_step: Callable[[], None] | None = None,
) -> VAE:
    """A VAE that pythae's pipeline trained on images (N, C, H, W) in [0, 1], for as many epochs as
    make at least `steps`; `output` is a directory that pythae writes to, `loss` "mse" or "bce"."""
    shape = tuple(images.shape[1:])
    torch.manual_seed(seed)
    facts = VAEConfig(input_dim=shape, latent_dim=OURS.latent, reconstruction_loss=loss)
    model = VAE(facts, Encoder(shape), Decoder(shape))
    steps_an_epoch = -(-len(images) // batch_size)
    config = BaseTrainerConfig(
        output_dir=output,
        num_epochs=-(-steps // steps_an_epoch),
        per_device_train_batch_size=batch_size,
        learning_rate=OURS.learning_rate,
        seed=seed,
        no_cuda=device == "cpu",
        amp=amp,
    )
    callbacks = [] if after_step is None else [_AfterStep(after_step)]
    TrainingPipeline(model, config)(images, callbacks=callbacks)
    return model


def sample_pythae(
    real: Tensor,
    count: int,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    device: str,
    loss: str = "bce",
) -> Tensor:
    """New images (count, C, H, W) in [0, 1], decoded from a Gaussian mixture of the codes of the
    images (N, C, H, W) of one class that a VAE learned from."""
    real = real.clone()
    real[real == real.max()] = 1  # pythae's sampler refuses images of which none reaches 1
    with tempfile.TemporaryDirectory() as scratch:
        model = train_pythae(
            real,
            steps=steps,
            batch_size=batch_size,
            seed=seed,
            device=device,
            output=scratch,
            loss=loss,
        )
    mixture = GaussianMixtureSamplerConfig(n_components=min(COMPONENTS, len(real)))
    sampler = GaussianMixtureSampler(model, mixture)
    sampler.fit(real)
    made: Tensor = sampler.sample(count)
    return made
