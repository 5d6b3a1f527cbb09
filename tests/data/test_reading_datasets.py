import gc
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from reading_images import labelled, noise, ramp16, tree
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder, wrap_dataset_for_transforms_v2
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.data import LabelledImages, Untransformed, labels_and_classes, read_images, splits_of
from synthaug.data.stacking import SkippedImages

LABELS = [0, 2, 1, 0]


class Pictures:
    """Four images; labels and names where a test puts them."""

    def __init__(self, form: Any = Image.fromarray, **attributes: Any) -> None:
        self.form = form
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.form(noise(8, 9, seed=index)), LABELS[index]


class Unscannable(Pictures):
    """Fails when an item is asked for: its labels must come from attributes."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        raise AssertionError("scanned")


@pytest.mark.parametrize(
    "attributes",
    [
        {"classes": pd.Index(["dog", "cat", "bee"])},
        {"classes": pd.Series(["dog", "cat", "bee"])},
        {"classes": pd.Series(["dog", "cat", "dog", "bee"]).unique()},
        {"classes": pd.Series(["dog", "cat", "dog", "bee"], dtype="category").unique()},
        {"classes": {"cat": 1, "bee": 2, "dog": 0}},
        {"classes": {1: "cat", 2: "bee", 0: "dog"}},
        {"classes": {"dog": "Canis", "cat": "Felis", "bee": "Apis"}.keys()},
        {"features": {"image": None, "label": SimpleNamespace(names=["dog", "cat", "bee"])}},
        {"features": {"fine_label": SimpleNamespace(names=["dog", "cat", "bee"])}},
    ],
    ids=["index", "series", "unique", "category", "dict", "numbers", "keys", "hf", "hf-fine"],
)
def test_names_that_are_in_no_list_are_names_in_that_order(attributes: dict[str, Any]) -> None:
    """They stand by first appearance, as pandas numbers classes: another order than of a folder."""
    _, classes = labels_and_classes(Unscannable(targets=LABELS, **attributes))
    assert classes == ("dog", "cat", "bee")


def test_names_without_an_order_are_refused() -> None:
    for classes in ({"dog", "cat", "bee"}, frozenset("abc")):
        with pytest.raises(InputError, match=r"\.classes: .* in a list, got a .*set, which has no"):
            read_images(Pictures(targets=LABELS, classes=classes))


@pytest.mark.parametrize("classes", [3, np.int64(3), "abc", {"a": 0, "b": 2}, lambda: "abc"])
def test_what_is_no_names_is_passed_over(classes: Any) -> None:
    assert read_images(Pictures(targets=LABELS, classes=classes)).classes == ("0", "1", "2")


@pytest.mark.parametrize(
    "attributes",
    [
        {"targets": LABELS},
        {"targets": torch.tensor(LABELS)},
        {"labels": np.array(LABELS)[:, None]},
        {"_labels": LABELS},
        {"targets": LABELS, "labels": [9, 9, 9, 9]},
        {"targets": ["too", "short"], "labels": LABELS},
    ],
)
def test_labels_come_from_attributes(attributes: dict[str, Any]) -> None:
    dataset = Unscannable(**attributes)
    labels, classes = labels_and_classes(dataset)
    assert (labels.tolist(), labels.dtype) == (LABELS, np.int64)
    assert classes == ("0", "1", "2")


def test_labels_through_subset_and_concat() -> None:
    inner: Any = Unscannable(targets=LABELS, classes=["a", "b", "c"])
    other: Any = Unscannable(
        labels=np.array(LABELS)[:, None], class_to_idx={"b": 1, "c": 2, "a": 0}
    )
    joined: Any = ConcatDataset([Subset(inner, [3, 1]), other])
    labels, classes = labels_and_classes(joined)
    assert labels.tolist() == [0, 2, *LABELS]
    assert classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ([(0, 1), (2, 3), (4, 5)], ("0, 1", "2, 3", "4, 5")),
        ([b"ant", b"bee", "cow"], ("ant", "bee", "cow")),
    ],
)
def test_names_may_be_numbers_or_bytes(classes: Any, expected: Any) -> None:
    assert labels_and_classes(Unscannable(targets=LABELS, classes=classes))[1] == expected


def test_labels_may_be_text_among_objects() -> None:
    """As a column of pandas hands them out."""
    labels, classes = labels_and_classes(Unscannable(labels=np.array([*"caba"], dtype=object)))
    assert (labels.tolist(), classes) == ([2, 0, 1, 0], ("a", "b", "c"))
    with pytest.raises(InputError, match="expected integers or strings, got object"):
        labels_and_classes(Unscannable(labels=np.array(["a", 1, "b", None], dtype=object)))


@pytest.mark.parametrize("attributes", [{}, {"targets": [], "classes": ["a", "b", "c"]}])
def test_empty_parts_are_passed_over(attributes: dict[str, Any]) -> None:
    class Empty(Pictures):
        def __len__(self) -> int:
            return 0

    parts: Any = [Empty(**attributes), Pictures(**attributes | {"targets": LABELS})]
    assert read_images(ConcatDataset(parts)).labels.tolist() == LABELS
    for nothing in (parts[0], ConcatDataset(parts[:1])):
        with pytest.raises(InputError, match="expected images, got an empty Dataset"):
            read_images(nothing)


def test_labels_by_scanning() -> None:
    read: list[int] = []

    class Counted(Pictures):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            read.append(index)
            return super().__getitem__(index)

    assert labels_and_classes(Counted())[0].tolist() == LABELS
    assert read == [0, 1, 2, 3]  # each once, since an image may take long to decode
    tensors = TensorDataset(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([1, 0]))
    assert labels_and_classes(tensors)[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (lambda index: (7 + index % 2,), "number 1, 0, and number 2, 7, may be the label"),
        (lambda index: ("a.png", np.int64(5)), "got 4 values .* and number 3, 5, may be"),
        (lambda index: (index,), None),
        (lambda index: (f"{index}.png", {"age": 40}, 0.5, torch.zeros(3)), None),
    ],
)
def test_items_with_more_than_a_label(rest: Any, message: str | None) -> None:
    class Longer(Pictures):
        def __getitem__(self, index: int) -> Any:
            return *super().__getitem__(index), *rest(index)

    if message is None:
        assert read_images(Longer()).labels.tolist() == LABELS  # type: ignore[arg-type]
        return
    with pytest.raises(InputError, match=f"item 0: .*{message}.*as .targets"):
        read_images(Longer())  # type: ignore[arg-type]
    assert read_images(Longer(targets=LABELS)).labels.tolist() == LABELS  # type: ignore[arg-type]


def test_an_item_that_fails_while_labels_are_looked_for_is_named() -> None:
    class Broken(Pictures):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            if index == 3:
                raise OSError("truncated")
            return super().__getitem__(index)

    message = r"Broken: item 3: labels are found .*\(OSError: truncated\).*as \.targets"
    with pytest.raises(InputError, match=message):
        read_images(Broken(), on_error="skip")  # type: ignore[arg-type]
    with pytest.warns(SkippedImages, match="1 of 4"):
        data = read_images(Broken(targets=LABELS), on_error="skip")  # type: ignore[arg-type]
    assert len(data.images) == 3


class Packed(Dataset):
    """Opens its file when it is first asked, so that each worker has its own."""

    def __init__(self, path: Path, **attributes: Any) -> None:
        self.path, self.file = path, cast(Any, None)
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if self.file is None:
            self.file = self.path.open("rb")
        self.file.seek(72 * index)
        return np.frombuffer(self.file.read(72), np.uint8).reshape(8, 9), LABELS[index]


class Closing(Packed):
    def __del__(self) -> None:
        if self.file is not None:
            self.file.close()


class Around(Dataset):
    """Has its items from another Dataset."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.inner[index]  # type: ignore[no-any-return]


