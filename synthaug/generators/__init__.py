"""Generators: learn from labelled images, and make more of them.

May import `core`, `data` and `metrics`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthaug.core import InputError, expanded, read_unchanged
from synthaug.generators.base import Generator
from synthaug.generators.composite import Blend, Chain, Composite, singles
from synthaug.generators.composition_gan import CompositionGAN
from synthaug.generators.conditional_gan import ConditionalGAN
from synthaug.generators.conditional_vae import ConditionalVAE
from synthaug.generators.learning.watching import summary_writer
from synthaug.generators.non_learned import PatchSwap, RandomField, StyleSwap
from synthaug.generators.real_images import FEWEST_IMAGES
from synthaug.generators.registry import SINGLE, family_of
from synthaug.generators.saving import (
    GENERATOR_KIND,
    check_files,
    origins_of,
    read_generator_manifest,
)
from synthaug.generators.transfer_vae import TransferVAE
from synthaug.generators.vae_gan import VAEGAN

FAMILIES: dict[str, type[Generator]] = {**SINGLE, "Blend": Blend, "Chain": Chain}

__all__ = [
    "read_generator_manifest",
    "origins_of",
    "singles",
    "FEWEST_IMAGES",
    "Composite",
    "summary_writer",
    "GENERATOR_KIND",
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
