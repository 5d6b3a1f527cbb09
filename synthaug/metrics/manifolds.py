"""Measure how likely synthetic images are, and how much of the real ones they reach."""

from typing import NamedTuple

import numpy as np
import torch

from synthaug.core import InputError, expect_count
from synthaug.metrics.features import as_features


class Prdc(NamedTuple):
    """Precision, recall, density and coverage.

    Precision and density say how likely synthetic images are, recall and coverage how much of the
    real ones they reach. Only density can be above 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: np.ndarray, synthetic: np.ndarray, *, nearest: int = 5) -> Prdc:
    """Compute precision, recall, density and coverage of two sets of features.

    A ball is put around each image, as wide as the distance to the `nearest`-th nearest of its
    kind. Precision is the share of synthetic images in some real ball, recall that of real images
    in some synthetic ball. Density counts the real balls around a synthetic image, over `nearest`.
    Coverage is the share of real balls with a synthetic image in them.

    Args:
        real: float (N, D), as of `extract_features`.
        synthetic: float (M, D).
        nearest: The neighbour that sets the width of a ball.

    Returns:
        The four figures.

    Raises:
        InputError: If features do not match, or there are fewer than `nearest` + 1 images.

    References:
        Improved Precision and Recall Metric for Assessing Generative Models, arXiv 1904.06991.
        Reliable Fidelity and Diversity Metrics for Generative Models, arXiv 2002.09797.

    Examples:
        >>> points = np.random.default_rng(0).normal(size=(100, 2))
        >>> prdc(points, points + 100.0)
        Prdc(precision=0.0, recall=0.0, density=0.0, coverage=0.0)
    """
    real, synthetic = as_features(real=real, synthetic=synthetic)
    expect_count("nearest", nearest)
    fewest = min(len(real), len(synthetic))
    if nearest >= fewest:
        raise InputError(f"nearest: expected 1 to {fewest - 1} for {fewest} images, got {nearest}")
    real_width, synthetic_width = radii(real, nearest), radii(synthetic, nearest)
    apart = _distances(real, synthetic)
    in_real = apart < real_width[:, None]
    return Prdc(
        precision=float(in_real.any(0).mean()),
        recall=float((apart < synthetic_width[None, :]).any(1).mean()),
        density=float(in_real.sum(0).mean() / nearest),
        coverage=float((apart.min(1) < real_width).mean()),
    )


def radii(points: np.ndarray, nearest: int) -> np.ndarray:
    """Return the distance of each row (N, D) to its `nearest`-th nearest other, float64 (N,)."""
    apart = _distances(points, points)
    np.fill_diagonal(apart, 0.0)  # a point is its own nearest, but for rounding
    widths: np.ndarray = np.partition(apart, nearest, axis=1)[:, nearest]
    return widths


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    # In single precision the shortcut over products is too coarse far from the origin.
    first, second = (torch.from_numpy(np.asarray(each, np.float64)) for each in (one, other))
    distances: np.ndarray = torch.cdist(first, second).numpy()
    return distances
