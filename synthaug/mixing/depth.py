"""Whether a transform keeps the values of 16-bit images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthaug.errors import InputError
from synthaug.reading.datasets import inner_of
from synthaug.seeding import global_stream

_HIGH = 40_000.0  # more than int16 and uint8 can hold
_LOW = 300.0  # more than uint8 can hold


class DepthGuard:
    """Refuses transforms that silently corrupt 16-bit images.

    torchvision's v1 `ToTensor` makes negative numbers of them, timm's `ToNumpy` takes them modulo
    256, and a conversion to L or RGB cuts them off at 255. A transform is looked at once.
    """

    def __init__(self) -> None:
        self._passed: Any = None

    def check(self, transform: Any, image: Any, *label: Any) -> None:
        """Raise `InputError` naming the step of `transform`, called on `image` or on it and `label`
        together, that the image would not survive."""
        if transform is None or transform is self._passed or not _is_deep(image):
            return
        with global_stream(0, "look at a transform"):
            lossy = _lossy_step(transform, image, *label)
        if lossy is not None:
            raise InputError(
                f"{type(lossy).__name__} corrupts 16-bit images: values that do not fit are "
                "wrapped around or cut off; put v2.ToImage() and "
                "v2.ToDtype(torch.float32, scale=True) in its place"
            )
        self._passed = transform


def _is_deep(image: Any) -> bool:
    if isinstance(image, Image.Image):
        return image.mode == "I;16"
    return getattr(image, "dtype", None) in (np.uint16, torch.uint16)


def _lossy_step(transform: Any, image: Any, *label: Any) -> Any | None:
    """The first step that wraps around or cuts off what does not fit. Each is handed what the one
    before made of an image, in lines of two values, so that no border or noise misleads: what is
    scaled, as by a window or by each image's largest value, keeps them apart."""
    high = _HIGH
    for step in _steps(transform):
        low = min(_LOW, high)
        try:
            made = step(_lines(image, low, high), *label)
            made, label = (made[0], made[1:]) if label else (made, ())
        except Exception:  # one that fails loudly: nothing is silent about it
            continue
        if not isinstance(made, Image.Image | np.ndarray | torch.Tensor):
            return None
        pixels = _pixels(made)
        if pixels.dtype.kind in "iu" and high > np.iinfo(pixels.dtype).max:
            values = np.array([low, high]).astype(np.int64)
            wrapped = values.astype(pixels.dtype)
            cut_off = values.clip(max=np.iinfo(pixels.dtype).max)
            if any(np.isin(pixels, lost).all() for lost in (wrapped, cut_off)):
                return step
        image, high = made, float(pixels.max())
    return None


def _steps(transform: Any) -> Iterator[Any]:
    """The single transforms that it is composed of."""
    inner = inner_of(transform)
    if not inner:
        yield transform
    for step in inner:
        yield from _steps(step)


def _pixels(image: Any) -> np.ndarray:
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        image = image.double() if image.is_floating_point() else image
    return np.asarray(image)


def _lines(image: Any, low: float, high: float) -> Any:
    """An image as `image`, whose rows or columns are of one value and the other in turn."""
    if isinstance(image, torch.Tensor):
        made = image.clone()  # of the type that it is, tv_tensors.Image maybe
        made.fill_(high)
        made[:, ::2] = low
        return made
    pixels = np.full_like(image, high)
    pixels[:, ::2] = low
    return Image.fromarray(pixels) if isinstance(image, Image.Image) else pixels
