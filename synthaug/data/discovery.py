"""Label arrays as class indices, with the names of the classes.

The labels and class names of a map-style Dataset, without decoding images if possible.
"""

import operator
from collections.abc import KeysView, Mapping, Sequence, ValuesView
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset, IterableDataset, Subset

from synthaug.core import InputError, expect_labels, global_stream
from synthaug.data.conversion import to_array
from synthaug.data.decoding import BROKEN
from synthaug.data.listing import class_order
from synthaug.data.untransformed import Apart, source_of, sources_of


def flat_labels(values: Any, where: str) -> np.ndarray:
    """Return labels (N,) or (N, 1) as an int64 or string array (N,).

    Raises:
        InputError: If they have another shape or type. It begins with `where`.
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
    """Return bytes as strings, other types as they are.

    Raises:
        InputError: If bytes are not UTF-8. It begins with `where`.
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
    """Return the class names that labels (N,) imply: sorted strings, or "0" to "K-1".

    Raises:
        InputError: If integers leave a number out, which would be a class without images. It ends
            with `advice`.
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
    """Return labels (N,) of either kind as int64 indices into `classes`.

    Raises:
        InputError: If a label is not among them.
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


# `.targets` first; SVHN, STL10 and MedMNIST have `.labels`; Flowers102, Pets, Food101 `._labels`.
LABEL_ATTRIBUTES = ("targets", "labels", "_labels")


def is_map_style(dataset: object) -> bool:
    """Tell whether an object has items and a length, as map-style Datasets do."""
    # Every torch Dataset has __getitem__, and those that are only iterated may have a length.
    return (
        hasattr(dataset, "__getitem__")
        and hasattr(dataset, "__len__")
        and not isinstance(dataset, IterableDataset)
    )


