"""Choose the samples that are fit for a pool: of their class, neither odd nor copied.

Distances are multiples of the usual one: the median distance from a real image to the nearest
other one of its class. What is far for one data set is near for another.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.core import InputError, as_share, device_of, evaluating, expect_labels, expect_number
from synthaug.data import LabelledImages, Samples, expect_labelled
from synthaug.metrics import (
    Features,
    class_probabilities,
    expect_columns,
    extract_features,
    nearest,
    nearest_other,
    pixels,
)

Network = Callable[[Tensor], Tensor]
"""Any function or `nn.Module` from floats (B, C, H, W) in [0, 1] to logits (B, K)."""


def device_for(network: Network, other: torch.device) -> str | torch.device:
    """Return the device to ask a classifier on: that of a network's weights, else `other`."""
    return device_of(network) if isinstance(network, nn.Module) else other


def posterior_of(
    name: str,
    network: Network,
    images: np.ndarray,
    device: str | torch.device,
    classes: int | None,
) -> np.ndarray:
    """Return a classifier's posterior of stored images, float32 (M, K).

    Args:
        name: Name of the classifier in messages.
        network: The classifier.
        images: uint8 or uint16 (M, C, H, W).
        device: Where it is asked.
        classes: The K to expect; None for any.

    Raises:
        InputError: If K differs, or the classifier cannot take the images.
    """
    if not callable(network):
        raise InputError(f"{name}: expected a function of images, got {network!r}")

    with evaluating(network):
        posterior = partial(class_probabilities, name, network)
        rows = extract_features(images, posterior, device=device)
    if classes is not None:
        expect_columns(name, rows, classes)
    return rows.astype(np.float32)


class ClassifierAgreement:
    """A filter that keeps samples in which a classifier sees the class they were made for.

    Args:
        network: From floats (B, C, H, W) in [0, 1] to logits (B, K); asked in evaluation mode. One
            that learned from the same few images is a poor judge: it keeps what it knows already,
            and drops much of what would help.
        confidence: The least probability of the class, 0 to 1.
        device: Where it is asked; default where its weights are.

    Raises:
        InputError: If the confidence is out of range, or on use the network has other classes.

    Examples:
        >>> samples = Samples(np.zeros((2, 1, 8, 8), np.uint8), [0, 1])
        >>> always_zero = lambda images: torch.tensor([[4.0, 0.0]]).repeat(len(images), 1)
        >>> ClassifierAgreement(always_zero).keep(samples, None).tolist()
        [True, False]
    """

    def __init__(
        self,
        network: Network,
        confidence: float = 0.0,
        device: str | torch.device | None = None,
    ) -> None:
        self.network, self.device = network, device
        self.confidence = as_share("confidence", confidence)

    def __repr__(self) -> str:
        return f"ClassifierAgreement(confidence={self.confidence})"

    def keep(self, samples: Samples, reference: LabelledImages | None) -> np.ndarray:
        """Tell which samples to keep.

        Args:
            samples: Synthetic images, (M, C, H, W).
            reference: Real images, which only give the number of classes, K; None takes it from
                the network's answer.

        Returns:
            Bool (M,), true where the most likely class is the sample's own, and likely enough.

        Raises:
            InputError: If the network does not answer with K columns, or a label has no column.
        """
        classes = None if reference is None else len(reference.classes)
        device = self.device or device_of(self.network)
        posterior = posterior_of("network", self.network, samples.images, device, classes)
        expect_labels("network: labels", samples.labels, posterior.shape[1])
        of_class = posterior[np.arange(len(samples)), samples.labels]
        passes: np.ndarray = posterior.argmax(1) == samples.labels
        passes &= of_class >= self.confidence
        return passes


class DistanceFilter:
    """A filter that drops samples that are far from every real image of their class.

    Args:
        at_most: Times the usual distance, the median from a real image to the nearest other one of
            the class.
        features: Space of the distances, as for `synthaug.metrics.extract_features`.

    Raises:
        InputError: If the limit is not above 0, or on use a class has fewer than two real images.

    Examples:
        >>> steps = np.arange(4, dtype=np.uint8)[:, None, None, None]
        >>> images = np.full((4, 1, 8, 8), 9, np.uint8) + steps
        >>> real = LabelledImages(images, [0, 0, 1, 1], ["a", "b"])
        >>> samples = Samples(np.stack([real.images[0] + 1, real.images[0] + 90]), [0, 0])
        >>> DistanceFilter().keep(samples, real).tolist()
        [True, False]
    """

    def __init__(self, at_most: float = 2.0, features: Features = pixels) -> None:
        expect_number("at_most", at_most)
        self.at_most, self.features, self._usual = float(at_most), features, _UsualDistances()

    def __repr__(self) -> str:
        return f"DistanceFilter(at_most={self.at_most})"

    def keep(self, samples: Samples, reference: LabelledImages) -> np.ndarray:
        """Tell which samples to keep.

        Args:
            samples: Synthetic images, (M, C, H, W).
            reference: Real images of the same form and classes, at least two of each class that
                occurs.

        Returns:
            Bool (M,), true where a sample is near enough to a real image of its class.

        Raises:
            InputError: If samples and real images differ in form, or a class has too few.
        """
        distances = _relative_distances(samples, reference, self.features, self._usual)
        return distances <= self.at_most


