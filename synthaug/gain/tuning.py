"""How the baseline is made strong before anything is compared with it.

Standardisation, geometry, weight decay, learning rate and the number of optimiser steps move the
accuracy of a small classifier by more than most generators do, so they are settled first, without
synthetic images, on the validation images of the first seeds: one after another, the best value of
each kept.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthaug.classifiers import Recipe
from synthaug.gain.arms import Arm
from synthaug.gain.trials import Trials

TUNING_SEEDS = 2
TUNING_STEPS = 600
MOST_STEPS = 4800
WORTH_DOUBLING = 0.005  # of validation accuracy; less is not worth twice the time
CANDIDATES: dict[str, tuple[Any, ...]] = {
    "standardize": (True, False),
    "weight_decay": (5e-3, 2e-3, 1e-2, 2e-2),
    "learning_rate": (0.1, 0.05, 0.2),
    "policy": ("shift", "shift-flip", "rotate-scale", "rotate-scale-flip"),
}
FINE_TUNING: dict[str, tuple[Any, ...]] = {  # of a network that starts from weights
    "frozen": (False, True),
    "learning_rate": (1e-2, 3e-3, 3e-2, 1e-1),
    "weight_decay": (1e-3, 1e-4),
    "policy": CANDIDATES["policy"],
}


@dataclass(frozen=True)
class Tuning:
    """The recipe and number of steps that all arms build on, and all that was tried for them."""

    recipe: Recipe
    steps: int
    tried: list[dict[str, Any]]


def tune(trials: Trials, recipe: Recipe | None, policy: str | None, steps: int | None) -> Tuning:
    """Settle what was not given: the recipe (all, or all but its policy) and the steps."""
    tried: list[dict[str, Any]] = []
    if recipe is None:
        fixed = {} if policy is None else {"policy": (policy,)}
        usual = CANDIDATES if trials.study.classifier.weights is None else FINE_TUNING
        recipe = _tune_recipe(trials, {**usual, **fixed}, steps or TUNING_STEPS, tried)
    if steps is None:
        steps = _tune_steps(trials, recipe, tried)
    return Tuning(recipe, steps, tried)


def _tune_recipe(
    trials: Trials, candidates: dict[str, tuple[Any, ...]], steps: int, tried: list[dict[str, Any]]
) -> Recipe:
    """One round of coordinate descent. RandAugment is on, as in most of the arms to come."""
    start = {name: values[0] for name, values in candidates.items()}
    recipe = Recipe(**start)
    for name, values in candidates.items():
        if len(values) == 1:
            continue
        options = [dataclasses.replace(recipe, **{name: value}) for value in values]
        scores = _score(trials, options, "randaugment", None, steps)
        tried += [
            {name: value, "steps": steps, "validation": round(score, 5)}
            for value, score in zip(values, scores, strict=True)
        ]
        recipe = options[int(np.argmax(scores))]
    return recipe


def _tune_steps(trials: Trials, recipe: Recipe, tried: list[dict[str, Any]]) -> int:
    """Double the steps for as long as that is worth it for the better of RandAugment alone and
    with MixUp, which is slow to learn and profits from more steps for longest."""
    chosen, best = TUNING_STEPS, -1.0
    steps = TUNING_STEPS
    while steps <= MOST_STEPS:
        scores = {
            mix or "none": _score(trials, [recipe], "randaugment", mix, steps)[0]
            for mix in (None, "mixup")
        }
        tried += [
            {"steps": steps, "mix": mix, "validation": round(score, 5)}
            for mix, score in scores.items()
        ]
        if max(scores.values()) < best + WORTH_DOUBLING:
            break
        chosen, best = steps, max(scores.values())
        steps *= 2
    return chosen


def _score(
    trials: Trials, recipes: list[Recipe], automatic: str, mix: str | None, steps: int
) -> list[float]:
    """Mean validation score of each recipe over the tuning seeds."""
    trials.steps = steps
    seeds = trials.seeds[:TUNING_SEEDS]
    arms = [
        Arm(
            f"tuning {automatic} {mix or ''}",
            dataclasses.replace(each, automatic=automatic, mix=mix),
        )
        for each in recipes
    ]
    trials.train(arms, "tuning the baseline", seeds=seeds)
    scores = trials.validation(arms, seeds=seeds)
    return [float(scores[arm].mean()) for arm in arms]