def labels_and_classes(dataset: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Find the labels of a Dataset, and the names of its classes.

    Labels come from `.targets`, `.labels`, `._labels`, through Subset and ConcatDataset, and at
    last from every item, each read once. A Dataset with a `target_transform` is scanned, since its
    attributes bypass it. Names come from `.classes` or `.class_to_idx`, of the Dataset's reader, as
    timm has it, from `.features`, as Hugging Face's datasets have them, and of the Dataset within a
    Subset or ConcatDataset; otherwise the labels imply them.

    Returns:
        Labels, int64 (N,), and the class names that they index.

    Raises:
        InputError: If it is no map-style Dataset, or an image has no label or several.
    """
    if isinstance(dataset, str) or not is_map_style(dataset):
        raise InputError(
            f"expected a map-style Dataset of (image, label), got {type(dataset).__name__}; of "
            "a DataLoader give its .dataset, of class folders an ImageFolder, of what read_images "
            "read TensorDataset(torch.tensor(data.images), torch.tensor(data.labels))"
        )
    if not len(dataset):
        raise InputError("expected images, got an empty Dataset")
    labels = _labels(dataset)
    classes = named_classes(dataset)
    if classes is None:
        advice = "set .classes on the Dataset to the names of 0, 1, 2 and so on"
        classes = class_names(labels, "labels of the dataset", advice)
    elif _merges_classes(dataset, len(classes)):
        raise InputError(
            f"expected a label for each of the {len(classes)} classes {', '.join(classes)}, but "
            f"some become one{relabelling(dataset)}"
        )
    try:
        return label_indices(labels, classes, "labels of the dataset"), classes
    except InputError as error:
        raise InputError(f"{error}{relabelling(dataset)}") from error


def split_item(item: Any) -> tuple[Any, Any]:
    """Return image and label of a Dataset's item; the label is None for an image alone.

    A mapping's label follows torchvision's rule, `labels`, then any that contains `label`; but that
    `label` itself goes before longer ones.
    """
    if isinstance(item, Mapping):
        keys = [str(key) for key in item]
        image_key = next((key for key in keys if key in ("image", "images", "img")), None)
        if image_key is None:
            raise InputError(f"expected an item with a key image, got the keys {', '.join(keys)}")
        label_key = _label_key(keys)
        return item[image_key], None if label_key is None else item[label_key]
    if isinstance(item, Sequence) and not isinstance(item, str):
        if len(item) < 2:
            raise InputError(f"expected items (image, label), got {len(item)} value")
        return item[0], item[1]
    return item, None


def _label_key(keys: Sequence[str]) -> str | None:
    exact = [key for key in ("labels", "label") if key in keys]
    return next(iter([*exact, *(key for key in keys if "label" in key)]), None)


def check_label(label: Any, list_label: int, classes: Sequence[str]) -> None:
    """Check an item's own label against the one from the Dataset's attributes.

    Attributes can be stale: items may be shuffled or filtered later.

    Raises:
        InputError: If the two differ.
    """
    value = to_array(label)
    as_kinds = {
        "i": list_label,
        "u": list_label,
        "U": classes[list_label],
        "S": classes[list_label].encode(),
    }
    expected: object = as_kinds.get(value.dtype.kind)
    if value.size == 1 and expected is not None and value.item() != expected:
        raise InputError(
            f"expected label {list_label} ({classes[list_label]}), as the dataset's own list of "
            f"labels says, but the item has {value.item()}"
        )


def same_classes(parts: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """Return the class names that all parts of a Dataset share; None for no parts.

    Raises:
        InputError: If two differ, in their order, too.
    """
    if any(part != parts[0] for part in parts):
        raise InputError(
            f"expected the datasets in a ConcatDataset to have the same classes, got "
            f"{parts[0]} and {next(part for part in parts if part != parts[0])}; "
            "one label would mean two things"
        )
    return parts[0] if parts else None


def relabelling(dataset: Any) -> str:
    """Return a hint for messages where labels are not those that the Dataset's classes name."""
    if not is_map_style(dataset) or named_classes(dataset) is None:
        return ""
    if not any(getattr(part, "target_transform", None) for part, _ in sources_of(dataset)):
        return ""
    return "; its target_transform changes labels: set .classes to the names of those that come out"


def _merges_classes(dataset: Any, count: int) -> bool:
    """Tell whether a `target_transform` merges classes, and `classes` still names the old ones."""
    for part, _ in sources_of(dataset):
        change: Any = getattr(part, "target_transform", None)
        list_labels = None if change is None else _listed_labels(part)
        if list_labels is None or list_labels.ndim != 1:
            continue
        before = np.unique(list_labels).tolist()
        with global_stream(0, "scan labels"), suppress(Exception):  # for labels of other forms
            after = {to_array(change(label)).item() for label in before}
            if len(after) < min(len(before), count):
                return True
    return False


def _labels(dataset: Any) -> np.ndarray:
    labels = _attribute_labels(dataset)
    return flat_labels(_scan(dataset) if labels is None else labels, "labels of the dataset")


def _scan(dataset: Any) -> np.ndarray:
    """Return the labels of all items, each read once."""
    parts = {id(part): Apart(part) for part, _ in sources_of(dataset)}
    labels = []
    with global_stream(0, "scan labels"):
        for index in range(len(dataset)):
            part, place = source_of(dataset, index)
            try:
                item = parts[id(part)][place]
            except BROKEN as error:
                raise InputError(
                    f"item {index}: labels are found by reading all items, and this one fails "
                    f"({type(error).__name__}: {error}); replace or remove it, or give the Dataset "
                    "its labels as .targets"
                ) from error
            labels.append(_item_label(item, index, place))
    return np.array(labels)


def _attribute_labels(dataset: Any) -> np.ndarray | None:
    """Return labels without a scan, of any shape and type, or None."""
    if getattr(dataset, "target_transform", None) is not None:
        return None
    list_labels = _listed_labels(dataset)
    if list_labels is not None:
        return list_labels
    if isinstance(dataset, Subset):
        inner = _attribute_labels(dataset.dataset)
        indices = np.asarray(dataset.indices, dtype=np.int64)
        return None if inner is None else np.asarray(inner[indices])
    if isinstance(dataset, ConcatDataset):
        part_labels = [_attribute_labels(part) for part in _filled_parts(dataset)]
        parts = [part.reshape(len(part), -1) for part in part_labels if part is not None]
        return np.concatenate(parts) if parts and len(parts) == len(part_labels) else None
    return None


def _listed_labels(dataset: Any) -> np.ndarray | None:
    """Return labels as the Dataset lists them, before a `target_transform`, or None."""
    for name in LABEL_ATTRIBUTES:
        values = getattr(dataset, name, None)
        if not isinstance(values, (np.ndarray, torch.Tensor, Sequence)) or isinstance(values, str):
            continue
        if len(values) == len(dataset):
            try:
                return to_array(values)
            except ValueError as error:
                raise InputError(
                    f".{name}: expected one label per image, got several of some ({error}); images "
                    "with several labels each are not supported"
                ) from error
    return None


def _filled_parts(dataset: Any) -> list[Any]:
    """Return the parts of a ConcatDataset that have items."""
    return [part for part in dataset.datasets if len(part)]


def _item_label(item: Any, index: int, place: int) -> Any:
    """Return the label of item `index`, which comes from item `place` of an inner Dataset."""
    _, label = split_item(item)
    value = to_array(label)
    if label is None or value.size != 1 or value.dtype.kind not in "iubUS":
        raise InputError(
            f"item {index}: expected (image, label) with an integer or string label, got "
            f"{type(label).__name__} {value.shape if value.ndim else ''}".rstrip()
        )
    rest = list(item[2:]) if isinstance(item, Sequence) else []
    for number, part in enumerate(rest, 2):
        if _is_integer(part) and int(part) not in (index, place):
            raise InputError(
                f"item {index}: expected (image, label), got {len(item)} values of which both "
                f"number 1, {value.item()!r}, and number {number}, {int(part)}, may be the label; "
                "give the Dataset its labels as .targets, or wrap it in one that returns the two"
            )
    return value.reshape(-1)[0]


def _is_integer(value: Any) -> bool:
    if isinstance(value, str | Mapping | Sequence):
        return False
    array = to_array(value)
    return array.size == 1 and array.dtype.kind in "iu"


def named_classes(dataset: Any) -> tuple[str, ...] | None:
    """Return the class names that a Dataset brings, or None.

    Raises:
        InputError: If parts of a ConcatDataset bring different ones.
    """
    for attribute, find in (
        ("classes", _names_in),
        ("class_to_idx", _in_index_order),
        ("reader", _of_reader),
        ("info", _of_medmnist),
        ("features", _of_features),
    ):
        names = find(getattr(dataset, attribute, None))
        if names is not None:
            return _as_they_come_out(dataset, names)
    if isinstance(dataset, Subset):
        return named_classes(dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        return same_classes([named_classes(part) for part in _filled_parts(dataset)])
    return None


def _as_they_come_out(dataset: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in the order of labels after a `target_transform` that renumbers classes.

    Only where they are still those that the Dataset's reader set.
    """
    change: Any = getattr(dataset, "target_transform", None)
    if change is None or names != _names_before(dataset):
        return names
    with global_stream(0, "scan labels"), suppress(Exception):  # for labels of other forms
        after = [to_array(change(label)).item() for label in range(len(names))]
        if sorted(after) == list(range(len(names))):
            return tuple(names[after.index(label)] for label in range(len(names)))
    return names


def _names_before(dataset: Any) -> tuple[str, ...] | None:
    """Return the names that the Dataset's reader set, as far as it kept them.

    Users who set `.classes` to the new ones leave `.class_to_idx` as it was.
    """
    follows = isinstance(getattr(type(dataset), "class_to_idx", None), property)
    return None if follows else _in_index_order(getattr(dataset, "class_to_idx", None))


def _names_in(classes: Any) -> tuple[str, ...] | None:
    """Return the names in a list, an array, a pandas Index, or a dict, of names or of numbers."""
    if isinstance(classes, Mapping):
        by_name = all(isinstance(key, str) for key in classes)
        return _in_index_order(classes if by_name else {_text(n): k for k, n in classes.items()})
    if isinstance(classes, set | frozenset):
        raise InputError(
            f".classes: expected the names of 0, 1, 2 and so on in a list, got a "
            f"{type(classes).__name__}, which has no order"
        )
    names = classes.tolist() if hasattr(classes, "tolist") else classes
    if not isinstance(names, Sequence | ValuesView | KeysView) or isinstance(names, str | bytes):
        return None
    # ImageNet's are tuples of synonyms.
    return tuple(
        ", ".join(map(str, name)) if isinstance(name, tuple) else _text(name) for name in names
    )


def _text(name: Any) -> str:
    return str(decoded(np.array(name), "classes") if isinstance(name, bytes) else name)


def _of_reader(reader: Any) -> tuple[str, ...] | None:
    return _in_index_order(getattr(reader, "class_to_idx", None))


def _of_medmnist(info: Any) -> tuple[str, ...] | None:
    names = info.get("label") if isinstance(info, Mapping) else None
    if not isinstance(names, Mapping):
        return None
    return tuple(str(names[key]) for key in sorted(names, key=int))


def _of_features(features: Any) -> tuple[str, ...] | None:
    """Return the class names of Hugging Face's ClassLabel, under the key that labels have."""
    if not isinstance(features, Mapping):
        return None
    key = _label_key([str(key) for key in features])
    return None if key is None else _names_in(getattr(features.get(key), "names", None))


def _in_index_order(indices: Any) -> tuple[str, ...] | None:
    """Return the names in order of their numbers, where each has its own from 0."""
    if not isinstance(indices, Mapping):
        return None
    numbers = {_text(name): number for name, number in indices.items()}
    try:
        names = sorted(numbers, key=lambda name: operator.index(numbers[name]))
    except TypeError:  # no numbers
        return None
    return tuple(names) if [numbers[name] for name in names] == list(range(len(names))) else None
