"""Map-style Datasets, and `LabelledImages` that are to be resized."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from synthaug.core import InputError, global_stream
from synthaug.data.decoding import (
    BROKEN,
    expect_depth_kept,
    from_array,
    from_pil,
    from_tensor,
    unreadable,
)
from synthaug.data.discovery import check_label, labels_and_classes, split_item
from synthaug.data.images import LabelledImages
from synthaug.data.listing import Listing, Splits
from synthaug.data.untransformed import Apart, Untransformed, source_of, sources_of

LOOKED_AT = 100  # images, at most, for the first one that can be read


def open_labelled(data: LabelledImages) -> Splits:
    """Open labelled images as the one split "train"."""
    listing = Listing(
        name=lambda index: f"image {index}",
        load=lambda index: data.images[index],
        labels=data.labels,
        classes=data.classes,
        groups=data.groups,
    )
    return {"train": lambda: listing}


def open_dataset(dataset: Any) -> Splits:
    """List a Dataset of (image, label) as the one split "train"."""
    return {"train": partial(list_dataset, dataset, where=type(dataset).__name__)}


def list_dataset(dataset: Any, *, where: str) -> Listing:
    """List a Dataset whose images are PIL images, arrays or tensors of 8 or 16 bits.

    Its own transforms are left out: they are for training, which applies them to real and synthetic
    images later.
    """
    try:
        labels, classes = labels_and_classes(dataset)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    sources = sources_of(dataset)
    for source, _ in sources:
        if getattr(source, "holds_synthetic", False):
            raise InputError(
                f"{where}: expected real images, got a {type(source).__name__}, which shows "
                "synthetic ones among them; give what it was made of, its .real"
            )
    plain = {id(source): Untransformed(source, first) for source, first in sources}
    return Listing(
        name=lambda index: f"{where}: item {index}",
        load=partial(_load, dataset, plain, labels, classes),
        labels=labels,
        classes=classes,
        size=_smaller_size(dataset, plain),
        crop=_crops(dataset),
    )


def _load(
    dataset: Any,
    plain: Mapping[int, Untransformed],
    labels: np.ndarray,
    classes: tuple[str, ...],
    index: int,
) -> np.ndarray:
    source, place = source_of(dataset, index)
    items = plain[id(source)]
    try:
        image, label = split_item(items[place])
        if isinstance(image, Image.Image):
            image.load()
    except InputError:
        raise
    except BROKEN as error:
        raise unreadable(f"{type(error).__name__}: {error}") from error
    check_label(label, labels[index], classes)
    expect_depth_kept(source, place, image)
    try:
        return _as_stored(image)
    except InputError as error:
        raise type(error)(f"{error}{items.hint(image)}") from error


def _as_stored(image: Any) -> np.ndarray:
    if isinstance(image, Image.Image):
        return from_pil(image)
    if isinstance(image, torch.Tensor):
        return from_tensor(image)
    if isinstance(image, np.ndarray):
        return from_array(image)
    raise InputError(f"expected a PIL image, an array or a tensor, got {type(image).__name__}")


def _smaller_size(dataset: Any, plain: Mapping[int, Untransformed]) -> tuple[int, int] | None:
    """Return (H, W) after the Dataset's transforms, where they make an image smaller.

    Of `LOOKED_AT` images the first such one counts: photos of many sizes are brought to the size
    that a classifier sees. Not where they are only cropped: synthetic images made of smaller ones
    would show things at another scale, and be cropped again.
    """
    for index in range(min(len(dataset), LOOKED_AT)):
        source, place = source_of(dataset, index)
        if _crops_alone(source):
            return None
        try:
            before, _ = split_item(plain[id(source)][place])
            if isinstance(before, Image.Image):
                before.load()
        except InputError:
            return None
        except BROKEN:  # said where the image itself is loaded
            continue
        try:
            with global_stream(0, "first item"):
                after, _ = split_item(Apart(source)[place])
            sizes = [v2.query_size([_as_tensor(image)]) for image in (before, after)]
        except (InputError, ValueError, TypeError, *BROKEN):
            return None
        (height, width), (less_height, less_width) = sizes
        if less_height * less_width < height * width:
            return less_height, less_width
    return None


def _crops_alone(source: Any) -> bool:
    """Tell whether the Dataset's transforms, as far as can be seen, only crop and never scale."""
    names = [type(step).__name__ for step in _own_steps(source)]
    scales = any(word in name for name in names for word in ("Resize", "Size", "Scale"))
    return any("Crop" in name for name in names) and not scales


def _crops(dataset: Any) -> bool:
    """Tell whether the transforms of the first image keep its proportions and crop the rest.

    Reading does as they do: synthetic images made of squashed images would show things in other
    shapes than real images that are cropped.
    """
    for step in _own_steps(source_of(dataset, 0)[0]) if len(dataset) else ():
        # torchvision's presets for pretrained networks have no steps, but a crop_size.
        if "Crop" in type(step).__name__ or hasattr(step, "crop_size"):
            return True
        if "Resize" in type(step).__name__ and _has_two_sides(step):
            return False
    return False


def _has_two_sides(step: Any) -> bool:
    """Tell whether it resizes height and width each, as torchvision's and albumentations' do."""
    size = getattr(step, "size", None)
    return hasattr(step, "height") or (isinstance(size, list | tuple) and len(size) == 2)


def _own_steps(source: Any) -> Iterator[Any]:
    for name in ("transforms", "transform"):
        yield from _steps(getattr(source, name, None))


def _steps(transform: Any) -> Iterator[Any]:
    """Yield a transform and those that it is composed of."""
    yield transform
    for step in inner_of(transform):
        yield from _steps(step)


def inner_of(transform: Any) -> list[Any]:
    """Return the transforms that one is composed of, in order; none for a single one."""
    if isinstance(transform, torch.nn.Sequential):
        return list(transform)
    inner = getattr(transform, "transforms", None)
    return list(inner) if isinstance(inner, list | tuple | torch.nn.ModuleList) else []


def _as_tensor(image: Any) -> Any:
    """Return an array (H, W), (H, W, C) or (C, H, W) as a tensor, whose size torchvision knows."""
    if not isinstance(image, np.ndarray):
        return image
    first = image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[2] not in (1, 3)
    return torch.empty(image.shape[1:] if first else image.shape[:2])
