"""Image trees: class folders, or split folders that hold class folders."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from synthaug.errors import InputError
from synthaug.reading.decoding import from_file
from synthaug.reading.listing import (
    SPLIT_NAMES,
    Listing,
    Splits,
    class_order,
    natural_key,
    split_named,
)

LAYOUT = "expected class folders that hold images, or train, val and test folders that hold those"
# What operating systems leave behind, besides names that begin with a dot.
_LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


def open_folder(directory: Path) -> Splits:
    """The splits of a tree. Without split folders there is one, "train".

    Classes are the class folders of all splits, sorted by name; a class folder may hold folders.
    """
    folders = _visible(directory, Path.is_dir)
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
    roots = roots or {"train": directory}
    class_folders = [folder for root in roots.values() for folder in _visible(root, Path.is_dir)]
    if not class_folders:
        raise InputError(f"{directory}: {LAYOUT}; there are none")
    classes = class_order(folder.name for folder in class_folders)
    found = (split for split in SPLIT_NAMES if split in roots)
    return {split: partial(_list_folder, roots[split], classes) for split in found}


def _list_folder(root: Path, classes: tuple[str, ...]) -> Listing:
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        members = _files_below(root / name)
        files += members
        labels += [label] * len(members)
    return Listing(
        name=lambda index: str(files[index]),
        load=lambda index: from_file(files[index]),
        labels=np.array(labels, np.int64),
        classes=classes,
    )


def _files_below(folder: Path) -> list[Path]:
    """All files in `folder` and its folders that are not hidden; none where it is missing."""
    if not folder.is_dir():
        return []
    deeper = [path for below in _visible(folder, Path.is_dir) for path in _files_below(below)]
    return _visible(folder, Path.is_file) + deeper


def _visible(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """What `folder` holds and is not hidden, in natural order."""
    try:
        paths = [
            path
            for path in folder.iterdir()
            if not path.name.startswith(".")
            and path.name.casefold() not in _LITTER
            and wanted(path)
        ]
    except OSError as error:
        raise InputError(f"{folder}: expected a folder that can be listed, but {error}") from error
    return sorted(paths, key=lambda path: natural_key(path.name))
