"""scikit-learn's handwritten digits: 1,797 images of 8x8, ten classes, no download.

Data sets by name: "torchvision:CIFAR10", "medmnist:pneumoniamnist".
"""

import difflib
import inspect
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synthaug.core import InputError, expand_path, numpy_stream
from synthaug.data.datasets import list_dataset
from synthaug.data.listing import SPLIT_NAMES, Listing, Splits

TRAIN = 1000


def open_digits() -> Splits:
    """List the digits: splits "train" (1,000) and "test" (797), stratified and always the same.

    Values 0 to 16 become 0 to 255; images are brought to 16x16 unless the caller asks otherwise.
    """
    return {"train": partial(_list_digits, train=True), "test": partial(_list_digits, train=False)}


def _list_digits(*, train: bool) -> Listing:
    from sklearn.datasets import load_digits  # slow to import

    digits = load_digits()
    labels = digits.target.astype(np.int64)
    rows = np.flatnonzero(_is_train(labels) == train)
    images = np.rint(digits.images[rows] * (255 / 16)).astype(np.uint8)
    return Listing(
        name=lambda index: f"digits: image {rows[index]}",
        load=lambda index: images[index][None],
        labels=labels[rows],
        classes=tuple(str(digit) for digit in range(10)),
        size=(16, 16),
    )


def _is_train(labels: np.ndarray) -> np.ndarray:
    """Choose `TRAIN` images, bool (N,), each class in proportion: largest remainders go up."""
    exact = np.bincount(labels) * TRAIN / len(labels)
    quota = exact.astype(np.int64)
    quota[np.argsort(quota - exact, kind="stable")[: TRAIN - quota.sum()]] += 1
    train = np.zeros(len(labels), bool)
    for label, count in enumerate(quota):
        members = np.flatnonzero(labels == label)
        train[numpy_stream(0, "digits", label).permutation(members)[:count]] = True
    return train


# The split= of torchvision's data sets; Oxford-IIIT Pets and Places365 have names of their own.
_ARGUMENTS = {**SPLIT_NAMES, "train": ("train", "trainval", "train-standard")}
_NOT_A_SET = ("VisionDataset", "ImageFolder", "DatasetFolder", "FakeData")


def data_root() -> Path:
    """Return where downloaded data sets are kept: SYNTHAUG_DATA, or else ~/.cache/synthaug."""
    return expand_path(os.environ.get("SYNTHAUG_DATA") or "~/.cache/synthaug")


def open_torchvision(name: str) -> Splits:
    """List the splits of a torchvision data set class; it downloads when a split is listed."""
    from torchvision import datasets

    set_names = [
        each
        for each in dir(datasets)
        if inspect.isclass(getattr(datasets, each))
        and issubclass(getattr(datasets, each), datasets.VisionDataset)
        and each not in _NOT_A_SET
    ]
    _check_name(name, set_names, kind="torchvision")
    dataset_class = getattr(datasets, name)
    parameters = inspect.signature(dataset_class).parameters
    _check_parameters(name, parameters)
    download = {"download": True} if "download" in parameters else {}
    return {
        split: partial(
            _download, f"torchvision:{name}", partial(dataset_class, **arguments, **download)
        )
        for split, arguments in _split_arguments(dataset_class, parameters).items()
    }


def open_medmnist(name: str) -> Splits:
    """List the splits of the MedMNIST set `name`; it downloads when one is listed."""
    try:
        import medmnist
    except ImportError:
        raise InputError(
            f"medmnist:{name}: expected the package medmnist; install it with "
            'pip install "synthaug[medical]"'
        ) from None
    _check_name(name, list(medmnist.INFO), kind="medmnist")
    info = medmnist.INFO[name]
    if "multi-label" in info["task"]:
        raise InputError(
            f"medmnist:{name}: expected one label per image, but it has several (multi-label), so "
            "that no class owns an image; choose a multi-class set"
        )
    if name.endswith("3d"):
        raise InputError(f"medmnist:{name}: expected images, got volumes; choose a 2D set")
    dataset_class = getattr(medmnist, info["python_class"])
    return {
        split: partial(
            _download, f"medmnist:{name}", partial(dataset_class, split=split, download=True)
        )
        for split in SPLIT_NAMES
    }


def _download(where: str, make: Callable[..., Any]) -> Listing:
    root = data_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        dataset = make(root=str(root))
    except (OSError, RuntimeError, ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{where}: expected to find or download it in {root} (SYNTHAUG_DATA), but {reason}"
        ) from error
    return list_dataset(dataset, where=where)


def _check_name(name: str, names: Iterable[str], *, kind: str) -> None:
    names = sorted(names)
    if name in names:
        return
    names_by_case = {each.casefold(): each for each in names}
    close = [
        names_by_case[each]
        for each in difflib.get_close_matches(name.casefold(), names_by_case, n=5)
    ]
    raise InputError(
        f"{kind}:{name}: expected a data set of {kind}; "
        + (f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names)}")
    )


def _check_parameters(name: str, parameters: Mapping[str, inspect.Parameter]) -> None:
    """Raise `InputError` unless a set can be made from its root and split alone."""
    names = [
        each.name
        for each in parameters.values()
        if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD
    ]
    if names != ["root"]:
        raise InputError(
            f"torchvision:{name}: expected a data set that needs only root, but this one needs "
            f"{', '.join(names) or 'none'}; make the Dataset in Python and give that instead"
        )


def _split_arguments(
    dataset_class: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, dict[str, Any]]:
    """Return per split the arguments that choose it, from the signature of the class."""
    if "train" in parameters:
        return {"train": {"train": True}, "test": {"train": False}}
    if "split" not in parameters:
        return {"train": {}}
    quiet = {"download": False} if "download" in parameters else {}
    arguments: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as empty:
        for split, values in _ARGUMENTS.items():
            for value in values:
                if _accepts(partial(dataset_class, root=empty, split=value, **quiet)):
                    arguments[split] = {"split": value}
                    break
    return arguments


def _accepts(make: Callable[[], Any]) -> bool:
    """Tell whether a class knows the split, without downloading.

    In an empty root torchvision raises ValueError for a split that does not exist, and other errors
    for missing data.
    """
    try:
        make()
    except ValueError:
        return False
    except Exception:
        return True
    return True
