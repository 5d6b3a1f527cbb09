"""Real and synthetic images that tell where they are from, and what is put around them.

Real ones hold values below 100, synthetic ones above 150, and the first pixel of each is its own
number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
)
from torchvision import tv_tensors
from torchvision.datasets import VisionDataset
from torchvision.transforms import v2

from synthaug.data import Samples, to_pil
from synthaug.mixing import MixedDataset, MixSynthetic
from synthaug.pool import SamplePool

CLASSES = ["ant", "bee", "cow"]
REAL = np.array([0, 1, 2, 0, 0, 1, 2, 0, 1, 0, 2, 1, 0, 0, 1, 2, 2, 0, 0, 1])
MADE = np.array([2, 0, 1, 1, 0, 2, 2, 1, 0, 1, 2, 0])


def stored(labels: np.ndarray, start: int, channels: int, dtype: Any = np.uint8) -> np.ndarray:
    """Images of one value each, `start` + index, scaled up for uint16; asymmetric by one corner."""
    scale = 257 if dtype == np.uint16 else 1
    values = (start + np.arange(len(labels))) * scale
    images = np.tile(values[:, None, None, None], (1, channels, 8, 9))
    images[:, :, 0, -1] += scale
    return images.astype(dtype)


def make_pool(
    directory: Path, channels: int = 1, dtype: Any = np.uint8, **changes: Any
) -> SamplePool:
    samples = Samples(stored(MADE, 150, channels, dtype), MADE)
    return SamplePool.from_samples(directory / "pool", samples, changes.pop("classes", CLASSES))


class Vision(VisionDataset):
    """As torchvision's own: PIL images, `.targets`, `.classes`, transforms."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, **transforms: Any) -> None:
        super().__init__(".", **transforms)
        self.images, self.targets, self.classes = images, labels.tolist(), list(CLASSES)
        self.loaded: list[int] = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        self.loaded.append(index)
        image, label = to_pil(self.images[index]), self.targets[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label


class Joint(Vision):
    """A Dataset that transforms image and label together."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = to_pil(self.images[index]), self.targets[index]
        return (image, label) if self.transforms is None else self.transforms(image, label)


class Plain(Dataset[tuple[Any, Any]]):
    """A user's own: whatever images and labels, its transform called without asking."""

    def __init__(self, images: Any, labels: Any, transform: Any = None) -> None:
        self.images, self.labels = images, labels
        if transform is not None:
            self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        image = self.images[index]
        return self.transform(image) if hasattr(self, "transform") else image, self.labels[index]


def number(image: Any) -> int:
    """Which image it is: the value of its first pixel on the scale of uint8."""
    array = np.asarray(image)
    value = float(array.reshape(-1)[0])
    scale = {"u1": 1, "u2": 257}.get(array.dtype.str[1:], 1 / 255)
    return round(value / scale)


def index_of(label: Any) -> int:
    return CLASSES.index(label) if isinstance(label, str) else int(np.asarray(label).reshape(-1)[0])


def kind_of(value: Any) -> tuple[Any, ...]:
    """Type, element type and shape, as far as they matter for collating."""
    if isinstance(value, Image.Image):
        return type(value), value.mode, value.size
    return type(value), getattr(value, "dtype", None), np.shape(value)


def same(one: Any, other: Any) -> bool:
    return kind_of(one) == kind_of(other) and bool(np.all(np.asarray(one) == np.asarray(other)))


def numbers(dataset: Any) -> list[int]:
    return [number(dataset[index][0]) for index in range(len(dataset))]


def collate(items: list[Any]) -> list[tuple[int, int]]:
    return [(number(image), index_of(label)) for image, label in items]


class MixingCollate:
    """`collate_fn=lambda batch: mix(*default_collate(batch))`, which pickle takes."""

    def __init__(self, mix: MixSynthetic) -> None:
        self.mix = mix

    def __call__(self, batch: Any) -> Any:
        return self.mix(*default_collate(batch))


def both(image: Any, label: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return v2.functional.pil_to_tensor(image), torch.tensor(label)


def _tv_images(channels: int) -> list[tv_tensors.Image]:
    return [tv_tensors.Image(torch.as_tensor(image)) for image in stored(REAL, 0, channels)]


def _concat(channels: int) -> Dataset[Any]:
    images = stored(REAL, 0, channels)
    to_tensor = v2.Compose([v2.PILToTensor()])
    parts = [Vision(images[s], REAL[s], transform=to_tensor) for s in (slice(0, 7), slice(7, 20))]
    return ConcatDataset([Subset(parts[0], list(range(7))), parts[1]])


@dataclass(frozen=True)
class Form:
    """A way in which a real Dataset hands out its items."""

    make: Callable[[], Any]
    channels: int = 1
    dtype: Any = np.uint8


def rows(channels: int, dtype: Any = np.uint8) -> list[np.ndarray]:
    return list(stored(REAL, 0, channels, dtype).transpose(0, 2, 3, 1))


FORMS: dict[str, Form] = {
    "pil gray": Form(lambda: Vision(stored(REAL, 0, 1), REAL)),
    "pil rgb": Form(lambda: Vision(stored(REAL, 0, 3), REAL), 3),
    "pil 16-bit": Form(lambda: Vision(stored(REAL, 0, 1, np.uint16), REAL), 1, np.uint16),
    "pil with transform": Form(
        lambda: Vision(stored(REAL, 0, 3), REAL, transform=v2.PILToTensor()), 3
    ),
    "pil with target transform": Form(
        lambda: Vision(stored(REAL, 0, 3), REAL, target_transform=torch.tensor), 3
    ),
    "joint transforms": Form(lambda: Joint(stored(REAL, 0, 3), REAL, transforms=both), 3),
    "array hwc": Form(lambda: Plain(rows(3), REAL), 3),
    "array hw1": Form(lambda: Plain(rows(1), REAL)),
    "array hw": Form(lambda: Plain(list(stored(REAL, 0, 1)[:, 0]), REAL.tolist())),
    "tensor uint8": Form(lambda: Plain(torch.as_tensor(stored(REAL, 0, 3)), REAL.tolist()), 3),
    "tensor hw": Form(lambda: Plain(torch.as_tensor(stored(REAL, 0, 1)[:, 0]), REAL)),
    "tensor float": Form(lambda: Plain(torch.as_tensor(stored(REAL, 0, 3) / 255).float(), REAL), 3),
    "tensor double": Form(lambda: Plain(torch.as_tensor(stored(REAL, 0, 1) / 255), REAL)),
    "tensor 16-bit": Form(
        lambda: Plain(torch.as_tensor(stored(REAL, 0, 1, np.uint16)), REAL), 1, np.uint16
    ),
    "tv image": Form(lambda: Plain(_tv_images(3), REAL.tolist()), 3),
    "labels (N, 1)": Form(lambda: Plain(rows(3), REAL[:, None]), 3),
    "string labels": Form(lambda: Plain(rows(3), [CLASSES[k] for k in REAL]), 3),
    "transform always called": Form(
        lambda: Plain([to_pil(image) for image in stored(REAL, 0, 3)], REAL, v2.PILToTensor()), 3
    ),
    "subset": Form(
        lambda: Subset(
            Vision(
                np.concatenate([stored(REAL[:3], 50, 3), stored(REAL, 0, 3)]),
                np.concatenate([REAL[:3], REAL]),
                transform=v2.PILToTensor(),
            ),
            range(3, 23),
        ),
        3,
    ),
    "concat of subsets": Form(lambda: _concat(3), 3),
    "tensor dataset": Form(
        lambda: TensorDataset(torch.as_tensor(stored(REAL, 0, 3)), torch.as_tensor(REAL)), 3
    ),
}


def vision(**transforms: Any) -> Vision:
    return Vision(stored(REAL, 0, 1), REAL, **transforms)


def epochs(mixed: MixedDataset, **options: Any) -> list[Any]:
    loader = DataLoader(mixed, batch_size=6, collate_fn=collate, **options)
    found = []
    for epoch in range(2):
        mixed.set_epoch(epoch)
        found.append([item for batch in loader for item in batch])
    return found


def negative(image: Any) -> Any:
    return Image.fromarray(255 - np.asarray(image))


def minus(image: Any, label: Any) -> tuple[Any, Any]:
    return negative(image), label


class Endless(IterableDataset[Any]):
    def __len__(self) -> int:
        return 20

    def __iter__(self) -> Any:
        yield from ()


def negative_of_pil(image: Image.Image) -> Image.Image:
    return image.point(lambda value: 255 - value)


def renamed(classes: list[str]) -> Vision:
    real = vision()
    real.classes = classes
    return real


def shares(mixed: MixedDataset, epochs: int = 60) -> np.ndarray:
    """Share of synthetic images of each class over epochs."""
    found = []
    for epoch in range(epochs):
        mixed.set_epoch(epoch)
        found.append(np.array(numbers(mixed)) >= 150)
    return np.array(
        [np.mean(found, 0)[np.array(mixed.targets) == label].mean() for label in range(3)]
    )


class Items:
    def __init__(self, items: list[Any], targets: list[int]) -> None:
        self.items, self.targets, self.classes = items, targets, CLASSES

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def deep(**transforms: Any) -> Vision:
    return Vision(stored(REAL, 0, 1, np.uint16), REAL, **transforms)


def scaled(largest: int) -> Plain:
    """16-bit images as floats, `largest` becoming 1."""
    floats = torch.tensor(stored(REAL, 90, 1).astype(np.float32)) * 16 / largest
    return Plain([*floats], REAL)
