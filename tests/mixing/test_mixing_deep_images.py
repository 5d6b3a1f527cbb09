"""Images of 16 bits, and transforms that would corrupt them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixing_images import (
    CLASSES,
    MADE,
    REAL,
    Joint,
    Plain,
    both,
    deep,
    make_pool,
    number,
    scaled,
    stored,
    vision,
)
from PIL import Image
from timm.data.transforms import ToNumpy
from torch.utils.data import ConcatDataset
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.data import Samples
from synthaug.mixing import MixedDataset, SyntheticDataset
from synthaug.pool import SamplePool

# Of the many forms of real images here, most have none; see the test of that.
pytestmark = pytest.mark.filterwarnings("ignore:labels of .* have no names")


def test_deep_files_that_torchvision_makes_white_are_refused(tmp_path: Path) -> None:
    for index, name in enumerate(CLASSES):
        (tmp_path / "folder" / name).mkdir(parents=True)
        pixels = stored(REAL, index, 1, np.uint16)[0, 0]
        Image.fromarray(pixels).save(tmp_path / "folder" / name / "a.png")
    white = ImageFolder(str(tmp_path / "folder"))
    with pytest.raises(InputError, match=r"a\.png has gray values above 255.*to white"):
        MixedDataset(white, make_pool(tmp_path, 3), 0.5)

    def opened(path: str) -> Image.Image:
        with Image.open(path) as image:
            return image.copy()

    real = ImageFolder(str(tmp_path / "folder"), loader=opened)
    mixed = MixedDataset(real, make_pool(tmp_path / "deep", 1, dtype=np.uint16), 1.0)
    assert np.asarray(mixed[0][0]).dtype == np.uint16


LOSSY = [
    transforms.ToTensor(),
    transforms.Compose([transforms.RandomCrop(8), transforms.ToTensor()]),
    ToNumpy(),
    v2.Lambda(lambda image: image.convert("L")),
    v2.RandomApply([v2.Lambda(lambda image: np.asarray(image).astype(np.uint8))]),
    v2.Compose([v2.RandomCrop(8, padding=4), v2.ToImage(), v2.ToDtype(torch.uint8)]),
    v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32), lambda made: made.to(torch.uint8)]),
    torch.nn.Sequential(v2.ToImage(), v2.ToDtype(torch.uint8), v2.ToDtype(torch.float32)),
]


@pytest.mark.parametrize(
    "transform",
    LOSSY,
    ids=["ToTensor", "nested", "ToNumpy", "L", "uint8", "ToDtype", "to", "Sequential"],
)
def test_transforms_that_corrupt_16_bits_are_refused(tmp_path: Path, transform: Any) -> None:
    """v1's ToTensor makes negative numbers of them, timm's ToNumpy takes them modulo 256."""
    pool = make_pool(tmp_path, 1, np.uint16)
    state = torch.get_rng_state()
    with pytest.raises(InputError, match=r"corrupts 16-bit images.*put v2\.ToImage"):
        MixedDataset(deep(transform=transform), pool)
    for dataset in (MixedDataset(deep(), pool), SyntheticDataset(pool)):
        dataset.transform = transform  # as timm's create_loader does
        with pytest.raises(InputError, match="corrupts 16-bit images"):
            dataset[0]
    real = deep()
    mixed = MixedDataset(real, pool, 1.0)
    real.transform = transform
    with pytest.raises(InputError, match="corrupts 16-bit images"):
        mixed[0]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "joint",
    [
        lambda image, label: (transforms.functional.to_tensor(image), label),
        v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.uint8)]),
    ],
)
def test_transforms_of_image_and_label_are_guarded_too(tmp_path: Path, joint: Any) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    with pytest.raises(InputError, match="corrupts 16-bit images"):
        MixedDataset(Joint(stored(REAL, 0, 1, np.uint16), REAL, transforms=joint), pool)
    for dataset in (SyntheticDataset(pool, transforms=joint), MixedDataset(deep(), pool)):
        dataset.transforms = joint
        with pytest.raises(InputError, match="corrupts 16-bit images"):
            dataset[0]
    SyntheticDataset(pool, transforms=both)[0]


@pytest.mark.parametrize("mode", ["I", "I;16B"])
def test_other_modes_of_16_bits_are_told_the_way(tmp_path: Path, mode: str) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    values = np.full((8, 9), 40_000, ">u2" if mode == "I;16B" else np.int32)
    image = Image.frombytes(mode, (9, 8), values.tobytes())
    with pytest.raises(InputError, match=r"are I.*: image\.convert\('I'\)\.convert\('I;16'\)"):
        MixedDataset(Plain([image] * 20, REAL), pool)
    brought = image.convert("I").convert("I;16")
    assert number(brought) == round(40_000 / 257)
    MixedDataset(Plain([brought] * 20, REAL), pool)


def in_window(image: Any) -> np.ndarray:
    """As CT slices are shown: what lies beyond it is black or white."""
    return ((np.asarray(image, dtype=np.float32) / 4095).clip(0, 1) * 255).astype(np.uint8)


def by_largest(image: Any) -> np.ndarray:
    pixels = np.asarray(image, dtype=np.float32)
    return (pixels / pixels.max() * 255).astype(np.uint8)


@pytest.mark.parametrize("scaled", [in_window, by_largest])
@pytest.mark.parametrize("form", [Image.fromarray, np.asarray, torch.as_tensor])
def test_scaling_to_8_bits_is_no_corruption(tmp_path: Path, scaled: Any, form: Any) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    images = [form(image) for image in stored(REAL, 0, 1, np.uint16)[:, 0]]
    mixed = MixedDataset(Plain(images, REAL, scaled), pool, 1.0)
    image, label = mixed[0]
    made = {index for index in range(len(pool)) if pool.samples.labels[index] == label}
    assert any((image == scaled(pool.samples.images[index, 0])).all() for index in made)


@pytest.mark.parametrize("form", [np.asarray, torch.as_tensor])
def test_arrays_and_tensors_of_16_bits_are_guarded_too(tmp_path: Path, form: Any) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    images = form(stored(REAL, 0, 1, np.uint16)[:, 0])
    with pytest.raises(InputError, match="corrupts 16-bit images"):
        MixedDataset(Plain(images, REAL, lambda image: np.asarray(image).astype(np.uint8)), pool)
    MixedDataset(Plain(images, REAL, lambda image: np.asarray(image).astype(np.int64)), pool)


@pytest.mark.parametrize(
    "transform",
    [
        v2.Compose([v2.ToImage(), v2.ToDtype(torch.uint8, scale=True), v2.ToDtype(torch.float32)]),
        v2.Compose([v2.ToImage(), v2.CenterCrop(8), v2.ToDtype(torch.float32, scale=True)]),
        v2.PILToTensor(),
        lambda image: (np.asarray(image) // 256).astype(np.uint8),
        lambda image: torch.as_tensor(np.asarray(image) / 65535 - 0.5),
    ],
)
def test_transforms_that_keep_16_bits_are_not(tmp_path: Path, transform: Any) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    mixed = MixedDataset(deep(transform=transform), pool, 0.5)
    assert len([mixed[index] for index in range(20)]) == 20
    SyntheticDataset(pool, transform)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MixedDataset(vision(), make_pool(tmp_path / "eight"), transform=transforms.ToTensor())[0]


def test_12_of_16_bits_are_not_mixed_in_far_too_dark(tmp_path: Path) -> None:
    """Scaled by what an instrument can say, not by what the type can hold."""
    samples = Samples(stored(MADE, 150, 1).astype(np.uint16) * 16, MADE)
    pool = SamplePool.from_samples(tmp_path / "deep", samples, CLASSES)
    MixedDataset(scaled(65535), pool)[0]
    with pytest.raises(InputError, match=r"floats up to 0\.7.*come to 0\.062 at most.*too dark"):
        MixedDataset(ConcatDataset([scaled(2000)]), pool)
