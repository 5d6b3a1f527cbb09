"""What cannot be mixed is refused, by name."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixing_images import (
    CLASSES,
    MADE,
    REAL,
    Endless,
    Items,
    Plain,
    Vision,
    make_pool,
    negative_of_pil,
    number,
    numbers,
    renamed,
    rows,
    stored,
    vision,
)
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.data import Samples, read_images, to_pil
from synthaug.generators import StyleSwap
from synthaug.mixing import MixedDataset, SyntheticDataset
from synthaug.pool import SamplePool

# Of the many forms of real images here, most have none; see the test of that.
pytestmark = pytest.mark.filterwarnings("ignore:labels of .* have no names")


def test_relabelling_is_not_done_twice(gray: SamplePool) -> None:
    """Classes are those of the labels that come out, as `read_images` takes them."""
    real = vision(target_transform=lambda label: [1, 2, 0][label])
    mixed = MixedDataset(real, gray, 1.0)
    assert mixed.targets == [real[index][1] for index in range(20)]
    for index in range(20):
        image, label = mixed[index]
        assert label == mixed.targets[index] == MADE[number(image) - 150]


def test_labels_that_are_not_those_of_the_items_are_refused(gray: SamplePool) -> None:
    real = Items([(image, 0) for image in stored(REAL, 0, 1)[:, 0]], [0, 0, 1] + [0] * 17)
    mixed = MixedDataset(real, gray, 0.0)
    assert mixed[1][1] == 0
    with pytest.raises(InputError, match=r"Items: item 2: expected label 1 \(bee\), .* has 0"):
        mixed[2]


@pytest.mark.parametrize(
    ("real", "message"),
    [
        (
            lambda: Plain(rows(1), ["ant", "bee", "dog"] * 6 + ["ant"] * 2),
            r"\['ant', 'bee', 'cow'\].*'dog'",
        ),
        (
            lambda: renamed(["ant", "cow", "bee"]),
            r"pool holds \['ant', 'bee', 'cow'\].*'cow', 'bee'",
        ),
        (
            lambda: Subset(renamed(["a", "b", "c"]), range(5)),
            r"pool holds \['ant'.*real images \['a'",
        ),
        (
            lambda: Vision(stored(REAL, 0, 3), REAL),
            "mode: the pool holds L, the real images are RGB",
        ),
        (
            lambda: Vision(stored(REAL, 0, 1, np.uint16), REAL),
            "mode: the pool holds L, the real images are I;16",
        ),
        (
            lambda: Vision(stored(REAL, 0, 1).repeat(2, 2), REAL),
            r"size: the pool holds \(9, 8\), the real images are \(9, 16\); bring .* Resize",
        ),
        (
            lambda: Vision(stored(REAL, 0, 1).repeat(2, 2), REAL, transform=v2.PILToTensor()),
            r"size: the pool holds \(1, 8, 9\), the real images are \(1, 16, 9\)",
        ),
        (
            lambda: TensorDataset(torch.zeros(20, 1, 9, 8), torch.as_tensor(REAL)),
            r"size: the pool holds \(1, 8, 9\), the real images are \(1, 9, 8\)",
        ),
        (
            lambda: TensorDataset(torch.zeros(20, 3, 8, 9), torch.as_tensor(REAL)),
            "channels: the pool holds 1, the real images are 3",
        ),
        (
            lambda: Plain(np.zeros((20, 1, 8, 9), np.uint8), REAL),
            r"expected array \(H, W, C\), as torchvision has it, got shape \(1, 8, 9\)",
        ),
        (
            lambda: Plain(torch.zeros((20, 8, 9, 1), dtype=torch.uint8), REAL),
            r"expected tensor \(C, H, W\), as torchvision has it, got shape \(8, 9, 1\)",
        ),
        (
            lambda: _relabelled(["not", "a", "b", "c"]),
            "real images .*'not'.*; its target_transform changes labels: set .classes",
        ),
        (
            lambda: Continued(lambda image: image[:, None]),
            "apart from its transform: what Continued does after it fails .* last step of",
        ),
        (
            lambda: Continued(lambda image: np.asarray(image) / np.float32(255)),
            "dtype: .*float32; the Dataset does more to images after its transform: make that",
        ),
        (
            lambda: Continued(lambda image: np.asarray(image)[..., None], negative_of_pil),
            "Continued: its transform cannot take synthetic .*; the Dataset does more to images",
        ),
        (  # into an image of the same type and size
            lambda: Scaled(torch.as_tensor(stored(REAL, 0, 1)).float(), REAL, v2.GaussianNoise()),
            "Scaled; the Dataset does more to images after its transform: make that the last step",
        ),
        (
            lambda: Vision(stored(REAL, 0, 1).repeat(2, 2), REAL, transform=v2.RandomCrop(9)),
            r"crop size .*; the pool holds 8x9, .* are 16x9 .*fit\(read_images\(train_set, image_s",
        ),
        (
            lambda: Plain(
                torch.zeros(20, 1, 16, 9), REAL, lambda image: image[:, :16].reshape(-1, 16, 9)
            ),
            r"RuntimeError: .*; the pool holds 8x9, the real images are 16x9",
        ),
        (
            lambda: OrTensor(stored(REAL, 0, 1), REAL),
            "real images come out as tensors of torch.uint8, synthetic ones as PIL images: OrT",
        ),
        (
            lambda: Plain(np.zeros((20, 8, 9, 3), np.uint8), REAL),
            "channels: the pool holds 1, the real images are 3",
        ),
        (
            lambda: TensorDataset(
                torch.zeros(20, 1, 8, 9, dtype=torch.int16), torch.as_tensor(REAL)
            ),
            r"dtype: the pool holds torch\.uint8, the real images are torch\.int16",
        ),
        (
            lambda: Plain(np.zeros((20, 8, 9, 1), np.float32), REAL),
            "dtype: the pool holds uint8, the real images are float32",
        ),
        (
            lambda: TensorDataset(torch.randn(20, 1, 8, 9) * 3, torch.as_tensor(REAL)),
            r"floats from -\d.*, expected 0 to 1: give the Dataset before it is normalised",
        ),
        (lambda: Plain(["a"] * 20, REAL), "PIL images, arrays or tensors, got str"),
        (
            lambda: Plain([to_pil(row).convert("P") for row in stored(REAL, 0, 3)], REAL),
            r"pool holds L, the real images are P; convert in the Dataset.*convert\('RGB'\)",
        ),
        (
            lambda: Vision(
                stored(REAL, 0, 1).repeat(2, 2), REAL, transform=lambda image: [image, image.crop()]
            ),
            r"size: the pool holds \[\(9, 8\), \(9, 8\)\], the real images are \[\(9, 16\)",
        ),
        (
            lambda: Items([(row, {"grade": 1}) for row in rows(1)], REAL.tolist()),
            r"labels: expected a class number .*, got dict",
        ),
        (lambda: Endless(), r"expected a map-style Dataset .*, got Endless"),
        (
            lambda: Items([(row, np.eye(3)[0]) for row in rows(1)], REAL.tolist()),
            r"labels: expected a class number .*, got ndarray of shape \(3,\); of one-hot",
        ),
        (
            lambda: Items([(row, torch.eye(3)[0]) for row in rows(1)], REAL.tolist()),
            r"labels: expected a class number .*, got Tensor of shape",
        ),
        (
            lambda: Plain(rows(1), np.append(REAL[:-1], 3)),
            r"classes: the pool holds \['ant', 'bee', 'cow'\], the real images \['0', .*'3'\]",
        ),
    ],
)
def test_what_does_not_match_is_refused(
    gray: SamplePool, real: Callable[[], Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        MixedDataset(real(), gray)


class Continued(Plain):
    """Goes on after its transform."""

    def __init__(self, rest: Any, transform: Any = v2.PILToTensor()) -> None:  # noqa: B008
        super().__init__([to_pil(image) for image in stored(REAL, 0, 1)], REAL, transform)
        self.rest = rest

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return self.rest(image), label


class Scaled(Plain):
    """Scales images after its transform."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return image / 255, label


