"""Real and synthetic images that tell where they are from, and what is put around them.

Real ones hold values below 100, synthetic ones above 150, and the first pixel of each is its own
number.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset, default_collate
from torchvision.datasets import VisionDataset

from synthaug.data import Samples, to_pil
from synthaug.mixing import MixSynthetic
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
