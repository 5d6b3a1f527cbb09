"""Keep a pool on a device, to draw from it without waiting for the device.

Labels of synthetic images are their class, or rows of probabilities.
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
    """Raise `InputError` for an unknown rule of labels."""
    if labels not in get_args(Labels):
        raise InputError(f"labels: expected one of {', '.join(get_args(Labels))}, got {labels!r}")


def mixed_labels(labels: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """Replace half of each one-hot label by its soft row, float32 (M, K)."""
    rows: np.ndarray = (1 - SOFT_SHARE) * one_hot(labels, soft.shape[1]) + SOFT_SHARE * soft
    return rows


def label_rows(samples: Samples, classes: int, labels: str) -> np.ndarray:
    """Return the samples' labels as rows of probabilities, float32 (M, K).

    Args:
        samples: The samples.
        classes: Number of classes, K.
        labels: "hard" for one-hot, "soft" for the samples' own soft labels, "mixed" for half of
            each.

    Raises:
        InputError: If soft labels are needed and there are none.
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


class DevicePool:
    """A pool's images and labels on a device; on the CPU its images stay mapped from the disk.

    Args:
        pool: The pool.
        rows: Labels of its images as probabilities, float32 (M, K).
        mean: Mean that float images are normalised with, one number or one a channel.
        std: Standard deviation, the same.
        device: The device.

    Raises:
        InputError: If a class has no images.
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
        # First and last place of each class in that order, and the weights that it spans.
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
        self._pool_images = samples.images
        self._device_images: Tensor | None = None
        if device.type != "cpu":
            self._scale, self._shift = self._scale.to(device), self._shift.to(device)
            self._device_images = to_tensor(samples.images).to(device)

    def draw(self, classes: Tensor) -> Tensor:
        """Draw the index of an image of each of `classes` (B,), int64 (B,)."""
        low = self._low[classes]
        unit = torch.rand(len(classes), dtype=low.dtype, device=low.device)
        at = torch.addcmul(low, unit, self._span[classes])
        ranks = torch.searchsorted(self._cumulative, at, right=True) - 1
        return self._order[ranks.clamp(self._first[classes], self._last[classes])]

    def put(self, images: Tensor, places: Tensor, picks: Tensor) -> None:
        """Put the pool's images at `picks` into `images[places]`, in the form of the batch.

        That is stored integers, or normalised floats.
        """
        if self._device_images is None and images.dtype in (torch.float32, torch.float64):
            self._put_rows(images.numpy(), places.tolist(), picks.tolist())
            return
        samples = self._gather(picks)
        if images.is_floating_point():
            samples = (samples.float() * self._scale + self._shift).to(images.dtype)
        target, source = (tensor.view(_BITS[images.itemsize]) for tensor in (images, samples))
        target.index_copy_(0, places, source)

    def _put_rows(self, images: np.ndarray, places: list[int], picks: list[int]) -> None:
        """Copy images one by one: each stays in the CPU's cache, which is much faster."""
        scale, shift = _as_numbers(self._scale), _as_numbers(self._shift)
        has_no_shift = not np.any(shift)
        for place, pick in zip(places, picks, strict=True):
            row = images[place]
            row[...] = self._pool_images[pick]
            row *= scale
            if not has_no_shift:
                row += shift

    def _gather(self, picks: Tensor) -> Tensor:
        if self._device_images is None:
            return torch.from_numpy(self._pool_images[picks.numpy()])
        return take(self._device_images, picks)


def _as_numbers(factors: Tensor) -> np.ndarray | np.float32:
    """Return a single number as such, which numpy applies to a whole image at once."""
    array: np.ndarray = factors.numpy()
    return array if array.size > 1 else np.float32(array.item())
