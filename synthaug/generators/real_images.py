"""Real images: what a generator is fitted to and judged by, and what samples start from."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from synthaug.core import Draws, InputError, expect_labels
from synthaug.data import (
    MOST_SHARED,
    LabelledImages,
    check_groups,
    expect_alike,
    holds_integers,
    matching_images,
    read_images,
    splits_of,
    to_array,
)

FEWEST_IMAGES = 2
DONORS = ("any", "within")  # borrow from images of any class, or of the same class


def training_images(data: Any) -> LabelledImages:
    """Return `data`, read where need be; `InputError` for a class with fewer than two images."""
    images = read_images(data)
    if not images.classes:
        raise InputError("images: expected at least one class, got none")
    scarce = np.flatnonzero(images.counts < FEWEST_IMAGES)
    if len(scarce):
        raise InputError(
            f"class {images.classes[scarce[0]]!r}: expected at least {FEWEST_IMAGES} images to "
            f"fit a generator, got {images.counts[scarce[0]]}; add images, or leave that class out"
        )
    return images


def validation_images(data: Any, train: LabelledImages) -> LabelledImages:
    """Return the images to judge samples by, without those that are trained on.

    Args:
        data: Labelled images, or a source of them; of one with a validation split, that.
        train: The images that are trained on.

    Raises:
        InputError: Where the images are not like those of training, or more of them than a few are
            trained on.
    """
    images = data if isinstance(data, LabelledImages) else _read(data, train.classes)
    like = (train.classes, train.image_shape, train.images.dtype)
    expect_alike("validation", images, *like)
    if len(images) < 2:
        raise InputError(f"validation: expected at least 2 images to judge by, got {len(images)}")
    check_groups({"train": train, "validation": images})
    if not (copies := matching_images(train, images)):
        return images
    index, place = next(iter(copies.items()))
    message = (
        f"validation: {len(copies)} of the {len(images)} images are trained on (image {index} is "
        f"training image {place}), which would be judged by how well they are copied"
    )
    if len(copies) > MOST_SHARED * len(images):
        raise InputError(f"{message}; give others")
    warnings.warn(f"{message}; they are left out", stacklevel=4)
    return images.subset(np.setdiff1d(np.arange(len(images)), [*copies]))


def _read(source: Any, classes: Sequence[str]) -> LabelledImages:
    """Read the validation split of a source, or where there is none its training images."""
    split = "val" if "val" in splits_of(source) else "train"
    # By name, since one of the classes may not be there.
    return read_images(source, split=split, classes=classes)


def labels_to_sample(labels: int | np.ndarray | Tensor, classes: int) -> np.ndarray:
    """Return labels int64 (M,) as they are, or of one number that many of every class."""
    if isinstance(labels, (int, np.integer)) and not isinstance(labels, bool):
        if labels < 1:
            raise InputError(f"labels: expected at least 1 image per class, got {labels}")
        return np.repeat(np.arange(classes), labels)
    array = to_array(labels)
    if array.ndim != 1 or not holds_integers(array):
        raise InputError(f"labels: expected integers (M,), got {array.dtype} {array.shape}")
    expect_labels("labels", array, classes)
    return array.astype(np.int64)


def sort_by_class(labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where the images of each class are.

    Args:
        labels: Class of each image, int64 (N,).
        classes: K, how many classes there are.

    Returns:
        Places of the images sorted by class (N,), and each class's start and size in them (K,).
    """
    sizes = np.bincount(labels, minlength=classes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.argsort(labels, kind="stable"), starts, sizes


def draw_member(data: LabelledImages, labels: np.ndarray, draws: Draws, name: str) -> np.ndarray:
    """Draw an image of the class of each item.

    Args:
        data: The images to draw from.
        labels: Class of each item, int64 (M,).
        draws: Random numbers of the items.
        name: Of the stream of random numbers.

    Returns:
        Places in `data`, int64 (M,).
    """
    order, starts, sizes = sort_by_class(data.labels, len(data.classes))
    places: np.ndarray = order[starts[labels] + draws.choice(name, sizes[labels])]
    return places


def draw_donor(data: LabelledImages, labels: np.ndarray, draws: Draws, donors: str) -> np.ndarray:
    """Draw an image for each item to borrow from, int64 (M,); it may be the one that borrows.

    It is of any class, each class equally often, or of the same class.
    """
    return draw_member(data, donor_labels(data, labels, draws, donors), draws, "donor")


def donor_labels(data: LabelledImages, labels: np.ndarray, draws: Draws, donors: str) -> np.ndarray:
    """Draw the class that each item borrows from, int64 (M,)."""
    if donors == "within":
        return labels
    return draws.choice("donor class", np.full(len(labels), len(data.classes)))
