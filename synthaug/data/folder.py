"""Image trees: class folders, or split folders that hold class folders."""

import os
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from synthaug.core import InputError
from synthaug.data.decoding import SUFFIXES, from_file
from synthaug.data.listing import (
    SPLIT_NAMES,
    Listing,
    Splits,
    class_order,
    natural_key,
    split_named,
)

LAYOUT = "expected class folders that hold images, or train, val and test folders that hold those"
# What operating and storage systems leave behind, besides names that begin with a dot.
_LITTER = frozenset(
    {
        *("thumbs.db", "desktop.ini", "__macosx", "@eadir", "#recycle", "$recycle.bin"),
        *("system volume information", "lost+found"),
    }
)
_IMAGES = frozenset({"image", "images"})
_MASKS = frozenset({"mask", "masks"})


def open_folder(directory: Path) -> Splits:
    """List the splits of a tree of folders; without split folders there is one, "train".

    Classes are the class folders of all splits, sorted by name. A class folder may hold folders.
    """
    folders = _visible(directory, Path.is_dir)
    roots = _split_folders(directory, folders)
    if roots:
        _warn_of_others(directory, folders, roots)
    elif folders and all(split_named(folder.name) for folder in folders):
        raise InputError(
            f"{directory}: {LAYOUT}; got {' and '.join(folder.name for folder in folders)} without "
            "class folders; sort the images in them into a folder for each class"
        )
    else:
        _refuse_other_names(directory, folders)
    roots = roots or {"train": directory}
    for root in roots.values():
        _warn_of_loose(root)
    class_folders = [folder for root in roots.values() for folder in _visible(root, Path.is_dir)]
    if not class_folders:
        raise InputError(f"{directory}: {LAYOUT}; there are none")
    for folder in class_folders:
        _check_name(folder)
    _warn_of_masks([mask for folder in class_folders for mask in _masks(folder)])
    classes = class_order(folder.name for folder in class_folders)
    present = (split for split in SPLIT_NAMES if split in roots)
    return {split: partial(_list_folder, roots[split], classes) for split in present}


def would_read(directory: Path, place: Path) -> bool:
    """Tell whether files in the directory `place` would be read as images of a tree."""
    folders = _visible(directory, Path.is_dir)
    roots = [root.resolve() for root in _split_folders(directory, folders).values() or [directory]]
    path = place.resolve()
    below = [path.relative_to(root) for root in roots if root in path.parents]
    return any(not each.parts[0].startswith(".") for each in below)


def _split_folders(directory: Path, folders: list[Path]) -> dict[str, Path]:
    """Return those of the folders in `directory` that are splits, by the splits' names."""
    roots: dict[str, Path] = {}
    for folder in folders:
        split = split_named(folder.name)
        # A class may be called "train" too; a split folder holds folders.
        if split is None or not _visible(folder, Path.is_dir):
            continue
        if split in roots:
            raise InputError(
                f"{directory}: expected one folder for split {split!r}, got {roots[split].name} "
                f"and {folder.name}; rename or remove one"
            )
        roots[split] = folder
    return roots


def _refuse_other_names(directory: Path, folders: list[Path]) -> None:
    """Raise `InputError` where folders are splits under names such as training_set and test_set.

    As classes they would be told apart well, and mean nothing.
    """
    by_split = {_split_within(folder.name): folder for folder in folders if _is_outer(folder)}
    splits = [split for split in SPLIT_NAMES if split in by_split]
    if len(splits) > 1:
        names = " and ".join(by_split[split].name for split in splits)
        raise InputError(
            f"{directory}: {LAYOUT}; got {names}, which hold folders: rename them "
            f"{' and '.join(splits)}, so that they are no classes"
        )


def _split_within(name: str) -> str | None:
    """Return the split that a word of a folder's name means, as in training_set or GTSRB-Test."""
    words = re.split("[^a-z]+", name.casefold())
    return next(filter(None, (split_named(word.removesuffix("set")) for word in words)), None)


def _is_outer(folder: Path) -> bool:
    """Tell whether a folder holds folders, and no images beside them."""
    return bool(_visible(folder, Path.is_dir)) and not _visible(folder, _is_image)


