"""Measure how far the distribution of synthetic images is from that of real ones, in features."""

import numpy as np

from synthaug.core import expect_count, numpy_stream
from synthaug.metrics.features import as_features


def frechet_distance(real: np.ndarray, synthetic: np.ndarray) -> float:
    """Compute the Fréchet distance of the normal distributions that fit two sets of features.

    It is the FID where the features are those of Inception. Zero for equal sets. With fewer images
    than features it is biased upwards: compare only sets of one size.

    Args:
        real: float (N, D), as of `extract_features`.
        synthetic: float (M, D).

    Returns:
        The distance, at least 0.

    Raises:
        InputError: If the features do not match.

    References:
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium,
        arXiv 1706.08500.

    Examples:
        >>> points = np.random.default_rng(0).normal(size=(500, 3))
        >>> round(frechet_distance(points, points + [2.0, 0.0, 0.0]), 3)
        4.0
    """
    real, synthetic = as_features(real=real, synthetic=synthetic)
    apart = real.mean(0) - synthetic.mean(0)
    one, other = (_deviations(each) for each in (real, synthetic))
    # The trace of (C1 C2)^(1/2), where C1 = one' one and C2 = other' other. The eigenvalues of
    # C1 C2 are the squared singular values of one other', which no root of a matrix has to be
    # taken for, and which is small where there are fewer images than features.
    overlap = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    return float(max(apart @ apart + (one**2).sum() + (other**2).sum() - 2 * overlap, 0.0))


def _deviations(features: np.ndarray) -> np.ndarray:
    """Return at most D rows whose products are the covariance of features (N, D)."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return np.asarray(centred)
    return np.asarray(np.linalg.qr(centred, mode="r"))


def kernel_distance(
    real: np.ndarray,
    synthetic: np.ndarray,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> float:
    """Compute the squared maximum mean discrepancy under the kernel (x·y / D + 1)^3, without bias.

    It is the KID where the features are those of Inception. For samples of one distribution it is
    about zero, and below it by chance, whatever their size.

    Args:
        real: float (N, D), as of `extract_features`.
        synthetic: float (M, D).
        subsets: Number of random subsets that it is the mean over.
        subset_size: Images of each side in one, 2 or more; all of the smaller side where there are
            fewer.
        seed: Settles which images are in which.

    Returns:
        The discrepancy.

    Raises:
        InputError: If the features do not match, or there are no subsets, or subsets of one.

    References:
        Demystifying MMD GANs, arXiv 1801.01401.

    Examples:
        >>> points = np.random.default_rng(0).normal(size=(500, 3))
        >>> abs(kernel_distance(points[:250], points[250:])) < 0.05
        True
        >>> kernel_distance(points, points + 2) > 1
        True
    """
    real, synthetic = as_features(real=real, synthetic=synthetic)
    expect_count("subsets", subsets)
    expect_count("subset_size", subset_size, least=2)
    size = min(subset_size, len(real), len(synthetic))
    if size == len(real) == len(synthetic):  # each subset is all of them
        subsets = 1
    rng = numpy_stream(seed, "kernel distance")
    estimates = []
    for _ in range(subsets):
        x = real[rng.choice(len(real), size, replace=False)]
        y = synthetic[rng.choice(len(synthetic), size, replace=False)]
        within = (_kernel(x, x), _kernel(y, y))
        same = sum((k.sum() - np.trace(k)) / (size * (size - 1)) for k in within)
        estimates.append(same - 2 * _kernel(x, y).mean())
    return float(np.mean(estimates))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    values: np.ndarray = (x @ y.T / x.shape[1] + 1) ** 3
    return values
