"""pythae's VAE, one for each class, as one of our generators."""

from dataclasses import dataclass
from typing import ClassVar

from pythae_vae import sample_pythae
from stock import Stocked
from torch import Tensor


@dataclass
class PythaeVAE(Stocked):
    """Decoded from a Gaussian mixture of the codes of each class.

    loss: "bce", or pythae's default "mse", with which all images of a class come out nearly alike.
    """

    package: ClassVar[str] = "pythae"
    loss: str = "bce"

    def make(self, real: Tensor, count: int, *, seed: int, device: str) -> Tensor:
        return sample_pythae(
            real,
            count,
            steps=self.steps,
            batch_size=self.batch_size,
            seed=seed,
            device=device,
            loss=self.loss,
        )
