"""Check the options of a `MixedDataset`, and that pool and real images share their classes."""

import re
import warnings
from collections.abc import Sequence
from typing import Literal, get_args

from synthaug.core import InputError, expect_count
from synthaug.mixing.ratio import Ratio
from synthaug.pool import SamplePool

Mode = Literal["replace", "append", "balance"]


def check_options(ratio: Ratio | None, mode: str, per_class: int | None) -> None:
    """Raise `InputError` for unknown options, and for those that do not go together."""
    if mode not in get_args(Mode):
        raise InputError(f"mode: expected one of {', '.join(get_args(Mode))}, got {mode!r}")
    if mode == "balance" and ratio is not None:
        raise InputError(
            "ratio: the sizes of the classes settle it where mode='balance'; leave it out, or give "
            "per_class="
        )
    if mode != "balance" and per_class is not None:
        raise InputError(f"per_class: is for mode='balance', got mode={mode!r}")
    if per_class is not None:
        expect_count("per_class", per_class)
    if mode == "append" and callable(ratio):
        raise InputError(
            "ratio: a share that changes with the epoch would change the length; use mode='replace'"
        )


def shared_classes(real: Sequence[str], pool: SamplePool, mode: Mode) -> list[str]:
    """Return the pool's classes, if they are those of the real images.

    Warns where the labels of the real images have no names, so that their order cannot be checked.

    Raises:
        InputError: If the real images have others, or the same in another order.
    """
    names = list(real)
    numbers = [str(index) for index in range(len(names))]
    # Of classes without names the last may have no image; balancing would add it.
    lacks_some = len(names) < len(pool.classes) and mode != "balance"
    fits = names == numbers and (len(names) == len(pool.classes) or lacks_some)
    # Where the pool's classes are numbers too, as text 10 stands before 2.
    is_reordered = fits and set(names) <= set(pool.classes) and names != pool.classes[: len(names)]
    if names != pool.classes and (not fits or is_reordered):
        raise InputError(
            f"classes: the pool holds {pool.classes}, the real images {names}; they must be the "
            "same in the same order, as where the generator is fitted to this Dataset"
        )
    if names not in (pool.classes, pool.classes[: len(names)]) and _ambiguous(pool.classes, names):
        raise InputError(
            f"classes: the pool holds {pool.classes}, in the order of text, where 10 stands before "
            f"2; the real images have the labels 0 to {len(names) - 1} without names, which may "
            "mean those or the order of numbers: set .classes on the Dataset to the names of its "
            "labels"
        )
    if names != pool.classes[: len(names)]:
        warn_unnamed("the real images", pool.classes[: len(names)])
    return list(pool.classes)


def warn_unnamed(what: str, taken_as: Sequence[str]) -> None:
    """Warn that labels without class names are taken in the order of a pool."""
    names = ", ".join(taken_as[:8]) + ", ..." * (len(taken_as) > 8)
    warnings.warn(
        f"labels of {what} have no names: 0, 1 and so on are taken as {names}, the pool's classes "
        "in their order; set .classes on the Dataset to the names of its labels, so that this is "
        "checked",
        stacklevel=4,
    )


def _ambiguous(classes: Sequence[str], labels: Sequence[str]) -> bool:
    """Tell whether the first classes would be others in the order of the numbers in their names."""
    by_number = sorted(
        classes, key=lambda name: re.sub("[0-9]+", lambda run: run[0].zfill(20), name)
    )
    count = len(labels)
    return sorted(classes) == list(classes) and by_number[:count] != list(classes[:count])
