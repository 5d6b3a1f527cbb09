"""How the baseline is made strong before anything is compared with it.

The number of optimiser steps, standardisation, geometry, weight decay and learning rate move the
accuracy of a small classifier by more than most generators do, so they are settled first, without
synthetic images, on the validation images of the first seeds: the steps, then what else is best
for trainings of that length, then the steps again, and all else again where they grow. What is best
for a short training is not for a long one: on CIFAR-10 at 50 images per class, a recipe that was
tuned at 600 steps stayed five points behind, more than a generator was then said to gain.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from synthaug.classifiers import MIXES, TrainConfig, expect_train_config
from synthaug.core import InputError, as_count
from synthaug.gain.arms import Arm
from synthaug.gain.runs.comparison import Comparison

TUNING_SEEDS = 2
TUNING_STEPS = 600
MOST_STEPS = 4800
WORTH_DOUBLING = 0.005  # of validation accuracy; less is not worth twice the time
Options = Sequence[dict[str, Any]]  # settings that one is chosen of


def _each(name: str, *values: Any) -> Options:
    return [{name: value} for value in values]


POLICIES = _each("policy", "shift", "shift-flip", "rotate-scale", "rotate-scale-flip")
CANDIDATES: tuple[Options, ...] = (
    _each("standardize", True, False),
    _each("weight_decay", 5e-3, 2e-3, 1e-2, 2e-2),
    _each("learning_rate", 0.1, 0.05, 0.2),
    POLICIES,
)
FINE_TUNING: tuple[Options, ...] = (  # of a network that starts from weights
    _each("standardize", False),  # images are normalised as those were that it learned from
    # The last layer alone learns best at higher rates than all of it.
    [{"frozen": False, "learning_rate": rate} for rate in (3e-2, 1e-2, 1e-1)]
    + [{"frozen": True, "learning_rate": rate} for rate in (1e-1, 3e-2, 3e-1)],
    _each("weight_decay", 1e-3, 1e-4),
    POLICIES,
)
OF_ARMS = ("automatic", "mix", "class_balanced", "label_smoothing", "logit_adjustment")


@dataclass(frozen=True)
class Tuning:
    """The recipe and number of steps that all arms build on, and all that was tried for them."""

    config: TrainConfig
    steps: int
    tried: list[dict[str, Any]]
    most: int = MOST_STEPS

    @property
    def chose_steps(self) -> bool:
        """Whether other numbers of steps were tried."""
        return len({row["steps"] for row in self.tried}) > 1

    @property
    def at_limit(self) -> bool:
        """Whether doubling the steps paid up to the most that are tried."""
        return self.chose_steps and self.steps == self.most


def tune(
    trials: Comparison, config: TrainConfig | None, policy: str | None, steps: int | None
) -> Tuning:
    """Settle what was not given: the recipe (all, or all but its policy) and the steps, which the
    trials take from then on.

    Raises `InputError` for a recipe that fixes what arms differ in, or has another policy.
    """
    if steps is not None:
        steps = as_count("steps", steps)
    pretrained = trials.study.classifier.pretrained
    if config is not None:
        expect_train_config(config, pretrained=pretrained)
        _expect_base(config, policy)
    if config is not None and steps is not None:
        trials.steps = steps
        return Tuning(config, steps, [])
    candidates: list[Options] = []
    if config is None:
        usual = FINE_TUNING if pretrained else CANDIDATES
        fixed = POLICIES if policy is None else _each("policy", policy)
        candidates = [fixed if "policy" in options[0] else options for options in usual]
    start = config or TrainConfig(**reduce(or_, (options[0] for options in candidates)))
    first, most = (TUNING_STEPS, MOST_STEPS) if steps is None else (steps, steps)
    return settle(trials, start, candidates, first, most)


def settle(
    trials: Comparison, start: TrainConfig, candidates: Sequence[Options], first: int, most: int
) -> Tuning:
    """Settle the steps, from `first` to `most`, and what else there are candidates for."""
    tried: list[dict[str, Any]] = []
    length, mix = _tune_steps(trials, start, first, most, tried)
    tuned = _tune_recipe(trials, start, candidates, mix, length, tried)
    if tuned != start and length < most:
        longer, mix = _tune_steps(trials, tuned, length, most, tried)
        if longer > length:  # what is best for a short training is not for a long one
            tuned = _tune_recipe(trials, tuned, candidates, mix, longer, tried)
            length = longer
    trials.steps = length
    return Tuning(tuned, length, tried, most)


def _expect_base(config: TrainConfig, policy: str | None) -> None:
    if policy is not None and policy != config.policy:
        raise InputError(f"policy: got {policy!r} beside a recipe that has {config.policy!r}")
    usual = TrainConfig()
    for name in OF_ARMS:
        if getattr(config, name) != getattr(usual, name):
            raise InputError(
                f"recipe: expected the usual {name}, {getattr(usual, name)!r}, which is what arms "
                f"differ in, got {getattr(config, name)!r}"
            )


def _tune_steps(
    trials: Comparison, config: TrainConfig, steps: int, most: int, tried: list[dict[str, Any]]
) -> tuple[int, str | None]:
    """Double the steps, up to `most`, for as long as that is worth it for the best of RandAugment
    alone and with a mix, which is slow to learn and profits from more steps for longest. Two seeds
    may be enough to say that it is; that it is not, all have to say. Beside the steps, that mix."""
    chosen: tuple[int, str | None] = steps, None
    best = -1.0
    while steps <= most:
        ways = [(config, mix) for mix in (None, *MIXES)]
        scored = _score(trials, ways, steps)
        if best < 0:
            _expect_any(trials, scored, ways)
        scores = {mix: score for (_, mix), score in zip(ways, scored, strict=True)}
        tried += [
            {"steps": steps, "mix": mix or "none", "validation": round(score, 5)}
            for mix, score in scores.items()
        ]
        mix = max(scores, key=lambda each: scores[each])
        longer = steps, mix
        if scores[mix] < best + WORTH_DOUBLING and not _is_better(
            trials, config, longer, chosen, tried
        ):
            break
        chosen, best = longer, scores[mix]
        steps *= 2
    return chosen


def _is_better(
    trials: Comparison,
    config: TrainConfig,
    longer: tuple[int, str | None],
    shorter: tuple[int, str | None],
    tried: list[dict[str, Any]],
) -> bool:
    """Whether the one of two lengths, each with its mix, is worth it on all seeds."""
    if len(trials.seeds) <= TUNING_SEEDS:
        return False
    scores = []
    for steps, mix in (shorter, longer):
        scores += _score(trials, [(config, mix)], steps, seeds=trials.seeds)
        told = {"steps": steps, "mix": mix or "none", "validation": round(scores[-1], 5)}
        tried.append({**told, "seeds": len(trials.seeds)})
    return scores[1] >= scores[0] + WORTH_DOUBLING


def _tune_recipe(
    trials: Comparison,
    config: TrainConfig,
    candidates: Sequence[Options],
    mix: str | None,
    steps: int,
    tried: list[dict[str, Any]],
) -> TrainConfig:
    """One round of coordinate descent. RandAugment is on, as in most of the arms to come."""
    for usual in candidates:
        if len(usual) == 1:
            continue
        options, scores = list(usual), list[float]()
        while len(scores) < len(options):
            recipes = [dataclasses.replace(config, **each) for each in options[len(scores) :]]
            scores += _score(trials, [(each, mix) for each in recipes], steps)
            best = options[int(np.argmax(scores))]
            options += _beyond(best, options)
        tried += [
            {**settings, "steps": steps, "mix": mix or "none", "validation": round(score, 5)}
            for settings, score in zip(options, scores, strict=True)
        ]
        config = dataclasses.replace(config, **best)
    return config


def _expect_any(
    trials: Comparison, scores: Sequence[float], ways: Sequence[tuple[TrainConfig, str | None]]
) -> None:
    """Raise `TrainingError` where there is nothing to choose from, since all diverged. Where some
    did, or what is tried on top, the rest is chosen from."""
    if not any(scores):
        trials.expect_trained(_arms(ways), trials.seeds[:TUNING_SEEDS])


def _arms(ways: Sequence[tuple[TrainConfig, str | None]]) -> list[Arm]:
    """The arms that are trained to score recipes, each with its mix."""
    return [
        Arm(
            f"tuning randaugment {mix or ''}",
            dataclasses.replace(config, automatic="randaugment", mix=mix),
        )
        for config, mix in ways
    ]


def _beyond(best: dict[str, Any], options: Options) -> Options:
    """One step on, where the best is the largest or the smallest number that was tried: what lies
    beyond may be better still, and a baseline that stops short of it is a weak one."""
    name = next((name for name, value in best.items() if isinstance(value, float)), None)
    if name is None:
        return []
    scale = sorted(each[name] for each in options if each | {name: best[name]} == best)
    if best[name] not in (scale[0], scale[-1]):
        return []
    neighbour = scale[1] if best[name] == scale[0] else scale[-2]
    return [best | {name: float(f"{best[name] ** 2 / neighbour:.2g}")}]


def _score(
    trials: Comparison,
    ways: Sequence[tuple[TrainConfig, str | None]],
    steps: int,
    *,
    seeds: list[int] | None = None,
) -> list[float]:
    """Mean validation score of each recipe with its mix over the first seeds, or those given."""
    trials.steps = steps
    seeds = trials.seeds[:TUNING_SEEDS] if seeds is None else seeds
    arms = _arms(ways)
    trials.train(arms, "tuning the baseline", seeds=seeds)
    scores = trials.validation(arms, seeds=seeds)
    return [float(scores[arm].mean()) for arm in arms]
