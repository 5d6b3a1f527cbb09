"""Images as the numbers that they are compared by."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from synthaug.core import (
    InputError,
    device_of,
    evaluating,
    expect_count,
    first_line,
    resolve_device,
)
from synthaug.data import expect_images, to_array, to_float

Features: TypeAlias = Callable[[Tensor], Tensor]
"""Floats (N, C, H, W) in [0, 1] to (N, D)."""


def pixels(images: Tensor) -> Tensor:
    """Return every pixel as a feature, (N, C * H * W).

    Args:
        images: Floats (N, C, H, W).

    Examples:
        >>> pixels(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 64])
    """
    return images.flatten(1)


def extract_features(
    images: np.ndarray,
    features: Features = pixels,
    *,
    batch_size: int = 64,
    device: str | torch.device | None = None,
) -> np.ndarray:
    """Return features of stored images, float64 (N, D).

    Pixels tell little about more than brightness; state the features beside a figure.

    Args:
        images: uint8 or uint16 (N, C, H, W), at least one.
        features: Any function or `nn.Module` from floats (B, C, H, W) in [0, 1] to (B, D), for
            instance all but the last layer of a classifier. A network runs in evaluation mode.
        batch_size: Images at once.
        device: Where they are computed; default where the weights of `features` are.

    Returns:
        The features.

    Raises:
        InputError: If `features` cannot take such images, or returns another shape.

    Examples:
        >>> extract_features(np.zeros((3, 1, 8, 8), np.uint8)).shape
        (3, 64)
    """
    if not callable(features):
        raise InputError(f"features: expected a function of images, got {features!r:.60}")
    images = expect_images(images)
    expect_count("batch_size", batch_size)
    where = resolve_device(device) if isinstance(device, str) else device
    if not len(images):
        raise InputError("images: expected at least one, got none")
    starts = range(0, len(images), batch_size)
    with torch.inference_mode(), evaluating(features):
        parts = [describe(images[at : at + batch_size], features, where) for at in starts]
    return torch.cat(parts).numpy()


def describe(
    images: np.ndarray, features: Features, device: str | torch.device | None = None
) -> Tensor:
    """Return features of one batch of stored images, float64 (B, D), on the CPU."""
    batch = to_float(images, device or device_of(features))
    logits = _call("features", features, batch)
    expect_rows("features", logits, len(images))
    return logits.double().cpu()


def class_probabilities(name: str, network: Features, batch: Tensor) -> Tensor:
    """Return a classifier's probabilities for a batch, float32 (B, K).

    Args:
        name: Name of the classifier in messages.
        network: From floats (B, C, H, W) in [0, 1] to logits (B, K).
        batch: The floats.

    Raises:
        InputError: If it cannot take the images.
    """
    logits = _call(name, network, batch)
    expect_rows(name, logits, len(batch))
    return logits.float().softmax(1)


def _call(name: str, network: Features, batch: Tensor) -> Tensor:
    try:
        return network(batch)
    except InputError:  # which says itself what is wrong
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: cannot take floats {tuple(batch.shape)} on {batch.device} "
            f"({first_line(error)}); expected what takes images as they are stored, size and "
            "channels, and normalises them itself"
        ) from error


def expect_rows(name: str, rows: object, count: int) -> None:
    """Raise `InputError` for what is no tensor of `count` rows."""
    shape = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
    if not isinstance(rows, Tensor) or rows.ndim != 2 or len(rows) != count:
        raise InputError(f"{name}: expected shape ({count}, D), got {shape}")


def expect_columns(name: str, rows: np.ndarray, classes: int) -> None:
    """Raise `InputError` unless what a classifier makes of images, (N, K), is of `classes`."""
    if rows.shape[1] != classes:
        raise InputError(
            f"{name}: expected {classes} columns, one a class, got {rows.shape[1]}; was it "
            "trained on other classes?"
        )


def as_features(**sets: object) -> list[np.ndarray]:
    """Return each of the sets of features as float64 (N, D): in 16 bits a sum of squares overflows.

    Raises:
        InputError: If they are no sets of features (N, D) of at least two items and of one width.
    """
    arrays = []
    for name, values in sets.items():
        try:
            array = np.asarray(to_array(values), np.float64)
        except (TypeError, ValueError):
            kind = type(values).__name__
            raise InputError(
                f"{name}: expected features (N, D), as extract_features takes them from images, "
                f"got a {kind}"
            ) from None
        if array.ndim != 2 or len(array) < 2 or not array.shape[1]:
            raise InputError(
                f"{name}: expected features (N, D) of at least 2 images, got {array.shape}"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{name}: expected finite features")
        arrays.append(array)
    widths = {each.shape[1] for each in arrays}
    if len(widths) > 1:
        raise InputError(f"expected as many features of each set, got {sorted(widths)}")
    return arrays
