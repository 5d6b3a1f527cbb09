"""The nearest of one set of images to each of another, by Euclidean distance of features."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from synthaug.images import to_float
from synthaug.metrics.features import Features, pixels

CHUNK = 512  # images compared at once


@torch.inference_mode()
def nearest(
    images: np.ndarray, among: np.ndarray, features: Features = pixels
) -> tuple[np.ndarray, np.ndarray]:
    """For each of `images` (M, C, H, W) the index of the nearest one in `among`, the first of
    equals, int64 (M,), and the distance to it, float64 (M,)."""
    index = np.zeros(len(images), dtype=np.int64)
    distance = np.full(len(images), np.inf)
    for start, wanted in _chunks(images, features):
        rows = slice(start, start + len(wanted))
        for offset, part in _chunks(among, features):
            at = torch.cdist(wanted, part).argmin(1)
            # By differences: the shortcut over products is too coarse to tell 0 from little.
            apart = (wanted - part[at]).norm(dim=1).numpy()
            closer = apart < distance[rows]
            distance[rows][closer] = apart[closer]
            index[rows][closer] = offset + at.numpy()[closer]
    return index, distance


def _chunks(images: np.ndarray, features: Features) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, len(images), CHUNK):
        # In double precision the shortcut finds the right one even among near-copies.
        yield start, features(to_float(images[start : start + CHUNK])).double().cpu()
