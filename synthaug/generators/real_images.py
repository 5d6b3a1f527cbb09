"""The images that a generator is fitted to, and judged by.

Which real images samples start from and borrow from.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from synthaug.core import Draws, InputError
from synthaug.data import (
    MOST_SHARED,
    LabelledImages,
    check_groups,
    expect_alike,
    found_in,
    read_images,
    splits_of,
)

FEWEST_IMAGES = 2


def training_images(data: Any) -> LabelledImages:
    """`data`, read where need be; `InputError` for a class with fewer than two images."""
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
    """The same for the images to judge by, of a source with a split for that those; `InputError`
    where they are not like those of training, or more of them than a few are trained on; those few
    are left out."""
    images = data if isinstance(data, LabelledImages) else _read(data, train.classes)
    like = (train.classes, train.image_shape, train.images.dtype)
    expect_alike("validation", images, *like)
    if len(images) < 2:
        raise InputError(f"validation: expected at least 2 images to judge by, got {len(images)}")
    check_groups({"train": train, "validation": images})
    if not (known := found_in(train, images)):
        return images
    index, place = next(iter(known.items()))
    told = (
        f"validation: {len(known)} of the {len(images)} images are trained on (image {index} is "
        f"training image {place}), which would be judged by how well they are copied"
    )
    if len(known) > MOST_SHARED * len(images):
        raise InputError(f"{told}; give others")
    warnings.warn(f"{told}; they are left out", stacklevel=4)
    return images.subset(np.setdiff1d(np.arange(len(images)), [*known]))


def _read(source: Any, classes: Sequence[str]) -> LabelledImages:
    split = "val" if "val" in splits_of(source) else "train"
    # By name, since one of the classes may be missing here.
    return read_images(source, split=split, classes=classes)


DONORS = ("any", "within")  # borrow from images of any class, or of the same class


def members(labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the images of each class are: `order` sorted by class, and each class's start and size
    in it."""
    sizes = np.bincount(labels, minlength=classes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.argsort(labels, kind="stable"), starts, sizes


def draw_member(data: LabelledImages, labels: np.ndarray, draws: Draws, name: str) -> np.ndarray:
    """For each of `labels` the index of a random image of that class, int64 (M,)."""
    order, starts, sizes = members(data.labels, len(data.classes))
    chosen: np.ndarray = order[starts[labels] + draws.choice(name, sizes[labels])]
    return chosen


def draw_donor(data: LabelledImages, labels: np.ndarray, draws: Draws, donors: str) -> np.ndarray:
    """For each of `labels` a random image to borrow from, int64 (M,): of any class, each class
    equally often, or of the same class. It may be the one that borrows."""
    return draw_member(data, donor_labels(data, labels, draws, donors), draws, "donor")


def donor_labels(data: LabelledImages, labels: np.ndarray, draws: Draws, donors: str) -> np.ndarray:
    """The class that each item borrows from, int64 (M,)."""
    if donors == "within":
        return labels
    return draws.choice("donor class", np.full(len(labels), len(data.classes)))