class MemorizationFilter:
    """A filter that drops samples that are nearly a real image of their class.

    Args:
        at_least: Times the usual distance, the median from a real image to the nearest other one of
            the class.
        features: Space of the distances, as for `synthaug.metrics.extract_features`.

    Raises:
        InputError: If the limit is not above 0, or on use a class has fewer than two real images.

    Examples:
        >>> steps = np.arange(4, dtype=np.uint8)[:, None, None, None]
        >>> images = np.full((4, 1, 8, 8), 9, np.uint8) + steps
        >>> real = LabelledImages(images, [0, 0, 1, 1], ["a", "b"])
        >>> samples = Samples(np.stack([real.images[0], real.images[0] + 90]), [0, 0])
        >>> MemorizationFilter().keep(samples, real).tolist()
        [False, True]
    """

    def __init__(self, at_least: float = 0.25, features: Features = pixels) -> None:
        expect_number("at_least", at_least)
        self.at_least, self.features, self._usual = float(at_least), features, _UsualDistances()

    def __repr__(self) -> str:
        return f"MemorizationFilter(at_least={self.at_least})"

    def keep(self, samples: Samples, reference: LabelledImages) -> np.ndarray:
        """Tell which samples to keep.

        Args:
            samples: Synthetic images, (M, C, H, W).
            reference: Real images of the same form and classes, at least two of each class that
                occurs.

        Returns:
            Bool (M,), true where a sample is far enough from every real image of its class.

        Raises:
            InputError: If samples and real images differ in form, or a class has too few.
        """
        distances = _relative_distances(samples, reference, self.features, self._usual)
        return distances >= self.at_least


LIMITS: dict[str, Callable[[float], "DistanceFilter | MemorizationFilter"]] = {
    "distance": DistanceFilter,
    "memorization": MemorizationFilter,
}


def limit_filters(limits: Mapping[str, float]) -> "list[DistanceFilter | MemorizationFilter]":
    """Return filters by name, each with its limit in times the usual distance.

    Args:
        limits: "distance" or "memorization", and the limit of each.

    Raises:
        InputError: If a name is unknown, or a limit out of range.

    Examples:
        >>> limit_filters({"distance": 2.0})[0].at_most
        2.0
    """
    unknown = [name for name in limits if name not in LIMITS]
    if unknown:
        raise InputError(f"filters: expected {' or '.join(LIMITS)}, got {unknown[0]!r}")
    return [LIMITS[name](limit) for name, limit in limits.items()]


def compares_pixels(rule: object) -> bool:
    """Tell whether a filter goes by the pixels of the real images alone."""
    return type(rule) in (DistanceFilter, MemorizationFilter) and vars(rule)["features"] is pixels


class _UsualDistances:
    """The usual distances of the real images that were asked about last.

    A pool is filled in many rounds, and most of the work is the same in each.
    """

    def __init__(self) -> None:
        self._reference: LabelledImages | None = None
        self._features: Features | None = None
        self._by_label: dict[int, float] = {}

    def distance(self, reference: LabelledImages, features: Features, label: int) -> float:
        """Return the median distance from an image of a class to the nearest other one of it.

        Raises:
            InputError: If the class has fewer than two.
        """
        if self._reference is not reference or self._features is not features:
            self._reference, self._features, self._by_label = reference, features, {}
        if label not in self._by_label:
            # An image that is there twice says nothing of how far apart images usually are.
            other = np.unique(reference.images[reference.labels == label], axis=0)
            if len(other) < 2:
                raise InputError(
                    f"reference: class {reference.classes[label]!r} has {len(other)} different "
                    "images, expected at least 2 to tell what is usual"
                )
            self._by_label[label] = float(np.median(nearest_other(other, features)))
        return self._by_label[label]


def _relative_distances(
    samples: Samples, reference: LabelledImages, features: Features, usual: _UsualDistances
) -> np.ndarray:
    """Return the distance of each sample to the nearest real image of its class, float64 (M,).

    In multiples of the usual distance.

    Raises:
        InputError: If a class has fewer than two real images.
    """
    expect_labelled("reference", reference)
    if not isinstance(samples, Samples):
        raise InputError(f"samples: expected Samples, got {type(samples).__name__}")
    expect_labels("labels", samples.labels, len(reference.classes))
    kinds = [(each.images.dtype, each.images.shape[1:]) for each in (samples, reference)]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"reference: expected {kinds[0][0]} images {kinds[0][1]} like the samples, got "
            f"{kinds[1][0]} {kinds[1][1]}"
        )
    distances = np.empty(len(samples))
    for label in np.unique(samples.labels):
        usual_distance = usual.distance(reference, features, int(label))
        real, of_class = reference.images[reference.labels == label], samples.labels == label
        distances[of_class] = nearest(samples.images[of_class], real, features)[1]
        distances[of_class] /= max(usual_distance, 1e-12)
    return distances
