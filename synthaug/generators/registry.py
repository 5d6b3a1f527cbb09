"""The families that stand alone, by their names."""

from collections.abc import Iterator, Mapping
from typing import Any

from synthaug.core import InputError
from synthaug.generators.base import Generator
from synthaug.generators.composition_gan import CompositionGAN
from synthaug.generators.conditional_gan import ConditionalGAN
from synthaug.generators.conditional_vae import ConditionalVAE
from synthaug.generators.non_learned import PatchSwap, RandomField, StyleSwap
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
    """The family of that name among some, or the user's own; `InputError` if there is none."""
    if isinstance(name, str) and name in families:
        return families[name]
    for own in _derived(Generator):  # type: ignore[type-abstract]
        if own.__name__ == name and not own.__module__.startswith("synthaug."):
            return own
    raise InputError(
        f"unknown generator family {name!r}; expected one of {', '.join(families)}, or a class of "
        "your own, which has to be imported before"
    )


def _derived(base: type[Generator]) -> Iterator[type[Generator]]:
    """All classes that are made from it, the latest first."""
    for each in reversed(base.__subclasses__()):
        yield each
        yield from _derived(each)


def make_single(family: object, settings: Mapping[str, Any]) -> Generator:
    """An unfitted generator of one of these families."""
    return family_of(family, SINGLE).from_settings(settings)
