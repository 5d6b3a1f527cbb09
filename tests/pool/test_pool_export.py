"""Pools in the forms that other tools read."""

import gc
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from PIL import Image
from torchvision.datasets import ImageFolder

import synthaug.pool.export as export
from synthaug.core import InputError
from synthaug.data import Samples, read_images
from synthaug.pool import SamplePool, export_folder, export_npz, export_tar

CLASSES = ["ant", "bee", "cow"]


def make_pool(
    directory: Path, channels: int = 1, dtype: Any = np.uint8, classes: list[str] = CLASSES
) -> SamplePool:
    labels = np.array([2, 0, 1, 0, 2, 2])
    shape, top = (6, channels, 8, 9), np.iinfo(dtype).max
    images = np.random.default_rng(0).integers(0, top, shape, dtype, endpoint=True)
    return SamplePool.from_samples(directory / "pool", Samples(images, labels), classes)


def by_content(images: np.ndarray, labels: np.ndarray) -> set[tuple[int, bytes]]:
    return {
        (int(label), np.ascontiguousarray(image).tobytes())
        for image, label in zip(images, labels, strict=True)
    }


def load(path: Any) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (1, np.uint16)], ids=str
)
def test_torchvision_reads_the_folder(tmp_path: Path, channels: int, dtype: Any) -> None:
    pool = make_pool(tmp_path, channels, dtype)
    export_folder(pool, tmp_path / "deep" / "folder")
    folder = ImageFolder(str(tmp_path / "deep" / "folder"), loader=load)
    assert folder.classes == pool.classes
    images = np.stack([image for image, _ in folder]).reshape(6, 8, 9, channels)
    assert images.dtype == dtype
    found = by_content(images.transpose(0, 3, 1, 2), np.array(folder.targets))
    assert found == by_content(pool.samples.images, pool.samples.labels)
    assert len(found) == 6


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (1, np.uint16)], ids=str
)
def test_the_folder_is_read_again(tmp_path: Path, channels: int, dtype: Any) -> None:
    pool = make_pool(tmp_path, channels, dtype)
    export_folder(pool, tmp_path / "folder")
    data = read_images(tmp_path / "folder")
    assert list(data.classes) == pool.classes
    assert data.images.dtype == dtype
    found = by_content(data.images, data.labels)
    assert found == by_content(pool.samples.images, pool.samples.labels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_npz_is_read_again(tmp_path: Path, channels: int, dtype: Any) -> None:
    classes = ["ʒebra", "a/b", "cow"]  # neither sorted nor fit for folders
    pool = make_pool(tmp_path, channels, dtype, classes)
    export_npz(pool, tmp_path / "deep" / "images.npz")
    data = read_images(tmp_path / "deep" / "images.npz")
    assert list(data.classes) == classes
    assert data.images.dtype == dtype
    assert np.array_equal(data.images, pool.samples.images)
    assert np.array_equal(data.labels, pool.samples.labels)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["images.npz"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (1, np.uint16)], ids=str
)
def test_webdataset_reads_the_tar_files(
    tmp_path: Path, channels: int, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "SHARD", 4)
    pool = make_pool(tmp_path, channels, dtype, ["ʒebra", "a/b", "cow"])
    export_tar(pool, tmp_path / "tar")
    shards = sorted(str(path) for path in (tmp_path / "tar").glob("*.tar"))
    assert [Path(shard).name for shard in shards] == [
        "synthetic-000000.tar",
        "synthetic-000001.tar",
    ]
    assert json.loads((tmp_path / "tar" / "classes.json").read_text()) == pool.classes
    data = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "cls")
    items = list(data)
    del data
    gc.collect()  # WebDataset leaves closing the files to it
    for index, (image, label) in enumerate(items):
        stored = np.asarray(image).reshape(8, 9, -1).transpose(2, 0, 1)
        if dtype == np.uint8:  # which decode("pil") makes RGB
            stored = stored[:channels]
            assert np.array_equal(stored, pool.samples.images[index])
        assert label == pool.samples.labels[index]
    with tarfile.open(shards[1]) as archive:
        found = [load(archive.extractfile(name)) for name in ("000004.png", "000005.png")]
    images = np.stack(found).reshape(2, 8, 9, channels).transpose(0, 3, 1, 2)
    assert images.dtype == dtype and np.array_equal(images, pool.samples.images[4:])
    first = Path(shards[0]).read_bytes()
    export_tar(pool, tmp_path / "again")
    assert (tmp_path / "again" / "synthetic-000000.tar").read_bytes() == first


@pytest.mark.parametrize("write", [export_folder, export_npz, export_tar])
def test_nothing_is_overwritten(tmp_path: Path, write: Any) -> None:
    pool = make_pool(tmp_path)
    (tmp_path / "target.npz").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    for name in ("target.npz", "folder"):
        with pytest.raises(InputError, match=f"{name}: already exists"):
            write(pool, tmp_path / name)
    assert (tmp_path / "target.npz").read_bytes() == b"mine"
    assert not list((tmp_path / "folder").iterdir())


