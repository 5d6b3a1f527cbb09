"""The images that a generator is fitted to, and judged by."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from synthaug.errors import InputError
from synthaug.images import LabelledImages, expect_alike
from synthaug.reading import MOST_SHARED, check_groups, found_in, read_images, splits_of

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
