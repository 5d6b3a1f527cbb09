"""pythae's VAE, one for each class, as one of our generators: so that the gain can be measured with
it fitted anew for each seed, as ours are."""

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pythae_vae import sample_pythae
from torch import Tensor, nn

from synthaug import LabelledImages
from synthaug.generators import Generator
from synthaug.generators.base import Aids
from synthaug.images import to_float
from synthaug.pool import usual_size
from synthaug.seeding import Draws, stream_seed
from synthaug.training import Run


class Stock(nn.Module):
    """Images of one class, made once."""

    images: Tensor

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.register_buffer("images", images)


@dataclass
class PythaeVAE(Generator):
    """A stock of as many images as a pool holds, drawn from with replacement.

    steps: optimiser steps of each class, in whole epochs. loss: "bce", or pythae's default "mse",
        with which all images of a class come out nearly alike.
    """

    _starts_from_images: ClassVar[bool] = False
    steps: int = 400
    batch_size: int = 16
    loss: str = "bce"

    def _train(
        self, data: LabelledImages, run: Run, aids: Aids, notes: dict[str, Any]
    ) -> list[nn.Module]:
        logging.disable(logging.INFO)
        count = usual_size(data.counts)
        stocks: list[nn.Module] = []
        for label, name in enumerate(data.classes):
            images = sample_pythae(
                to_float(data.images[data.labels == label]),
                count,
                steps=self.steps,
                batch_size=self.batch_size,
                seed=stream_seed(run.seed, "pythae", name) % 2**31,
                device=run.device.type,
                loss=self.loss,
            )
            stocks.append(Stock(images))
        return stocks

    def _untrained(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        return [Stock(torch.empty(0, *image_shape)) for _ in range(classes)]

    def _plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        sizes = np.array([len(stock.images) for stock in self._networks])
        return {"pick": draws.choice("pick", sizes[labels])}

    def _render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        images: Tensor = network.images[plan["pick"] % len(network.images)]
        return images.clamp(0, 1)

    def save(self, directory: Any) -> None:
        """A stock is not worth keeping beside the pool that is drawn from it."""
