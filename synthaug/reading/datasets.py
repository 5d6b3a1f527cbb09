"""Map-style Datasets, and `LabelledImages` that are to be resized."""

from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthaug.errors import InputError
from synthaug.images import LabelledImages
from synthaug.reading.decoding import BROKEN, from_pil, unreadable
from synthaug.reading.discovery import classes_of, labels_of, split_item
from synthaug.reading.listing import Listing, Splits
from synthaug.reading.pixels import from_array, from_tensor


def open_labelled(data: LabelledImages) -> Splits:
    """Labelled images as the one split "train"."""
    listing = Listing(
        name=lambda index: f"image {index}",
        load=lambda index: data.images[index],
        labels=data.labels,
        classes=data.classes,
        groups=data.groups,
    )
    return {"train": lambda: listing}


def open_dataset(dataset: Any) -> Splits:
    """A Dataset of (image, label) as the one split "train", whatever it was made from."""
    return {"train": partial(list_dataset, dataset, where=type(dataset).__name__)}


def list_dataset(dataset: Any, *, where: str) -> Listing:
    """The listing of a Dataset whose images are PIL images, arrays or tensors of 8 or 16 bits."""
    try:
        labels, classes = labels_of(dataset), classes_of(dataset)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return Listing(
        name=lambda index: f"{where}: item {index}",
        load=partial(_load, dataset, labels, classes),
        labels=labels,
        classes=classes,
    )


def _load(dataset: Any, labels: np.ndarray, classes: tuple[str, ...], index: int) -> np.ndarray:
    try:
        image, label = split_item(dataset[index])
        if isinstance(image, Image.Image):
            image.load()
    except InputError:
        raise
    except BROKEN as error:
        raise unreadable(f"{type(error).__name__}: {error}") from error
    _check_label(label, labels[index], classes)
    if isinstance(image, Image.Image):
        return from_pil(image)
    if isinstance(image, torch.Tensor):
        return from_tensor(image)
    if isinstance(image, np.ndarray):
        return from_array(image)
    raise InputError(f"expected a PIL image, an array or a tensor, got {type(image).__name__}")


def _check_label(label: Any, found: int, classes: tuple[str, ...]) -> None:
    """Attributes can be stale (items shuffled or filtered later); the item itself is the truth."""
    value = np.asarray(label)
    if value.size == 1 and value.dtype.kind in "iu" and value.item() != found:
        raise InputError(
            f"expected label {found} ({classes[found]}), as the dataset's own list of labels says, "
            f"but the item has {value.item()}"
        )
