import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reading_images import noise
from torchvision import datasets

from synthaug.core import InputError
from synthaug.data import read_images, splits_of

made: list[dict[str, Any]] = []


class Fake(datasets.VisionDataset):
    """Two classes of gray images; each subclass has a signature of its own."""

    classes = ("cat", "dog")

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        super().__init__(root)
        made.append({"root": root, "train": train, "download": download})
        self.targets = [0, 1]

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return Image.fromarray(noise(8, 8)), index


class BySplit(Fake):
    def __init__(self, root: str, split: str = "trainval", download: bool = False) -> None:
        if split not in ("trainval", "valid"):
            raise ValueError(f"Unknown value {split!r}")
        super().__init__(root, split == "trainval", download)
        if not download:
            raise RuntimeError("Dataset not found")


class Whole(Fake):
    def __init__(self, root: str) -> None:
        super().__init__(root)


class Needy(Fake):
    def __init__(self, root: str, annFile: str) -> None:
        super().__init__(root)


class Absent(Fake):
    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        raise RuntimeError("no network\n   at all")


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made.clear()
    monkeypatch.setenv("SYNTHAUG_DATA", str(tmp_path / "data"))
    for each in (Fake, BySplit, Whole, Needy, Absent):
        monkeypatch.setattr(datasets, each.__name__, each, raising=False)


def test_a_train_argument(tmp_path: Path) -> None:
    assert splits_of("torchvision:Fake") == ("train", "test")
    assert not made
    data = read_images("torchvision:Fake", split="test")
    assert made == [{"root": str(tmp_path / "data"), "train": False, "download": True}]
    assert data.classes == ("cat", "dog")
    with pytest.raises(InputError, match="torchvision:Fake: it has no split 'val', only train, t"):
        read_images("torchvision:Fake", split="val")


def test_a_split_argument_downloads_only_what_is_read(tmp_path: Path) -> None:
    assert splits_of("torchvision:BySplit") == ("train", "val")
    assert not any(call["download"] for call in made)
    made.clear()
    assert len(read_images("torchvision:BySplit", split="val")) == 2
    assert [call for call in made if call["download"]] == [
        {"root": str(tmp_path / "data"), "train": False, "download": True}
    ]


def test_no_split_argument() -> None:
    assert splits_of("torchvision:Whole") == ("train",)
    assert len(read_images("torchvision:Whole")) == 2


def test_the_root_without_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SYNTHAUG_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    read_images("torchvision:Fake")
    assert made[-1]["root"] == str(tmp_path / ".cache" / "synthaug")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar10", "did you mean CIFAR10"),
        ("Zzzz", "there are .*CIFAR10"),
        ("ImageFolder", "expected a data set of torchvision"),
        ("Needy", "needs only root, but this one needs root, annFile; make the Dataset in Python"),
        ("Absent", r"download it in .*data \(SYNTHAUG_DATA\), but no network at all"),
    ],
)
def test_what_is_wrong_with_a_torchvision_name(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"torchvision:{name}: .*{message}"):
        read_images(f"torchvision:{name}")


class FakeMed:
    def __init__(self, split: str, root: str, download: bool = False) -> None:
        assert Path(root).is_dir()
        assert download
        self.labels = np.array([[0], [1], [1]])
        self.split = split
        self.info = {"label": {"0": "normal", "1": "pneumonia"}}

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Any, np.ndarray]:
        return Image.fromarray(noise(28, 28)), self.labels[index]


@pytest.fixture
def _medmnist(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("medmnist")
    one = {"task": "binary-class", "python_class": "FakeMed"}
    info = {
        "pneumoniamnist": one,
        "chestmnist": one | {"task": "multi-label, binary-class"},
        "organmnist3d": one,
    }
    vars(module).update(INFO=info, FakeMed=FakeMed)
    monkeypatch.setitem(sys.modules, "medmnist", module)


@pytest.mark.usefixtures("_medmnist")
def test_medmnist() -> None:
    assert splits_of("medmnist:pneumoniamnist") == ("train", "val", "test")
    data = read_images("medmnist:pneumoniamnist", split="val")
    assert data.classes == ("normal", "pneumonia")
    assert data.labels.tolist() == [0, 1, 1]
    assert data.image_shape == (1, 28, 28)


@pytest.mark.usefixtures("_medmnist")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chestmnist", "expected one label per image, .*multi-label"),
        ("organmnist3d", "got volumes; choose a 2D set"),
        ("pneumonia", "did you mean pneumoniamnist"),
    ],
)
def test_what_is_wrong_with_a_medmnist_name(name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"medmnist:{name}: .*{message}"):
        read_images(f"medmnist:{name}")


def test_medmnist_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(InputError, match=r'pip install "synthaug\[medical\]"'):
        read_images("medmnist:pneumoniamnist")
