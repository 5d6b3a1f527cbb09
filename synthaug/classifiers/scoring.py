"""Score a trained classifier on labelled images."""

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
    """The scores of a classifier on a set of images.

    Attributes:
        accuracy: Share of all images that were recognised, 0 to 1.
        balanced_accuracy: Mean of `per_class` over the classes with images.
        per_class: Share of each class's images that were recognised, float64 (K,); NaN for a class
            without images.
    """

    accuracy: float
    balanced_accuracy: float
    per_class: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, right: np.ndarray, classes: int) -> "Scores":
        """Compute the scores from labels, integers (N,), and hits, bool (N,)."""
        hits = np.bincount(labels, weights=right, minlength=classes)
        with np.errstate(invalid="ignore"):
            per_class = hits / np.bincount(labels, minlength=classes)
        return cls(float(right.mean()), float(np.nanmean(per_class)), per_class)

    def by(self, metric: str) -> float:
        """Return the score in "accuracy" or "balanced accuracy"."""
        return self.balanced_accuracy if metric == BALANCED else self.accuracy


def resolution(labels: np.ndarray, metric: str) -> float:
    """Return the percentage points that one image is worth.

    That is 100 / N, or for the balanced accuracy of K classes the root of the sum of squares of
    100 / (K N_k), in which rare classes count most.

    Args:
        labels: Integers (N,).
        metric: "accuracy" or "balanced accuracy".

    Examples:
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
    """The error of a difference of two scores that comes from the choice of images.

    Attributes:
        points: Standard error, in percentage points.
        freedom: Degrees of freedom of that estimate.
    """

    points: float
    freedom: float


def error_of_images(
    differences: np.ndarray, labels: np.ndarray, metric: str, groups: np.ndarray | None = None
) -> ImageError | None:
    """Estimate the error of a difference of two scores that comes from the choice of images.

    It is the linearised error of a mean, or for the balanced accuracy of a mean of class means.
    Images of one group count as one draw. The deviation of a class with one draw is taken from the
    mean of the other classes (collapsed strata). A few draws of a rare class may make most of the
    error, and tell it as badly as few do.

    Args:
        differences: Of the two classifiers for each image, float (N,), each from -1 to 1.
        labels: Integers (N,).
        metric: "accuracy" or "balanced accuracy".
        groups: (N,), or None where each image is a group.

    Returns:
        The error; None for one draw in all.

    References:
        Särndal et al., Model Assisted Survey Sampling (1992). Cochran, Sampling Techniques (1977).
        Satterthwaite, An Approximate Distribution of Estimates of Variance Components (1946).

    Examples:
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
    # The images of a group in a class are one draw of that class.
    pairs, of_draw = np.unique(of_group * classes + of_class, return_inverse=True)
    draw_group, draw_class = np.divmod(pairs, classes)
    draws = np.bincount(draw_class)
    if len(pairs) < 2:
        return None
    means = np.bincount(of_class, weights=differences) / counts
    others = (means.sum() - means) / max(1, classes - 1)
    deviations = differences - np.where(draws == 1, others, means)[of_class]
    freedoms = np.maximum(1, draws - 1)
    scales = np.sqrt(draws / freedoms) / (classes * counts)
    parts = np.bincount(of_draw, weights=deviations) * scales[draw_class]
    error = np.linalg.norm(np.bincount(draw_group, weights=parts))
    variances = np.bincount(draw_class, weights=parts**2)
    spread = np.sum(variances**2 / freedoms)
    freedom = variances.sum() ** 2 / spread if spread else freedoms.sum()
    return ImageError(100 * float(error), float(freedom))


def predict(
    network: nn.Module, images: np.ndarray, *, device: str = "auto", batch_size: int = 64
) -> np.ndarray:
    """Return class probabilities of images, float32 (N, K).

    Args:
        network: As for `evaluate`. It runs on `device` in evaluation mode; afterwards it is where
            and as it was.
        images: uint8 or uint16 (N, C, H, W), at least one.
        device: "auto" (a GPU where there is one), "cpu", "cuda:0".
        batch_size: Images at once. Many large ones take a processor longer, since memory for
            activations is allocated anew each time.

    Raises:
        InputError: If the network cannot take the images.

    Examples:
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
    with inference_on(network, device) as target:
        layout = layout_for(network, target)
        parts = []
        for start in range(0, len(images), batch_size):
            floats = to_float(images[start : start + batch_size], target)
            floats = floats.contiguous(memory_format=layout)
            parts.append(class_probabilities("network", network, floats).cpu().numpy())
    return np.concatenate(parts)


@contextmanager
def inference_on(network: nn.Module, device: str) -> Iterator[torch.device]:
    """Move a network to a device, in evaluation mode; afterwards it is where and as it was."""
    target, home = resolve_device(device), device_of(network)
    try:
        network.to(target)
        with torch.inference_mode(), mixed_precision(target), evaluating(network):
            yield target
    finally:
        network.to(home)


def evaluate(network: nn.Module, data: LabelledImages, *, device: str = "auto") -> Scores:
    """Score a classifier on labelled images.

    Args:
        network: From float32 (B, C, H, W) in [0, 1] to logits (B, K), as `train_classifier` returns
            it. It runs in evaluation mode; afterwards it is where and as it was.
        data: The images.
        device: "auto" (a GPU where there is one), "cpu", "cuda:0".

    Returns:
        Accuracy, balanced accuracy and accuracy per class.

    Raises:
        InputError: If there are no images, or the network has other classes.

    Examples:
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
    posterior, classes = predict(network, data.images, device=device), len(data.classes)
    expect_columns("network", posterior, classes)
    return Scores.of(data.labels, posterior.argmax(1) == data.labels, classes)
