"""The images that a generator is fitted to, and judged by."""

from typing import Any

import numpy as np

from synthaug.errors import InputError
from synthaug.images import LabelledImages, expect_alike
from synthaug.reading import read_images

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
    """The same for the images to judge by; `InputError` where they are not like those of
    training."""
    # By name, since one of the classes may be missing here.
    given = isinstance(data, LabelledImages)
    images: LabelledImages = data if given else read_images(data, classes=train.classes)
    like = (train.classes, train.image_shape, train.images.dtype)
    expect_alike("validation", images, *like)
    if len(images) < 2:
        raise InputError(f"validation: expected at least 2 images to judge by, got {len(images)}")
    return images
