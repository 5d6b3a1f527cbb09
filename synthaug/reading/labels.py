"""Label arrays as class indices, with the names of the classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from synthaug.checks import expect_labels
from synthaug.errors import InputError
from synthaug.reading.listing import class_order


def flat_labels(values: Any, where: str) -> np.ndarray:
    """Labels (N,) or (N, 1) as an int64 or string array (N,).

    Raises `InputError`, beginning with `where`, for other shapes and types.
    """
    labels = np.asarray(values)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InputError(
            f"{where}: expected one label per image, shape (N,) or (N, 1), got {labels.shape}; "
            "images with several labels each are not supported; of one-hot labels, or of "
            "probabilities, take .argmax(1)"
        )
    labels = decoded(labels, where)
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels):
        labels = labels.astype(np.str_)  # as a column of pandas has them
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise InputError(
            f"{where}: expected integers, got NaN at index {np.isnan(labels).argmax()}; "
            "remove that image or label it"
        )
    if labels.dtype.kind not in "iubU":
        raise InputError(
            f"{where}: expected integers or strings, got {labels.dtype}; convert whole numbers "
            "with .astype('int64')"
        )
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def decoded(values: np.ndarray, where: str) -> np.ndarray:
    """Bytes as strings, other types as they are.

    Raises `InputError`, beginning with `where`, for bytes that are not UTF-8.
    """
    if values.dtype.kind != "S":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: expected text in UTF-8, got the bytes {error.object!r}; save strings"
        ) from None


def class_names(
    labels: np.ndarray, where: str, advice: str = "give the names of all classes as class_names"
) -> tuple[str, ...]:
    """The class names that labels (N,) imply: sorted strings, or "0" to "K-1".

    Raises `InputError`, ending with `advice`, when integers leave a number out: it would be a class
    without images.
    """
    if labels.dtype.kind == "U":
        return class_order(labels.tolist())
    present = np.unique(labels)
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if len(gaps):
        if len(gaps) == len(present) == present[-1] - present[0] + 1:  # they begin elsewhere
            first = present[0]
            shift = f"subtract {first} from" if first > 0 else f"add {-first} to"
            advice = f"{shift} each, or {advice}"
        raise InputError(
            f"{where}: expected labels 0, 1, 2 and so on without a gap, got {present[gaps[0]]} "
            f"where {gaps[0]} should be; {advice}"
        )
    return tuple(str(label) for label in present.tolist())


def label_indices(labels: np.ndarray, classes: Sequence[str], where: str) -> np.ndarray:
    """Labels (N,) of either kind as int64 indices into `classes`.

    Raises `InputError`, naming the index, for a label that is not among them.
    """
    if labels.dtype.kind == "U":
        index_of = {name: index for index, name in enumerate(classes)}
        wrong = [i for i, label in enumerate(labels.tolist()) if label not in index_of]
        if wrong:
            raise InputError(
                f"{where}: expected one of the {len(classes)} class names, got "
                f"{str(labels[wrong[0]])!r} at index {wrong[0]}"
            )
        return np.array([index_of[label] for label in labels.tolist()], np.int64)
    expect_labels(where, labels, len(classes))
    return labels