class OrTensor(Vision):
    """Makes tensors where it has no transform."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = to_pil(self.images[index]), self.targets[index]
        return self.transform(image) if self.transform else v2.functional.to_image(image), label


def _relabelled(classes: list[str]) -> Vision:
    real = vision(target_transform=lambda label: label + 1)
    real.classes = classes
    return real


def test_a_colour_pool_does_not_fit_flat_gray_images(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, 3)
    for images in (stored(REAL, 0, 1)[:, 0], torch.as_tensor(stored(REAL, 0, 1)[:, 0])):
        with pytest.raises(InputError, match="channels: the pool holds 3, the real images are 1"):
            MixedDataset(Plain(images, REAL), pool)


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_class_that_is_missing_in_the_pool_is_refused(tmp_path: Path, mode: Any) -> None:
    samples = Samples(stored(MADE, 150, 1)[MADE != 1], MADE[MADE != 1])
    pool = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    message = r"class 'bee': the pool holds no image of it, the real images 6"
    with pytest.raises(InputError, match=message):
        MixedDataset(vision(), pool, 0.1, mode)
    assert numbers(MixedDataset(vision(), pool, 0.0)) == list(range(20))
    without = np.flatnonzero(REAL != 1).tolist()
    assert len(MixedDataset(Subset(renamed(CLASSES), without), pool, 0.5)) == 14


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1.1}, r"ratio: expected a share from 0 to 1, got 1\.1"),
        ({"ratio": -0.1}, r"ratio: expected a share .*, got -0\.1"),
        ({"ratio": math.nan}, "ratio: expected a share .*, got nan"),
        ({"ratio": 1.0, "mode": "append"}, r"below 1 to append, got 1\.0 for class 'ant'"),
        ({"mode": "shuffle"}, "mode: expected one of replace, append, balance, got 'shuffle'"),
        (
            {"ratio": [0.1, 0.2]},
            r"ratio: expected one number or 3, one a class, got \[0\.1, 0\.2\]",
        ),
        ({"ratio": {"ant": 0.1, "bee": 0.2}}, "ratio: 'cow' has no share"),
        (
            {"ratio": {"ant": 0.1, "bee": 0.2, "cow": 0, "dog": 0}},
            "ratio: 'dog' is no class; expected each of",
        ),
        ({"ratio": [0.1, 0.2, 1.2]}, r"ratio of class 'cow': expected a share .*, got 1\.2"),
        ({"ratio": lambda epoch: 2.0}, r"ratio in epoch 0: expected a share .*, got 2\.0"),
        ({"ratio": lambda epoch: 0.2, "mode": "append"}, "would change the length"),
        ({"ratio": 0.2, "mode": "balance"}, "ratio: the sizes of the classes settle it"),
        ({"per_class": 5}, "per_class: is for mode='balance', got mode='replace'"),
        ({"per_class": 0, "mode": "balance"}, "per_class: expected an integer .* 1, got 0"),
        ({"per_class": 10.5, "mode": "balance"}, "per_class: expected an integer .* got 10.5"),
        ({"per_class": True, "mode": "balance"}, "per_class: expected an integer .* got True"),
        ({"ratio": "0.5"}, "ratio: expected one number or 3, one a class, got '0.5'"),
        ({"ratio": True}, "ratio: expected one number or 3, one a class, got True"),
        ({"labels": "fuzzy"}, "labels: expected one of hard, soft, mixed, got 'fuzzy'"),
        ({"labels": "soft"}, "labels='soft': the pool holds no soft labels"),
    ],
)
def test_wrong_options_are_refused(gray: SamplePool, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MixedDataset(vision(), gray, **options)


def test_items_that_are_no_pairs_are_refused(gray: SamplePool) -> None:
    for item, kind in (
        ({"image": np.zeros((8, 9), np.uint8), "label": 0}, "dict of 2"),
        ((np.zeros((8, 9), np.uint8), 0, "patient"), "tuple of 3"),
    ):
        with pytest.raises(InputError, match=f"expected a Dataset of .*, got a {kind}"):
            MixedDataset(Items([item] * 3, [0, 1, 2]), gray)


@pytest.mark.parametrize("wrap", [DataLoader, lambda _: "data/train", lambda _: None])
def test_what_is_no_dataset_is_named(gray: SamplePool, wrap: Any) -> None:
    with pytest.raises(InputError, match="expected a map-style Dataset of"):
        MixedDataset(wrap(SyntheticDataset(gray)), gray)


def test_what_read_images_reads_is_mixed_as_the_message_says(gray: SamplePool) -> None:
    data = read_images(vision())
    with pytest.raises(InputError, match=r"of what read_images read TensorDataset\(torch\.tensor"):
        MixedDataset(data, gray)
    real = TensorDataset(torch.tensor(data.images), torch.tensor(data.labels))
    assert MixedDataset(real, gray, 0.5).targets == REAL.tolist()


def test_class_numbers_in_another_order_are_refused(tmp_path: Path) -> None:
    """As of class folders, which stand in the order of text."""
    names = sorted(str(number) for number in range(11))
    labels = np.arange(11)
    pool = SamplePool.from_samples(tmp_path / "pool", Samples(stored(labels, 0, 1), labels), names)
    for count in (11, 3):  # the last may have no image
        real = Plain(stored(labels, 0, 1)[:count, 0], labels[:count])
        with pytest.raises(InputError, match=r"pool holds \['0', '1', '10'.*real .* '1', '2'"):
            MixedDataset(real, pool, 0.5)
    MixedDataset(Plain(stored(labels, 0, 1)[:2, 0], labels[:2]), pool, 0.5)


def test_class_numbers_that_may_be_in_another_order_are_refused(tmp_path: Path) -> None:
    """Labels without names, where the pool's have numbers in them."""
    labels = np.arange(12)
    samples = Samples(stored(labels, 0, 1), labels)
    for form in ("{}", "{}.0", "grade {}"):
        names = sorted(form.format(grade) for grade in range(1, 13))
        pool = SamplePool.from_samples(tmp_path / form, samples, names)
        real = Plain(stored(labels, 0, 1)[:, 0], labels)
        with pytest.raises(InputError, match=r"before 2; .*0 to 11 without names, .*set .classes"):
            MixedDataset(real, pool, 0.5)
        MixedDataset(Plain(stored(labels, 0, 1)[:1, 0], labels[:1]), pool, 0.5)
        real.classes = names  # type: ignore[attr-defined]
        MixedDataset(real, pool, 0.5)
    names = [f"{name}10" for name in "zyxwvutsrqpo"]  # in an order of their own
    pool = SamplePool.from_samples(tmp_path / "own", samples, names)
    MixedDataset(Plain(stored(labels, 0, 1)[:, 0], labels), pool, 0.5)


@pytest.mark.parametrize("pool", [StyleSwap(), vision()], ids=["generator", "dataset"])
def test_what_is_no_pool_is_named(pool: Any) -> None:
    for make in (lambda: MixedDataset(vision(), pool), lambda: SyntheticDataset(pool)):
        with pytest.raises(
            InputError, match=f"pool: expected a SamplePool .*{type(pool).__name__}"
        ):
            make()
