"""Pools in the forms that other tools read."""

import os
import shutil
from pathlib import Path

import numpy as np

from synthaug.errors import InputError
from synthaug.files import write_atomically
from synthaug.images import to_pil
from synthaug.pool.sample_pool import SamplePool


def export_folder(pool: SamplePool, directory: str | Path) -> None:
    """A folder of class folders with PNG files, as torchvision's ImageFolder reads them.

    Raises `InputError` if `directory` exists, for 16-bit colour images, which PNG files written
    by Pillow cannot hold, and for class names that cannot be folder names.
    """
    target = Path(directory)
    _refuse_existing(target)
    unfit = [name for name in pool.classes if Path(name).name != name or name in ("", ".", "..")]
    if unfit:
        raise InputError(f"{target}: class {unfit[0]!r} cannot be a folder; use the format npz")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        for name in pool.classes:
            (partial / name).mkdir(parents=True)
        for index in range(len(pool)):
            image, label = pool[index]
            to_pil(image).save(partial / pool.classes[label] / f"{index:06d}.png")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def export_npz(pool: SamplePool, path: str | Path) -> None:
    """One `.npz` with `images` (N, H, W) or (N, H, W, 3), `labels` and `class_names`.

    Raises `InputError` if `path` exists.
    """
    target = Path(path)
    _refuse_existing(target)
    images = pool.samples.images
    pixels = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    labels, names = pool.samples.labels, np.array(pool.classes)
    write_atomically(
        target,
        lambda file: np.savez_compressed(file, images=pixels, labels=labels, class_names=names),
    )


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target}: already exists; name another, nothing is overwritten")
