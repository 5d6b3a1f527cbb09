"""Whether images are where they should not be.

The same image in two splits makes what is learned or chosen on the one worthless on the other. A
pool from elsewhere may hold copies of test images, which would make any gain worthless, or of the
images that choices are made on, which would make it chosen for no merit.

Splits are compared pixel by pixel; pools as thumbnails of 16 pixels, which survive rescaling and
compression. A pool image is a near-copy of a held image if it lies far closer to it than held
images lie to training images, and far closer than to any training image.
"""

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch.nn import functional as F

from synthaug.errors import InputError
from synthaug.images import LabelledImages, Samples
from synthaug.metrics.nearest import nearest

SIDE = 16
MOST_SHARED = 0.05  # of the images of a split: more is no accident of collecting
NEAR = 0.25  # of the median distance from a test image to the nearest training image
NEARER = 0.5  # than to the nearest training image


def shared_images(parts: Mapping[str, LabelledImages]) -> list[str]:
    """In words, how many images two splits have in common.

    Raises `InputError` where it is more than one in twenty of the latter of the two.
    """
    said = []
    for (first, one), (second, other) in itertools.combinations(parts.items(), 2):
        places = {image.tobytes(): index for index, image in enumerate(one.images)}
        twice = [index for index, image in enumerate(other.images) if image.tobytes() in places]
        if not twice:
            continue
        text = f"{len(twice)} of the {len(other)} {second} images are {first} images, too"
        if len(twice) > MOST_SHARED * len(other):
            example = places[other.images[twice[0]].tobytes()]
            raise InputError(
                f"{text} ({second} image {twice[0]} is {first} image {example}); a gain measured "
                "with them would be worthless. Take them out of one of the two"
            )
        said.append(text)
    return said


def refuse_copies(pool: Samples, train: LabelledImages, test: LabelledImages) -> None:
    """Raise `InputError` naming the pool's images that are near-copies of test images."""
    copied = copies_of(pool, train, test)
    copies = np.flatnonzero(copied >= 0)
    if len(copies):
        pairs = ", ".join(f"{i} (test image {copied[i]})" for i in copies[:5])
        raise InputError(
            f"the pool holds {len(copies)} near-copies of test images: {pairs}"
            f"{', ...' if len(copies) > 5 else ''}; a gain measured with them would be worthless. "
            "Remove them, or make the pool from training images alone"
        )


def without_copies(pool: Samples, train: LabelledImages, held: LabelledImages) -> Samples:
    """The pool without near-copies of the images that score an arm for choices: a pool made from
    all training images knows those too, and would be chosen for it."""
    return pool.subset(np.flatnonzero(copies_of(pool, train, held) < 0))


def copies_of(pool: Samples, train: LabelledImages, held: LabelledImages) -> np.ndarray:
    """For each of the pool's images the held image that it is a near-copy of, or -1."""
    made, real, apart = pool.images, train.images, held.images
    typical = float(np.median(nearest(apart, real, _thumbnails)[1]))
    index, to_held = nearest(made, apart, _thumbnails)
    _, to_train = nearest(made, real, _thumbnails)
    near = (to_held <= NEAR * typical) & (to_held <= NEARER * to_train)
    # Where both sides share an image, a copy of it tells nothing new of the held ones.
    near &= (to_held < to_train) | (to_train > NEAR * typical)
    return np.where(near, index, -1)


def _thumbnails(images: torch.Tensor) -> torch.Tensor:
    return F.adaptive_avg_pool2d(images, (SIDE, SIDE)).flatten(1)
