"""What a search for a way of mixing may propose."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthaug.gain import EXTRAPOLATE, Arm, Labels, Source, synthetic_arm
from synthaug.generators import (
    VAEGAN,
    Blend,
    Chain,
    Composite,
    CompositionGAN,
    ConditionalGAN,
    ConditionalVAE,
    Generator,
    PatchSwap,
    RandomField,
    StyleSwap,
    TransferVAE,
)

if TYPE_CHECKING:
    import optuna

MOST_PER_CLASS = 20  # networks, one a class, that are worth their time
# One network a class sees few images, and there are many: fewer and smaller steps serve it.
SCOPES: dict[str, dict[str, Any]] = {
    "shared": {},
    "per-class": {"scope": "per-class", "steps": 400, "batch_size": 16},
}
WAYS: dict[str, dict[str, Any]] = {  # how a VAE samples
    "nuisance-swap": {"sampling": "nuisance-swap"},
    "interpolate": {"sampling": "interpolate"},
    "extrapolate": EXTRAPOLATE,
    "mixture": {"sampling": "mixture"},
}
RATIOS = (0.125, 0.25, 0.5)
FILTERS: dict[str, dict[str, float]] = {
    "none": {},
    "distance": {"distance": 2.0},
    "memorization": {"memorization": 0.25},
}
Proposal = tuple[Generator, dict[str, Any]]
"""A generator, and settings to change after fitting."""


def _transfer(trial: "optuna.Trial", scope: str) -> Proposal:
    donors = trial.suggest_categorical("transfer donors", ["any", "within"])
    return TransferVAE(**SCOPES[scope]), {"donors": donors}


def _vae(trial: "optuna.Trial", scope: str) -> Proposal:
    weight = trial.suggest_categorical("kl_weight", [2e-3, 8e-3])
    way = trial.suggest_categorical("vae sampling", list(WAYS))
    return ConditionalVAE(**SCOPES[scope], kl_weight=weight), WAYS[way]


def _vaegan(trial: "optuna.Trial", scope: str) -> Proposal:
    way = trial.suggest_categorical("vaegan sampling", list(WAYS))
    return VAEGAN(**SCOPES[scope]), WAYS[way]


def _style(trial: "optuna.Trial", scope: str) -> Proposal:
    return StyleSwap(cells=trial.suggest_categorical("cells", [4, 8])), {}


BLENDS: dict[str, tuple[type[Generator], ...]] = {
    "transfer and style": (TransferVAE, StyleSwap),
    "vae and style": (ConditionalVAE, StyleSwap),
    "transfer, vae and style": (TransferVAE, ConditionalVAE, StyleSwap),
}
CHAINS: dict[str, tuple[type[Generator], ...]] = {
    "patch and vae": (PatchSwap, ConditionalVAE),
    "patch and transfer": (PatchSwap, TransferVAE),
    "patch and style": (PatchSwap, StyleSwap),
    "patch, style and vae": (PatchSwap, StyleSwap, ConditionalVAE),
}


def _blend(trial: "optuna.Trial", scope: str) -> Proposal:
    return Blend(_parts(BLENDS[trial.suggest_categorical("blend of", list(BLENDS))], scope)), {}


def _chain(trial: "optuna.Trial", scope: str) -> Proposal:
    return Chain(_parts(CHAINS[trial.suggest_categorical("chain of", list(CHAINS))], scope)), {}


def _parts(families: Sequence[type[Generator]], scope: str) -> tuple[Generator, ...]:
    return tuple(made(**SCOPES[scope]) if made().learns else made() for made in families)


PROPOSALS: dict[str, Callable[["optuna.Trial", str], Proposal]] = {
    "transfer": _transfer,
    "vae": _vae,
    "vaegan": _vaegan,
    "composition": lambda trial, scope: (CompositionGAN(**SCOPES[scope]), {}),
    "gan": lambda trial, scope: (ConditionalGAN(**SCOPES[scope]), {}),
    "blend": _blend,
    "chain": _chain,
    "style-swap": _style,
    "patch-swap": lambda trial, scope: (PatchSwap(), {}),
    "random-field": lambda trial, scope: (RandomField(), {}),
}
UNTRAINED = ("style-swap", "patch-swap", "random-field")
FIRST: tuple[dict[str, Any], ...] = (  # what is tried before Optuna has anything to learn from
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
    """The arm that a trial's choices make."""
    family = trial.suggest_categorical("generator", families)
    scope = "shared"
    if family not in UNTRAINED and classes <= MOST_PER_CLASS:
        scope = trial.suggest_categorical("scope", list(SCOPES))
    generator, sampling = PROPOSALS[family](trial, scope)
    rule = trial.suggest_categorical("filter", list(FILTERS))
    told = [scope] if scope != "shared" and generator.learns else []
    words = [family, *told, *_changed(generator, sampling)]
    words += [] if rule == "none" else [f"{rule} filter"]
    source = Source(" ".join(words), generator, sampling, FILTERS[rule])
    base_arm = base_arms[trial.suggest_categorical("partner", list(base_arms))]
    ratio = trial.suggest_categorical("ratio", RATIOS)
    labels: Labels = "mixed" if trial.suggest_categorical("soft labels", [False, True]) else "hard"
    return synthetic_arm(source, base_arm, ratio, labels)


def _changed(generator: Generator, sampling: Mapping[str, Any]) -> list[str]:
    """What differs from the family's defaults, in words; what comes with a scope apart."""
    if isinstance(generator, Composite):
        return ["of", " and ".join(part.family for part in generator.parts)]
    usual = type(generator)().settings
    chosen = {**generator.settings, **sampling}
    told = SCOPES["per-class"]
    return [f"{k} {v}" for k, v in chosen.items() if k not in told and v != usual[k]]
