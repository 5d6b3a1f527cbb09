"""Examples of real and synthetic images for a person to look at."""

import math
from dataclasses import dataclass

import numpy as np

from synthaug.images import LabelledImages, Samples, span_of
from synthaug.metrics.nearest import nearest


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images for the page: real ones, and synthetic ones each with its nearest real one.

    real: a few of each class.
    synthetic: a few of each class, made by the chosen arm.
    nearest: (M, C, H, W), the nearest training image of each synthetic one.
    distance: (M,), the root mean square pixel difference to it, 1 for black against white.
    """

    real: LabelledImages
    synthetic: Samples
    nearest: np.ndarray
    distance: np.ndarray


def choose_pictures(
    train: LabelledImages, samples: Samples, *, per_class: int = 6, classes: int = 12
) -> Pictures:
    """The first `per_class` images and samples of each of the first `classes` classes that have
    any, and the nearest of all training images to each of those samples."""
    shown = np.unique(train.labels)[:classes]
    real = train.subset(_first(train.labels, shown, per_class))
    synthetic = samples.subset(_first(samples.labels, shown, per_class))
    index, distance = nearest(synthetic.images, train.images)
    per_pixel = distance / math.sqrt(math.prod(train.image_shape)) / span_of(train.images)
    return Pictures(real, synthetic, train.images[index], per_pixel)


def _first(labels: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Indices of the first `count` of each class, class by class."""
    found = [np.flatnonzero(labels == label)[:count] for label in classes]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
