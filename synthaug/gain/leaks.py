"""Whether a pool from elsewhere holds copies of test images, which would make any gain worthless.

Images are compared as thumbnails of 16 pixels, which survive rescaling and compression. A pool
image is a near-copy of a test image if it lies far closer to it than test images lie to training
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
    made, real, held = (_thumbnails(data.images) for data in (pool, train, test))
    typical = float(np.median(_nearest(held, real)[0]))
    to_test, index = _nearest(made, held)
    to_train, _ = _nearest(made, real)
    copies = np.flatnonzero((to_test <= NEAR * typical) & (to_test <= NEARER * to_train))
    # Where training and test share an image, a copy of it tells nothing new of the test images.
    copies = copies[(to_test[copies] < to_train[copies]) | (to_train[copies] > NEAR * typical)]
    if len(copies):
        pairs = ", ".join(f"{i} (test image {index[i]})" for i in copies[:5])
        raise InputError(
            f"the pool holds {len(copies)} near-copies of test images: {pairs}"
            f"{', ...' if len(copies) > 5 else ''}; a gain measured with them would be worthless. "
            "Remove them, or make the pool from training images alone"
        )


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
