"""A Dataset's items as they are before its own transforms."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from typing import Any

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
    each is replaced by one that changes nothing and notes how it was called: on the image, on image
    and label, or by keyword, as those of albumentations are: `transform(image=image)["image"]`.

    Raises `InputError` for a Dataset whose transforms cannot be replaced.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._calls: dict[str, str] = {}  # to "image", "both" or "keyword", by name
        names = [name for name in ("transforms", "transform") if hasattr(dataset, name)]
        self._plain = self._copy(names) if names else dataset

    def __getitem__(self, index: int) -> Any:
        return self._plain[index]

    @cached_property
    def first(self) -> Any:
        """Item 0."""
        return self._plain[0]

    @cached_property
    def _call(self) -> tuple[str, str]:
        """Which of the two is called, and on what, as far as item 0 tells."""
        name = (
            "transforms" if self.first is not None and "transforms" in self._calls else "transform"
        )
        return name, self._calls.get(name, "image")

    @property
    def is_joint(self) -> bool:
        """Whether image and label are transformed together."""
        return self._call[1] == "both"

    def transform(self, image: Any, label: Any) -> tuple[Any, Any]:
        """`image` and `label` through the Dataset's own transforms, which can be set at any
        time."""
        name, on = self._call
        own = getattr(self._dataset, name, None)
        if isinstance(own, StandardTransform):  # what it does to labels is done already
            own, on = own.transform, "image"
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
        self._calls[name] = "keyword" if named else "image" if len(values) == 1 else "both"
        if named:
            return named
        if name == "transforms" and isinstance(self._dataset.transforms, StandardTransform):
            return StandardTransform(None, self._dataset.transforms.target_transform)(*values)
        return values[0] if len(values) == 1 else values


def _shallow_copy(dataset: Any) -> Any:
    """By hand, since a Dataset may say itself how it is copied, and forget what it was given."""
    made = object.__new__(type(dataset))
    vars(made).update(vars(dataset))
    return made
