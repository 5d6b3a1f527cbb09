"""Datasets with transforms, which are left out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reading_images import LABELS, Pictures, noise, photos, ramp16
from torch.utils.data import ConcatDataset, Dataset, Subset
from torchvision.datasets import ImageFolder, wrap_dataset_for_transforms_v2
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.data import Untransformed, read_images


def opened(path: str) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


class Scaled(ImageFolder):
    """Brings 16 bits to 8 itself."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self.samples[index]
        with Image.open(path) as image:
            return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB"), label


@pytest.mark.parametrize(
    "wrap", [lambda data: data, wrap_dataset_for_transforms_v2, lambda data: Subset(data, [1, 0])]
)
def test_deep_files_that_torchvision_makes_white_are_refused(tmp_path: Path, wrap: Any) -> None:
    for name, pixels in (("a", noise(8, 9)), ("b", ramp16(8, 9))):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels.astype(np.uint16)).save(tmp_path / name / "a.png")
    with pytest.raises(InputError, match=r"item \d: .*b.a\.png has gray .* give it a loader="):
        read_images(wrap(ImageFolder(str(tmp_path))))
    whole = read_images(ImageFolder(str(tmp_path), loader=opened))
    assert np.array_equal(whole.images, read_images(tmp_path).images)
    assert whole.images.dtype == np.uint16 and whole.images.max() > 255
    scaled = read_images(Scaled(str(tmp_path)))
    assert np.array_equal(scaled.images[1, 0], ramp16(8, 9) >> 8)
    # Nothing is lost of values that 8 bits hold.
    Image.fromarray(noise(8, 9).astype(np.uint16)).save(tmp_path / "b" / "a.png")
    assert np.array_equal(read_images(ImageFolder(str(tmp_path))).images[1, 0], noise(8, 9))


@pytest.mark.parametrize(
    "scale", [lambda image: np.float32(image) / 255, lambda _: torch.zeros(1, 8, 9)]
)
def test_a_transform_by_another_name_is_named(scale: Any) -> None:
    known = "item 0: .*; if form of Pictures changes images, keep it as self.transform"
    for transform in ({}, {"transform": None}):
        with pytest.raises(InputError, match=known):
            read_images(Pictures(scale, **transform))  # type: ignore[arg-type]


def crop(image: Any) -> torch.Tensor:
    """As a training has it: random, a tensor, normalised."""
    tensor = v2.functional.pil_to_tensor(v2.RandomCrop(10, padding=4)(image)).float()
    return (tensor / 255 - 0.5) / 0.2


@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: data,
        lambda data: Subset(data, range(4)),
        lambda data: ConcatDataset([Subset(data, [0, 1]), Subset(data, [2, 3])]),
        lambda data: wrap_dataset_for_transforms_v2(data),
    ],
    ids=["itself", "subset", "concat", "wrapped"],
)
def test_a_dataset_is_read_without_its_transforms(tmp_path: Path, wrap: Any) -> None:
    data = photos(
        tmp_path, [(10, 10)] * 4, transform=crop, target_transform=lambda label: 1 - label
    )
    plain = read_images(ImageFolder(str(tmp_path)))
    found = read_images(wrap(data))
    assert np.array_equal(found.images, plain.images)
    assert found.labels.tolist() == [1 - label for label in plain.labels]
    assert data.transform is None or isinstance(data[0][0], torch.Tensor)  # still in place


def test_joint_transforms_are_left_out_too(tmp_path: Path) -> None:
    class Joint(ImageFolder):
        def __getitem__(self, index: int) -> Any:
            image = Image.open(self.samples[index][0]).convert("RGB")
            assert self.transforms is not None
            return self.transforms(image, self.targets[index])

    photos(tmp_path, [(10, 10)] * 4)
    data = Joint(str(tmp_path))
    data.transforms = lambda image, label: (crop(image), label)
    assert np.array_equal(read_images(data).images, read_images(ImageFolder(str(tmp_path))).images)


