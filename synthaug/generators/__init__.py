"""Generators: what learns from labelled images and makes more of them."""

from pathlib import Path

from synthaug.errors import InputError
from synthaug.generators.base import Generator, read_generator_manifest
from synthaug.generators.composition_gan import CompositionGAN
from synthaug.generators.conditional_gan import ConditionalGAN
from synthaug.generators.conditional_vae import ConditionalVAE
from synthaug.generators.random_field import RandomField
from synthaug.generators.style_swap import StyleSwap
from synthaug.generators.transfer_vae import TransferVAE
from synthaug.generators.vae_gan import VAEGAN

FAMILIES: dict[str, type[Generator]] = {
    family.__name__: family
    for family in (
        TransferVAE,
        ConditionalVAE,
        VAEGAN,
        CompositionGAN,
        ConditionalGAN,
        StyleSwap,
        RandomField,
    )
}

__all__ = [
    "FAMILIES",
    "CompositionGAN",
    "ConditionalGAN",
    "ConditionalVAE",
    "Generator",
    "RandomField",
    "StyleSwap",
    "TransferVAE",
    "VAEGAN",
    "load_generator",
]


def load_generator(directory: str | Path, *, device: str = "auto") -> Generator:
    """The generator that `Generator.save` wrote to `directory`, ready to sample.

    Raises `InputError` if the directory is not there, not complete or damaged.
    """
    path = Path(directory)
    manifest = read_generator_manifest(path)
    family = FAMILIES.get(str(manifest.get("family")))
    if family is None:
        raise InputError(
            f"{path}: unknown generator family {manifest.get('family')!r}; expected one of "
            f"{', '.join(FAMILIES)}"
        )
    return family.load(path, manifest, device)
