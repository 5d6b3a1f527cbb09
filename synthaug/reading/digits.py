"""scikit-learn's handwritten digits: 1,797 images of 8x8, ten classes, no download."""

from functools import partial

import numpy as np

from synthaug.reading.listing import Listing, Splits
from synthaug.seeding import numpy_stream

TRAIN = 1000


def open_digits() -> Splits:
    """Splits "train" (1,000) and "test" (797), stratified and always the same.

    Values 0 to 16 become 0 to 255; images are brought to 16x16 unless the caller says otherwise.
    """
    return {"train": partial(_list_digits, train=True), "test": partial(_list_digits, train=False)}


def _list_digits(*, train: bool) -> Listing:
    from sklearn.datasets import load_digits  # slow to import

    digits = load_digits()
    labels = digits.target.astype(np.int64)
    chosen = np.flatnonzero(_is_train(labels) == train)
    images = np.rint(digits.images[chosen] * (255 / 16)).astype(np.uint8)
    return Listing(
        name=lambda index: f"digits: image {chosen[index]}",
        load=lambda index: images[index][None],
        labels=labels[chosen],
        classes=tuple(str(digit) for digit in range(10)),
        size=(16, 16),
    )


def _is_train(labels: np.ndarray) -> np.ndarray:
    """bool (N,), `TRAIN` of them true, each class in proportion: largest remainders go up."""
    exact = np.bincount(labels) * TRAIN / len(labels)
    quota = exact.astype(np.int64)
    quota[np.argsort(quota - exact, kind="stable")[: TRAIN - quota.sum()]] += 1
    train = np.zeros(len(labels), bool)
    for label, count in enumerate(quota):
        members = np.flatnonzero(labels == label)
        train[numpy_stream(0, "digits", label).permutation(members)[:count]] = True
    return train
