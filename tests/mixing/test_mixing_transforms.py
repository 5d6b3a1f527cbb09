"""Transforms of the real Dataset, for synthetic images too."""

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from mixing_images import (
    CLASSES,
    MADE,
    REAL,
    Joint,
    Plain,
    Vision,
    make_pool,
    minus,
    negative,
    negative_of_pil,
    number,
    numbers,
    rows,
    stored,
    vision,
)
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset
from torchvision.datasets import ImageFolder, wrap_dataset_for_transforms_v2
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.data import Samples, to_pil
from synthaug.mixing import MixedDataset, SyntheticDataset
from synthaug.pool import SamplePool

# Of the many forms of real images here, most have none; see the test of that.
pytestmark = pytest.mark.filterwarnings("ignore:labels of .* have no names")


def test_the_transform_is_for_all_images_and_can_be_set(gray: SamplePool) -> None:
    mixed = MixedDataset(vision(), gray, 0.5, transform=lambda image: ("first", image))
    items = [mixed[index][0] for index in range(len(mixed))]
    assert {name for name, _ in items} == {"first"}
    assert {number(image) >= 150 for _, image in items} == {True, False}
    mixed.transform = lambda image: ("second", image)  # as timm's create_loader does
    assert {mixed[index][0][0] for index in range(len(mixed))} == {"second"}
    mixed.transform = None
    assert isinstance(mixed[0][0], Image.Image)


@pytest.mark.parametrize(
    "make",
    [
        lambda: vision(transform=negative),
        lambda: Joint(stored(REAL, 0, 1), REAL, transforms=minus),
        lambda: Subset(Subset(vision(transform=negative), range(20)), range(20)),
        lambda: ConcatDataset([Subset(vision(transform=negative), range(20))]),
    ],
    ids=["transform", "transforms", "subset", "concat"],
)
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_the_real_datasets_own_transform_is_for_synthetic_images_too(
    gray: SamplePool, make: Callable[[], Any], mode: Any
) -> None:
    mixed = MixedDataset(make(), gray, 0.5, mode, transform=lambda image: np.asarray(image))
    found = [255 - value for value in numbers(mixed)]
    assert {value >= 150 for value in found} == {True, False}
    assert [int(MADE[v - 150] if v >= 150 else REAL[v]) for v in found] == mixed.targets


class Part(Subset[Any]):
    """A Subset by another name."""


class Pairs(Dataset[Any]):
    """Leaves out the third of three values."""

    def __init__(self, inner: Any, **attributes: Any) -> None:
        self.inner = inner
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Any:
        return self.inner[index][:2]


def test_a_subclass_of_subset_is_seen_through(gray: SamplePool) -> None:
    mixed = MixedDataset(Part(vision(transform=negative_of_pil), range(5)), gray, 1.0)
    assert all(number(mixed[index][0]) <= 255 - 150 for index in range(5))


@pytest.mark.parametrize("attributes", [{}, {"transform": None}])
@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, range(6))])
def test_a_transform_that_is_out_of_reach_is_warned_of(
    gray: SamplePool, wrap: Any, attributes: Any
) -> None:
    with pytest.warns(UserWarning, match=r"Pairs: .*inner \(Vision\) has one.*self.transform of P"):
        MixedDataset(Pairs(wrap(vision(transform=negative_of_pil)), **attributes), gray)
    MixedDataset(Pairs(wrap(vision())), gray)
    MixedDataset(Pairs(wrap(vision(transform=v2.Identity())), transform=v2.Identity()), gray)


def test_a_file_that_workers_open_stays_closed(gray: SamplePool, tmp_path: Path) -> None:
    """Workers that shared one file would read at each other's places."""
    images = np.stack(rows(1))
    (tmp_path / "rows").write_bytes(images.tobytes())
    real = Lazily(tmp_path / "rows", images.shape[1:])
    mixed = MixedDataset(real, gray, 0.5)
    assert real.file is None
    pickle.dumps(mixed)
    assert np.array_equal(real[3][0], images[3])
    real.file.close()


class Lazily(Dataset[Any]):
    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape, self.file = path, shape, cast(Any, None)

    def __len__(self) -> int:
        return len(REAL)

    def __getitem__(self, index: int) -> Any:
        if self.file is None:
            self.file = self.path.open("rb")
        size = int(np.prod(self.shape))
        self.file.seek(index * size)
        return np.frombuffer(self.file.read(size), np.uint8).reshape(self.shape), int(REAL[index])


