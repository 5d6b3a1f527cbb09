"""Images that a package made of each class by itself, as one of our generators: so that the gain
can be measured with them made anew for each seed, as ours are."""

import logging
from abc import abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from synthaug import LabelledImages
from synthaug.core import Draws, Session, stream_seed
from synthaug.data import to_float
from synthaug.generators import Generator
from synthaug.generators.base import Aids
from synthaug.pool import usual_size

PACKAGES = {"pythae": "PythaeVAE", "pyraug": "PyraugRHVAE"}  # by the package they are made with


def peer(package: str) -> "Stocked":
    """That package's generator; the package is imported here, since not all need be there."""
    made: Stocked = getattr(import_module(f"{package}_generator"), PACKAGES[package])()
    return made


class Stock(nn.Module):
    """Images of one class, made once."""

    images: Tensor

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.register_buffer("images", images)


@dataclass
class Stocked(Generator):
    """A stock of as many images as a pool holds, drawn from with replacement.

    steps: optimiser steps of each class, in whole epochs.
    """

    _starts_from_images: ClassVar[bool] = False
    package: ClassVar[str]
    steps: int = 400
    batch_size: int = 16

    @abstractmethod
    def make(self, real: Tensor, count: int, *, seed: int, device: str) -> Tensor:
        """New images (count, C, H, W) in [0, 1] of the one class that the images (N, C, H, W) in
        [0, 1] are of."""

    def _train(
        self, data: LabelledImages, run: Session, aids: Aids, notes: dict[str, Any]
    ) -> list[nn.Module]:
        logging.disable(logging.INFO)
        count = usual_size(data.counts)
        stocks: list[nn.Module] = []
        for label, name in enumerate(data.classes):
            real = to_float(data.images[data.labels == label])
            seed = stream_seed(run.seed, self.package, name) % 2**31
            stocks.append(Stock(self.make(real, count, seed=seed, device=run.device.type)))
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
