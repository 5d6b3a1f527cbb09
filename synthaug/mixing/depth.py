"""Whether a transform keeps the values of 16-bit images."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthaug.errors import InputError
from synthaug.seeding import torch_stream

_VALUE = 40_000  # more than int16 and uint8 can hold


class DepthGuard:
    """Refuses transforms that silently corrupt 16-bit gray PIL images.

    torchvision's v1 `ToTensor` makes negative numbers of them, timm's `ToNumpy` takes them modulo
    256, and a conversion to L or RGB cuts them off at 255. A transform is looked at once.
    """

    def __init__(self) -> None:
        self._passed: Any = None

    def check(self, transform: Any, image: Any) -> None:
        """Raise `InputError` naming the step of `transform` that `image` would not survive."""
        deep = isinstance(image, Image.Image) and image.mode == "I;16"
        if not deep or transform is None or transform is self._passed:
            return
        with _random_state_kept():
            for step in _steps(transform):
                if not _keeps(step):
                    raise InputError(
                        f"{type(step).__name__} corrupts 16-bit images: values that do not fit are "
                        "wrapped around or cut off; put v2.ToImage() and "
                        "v2.ToDtype(torch.float32, scale=True) in its place"
                    )
        self._passed = transform


def _steps(transform: Any) -> Iterator[Any]:
    inner = getattr(transform, "transforms", None)
    if isinstance(inner, (list, tuple, torch.nn.ModuleList)):
        for step in inner:
            yield from _steps(step)
    else:
        yield transform


def _keeps(step: Any) -> bool:
    """Whether a step neither wraps around nor cuts off what does not fit."""
    try:
        made = step(Image.fromarray(np.full((8, 8), _VALUE, np.uint16)))
    except Exception:  # a step for tensors, or one that fails loudly: nothing is silent about it
        return True
    if not isinstance(made, (Image.Image, np.ndarray, torch.Tensor)):
        return True
    values = np.asarray(made)
    if values.dtype.kind not in "iu":
        return True
    top = np.iinfo(values.dtype).max
    wrapped, cut = int(np.array(_VALUE).astype(values.dtype)), min(_VALUE, top)
    return top >= _VALUE or int(values.reshape(-1)[0]) not in (wrapped, cut)


@contextmanager
def _random_state_kept() -> Iterator[None]:
    state = random.getstate()
    try:
        with torch_stream(0, "look at a transform"):
            yield
    finally:
        random.setstate(state)