def test_photos_of_many_sizes_get_the_size_that_a_classifier_sees(tmp_path: Path) -> None:
    sizes = [(20, 31), (40, 16), (25, 25), (18, 30)]
    state = torch.get_rng_state()
    for small in (v2.Resize((9, 12)), v2.RandomResizedCrop((9, 12))):
        for last in (v2.Identity(), v2.PILToTensor(), v2.Lambda(np.asarray)):
            data = photos(tmp_path, sizes, transform=v2.Compose([small, last]))
            assert read_images(data).image_shape == (3, 9, 12)
            assert read_images(data, image_size=8).image_shape == (3, 8, 8)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(
        InputError, match=r"images of one size.*; read_images\(data, image_size=64\)"
    ):
        read_images(photos(tmp_path, sizes))
    with pytest.raises(
        InputError, match=r"images of one size.*; read_images\(data, image_size=64\)"
    ):
        read_images(photos(tmp_path, sizes, transform=v2.Resize((99, 99))))
    assert read_images(photos(tmp_path / "b", [(9, 9)] * 4, transform=v2.Resize(20))).image_shape[
        1:
    ] == (9, 9)
    # Whichever of them is the first.
    for first in ((6, 7), (9, 12)):
        data = photos(tmp_path / f"{first}", [first, *sizes[1:]], transform=v2.Resize((9, 12)))
        assert read_images(data).image_shape == (3, 9, 12)


def test_what_is_cropped_keeps_its_scale(tmp_path: Path) -> None:
    """Else what is made of the images would show things smaller than they are, and be cropped."""
    for transform in (
        v2.Compose([v2.RandomCrop(9), v2.PILToTensor()]),
        v2.Compose([v2.RandomApply([v2.RandomHorizontalFlip()]), v2.CenterCrop(9)]),
        v2.RandomCrop(9),
    ):
        data = photos(tmp_path, [(20, 30)] * 4, transform=transform)
        assert read_images(data).image_shape == (3, 20, 30)
    scaled = v2.Compose([v2.Resize(12), v2.RandomCrop(9)])
    assert read_images(photos(tmp_path, [(20, 30)] * 4, transform=scaled)).image_shape == (3, 9, 9)


def disc(height: int, width: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width] - np.array([height, width])[:, None, None] / 2
    return np.repeat(np.uint8(200 * (rows**2 + columns**2 < 20**2))[..., None], 3, 2)


def extent(image: Any) -> np.ndarray:
    """Height and width of the disc in an image, whatever its form and values."""
    plane = np.asarray(v2.functional.to_image(image))[0]
    inside = plane > (plane.min() + plane.max()) / 2
    return np.array([inside.any(1).sum(), inside.any(0).sum()])


@pytest.mark.parametrize(
    "transform",
    [
        v2.Compose([v2.Resize(80), v2.CenterCrop(64)]),
        v2.Compose([torch.nn.Sequential(v2.Resize(80), v2.CenterCrop((64, 48)))]),
        ResNet18_Weights.DEFAULT.transforms(crop_size=64, resize_size=80),
        v2.RandomResizedCrop(64, scale=(1, 1), ratio=(1, 1)),
        v2.Resize((64, 64)),
        v2.Compose([v2.Resize((80, 80)), v2.CenterCrop(64)]),
    ],
)
@pytest.mark.parametrize("shape", [(100, 200), (200, 100), (150, 150)])
def test_images_that_were_read_keep_their_shapes_in_the_transforms(
    tmp_path: Path, transform: Any, shape: tuple[int, int]
) -> None:
    """A disc is as high and as wide in images made like those that were read as in real ones; where
    they end at another size than that of a square, as high for its width."""
    data = photos(tmp_path, [shape] * 2, transform=transform)
    for path, _ in data.samples:
        Image.fromarray(disc(*shape)).save(path)
    real = extent(data[0][0])
    for image_size in (None, (64, 40)):
        read = read_images(data, image_size=image_size)
        made = extent(transform(Image.fromarray(read.images[0].transpose(1, 2, 0))))
        assert abs(np.divide(*made) / np.divide(*real) - 1) < 0.1, (made, real)
        if read.image_shape == (3, 64, 64):
            assert np.abs(made - real).max() <= 2, (made, real)


class Kept(Pictures):
    """Keeps items as they are after its transform."""

    def __init__(self, transform: Any) -> None:
        super().__init__(transform=transform, kept={}, order=[], targets=LABELS)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        self.order.append(index)
        if index not in self.kept:
            self.kept[index] = self.transform(super().__getitem__(index)[0])
        return self.kept[index], LABELS[index]


def test_what_a_dataset_keeps_stays_its_own() -> None:
    data: Any = Kept(lambda image: np.asarray(image) / 255)
    read_images(Subset(data, [1, 0, 2]))
    assert list(data.kept) == data.order == []
    data = Kept(lambda image: np.asarray(image) / 255)
    [data[index] for index in range(4)]
    with pytest.raises(InputError, match=r"item 0: .*seems to keep transformed items, so give the"):
        read_images(data)


