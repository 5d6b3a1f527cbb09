"""A fitted generator as a directory: weights, the images that it starts from, its metadata."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from torch import Tensor, nn

from synthaug.core import (
    MANIFEST,
    InputError,
    new_directory,
    read_manifest,
    read_tensors,
    tensor_bytes,
    write_array,
    write_atomically,
    write_json,
)
from synthaug.data import LabelledImages

GENERATOR_KIND = "generator"


def write_generator(
    directory: Path, networks: nn.Module, images: LabelledImages, metadata: dict[str, Any]
) -> None:
    """Write a generator; an older one there is replaced whole, anything else refused."""
    with new_directory(directory, kind=GENERATOR_KIND) as partial:
        weights = tensor_bytes(networks.state_dict())
        write_atomically(partial / "weights.safetensors", lambda file: file.write(weights))
        write_array(partial / "images.npy", images.images)
        write_array(partial / "labels.npy", images.labels)
        digests = {path.name: _digest(path) for path in sorted(partial.iterdir())}
        manifest = {"kind": GENERATOR_KIND, "classes": list(images.classes)}
        write_json(partial / MANIFEST, {**manifest, **metadata, "files": digests})


def check_files(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Raise `InputError` for a generator whose files are not as they were written.

    Manifests of versions before 0.5 do not say how that was.
    """
    files = manifest.get("files", {})
    if not isinstance(files, dict):
        raise InputError(f"{directory}: damaged ({MANIFEST}: expected files, got {files!r})")
    for name, digest in files.items():
        if _digest(directory / name) != digest:
            raise InputError(
                f"{directory}: damaged ({name} is not as it was written); fit it again"
            )


def _digest(path: Path) -> str:
    if not path.is_file():
        return "missing"
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_generator_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest of a saved generator.

    Raises:
        InputError: If there is no complete generator in `directory`.
    """
    return read_manifest(directory, kind=GENERATOR_KIND)


def read_generator(directory: Path, classes: list[str]) -> tuple[LabelledImages, dict[str, Tensor]]:
    """Return the images and weights of a saved generator; `InputError` if they are damaged."""
    try:
        images = np.load(directory / "images.npy", allow_pickle=False)
        labels = np.load(directory / "labels.npy", allow_pickle=False)
        weights, _ = read_tensors(directory / "weights.safetensors")
        return LabelledImages(images, labels, classes), weights
    except (OSError, EOFError, ValueError, SafetensorError) as error:
        raise InputError(f"{directory}: damaged ({error}); fit it again") from None


def read_white(directory: Path, manifest: dict[str, Any], images: LabelledImages) -> int:
    """Return the stored number that the networks have as 1.

    Where the manifest has none, it is the largest of the type: of images that fill it, and of
    versions that took all images to do so.
    """
    largest, data = int(np.iinfo(images.images.dtype).max), manifest.get("data")
    white = data.get("white", largest) if isinstance(data, dict) else largest
    if type(white) is not int or not 1 <= white <= largest:
        raise InputError(
            f"{directory}: damaged ({MANIFEST}: expected white from 1 to {largest}, got {white!r})"
        )
    return white


def origins_of(metadata: Mapping[str, Any]) -> set[str]:
    """Return what a generator learned from or was chosen by, and what it started from did.

    Args:
        metadata: Of a generator, or of a part of one, which says nothing of the images.

    Returns:
        Fingerprints of images, as far as the metadata say; "validation images" stands for those
        that it was chosen by.
    """
    origins = {metadata["data"]["fingerprint"]} if "data" in metadata else set()
    if "start" in metadata:  # of versions before 0.5 its own fingerprint alone
        origins |= {*metadata["start"].get("origins", ()), metadata["start"]["fingerprint"]}
    if "validation" in metadata:
        origins.add("validation images")
    return origins.union(*(origins_of(part) for part in metadata.get("parts", ())))
