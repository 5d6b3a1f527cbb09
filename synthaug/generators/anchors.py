"""Which real images samples start from and borrow from."""

import numpy as np

from synthaug.images import LabelledImages
from synthaug.seeding import Draws

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
