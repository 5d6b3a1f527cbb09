"""Draw the synthetic images that take the places of real ones."""

from collections.abc import Sequence

import numpy as np

from synthaug.core.errors import InputError


class ClassDrawer:
    """A drawer of items of given classes, within a class evenly or by weight.

    Args:
        labels: Class of each item, int64 (M,).
        classes: Number of classes.
        weights: How often each item is drawn relative to others of its class, (M,), or None.

    Examples:
        >>> drawer = ClassDrawer(np.array([0, 1, 1]), classes=2)
        >>> drawer.draw(np.array([0, 0]), np.random.default_rng(0)).tolist()
        [0, 0]
    """

    def __init__(self, labels: np.ndarray, classes: int, weights: np.ndarray | None = None) -> None:
        even = np.ones(len(labels)) if weights is None else weights.astype(float)
        usable = np.flatnonzero(even > 0)
        self._order = usable[np.argsort(labels[usable], kind="stable")]
        counts = np.bincount(labels[usable], minlength=classes)
        if weights is not None:  # each class adds up to 1, else a heavy one would drown the others
            even[usable] /= np.bincount(labels, weights=even)[labels[usable]]
        self._ends = np.cumsum(counts)
        self._cumulative = np.concatenate([[0.0], np.cumsum(even[self._order])])
        self.present: np.ndarray = np.flatnonzero(counts)

    @property
    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Items in order of class, the end of each class, and the weights of all before each."""
        return self._order, self._ends, self._cumulative

    def draw(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the index of an item for each of `classes` (B,), int64 (B,).

        Raises:
            InputError: If a class has no items.
        """
        return self.at(classes, rng.random(len(classes)))

    def at(self, classes: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return the items that numbers `unit` in [0, 1), (B,), draw of `classes` (B,), int64 (B,).

        Raises:
            InputError: If a class has no items.
        """
        absent = np.setdiff1d(classes, self.present)
        if len(absent):
            raise InputError(f"no synthetic image of class {absent[0]}; add some to the pool")
        ends = self._ends[classes]
        starts = np.where(classes > 0, self._ends[classes - 1], 0)
        low, high = self._cumulative[starts], self._cumulative[ends]
        ranks = np.searchsorted(self._cumulative, low + unit * (high - low), "right") - 1
        chosen: np.ndarray = self._order[np.clip(ranks, starts, ends - 1)]
        return chosen


def absent_classes(
    labels: np.ndarray, weights: np.ndarray | None, classes: Sequence[str]
) -> list[str]:
    """Return the classes of which no item can be drawn; arguments as for `ClassDrawer`."""
    present = ClassDrawer(labels, len(classes), weights).present
    return [name for label, name in enumerate(classes) if label not in present]


def replaced_positions(batch_size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` distinct places in a batch.

    MixUp and CutMix pair neighbours, so synthetic images must never stand in a block.
    """
    return rng.permutation(batch_size)[:count]
