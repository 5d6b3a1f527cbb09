"""pythae's VAE, one for each class, as one of our generators.

    pip install --no-deps pythae==0.1.2 imageio

It has the layers of `ConditionalVAE`, and its images are decoded from a Gaussian mixture of the
codes of a class. (`--no-deps` leaves out `dataclasses`, an old copy of what Python has.)
"""

import logging
import tempfile
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
from pythae.trainers import BaseTrainerConfig, training_callbacks
from torch import Tensor, nn

from synthaug import ConditionalVAE, LabelledImages
from synthaug.core import Draws, stream_seed
from synthaug.data import to_float
from synthaug.generators import FitSession, Generator
from synthaug.generators.networks.coders import ConditionalDecoder, ConditionalEncoder
from synthaug.pool import usual_size

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


class Stock(nn.Module):
    """Images of one class, made once."""

    images: Tensor

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.register_buffer("images", images)


@dataclass
class PythaeVAE(Generator):
    """A stock of as many images as a pool holds, drawn from with replacement.

    Args:
        steps: Optimiser steps of each class, in whole epochs.
        batch_size: Images in a step.
        loss: "bce", or pythae's default "mse", with which all images of a class come out nearly
            alike.
    """

    keeps_images = False
    steps: int = 400
    batch_size: int = 16
    loss: str = "bce"

    def train(self, data: LabelledImages, session: FitSession) -> list[nn.Module]:
        logging.disable(logging.INFO)
        count = usual_size(data.counts)
        stocks: list[nn.Module] = []
        for label, name in enumerate(data.classes):
            real = to_float(data.images[data.labels == label])
            seed = stream_seed(session.seed, "pythae", name) % 2**31
            stocks.append(Stock(self.make(real, count, seed, session.device.type)))
        return stocks

    def build(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        return [Stock(torch.empty(0, *image_shape)) for _ in range(classes)]

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        sizes = np.array([len(stock.images) for stock in self.networks])
        return {"pick": draws.choice("pick", sizes[labels])}

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        images: Tensor = network.images[plan["pick"] % len(network.images)]
        return images.clamp(0, 1)

    def make(self, real: Tensor, count: int, seed: int, device: str) -> Tensor:
        """Return new images (count, C, H, W) in [0, 1] of the class of the images (N, C, H, W)."""
        real = real.clone()
        real[real == real.max()] = 1  # pythae's sampler refuses images of which none reaches 1
        shape = tuple(real.shape[1:])
        torch.manual_seed(seed)
        settings = VAEConfig(input_dim=shape, latent_dim=OURS.latent, reconstruction_loss=self.loss)
        model = VAE(settings, Encoder(shape), Decoder(shape))
        steps_per_epoch = -(-len(real) // self.batch_size)
        with tempfile.TemporaryDirectory() as scratch:
            config = BaseTrainerConfig(
                output_dir=scratch,
                num_epochs=-(-self.steps // steps_per_epoch),
                per_device_train_batch_size=self.batch_size,
                learning_rate=OURS.learning_rate,
                seed=seed,
                no_cuda=device == "cpu",
            )
            TrainingPipeline(model, config)(real)
        mixture = GaussianMixtureSamplerConfig(n_components=min(COMPONENTS, len(real)))
        sampler = GaussianMixtureSampler(model, mixture)
        sampler.fit(real)
        made: Tensor = sampler.sample(count)
        return made
