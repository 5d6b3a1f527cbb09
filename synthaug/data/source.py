"""`read_images`: from any source to `LabelledImages`."""

import os
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from synthaug.core import InputError, expand_path, expect_progress
from synthaug.data.archive import open_archive
from synthaug.data.datasets import open_dataset, open_labelled
from synthaug.data.decoding import CHANNELS, checked_size
from synthaug.data.discovery import is_map_style, relabelling
from synthaug.data.folder import open_folder
from synthaug.data.images import LabelledImages, distinct_names
from synthaug.data.listing import Splits, split_named
from synthaug.data.manifest import open_manifest
from synthaug.data.named import open_digits, open_medmnist, open_torchvision
from synthaug.data.stacking import SkippedImages, stack_images

ImageSource: TypeAlias = "str | os.PathLike[str] | LabelledImages | Dataset[Any]"

FORMS = (
    "a folder of class folders, an .npz file, a .csv file with the columns path,label, "
    '"digits", "torchvision:NAME", "medmnist:NAME", a map-style Dataset or LabelledImages'
)
_PREFIXES: dict[str, Callable[[str], Splits]] = {
    "torchvision": open_torchvision,
    "medmnist": open_medmnist,
}
_SUFFIXES: dict[str, Callable[[Path], Splits]] = {".npz": open_archive, ".csv": open_manifest}