def _warn_of_others(directory: Path, folders: list[Path], roots: dict[str, Path]) -> None:
    """Warn of folders beside split folders that may be splits under an unknown name."""
    read = ", ".join(root.name for root in roots.values())
    others_with_images = [
        each for each in folders if each not in roots.values() and _holds_images(each)
    ]
    for others, why in (
        (
            [folder.name for folder in others_with_images if not split_named(folder.name)],
            f"because beside {read} only folders called train, val or test are read; rename those "
            "that are splits",
        ),
        (
            [folder.name for folder in others_with_images if split_named(folder.name)],
            "because there are no class folders in it; sort them into a folder for each class",
        ),
    ):
        if others:
            warnings.warn(
                f"{directory}: images in {', '.join(others)} are left out, {why}",
                stacklevel=6,  # whoever called read_images or splits_of
            )


def _warn_of_loose(root: Path) -> None:
    """Warn of images beside class folders, which are of no class."""
    loose = _visible(root, _is_image)
    if loose and _visible(root, Path.is_dir):
        warnings.warn(
            f"{root}: images beside the class folders are left out, {len(loose)} in all, for "
            f"instance {loose[0].name}; move them into the folders of their classes",
            stacklevel=6,  # whoever called read_images or splits_of
        )


def _warn_of_masks(masks: list[Path]) -> None:
    if masks:
        warnings.warn(
            f"{masks[0]}: left out, because masks beside images are no images of a "
            f"class ({len(masks)} such in all); rename such a folder if it holds some",
            stacklevel=6,  # whoever called read_images or splits_of
        )


def _masks(folder: Path) -> list[Path]:
    """Return folders of masks of the images beside them, as in the COVID-19 Radiography Database.

    Read as images they would double each class.
    """
    below = _visible(folder, Path.is_dir) if folder.is_dir() else []
    beside = any(each.name.casefold() in _IMAGES for each in below)
    if not beside and not (below and _visible(folder, _is_image)):
        return []
    return [each for each in below if each.name.casefold() in _MASKS]


def _holds_images(folder: Path) -> bool:
    return any(_is_image_name(name) for _, _, names in os.walk(folder) for name in names)


def _is_image(path: Path) -> bool:
    return _is_image_name(path.name) and path.is_file()


def _is_image_name(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _check_name(folder: Path) -> None:
    """Raise `InputError` for a class name that no file could be written with."""
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        name, advice = os.fsencode(folder.name), "rename that folder"
        with suppress(UnicodeDecodeError):
            name.decode("utf-8")
            advice = "it is, but Python goes by another locale here: set PYTHONUTF8=1"
        raise InputError(
            f"{folder.parent}: expected class folders with names in UTF-8, got {name!r}; {advice}"
        ) from None


def _list_folder(root: Path, classes: tuple[str, ...]) -> Listing:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = root / name
        # A link to a folder above it would make images of all classes this one's.
        left_out = {*(mask.resolve() for mask in _masks(folder)), *folder.resolve().parents}
        members = _files_below(folder, left_out)
        files += members
        labels += [label] * len(members)
    return Listing(
        name=lambda index: str(files[index]),
        load=lambda index: from_file(files[index]),
        labels=np.array(labels, np.int64),
        classes=classes,
    )


def _files_below(folder: Path, visited_folders: set[Path]) -> list[Path]:
    """Return all files in `folder` and its folders that are not hidden or `visited_folders`."""
    # A link may lead back to a folder above it, and images would count many times.
    if not folder.is_dir() or folder.resolve() in visited_folders:
        return []
    visited_folders.add(folder.resolve())
    below = _visible(folder, Path.is_dir)
    deeper = [path for each in below for path in _files_below(each, visited_folders)]
    return _visible(folder, _is_listed) + deeper


def _is_listed(path: Path) -> bool:
    """Tell whether it is a file, or a link to an image that is gone, which reading then refuses."""
    return path.is_file() or (path.is_symlink() and not path.exists() and _is_image_name(path.name))


def _visible(folder: Path, is_wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the entries of `folder` that are not hidden, in natural order."""
    try:
        paths = [
            path
            for path in folder.iterdir()
            if not path.name.startswith(".")
            and path.name.casefold() not in _LITTER
            and is_wanted(path)
        ]
    except OSError as error:
        raise InputError(f"{folder}: expected a folder that can be listed, but {error}") from error
    return sorted(paths, key=lambda path: natural_key(path.name))
