"""Decode one image, from a file, Pillow, an array or a tensor, to uint8 or uint16 (C, H, W).

16 bits are kept. Values are never rescaled: what is not an 8- or 16-bit integer is refused with the
way out, as are gray values that torchvision's loader cut off before anybody saw them.
"""

import io
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torchvision.datasets.folder import pil_loader

from synthaug.core import InputError
from synthaug.data.conversion import to_array
from synthaug.data.images import LARGEST, SMALLEST
from synthaug.data.listing import UnreadableImage

# Without a loader of one's own ImageFolder opens all files as RGB.
GRAY_LOADER = "ImageFolder: loader=lambda path: Image.open(path).convert('L')"


def expect_depth_kept(dataset: Any, index: int, image: Any) -> None:
    """Raise `InputError` for gray values above 255 that an ImageFolder cut off to white.

    Args:
        dataset: The ImageFolder, or a Dataset that lists its files as that does.
        index: Index of the item.
        image: Its image.
    """
    samples = getattr(dataset, "samples", None)
    if not isinstance(samples, list) or not isinstance(image, Image.Image) or image.mode != "RGB":
        return
    path, cut_off = None, False
    with suppress(*BROKEN, AttributeError, TypeError):  # other samples than files
        path = samples[index][0]
        with Image.open(path) as file:
            deep = file.mode.startswith(("I", "F")) and np.asarray(file).max() > 255
        cut_off = deep and np.array_equal(np.asarray(image), np.asarray(pil_loader(path)))
    if cut_off:
        raise InputError(
            f"{path} has gray values above 255, which the loader of torchvision's ImageFolder cuts "
            "off there, to white; give it a loader= of your own, without convert('RGB'), or give "
            "the folder's path where no Dataset is needed"
        )


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
    """Return uint8 or uint16 (H, W), (H, W, 1 or 3) or (1 or 3, H, W) as (C, H, W)."""
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
    """Return uint8 or uint16 (H, W), (1 or 3, H, W) or (H, W, 1 or 3) as (C, H, W)."""
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
    """Return (C, H, W) with 1 channel for "gray", 3 for "rgb", unchanged for None."""
    if mode is None or len(pixels) == CHANNELS[mode]:
        return pixels
    if mode == "rgb":
        return np.repeat(pixels, 3, axis=0)
    # The luma of Pillow's convert("L"), to the bit; 16-bit values fit uint32 just so.
    red, green, blue = pixels.astype(np.uint32)
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return np.asarray(luma[None], pixels.dtype)


def resize(pixels: np.ndarray, size: tuple[int, int] | None, *, crop: bool = False) -> np.ndarray:
    """Resize (C, H, W) to height and width `size`, bilinear, antialiased; None leaves it.

    One path for both depths: each channel is resized as float32, which holds 16 bits exactly.

    Args:
        pixels: uint8 or uint16 (C, H, W).
        size: (H, W), or None.
        crop: Whether to cut off what other proportions have too much of; otherwise each side is
            brought to its own length.
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
    whole_planes = np.rint(np.stack(planes)).clip(0, np.iinfo(pixels.dtype).max)
    return np.asarray(whole_planes, pixels.dtype)


def _middle(height: int, width: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the largest part of the proportions of `size`."""
    # Whole numbers are divided last: of the same proportions, the part is all of the image.
    above = (height - min(height, width * size[0] / size[1])) / 2
    beside = (width - min(width, height * size[1] / size[0])) / 2
    return beside, above, width - beside, height - above


def checked_size(size: Any) -> tuple[int, int] | None:
    """Return `size` (a side, or height and width) as (H, W)."""
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


SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".gif"}
)
# Named, because Pillow goes by content: an EPS called x.png would be run by Ghostscript.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF")

# What Pillow raises for most broken files. No more than that: an error of the Dataset's own code
# must not pass for an unreadable image.
BROKEN = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    IndexError,
    KeyError,
    struct.error,
    Image.DecompressionBombError,
)

_ORIENTATION = 0x0112
_BITS, _PHOTOMETRIC, _CHANNELS, _PLANES = 258, 262, 277, 284  # of TIFF
# What each value of EXIF's orientation asks for, but 1, which leaves (C, H, W) as it is.
_TURNS: dict[object, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, :, ::-1],
    3: lambda pixels: pixels[:, ::-1, ::-1],
    4: lambda pixels: pixels[:, ::-1],
    5: lambda pixels: pixels.swapaxes(1, 2),
    6: lambda pixels: np.rot90(pixels, -1, (1, 2)),
    7: lambda pixels: pixels.swapaxes(1, 2)[:, ::-1, ::-1],
    8: lambda pixels: np.rot90(pixels, 1, (1, 2)),
}
_GRAY = {"1": "L", "L": "L", "LA": "L"}
_ADVICE = 'replace or remove it, or leave such images out: on_error="skip" (--on-error skip)'


def unreadable(reason: object) -> UnreadableImage:
    """Return the error for an image that cannot be decoded because of `reason`."""
    return UnreadableImage(f"expected an image that Pillow can read, but {reason}; {_ADVICE}")


