"""Images that are there more than once, as in folders that were oversampled or scraped."""

import hashlib
from dataclasses import replace

import numpy as np

from synthaug.images import LabelledImages

MOST_SHARED = 0.05  # of the images of a split: more is no accident of collecting


def digest_of(image: np.ndarray) -> bytes:
    """Of its pixels, which take more room."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def first_alike(images: np.ndarray) -> np.ndarray:
    """For each of images (N, C, H, W) the index of the first that is equal to it, int64 (N,).

    >>> first_alike(np.array([3, 1, 3, 3, 1], np.uint8).reshape(5, 1, 1, 1))
    array([0, 1, 0, 0, 1])
    """
    known: dict[bytes, int] = {}
    found = [known.setdefault(digest_of(image), index) for index, image in enumerate(images)]
    return np.array(found, np.int64)


def found_in(one: LabelledImages, other: LabelledImages) -> dict[int, int]:
    """The indices of images in `other` that are in `one`, too, and where they are there."""
    places = {digest_of(image): index for index, image in enumerate(one.images)}
    found = ((index, places.get(digest_of(image))) for index, image in enumerate(other.images))
    return {
        index: place
        for index, place in found
        if place is not None and np.array_equal(one.images[place], other.images[index])
    }


def with_copies_grouped(data: LabelledImages) -> LabelledImages:
    """The same images, of which equal ones are of one group, so that no split parts them: one that
    is trained on would tell nothing of itself. Groups that share an image become one."""
    first = first_alike(data.images)
    if (first == np.arange(len(data))).all():
        return data
    if data.groups is None:
        groups = np.array([f"image {index} and its copies" for index in first])
    else:
        names, group_of = np.unique(data.groups, return_inverse=True)
        groups = names[_joined(group_of, first)]
    return replace(data, groups=groups)


def _joined(group_of: np.ndarray, first: np.ndarray) -> np.ndarray:
    """For each image the first of the groups that images of its own group lead to, by being equal
    to images of these."""
    from scipy.sparse import coo_array  # slow to import
    from scipy.sparse.csgraph import connected_components

    images = group_of.max() + 1 + first
    size = images.max() + 1
    edges = coo_array((np.ones(len(first), bool), (group_of, images)), shape=(size, size))
    _, part_of = connected_components(edges, directed=False)
    _, first_group = np.unique(part_of[: group_of.max() + 1], return_index=True)
    return np.asarray(first_group[part_of[group_of]])
