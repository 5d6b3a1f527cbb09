"""Labels of synthetic images: their class, or rows of probabilities.

A pool on a device, to be drawn from without asking the device for anything.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from synthaug.core import ClassDrawer, InputError, one_hot
from synthaug.data import Samples, take, to_tensor
from synthaug.pool import SamplePool

Labels = Literal["hard", "soft", "mixed"]
SOFT_SHARE = 0.5  # of a mixed label (DM-KD: half one-hot, half posterior)


def check_labels(labels: str) -> None:
    """Raise `InputError` for what is no label rule."""
    if labels not in get_args(Labels):
        raise InputError(f"labels: expected one of {', '.join(get_args(Labels))}, got {labels!r}")


def mixed_labels(labels: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """Half of each one-hot label replaced by its soft row, float32 (M, K)."""
    mixed: np.ndarray = (1 - SOFT_SHARE) * one_hot(labels, soft.shape[1]) + SOFT_SHARE * soft
    return mixed


def label_rows(samples: Samples, classes: int, labels: str) -> np.ndarray:
    """The samples' labels as rows of probabilities under a rule, float32 (M, K): "hard" is one-hot,
    "soft" the samples' own soft labels, "mixed" half of each.

    Raises `InputError` where the rule needs soft labels and there are none.
    """
    check_labels(labels)
    if labels == "hard":
        return one_hot(samples.labels, classes)
    if samples.soft_labels is None:
        raise InputError(
            f"labels={labels!r}: the pool holds no soft labels; make it with "
            "SamplePool.create(..., teacher=network), of images made elsewhere with "
            "SamplePool.from_samples(..., Samples(images, labels, soft_labels), ...), or use "
            "labels='hard'"
        )
    soft = np.asarray(samples.soft_labels)
    return soft if labels == "soft" else mixed_labels(samples.labels, soft)


_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


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
        order, ends, cumulative = (torch.as_tensor(table, device=device) for table in drawer.tables)
        self._order, self._cumulative = order, cumulative
        # Of each class: its first and last place in that order, and the weights that it spans.
        self._first, self._last = ends.roll(1), ends - 1
        self._first[0] = 0
        self._low = cumulative[self._first]
        self._span = cumulative[ends] - self._low
        top = float(np.iinfo(samples.images.dtype).max)
        means, stds = (
            torch.tensor(each, dtype=torch.float32, device="cpu")[:, None, None]
            for each in (mean, std)
        )
        # Stored integers times scale plus shift are normalised floats.
        self._scale, self._shift = 1 / (top * stds), -means / stds
        self._stored = samples.images
        self._moved: Tensor | None = None
        if device.type != "cpu":
            self._scale, self._shift = self._scale.to(device), self._shift.to(device)
            self._moved = to_tensor(samples.images).to(device)

    def draw(self, classes: Tensor) -> Tensor:
        """For each of `classes` (B,) the index of one of its images, int64 (B,), as
        `ClassDrawer.draw` does."""
        low = self._low[classes]
        unit = torch.rand(len(classes), dtype=low.dtype, device=low.device)
        at = torch.addcmul(low, unit, self._span[classes])
        ranks = torch.searchsorted(self._cumulative, at, right=True) - 1
        return self._order[ranks.clamp(self._first[classes], self._last[classes])]

    def put(self, images: Tensor, places: Tensor, picks: Tensor) -> None:
        """`images[places]` become the pool's images at `picks`, in the form of the batch: stored
        integers, or normalised floats."""
        if self._moved is None and images.dtype in (torch.float32, torch.float64):
            self._put_rows(images.numpy(), places.tolist(), picks.tolist())
            return
        made = self._gather(picks)
        if images.is_floating_point():
            made = (made.float() * self._scale + self._shift).to(images.dtype)
        to, what = (tensor.view(_BITS[images.itemsize]) for tensor in (images, made))
        to.index_copy_(0, places, what)

    def _put_rows(self, images: np.ndarray, places: list[int], picks: list[int]) -> None:
        """One by one, so that each stays in the CPU's cache: several times faster than at once."""
        scale, shift = _plain(self._scale), _plain(self._shift)
        unshifted = not np.any(shift)
        for place, pick in zip(places, picks, strict=True):
            row = images[place]
            row[...] = self._stored[pick]
            row *= scale
            if not unshifted:
                row += shift

    def _gather(self, picks: Tensor) -> Tensor:
        if self._moved is None:
            return torch.from_numpy(self._stored[picks.numpy()])
        return take(self._moved, picks)


def _plain(factors: Tensor) -> np.ndarray | np.float32:
    """One number as such, which numpy applies to a whole image at once."""
    array: np.ndarray = factors.numpy()
    return array if array.size > 1 else np.float32(array.item())
