"""The space of a search for a way of mixing: generators of the registry, and how to mix."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthaug.gain import Arm, Labels, Source, synthetic_arm
from synthaug.generators import Composite, Generator, registrations

if TYPE_CHECKING:
    import optuna

MOST_PER_CLASS = 20  # networks, one a class, that are worth their time
# One network a class sees few images, and there are many: fewer and smaller steps serve it.
SCOPES: dict[str, dict[str, Any]] = {
    "shared": {},
    "per-class": {"scope": "per-class", "steps": 400, "batch_size": 16},
}
RATIOS = (0.125, 0.25, 0.5)
FILTERS: dict[str, dict[str, float]] = {
    "none": {},
    "distance": {"distance": 2.0},
    "memorization": {"memorization": 0.25},
}
FIRST: tuple[dict[str, Any], ...] = (  # proposed before Optuna has anything to learn from
    {"generator": "transfer", "transfer donors": "any"},
    {"generator": "vae", "kl_weight": 8e-3, "vae sampling": "nuisance-swap"},
    {"generator": "blend", "blend of": "transfer and style"},
    {"generator": "chain", "chain of": "patch and vae"},
    {"generator": "style-swap", "cells": 8},
    {"generator": "transfer", "transfer donors": "within"},
    {"generator": "vae", "kl_weight": 8e-3, "vae sampling": "extrapolate"},
    {"generator": "random-field"},
)


def propose(
    trial: "optuna.Trial", families: Sequence[str], base_arms: Mapping[str, Arm], classes: int
) -> Arm:
    """Return the arm that a trial's choices make.

    Args:
        trial: Optuna's trial, which chooses.
        families: Names of the generators that may be proposed.
        base_arms: The arms to build on, by their names.
        classes: How many classes the images have.
    """
    family = trial.suggest_categorical("generator", families)
    registration = registrations()[family]
    settings: dict[str, Any] = {}
    sampling: dict[str, Any] = {}
    scope = "shared"
    if _has_scope(registration.family) and classes <= MOST_PER_CLASS:
        scope = trial.suggest_categorical("scope", list(SCOPES))
    for parameter, variants in registration.choices.items():
        variant = variants[trial.suggest_categorical(parameter, list(variants))]
        settings |= variant.settings
        sampling |= variant.sampling
    generator = registration.family(**settings)
    if SCOPES[scope]:
        generator = generator.with_settings(SCOPES[scope])
    rule = trial.suggest_categorical("filter", list(FILTERS))
    words = [family]
    if scope != "shared" and generator.learns:
        words.append(scope)
    words += _changes(generator, sampling)
    if rule != "none":
        words.append(f"{rule} filter")
    source = Source(" ".join(words), generator, sampling, FILTERS[rule])
    base_arm = base_arms[trial.suggest_categorical("partner", list(base_arms))]
    ratio = trial.suggest_categorical("ratio", RATIOS)
    labels: Labels = "mixed" if trial.suggest_categorical("soft labels", [False, True]) else "hard"
    return synthetic_arm(source, base_arm, ratio, labels)


def _has_scope(family: type[Generator]) -> bool:
    """Tell whether there may be one network for all classes or one for each."""
    return issubclass(family, Composite) or "scope" in family().settings


def _changes(generator: Generator, sampling: Mapping[str, Any]) -> list[str]:
    """Return what differs from the family's defaults, in words, but for what a scope brings."""
    if isinstance(generator, Composite):
        return ["of", " and ".join(part.name for part in generator.parts)]
    defaults, of_scope = type(generator)().settings, SCOPES["per-class"]
    settings = {**generator.settings, **sampling}
    return [f"{k} {v}" for k, v in settings.items() if k not in of_scope and v != defaults[k]]