def test_each_part_of_a_concatenation_has_its_own_transform(gray: SamplePool) -> None:
    parts = [
        Vision(stored(REAL[:8], 0, 1), REAL[:8], transform=negative),
        Vision(stored(REAL[8:], 8, 1), REAL[8:]),
    ]
    mixed = MixedDataset(ConcatDataset(parts), gray, 1.0)
    found = numbers(mixed)
    assert max(found[:8]) <= 255 - 150 and min(found[8:]) >= 150
    appended = MixedDataset(ConcatDataset(parts), gray, 0.5, "append")
    turned = [value < 150 for value in numbers(appended)[20:]]
    assert sum(turned) == 8  # one for each real image: 8 of the first part, 12 of the second


def test_a_transform_may_be_called_on_image_and_label(gray: SamplePool) -> None:
    class Own(Plain):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            return self.transform(self.images[index], self.labels[index])

    images = [to_pil(image) for image in stored(REAL, 0, 1)]
    mixed = MixedDataset(Own(images, REAL, minus), gray, 1.0)
    assert max(numbers(mixed)) <= 255 - 150


def test_a_transform_that_is_set_later_is_for_synthetic_images_too(gray: SamplePool) -> None:
    real = vision(transform=lambda image: image)
    mixed = MixedDataset(real, gray, 1.0)
    assert min(numbers(mixed)) >= 150
    real.transform = negative
    assert max(numbers(mixed)) <= 255 - 150


