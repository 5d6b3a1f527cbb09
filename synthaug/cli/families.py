"""The generators by the names of the command line, which are those of the registry."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from synthaug.core import InputError
from synthaug.generators import Generator, generator_class, registrations

NAMES = list(registrations())
if TYPE_CHECKING:
    Family = str
else:  # of a type that the command line takes no other names for
    Family = StrEnum("Family", {name: name for name in NAMES})


class Scope(StrEnum):
    """The number of networks: one for all classes, or one for each."""

    SHARED = "shared"
    PER_CLASS = "per-class"


def build(family: str, steps: int | None, scope: Scope | None = None) -> Generator:
    """Return an unfitted generator; None leaves the family's own setting."""
    options = {"steps": steps, "scope": None if scope is None else str(scope)}
    settings = {name: value for name, value in options.items() if value is not None}
    generator = generator_class(family)()
    if not generator.learns:
        refuse_for_non_learned(family, settings)
    return generator.with_settings(settings)


def refuse_for_non_learned(family: str, options: Mapping[str, object]) -> None:
    """Raise `InputError` for an option that only a training has a use for."""
    for name, value in options.items():
        if value:
            raise InputError(f"--{name}: {family} has no training; leave it out")
