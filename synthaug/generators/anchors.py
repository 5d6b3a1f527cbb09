"""Which real images samples start from and borrow from."""

import numpy as np
import torch
from torch import Tensor

from synthaug.images import LabelledImages
from synthaug.seeding import Draws

DONORS = ("any", "within")  # borrow from images of any class, or of the same class


class Classmates:
    """Draws images of one class by torch's global generator, while a generator is trained.

    labels: int64 (N,), the class of each image.
    """

    def __init__(self, labels: np.ndarray, classes: int) -> None:
        parts = (torch.as_tensor(part) for part in members(labels, classes))
        self._order, self._starts, self._sizes = parts
        self._labels = torch.as_tensor(labels)
        self._ranks = torch.argsort(self._order)

    def of_class(self, classes: Tensor) -> Tensor:
        """For each of `classes` (B,) a random image of it, int64 (B,)."""
        rank = (torch.rand(len(classes)) * self._sizes[classes]).long()
        return self._order[self._starts[classes] + rank]

    def another(self, images: Tensor) -> Tensor:
        """For each of `images` (B,) a random other one of its class, int64 (B,); the same one
        where there is no other."""
        label = self._labels[images]
        start, size = self._starts[label], self._sizes[label]
        # 1 to size - 1 places on within the class.
        offset = 1 + (torch.rand(len(images)) * (size - 1)).long()
        return self._order[start + (self._ranks[images] - start + offset) % size]


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
    equally often, or of the same class."""
    return draw_member(data, donor_labels(data, labels, draws, donors), draws, "donor")


def donor_labels(data: LabelledImages, labels: np.ndarray, draws: Draws, donors: str) -> np.ndarray:
    """The class that each item borrows from, int64 (M,)."""
    if donors == "within":
        return labels
    return draws.choice("donor class", np.full(len(labels), len(data.classes)))
