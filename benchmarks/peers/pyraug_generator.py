"""pyraug's Riemannian Hamiltonian VAE (Chadebec et al., TPAMI 2022), one for each class, as one of
our generators."""

import tempfile
from dataclasses import dataclass
from typing import ClassVar

import torch
from pyraug.data.preprocessors import DataProcessor
from pyraug.models import RHVAE
from pyraug.models.rhvae import RHVAEConfig, RHVAESamplerConfig
from pyraug.models.rhvae.rhvae_sampler import RHVAESampler
from pyraug.pipelines import TrainingPipeline
from pyraug.trainers.training_config import TrainingConfig
from stock import Stocked
from torch import Tensor

from synthaug.core import TrainingError, first_line

AT_ONCE = 50  # images that its sampler makes at once


@dataclass
class PyraugRHVAE(Stocked):
    """Decoded from codes that its Monte Carlo sampler finds where the metric that it learned says
    that there are images.

    Its networks, its number of codes and its sampler are pyraug's own.

    learning_rate: ten times pyraug's, which is meant for as many as 10,000 epochs.
    """

    package: ClassVar[str] = "pyraug"
    learning_rate: float = 1e-3

    def make(self, real: Tensor, count: int, *, seed: int, device: str) -> Tensor:
        with tempfile.TemporaryDirectory() as scratch:
            model = self._learn(real, seed, device, scratch)
            config = RHVAESamplerConfig(output_dir=scratch, no_cuda=device == "cpu")
            sampler = RHVAESampler(model=model, sampler_config=config)
        made = [
            model.decoder(sampler.hmc_sampling(min(AT_ONCE, count - first))).detach().cpu()
            for first in range(0, count, AT_ONCE)
        ]
        return torch.cat(made).reshape(count, *real.shape[1:])

    def _learn(self, real: Tensor, seed: int, device: str, output: str) -> RHVAE:
        torch.manual_seed(seed)
        model = RHVAE(RHVAEConfig(input_dim=real[0].numel()))
        steps_an_epoch = -(-len(real) // self.batch_size)
        epochs = -(-self.steps // steps_an_epoch)
        config = TrainingConfig(
            output_dir=output,
            batch_size=self.batch_size,
            max_epochs=epochs + 1,  # pyraug counts from one and leaves the last one out
            learning_rate=self.learning_rate,
            train_early_stopping=None,
            seed=seed,
            no_cuda=device == "cpu",
            verbose=False,
        )
        # By default each image would be stretched to the whole of [0, 1].
        pipeline = TrainingPipeline(
            model=model, data_processor=DataProcessor(None), training_config=config
        )
        try:
            pipeline(real)
        except (RuntimeError, ValueError) as error:  # by what first sees that it is no number
            raise TrainingError(
                f"pyraug, seed {seed}: {first_line(error)}; if training diverged, lower "
                f"learning_rate, {self.learning_rate:g} now"
            ) from error
        return model
