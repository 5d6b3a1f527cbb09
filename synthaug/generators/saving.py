"""A fitted generator as a directory: weights, the images that it starts from, its card."""

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
    """An older generator there is replaced whole, anything else refused."""
    with new_directory(directory, kind=GENERATOR_KIND) as partial:
        weights = tensor_bytes(networks.state_dict())
        write_atomically(partial / "weights.safetensors", lambda file: file.write(weights))
        write_array(partial / "images.npy", images.images)
        write_array(partial / "labels.npy", images.labels)
        digests = {path.name: _digest(path) for path in sorted(partial.iterdir())}
        told = {
            "kind": GENERATOR_KIND,
            "classes": list(images.classes),
            **metadata,
            "files": digests,
        }
        write_json(partial / MANIFEST, told)


def check_files(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Raise `InputError` for a generator whose files are not what was written; those of versions
    before 0.5 do not say what that was."""
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
    """The card; `InputError` if there is no complete generator in `directory`."""
    return read_manifest(directory, kind=GENERATOR_KIND)


def read_generator(directory: Path, classes: list[str]) -> tuple[LabelledImages, dict[str, Tensor]]:
    """Its images and weights; `InputError` if they are damaged."""
    try:
        images = np.load(directory / "images.npy", allow_pickle=False)
        labels = np.load(directory / "labels.npy", allow_pickle=False)
        weights, _ = read_tensors(directory / "weights.safetensors")
        return LabelledImages(images, labels, classes), weights
    except (OSError, EOFError, ValueError, SafetensorError) as error:
        raise InputError(f"{directory}: damaged ({error}); fit it again") from None


def read_white(directory: Path, manifest: dict[str, Any], images: LabelledImages) -> int:
    """The stored number that its networks know as 1: the largest of the type where none is told,
    as of images that fill it, and by versions that took all images to do so."""
    largest, data = int(np.iinfo(images.images.dtype).max), manifest.get("data")
    white = data.get("white", largest) if isinstance(data, dict) else largest
    if type(white) is not int or not 1 <= white <= largest:
        raise InputError(
            f"{directory}: damaged ({MANIFEST}: expected white from 1 to {largest}, got {white!r})"
        )
    return white


def origins_of(metadata: Mapping[str, Any]) -> set[str]:
    """Fingerprints of all images that a generator learned from, or was chosen by, and so did those
    that it started from, as far as its card says."""
    found = (
        {metadata["data"]["fingerprint"]} if "data" in metadata else set()
    )  # parts learn from one
    if "start" in metadata:  # of versions before 0.5 its own fingerprint alone
        found |= {*metadata["start"].get("origins", ()), metadata["start"]["fingerprint"]}
    if "validation" in metadata:
        found.add("validation images")
    return found.union(*(origins_of(part) for part in metadata.get("parts", ())))