class Continued(Pictures):
    """Goes on after its transform."""

    def __init__(self, rest: Any) -> None:
        super().__init__(transform=v2.PILToTensor(), rest=rest, targets=LABELS)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.rest(self.transform(super().__getitem__(index)[0])), LABELS[index]


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (lambda image: image.expand(3, -1, -1), "apart from its transform: what Continued does"),
        (lambda image: image[0], "apart from its transform: .*is not subscriptable"),
        (lambda image: np.asarray(image) / 255, "Continued: item 0: .*more to images after its"),
    ],
)
def test_what_comes_after_a_transform_is_named(rest: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"{message}.*the last step of"):
        read_images(Continued(rest))  # type: ignore[arg-type]


class Fixed(Pictures):
    """Its transform cannot be set."""

    @property
    def transform(self) -> Any:
        return np.asarray


class Slotted:
    __slots__ = ("transform",)

    def __init__(self) -> None:
        self.transform = np.asarray

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.transform(noise(8, 9, seed=index)), LABELS[index]


@pytest.mark.parametrize(
    "dataset",
    [Fixed(), Slotted(), Pictures(transforms=[np.asarray]), Pictures(transform={"a": np.asarray})],
    ids=["property", "slots", "list", "dict"],
)
def test_transforms_that_cannot_be_taken_off_are_refused(dataset: Any) -> None:
    with pytest.raises(
        InputError, match=r"its transforms? cannot be taken off .*build the Dataset"
    ):
        read_images(dataset)


class Photos(Dataset):
    """As albumentations' users write it."""

    def __init__(self, folder: ImageFolder, transform: Any, joint: bool = False) -> None:
        self.samples, self.classes = folder.samples, folder.classes
        setattr(self, "transforms" if joint else "transform", transform)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        path, label = self.samples[index]
        image = np.asarray(Image.open(path).convert("RGB"))
        transform = vars(self).get("transform") or vars(self).get("transforms")
        if transform:
            image = transform(image=image)["image"]
        return image, label


@pytest.mark.parametrize("joint", [False, True])
def test_transforms_that_take_keywords_are_left_out_and_applied(
    tmp_path: Path, joint: bool
) -> None:
    """As those of albumentations do."""
    folder = photos(tmp_path, [(10, 10)] * 4)
    plain = read_images(folder)

    def inverted(*, image: np.ndarray) -> dict[str, np.ndarray]:
        return {"image": 255 - image}

    for transform in (None, inverted):
        data = Photos(folder, transform, joint)
        assert np.array_equal(read_images(data).images, plain.images)
        image, label = Untransformed(data).transform(plain.images[0].transpose(1, 2, 0), 1)
        assert label == 1
        expected = plain.images[0] if transform is None else 255 - plain.images[0]
        assert np.array_equal(image.transpose(2, 0, 1), expected)


def test_classes_that_are_numbered_anew_keep_their_names(tmp_path: Path) -> None:
    """Else those of test images, which are matched by name, would be others."""
    data = photos(tmp_path, [(10, 10)] * 4, target_transform=lambda label: 1 - label)
    plain = read_images(ImageFolder(str(tmp_path)))
    for each in (data, Subset(data, range(4)), wrap_dataset_for_transforms_v2(data)):
        found = read_images(each, classes=plain.classes)
        assert found.labels.tolist() == plain.labels.tolist()
    data = photos(tmp_path, [], target_transform=lambda label: 1 - label)  # the wrapper took it
    assert read_images(data).classes == ("b", "a")
    data.classes = ["normal", "ill"]  # the names of what comes out
    assert read_images(data).classes == ("normal", "ill")
    data = photos(tmp_path, [], target_transform=lambda label: 1 - label)
    with pytest.raises(InputError, match="to have the same classes"):
        read_images(ConcatDataset([photos(tmp_path, []), data]))


def test_the_size_of_arrays_is_their_height_and_width(tmp_path: Path) -> None:
    def first(image: Image.Image) -> np.ndarray:
        return np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1) / 255

    data = photos(tmp_path, [(12, 14)] * 4, transform=first)
    assert read_images(data).image_shape == (3, 12, 14)
    data = photos(tmp_path, [(12, 14)] * 4, transform=lambda image: first(image)[:, ::2, :8])
    assert read_images(data, on_error="raise", image_size=8).image_shape == (3, 8, 8)