def test_an_npz_without_its_ending_is_refused(tmp_path: Path) -> None:
    """It would not be read again."""
    with pytest.raises(InputError, match=r"made: expected a name that ends in \.npz"):
        export_npz(make_pool(tmp_path), tmp_path / "made")
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


@pytest.mark.parametrize("write", [export_folder, export_npz, export_tar])
def test_a_place_that_nothing_can_be_written_in_is_refused(tmp_path: Path, write: Any) -> None:
    pool = make_pool(tmp_path)
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"target: cannot write in .*file"):
        write(pool, tmp_path / "file" / "target")


@pytest.mark.parametrize("write", [export_folder, export_tar])
def test_what_an_export_that_was_killed_left_is_removed(tmp_path: Path, write: Any) -> None:
    pool = make_pool(tmp_path)
    left = tmp_path / ".target.7.partial"
    left.mkdir()
    (left / "half.png").write_bytes(b"half")
    os.utime(left, (0, 0))  # long ago
    write(pool, tmp_path / "target")
    assert not left.exists() and not (tmp_path / "target" / "half.png").exists()


def test_a_folder_of_classes_in_another_order_says_so(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, classes=["2", "10", "9"])
    target = tmp_path / "folder"
    with pytest.warns(UserWarning, match=f"{target}: .*where 0 is '10'; in the pool it is '2'"):
        export_folder(pool, target)
    assert ImageFolder(str(target)).classes == ["10", "2", "9"]
    assert len(list(target.glob("2/*.png"))) == 2  # by name they are where they were


def test_a_folder_without_images_of_a_class_says_so(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, classes=["ant", "bee", "cow", "elk"])
    target = tmp_path / "folder"
    with pytest.warns(UserWarning, match=f"{target}: there is no image of 'elk'"):
        export_folder(pool, target)
    with pytest.raises(FileNotFoundError, match="elk"):
        ImageFolder(str(target))
    assert ImageFolder(str(target), allow_empty=True).classes == pool.classes


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", "/etc", ".hidden"])
def test_class_names_that_are_no_folder_names_are_refused(tmp_path: Path, name: str) -> None:
    pool = make_pool(tmp_path, classes=["ant", name, "cow"])
    with pytest.raises(
        InputError, match=f"class '{name}' cannot be a folder; use the format npz or tar"
    ):
        export_folder(pool, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


def test_16_bit_colour_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, 3, np.uint16)
    for write in (export_folder, export_tar):
        with pytest.raises(InputError, match="no 16-bit colour"):
            write(pool, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


def test_a_failed_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool(tmp_path)
    convert, calls = export.to_pil, []

    def fail_later(image: np.ndarray) -> Image.Image:
        calls.append(image)
        if len(calls) == 4:
            raise OSError("no space left")
        return convert(image)

    def fail(file: Any, **arrays: np.ndarray) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(export, "to_pil", fail_later)
    monkeypatch.setattr(export.np, "savez_compressed", fail)
    for write in (export_folder, export_tar):
        calls.clear()
        with pytest.raises(OSError, match="no space left"):
            write(pool, tmp_path / "folder")
    with pytest.raises(OSError, match="no space left"):
        export_npz(pool, tmp_path / "images.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


@pytest.mark.parametrize("soft", [False, True])
def test_weights_and_soft_labels_are_kept_or_told_of(tmp_path: Path, soft: bool) -> None:
    """What may never be drawn is not handed on as if it might."""
    made = make_pool(tmp_path).samples
    rows = np.eye(3, dtype=np.float32)[made.labels] * 0.7 + 0.1
    weighed = Samples(made.images, made.labels, rows if soft else None, [0, 1, 2, 0, 1, 0.5])
    pool = SamplePool.from_samples(tmp_path / "weighed", weighed, CLASSES)
    export_npz(pool, tmp_path / "pool.npz")
    with np.load(tmp_path / "pool.npz") as held:
        assert held["weights"].tolist() == [0, 1, 2, 0, 1, 0.5]
        assert ("soft_labels" in held) == soft and len(held["images"]) == 6
        assert not soft or np.array_equal(held["soft_labels"], rows)
    lost = "soft labels and weights" if soft else "weights"
    for export_to, name in ((export_folder, "folder"), (export_tar, "tar")):
        with pytest.warns(UserWarning, match=f"{name}: holds no {lost}, which the pool has"):
            export_to(pool, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "folder").rglob("*.png"))
    assert files == [f"synthetic-{index:06d}.png" for index in (1, 2, 4, 5)]
    with tarfile.open(tmp_path / "tar" / "synthetic-000000.tar") as archive:
        assert archive.getnames()[::2] == [f"{index:06d}.png" for index in (1, 2, 4, 5)]
