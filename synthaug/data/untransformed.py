"""A Dataset's items as they are before its own transforms."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy
from functools import cached_property, partial
from types import new_class
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset, Dataset, Subset
from torchvision.datasets.vision import StandardTransform

from synthaug.core import InputError


def source_of(dataset: Any, index: int) -> tuple[Any, int]:
    """Return the Dataset, within Subset and ConcatDataset, that item `index` comes from.

    Its transforms are those of the item. The item's index in it is returned, too.
    """
    while True:
        if _hands_on(dataset, Subset):
            dataset, index = dataset.dataset, int(dataset.indices[index])
        elif _hands_on(dataset, ConcatDataset):
            index += len(dataset) if index < 0 else 0
            part = bisect_right(dataset.cumulative_sizes, index)
            index -= dataset.cumulative_sizes[part - 1] if part else 0
            dataset = dataset.datasets[part]
        else:
            return dataset, index


def _hands_on(dataset: Any, kind: Any) -> bool:
    """Tell whether items are those of the Datasets within: `kind`'s own, in a subclass too."""
    return isinstance(dataset, kind) and type(dataset).__getitem__ is kind.__getitem__


def sources_of(dataset: Any) -> list[tuple[Any, int]]:
    """Return every Dataset that items come from, once, with the index of its first item.

    Other items may be left out because they are broken.
    """
    sources: dict[int, tuple[Any, int]] = {}
    for source, indices in _parts(dataset, np.arange(len(dataset))):
        sources.setdefault(id(source), (source, int(indices[0])))
    return list(sources.values())


