"""Describe any form of source: per split, a list of images that are not decoded yet.

A reader is a function that opens one form (a folder, an `.npz`, ...) and returns its `Splits`.
Opening is cheap; the listing of a split is made when it is asked for, pixels when they are loaded.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synthaug.core import InputError

# Each split with the names that people give it, in the order in which they are tried.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


class UnreadableImage(InputError):
    """An image that cannot be decoded; the only error that on_error="skip" steps over."""


@dataclass(frozen=True)
class Listing:
    """One split of a source, before its pixels are decoded.

    Attributes:
        name: Returns the name of image i in messages: its file, or its place in an array.
        load: Returns image i, uint8 or uint16 (C, H, W). It raises `UnreadableImage` or another
            `InputError` without the name, which the caller adds.
        labels: int64 (N,), each in [0, K).
        classes: The K class names, the same for every split of the source.
        groups: (N,) or None.
        size: (H, W) to bring images to where the caller gives none; None leaves them.
        crop: Whether an image of other proportions is cut to those of the size, not squashed.
    """

    name: Callable[[int], str]
    load: Callable[[int], np.ndarray]
    labels: np.ndarray
    classes: Sequence[str]
    groups: np.ndarray | None = None
    size: tuple[int, int] | None = None
    crop: bool = False


Splits = Mapping[str, Callable[[], Listing]]


def split_named(text: str) -> str | None:
    """Return the split that `text` names, whatever its case, or None.

    Examples:
        >>> split_named("Validation"), split_named("cats")
        ('val', None)
    """
    names = (split for split, synonyms in SPLIT_NAMES.items() if text.casefold() in synonyms)
    return next(names, None)


def natural_key(text: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a key that sorts numbers within names by value; equal only for equal names.

    Examples:
        >>> sorted(["img10", "img9", "Img1"], key=natural_key)
        ['Img1', 'img9', 'img10']
    """
    runs = re.findall(r"[0-9]+|[^0-9]+", text)
    key = [(0, int(run), "") if run[0] in "0123456789" else (1, 0, run.casefold()) for run in runs]
    return key, text


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort distinct class names, for sources that bring no order.

    Plain sorted text, as torchvision's ImageFolder has it, so that labels agree with a user's own.
    """
    return tuple(sorted(set(names)))