@pytest.mark.parametrize("attributes", [{}, {"targets": LABELS}, {"transform": None}])
@pytest.mark.parametrize(
    "wrap", [lambda data: data, Around, lambda data: Subset(ConcatDataset([data]), [0, 1, 2, 3])]
)
def test_files_that_workers_open_stay_closed(
    tmp_path: Path, attributes: dict[str, Any], wrap: Any
) -> None:
    images = np.stack([noise(8, 9, seed=index) for index in range(4)])
    (tmp_path / "packed").write_bytes(images.tobytes())
    data = Packed(tmp_path / "packed", **attributes)
    assert np.array_equal(read_images(wrap(data)).images[:, 0], images)
    assert data.file is None


def test_a_dataset_that_closes_its_file_at_its_end_keeps_it(tmp_path: Path) -> None:
    images = np.stack([noise(8, 9, seed=index) for index in range(4)])
    (tmp_path / "packed").write_bytes(images.tobytes())
    data = Closing(tmp_path / "packed")
    for _ in range(2):  # with its file closed, and open
        assert np.array_equal(read_images(data).images[:, 0], images)
        gc.collect()
        assert np.array_equal(data[3][0], images[3])


def test_photos_of_a_dataset_lie_as_it_hands_them_out(tmp_path: Path) -> None:
    """torchvision's ImageFolder turns none, and keeps what says how they are to be turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(noise(8, 9)).save(tmp_path / name / "a.png", exif=exif)
    folder = ImageFolder(str(tmp_path))
    data = read_images(folder)
    assert np.array_equal(data.images[0].transpose(1, 2, 0), np.asarray(folder[0][0]))
    assert read_images(tmp_path).image_shape == (1, 9, 8)


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


def test_a_target_transform_counts() -> None:
    class Shifted(Pictures):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            return super().__getitem__(index)[0], 2 - LABELS[index]

    dataset = Shifted(targets=LABELS, target_transform=lambda label: 2 - label)
    assert labels_and_classes(dataset)[0].tolist() == [2, 0, 1, 2]
    assert read_images(dataset).labels.tolist() == [2, 0, 1, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [None, ["ox", "cow", "bee"]])
def test_stale_labels_are_an_error(names: Any) -> None:
    class Named(Pictures):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            image, label = super().__getitem__(index)
            return image, names[label] if names else label

    fresh: Any = Named(targets=LABELS, classes=names)
    assert read_images(fresh).labels.tolist() == LABELS
    stale: Any = Named(targets=[0, 1, 2, 0], classes=names)
    with pytest.raises(InputError, match=r"item 1: expected label 1 .*the item has (2|bee)"):
        read_images(stale)


@pytest.mark.parametrize(
    ("classes", "message"),
    [(["n/a", "a", "b", "c"], "got none of 'c'"), (["a", "b"], "0 to 1 for 2 classes, got 2")],
)
def test_a_target_transform_that_leaves_the_class_names_is_named(
    classes: list[str], message: str
) -> None:
    data: Any = Pictures(target_transform=lambda label: label - 1, classes=classes)
    with pytest.raises(InputError, match=f"{message}.*; its target_transform changes labels: set"):
        read_images(data)


class Changed(Pictures):
    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return super().__getitem__(index)[0], self.target_transform(LABELS[index])  # type: ignore[attr-defined]


def test_classes_that_a_target_transform_makes_one_of_are_named() -> None:
    names = ["covid", "normal", "pneumonia"]
    merged: Any = Changed(
        targets=LABELS, classes=names, target_transform=lambda label: int(label == 2)
    )
    message = "each of the 3 classes covid, normal, pneumonia, but some become one; its target_tr"
    for data in (merged, Subset(merged, [0, 1])):
        with pytest.raises(InputError, match=message):
            labels_and_classes(data)
    merged.classes = ["other", "pneumonia"]
    assert labels_and_classes(merged)[0].tolist() == [0, 1, 0, 0]
    other: Any = Changed(targets=LABELS, classes=names, target_transform=int)
    assert labels_and_classes(Subset(other, [0, 3]))[1] == tuple(names)


def test_string_labels_and_mappings() -> None:
    items: Any = [{"image": Image.fromarray(noise(8, 8)), "label": name} for name in "bab"]
    data = read_images(items)
    assert data.classes == ("a", "b")
    assert data.labels.tolist() == [1, 0, 1]
    items = [{"image": noise(8, 8), "label_source": 7, "label": label} for label in (1, 0)]
    assert read_images(items).labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("form", "dtype", "shape"),
    [
        (Image.fromarray, np.uint8, (1, 8, 9)),
        (lambda image: Image.fromarray(image).convert("RGB"), np.uint8, (3, 8, 9)),
        (lambda image: image, np.uint8, (1, 8, 9)),
        (lambda image: np.stack([image] * 3, -1), np.uint8, (3, 8, 9)),
        (lambda image: v2.functional.pil_to_tensor(Image.fromarray(image)), np.uint8, (1, 8, 9)),
        (lambda image: Image.fromarray(ramp16(8, 9)), np.uint16, (1, 8, 9)),
        (lambda image: torch.from_numpy(ramp16(8, 9)), np.uint16, (1, 8, 9)),
    ],
)
def test_forms_of_images(form: Any, dtype: type, shape: tuple[int, ...]) -> None:
    data = read_images(Pictures(form, classes=("x", "y", "z")))  # type: ignore[arg-type]
    assert data.images.dtype == dtype
    assert data.image_shape == shape
    assert data.classes == ("x", "y", "z")


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (lambda image: torch.zeros(1, 8, 8), "tensor of torch.float32; .*without ToTensor"),
        (lambda image: image / 255, "got float64; nothing is rescaled"),
        (lambda image: "a.png", "expected a PIL image, an array or a tensor, got str"),
    ],
)
def test_images_of_other_forms_are_refused(form: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"Pictures: item 0: .*{message}"):
        read_images(Pictures(form))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "scale", [lambda image: np.float32(image) / 255, lambda _: torch.zeros(1, 8, 9)]
)
def test_a_transform_by_another_name_is_named(scale: Any) -> None:
    known = "item 0: .*; if form of Pictures changes images, keep it as self.transform"
    for transform in ({}, {"transform": None}):
        with pytest.raises(InputError, match=known):
            read_images(Pictures(scale, **transform))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([(noise(8, 8), 0.5)], r"item 0: expected \(image, label\) .*got float"),
        ([(noise(8, 8), [0, 1])], r"item 0: .*got list \(2,\)"),
        ([(noise(8, 8),)], r"expected items \(image, label\), got 1 value"),
        ([noise(8, 8)], r"item 0: .*got NoneType"),
        ([{"pixels": 1}], "a key image, got the keys pixels"),
        (
            [(noise(8, 8), 0), (noise(8, 8), 2)],
            "without a gap, got 2 where 1 should be; set .classes on",
        ),
    ],
)
def test_labels_that_are_missing_or_wrong_are_named(items: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"list: .*{message}"):
        read_images(items)


def test_multi_label_attributes_are_refused() -> None:
    with pytest.raises(InputError, match=r"one label per image, .*got \(4, 14\)"):
        labels_and_classes(Unscannable(labels=np.zeros((4, 14), int)))
    with pytest.raises(InputError, match=r"\.labels: expected one label per image, got several"):
        labels_and_classes(Unscannable(labels=[[0], [0, 1], [1], [1]]))


def test_labels_outside_the_classes_are_named() -> None:
    with pytest.raises(InputError, match="0 to 1 for 2 classes, got 2 at index 1"):
        read_images(Pictures(targets=LABELS, classes=["a", "b"]))  # type: ignore[arg-type]


def test_joined_datasets_with_other_classes_are_refused() -> None:
    parts: Any = [Pictures(classes=["a", "b", "c"]), Pictures(classes=["b", "a", "c"])]
    with pytest.raises(InputError, match="one label would mean two things"):
        read_images(ConcatDataset(parts))


def test_class_names_of_other_kinds() -> None:
    for names, expected in (
        ({"classes": [("tench", "fish"), "x", "y"]}, ("tench, fish", "x", "y")),
        ({"info": {"label": {"10": "k", "2": "c", "3": "d"}}}, ("c", "d", "k")),
    ):
        assert labels_and_classes(Pictures(**names))[1] == expected


def test_an_unreadable_item_is_named_or_skipped(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 2, "b": 1})
    (tmp_path / "a" / "1.png").write_bytes(b"")
    dataset = ImageFolder(str(tmp_path))
    with pytest.raises(InputError, match="ImageFolder: item 1: expected an image that Pillow"):
        read_images(dataset)
    with pytest.warns(SkippedImages, match="1 of 3 .*item 1"):
        data = read_images(dataset, on_error="skip")
    assert data.labels.tolist() == [0, 1]
    assert data.classes == ("a", "b")
    assert [name.endswith("item 1") for name in data.left_out] == [True]
    dataset.left_out = 5  # what a Dataset calls so is its own
    with pytest.warns(SkippedImages):
        assert read_images(dataset, on_error="skip").left_out == data.left_out


def test_labelled_images_are_returned_as_they_are() -> None:
    data = labelled([2, 0, 1], groups=[7, 7, 8])
    assert read_images(data) is data
    assert read_images(data, image_size=8, mode="gray") is data
    assert splits_of(data) == ("train",)
    with pytest.raises(InputError, match="LabelledImages: it has no split 'test', only train"):
        read_images(data, split="test")


def test_labelled_images_are_resized_when_asked() -> None:
    data = labelled([2, 0, 1], groups=[7, 7, 8])
    resized = read_images(data, image_size=(16, 12), mode="rgb")
    assert isinstance(resized, LabelledImages)
    assert resized.image_shape == (3, 16, 12)
    assert resized.labels.tolist() == [0, 0, 2]
    assert resized.groups is not None
    assert resized.groups.tolist() == [7, 7, 8]


def photos(root: Path, sizes: list[tuple[int, int]], **transforms: Any) -> ImageFolder:
    for index, (height, width) in enumerate(sizes):
        (root / "ab"[index % 2]).mkdir(exist_ok=True, parents=True)
        Image.fromarray(noise(height, width, seed=index)).save(
            root / "ab"[index % 2] / f"{index}.png"
        )
    return ImageFolder(str(root), **transforms)


def test_reading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    def draw(image: Any) -> Any:
        random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        return image

    data = photos(tmp_path, [(10, 10)] * 4, transform=draw, target_transform=int)  # scanned
    states = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]  # noqa: NPY002
    read_images(data)
    after = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]  # noqa: NPY002
    assert after == states


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


def test_an_index_from_the_end_is_that_of_the_item() -> None:
    joined: Any = ConcatDataset([Pictures(), Pictures(lambda image: 255 - image)])  # type: ignore[list-item]
    data = read_images(Subset(joined, [-4, -2]))
    assert np.array_equal(data.images[0, 0], 255 - noise(8, 9, seed=0))


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


def test_a_first_image_that_cannot_be_read_changes_no_size(tmp_path: Path) -> None:
    data = photos(tmp_path, [(16, 16)] * 6, transform=v2.Resize((8, 8)))
    (tmp_path / "a" / "0.png").write_bytes(b"damaged")
    with pytest.warns(SkippedImages):
        assert read_images(data, on_error="skip").image_shape == (3, 8, 8)
