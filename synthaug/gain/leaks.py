"""Find images that are where they should not be.

The same image in two splits makes what is learned or chosen on the one worthless on the other. A
pool from elsewhere may hold copies of test images, which would make any gain worthless, or of the
images that choices are made on, which would make it chosen for no merit.

Splits are compared pixel by pixel; pools as thumbnails of 16 pixels, which survive rescaling and
compression. A pool image is a near-copy of a held image if it lies far closer to it than that one,
and half of all held ones, lie to training images, and far closer than to any training image; or if
it does so, and closer still, in another light, moved by a pixel or mirrored.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch.nn import functional as F

from synthaug.core import InputError
from synthaug.data import MOST_SHARED, LabelledImages, Samples, first_alike, matching_images
from synthaug.metrics import Compared, Features, nearest_of

SIDE = 16
NEAR = 0.25  # of the distance from a held image, or the median one, to the nearest training image
NEAR_CHANGED = 0.125  # the same in another light or place, of which there are many
NEARER = 0.5  # than to the nearest training image


def shared_images(splits: Mapping[str, LabelledImages]) -> list[str]:
    """Describe how many images two splits have in common.

    Raises:
        InputError: If it is more than one in twenty of the images that are measured on: of either
            of the two, except training images.
    """
    notes = []
    for (first, one), (second, other) in itertools.combinations(splits.items(), 2):
        twice = matching_images(one, other)
        if not twice:
            continue
        text = f"{len(twice)} of the {len(other)} {second} images are {first} images, too"
        shares = [len(twice) / len(other)]
        if first != "train":
            shares.append(len(matching_images(other, one)) / len(one))
        if max(shares) > MOST_SHARED:
            index, example = next(iter(twice.items()))
            raise InputError(
                f"{text} ({second} image {index} is {first} image {example}); a gain measured "
                "with them would be worthless. Take them out of one of the two"
            )
        notes.append(text)
    return notes


def copies_within(train: LabelledImages) -> list[str]:
    """Describe how many training images are there more than once."""
    copies = len(train) - len(np.unique(first_alike(train.images)))
    if not copies:
        return []
    return [
        f"{copies:,} of the {len(train):,} train images are copies of others, and stay with them "
        "where images are set apart"
    ]


def refuse_copies(pool: Samples, train: LabelledImages, test: LabelledImages) -> None:
    """Raise `InputError` naming the pool's images that are near-copies of test images."""
    originals = copies_of(pool, train, test)
    copies = np.flatnonzero(originals >= 0)
    if len(copies):
        pairs = ", ".join(f"{i} (test image {originals[i]})" for i in copies[:5])
        raise InputError(
            f"the pool holds {len(copies)} near-copies of test images: {pairs}"
            f"{', ...' if len(copies) > 5 else ''}; a gain measured with them would be worthless. "
            "Remove them, or make the pool from training images alone"
        )


def without_copies(pool: Samples, train: LabelledImages, validation: LabelledImages) -> np.ndarray:
    """Return the rows of a pool, int64, that are no near-copies of the validation images of an arm.

    A pool made from all training images knows those, too, and would be chosen for it.
    """
    return np.flatnonzero(copies_of(pool, train, validation) < 0)


def copies_of(pool: Samples, train: LabelledImages, other: LabelledImages) -> np.ndarray:
    """Return for each image of a pool the other image that it is a near-copy of, or -1."""
    images = pool.images, train.images, other.images
    same = _copies_by(nearest_of, _thumbnails, NEAR, *images)
    return np.where(same < 0, _copies_by(_nearest_moved, _unlit, NEAR_CHANGED, *images), same)


def _copies_by(
    find: Callable[[np.ndarray, Compared], tuple[np.ndarray, np.ndarray]],
    features: Features,
    share: float,
    pool: np.ndarray,
    train: np.ndarray,
    other: np.ndarray,
) -> np.ndarray:
    among_train = Compared(train, features)
    own = nearest_of(other, among_train)[1]
    index, to_other = find(pool, Compared(other, features))
    limit = share * np.minimum(np.median(own), own[index])
    originals, near = np.full(len(pool), -1), np.flatnonzero(to_other <= limit)
    if not len(near):
        return originals
    _, to_train = find(pool[near], among_train)
    # Less, not equal: an image that both sides share says nothing new of the other side.
    sure = to_other[near] < NEARER * to_train
    originals[near[sure]] = index[near[sure]]
    return originals


def _nearest_moved(images: np.ndarray, among: Compared) -> tuple[np.ndarray, np.ndarray]:
    """Find nearest images, each as it is, moved by a pixel or mirrored, whichever is nearest."""
    results = [nearest_of(variant, among) for variant in _shifted_and_mirrored(images)]
    index, distance = (np.stack(each) for each in zip(*results, strict=True))
    best = distance.argmin(0), np.arange(len(images))
    return index[best], distance[best]


def _shifted_and_mirrored(images: np.ndarray) -> Iterator[np.ndarray]:
    height, width = images.shape[2:]
    larger = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    for view in (larger, larger[..., ::-1]):
        for y, x in itertools.product(range(3), repeat=2):
            yield np.ascontiguousarray(view[..., y : y + height, x : x + width])


def _thumbnails(images: torch.Tensor) -> torch.Tensor:
    return F.adaptive_avg_pool2d(images, (SIDE, SIDE)).flatten(1)


def _unlit(images: torch.Tensor) -> torch.Tensor:
    """Return thumbnails of one brightness and one contrast."""
    small = _thumbnails(images)
    return F.normalize(small - small.mean(1, keepdim=True), dim=1)
