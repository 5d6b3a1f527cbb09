import os
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from reading_images import noise, ramp16, save, tree
from torchvision.datasets import ImageFolder

from synthaug.core import InputError
from synthaug.data import folder, read_images, splits_of
from synthaug.data.stacking import SkippedImages


def test_classes_are_numbered_as_by_image_folder(tmp_path: Path) -> None:
    tree(tmp_path, {"sign10": 1, "sign9": 2, "Sign1": 1})
    data = read_images(tmp_path)
    assert splits_of(tmp_path) == ("train",)
    assert list(data.classes) == ImageFolder(str(tmp_path)).classes == ["Sign1", "sign10", "sign9"]
    assert data.labels.tolist() == [0, 1, 2, 2]


def test_files_in_natural_order_nested_folders_after(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 11, "b": 1})
    save(tmp_path / "a" / "0deep" / "x.png", np.full((8, 8), 99, np.uint8))
    values = read_images(str(tmp_path)).images[:, 0, 0, 0].tolist()
    assert values[:12] == [*range(11), 99]


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "VALID", "testing"), ("train", "validation")]
)
def test_split_folders_and_their_synonyms(tmp_path: Path, names: tuple[str, ...]) -> None:
    for count, name in enumerate(names, 1):
        tree(tmp_path / name, {"a": count, "b": count})
    assert splits_of(tmp_path) == ("train", "val", "test")[: len(names)]
    assert read_images(tmp_path, split="validation").counts.tolist() == [2, 2]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    tree(tmp_path, {"train": 2, "bus": 1})
    assert read_images(tmp_path).classes == ("bus", "train")


def test_classes_are_those_of_all_splits(tmp_path: Path) -> None:
    tree(tmp_path / "train", {"a": 1, "b": 1, "c": 1})
    tree(tmp_path / "test", {"c": 2})
    test = read_images(tmp_path, split="test")
    assert test.classes == ("a", "b", "c")
    assert test.labels.tolist() == [2, 2]


def test_hidden_files_are_ignored(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 1, ".git": 1, "__MACOSX": 1})
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "a" / ".DS_Store").write_text("x")
    (tmp_path / "a" / "Thumbs.db").write_text("x")
    assert read_images(tmp_path).classes == ("a", "b")


def test_a_stray_file_is_named_or_skipped(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 1})
    (tmp_path / "a" / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"a/notes\.txt: expected an image file \(bmp, gif"):
        read_images(tmp_path)
    with pytest.warns(SkippedImages, match=r"1 of 3 images .*notes\.txt"):
        assert len(read_images(tmp_path, on_error="skip")) == 2


def test_skipping_warns_once_and_names_them(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 15, "b": 1})
    for i in range(12):
        (tmp_path / "a" / f"{i}.png").write_bytes(b"")
    with pytest.warns(SkippedImages) as caught:
        data = read_images(tmp_path, on_error="skip")
    assert data.counts.tolist() == [3, 1]
    assert data.images[:, 0, 0, 0].tolist() == [12, 13, 14, 10]
    assert len(caught) == 1
    warning = caught[0].message
    assert isinstance(warning, SkippedImages)
    assert len(warning.names) == 12
    assert "12 of 16 images" in str(warning)
    assert str(warning).endswith("9.png and 2 more")
    assert caught[0].filename == __file__


def test_a_class_that_skipping_empties_is_an_error(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 2})
    (tmp_path / "a" / "0.png").write_bytes(b"")
    with (
        pytest.warns(SkippedImages),
        pytest.raises(InputError, match="each class in split 'train', got none of 'a'"),
    ):
        read_images(tmp_path, on_error="skip")


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    for name in "ab":
        tree(tmp_path, {name: 1})
        (tmp_path / name / "0.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of 2 could be read, for instance"):
        read_images(tmp_path, on_error="skip")


