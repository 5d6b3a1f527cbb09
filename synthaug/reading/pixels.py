"""Pixels of one image as uint8 or uint16 (C, H, W): from arrays and tensors, and between modes.

Values are never rescaled: what is not an 8- or 16-bit integer is refused with the way out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthaug.errors import InputError
from synthaug.images import LARGEST, SMALLEST, to_array

CHANNELS = {"gray": 1, "rgb": 3}


def check_depth(array: np.ndarray) -> None:
    """Raise `InputError` unless the dtype is uint8 or uint16."""
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return
    if array.dtype.kind == "f":
        raise InputError(
            f"expected uint8 or uint16 pixels, got {array.dtype}; nothing is rescaled silently, so "
            "convert values from 0 to 1 with (images * 255).round().astype('uint8') first, values "
            "from 0 to 255 without the factor"
        )
    raise InputError(
        f"expected uint8 or uint16 pixels, got {array.dtype}; if the values fit, convert with "
        ".astype('uint8') or .astype('uint16') first"
    )


def from_array(array: np.ndarray) -> np.ndarray:
    """uint8 or uint16 (H, W), (H, W, 1 or 3) or (1 or 3, H, W) as (C, H, W)."""
    check_depth(array)
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.ndim == 2:
        return native[None]
    if native.ndim == 3 and native.shape[2] in (1, 3):
        return native.transpose(2, 0, 1)
    if native.ndim == 3 and native.shape[0] in (1, 3):
        return native
    raise InputError(
        f"expected shape (H, W), (H, W, 1 or 3) or (1 or 3, H, W), got {array.shape}; "
        "drop an alpha channel"
    )


def from_tensor(tensor: torch.Tensor) -> np.ndarray:
    """uint8 or uint16 (H, W), (1 or 3, H, W) or (H, W, 1 or 3) as (C, H, W)."""
    if tensor.dtype.is_floating_point or tensor.dtype == torch.int16:
        # v1 ToTensor makes int16 of 16-bit images, the upper half of the values negative.
        raise InputError(
            f"expected uint8 or uint16 pixels, got a tensor of {tensor.dtype}; nothing is rescaled "
            "silently, so give the dataset without ToTensor or ToDtype(scale=True): no transform, "
            "v2.ToImage(), or one that the dataset keeps as self.transform, which is left out"
        )
    array = to_array(tensor)
    if array.ndim == 3 and array.shape[0] in (1, 3):
        check_depth(array)
        return np.asarray(array)
    return from_array(array)


def in_mode(pixels: np.ndarray, mode: str | None) -> np.ndarray:
    """(C, H, W) with 1 channel for "gray", 3 for "rgb", as they are for None."""
    if mode is None or len(pixels) == CHANNELS[mode]:
        return pixels
    if mode == "rgb":
        return np.repeat(pixels, 3, axis=0)
    # The luma of Pillow's convert("L"), to the bit; 16-bit values fit uint32 just so.
    red, green, blue = pixels.astype(np.uint32)
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return np.asarray(luma[None], pixels.dtype)


def resize(pixels: np.ndarray, size: tuple[int, int] | None, *, crop: bool = False) -> np.ndarray:
    """(C, H, W) at height and width `size`, bilinear, antialiased; None leaves it as it is.

    crop: cut off what proportions other than those of `size` have on two sides, where each side is
        otherwise brought to its own length.

    One path for both depths: each channel is resized as float32, which holds 16 bits exactly.
    """
    if size is None or pixels.shape[1:] == size:
        return pixels
    height, width = pixels.shape[1:]
    box = _middle(height, width, size) if crop else (0, 0, width, height)
    planes = [
        np.asarray(
            Image.fromarray(plane.astype(np.float32)).resize(
                (size[1], size[0]), Image.Resampling.BILINEAR, box
            )
        )
        for plane in pixels
    ]
    rounded = np.rint(np.stack(planes)).clip(0, np.iinfo(pixels.dtype).max)
    return np.asarray(rounded, pixels.dtype)


def _middle(height: int, width: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the largest part of the proportions of `size`."""
    # Whole numbers are divided last: of the same proportions, the part is all of the image.
    above = (height - min(height, width * size[0] / size[1])) / 2
    beside = (width - min(width, height * size[1] / size[0])) / 2
    return beside, above, width - beside, height - above


def checked_size(size: Any) -> tuple[int, int] | None:
    """`size` (a side, or height and width) as (H, W)."""
    if size is None:
        return None
    sides = tuple(size) if isinstance(size, Sequence) else (size, size)
    whole = all(isinstance(s, int | np.integer) and SMALLEST <= s <= LARGEST for s in sides)
    if len(sides) != 2 or not whole:
        raise InputError(
            "image_size: expected a side or (height, width), each a whole number from "
            f"{SMALLEST} to {LARGEST}, got {size!r}"
        )
    height, width = map(int, sides)
    return height, width