@pytest.mark.parametrize(
    "make",
    [
        lambda pool: SyntheticDataset(pool),
        lambda pool: SyntheticDataset(pool, lambda image: image),
        lambda pool: SyntheticDataset(pool, transforms=lambda image, label: (image, label)),
        lambda pool: MixedDataset(vision(), pool, 0.5),
    ],
    ids=["none", "transform", "transforms", "mixed"],
)
def test_one_of_ours_may_be_the_real_one(gray: SamplePool, make: Any) -> None:
    real = make(gray)
    mixed = MixedDataset(real, gray, 1.0)
    assert min(numbers(mixed)) >= 150
    real.transforms, real.transform = None, negative
    assert max(numbers(mixed)) <= 255 - 150
    real.transforms = lambda image, label: (np.asarray(image) // 2, label)
    assert {75 <= value < 90 for value in numbers(mixed)} == {True}


class BadFirst(Vision):
    """Its first image, of another size, is for nobody."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index == 0:
            raise OSError("image file is truncated")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda real: Subset(real, range(1, 20)),
        lambda real: ConcatDataset([Subset(real, []), Subset(real, range(1, 20))]),
        lambda real: Subset(ConcatDataset([real]), range(-19, 0)),
    ],
    ids=["subset", "empty part", "from the end"],
)
def test_only_items_that_are_in_use_are_looked_at(gray: SamplePool, wrap: Any) -> None:
    mixed = MixedDataset(wrap(BadFirst(stored(REAL, 0, 1), REAL)), gray, 0.5)
    assert mixed.targets == REAL[1:].tolist()
    assert len(numbers(mixed)) == 19


class Kept(Vision):
    """Keeps items as they are after its transform."""

    def __init__(self, **transforms: Any) -> None:
        super().__init__(stored(REAL, 0, 1), REAL, **transforms)
        self.kept: dict[int, Any] = {}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index not in self.kept:
            self.kept[index] = super().__getitem__(index)
        image, label = self.kept[index]
        return image, label


def test_items_that_a_dataset_keeps_are_mixed_only_before_its_transform(gray: SamplePool) -> None:
    to_float = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, True), v2.Normalize([9], [1])])
    real = Kept(transform=to_float)
    assert MixedDataset(real, gray, 0.5).targets == REAL.tolist()
    assert real[0][0].dtype == torch.float32  # nothing that was seen without it was kept
    with pytest.raises(InputError, match=r"floats from -9.*seems to keep transformed items, so"):
        MixedDataset(real, gray, 0.5)


def test_a_transform_may_bring_images_to_one_size(tmp_path: Path) -> None:
    """A folder of photos of any size, resized as they are loaded."""
    rng = np.random.default_rng(0)
    for index, name in enumerate(CLASSES * 2):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 99, (20 + index, 30 - index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    to_size = v2.Compose([v2.Resize((8, 9)), v2.PILToTensor()])
    folder = ImageFolder(str(tmp_path / "photos"), transform=to_size)
    pool = make_pool(tmp_path, 3)
    for real in (folder, Subset(folder, range(6))):
        mixed = MixedDataset(real, pool, 0.5, seed=1)
        batch, labels = next(iter(DataLoader(mixed, batch_size=6)))
        assert batch.shape == (6, 3, 8, 9)
        assert labels.tolist() == folder.targets
    folder.transform = v2.Compose([v2.Resize((8, 8)), v2.PILToTensor()])
    pool = SamplePool.from_samples(
        tmp_path / "other", Samples(np.zeros((3, 3, 16, 18), np.uint8), [0, 1, 2]), CLASSES
    )
    assert MixedDataset(folder, pool, 1.0)[0][0].shape == (3, 8, 8)


def test_transforms_of_image_and_label_may_change_labels(gray: SamplePool) -> None:
    real = Joint(stored(REAL, 0, 1), REAL, transforms=lambda image, label: (image, label + 5))
    mixed = MixedDataset(real, gray, 0.5)
    for index in range(20):
        assert mixed[index][1] == REAL[index] + 5


def test_making_one_leaves_the_random_state_alone(gray: SamplePool) -> None:
    def draw(image: Any) -> Any:
        random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        return image

    torch.manual_seed(0)
    states = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]  # noqa: NPY002
    MixedDataset(vision(transform=draw), gray)
    after = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]  # noqa: NPY002
    assert after == states


class Called(Vision):
    """Hands its transform image and label, or goes on after it, in ways that change nothing."""

    def __init__(self, way: str, transform: Any) -> None:
        super().__init__(stored(REAL, 0, 1), REAL, transform=transform)
        self.way = way

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = to_pil(self.images[index]), self.targets[index]
        if self.way == "dictionary":
            item = self.transform({"image": image, "label": label})
            return item["image"], item["label"]
        if self.way == "tuple":
            return self.transform((image, label))
        made = self.transform(image)
        return v2.functional.pil_to_tensor(made) if self.way == "to tensor" else made.copy(), label


@pytest.mark.parametrize("way", ["dictionary", "tuple", "to tensor", "copy"])
def test_what_might_as_well_be_done_before_the_transform_is_accepted(
    gray: SamplePool, way: str
) -> None:
    mixed = MixedDataset(Called(way, v2.RandomInvert(1.0)), gray, 0.5)
    found = [255 - number(mixed[index][0]) for index in range(len(mixed))]
    assert {value >= 150 for value in found} == {True, False}
    assert [int(MADE[v - 150] if v >= 150 else REAL[v]) for v in found] == mixed.targets


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, range(6))])
def test_datasets_wrapped_for_transforms_v2(tmp_path: Path, wrap: Any) -> None:
    """The wrapper moves transforms out of the Dataset that it wraps, and has them all as joint."""
    for index, name in enumerate(CLASSES * 2):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(stored(REAL, index, 1)[0, 0]).save(
            tmp_path / "photos" / name / f"{index}.png"
        )
    folder = ImageFolder(
        str(tmp_path / "photos"),
        transform=v2.Compose([v2.PILToTensor(), Negative()]),
        target_transform=lambda label: 2 - label,
    )
    labels = [2 - label for label in folder.targets]
    real = wrap(wrap_dataset_for_transforms_v2(folder))
    mixed = MixedDataset(real, make_pool(tmp_path, 3, classes=CLASSES[::-1]), 0.5, seed=1)
    mixed.set_epoch(0)
    found = np.array(numbers(mixed))
    assert mixed.targets == labels
    assert mixed.synthetic.any() and not mixed.synthetic.all()
    assert (found[mixed.synthetic] <= 255 - 150).all() and (found[~mixed.synthetic] > 155).all()
    for index in np.flatnonzero(mixed.synthetic):
        assert MADE[255 - found[index] - 150] == labels[index] == mixed[index][1]
    with pytest.raises(TypeError, match="No wrapper exists for dataset class MixedDataset"):
        wrap_dataset_for_transforms_v2(mixed)  # as for all classes that torchvision does not know


class Negative(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return 255 - image
