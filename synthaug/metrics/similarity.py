"""Measure how alike two images are, pixel by pixel and structure by structure."""

from collections.abc import Iterator

import numpy as np
import torch

from synthaug.core import InputError, expect_count
from synthaug.data import to_float

CHUNK = 32  # pairs at once: each takes some thirty times the memory of its images
SMALLEST_SIDE = 6  # half of the window of 11 is less than a side


def psnr(images: np.ndarray, others: np.ndarray, *, data_range: int | None = None) -> np.ndarray:
    """Compute the peak signal-to-noise ratio of each pair in decibels, float64 (N,).

    Infinite for equals.

    Args:
        images: uint8 or uint16 (N, C, H, W).
        others: The same shape and dtype.
        data_range: From black to white; default all of the type, which is too much for an
            instrument of 12 bits: 4095.

    Returns:
        The ratio of each pair.

    Raises:
        InputError: If the two differ in shape or dtype, or exceed the range.

    Examples:
        >>> psnr(np.zeros((1, 1, 8, 8), np.uint8), np.full((1, 1, 8, 8), 255, np.uint8)).tolist()
        [0.0]
    """
    parts = _pairs(images, others, data_range)
    errors = [(one - other).square().mean((1, 2, 3)).numpy() for one, other in parts]
    error = np.concatenate([np.empty(0), *errors])
    with np.errstate(divide="ignore"):
        decibels: np.ndarray = -10 * np.log10(error)
    return decibels + 0.0


def ssim(images: np.ndarray, others: np.ndarray, *, data_range: int | None = None) -> np.ndarray:
    """Compute the structural similarity of each pair, float64 (N,), 1 for equals.

    With the normal window of 11 pixels, and images reflected at their edges.

    Args:
        images: uint8 or uint16 (N, C, H, W), of at least 6 pixels a side.
        others: The same shape and dtype.
        data_range: From black to white; default all of the type, which is too much for an
            instrument of 12 bits: 4095.

    Returns:
        The similarity of each pair.

    Raises:
        InputError: If the two differ in shape or dtype, exceed the range or are too small.

    References:
        Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity
        (2004).

    Examples:
        >>> image = np.random.default_rng(0).integers(0, 256, (1, 1, 16, 16), dtype=np.uint8)
        >>> ssim(image, image).tolist()
        [1.0]
    """
    from torchmetrics.functional.image import structural_similarity_index_measure  # slow to load

    parts = _pairs(images, others, data_range)
    if not len(images):
        return np.empty(0)
    if min(images.shape[2:]) < SMALLEST_SIDE:
        raise InputError(
            f"expected images of at least {SMALLEST_SIDE} pixels a side, so that they can be "
            f"reflected under the window, got {images.shape[2]}x{images.shape[3]}"
        )
    values = [
        structural_similarity_index_measure(one, other, data_range=1.0, reduction="none")
        for one, other in parts
    ]
    return np.concatenate([np.atleast_1d(np.asarray(each)) for each in values])


def _pairs(
    images: np.ndarray, others: np.ndarray, data_range: int | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield both as float64 (B, C, H, W), of which 1 is white, a few at a time; check at once."""
    for each in (images, others):
        if not isinstance(each, np.ndarray) or each.ndim != 4:
            shape = getattr(each, "shape", "")
            raise InputError(
                f"expected arrays of images (N, C, H, W), got {type(each).__name__} {shape}"
            )
    if images.shape != others.shape or images.dtype != others.dtype:
        raise InputError(
            f"expected pairs of one shape and type, got {images.dtype} {images.shape} and "
            f"{others.dtype} {others.shape}"
        )
    if data_range is not None:
        expect_count("data_range", data_range)
        largest = max(int(each.max(initial=0)) for each in (images, others))
        if largest > data_range:
            raise InputError(
                f"data_range: expected at least {largest}, the largest of the pixels, "
                f"got {data_range}"
            )

    def part(each: np.ndarray, first: int) -> torch.Tensor:
        return to_float(each[first : first + CHUNK], white=data_range).double()

    return ((part(images, at), part(others, at)) for at in range(0, len(images), CHUNK))
