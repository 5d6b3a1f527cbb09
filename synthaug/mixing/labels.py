"""Labels of synthetic images: their class, or rows of probabilities."""

from typing import Literal, get_args

import numpy as np

from synthaug.errors import InputError
from synthaug.images import Samples

Labels = Literal["hard", "soft", "mixed"]
SOFT_SHARE = 0.5  # of a mixed label (DM-KD: half one-hot, half posterior)


def check_labels(labels: str) -> None:
    """Raise `InputError` for what is no label rule."""
    if labels not in get_args(Labels):
        raise InputError(f"labels: expected one of {', '.join(get_args(Labels))}, got {labels!r}")


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Rows with a one in the column of the label, float32 (M, K)."""
    rows: np.ndarray = np.eye(classes, dtype=np.float32)[labels]
    return rows


def mixed_labels(labels: np.ndarray, soft: np.ndarray) -> np.ndarray:
    """Half of each one-hot label replaced by its soft row, float32 (M, K)."""
    mixed: np.ndarray = (1 - SOFT_SHARE) * one_hot(labels, soft.shape[1]) + SOFT_SHARE * soft
    return mixed


def label_rows(samples: Samples, classes: int, labels: str) -> np.ndarray:
    """The samples' labels as rows of probabilities under a rule, float32 (M, K): "hard" is one-hot,
    "soft" the samples' own soft labels, "mixed" half of each.

    Raises `InputError` where the rule needs soft labels and there are none.
    """
    check_labels(labels)
    if labels == "hard":
        return one_hot(samples.labels, classes)
    if samples.soft_labels is None:
        raise InputError(
            f"labels={labels!r}: the pool holds no soft labels; make it with "
            "SamplePool.create(..., teacher=network), of images made elsewhere with "
            "SamplePool.from_samples(..., Samples(images, labels, soft_labels), ...), or use "
            "labels='hard'"
        )
    soft = np.asarray(samples.soft_labels)
    return soft if labels == "soft" else mixed_labels(samples.labels, soft)
