"""The registry of generators: the one place where a family is added.

`register` on a class gives the family its name and says what others need to know of it. The names
of the command line, what a search proposes and the default sources of a measurement follow from it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from synthaug.core import InputError, expand_path, read_unchanged
from synthaug.generators.base import Generator
from synthaug.generators.saving import check_files, read_generator_manifest

Family = TypeVar("Family", bound=type[Generator])


@dataclass(frozen=True)
class Variant:
    """Settings in which a generator differs from its defaults.

    Attributes:
        settings: Arguments of the constructor.
        sampling: Settings that are changed after fitting, so that variants share one fit.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Registration:
    """A family and what the command line, searches and measurements need to know of it.

    Attributes:
        family: The class.
        order: Its place among the others, the smallest number first.
        sources: Default sources of a measurement, by their names.
        choices: Choices of a search, by the name of the parameter and then by its value.
    """

    family: type[Generator]
    order: int
    sources: Mapping[str, Variant]
    choices: Mapping[str, Mapping[Any, Variant]]


_REGISTRY: dict[str, Registration] = {}


def register(
    name: str,
    *,
    order: int = 1000,
    sources: Mapping[str, Variant] | None = None,
    choices: Mapping[str, Mapping[Any, Variant]] | None = None,
) -> Callable[[Family], Family]:
    """Return a class decorator that adds a generator.

    The class gets `name` as its attribute `name`. A saved generator of the family is loaded, and a
    search and `synthaug.generators.generator_class` find it, wherever its module has been imported.

    Args:
        name: What the family is called in Python, on the command line and in files, as "vae".
        order: Place among the others, the smallest number first; those of equal numbers are in the
            order in which they were added.
        sources: Variants that `measure_gain` compares where it is given no sources, by the names
            that they have in results.
        choices: What a search may choose for it: for each parameter, named uniquely among all
            families, the variant that each value stands for.

    Raises:
        InputError: If another class has that name already.

    Examples:
        >>> from synthaug.generators import StyleSwap  # under @register("style-swap", ...)
        >>> StyleSwap.name
        'style-swap'
    """

    def add(family: Family) -> Family:
        other = _REGISTRY.get(name)
        if other is not None and _place(other.family) != _place(family):
            raise InputError(
                f"generator {name!r}: {_place(family)} needs another name, since "
                f"{_place(other.family)} has that one"
            )
        family.name = name
        _REGISTRY[name] = Registration(family, order, sources or {}, choices or {})
        return family

    return add


def _place(family: type[Generator]) -> str:
    """Return where a class is written, which stays the same where its module is run again."""
    return f"{family.__module__}.{family.__qualname__}"


def registrations() -> dict[str, Registration]:
    """Return all families by their names, in their order.

    Examples:
        >>> from synthaug.generators import registrations
        >>> list(registrations())[:3]
        ['transfer', 'vae', 'vaegan']
    """
    return dict(sorted(_REGISTRY.items(), key=lambda item: item[1].order))


def generator_class(name: object) -> type[Generator]:
    """Return the class of a generator.

    Args:
        name: Its registered name, or the name of the class, which versions up to 0.5.0 wrote to
            files. A class of your own that is not registered has that one only.

    Raises:
        InputError: If there is none of that name.

    Examples:
        >>> from synthaug.generators import generator_class
        >>> generator_class("vae") is generator_class("ConditionalVAE")
        True
    """
    if isinstance(name, str):
        if name in _REGISTRY:
            return _REGISTRY[name].family
        ours = [each.family for each in _REGISTRY.values() if _is_ours(each.family)]
        for family in [*ours, *_subclasses(Generator)]:  # type: ignore[type-abstract]
            if family.__name__ == name or family.name == name:
                return family
    raise InputError(
        f"unknown generator family {name!r}; expected one of {', '.join(registrations())}, or a "
        "class of your own, which has to be imported before"
    )


def _is_ours(family: type[Generator]) -> bool:
    return family.__module__.startswith("synthaug.")


def _subclasses(base: type[Generator]) -> Iterator[type[Generator]]:
    """Yield all classes of the user's own that are made from it, the latest first."""
    for each in reversed(base.__subclasses__()):
        if not _is_ours(each):
            yield each
        yield from _subclasses(each)


def with_current_names(value: Any) -> Any:
    """Return JSON of versions up to 0.5.0, which hold class names under "family", with our names.

    >>> with_current_names({"parts": [{"family": "ConditionalVAE"}]})
    {'parts': [{'family': 'vae'}]}
    """
    if isinstance(value, list):
        return [with_current_names(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = {each.family.__name__: name for name, each in _REGISTRY.items()}
    items = {key: with_current_names(each) for key, each in value.items()}
    if isinstance(family := value.get("family"), str):
        items["family"] = names.get(family, family)
    return items


def load_generator(directory: str | Path, *, device: str = "auto") -> Generator:
    """Load the generator that `Generator.save` wrote.

    Args:
        directory: Where it was saved.
        device: Where to sample: "auto" (a GPU where there is one), "cpu", "cuda:0".

    Returns:
        The fitted generator, ready to sample.

    Raises:
        InputError: If the directory is not there, not complete or damaged, or of a class of your
            own that has not been imported.

    Examples:
        >>> import tempfile
        >>> from synthaug import StyleSwap, load_generator, read_images
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     StyleSwap().fit(read_images("digits"), device="cpu").save(directory + "/generator")
        ...     load_generator(directory + "/generator", device="cpu").sample(2).images.shape
        (20, 1, 16, 16)
    """
    path = expand_path(directory)
    return read_unchanged(path, lambda: _load(path, device))


def _load(path: Path, device: str) -> Generator:
    manifest = with_current_names(read_generator_manifest(path))
    try:
        family = generator_class(manifest.get("family"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    check_files(path, manifest)
    return family.load(path, manifest, device)
