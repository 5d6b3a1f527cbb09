"""Scores of a trained classifier on labelled images."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from synthaug.classifiers.networks import layout_for
from synthaug.core import (
    InputError,
    device_of,
    evaluating,
    expect_count,
    mixed_precision,
    resolve_device,
)
from synthaug.data import LabelledImages, expect_images, expect_labelled, to_float
from synthaug.metrics import class_probabilities, expect_columns

BALANCED = "balanced accuracy"


@dataclass(frozen=True)
class Scores:
    """How a classifier did on a set of images.

    accuracy: share of all images. balanced_accuracy: mean over classes of `per_class`, the share
    of each class's images that were recognised (NaN for a class without images, left out of the
    mean).
    """

    accuracy: float
    balanced_accuracy: float
    per_class: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, right: np.ndarray, classes: int) -> "Scores":
        """From the labels, integers (N,), and whether each was recognised, bool (N,)."""
        hits = np.bincount(labels, weights=right, minlength=classes)
        with np.errstate(invalid="ignore"):
            per_class = hits / np.bincount(labels, minlength=classes)
        return cls(float(right.mean()), float(np.nanmean(per_class)), per_class)

    def by(self, metric: str) -> float:
        """The score in "accuracy" or "balanced accuracy"."""
        return self.balanced_accuracy if metric == BALANCED else self.accuracy


def resolution(labels: np.ndarray, metric: str) -> float:
    """Percentage points that scores on images with these labels, integers (N,), move by where one
    image is right or not: 100 / N, or for the balanced accuracy of K classes the root of the sum of
    squares of 100 / (K N_k), in which rare classes count most.

    >>> resolution(np.array([0] * 90 + [1] * 10), "accuracy")
    1.0
    >>> round(resolution(np.array([0] * 90 + [1] * 10), BALANCED), 2)
    5.03
    """
    if metric != BALANCED:
        return 100 / len(labels)
    present = np.unique(labels, return_counts=True)[1]
    return float(np.linalg.norm(100 / (len(present) * present)))


class ImageError(NamedTuple):
    """What a difference of two scores owes to the images that it is measured on.

    points: its standard error, in percentage points. freedom: how many degrees of freedom that is
    known with.
    """

    points: float
    freedom: float


def error_of_images(
    differences: np.ndarray, labels: np.ndarray, metric: str, groups: np.ndarray | None = None
) -> ImageError | None:
    """What a difference of two scores owes to the images that it is measured on: the linearised
    error of a mean, or for the balanced accuracy of a mean of class means (Särndal et al. 1992).

    Images of one group count as one draw. Of a class with one draw the deviation is taken from the
    mean of the other classes (collapsed strata, Cochran 1977). A few draws of a rare class may make
    most of the error, and tell it as badly as few do (Satterthwaite 1946). None for one draw in
    all.

    differences: of the two for each image, float (N,), each from -1 to 1. labels: integers (N,).
    groups: (N,) or None.

    >>> half = np.array([0, 1] * 50)
    >>> error = error_of_images(half, np.zeros(100, int), "accuracy")
    >>> round(error.points, 2), error.freedom  # 100 sqrt(1/4 / 99)
    (5.03, 99.0)
    """
    strata = labels if metric == BALANCED else np.zeros_like(labels)
    _, of_class, counts = np.unique(strata, return_inverse=True, return_counts=True)
    ids = np.arange(len(labels)) if groups is None else groups
    _, of_group = np.unique(ids, return_inverse=True)
    classes = len(counts)
    # What a group has of a class is one draw of that class.
    pairs, of_draw = np.unique(of_group * classes + of_class, return_inverse=True)
    group_drawn, class_drawn = np.divmod(pairs, classes)
    draws = np.bincount(class_drawn)
    if len(pairs) < 2:
        return None
    means = np.bincount(of_class, weights=differences) / counts
    others = (means.sum() - means) / max(1, classes - 1)
    apart = differences - np.where(draws == 1, others, means)[of_class]
    freedoms = np.maximum(1, draws - 1)
    scales = np.sqrt(draws / freedoms) / (classes * counts)
    parts = np.bincount(of_draw, weights=apart) * scales[class_drawn]
    error = np.linalg.norm(np.bincount(group_drawn, weights=parts))
    variances = np.bincount(class_drawn, weights=parts**2)
    spread = np.sum(variances**2 / freedoms)
    freedom = variances.sum() ** 2 / spread if spread else freedoms.sum()
    return ImageError(100 * float(error), float(freedom))


def predict(
    network: nn.Module, images: np.ndarray, *, device: str = "auto", batch_size: int = 64
) -> np.ndarray:
    """What a classifier makes of images: class probabilities, float32 (N, K).

    network: as for `evaluate`; asked on `device` in evaluation mode, and then where and as it was.
    images: uint8 or uint16 (N, C, H, W), at least one.
    batch_size: images at once; many large ones take a processor longer, since memory for what
        layers make of them is asked for anew each time.

    Raises `InputError` for what are no images, or none that the network can take.

    >>> from synthaug import read_images, train_classifier
    >>> images = read_images("digits")
    >>> network = train_classifier(images, steps=2, device="cpu")
    >>> predict(network, images.images[:3], device="cpu").shape
    (3, 10)
    """
    if not isinstance(network, nn.Module):
        raise InputError(f"network: expected a torch module, got {type(network).__name__}")
    images = expect_images(images)
    if not len(images):
        raise InputError("images: expected at least one, got none")
    expect_count("batch_size", batch_size)
    with asking(network, device) as where:
        layout = layout_for(network, where)
        parts = []
        for start in range(0, len(images), batch_size):
            floats = to_float(images[start : start + batch_size], where)
            laid_out = floats.contiguous(memory_format=layout)
            parts.append(class_probabilities("network", network, laid_out).cpu().numpy())
    return np.concatenate(parts)


@contextmanager
def asking(network: nn.Module, device: str) -> Iterator[torch.device]:
    """Within the block the network is on the device, which it yields, to be asked in evaluation
    mode; after it, where and as it was."""
    where, home = resolve_device(device), device_of(network)
    try:
        network.to(where)
        with torch.inference_mode(), mixed_precision(where), evaluating(network):
            yield where
    finally:
        network.to(home)


def evaluate(network: nn.Module, data: LabelledImages, *, device: str = "auto") -> Scores:
    """Score a classifier on labelled images.

    network: from float32 (B, C, H, W) in [0, 1] to logits (B, K), as `train_classifier` gives it.
    device: where it is asked, in evaluation mode: "auto" (a GPU where there is one), "cpu",
        "cuda:0". Afterwards it is where and as it was.

    Raises `InputError` for what are no labelled images, or none, and for a network of other
    classes.

    >>> from synthaug import read_images, train_classifier
    >>> from synthaug.classifiers import evaluate
    >>> network = train_classifier(read_images("digits"), steps=2, device="cpu")
    >>> scores = evaluate(network, read_images("digits", split="test"), device="cpu")
    >>> len(scores.per_class)
    10
    """
    expect_labelled("data", data)
    if not len(data):
        raise InputError("data: expected images to score, got none")
    found, classes = predict(network, data.images, device=device), len(data.classes)
    expect_columns("network", found, classes)
    return Scores.of(data.labels, found.argmax(1) == data.labels, classes)