def test_a_failed_read_leaves_no_file_behind(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 1})
    (tmp_path / "b" / "0.png").write_bytes(b"broken")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"b/0\.png: expected an image that Pillow can read"):
        read_images(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_class_is_an_error_in_train_only(tmp_path: Path) -> None:
    tree(tmp_path / "train", {"a": 1, "b": 0})
    tree(tmp_path / "test", {"a": 1, "b": 0})
    with pytest.raises(InputError, match="got none of 'b', which an empty folder, class_names or"):
        read_images(tmp_path)
    assert read_images(tmp_path, split="test").counts.tolist() == [1, 0]


def test_one_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two classes, got only 'a'"):
        read_images(tree(tmp_path, {"a": 2}))


def test_no_class_folders_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "a.png", noise(8, 8))
    with pytest.raises(InputError, match="expected class folders that hold images"):
        read_images(tmp_path)


def test_two_folders_for_a_split_are_an_error(tmp_path: Path) -> None:
    for name in ("val", "valid"):
        tree(tmp_path / name, {"a": 1, "b": 1})
    with pytest.raises(InputError, match="one folder for split 'val', got val and valid"):
        splits_of(tmp_path)


def test_an_unknown_split_names_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no split 'test', only train"):
        read_images(tree(tmp_path, {"a": 1, "b": 1}), split="test")


def test_two_sizes_name_two_files(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1})
    save(tmp_path / "b" / "0.png", noise(9, 12))
    with pytest.raises(InputError, match=r"a/0\.png is 8x8 and .*b/0\.png is 9x12 .*image_size=64"):
        read_images(tmp_path)
    assert read_images(tmp_path, image_size=(10, 11)).image_shape == (1, 10, 11)
    for size in (32.0, (10, 11.5), 7, "10x10"):
        with pytest.raises(InputError, match="image_size: expected a side or"):
            read_images(tmp_path, image_size=size)


def test_a_large_image_asks_for_a_size_at_once(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 1}, shape=(300, 8))
    with pytest.raises(InputError, match=r"a/0\.png: .*got 300x8; .*image_size=64"):
        read_images(tmp_path)


def test_mixed_channels_name_two_files(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1})
    save(tmp_path / "b" / "0.png", noise(8, 8, 3))
    with pytest.raises(InputError, match=r"a/0\.png has 1 and .*b/0\.png has 3; give mode="):
        read_images(tmp_path)
    assert read_images(tmp_path, mode="gray").image_shape == (1, 8, 8)
    assert read_images(tmp_path, mode="rgb").image_shape == (3, 8, 8)


def test_mixed_depths_name_two_files(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1})
    save(tmp_path / "b" / "0.png", ramp16(8, 8))
    with pytest.raises(InputError, match=r"a/0\.png has 8 bits and .*b/0\.png has 16"):
        read_images(tmp_path)


def test_16_bit_files_stay_16_bit_through_resizing(tmp_path: Path) -> None:
    for name in "ab":
        save(tmp_path / name / "0.png", np.full((20, 20), 40001, np.uint16))
    data = read_images(tmp_path, image_size=8)
    assert data.images.dtype == np.uint16
    assert (data.images == 40001).all()


def test_a_class_that_another_split_spells_otherwise_is_pointed_at(tmp_path: Path) -> None:
    tree(tmp_path / "train", {"cat": 2, "dog": 2})
    tree(tmp_path / "test", {"Cat": 2, "dog": 2})
    with pytest.raises(InputError, match=r"none of 'Cat' \('cat' is another one\), which"):
        read_images(tmp_path)


def test_one_name_in_two_unicode_forms_is_pointed_at(tmp_path: Path) -> None:
    for split, form in (("train", "NFC"), ("test", "NFD")):
        tree(tmp_path / split, {unicodedata.normalize(form, "Ärzte"): 2, "dog": 2})
    with pytest.raises(InputError, match=r"'A\\u0308rzte' is another spelling of '\\xc4rzte': "):
        read_images(tmp_path)


def test_a_class_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 1})
    (tmp_path / "a").rename(tmp_path / os.fsdecode(b"k\xe4"))
    with pytest.raises(InputError, match=r"names in UTF-8, got b'k\\xe4'; rename that folder"):
        splits_of(tmp_path)
    # As Python has it where it takes all text for ASCII.
    (tmp_path / os.fsdecode(b"k\xe4")).rename(tmp_path / "a")
    named = SimpleNamespace(parent=tmp_path, name="k\udcc3\udca4")
    with pytest.raises(InputError, match=r"got b'k.*'; it is, but Python .* set PYTHONUTF8=1"):
        folder._check_name(named)  # type: ignore[arg-type]


