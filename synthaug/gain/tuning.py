"""How the baseline is made strong before anything is compared with it.

Standardisation, geometry, weight decay and the number of optimiser steps move the accuracy of a
small classifier by more than most generators do, so they are settled first, without synthetic
images, on the validation images of the first seeds: one after another, the best value of each kept.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from synthaug.classifiers import Recipe
from synthaug.gain.arms import Arm

TUNING_SEEDS = 2
TUNING_STEPS = 600
MOST_STEPS = 4800
WORTH_DOUBLING = 0.005  # of validation accuracy; less is not worth twice the time
CANDIDATES: dict[str, tuple[Any, ...]] = {
    "standardize": (True, False),
    "policy": ("shift", "shift-flip", "rotate-scale", "rotate-scale-flip"),
    "weight_decay": (5e-3, 2e-3, 1e-2, 2e-2),
}

Score = Callable[[list[tuple[Arm, int]]], list[float]]
"""Maps (arm, steps) pairs to their mean validation score, trained on the tuning seeds."""


def tune_recipe(score: Score, start: Recipe, steps: int) -> tuple[Recipe, list[dict[str, Any]]]:
    """The best recipe by one round of coordinate descent, and all that was tried."""
    recipe, tried = start, []
    for name, values in CANDIDATES.items():
        # Weight decay and the like are tuned under RandAugment, which most needs them right.
        arms = [
            Arm(
                f"tune {name}={value}",
                dataclasses.replace(recipe, automatic="randaugment", **{name: value}),
            )
            for value in values
        ]
        scores = score([(arm, steps) for arm in arms])
        tried += [
            {name: value, "steps": steps, "validation": round(found, 5)}
            for value, found in zip(values, scores, strict=True)
        ]
        recipe = dataclasses.replace(recipe, **{name: values[int(np.argmax(scores))]})
    return recipe, tried


def tune_steps(score: Score, recipe: Recipe, start: int) -> tuple[int, list[dict[str, Any]]]:
    """Double the number of optimiser steps for as long as that raises validation accuracy.

    RandAugment with MixUp profits longest from more steps, so it sets the number for all arms.
    """
    mixed = dataclasses.replace(recipe, automatic="randaugment", mix="mixup")
    arm = Arm("tune steps", mixed)
    steps, best = start, score([(arm, start)])[0]
    tried = [{"steps": steps, "validation": round(best, 5)}]
    while 2 * steps <= MOST_STEPS:
        found = score([(arm, 2 * steps)])[0]
        tried.append({"steps": 2 * steps, "validation": round(found, 5)})
        if found < best + WORTH_DOUBLING:
            break
        steps, best = 2 * steps, found
    return steps, tried
