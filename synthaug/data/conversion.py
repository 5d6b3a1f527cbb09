"""Bring stored images into the forms that networks, NumPy and Pillow have, and back.

Images are stored as integers, `(N, C, H, W)`, uint8 or uint16; networks see float32 in [0, 1].
"""

from typing import Any

import numpy as np
import torch
from PIL import Image

from synthaug.core import InputError


def to_array(values: Any) -> np.ndarray:
    """Return a user's values as an array.

    Tensors may lie on a GPU, be part of a training, or be of bfloat16, which NumPy lacks.
    """
    if isinstance(values, torch.Tensor):
        here = values.detach().cpu()
        return (here.float() if here.dtype == torch.bfloat16 else here).numpy()
    return np.asanyarray(values)


def to_tensor(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return stored integers as a tensor.

    A read-only array (a memory map) is copied, since torch would write to it, and so is a mirrored
    one, whose strides torch does not support.
    """
    if isinstance(images, torch.Tensor):
        return images
    images = np.asarray(images)
    if not images.flags.writeable or min(images.strides, default=0) < 0:
        images = np.array(images, order="C")
    return torch.from_numpy(images)  # `as_tensor` would take it to torch's default device


def take(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the stored images at `rows`, int64 (B,), in their layout.

    `index_select` would change the layout, and so the last bits of a training. Not every device can
    index uint16.
    """
    if images.dtype == torch.uint16:
        return images.view(torch.int16)[rows].view(torch.uint16)
    return images[rows]


def white_of(images: np.ndarray) -> int:
    """Return the number that stands for white in stored images.

    It is 255 for 8 bits, and for 16 the largest of as many bits as they use, since most instruments
    fill only 10 or 12. Bits rather than the brightest pixel: it is then the same for any few images
    of an instrument.

    Examples:
        >>> white_of(np.array([0, 3000], dtype=np.uint16))  # 12 bits
        4095
    """
    if images.dtype == np.uint8:
        return 255
    return max(1, (1 << int(images.max(initial=0)).bit_length()) - 1)


def span_of(images: np.ndarray) -> float:
    """Return the share of the range of their type that images use: 1, or less for 12 bits in 16."""
    return white_of(images) / int(np.iinfo(images.dtype).max)


def form_of(images: np.ndarray) -> str:
    """Describe the shape and type of images.

    Examples:
        >>> form_of(np.zeros((4, 1, 8, 9), np.uint8))
        '1x8x9 uint8'
    """
    return f"{'x'.join(str(side) for side in images.shape[1:])} {images.dtype}"


def to_float(
    images: np.ndarray | torch.Tensor,
    device: str | torch.device = "cpu",
    white: int | None = None,
) -> torch.Tensor:
    """Return stored integers as float32 in [0, 1], of the same shape.

    Args:
        images: uint8 or uint16.
        device: Where the floats are.
        white: The integer that becomes 1; default the largest of the type.

    Examples:
        >>> to_float(np.array([0, 51, 255], dtype=np.uint8))
        tensor([0.0000, 0.2000, 1.0000])
    """
    tensor = to_tensor(images)
    if tensor.dtype not in (torch.uint8, torch.uint16):
        raise InputError(f"expected uint8 or uint16 images, got {tensor.dtype}")
    on_device = tensor.to(device)
    top = white or (255 if on_device.dtype == torch.uint8 else 65535)
    # One pass over uint8; torch cannot divide uint16.
    if on_device.dtype == torch.uint8 and torch.get_default_dtype() == torch.float32:
        return on_device / top
    return on_device.float() / top


def to_stored(floats: torch.Tensor, dtype: Any, white: int | None = None) -> np.ndarray:
    """Return floats in [0, 1] as integers of `dtype`, rounded; values outside are clipped.

    Args:
        floats: The floats.
        dtype: uint8 or uint16.
        white: The integer for 1; default the largest of the type.

    Examples:
        >>> to_stored(torch.tensor([-0.1, 0.2, 1.0]), np.uint8)
        array([  0,  51, 255], dtype=uint8)
    """
    top = white or int(np.iinfo(dtype).max)
    values = (floats.detach().float().clamp(0, 1) * top).round()
    return values.cpu().numpy().astype(dtype)


def to_pil(image: np.ndarray) -> Image.Image:
    """Return a stored image (C, H, W) as PIL: modes L and RGB, or I;16 for 16-bit gray.

    Raises:
        InputError: If it is 16-bit colour, which PIL lacks.
    """
    if image.dtype == np.uint16 and len(image) == 3:
        raise InputError("PIL has no 16-bit colour images; use tensors, arrays or the format npz")
    size = image.shape[2], image.shape[1]
    # A training does this for every image that it draws, and Image.fromarray takes twice as long.
    if image.dtype == np.uint16:
        return Image.frombytes("I;16", size, image[0].astype("<u2", copy=False).tobytes())
    if len(image) == 1:
        return Image.frombytes("L", size, image.tobytes())
    # Line by line, each in red, then in green, then in blue: cheaper than pixel by pixel.
    return Image.frombytes("RGB", size, image.transpose(1, 0, 2).tobytes(), "raw", "RGB;L")
