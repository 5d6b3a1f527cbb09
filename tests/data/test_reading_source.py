from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reading_images import tree
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, IterableDataset

from synthaug.core import InputError
from synthaug.data import read_images, splits_of
from synthaug.data.source import FORMS
from synthaug.data.stacking import SkippedImages


def test_progress_counts_images(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 2, "b": 1})
    (tmp_path / "a" / "0.png").write_bytes(b"")
    told: list[tuple[int, int]] = []
    with pytest.warns(SkippedImages):
        read_images(tmp_path, on_error="skip", progress=lambda *each: told.append(each))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_digits_have_fixed_stratified_splits() -> None:
    assert splits_of("digits") == ("train", "test")
    train, test = read_images("digits"), read_images("digits", split="test")
    assert (len(train), len(test)) == (1000, 797)
    assert train.image_shape == test.image_shape == (1, 16, 16)
    share = train.counts / (train.counts + test.counts)
    assert np.abs(share * (train.counts + test.counts) - train.counts).max() < 1
    assert np.abs(train.counts - (train.counts + test.counts) * 1000 / 1797).max() < 1
    # Fixed for good: figures measured on them must stay comparable.
    assert read_images("digits", image_size=8).fingerprint == "2e29dd4bb7c0d6f4"


def test_digits_are_scaled_from_16_to_255() -> None:
    parts = [read_images("digits", split=split, image_size=8) for split in ("train", "test")]
    ours = np.concatenate([part.images[:, 0] for part in parts])
    theirs = np.rint(load_digits().images / 16 * 255).astype(np.uint8)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, theirs))


def test_a_folder_called_digits_is_read_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "digits", {"a": 1, "b": 1})
    monkeypatch.chdir(tmp_path)
    assert read_images("./digits").classes == ("a", "b")
    assert read_images(Path("digits")).classes == ("a", "b")
    assert len(read_images("digits").classes) == 10


def test_test_images_may_lack_classes_and_have_them_in_another_order(tmp_path: Path) -> None:
    path = tree(tmp_path / "other", {"cat": 2, "eel": 1, "fox": 0})
    data = read_images(path, classes=["dog", "eel", "cat"])
    assert data.classes == ("dog", "eel", "cat")
    assert data.labels.tolist() == [2, 2, 1]
    again = read_images(data, classes=["eel", "cat"])
    assert (again.labels.tolist(), again.classes) == ([1, 1, 0], ("eel", "cat"))
    with pytest.raises(InputError, match=r"other: .* classes Cat, eel, got 'cat' \('Cat' is anoth"):
        read_images(path, classes=["Cat", "eel"])


class Stream(IterableDataset[Any]):
    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        return iter([])


@pytest.mark.parametrize("source", [3, None, np.zeros(3), torch.zeros(3), {"a": 1}, Stream()])
def test_an_unknown_form_lists_all_forms(source: Any) -> None:
    with pytest.raises(InputError) as caught:
        read_images(source)
    assert f"source: expected {FORMS}; got {type(source).__name__}" == str(caught.value)


def test_a_loader_is_asked_for_its_dataset() -> None:
    with pytest.raises(InputError, match=r"got DataLoader, so give its \.dataset$"):
        read_images(DataLoader([]))  # type: ignore[arg-type]


def test_a_file_of_another_kind_lists_all_forms(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        splits_of(path)
    assert str(caught.value) == f"{path}: expected {FORMS}"


@pytest.mark.parametrize("name", ["gone", "gone.npz", "gone.csv"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: no such file or folder; expected a folder of"):
        read_images(tmp_path / name)


@pytest.mark.parametrize("source", ["", "  "])
def test_an_empty_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tree(tmp_path, {"a": 1, "b": 1}))
    with pytest.raises(InputError, match=r"source: expected a folder .*got '.*unset shell"):
        read_images(source)


@pytest.mark.parametrize("split", [None, 0])
def test_a_split_is_asked_for_by_its_name(split: Any) -> None:
    with pytest.raises(InputError, match=f"split: expected the name of one, got {split}"):
        read_images("digits", split=split)


@pytest.mark.parametrize("classes", [10, 2.5])
def test_names_of_classes_are_several(classes: Any) -> None:
    with pytest.raises(InputError, match="classes: expected their names, got"):
        read_images("digits", classes=classes)


def test_the_home_of_nobody_is_named() -> None:
    with pytest.raises(InputError, match=r"~nosuchuser/x: no home folder is known"):
        read_images("~nosuchuser/x")


def test_wrong_options_are_named() -> None:
    with pytest.raises(InputError, match='mode: expected None, "gray" or "rgb", got \'L\''):
        read_images("digits", mode="L")
    with pytest.raises(InputError, match='on_error: expected "raise" or "skip", got \'ignore\''):
        read_images("digits", on_error="ignore")
    with pytest.raises(InputError, match="image_size: expected a side"):
        read_images("digits", image_size=4)