def _parts(dataset: Any, indices: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """Return the Datasets that items `indices` (M,) come from, with the indices in them."""
    if not len(indices):
        return
    if _hands_on(dataset, Subset):
        yield from _parts(dataset.dataset, np.asarray(dataset.indices, np.int64)[indices])
    elif _hands_on(dataset, ConcatDataset):
        indices = np.where(indices < 0, indices + len(dataset), indices)
        numbers = np.searchsorted(dataset.cumulative_sizes, indices, "right")
        starts = [0, *dataset.cumulative_sizes]
        for number, part in enumerate(dataset.datasets):
            yield from _parts(part, indices[numbers == number] - starts[number])
    else:
        yield dataset, indices


class Apart:
    """The items of a Dataset, from a copy of it, or from itself where it has nothing to copy.

    A Dataset may open a file when it is first asked for an item, so that each worker process has
    its own. If it was asked before there are workers, all of them would share one file, and its
    position: images come out wrong. Files that the copy opens are closed with it.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        try:
            self.items = _shallow_copy(dataset)
        except (AttributeError, TypeError):
            self.items = dataset

    def __getitem__(self, index: int) -> Any:
        return self.items[index]

    def close(self) -> None:
        """Close what the copy has opened."""
        _close_opened(self.items, self._dataset)

    def __del__(self) -> None:
        with suppress(Exception):  # at the end of the process modules may be gone
            self.close()


class Untransformed:
    """The items of one Dataset before its `transform` or joint `transforms`, with their labels.

    Which of the two a Dataset uses cannot be told from its attributes: torchvision keeps both forms
    side by side, and `wrap_dataset_for_transforms_v2` uses another one than the Dataset that it
    wraps. So each is replaced by one that changes nothing and notes how it was called: on the
    image, on image and label, or by keyword, as those of albumentations are:
    `transform(image=image)["image"]`.

    Args:
        dataset: The Dataset.
        first: Index of the item that tells how.

    Raises:
        InputError: If its transforms cannot be replaced, or its later steps fail without them.
    """

    def __init__(self, dataset: Any, first: int = 0) -> None:
        self._dataset, self._first = dataset, first
        self._names = [name for name in ("transforms", "transform") if hasattr(dataset, name)]
        self._calls = _Calls(getattr(dataset, "transforms", None))
        self._plain = self._copy(self._names)

    def __getitem__(self, index: int) -> Any:
        self._calls.passed = None
        try:
            return self._plain[index]
        except (AttributeError, KeyError, TypeError) as error:
            if self._calls.passed is None:
                raise
            raise InputError(
                "the image cannot be taken apart from its transform: what "
                f"{type(self._dataset).__name__} does after it fails on the image before it "
                f"({type(error).__name__}: {error}); make the transform the last step of "
                "__getitem__, or give the Dataset before it"
            ) from error

    @cached_property
    def first(self) -> Any:
        """The item that tells how transforms are called."""
        return self[self._first]

    def goes_on(self, image: Any) -> bool:
        """Tell whether the Dataset does more to the latest item's image after its transform."""
        passed = self._calls.passed
        return self._has_transform and passed is not None and passed is not image

    @property
    def _has_transform(self) -> bool:
        return any(getattr(self._dataset, name) is not None for name in self._names)

    def hint(self, image: Any) -> str:
        """Return a hint for messages where the image is not the one before the transform."""
        if self._calls.passed is image:
            return ""
        if not self._has_transform:
            return _elsewhere(self._dataset)
        if self.goes_on(image):
            return (
                "; the Dataset does more to images after its transform: make that the last step of "
                "__getitem__, or give the Dataset before it"
            )
        return (
            "; its transform was not called for this item: the Dataset seems to keep transformed "
            "items, so give the one beneath"
        )

    @property
    def is_joint(self) -> bool:
        """Tell whether joint `transforms` transform image and label together, or would."""
        return "both" in self._uses.values()

    @property
    def own(self) -> tuple[Any, str]:
        """The Dataset's transform, or None, and its arguments: "image", "both" or "keyword"."""
        joint = getattr(self._dataset, "transforms", None)
        plain = joint is None or isinstance(joint, StandardTransform)
        if "transforms" not in self._uses or (plain and "transform" in self._uses):
            own = getattr(self._dataset, "transform", None)
            return own, self._uses.get("transform", "image")
        if isinstance(joint, StandardTransform):  # what it does to labels is done already
            return joint.transform, "image"
        return joint, self._uses["transforms"]

    @cached_property
    def _uses(self) -> dict[str, str]:
        """The attributes that may be called, and on what.

        `transforms` or `transform`, or both where one stands for the other, as in our own Datasets.
        """
        targets = self._calls.on
        if self.first is not None and "transforms" in targets and "transform" in self._names:
            plain = self._copy(["transform"])
            plain.items.transforms = None
            with suppress(TypeError):  # of those that call it without asking
                plain[self._first]
        return targets

    def transform(self, image: Any, label: Any) -> tuple[Any, Any]:
        """Apply the Dataset's present transforms to image and label."""
        own, on = self.own
        if own is None:
            return image, label
        if on == "both":
            return own(image, label)  # type: ignore[no-any-return]
        return (own(image=image)["image"] if on == "keyword" else own(image)), label

    def close(self) -> None:
        """Close files that were opened for the items; how a transform is called stays known."""
        self._plain.close()

    def _copy(self, names: list[str]) -> Apart:
        plain = Apart(self._dataset)
        try:
            if names and plain.items is self._dataset:
                raise TypeError("it has no attributes to copy")
            for name in names:  # where it is None, too: some call it without asking
                if isinstance(getattr(self._dataset, name), list | tuple | Mapping):
                    raise TypeError(f"{name} holds several")
                setattr(plain.items, name, partial(self._calls.unchanged, name))
        except (AttributeError, TypeError) as error:
            raise InputError(
                f"{type(self._dataset).__name__}: its {' or '.join(names)} cannot be taken off to "
                f"see the images before it ({error}); build the Dataset without, and give it to "
                "MixedDataset as transform="
            ) from error
        return plain


class _Calls:
    """Notes of how transforms are called, kept by the functions that replace them.

    Args:
        joint: The replacement of `transforms`, where nothing was noted.
    """

    def __init__(self, joint: Any) -> None:
        self._joint = joint
        self.on: dict[str, str] = {}  # "image", "both" or "keyword", by name
        self.passed: Any = None  # the image on which one was called last

    def unchanged(self, name: str, *values: Any, **named: Any) -> Any:
        """Return the arguments of the transform `name` unchanged, as torchvision's does labels."""
        self.passed = values[0] if values else named.get("image")
        self.on[name] = "keyword" if named else "image" if len(values) == 1 else "both"
        if named:
            return named
        if name == "transforms" and isinstance(self._joint, StandardTransform):
            return StandardTransform(None, self._joint.target_transform)(*values)
        return values[0] if len(values) == 1 else values


def _elsewhere(dataset: Any) -> str:
    """Return a hint at attributes of a Dataset that may be a transform under another name."""
    attributes = vars(dataset) if hasattr(dataset, "__dict__") else {}
    names = [
        name for name, value in attributes.items() if callable(value) and "transform" not in name
    ]
    if not names:
        return ""
    return (
        f"; if {' or '.join(names)} of {type(dataset).__name__} changes images, keep it as "
        "self.transform, by which name it is known and left out"
    )


def _shallow_copy(dataset: Any) -> Any:
    """Copy a Dataset by hand, since it may define a copy that loses its arguments.

    Lists and dicts are copied, too: one may be a cache, and entries of the copy are not
    transformed.
    """
    copied: Any = object.__new__(_endless(type(dataset)))
    for name, value in vars(dataset).items():
        vars(copied)[name] = _copied(value)
    return copied


def _close_opened(copied: Any, dataset: Any) -> None:
    originals = getattr(dataset, "__dict__", {})
    for name, value in getattr(copied, "__dict__", {}).items():
        own = originals.get(name)
        if isinstance(value, Dataset):  # a copy, which may share what it could close
            _close_opened(value, own)
        elif value is not own and callable(getattr(value, "close", None)):
            value.close()


def _copied(value: Any) -> Any:
    if isinstance(value, Dataset):
        with suppress(AttributeError, TypeError):
            return _shallow_copy(value)
    if isinstance(value, list) and value and isinstance(value[0], Dataset):
        return [_copied(each) for each in value]
    return copy(value) if isinstance(value, dict | list) else value


def _endless(kind: type) -> type:
    """Return the same class without a finaliser, since a copy would close the original's files."""
    if not hasattr(kind, "__del__"):
        return kind
    nothing = {"__del__": lambda self: None, "__module__": kind.__module__}
    return new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(nothing))