def test_a_link_to_an_image_that_is_gone_is_named_or_skipped(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 1})
    (tmp_path / "a" / "1.png").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"a/1\.png: .*there is no such file"):
        read_images(tmp_path)
    with pytest.warns(SkippedImages, match=r"1 of 3 images .*1\.png"):
        assert len(read_images(tmp_path, on_error="skip")) == 2


def test_a_link_back_up_adds_no_images(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 2, "b": 1})
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert read_images(tmp_path).counts.tolist() == [2, 1]


def test_split_folders_without_class_folders_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, {"train": 2, "test": 1})
    with pytest.raises(InputError, match="hold those; got test and train without class folders"):
        splits_of(tmp_path)


def test_images_beside_split_folders_are_named(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        tree(tmp_path / name, {"a": 1, "b": 1})
    (tmp_path / "docs").mkdir()
    with pytest.warns(UserWarning, match="images in dev are left .*beside train only") as caught:
        assert splits_of(tmp_path) == ("train",)
    assert caught[0].filename == __file__


def test_split_folders_under_other_names_are_no_classes(tmp_path: Path) -> None:
    for name in ("training_set", "seg_test", "other"):
        tree(tmp_path / name, {"a": 1, "b": 1})
    with pytest.raises(InputError, match=r"training_set and seg_test, .*them train and test"):
        splits_of(tmp_path)


def test_classes_whose_names_speak_of_splits_hold_images(tmp_path: Path) -> None:
    tree(tmp_path, {"test tube": 1, "train station": 1})
    for name in ("test tube", "train station"):
        (tmp_path / name / "more").mkdir()
    assert read_images(tmp_path).classes == ("test tube", "train station")


def test_a_split_without_class_folders_is_named(tmp_path: Path) -> None:
    tree(tmp_path / "train", {"a": 1, "b": 1})
    tree(tmp_path, {"test": 2})
    with pytest.warns(UserWarning, match=r"images in test are left out, .*no class folders"):
        assert splits_of(tmp_path) == ("train",)


def test_images_beside_class_folders_are_named(tmp_path: Path) -> None:
    tree(tmp_path / "train", {"a": 1, "b": 1, ".": 3})
    with pytest.warns(UserWarning, match=r"train: images beside .* 3 in all, .* 0\.png") as caught:
        assert read_images(tmp_path).counts.tolist() == [1, 1]
    assert caught[0].filename == __file__


@pytest.mark.parametrize("place", ["images", "."])
def test_masks_beside_images_are_no_images(place: str, tmp_path: Path) -> None:
    for name in ("COVID", "Normal"):
        tree(tmp_path / name, {place: 2, "masks": 3})
    with pytest.warns(UserWarning, match=r"COVID/masks: left out, .* \(2 such in all\)") as said:
        data = read_images(tmp_path)
    assert data.counts.tolist() == [2, 2]
    assert said[0].filename == __file__


def test_a_folder_of_masks_alone_is_images(tmp_path: Path) -> None:
    tree(tmp_path / "worn", {"masks": 3})
    tree(tmp_path / "none", {"faces": 2, "images": 1})
    assert read_images(tmp_path).counts.tolist() == [3, 3]


def test_class_folders_further_in_are_pointed_at(tmp_path: Path) -> None:
    tree(tmp_path / "photos" / "train", {"a": 1, "b": 1}, shape=(4, 4))  # too small to be read
    with pytest.raises(InputError, match=r"only 'photos'; if the folders in .*give .*/photos$"):
        read_images(tmp_path)


def test_a_class_without_images_is_told_before_others_are_read(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 1, "b": 0}, shape=(4, 4))  # too small to be read
    with pytest.raises(InputError, match="got none of 'b'"):
        read_images(tmp_path)


def test_what_storage_systems_leave_in_folders_is_left_out(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 2, "b": 2, "@eaDir": 1, "lost+found": 1, "$RECYCLE.BIN": 1})
    tree(tmp_path / "a" / "@eaDir", {"0.png": 3})  # thumbnails
    assert read_images(tmp_path).counts.tolist() == [2, 2]


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_to_a_folder_above_makes_no_images_of_other_classes(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 2, "b": 3})
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert read_images(tmp_path).counts.tolist() == [2, 3]
