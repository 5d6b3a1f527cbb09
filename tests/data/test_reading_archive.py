from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading_images import noise, ramp16

from synthaug.core import InputError
from synthaug.data import read_images, splits_of

LABELS = np.array([0, 1, 0, 1])


def archive(tmp_path: Path, **arrays: Any) -> Path:
    """An `.npz` with four images and their labels, unless `arrays` says otherwise."""
    arrays = {"images": noise(4, 8, 9), "labels": LABELS} | arrays
    np.savez(tmp_path / "set.npz", **{k: v for k, v in arrays.items() if v is not None})
    return tmp_path / "set.npz"


def split_archive(tmp_path: Path, **arrays: Any) -> Path:
    train = {"train_images": noise(4, 8, 8), "train_labels": LABELS}
    return archive(tmp_path, images=None, labels=None, **train, **arrays)


def test_images_and_labels_are_train(tmp_path: Path) -> None:
    path = archive(tmp_path, class_names=np.array(["cat", "dog"]), groups=np.arange(4))
    data = read_images(path)
    assert splits_of(path) == ("train",)
    assert np.array_equal(data.images[:, 0], noise(4, 8, 9))
    assert data.labels.tolist() == [0, 1, 0, 1]
    assert data.classes == ("cat", "dog")
    assert data.groups is not None
    assert data.groups.tolist() == [0, 1, 2, 3]


def test_splits_by_prefix(tmp_path: Path) -> None:
    path = split_archive(
        tmp_path, test_images=noise(2, 8, 8, 3)[..., 0], test_labels=np.array([[1], [2]])
    )
    assert splits_of(path) == ("train", "test")
    test = read_images(path, split="test")
    assert test.classes == ("0", "1", "2")
    assert test.labels.tolist() == [1, 2]
    with pytest.raises(InputError, match="split 'train', got none of '2'"):
        read_images(path)
    with pytest.raises(InputError, match="no split 'val', only train, test"):
        read_images(path, split="val")


