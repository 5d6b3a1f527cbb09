"""The generators, by the names of the command line."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from synthaug.core import InputError
from synthaug.generators import (
    VAEGAN,
    Blend,
    Chain,
    CompositionGAN,
    ConditionalGAN,
    ConditionalVAE,
    Generator,
    PatchSwap,
    RandomField,
    StyleSwap,
    TransferVAE,
)


class Family(StrEnum):
    """The generators, by the names of the command line."""

    TRANSFER = "transfer"
    VAE = "vae"
    VAEGAN = "vaegan"
    COMPOSITION = "composition"
    GAN = "gan"
    BLEND = "blend"
    STYLE_SWAP = "style-swap"
    PATCH_SWAP = "patch-swap"
    RANDOM_FIELD = "random-field"
    CHAIN = "chain"


GENERATORS: dict[Family, Callable[..., Generator]] = {
    Family.TRANSFER: TransferVAE,
    Family.VAE: ConditionalVAE,
    Family.VAEGAN: VAEGAN,
    Family.COMPOSITION: CompositionGAN,
    Family.GAN: ConditionalGAN,
    Family.BLEND: lambda **chosen: Blend(
        (TransferVAE(**chosen), ConditionalVAE(**chosen), StyleSwap())
    ),
    Family.STYLE_SWAP: StyleSwap,
    Family.PATCH_SWAP: PatchSwap,
    Family.RANDOM_FIELD: RandomField,
    Family.CHAIN: Chain,
}


class Scope(StrEnum):
    """How many networks there are."""

    SHARED = "shared"
    PER_CLASS = "per-class"


def build(family: Family, steps: int | None, scope: Scope | None = None) -> Generator:
    """An unfitted generator; None leaves the family's own."""
    given = {"steps": steps, "scope": None if scope is None else str(scope)}
    chosen = {name: value for name, value in given.items() if value is not None}
    if not GENERATORS[family]().learns:
        refuse_for_untrained(family, chosen)
    return GENERATORS[family](**chosen)


def refuse_for_untrained(family: str, given: Mapping[str, object]) -> None:
    """Raise `InputError` for what only a training can be given."""
    for name, value in given.items():
        if value:
            raise InputError(f"--{name}: {family} has no training; leave it out")