def from_file(path: Path) -> np.ndarray:
    """Read an image file, upright as its EXIF data say.

    torchvision's ImageFolder does not turn images. As there, alpha is dropped, and palettes and
    CMYK become RGB; gray stays gray, and 16 bits stay 16.

    Raises:
        UnreadableImage: If it is missing, not an image, cut short or has several frames.
    """
    if path.suffix.lower() not in SUFFIXES:
        formats = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        raise UnreadableImage(f"expected an image file ({formats}); {_ADVICE}")
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            frames = getattr(image, "n_frames", 1)
            # An MPO is a photograph with previews of itself; elsewhere frames are images.
            if frames > 1 and image.format != "MPO":
                raise UnreadableImage(f"expected one image, got {frames} frames; {_ADVICE}")
            decode_deep = _deep_colour(image)
            is_inverted = _white_is_zero(image)
            image.load()  # a file that is cut short fails here, whoever decodes it then
            pixels = decode_deep(content) if decode_deep else from_pil(image)
            return _upright(65535 - pixels if is_inverted else pixels, image)
    except InputError:
        raise
    except FileNotFoundError:
        hint = r"; here / separates folders, not \ " if "\\" in path.name else ""
        raise unreadable(f"there is no such file{hint}".rstrip()) from None
    except UnidentifiedImageError:
        raise unreadable(f"its content is not one of {', '.join(FORMATS)}") from None
    except Exception as error:  # damaged files make Pillow raise whatever its code runs into
        raise unreadable(f"{type(error).__name__}: {error}") from error


def from_pil(image: Image.Image) -> np.ndarray:
    """Return a Pillow image of any mode as uint8 or uint16 (1 or 3, H, W), without turning it.

    The classifier that a Dataset was made for does not turn its images, either.
    """
    if image.mode.startswith("I"):
        return _as_16_bit(np.asarray(image))[None]
    if image.mode == "F":
        raise InputError(
            "expected 8- or 16-bit pixels, got 32-bit floats (Pillow mode F); nothing is rescaled "
            "silently, so convert the image first"
        )
    if image.mode in _GRAY:
        return np.asarray(image.convert(_GRAY[image.mode]))[None]
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # straight to RGB, Pillow warns of transparent colours
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def _upright(pixels: np.ndarray, image: Image.Image) -> np.ndarray:
    """Turn pixels (C, H, W) as the EXIF data of `image` say."""
    if image.format == "TIFF":  # Pillow and OpenCV have turned it
        return pixels
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # what describes an image may be damaged where the image is not
        return pixels
    return np.ascontiguousarray(_TURNS.get(orientation, np.asarray)(pixels))


def _white_is_zero(image: Image.Image) -> bool:
    """Tell whether it is a 16-bit gray TIFF whose white is 0, as X-rays are stored.

    Pillow only inverts those of 8 bits. Raises for files that no decoder here reads right.
    """
    if image.format != "TIFF":
        return False
    tags: Any = getattr(image, "tag_v2", {})
    bits = max(tags.get(_BITS, (1,)))
    if bits > 8 and tags.get(_PLANES) == 2 and tags.get(_CHANNELS, 1) > 1:
        raise unreadable(f"its {bits}-bit colours are stored in planes, not pixel by pixel")
    is_inverted = bits > 8 and tags.get(_PHOTOMETRIC) == 0
    if is_inverted and bits != 16:
        raise unreadable(f"its white is 0, at {bits} bits")
    return bool(is_inverted)


def _as_16_bit(values: np.ndarray) -> np.ndarray:
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise InputError(
            f"expected values from 0 to 65535, got {values.min()} to {values.max()}; nothing is "
            "rescaled or clipped silently, so convert the image first"
        )
    return values.astype(np.uint16)


def _decoder_arguments(image: Image.Image) -> tuple[object, ...]:
    tiles = getattr(image, "tile", None)  # of images that come from a file
    if not tiles:
        return ()
    arguments = tiles[0][3]
    return arguments if isinstance(arguments, tuple) else (arguments,)


def _white(image: Image.Image) -> int:
    """Return the value that a colour PPM calls white; 255 for other files."""
    arguments = _decoder_arguments(image)
    white = arguments[1] if image.format == "PPM" and len(arguments) > 1 else 255
    return white if isinstance(white, int) else 255


def _deep_colour(image: Image.Image) -> Callable[[bytes], np.ndarray] | None:
    """Return the decoder of a 16-bit colour file, which Pillow would cut to 8 bits silently."""
    if image.mode not in ("RGB", "RGBA", "LA"):
        return None
    white = _white(image)
    if white > 255:
        return partial(_decode_deep, white=white, channels=3)
    raw = str(next(iter(_decoder_arguments(image)), ""))
    if image.format in ("PNG", "TIFF") and ";16" in raw:
        return partial(_decode_deep, white=65535, channels=1 if raw.startswith("LA") else 3)
    return None


def _decode_deep(content: bytes, *, white: int, channels: int) -> np.ndarray:
    import cv2  # slow to load

    array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None or array.dtype != np.uint16 or array.ndim != 3:
        raise unreadable("its 16-bit colour is of a kind that cannot be decoded")
    pixels = array[..., 2::-1].transpose(2, 0, 1)[:channels]  # BGR, and alpha dropped
    # Pillow scales gray in the same way, and 8-bit colour.
    return np.asarray(pixels if white == 65535 else np.rint(pixels * (65535 / white)), np.uint16)
