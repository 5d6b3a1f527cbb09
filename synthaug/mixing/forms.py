"""The form in which a Dataset hands out images, and stored images brought into it."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors

from synthaug.errors import InputError
from synthaug.images import to_float, to_pil

Form = Callable[[np.ndarray], Any]
"""Brings one stored image (C, H, W) into a Dataset's form."""


def _to_array(ndim: int) -> Form:
    return lambda image: image[0].copy() if ndim == 2 else image.transpose(1, 2, 0).copy()


def _to_tensor(like: torch.Tensor) -> Form:
    def convert(image: np.ndarray) -> torch.Tensor:
        tensor = to_float(image) if like.is_floating_point() else torch.as_tensor(image.copy())
        tensor = tensor[0] if like.ndim == 2 else tensor
        return (
            tv_tensors.wrap(tensor, like=like) if isinstance(like, tv_tensors.TVTensor) else tensor
        )

    return convert


def without_transform(dataset: Any) -> Any:
    """A shallow copy of a Dataset that hands out images as they are before its transforms."""
    if not any(getattr(dataset, name, None) for name in ("transform", "transforms")):
        return dataset
    plain = copy.copy(dataset)
    for name in ("transform", "target_transform", "transforms"):
        if hasattr(plain, name):
            setattr(plain, name, None)
    return plain


def form_of(dataset: Any, stored: np.ndarray) -> Form:
    """How to bring images stored as `stored` (M, C, H, W) into the form of `dataset`'s own.

    Raises `InputError` naming both sides where type, size or value range do not match.
    """
    image = without_transform(dataset)[0][0]
    if isinstance(image, Image.Image):
        mode = "I;16" if stored.dtype == np.uint16 else {1: "L", 3: "RGB"}[stored.shape[1]]
        _match("mode", mode, image.mode)
        _match("size", stored.shape[:1:-1], image.size)
        return to_pil
    if isinstance(image, torch.Tensor):
        expected = tuple(stored.shape[1:]) if image.ndim == 3 else tuple(stored.shape[2:])
        _match("shape", expected, tuple(image.shape))
        if image.is_floating_point() and not 0 <= float(image.min()) <= float(image.max()) <= 1:
            raise InputError(
                f"the real images are floats from {float(image.min()):.2f} to "
                f"{float(image.max()):.2f}, expected 0 to 1: give the Dataset before it is "
                "normalised, and normalise in transform="
            )
        if not image.is_floating_point():
            _match("dtype", torch.as_tensor(stored[:1].copy()).dtype, image.dtype)
        return _to_tensor(image)
    if isinstance(image, np.ndarray):
        expected = tuple(stored.shape[2:]) + (() if image.ndim == 2 else (stored.shape[1],))
        _match("shape", expected, image.shape)
        _match("dtype", stored.dtype, image.dtype)
        return _to_array(image.ndim)
    raise InputError(
        f"expected a Dataset of (image, label) with PIL images, arrays or tensors, got "
        f"{type(image).__name__}"
    )


def _match(what: str, pool: object, real: object) -> None:
    if pool != real:
        raise InputError(f"{what}: the pool holds {pool}, the real images are {real}")
