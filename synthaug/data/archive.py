"""`.npz` files: images and labels as arrays, per split."""

import zipfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np

from synthaug.core import InputError
from synthaug.data.decoding import check_depth, from_array
from synthaug.data.discovery import class_names, decoded, flat_labels, label_indices
from synthaug.data.listing import SPLIT_NAMES, Listing, Splits, split_named
from synthaug.data.splits import group_key, known_groups, warn_of_unused

LAYOUT = "expected images and labels, or train_images and train_labels (likewise val_, test_)"
_CLASS_KEYS = ("class_names", "classes")
# What zipfile and NumPy raise for files that are damaged, encrypted, or compressed in a way that
# Python lacks.
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError, RuntimeError)


def open_archive(path: Path) -> Splits:
    """List the splits of an `.npz`: `images` and `labels` are "train", or `<split>_images` each."""
    keys = _keys(path)
    prefixes = _prefixes(path, keys)
    if "images" in keys and prefixes:
        raise InputError(
            f"{path}: {LAYOUT}; got images and {next(iter(prefixes.values()))}images both"
        )
    if "images" in keys:
        prefixes = {"train": ""}
    if not prefixes:
        raise InputError(f"{path}: {LAYOUT}; got the keys {', '.join(keys) or '(none)'}")
    for prefix in prefixes.values():
        if f"{prefix}labels" not in keys:
            raise InputError(
                f"{path}: expected a key {prefix}labels beside {prefix}images; got the keys "
                f"{', '.join(keys)}"
            )
    return {split: partial(_list_archive, path, keys, prefixes, split) for split in prefixes}


def _prefixes(path: Path, keys: list[str]) -> dict[str, str]:
    """Return how the keys of each split begin: a name of the split and an underscore."""
    prefixes: dict[str, str] = {}
    for key in keys:
        if not key.endswith("_images"):
            continue
        split = split_named(key.removesuffix("_images"))
        if split is None:
            raise InputError(f"{path}: {LAYOUT}; got {key}, which is no split; rename or remove it")
        if split in prefixes:
            raise InputError(
                f"{path}: expected one key for split {split!r}, got {prefixes[split]}images and "
                f"{key}; rename or remove one"
            )
        prefixes[split] = key.removesuffix("images")
    return {split: prefixes[split] for split in SPLIT_NAMES if split in prefixes}


def _list_archive(path: Path, keys: list[str], prefixes: dict[str, str], split: str) -> Listing:
    prefix = prefixes[split]
    labels = {
        each: flat_labels(_read(path, f"{each}labels"), f"{path}: {each}labels")
        for each in prefixes.values()
    }
    classes = _classes(path, keys, list(labels.values()))
    key = f"{prefix}images"
    images = _read(path, key)
    _check_images(images, f"{path}: {key}")
    if len(labels[prefix]) != len(images):
        raise InputError(
            f"{path}: expected as many {prefix}labels as {key}, got {len(labels[prefix])} labels "
            f"for {len(images)} images"
        )
    groups = _groups(path, keys, prefix, len(images))
    return Listing(
        name=lambda index: f"{path}: {key}[{index}]",
        load=lambda index: from_array(images[index]),
        labels=label_indices(labels[prefix], classes, f"{path}: {prefix}labels"),
        classes=classes,
        groups=None if groups is None else known_groups(groups, split),
    )


def _classes(path: Path, keys: list[str], labels: list[np.ndarray]) -> tuple[str, ...]:
    """Return the class names of the file, or those that the labels of all splits imply together."""
    names_key = next((key for key in _CLASS_KEYS if key in keys), None)
    if names_key is not None:
        names = decoded(_read(path, names_key), f"{path}: {names_key}")
        if names.ndim != 1:
            raise InputError(f"{path}: {names_key}: expected shape (K,), got {names.shape}")
        if len(set(names.tolist())) < len(names):
            raise InputError(f"{path}: {names_key}: expected distinct names, got {names.tolist()}")
        return tuple(str(name) for name in names.tolist())
    if len({part.dtype.kind for part in labels}) > 1:
        raise InputError(f"{path}: expected labels of one type, got strings and integers")
    return class_names(np.concatenate(labels), f"{path}: labels of all splits")


def _check_images(images: np.ndarray, where: str) -> None:
    if images.dtype.kind == "f" and np.isnan(images).any():
        index = np.isnan(images.reshape(len(images), -1)).any(1).argmax()
        raise InputError(
            f"{where}[{index}]: expected uint8 or uint16 pixels, got {images.dtype} with NaN; "
            "remove that image and convert the others"
        )
    try:
        check_depth(images)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if images.ndim == 3:
        return
    if images.ndim != 4 or (images.shape[3] not in (1, 3) and images.shape[1] not in (1, 3)):
        raise InputError(
            f"{where}: expected shape (N, H, W), (N, H, W, 1 or 3) or (N, 1 or 3, H, W), got "
            f"{images.shape}; drop an alpha channel"
        )


def _groups(path: Path, keys: list[str], prefix: str, count: int) -> np.ndarray | None:
    """Return the groups of a split, under `<prefix>group` or another usual name."""
    other_keys = (f"{prefix}images", f"{prefix}labels", *_CLASS_KEYS)
    others = [name for name in keys if name.startswith(prefix) and name not in other_keys]
    key = group_key(others, str(path), prefix)
    if key is None:
        _warn_of_others(path, others, prefix, count)
        return None
    values = _read(path, key)
    groups = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if groups.shape != (count,) or groups.dtype.kind not in "iuUS":
        raise InputError(
            f"{path}: {key}: expected {count} integers or strings, one per image, got "
            f"{groups.dtype} of shape {groups.shape}"
        )
    return decoded(groups, f"{path}: {key}")


def _warn_of_others(path: Path, keys: list[str], prefix: str, count: int) -> None:
    """Warn of keys with a value for each image that may group images under another name."""
    candidates = [key for key in keys if _is_per_image(path, key, count)]
    warn_of_unused(
        str(path), candidates, f"{prefix}group", stacklevel=5
    )  # whoever called read_images


def _is_per_image(path: Path, key: str, count: int) -> bool:
    """Tell whether `key` has a value for each image, by its header.

    The header can be read where Python objects cannot be loaded: objects that describe the whole
    file must not stop it from being read.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
            if np.lib.format.read_magic(member) != (1, 0):  # a table with columns
                return False
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    except KeyError:  # a text beside the arrays
        return False
    except _BROKEN as error:
        raise _damage_error(path, error) from error
    return shape in ((count,), (count, 1)) and dtype.kind in "iuUSO"


def _keys(path: Path) -> list[str]:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except _BROKEN as error:
        raise _damage_error(path, error) from error


def _read(path: Path, key: str) -> np.ndarray:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return np.asarray(archive[key])
    except _BROKEN as error:
        if "allow_pickle" not in str(error):
            raise _damage_error(path, error) from error
        raise InputError(
            f"{path}: {key}: expected plain numbers or strings, got Python objects, which are not "
            "loaded because they can run code; save it as a plain array"
        ) from None


def _damage_error(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: expected an .npz file as numpy.savez writes it, but it is cut short or damaged "
        f"({error}); copy or write it again"
    )
