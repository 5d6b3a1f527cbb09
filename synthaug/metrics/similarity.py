"""How alike two images are, pixel by pixel and structure by structure."""

import numpy as np

from synthaug.errors import InputError
from synthaug.images import to_float

SMALLEST_SIDE = 6  # half of the window of 11 is less than a side


def psnr(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio of each pair in decibels, float64 (N,); infinite for equals.

    images, others: uint8 or uint16 (N, C, H, W).

    Raises `InputError` where the two differ in shape or type.

    >>> psnr(np.zeros((1, 1, 8, 8), np.uint8), np.full((1, 1, 8, 8), 255, np.uint8)).tolist()
    [0.0]
    """
    _check_pairs(images, others)
    error = (to_float(images) - to_float(others)).double().square().mean((1, 2, 3)).numpy()
    with np.errstate(divide="ignore"):
        decibels: np.ndarray = -10 * np.log10(error)
    return decibels + 0.0


def ssim(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity of each pair, float64 (N,), 1 for equals: Wang et al. 2004, with their
    normal window of 11 pixels and images reflected at their edges.

    images, others: uint8 or uint16 (N, C, H, W), of at least 6 pixels a side.

    Raises `InputError` where the two differ in shape or type, or are too small.

    >>> image = np.random.default_rng(0).integers(0, 256, (1, 1, 16, 16), dtype=np.uint8)
    >>> ssim(image, image).tolist()
    [1.0]
    """
    from torchmetrics.functional.image import structural_similarity_index_measure  # slow to load

    _check_pairs(images, others)
    if not len(images):
        return np.empty(0)
    if min(images.shape[2:]) < SMALLEST_SIDE:
        raise InputError(
            f"expected images of at least {SMALLEST_SIDE} pixels a side, so that they can be "
            f"reflected under the window, got {images.shape[2]}x{images.shape[3]}"
        )
    found = structural_similarity_index_measure(
        to_float(images).double(), to_float(others).double(), data_range=1.0, reduction="none"
    )
    values: np.ndarray = np.asarray(found)
    return values


def _check_pairs(images: np.ndarray, others: np.ndarray) -> None:
    for given in (images, others):
        if not isinstance(given, np.ndarray) or given.ndim != 4:
            shape = getattr(given, "shape", "")
            raise InputError(
                f"expected arrays of images (N, C, H, W), got {type(given).__name__} {shape}"
            )
    if images.shape != others.shape or images.dtype != others.dtype:
        raise InputError(
            f"expected pairs of one shape and type, got {images.dtype} {images.shape} and "
            f"{others.dtype} {others.shape}"
        )
