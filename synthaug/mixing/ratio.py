"""The share of synthetic images: one number, one a class, or changing over epochs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from synthaug.core import InputError, as_share, expect_count

Share: TypeAlias = float | Mapping[str, float] | Sequence[float]
"""One share from 0 to 1 for all classes, or one for each, by name or in the order of classes."""
Ratio: TypeAlias = Share | Callable[[int], Share]
"""A share, or what gives the share of an epoch, counted from 0."""


@dataclass(frozen=True)
class LinearRatio:
    """From `start` in epoch 0 to `end` in the last of `epochs`, along a line.

    >>> [LinearRatio(0.5, 0.0, epochs=3)(epoch) for epoch in range(4)]
    [0.5, 0.25, 0.0, 0.0]
    """

    start: float
    end: float
    epochs: int

    def __post_init__(self) -> None:
        _check_fade(self.start, self.end, self.epochs)

    def __call__(self, epoch: int) -> float:
        return self.start + (self.end - self.start) * _progress(epoch, self.epochs)


@dataclass(frozen=True)
class CosineRatio:
    """From `start` in epoch 0 to `end` in the last of `epochs`, along half a cosine.

    >>> [round(CosineRatio(0.5, 0.0, epochs=5)(epoch), 3) for epoch in range(5)]
    [0.5, 0.427, 0.25, 0.073, 0.0]
    """

    start: float
    end: float
    epochs: int

    def __post_init__(self) -> None:
        _check_fade(self.start, self.end, self.epochs)

    def __call__(self, epoch: int) -> float:
        left = (1 + math.cos(math.pi * _progress(epoch, self.epochs))) / 2
        return self.end + (self.start - self.end) * left


def _check_fade(start: float, end: float, epochs: int) -> None:
    as_share("start", start)
    as_share("end", end)
    expect_count("epochs", epochs)


@dataclass(frozen=True)
class OffForLast:
    """`ratio`, which may be a schedule itself, and only real images in the `last` of `epochs`.

    >>> [OffForLast(0.5, last=2, epochs=4)(epoch) for epoch in range(5)]
    [0.5, 0.5, 0.0, 0.0, 0.0]
    """

    ratio: Ratio
    last: int
    epochs: int

    def __post_init__(self) -> None:
        expect_count("last", self.last, least=0)
        expect_count("epochs", self.epochs)

    def __call__(self, epoch: int) -> Share:
        if epoch >= self.epochs - self.last:
            return 0.0
        return self.ratio(epoch) if callable(self.ratio) else self.ratio


def _progress(epoch: int, epochs: int) -> float:
    return min(1.0, epoch / (epochs - 1)) if epochs > 1 else 1.0


def share_per_class(ratio: Ratio, classes: Sequence[str], epoch: int) -> np.ndarray:
    """The share of each class in an epoch, float64 (K,).

    Raises `InputError` naming the class for shares outside 0 to 1, and for classes that have none.
    """
    share = ratio(epoch) if callable(ratio) else ratio
    at = f" in epoch {epoch}" if callable(ratio) else ""
    if isinstance(share, Mapping):
        _check_names(list(share), classes, at)
        share = [share[name] for name in classes]
    shares = np.asarray(share)
    one_each = shares.ndim == 1 and len(shares) == len(classes)
    if shares.dtype.kind not in "iuf" or not (shares.ndim == 0 or one_each):
        raise InputError(
            f"ratio{at}: expected one number or {len(classes)}, one a class, got {share!r}"
        )
    shares = np.broadcast_to(shares.astype(np.float64), len(classes))
    wrong = np.flatnonzero(~((shares >= 0) & (shares <= 1)))
    if len(wrong):
        of_class = "" if np.ndim(share) == 0 else f" of class {classes[wrong[0]]!r}"
        raise InputError(
            f"ratio{of_class}{at}: expected a share from 0 to 1, got {shares[wrong[0]]}"
        )
    return shares


def _check_names(names: Sequence[str], classes: Sequence[str], at: str) -> None:
    for wrong, text in (
        (set(names) - set(classes), "is no class"),
        (set(classes) - set(names), "has no share"),
    ):
        if wrong:
            raise InputError(
                f"ratio{at}: {min(wrong, key=str)!r} {text}; expected each of {list(classes)}"
            )
