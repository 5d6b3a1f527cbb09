"""A Dataset's items as they are before its own transforms."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import copy
from functools import cached_property, partial
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset, Subset
from torchvision.datasets.vision import StandardTransform

from synthaug.errors import InputError


def source_of(dataset: Any, index: int) -> tuple[Any, int]:
    """The Dataset, within Subset and ConcatDataset, that item `index` comes from, whose transforms
    are those of the item; and the item's index in it."""
    while True:
        if type(dataset) is Subset:
            dataset, index = dataset.dataset, int(dataset.indices[index])
        elif type(dataset) is ConcatDataset:
            index += len(dataset) if index < 0 else 0
            part = bisect_right(dataset.cumulative_sizes, index)
            index -= dataset.cumulative_sizes[part - 1] if part else 0
            dataset = dataset.datasets[part]
        else:
            return dataset, index


def sources_of(dataset: Any) -> list[tuple[Any, int]]:
    """Every Dataset that `source_of` finds for an item, once, and the index in it of the first such
    item: others may be left out because they are broken."""
    found: dict[int, tuple[Any, int]] = {}
    for source, indices in _parts(dataset, np.arange(len(dataset))):
        found.setdefault(id(source), (source, int(indices[0])))
    return list(found.values())


def _parts(dataset: Any, indices: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """The Datasets that items `indices` (M,) come from, each with the items' indices in it."""
    if not len(indices):
        return
    if type(dataset) is Subset:
        yield from _parts(dataset.dataset, np.asarray(dataset.indices, np.int64)[indices])
    elif type(dataset) is ConcatDataset:
        indices = np.where(indices < 0, indices + len(dataset), indices)
        numbers = np.searchsorted(dataset.cumulative_sizes, indices, "right")
        starts = [0, *dataset.cumulative_sizes]
        for number, part in enumerate(dataset.datasets):
            yield from _parts(part, indices[numbers == number] - starts[number])
    else:
        yield dataset, indices


class Untransformed:
    """The items of one Dataset as they are before its `transform`, or its joint `transforms`, with
    the labels that it gives out.

    Which of the two a Dataset uses cannot be told from its attributes: torchvision keeps both forms
    side by side, and `wrap_dataset_for_transforms_v2` goes by another one than what it wraps. So
    each is replaced by one that changes nothing and notes how it was called: on the image, on image
    and label, or by keyword, as those of albumentations are: `transform(image=image)["image"]`.

    first: the index of the item that tells how.

    Raises `InputError` for a Dataset whose transforms cannot be replaced, and for an item on which
    it does more after them that fails without.
    """

    def __init__(self, dataset: Any, first: int = 0) -> None:
        self._dataset, self._first = dataset, first
        self._calls: dict[str, str] = {}  # to "image", "both" or "keyword", by name
        self._passed: Any = None  # the image on which one was called for the last item
        self._names = [name for name in ("transforms", "transform") if hasattr(dataset, name)]
        self._plain = self._copy(self._names) if self._names else dataset

    def __getitem__(self, index: int) -> Any:
        self._passed = None
        try:
            return self._plain[index]
        except (AttributeError, KeyError, TypeError) as error:
            if self._passed is None:
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

    def hint(self, image: Any) -> str:
        """What a message about `image`, that of the item that was asked for last, adds where it is
        not what stands before the transform."""
        if self._passed is image:
            return ""
        if all(getattr(self._dataset, name) is None for name in self._names):
            return _elsewhere(self._dataset)
        if self._passed is None:
            return (
                "; its transform was not called for this item: the Dataset seems to keep "
                "transformed items, so give the one beneath"
            )
        return (
            "; the Dataset does more to images after its transform: make that the last step of "
            "__getitem__, or give the Dataset before it"
        )

    @property
    def is_joint(self) -> bool:
        """Whether image and label are transformed together, or would be by joint `transforms`."""
        return "both" in self._uses.values()

    @property
    def own(self) -> tuple[Any, str]:
        """The transform that the Dataset has now, or None, and what it is called on: "image",
        "both" or "keyword"."""
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
        """What may be called, on what: `transforms` or `transform`, or both where the one stands in
        for the other, as in our own Datasets."""
        if self.first is not None and "transforms" in self._calls and "transform" in self._names:
            plain = self._copy(["transform"])
            plain.transforms = None
            with suppress(TypeError):  # of those that call it without asking
                plain[self._first]
        return self._calls

    def transform(self, image: Any, label: Any) -> tuple[Any, Any]:
        """`image` and `label` through the Dataset's own transforms, which can be set at any
        time."""
        own, on = self.own
        if own is None:
            return image, label
        if on == "both":
            return own(image, label)  # type: ignore[no-any-return]
        return (own(image=image)["image"] if on == "keyword" else own(image)), label

    def _copy(self, names: list[str]) -> Any:
        try:
            plain = _shallow_copy(self._dataset)
            for name in names:  # where it is None, too: some call it without asking
                if isinstance(getattr(self._dataset, name), list | tuple | Mapping):
                    raise TypeError(f"{name} holds several")
                setattr(plain, name, partial(self._unchanged, name))
        except (AttributeError, TypeError) as error:
            raise InputError(
                f"{type(self._dataset).__name__}: its {' or '.join(names)} cannot be taken off to "
                f"see the images before it ({error}); build the Dataset without, and give it to "
                "MixedDataset as transform="
            ) from error
        return plain

    def _unchanged(self, name: str, *values: Any, **named: Any) -> Any:
        self._passed = values[0] if values else named.get("image")
        self._calls[name] = "keyword" if named else "image" if len(values) == 1 else "both"
        if named:
            return named
        if name == "transforms" and isinstance(self._dataset.transforms, StandardTransform):
            return StandardTransform(None, self._dataset.transforms.target_transform)(*values)
        return values[0] if len(values) == 1 else values


def _elsewhere(dataset: Any) -> str:
    """A hint at attributes of a Dataset without a transform that may be one by another name."""
    held = vars(dataset) if hasattr(dataset, "__dict__") else {}
    names = [name for name, value in held.items() if callable(value) and "transform" not in name]
    if not names:
        return ""
    return (
        f"; if {' or '.join(names)} of {type(dataset).__name__} changes images, keep it as "
        "self.transform, by which name it is known and left out"
    )


def _shallow_copy(dataset: Any) -> Any:
    """By hand, since a Dataset may say itself how it is copied, and forget what it was given. Lists
    and dicts are copied too: one may be a cache, and what the copy adds is not transformed."""
    made = object.__new__(type(dataset))
    for name, value in vars(dataset).items():
        vars(made)[name] = copy(value) if isinstance(value, dict | list) else value
    return made
