"""The images left out under on_error="skip", in words.

The images of a listing, loaded one by one into a single array.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from synthaug.core import InputError
from synthaug.data.decoding import in_mode, resize
from synthaug.data.images import LARGEST, RESIZING, SMALLEST
from synthaug.data.listing import Listing, UnreadableImage

SHOWN = 10


class SkippedImages(UserWarning):
    """`names` of the images that could not be read, out of `total`."""

    def __init__(self, names: tuple[str, ...], total: int) -> None:
        super().__init__(names, total)
        self.names = names
        self.total = total

    def __str__(self) -> str:
        return describe_skipped(self.names, f"{len(self.names)} of {self.total} images")


def describe_skipped(names: Sequence[str], how_many: str) -> str:
    """Describe how many images were left out, the first of them by name."""
    examples = ", ".join(names[:SHOWN])
    rest = len(names) - SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return f"{how_many} could not be read and were left out: {examples}{more}"


@dataclass(frozen=True)
class Stack:
    """images (M, C, H, W) of the listing's `rows`, int64 (M,); the names of the others."""

    images: np.ndarray
    rows: np.ndarray
    skipped: tuple[str, ...]


def stack_images(
    listing: Listing,
    *,
    size: tuple[int, int] | None,
    mode: str | None,
    skip: bool,
    progress: Callable[[int, int], None] | None = None,
) -> Stack:
    """Load, convert and resize every image of a listing; all must then agree.

    Progress is called with (images read, total).

    Raises:
        InputError: Naming the image that cannot be read (with `skip` it is left out), that is too
            large or too small, or that differs from the first one in depth, channels or size.
    """
    count = len(listing.labels)
    images: np.ndarray | None = None
    rows: list[int] = []
    skipped_names: list[str] = []
    for index in range(count):
        if progress is not None:
            progress(index, count)
        try:
            pixels = resize(in_mode(listing.load(index), mode), size, crop=listing.crop)
            _check_sides(pixels)
        except InputError as error:
            name = listing.name(index)
            if skip and isinstance(error, UnreadableImage):
                skipped_names.append(name)
                continue
            raise type(error)(f"{name}: {error}") from error
        if images is None:
            images = np.empty((count, *pixels.shape), pixels.dtype)
        if pixels.dtype != images.dtype or pixels.shape != images.shape[1:]:
            _refuse_pair(images[0], listing.name(rows[0]), pixels, listing.name(index))
        images[len(rows)] = pixels
        rows.append(index)
    if progress is not None:
        progress(count, count)
    if images is None:
        example = f", for instance {skipped_names[0]}" if skipped_names else ""
        raise InputError(f"expected images, but none of {count} could be read{example}")
    return Stack(images[: len(rows)], np.array(rows, np.int64), tuple(skipped_names))


def _check_sides(pixels: np.ndarray) -> None:
    height, width = pixels.shape[1:]
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise InputError(
            f"expected a height and width from {SMALLEST} to {LARGEST} pixels, got "
            f"{height}x{width}; {RESIZING}"
        )


def _refuse_pair(first: np.ndarray, first_name: str, other: np.ndarray, other_name: str) -> None:
    """Raise `InputError` saying how two images differ and what to do."""
    if first.dtype != other.dtype:
        raise InputError(
            f"expected one bit depth, but {first_name} has {first.dtype.itemsize * 8} bits and "
            f"{other_name} has {other.dtype.itemsize * 8}; convert the images to one depth"
        )
    if len(first) != len(other):
        raise InputError(
            f"expected one number of channels, but {first_name} has {len(first)} and {other_name} "
            f'has {len(other)}; give mode="gray" or mode="rgb" (--mode gray, rgb)'
        )
    sizes = [f"{image.shape[1]}x{image.shape[2]}" for image in (first, other)]
    raise InputError(
        f"expected images of one size, but {first_name} is {sizes[0]} and {other_name} is "
        f"{sizes[1]} (height x width); {RESIZING}"
    )
