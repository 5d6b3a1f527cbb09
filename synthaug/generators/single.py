"""The families that stand alone, by their names."""

from collections.abc import Mapping
from typing import Any

from synthaug.errors import InputError
from synthaug.generators.base import Generator
from synthaug.generators.composition_gan import CompositionGAN
from synthaug.generators.conditional_gan import ConditionalGAN
from synthaug.generators.conditional_vae import ConditionalVAE
from synthaug.generators.patch_swap import PatchSwap
from synthaug.generators.random_field import RandomField
from synthaug.generators.style_swap import StyleSwap
from synthaug.generators.transfer_vae import TransferVAE
from synthaug.generators.vae_gan import VAEGAN

SINGLE: dict[str, type[Generator]] = {
    family.__name__: family
    for family in (
        TransferVAE,
        ConditionalVAE,
        VAEGAN,
        CompositionGAN,
        ConditionalGAN,
        StyleSwap,
        PatchSwap,
        RandomField,
    )
}


def family_of(name: object, families: Mapping[str, type[Generator]]) -> type[Generator]:
    """The family of that name among some; `InputError` if there is none."""
    if not isinstance(name, str) or name not in families:
        raise InputError(
            f"unknown generator family {name!r}; expected one of {', '.join(families)}"
        )
    return families[name]


def make_single(family: object, settings: Mapping[str, Any]) -> Generator:
    """An unfitted generator of one of these families."""
    return family_of(family, SINGLE).from_settings(settings)
