"""Small images and trees for the tests of this room."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torchvision.datasets import ImageFolder

from synthaug.data import LabelledImages


def noise(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(seed).integers(0, top, shape, dtype, endpoint=True)


def ramp16(height: int = 10, width: int = 12) -> np.ndarray:
    """uint16 values over the whole range, low bytes included."""
    return np.linspace(0, 65535, height * width).round().astype(np.uint16).reshape(height, width)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def save_png16(path: Path, pixels: np.ndarray, exif: bytes = b"") -> Path:
    """A 16-bit PNG of uint16 (H, W, 2, 3 or 4), which Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    colour = {2: 4, 3: 2, 4: 6}[channels]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + (chunk(b"eXIf", exif) if exif else b"")
        + chunk(b"IEND", b"")
    )
    return path


def save_tiff16(path: Path, planes: np.ndarray, *, photometric: int) -> Path:
    """A 16-bit TIFF of uint16 (C, H, W), plane by plane, which Pillow cannot write."""
    channels, height, width = planes.shape
    content = planes.astype("<u2").tobytes()
    one, start = height * width * 2, 8 + len(content)
    tags = [(256, width), (257, height), (259, 1), (262, photometric), (277, channels)]
    tags += [(278, height), (284, 2 if channels > 1 else 1)]
    entries = {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags}
    lists = {258: [16] * channels, 273: [8 + one * i for i in range(channels)]}
    lists[279] = [one] * channels
    beyond, more = start + 2 + 12 * (len(entries) + len(lists)) + 4, b""
    for tag, values in lists.items():
        where = values[0] if channels == 1 else beyond + len(more)
        entries[tag] = struct.pack("<HHII", tag, 4, channels, where)
        more += b"" if channels == 1 else struct.pack(f"<{channels}I", *values)
    directory = b"".join(entries[tag] for tag in sorted(entries))
    head = struct.pack("<2sHI", b"II", 42, start)
    count = struct.pack("<H", len(entries))
    path.write_bytes(head + content + count + directory + struct.pack("<I", 0) + more)
    return path


def tree(root: Path, names: dict[str, int], shape: tuple[int, ...] = (8, 8)) -> Path:
    """Class folders under `root`, each with a number of images."""
    for label, (name, count) in enumerate(names.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            save(root / name / f"{i}.png", np.full(shape, 10 * label + i, np.uint8))
    return root


def labelled(counts: list[int], groups: list[int] | None = None) -> LabelledImages:
    labels = np.repeat(np.arange(len(counts)), counts)
    return LabelledImages(
        np.zeros((len(labels), 1, 8, 8), np.uint8),
        labels,
        [f"class{i}" for i in range(len(counts))],
        None if groups is None else np.array(groups),
    )


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


def photos(root: Path, sizes: list[tuple[int, int]], **transforms: Any) -> ImageFolder:
    for index, (height, width) in enumerate(sizes):
        (root / "ab"[index % 2]).mkdir(exist_ok=True, parents=True)
        Image.fromarray(noise(height, width, seed=index)).save(
            root / "ab"[index % 2] / f"{index}.png"
        )
    return ImageFolder(str(root), **transforms)
