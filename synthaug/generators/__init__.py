"""Generators: what learns from labelled images and makes more of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthaug.directories import read_unchanged
from synthaug.errors import InputError
from synthaug.files import expanded
from synthaug.generators.base import Generator
from synthaug.generators.blend import Blend
from synthaug.generators.chain import Chain
from synthaug.generators.composition_gan import CompositionGAN
from synthaug.generators.conditional_gan import ConditionalGAN
from synthaug.generators.conditional_vae import ConditionalVAE
from synthaug.generators.patch_swap import PatchSwap
from synthaug.generators.random_field import RandomField
from synthaug.generators.saving import check_files, read_generator_manifest
from synthaug.generators.single import SINGLE, family_of
from synthaug.generators.style_swap import StyleSwap
from synthaug.generators.transfer_vae import TransferVAE
from synthaug.generators.vae_gan import VAEGAN

FAMILIES: dict[str, type[Generator]] = {**SINGLE, "Blend": Blend, "Chain": Chain}

__all__ = [
    "FAMILIES",
    "Blend",
    "Chain",
    "CompositionGAN",
    "ConditionalGAN",
    "ConditionalVAE",
    "Generator",
    "PatchSwap",
    "RandomField",
    "StyleSwap",
    "TransferVAE",
    "VAEGAN",
    "load_generator",
    "make_generator",
]


def make_generator(family: str, settings: Mapping[str, Any]) -> Generator:
    """An unfitted generator of a family by its name, with settings as JSON has them.

    Raises `InputError` for a family or a setting that is not known.

    >>> make_generator("TransferVAE", {"strength": [0.5, 1.0]}).settings["strength"]
    (0.5, 1.0)
    """
    return family_of(family, FAMILIES).from_settings(settings)


def load_generator(directory: str | Path, *, device: str = "auto") -> Generator:
    """The generator that `Generator.save` wrote to `directory`, ready to sample on `device`: "auto"
    (a GPU where there is one), "cpu", "cuda:0".

    Raises `InputError` if the directory is not there, not complete or damaged.

    >>> import tempfile
    >>> from synthaug import StyleSwap, load_generator, read_images
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     StyleSwap().fit(read_images("digits"), device="cpu").save(directory + "/generator")
    ...     load_generator(directory + "/generator", device="cpu").sample(2).images.shape
    (20, 1, 16, 16)
    """
    path = expanded(directory)
    return read_unchanged(path, lambda: _load(path, device))


def _load(path: Path, device: str) -> Generator:
    manifest = read_generator_manifest(path)
    try:
        family = family_of(manifest.get("family"), FAMILIES)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    check_files(path, manifest)
    return family.load(path, manifest, device)
