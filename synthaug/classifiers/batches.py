"""Make the batches of a training: real images, synthetic ones in place of some, augmented.

The order of real images is the same for every arm of a seed.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from synthaug.classifiers.train_config import Augmentation, TrainConfig
from synthaug.core import ClassDrawer, InputError, numpy_stream, one_hot, replaced_positions
from synthaug.data import LabelledImages, Samples, span_of, take, to_tensor


class Batches:
    """Augmented batches (images, labels) by step."""

    def __init__(
        self,
        train: LabelledImages,
        soft_labels: np.ndarray | None,
        synthetic: Samples | None,
        ratio: float,
        config: TrainConfig,
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        classes = len(train.classes)
        self._labels = train.labels
        images = train.images
        targets = one_hot(train.labels, classes) if soft_labels is None else soft_labels
        if synthetic is not None:
            # One array, real images first: a batch is one gather (torch cannot assign uint16).
            soft = synthetic.soft_labels
            synthetic_targets = one_hot(synthetic.labels, classes) if soft is None else soft
            images = np.concatenate([images, synthetic.images])
            targets = np.concatenate([targets, synthetic_targets])
            self._drawer = ClassDrawer(synthetic.labels, classes, synthetic.weights)
        self._images = to_tensor(images).to(device)
        self._targets = torch.as_tensor(np.array(targets, dtype=np.float32, order="C")).to(device)
        self._augment = Augmentation(config, classes, span_of(train.images))
        self._size, self._seed, self._device = batch_size, seed, device
        self._count = round(ratio * batch_size) if synthetic is not None else 0
        if self._count:
            _expect_drawable(train, self._drawer)
        class_drawer = ClassDrawer(train.labels, classes) if config.class_balanced else None
        self._order = (
            BalancedOrder(seed, class_drawer) if class_drawer else ShuffledOrder(seed, len(train))
        )

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Return images, float32 (B, C, H, W), and labels, float32 (B, K)."""
        picks = self._order(step * self._size, self._size)
        if self._count:
            rng = numpy_stream(self._seed, "synthetic", step)
            places = replaced_positions(self._size, self._count, rng)
            synthetic_rows = self._drawer.draw(self._labels[picks[places]], rng)
            picks[places] = len(self._labels) + synthetic_rows
        rows = torch.as_tensor(picks).to(self._device)
        return self._augment(take(self._images, rows), self._targets[rows])


def _expect_drawable(train: LabelledImages, drawer: ClassDrawer) -> None:
    """Raise `InputError` for a class that has real images and no synthetic ones.

    Otherwise it would only show when one of them is to be replaced.
    """
    absent = np.setdiff1d(np.flatnonzero(train.counts), drawer.present)
    if len(absent):
        raise InputError(
            "synthetic images: expected some of every class that there are real images of, got "
            f"none of {train.classes[absent[0]]!r} (class {absent[0]}) that may be drawn"
        )


class ShuffledOrder:
    """One permutation of the real images after another, the same for every arm of a seed."""

    def __init__(self, seed: int, images: int) -> None:
        self._images = images
        self._epoch = cache(lambda epoch: numpy_stream(seed, "order", epoch).permutation(images))

    def __call__(self, start: int, count: int) -> np.ndarray:
        """Return `count` indices from place `start` of the order on, int64."""
        epochs = range(start // self._images, (start + count - 1) // self._images + 1)
        indices = np.concatenate([self._epoch(epoch) for epoch in epochs])
        offset = start % self._images
        return indices[offset : offset + count]


class BalancedOrder:
    """An order of real images in which every class comes equally often."""

    def __init__(self, seed: int, drawer: ClassDrawer) -> None:
        self._seed, self._drawer = seed, drawer

    def __call__(self, start: int, count: int) -> np.ndarray:
        """Return `count` indices from place `start` of the order on, int64."""
        rng = numpy_stream(self._seed, "balanced order", start)
        classes = self._drawer.present[(start + np.arange(count)) % len(self._drawer.present)]
        return self._drawer.draw(rng.permutation(classes), rng)
