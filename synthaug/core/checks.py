"""Check arguments and settings; each message names one and what was expected."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np

from synthaug.core.errors import InputError


def expect_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Check that `value` is one of `choices`.

    Examples:
        >>> expect_choice("donors", "any", ("any", "within"))
    """
    options = list(choices)
    if value not in options:
        raise InputError(f"{name}: expected {' or '.join(map(repr, options))}, got {value!r}")


def expect_count(name: str, value: Any, least: int = 1) -> None:
    """Check that `value` is an integer of at least `least`."""
    if not _is_integer(value) or value < least:
        raise InputError(f"{name}: expected an integer of at least {least}, got {value!r}")


def as_count(name: str, value: Any, least: int = 1) -> int:
    """Return an integer of at least `least` as one of Python, which JSON can hold.

    Examples:
        >>> as_count("steps", np.int64(600))
        600
    """
    expect_count(name, value, least)
    return int(value)


def as_seed(seed: Any) -> int:
    """Return a seed as an integer of Python, which JSON can hold.

    Examples:
        >>> as_seed(np.int64(3))
        3
    """
    if not _is_integer(seed):
        raise InputError(f"seed: expected an integer, got {seed!r}")
    return int(seed)


def expect_flag(name: str, value: Any) -> None:
    """Check that `value` is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected True or False, got {value!r}")


def expect_progress(value: Any) -> None:
    """Check that `value` is None or a function.

    Examples:
        >>> expect_progress(print)
    """
    if value is not None and not callable(value):
        raise InputError(f"progress: expected a function, as print, or None, got {value!r}")


def expect_number(name: str, value: Any, *, zero: bool = False) -> None:
    """Check that `value` is a finite number above zero, or also zero where `zero` is set."""
    if not is_number(value) or not 0 <= value < float("inf") or (value == 0 and not zero):
        bound = "of at least 0" if zero else "above 0"
        raise InputError(f"{name}: expected a number {bound}, got {value!r}")


def as_share(name: str, value: Any) -> float:
    """Return a number from 0 to 1 as one of Python.

    Examples:
        >>> as_share("ratio", np.float32(0.25))
        0.25
    """
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not 0 <= number <= 1:
        raise InputError(f"{name}: expected a number from 0 to 1, got {value!r}")
    return float(number)


def expect_range(name: str, value: Any) -> None:
    """Check that `value` is a pair (low, high) of numbers with 0 <= low <= high."""
    try:
        low, high = value
        fits = is_number(low) and is_number(high) and 0 <= low <= high < float("inf")
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(f"{name}: expected (low, high) with 0 <= low <= high, got {value!r}")


def expect_labels(name: str, labels: np.ndarray, classes: int) -> None:
    """Check that each of `labels`, integers (N,), is the number of one of so many classes."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise InputError(
            f"{name}: expected 0 to {classes - 1} for {classes} classes, got {labels[wrong[0]]} at "
            f"index {wrong[0]}"
        )


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Tell whether an object is a number of Python or numpy; true and false are none."""
    return _is_integer(value) or isinstance(value, (float, np.floating))
