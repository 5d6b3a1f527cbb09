"""A pool on a device, to be drawn from without asking the device for anything."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from synthaug.errors import InputError
from synthaug.images import to_float
from synthaug.mixing.drawing import ClassDrawer
from synthaug.pool import SamplePool


class Bank:
    """The pool's images and labels on `device`; on the CPU its images stay mapped from the disk.

    rows: labels of the pool's images as probabilities, float32 (M, K).
    mean, std: what float images are normalised with, one number or one a channel.

    Raises `InputError` for a class without images.
    """

    def __init__(
        self,
        pool: SamplePool,
        rows: np.ndarray,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
    ) -> None:
        samples = pool.samples
        drawer = ClassDrawer(samples.labels, len(pool.classes), samples.weights)
        absent = np.setdiff1d(np.arange(len(pool.classes)), drawer.present)
        if len(absent):
            raise InputError(
                f"class {pool.classes[absent[0]]!r}: the pool holds no image of it; add some"
            )
        self.rows = torch.as_tensor(rows, device=device)
        tables = (torch.as_tensor(table, device=device) for table in drawer.tables)
        self._order, self._ends, self._cumulative = tables
        self._stored: np.ndarray | Tensor = samples.images
        if device.type != "cpu":
            moved = np.array(samples.images)
            # As int16, since torch cannot index uint16.
            bits = moved.view(np.int16) if moved.dtype == np.uint16 else moved
            self._stored = torch.as_tensor(bits, device=device)
        self._deep = samples.images.dtype == np.uint16
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device)[:, None, None]
        self._std = torch.tensor(std, dtype=torch.float32, device=device)[:, None, None]

    def draw(self, classes: Tensor) -> Tensor:
        """For each of `classes` (B,) the index of one of its images, int64 (B,), as
        `ClassDrawer.draw` does."""
        ends = self._ends[classes]
        starts = torch.where(classes > 0, self._ends[classes - 1], 0)
        low, high = self._cumulative[starts], self._cumulative[ends]
        unit = torch.rand(len(classes), dtype=low.dtype, device=low.device)
        ranks = torch.searchsorted(self._cumulative, low + unit * (high - low), right=True) - 1
        return self._order[torch.minimum(torch.maximum(ranks, starts), ends - 1)]

    def images(self, picks: Tensor, dtype: torch.dtype) -> Tensor:
        """The images at `picks` as a batch of `dtype` has them: stored integers, or normalised
        floats."""
        if isinstance(self._stored, Tensor):
            stored = self._stored[picks]
            stored = stored.view(torch.uint16) if self._deep else stored
        else:
            stored = torch.from_numpy(self._stored[picks.numpy()])
        if not dtype.is_floating_point:
            return stored
        return ((to_float(stored, stored.device) - self._mean) / self._std).to(dtype)
