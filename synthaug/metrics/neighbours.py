"""The nearest of one set of images to each of another, by Euclidean distance of features."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from synthaug.core import evaluating
from synthaug.metrics.features import Features, describe, pixels

CHUNK = 512  # images compared at once, fewer where they are large
AT_ONCE = 2**26  # bytes that they take at most, in double precision
KEPT = 2**28  # bytes of features, at most, that are kept to compare others with


class Compared:
    """Images to compare others with by features, which are kept where they take little room."""

    def __init__(self, images: np.ndarray, features: Features = pixels) -> None:
        self.images, self.features = images, features
        self._feature_chunks: list[Tensor] = []

    def chunks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield features of some images at a time, float64 (B, D), and the index of the first."""
        byte_count, size = 0, _chunk(self.images)
        for number, start in enumerate(range(0, len(self.images), size)):
            if number < len(self._feature_chunks):
                part = self._feature_chunks[number]
            else:
                part = describe(self.images[start : start + size], self.features)
            byte_count += part.nbytes
            if number == len(self._feature_chunks) and byte_count <= KEPT:
                self._feature_chunks.append(part)
            yield start, part


def nearest(
    images: np.ndarray, among: np.ndarray, features: Features = pixels
) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest image in `among` for each of `images` (M, C, H, W).

    Returns:
        Its index, int64 (M,), one of them where there are equals, and the distance, float64 (M,).
    """
    return nearest_of(images, Compared(among, features))


def nearest_of(images: np.ndarray, among: Compared) -> tuple[np.ndarray, np.ndarray]:
    """Find nearest images as `nearest` does, for several sets compared with the same ones."""
    return _nearest(images, among, others=False)


def nearest_other(images: np.ndarray, features: Features = pixels) -> np.ndarray:
    """Return the distance from each image to the nearest other one, float64 (N,)."""
    return _nearest(images, Compared(images, features), others=True)[1]


def _nearest(images: np.ndarray, among: Compared, *, others: bool) -> tuple[np.ndarray, np.ndarray]:
    """Find nearest images; with `others` the two sets are one, and none is its own neighbour."""
    index = np.zeros(len(images), dtype=np.int64)
    distance = np.full(len(images), np.inf)
    size = _chunk(images)
    with torch.inference_mode(), evaluating(among.features):
        for start in range(0, len(images), size):
            # In double precision the shortcut finds the right one even among near-copies.
            queries = describe(images[start : start + size], among.features)
            rows = slice(start, start + len(queries))
            for offset, part in among.chunks():
                about = torch.cdist(queries, part)
                if others:
                    about.diagonal(start - offset).fill_(math.inf)
                least, at = about.min(1)
                # By differences: the shortcut over products is too coarse to tell 0 from little.
                apart = (queries - part[at]).norm(dim=1).where(least.isfinite(), least).numpy()
                closer = apart < distance[rows]
                distance[rows][closer] = apart[closer]
                index[rows][closer] = offset + at.numpy()[closer]
    return index, distance


def _chunk(images: np.ndarray) -> int:
    """Return how many such images are compared at once."""
    return max(1, min(CHUNK, AT_ONCE // (8 * math.prod(images.shape[1:]))))