def read_images(
    source: ImageSource,
    *,
    split: str = "train",
    image_size: int | tuple[int, int] | None = None,
    mode: str | None = None,
    on_error: str = "raise",
    classes: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledImages:
    """Read the images of one split.

    Args:
        source: A folder of class folders, or of train, val and test folders that hold those; an
            `.npz` with images and labels, or train_images and so on; a `.csv` with the columns
            path,label and optionally split and group (the group may also be called patient, track
            and so on, as in an `.npz`); "digits" (scikit-learn's; a folder of that name is
            "./digits"); "torchvision:CIFAR10"; "medmnist:pneumoniamnist"; any map-style Dataset,
            without its own `transform` or `transforms` (but where they scale images down, at that
            size); or `LabelledImages`, returned as they are unless they must change. Class order is
            that of sorted names, as in torchvision's ImageFolder, unless the source brings its own,
            or a `.csv` labels images by the numbers 0 to K-1.
        split: "train", "val" or "test".
        image_size: A side or (H, W) from 8 to 256 to resize to, antialiased. None keeps the size,
            which must then be the same for all. Proportions are not kept, except those of a Dataset
            whose transforms crop images: the middle of them is read.
        mode: "gray" or "rgb" to convert to; None keeps the channels.
        on_error: "raise", or "skip" to leave out images that cannot be read, with one
            `SkippedImages` warning.
        classes: Class names in the order that numbers them, those of the training images, for test
            images from another place. Those may lack a class, but have no other.
        progress: Called with (images read, total): thousands of large photos take minutes.

    Returns:
        Images, uint8 or uint16 (N, C, H, W), with labels and class names.

    Raises:
        InputError: Naming the file or index, what was expected and what to do.

    Examples:
        >>> from synthaug import read_images
        >>> read_images("digits", split="test", image_size=8)
        LabelledImages(797 images of 10 classes, 1x8x8 uint8)
    """
    size = checked_size(image_size)
    if mode is not None and mode not in CHANNELS:
        raise InputError(f'mode: expected None, "gray" or "rgb", got {mode!r}')
    if on_error not in ("raise", "skip"):
        raise InputError(f'on_error: expected "raise" or "skip", got {on_error!r}')
    expect_progress(progress)
    if not isinstance(split, str):
        raise InputError(f"split: expected the name of one, got {split!r}")
    where = _name(source)
    splits = _open(source)
    wanted_split = _find_split(split, splits, where)
    if isinstance(source, LabelledImages) and _fits(source, size, mode):
        return source if classes is None else _as_numbers(source, classes, where)
    listing = splits[wanted_split]()
    if not len(listing.labels):
        raise InputError(f"{where}: expected images in split {wanted_split!r}, got none")
    own = classes is None and not isinstance(source, LabelledImages)
    if own:  # before images are read, which may take long
        _check_classes(listing.labels, listing.classes, where, wanted_split, source)
    stack = stack_images(
        listing,
        size=size or listing.size,
        mode=mode,
        skip=on_error == "skip",
        progress=progress,
    )
    if stack.skipped:
        warnings.warn(SkippedImages(stack.skipped, len(listing.labels)), stacklevel=2)
    groups = None if listing.groups is None else listing.groups[stack.rows]
    before = source.left_out if isinstance(source, LabelledImages) else ()
    left_out = (*before, *stack.skipped)
    data = LabelledImages(
        stack.images, listing.labels[stack.rows], listing.classes, groups, left_out
    )
    if own and stack.skipped:
        _check_classes(data.labels, data.classes, where, wanted_split, source)
    return data if classes is None else _as_numbers(data, classes, where)


def read_classes(source: ImageSource) -> tuple[str, ...]:
    """Return the classes of the training images of a source, none of which is read for it."""
    splits = _open(source)
    return tuple(splits[_find_split("train", splits, _name(source))]().classes)


def splits_of(source: ImageSource) -> tuple[str, ...]:
    """Return which of "train", "val" and "test" the source holds, in this order.

    Downloads nothing.
    """
    return tuple(_open(source))


def _find_split(split: str, splits: Splits, where: str) -> str:
    wanted_split = split_named(split) or split
    if wanted_split not in splits:
        raise InputError(f"{where}: it has no split {split!r}, only {', '.join(splits)}")
    return wanted_split


def _open(source: object) -> Splits:
    if isinstance(source, str | os.PathLike):
        return _open_text(source)
    if isinstance(source, LabelledImages):
        return open_labelled(source)
    if not is_map_style(source) or isinstance(source, np.ndarray | torch.Tensor | dict):
        inner = ", so give its .dataset" if isinstance(source, DataLoader) else ""
        raise InputError(f"source: expected {FORMS}; got {type(source).__name__}{inner}")
    return open_dataset(source)


def _open_text(source: str | os.PathLike[str]) -> Splits:
    text = os.fspath(source)
    if not text.strip():  # as a path this would be the working directory
        raise InputError(
            f"source: expected {FORMS}; got {text!r}, as an unset shell variable gives; name one"
        )
    if source == "digits":
        return open_digits()
    prefix, colon, name = text.partition(":")
    if colon and prefix in _PREFIXES:
        return _PREFIXES[prefix](name)
    path = expand_path(text)
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise InputError(f"{text}: no such file or folder; expected {FORMS}")
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{text}: expected {FORMS}")
    return _SUFFIXES[path.suffix.lower()](path)


def folder_of(source: str) -> Path | None:
    """Return the folder that a source is, if it is one."""
    path = None if source == "digits" or not source.strip() else expand_path(source)
    return path if path is not None and path.is_dir() else None


def _name(source: object) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else type(source).__name__


def _fits(data: LabelledImages, size: tuple[int, int] | None, mode: str | None) -> bool:
    channels, *sides = data.image_shape
    return size in (None, tuple(sides)) and (mode is None or CHANNELS[mode] == channels)


def _as_numbers(data: LabelledImages, classes: Sequence[str], where: str) -> LabelledImages:
    """Return the same images with labels that index `classes`."""
    classes = distinct_names(classes)
    label_of = {name: label for label, name in enumerate(classes)}
    for label in np.flatnonzero(data.counts).tolist():
        name = data.classes[label]
        if name not in label_of:
            raise InputError(
                f"{where}: expected images of the classes {', '.join(classes)}, got {name!r}"
                f"{_similar(name, classes)}; rename it, or leave its images out"
            )
    labels = np.array([label_of.get(name, -1) for name in data.classes])[data.labels]
    return replace(data, labels=labels, classes=classes)


def _check_classes(
    labels: np.ndarray, classes: Sequence[str], where: str, split: str, source: object
) -> None:
    if len(classes) < 2:
        raise InputError(
            f"{where}: expected at least two classes, got only {classes[0]!r}"
            f"{_further_in(source, classes[0])}"
        )
    empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    # A test split may lack a rare class; training on a class without images means nothing.
    if split == "train" and len(empty):
        name = classes[empty[0]]
        raise InputError(
            f"{where}: expected images of each class in split 'train', got none of {name!r}"
            f"{_similar(name, classes)}, "
            "which an empty folder, class_names or another split names; add some, or remove the "
            f"class{relabelling(source)}"
        )


def _further_in(source: object, name: str) -> str:
    """Return a hint at the folder that class or split folders may be in, or ""."""
    if not isinstance(source, str | os.PathLike):
        return ""
    inner = expand_path(os.fspath(source)) / name
    if not inner.is_dir() or not any(path.is_dir() for path in inner.iterdir()):
        return ""
    return f"; if the folders in that are the classes, or train, val and test, give {inner}"


def _similar(name: str, classes: Sequence[str]) -> str:
    """Return a hint at another class that differs in case or Unicode form alone, or ""."""
    for other in classes:
        if other == name or _normal_form(other).lower() != _normal_form(name).lower():
            continue
        if _normal_form(other) == _normal_form(name):  # they look alike: show their characters
            return (
                f" ({name!a} is another spelling of {other!a}: one name in the Unicode "
                "forms NFD and NFC; spell both alike)"
            )
        return f" ({other!r} is another one)"
    return ""


def _normal_form(name: str) -> str:
    return unicodedata.normalize("NFC", name)
