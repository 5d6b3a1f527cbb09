"""A Dataset's items as they are before its own transforms."""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

from torch.utils.data import ConcatDataset, Subset
from torchvision.datasets.vision import StandardTransform


def source_of(dataset: Any, index: int) -> tuple[Any, int]:
    """The Dataset, within Subset and ConcatDataset, that item `index` comes from, whose transforms
    are those of the item; and the item's index in it."""
    while True:
        if type(dataset) is Subset:
            dataset, index = dataset.dataset, int(dataset.indices[index])
        elif type(dataset) is ConcatDataset:
            part = bisect_right(dataset.cumulative_sizes, index)
            index -= dataset.cumulative_sizes[part - 1] if part else 0
            dataset = dataset.datasets[part]
        else:
            return dataset, index


def sources_of(dataset: Any) -> Iterator[Any]:
    """Every Dataset that `source_of` can find."""
    if type(dataset) is Subset:
        yield from sources_of(dataset.dataset)
    elif type(dataset) is ConcatDataset:
        for part in dataset.datasets:
            yield from sources_of(part)
    else:
        yield dataset


class Untransformed:
    """The items of one Dataset as they are before its `transform`, or its joint `transforms`, with
    the labels that it gives out.

    Which of the two a Dataset uses cannot be told from its attributes: torchvision keeps both forms
    side by side, and `wrap_dataset_for_transforms_v2` goes by another one than what it wraps. So
    each is replaced by one that changes nothing and notes that it was called; and whether by
    keyword, as those of albumentations are: `transform(image=image)["image"]`.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._called: set[str] = set()
        self._by_keyword = False
        names = [name for name in ("transforms", "transform") if hasattr(dataset, name)]
        self._plain = _shallow_copy(dataset) if names else dataset
        for name in names:  # where it is None, too: some call it without asking
            setattr(self._plain, name, partial(self._unchanged, name))

    def __getitem__(self, index: int) -> Any:
        return self._plain[index]

    @cached_property
    def first(self) -> Any:
        """Item 0."""
        return self._plain[0]

    @cached_property
    def is_joint(self) -> bool:
        """Whether image and label are transformed together, as far as item 0 tells."""
        return self.first is not None and "transforms" in self._called

    def transform(self, image: Any, label: Any) -> tuple[Any, Any]:
        """`image` and `label` through the Dataset's own transforms, which can be set at any
        time."""
        own = getattr(self._dataset, "transforms" if self.is_joint else "transform", None)
        if self._by_keyword:
            return (image if own is None else own(image=image)["image"]), label
        if self.is_joint:
            if own is not None and not isinstance(own, StandardTransform):
                return own(image, label)  # type: ignore[no-any-return]
            own = own.transform if own else None
        return (image if own is None else own(image)), label

    def _unchanged(self, name: str, *values: Any, **named: Any) -> Any:
        self._called.add(name)
        if named:
            self._by_keyword = True
            return named
        if name == "transforms" and isinstance(self._dataset.transforms, StandardTransform):
            return StandardTransform(None, self._dataset.transforms.target_transform)(*values)
        return values[0] if len(values) == 1 else values


def _shallow_copy(dataset: Any) -> Any:
    """By hand, since a Dataset may say itself how it is copied, and forget what it was given."""
    made = object.__new__(type(dataset))
    vars(made).update(vars(dataset))
    return made
