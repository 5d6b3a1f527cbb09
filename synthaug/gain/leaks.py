"""Whether a pool from elsewhere holds copies of test images, which would make any gain worthless,
or of the images that choices are made on, which would make it chosen for no merit.

Images are compared as thumbnails of 16 pixels, which survive rescaling and compression. A pool
image is a near-copy of a held image if it lies far closer to it than held images lie to training
images, and far closer than to any training image.
"""

import numpy as np
import torch
from torch.nn import functional as F

from synthaug.errors import InputError
from synthaug.images import LabelledImages, Samples, to_float

SIDE = 16
NEAR = 0.25  # of the median distance from a test image to the nearest training image
NEARER = 0.5  # than to the nearest training image
CHUNK = 1024


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
    made, real, apart = (_thumbnails(data.images) for data in (pool, train, held))
    typical = float(np.median(_nearest(apart, real)[0]))
    to_held, index = _nearest(made, apart)
    to_train, _ = _nearest(made, real)
    near = (to_held <= NEAR * typical) & (to_held <= NEARER * to_train)
    # Where both sides share an image, a copy of it tells nothing new of the held ones.
    near &= (to_held < to_train) | (to_train > NEAR * typical)
    return np.where(near, index, -1)


def _thumbnails(images: np.ndarray) -> torch.Tensor:
    parts = [
        F.adaptive_avg_pool2d(to_float(images[start : start + CHUNK]), (SIDE, SIDE)).flatten(1)
        for start in range(0, len(images), CHUNK)
    ]
    return torch.cat(parts)


def _nearest(images: torch.Tensor, others: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """For each of `images` the distance to the nearest of `others`, and which it is."""
    index = torch.cat([torch.cdist(part, others).argmin(1) for part in torch.split(images, CHUNK)])
    # By differences: the shortcut over products that finds it is too coarse to tell 0 from little.
    distance = (images - others[index]).norm(dim=1)
    return distance.numpy(), index.numpy()
