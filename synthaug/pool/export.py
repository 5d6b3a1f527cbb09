"""Write pools in the forms that other tools read."""

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
    expand_path,
    expect_place,
    expect_writable,
    partial_directory,
    path_in_errors,
    write_atomically,
)
from synthaug.data import to_pil
from synthaug.pool.sample_pool import SamplePool

SHARD = 10_000  # images in one tar file


def export_folder(pool: SamplePool, directory: str | Path) -> None:
    """Write a folder of class folders with PNG files, as torchvision's ImageFolder reads them.

    The files' names begin with "synthetic-", so that they can be copied in among real ones. Images
    of weight 0 are left out. Warns where the classes are not in alphabetical order, by which
    ImageFolder numbers them; of classes without images, which it refuses; and of soft labels and
    weights, which are lost.

    Args:
        pool: The pool.
        directory: The folder to write; it must not exist.

    Raises:
        InputError: If `directory` exists, images are 16-bit colour, which PNG files of Pillow
            cannot hold, or a class name cannot be a folder name.
    """
    # Folders whose names begin with a dot are hidden, and not read.
    unfit = [name for name in pool.classes if Path(name).name != name or name[:1] in ("", ".")]
    if unfit:
        raise InputError(
            f"{directory}: class {unfit[0]!r} cannot be a folder; use the format npz or tar"
        )
    with _new_folder(expand_path(directory)) as partial:
        for name in pool.classes:
            (partial / name).mkdir(parents=True)
        for index in drawable(pool):
            image, label = pool[index]
            to_pil(image).save(partial / pool.classes[label] / f"synthetic-{index:06d}.png")
    _warn_of_order(directory, pool.classes)
    _warn_of_empty(directory, pool)
    _warn_of_losses(directory, pool)


def export_tar(pool: SamplePool, directory: str | Path) -> None:
    """Write a folder of tar files of up to 10,000 images each, as WebDataset reads them.

    Image *i* is `i.png` with its label, a number, in `i.cls`; `classes.json` beside the tar files
    holds the class names in the order of labels. Images of weight 0 are left out. Warns of soft
    labels and weights, which are lost.

    Args:
        pool: The pool.
        directory: The folder to write; it must not exist.

    Raises:
        InputError: If `directory` exists, or images are 16-bit colour.
    """
    with _new_folder(expand_path(directory)) as partial:
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
    _warn_of_losses(directory, pool)


def export_npz(pool: SamplePool, path: str | Path) -> None:
    """Write one `.npz` file.

    It holds `images` (N, H, W) or (N, H, W, 3), `labels` (N,), `class_names` (K,), and where the
    pool has them `soft_labels` (N, K) and `weights` (N,).

    Args:
        pool: The pool.
        path: The file to write; it must not exist, and end in `.npz`.

    Raises:
        InputError: If `path` exists or has another ending.
    """
    target = expand_path(path)
    _check_new(target)
    if target.suffix.lower() != ".npz":  # by which readers tell the format
        raise InputError(f"{target}: expected a name that ends in .npz; name it {target.name}.npz")
    images = pool.samples.images
    pixels = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    contents: dict[str, Any] = {
        "images": pixels,
        "labels": pool.samples.labels,
        "class_names": np.array(pool.classes),
        "soft_labels": pool.samples.soft_labels,
        "weights": pool.samples.weights,
    }
    arrays = {name: array for name, array in contents.items() if array is not None}
    write_atomically(target, lambda file: np.savez_compressed(file, **arrays))


def drawable(pool: SamplePool) -> list[int]:
    """Return the indices of images that may be drawn: those of weight 0 never are."""
    weights = pool.samples.weights
    return [*range(len(pool))] if weights is None else np.flatnonzero(weights).tolist()


def _warn_of_losses(directory: str | Path, pool: SamplePool) -> None:
    """Warn of soft labels and weights, which files of images and labels do not hold."""
    arrays = {"soft labels": pool.samples.soft_labels, "weights": pool.samples.weights}
    names = " and ".join(name for name, array in arrays.items() if array is not None)
    if names:
        warnings.warn(
            f"{directory}: holds no {names}, which the pool has; the format npz does", stacklevel=3
        )


def _warn_of_order(directory: str | Path, classes: Sequence[str]) -> None:
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


def _warn_of_empty(directory: str | Path, pool: SamplePool) -> None:
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
    """Yield a folder to fill, which gets its name when the block ends well, and goes otherwise."""
    _check_new(target)
    with path_in_errors(target), partial_directory(target) as partial:
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
