"""Define the share of synthetic images: one number, one a class, or changing over epochs."""

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
    """A share from `start` in epoch 0 to `end` in the last epoch, along a line.

    Args:
        start: Share in epoch 0, 0 to 1.
        end: Share in the last epoch, 0 to 1.
        epochs: Number of epochs.

    Raises:
        InputError: If one is out of range.

    Examples:
        >>> [LinearRatio(0.5, 0.0, epochs=3)(epoch) for epoch in range(4)]
        [0.5, 0.25, 0.0, 0.0]
    """

    start: float
    end: float
    epochs: int

    def __post_init__(self) -> None:
        _check_fade(self.start, self.end, self.epochs)

    def __call__(self, epoch: int) -> float:
        """Return the share of an epoch, counted from 0."""
        return self.start + (self.end - self.start) * _progress(epoch, self.epochs)


@dataclass(frozen=True)
class CosineRatio:
    """A share from `start` in epoch 0 to `end` in the last epoch, along half a cosine.

    Args:
        start: Share in epoch 0, 0 to 1.
        end: Share in the last epoch, 0 to 1.
        epochs: Number of epochs.

    Raises:
        InputError: If one is out of range.

    Examples:
        >>> [round(CosineRatio(0.5, 0.0, epochs=5)(epoch), 3) for epoch in range(5)]
        [0.5, 0.427, 0.25, 0.073, 0.0]
    """

    start: float
    end: float
    epochs: int

    def __post_init__(self) -> None:
        _check_fade(self.start, self.end, self.epochs)

    def __call__(self, epoch: int) -> float:
        """Return the share of an epoch, counted from 0."""
        weight = (1 + math.cos(math.pi * _progress(epoch, self.epochs))) / 2
        return self.end + (self.start - self.end) * weight


def _check_fade(start: float, end: float, epochs: int) -> None:
    as_share("start", start)
    as_share("end", end)
    expect_count("epochs", epochs)


@dataclass(frozen=True)
class OffForLast:
    """A share that is zero in the last epochs.

    Args:
        ratio: Share before them, which may be a schedule itself.
        last: Number of last epochs with real images only.
        epochs: Number of epochs.

    Raises:
        InputError: If one is out of range.

    Examples:
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
        """Return the share of an epoch, counted from 0."""
        if epoch >= self.epochs - self.last:
            return 0.0
        return self.ratio(epoch) if callable(self.ratio) else self.ratio


def _progress(epoch: int, epochs: int) -> float:
    return min(1.0, epoch / (epochs - 1)) if epochs > 1 else 1.0


def share_per_class(ratio: Ratio, classes: Sequence[str], epoch: int) -> np.ndarray:
    """Return the share of each class in an epoch, float64 (K,).

    Raises:
        InputError: If a share is outside 0 to 1, or a class has none.
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
