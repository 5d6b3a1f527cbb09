"""Pools in the forms that other tools read."""

import io
import json
import tarfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from synthaug.core import (
    InputError,
    expanded,
    expect_place,
    expect_writable,
    partial_directory,
    told_where,
    write_atomically,
)
from synthaug.data import to_pil
from synthaug.pool.sample_pool import SamplePool

SHARD = 10_000  # images in one tar file


def export_folder(pool: SamplePool, directory: str | Path) -> None:
    """A folder of class folders with PNG files, as torchvision's ImageFolder reads them.

    The files' names begin with "synthetic-", so that they can be copied in among real ones. Images
    of weight 0 are left out.

    Warns where the classes are not in alphabetical order, by which ImageFolder numbers them, of
    classes without images, which it refuses, and of soft labels and weights, which it has none of.
    Raises `InputError` if `directory` exists, for 16-bit colour images, which PNG files written
    by Pillow cannot hold, and for class names that cannot be folder names.
    """
    # Folders whose names begin with a dot are hidden, and not read.
    unfit = [name for name in pool.classes if Path(name).name != name or name[:1] in ("", ".")]
    if unfit:
        raise InputError(
            f"{directory}: class {unfit[0]!r} cannot be a folder; use the format npz or tar"
        )
    with _new_folder(expanded(directory)) as partial:
        for name in pool.classes:
            (partial / name).mkdir(parents=True)
        for index in drawable(pool):
            image, label = pool[index]
            to_pil(image).save(partial / pool.classes[label] / f"synthetic-{index:06d}.png")
    _tell_order(directory, pool.classes)
    _tell_empty(directory, pool)
    _tell_lost(directory, pool)


def export_tar(pool: SamplePool, directory: str | Path) -> None:
    """A folder of tar files of up to 10,000 images each, as WebDataset reads them.

    Image *i* is `i.png` with its label, a number, in `i.cls`; `classes.json` beside the tar files
    holds the class names in the order of labels. Images of weight 0 are left out.

    Warns of soft labels and weights, which are lost.
    Raises `InputError` if `directory` exists, and for 16-bit colour images.
    """
    with _new_folder(expanded(directory)) as partial:
        (partial / "classes.json").write_text(json.dumps(pool.classes), encoding="utf-8")
        indices = drawable(pool)
        for shard, start in enumerate(range(0, len(indices), SHARD)):
            with tarfile.open(partial / f"synthetic-{shard:06d}.tar", "w") as archive:
                for index in indices[start : start + SHARD]:
                    image, label = pool[index]
                    png = io.BytesIO()
                    to_pil(image).save(png, "png")
                    _add(archive, f"{index:06d}.png", png.getvalue())
                    _add(archive, f"{index:06d}.cls", str(label).encode())
    _tell_lost(directory, pool)


def export_npz(pool: SamplePool, path: str | Path) -> None:
    """One `.npz` with `images` (N, H, W) or (N, H, W, 3), `labels` and `class_names`, and where the
    pool has them `soft_labels` (N, K) and `weights` (N,).

    Raises `InputError` if `path` exists, and for a name without that ending.
    """
    target = expanded(path)
    _check_new(target)
    if target.suffix.lower() != ".npz":  # which tells the form where it is read
        raise InputError(f"{target}: expected a name that ends in .npz; name it {target.name}.npz")
    images = pool.samples.images
    pixels = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    held: dict[str, Any] = {
        "images": pixels,
        "labels": pool.samples.labels,
        "class_names": np.array(pool.classes),
        "soft_labels": pool.samples.soft_labels,
        "weights": pool.samples.weights,
    }
    named = {name: array for name, array in held.items() if array is not None}
    write_atomically(target, lambda file: np.savez_compressed(file, **named))


def drawable(pool: SamplePool) -> list[int]:
    """The images that may be drawn: those of weight 0 never are."""
    weights = pool.samples.weights
    return [*range(len(pool))] if weights is None else np.flatnonzero(weights).tolist()


def _tell_lost(directory: str | Path, pool: SamplePool) -> None:
    """Warn of what the pool knows and files of images and labels do not."""
    told = {"soft labels": pool.samples.soft_labels, "weights": pool.samples.weights}
    lost = " and ".join(name for name, array in told.items() if array is not None)
    if lost:
        warnings.warn(
            f"{directory}: holds no {lost}, which the pool has; the format npz does", stacklevel=3
        )


def _tell_order(directory: str | Path, classes: Sequence[str]) -> None:
    """Warn where ImageFolder will number the classes otherwise than they are numbered here."""
    for label, (name, other) in enumerate(zip(classes, sorted(classes), strict=True)):
        if name != other:
            warnings.warn(
                f"{directory}: torchvision's ImageFolder numbers classes in alphabetical order, "
                f"where {label} is {other!r}; in the pool it is {name!r}. The formats npz and tar "
                "keep the pool's numbers",
                stacklevel=3,
            )
            return


def _tell_empty(directory: str | Path, pool: SamplePool) -> None:
    """Warn of classes for which ImageFolder will find no image."""
    labels = set(pool.samples.labels[drawable(pool)].tolist())
    empty = [name for label, name in enumerate(pool.classes) if label not in labels]
    if empty:
        warnings.warn(
            f"{directory}: there is no image of {', '.join(map(repr, empty))}; torchvision's "
            "ImageFolder refuses empty folders unless it is called with allow_empty=True",
            stacklevel=3,
        )


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends well, and goes otherwise."""
    _check_new(target)
    with told_where(target), partial_directory(target) as partial:
        yield partial
        partial.rename(target)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)  # of no time and no owner: the same pool gives the same file
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _check_new(target: Path) -> None:
    expect_place(str(target), target)
    if target.exists():
        raise InputError(f"{target}: already exists; name another, nothing is overwritten")
    expect_writable(str(target), target.parent)
