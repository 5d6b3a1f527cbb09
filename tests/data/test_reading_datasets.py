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
from reading_images import LABELS, Pictures, labelled, noise, photos, ramp16, tree
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.data import LabelledImages, labels_and_classes, read_images, splits_of
from synthaug.data.stacking import SkippedImages


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


def test_reading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    def draw(image: Any) -> Any:
        random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        return image

    data = photos(tmp_path, [(10, 10)] * 4, transform=draw, target_transform=int)  # scanned
    states = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]  # noqa: NPY002
    read_images(data)
    after = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]  # noqa: NPY002
    assert after == states


def test_an_index_from_the_end_is_that_of_the_item() -> None:
    joined: Any = ConcatDataset([Pictures(), Pictures(lambda image: 255 - image)])  # type: ignore[list-item]
    data = read_images(Subset(joined, [-4, -2]))
    assert np.array_equal(data.images[0, 0], 255 - noise(8, 9, seed=0))


def test_a_first_image_that_cannot_be_read_changes_no_size(tmp_path: Path) -> None:
    data = photos(tmp_path, [(16, 16)] * 6, transform=v2.Resize((8, 8)))
    (tmp_path / "a" / "0.png").write_bytes(b"damaged")
    with pytest.warns(SkippedImages):
        assert read_images(data, on_error="skip").image_shape == (3, 8, 8)