def test_splits_have_the_synonyms_of_folders(tmp_path: Path) -> None:
    held = {
        f"{name}_{key}": value
        for name in ("Valid", "testing")
        for key, value in (("images", noise(2, 8, 8)), ("labels", LABELS[:2]))
    }
    path = split_archive(tmp_path, **held)
    assert splits_of(path) == ("train", "val", "test")
    assert len(read_images(path, split="val")) == 2


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 8, 9), (1, 8, 9)),
        ((4, 8, 9, 1), (1, 8, 9)),
        ((4, 8, 9, 3), (3, 8, 9)),
        ((4, 3, 8, 9), (3, 8, 9)),
    ],
)
def test_layouts(tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert read_images(archive(tmp_path, images=noise(*shape))).image_shape == expected


def test_16_bit_images_stay_16_bit(tmp_path: Path) -> None:
    data = read_images(archive(tmp_path, images=np.stack([ramp16()] * 4)))
    assert np.array_equal(data.images[0, 0], ramp16())
    assert data.images.dtype == np.uint16


def test_string_labels_are_sorted_class_names(tmp_path: Path) -> None:
    data = read_images(archive(tmp_path, labels=np.array(["c10", "c9", "c9", "c10"])))
    assert data.classes == ("c10", "c9")
    assert data.labels.tolist() == [0, 1, 1, 0]


def test_string_labels_follow_given_classes(tmp_path: Path) -> None:
    strings = np.array(["dog", "cat", "dog", "cow"])
    path = archive(tmp_path, labels=strings, classes=np.array(["dog", "cat"]))
    with pytest.raises(InputError, match="one of the 2 class names, got 'cow' at index 3"):
        read_images(path)


@pytest.mark.parametrize("key", ["train_groups", "train_track", "train_Patient ID"])
def test_a_key_for_each_image_is_its_group(tmp_path: Path, key: str) -> None:
    data = read_images(split_archive(tmp_path, **{key: np.array([5, 5, 6, 6])}))
    assert data.groups is not None
    assert data.groups.tolist() == [5, 5, 6, 6]


@pytest.mark.parametrize("key", ["groups", "group", "patient"])
def test_groups_need_no_prefix_where_images_have_none(tmp_path: Path, key: str) -> None:
    names = {"class_names": np.array(["a", "b"]), "notes": np.array({"made": "today"}, object)}
    data = read_images(archive(tmp_path, **names, **{key: np.array([5, 5, 6, 6])}))
    assert data.groups is not None
    assert data.groups.tolist() == [5, 5, 6, 6]


def test_boxes_and_weights_are_not_groups(tmp_path: Path) -> None:
    path = split_archive(tmp_path, train_boxes=np.zeros((4, 4), int), train_weight=np.ones(4))
    assert read_images(path).groups is None


def test_an_unknown_group_is_one_of_its_own(tmp_path: Path) -> None:
    data = read_images(split_archive(tmp_path, train_patient=np.array(["p1", "", "p1", ""])))
    assert data.groups is not None
    assert data.groups.tolist() == ["p1", "train image 1", "p1", "train image 3"]


def test_two_keys_that_might_group_are_an_error(tmp_path: Path) -> None:
    path = split_archive(tmp_path, train_track=LABELS, train_patient=LABELS)
    with pytest.raises(InputError, match=r"got train_track, train_patient; rename .* train_group$"):
        read_images(path)
    path = split_archive(tmp_path, train_track=LABELS, train_groups=np.array([5, 5, 6, 6]))
    assert read_images(path).groups is not None
    assert read_images(path).groups.tolist() == [5, 5, 6, 6]
    path = split_archive(tmp_path, train_group=LABELS, train_groups=LABELS)
    with pytest.raises(InputError, match=r"train_group, train_groups; .* the others to something"):
        read_images(path)


def test_other_values_for_each_image_are_no_groups(tmp_path: Path) -> None:
    path = split_archive(tmp_path, train_sex=LABELS, train_year=np.array(["a"] * 4))
    with pytest.warns(UserWarning, match=r"train_sex, train_year: not used; .* train_group$") as w:
        assert read_images(path).groups is None
    assert w[0].filename == __file__
    with_age = split_archive(tmp_path, train_age=LABELS, train_patient=np.array([5, 5, 6, 6]))
    groups = read_images(with_age).groups
    assert groups is not None
    assert groups.tolist() == [5, 5, 6, 6]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": None}, "expected a key labels beside images; got the keys images"),
        ({"images": None}, "expected images and labels, .*; got the keys labels"),
        ({"labels": np.array([0, 1, 1])}, "got 3 labels for 4 images"),
        (
            {"labels": np.zeros((4, 2), int)},
            r"one label per image, .*got \(4, 2\); .*several.*argmax",
        ),
        ({"labels": np.array([0.0, 1, 0, 1])}, "integers or strings, got float64"),
        ({"labels": np.array([0, 1, np.nan, 1])}, "labels: expected integers, got NaN at index 2"),
        ({"labels": np.array([0, 1, 3, 1])}, "without a gap, got 3 where 2 should be"),
        ({"labels": np.array([-1, 1, 0, 1])}, "without a gap, got -1 where 0 should be"),
        ({"labels": np.array([1, 2, 1, 2])}, "got 1 where 0 should be; subtract 1 from each, or"),
        ({"labels": np.array([-1, 0, -1, 0])}, "got -1 where 0 should be; add 1 to each, or"),
        (
            {"labels": np.array([0, 1, 2, 1]), "class_names": np.array(["a", "b"])},
            "0 to 1 for 2 classes, got 2 at index 2",
        ),
        (
            {"class_names": np.array(["a", "b", "c"])},
            "each class in split 'train', got none of 'c'",
        ),
        ({"class_names": np.array(["a", "a"])}, "class_names: expected distinct names"),
        ({"class_names": np.array([["a", "b"]])}, r"class_names: expected shape \(K,\)"),
        ({"labels": np.zeros(4, int)}, "at least two classes, got only '0'"),
        ({"labels": np.array([0, 1, "x", None], object)}, "labels: .*Python objects.*run code"),
        ({"images": np.array([None] * 4)}, "images: .*Python objects.*run code"),
        ({"images": np.zeros((4, 8, 8))}, r"images: .*got float64; .*\(images \* 255\)"),
        ({"images": np.zeros((4, 8, 8), int)}, "images: expected uint8 or uint16 .*got int64"),
        ({"images": noise(4, 8, 8, 4)}, r"images: expected shape .*got \(4, 8, 8, 4\)"),
        ({"images": noise(4, 8)}, r"images: expected shape .*got \(4, 8\)"),
        ({"images": noise(4, 4, 8)}, r"images\[0\]: expected a height .*got 4x8"),
        ({"images": noise(0, 8, 8), "labels": LABELS[:0]}, "at least|expected images"),
        ({"groups": np.arange(3)}, "groups: expected 4 integers or strings"),
        ({"patient": np.arange(4.0)}, "patient: expected 4 integers or strings, .* got float64"),
        ({"labels": np.array([b"k\xe4", b"b"] * 2)}, r"labels: .*UTF-8, got the bytes b'k\\xe4'"),
        ({"class_names": np.array([b"k\xe4", b"b"])}, "class_names: expected text in UTF-8"),
        ({"groups": np.array([b"k\xe4", b"b"] * 2)}, "groups: expected text in UTF-8"),
        ({"extra_images": noise(1, 8, 8)}, "got extra_images, which is no split; rename"),
        ({"test_images": noise(1, 8, 8)}, "got images and test_images both"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = archive(tmp_path, **arrays)
    with pytest.raises(InputError, match=rf"set\.npz: ?.*(?:{message})"):
        read_images(path)


def test_two_spellings_of_one_split_are_an_error(tmp_path: Path) -> None:
    path = split_archive(tmp_path, training_images=noise(4, 8, 8), training_labels=LABELS)
    with pytest.raises(InputError, match="'train', got train_images and training_images; rename"):
        splits_of(path)


def test_nan_pixels_name_the_image(tmp_path: Path) -> None:
    images = np.zeros((4, 8, 8), np.float32)
    images[2, 3, 3] = np.nan
    with pytest.raises(InputError, match=r"images\[2\]: expected .*float32 with NaN"):
        read_images(archive(tmp_path, images=images))


def test_strings_and_integers_do_not_mix(tmp_path: Path) -> None:
    path = split_archive(tmp_path, test_images=noise(1, 8, 8), test_labels=np.array(["a"]))
    with pytest.raises(InputError, match="labels of one type"):
        read_images(path)


def test_a_file_cut_short_or_changed_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    path = archive(tmp_path)
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[200] ^= 255
    for damaged in (content[:-30], content[:100], b"", b"PK", b"text", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"cut short or damaged .*copy or write it again"):
            read_images(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_compression_that_python_lacks_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path)
    changed = bytearray(path.read_bytes())
    changed[changed.index(b"PK\1\2") + 10] = 99  # the method, in the list of members
    path.write_bytes(bytes(changed))
    with pytest.raises(InputError, match=r"set\.npz: .*compression method is not supported"):
        read_images(path)
