"""Tune the baseline before anything is compared with it.

The number of optimiser steps, standardisation, geometry, weight decay and learning rate move the
accuracy of a small classifier by more than most generators do, so they are settled first, without
synthetic images, on the validation images of the first seeds: the steps, then what else is best
for trainings of that length, then the steps again, and all else again where they grow. What is best
for a short training is not for a long one: on CIFAR-10 at 50 images per class, a
configuration that was tuned at 600 steps stayed five points behind.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from synthaug.classifiers import MIXES, TrainConfig
from synthaug.core import InputError
from synthaug.gain.arms import Arm
from synthaug.gain.runs.comparison import Comparison

TUNING_SEEDS = 2
TUNING_STEPS = 600
MOST_STEPS = 4800
WORTH_DOUBLING = 0.005  # of validation accuracy; less is not worth twice the time
Options = Sequence[dict[str, Any]]  # alternative settings


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
    """The training configuration and steps that all arms build on.

    Attributes:
        config: The training configuration.
        steps: Optimiser steps.
        attempts: All that tuning has tried, as rows of the result.
        most: The most steps that were allowed.
    """

    config: TrainConfig
    steps: int
    attempts: list[dict[str, Any]]
    most: int = MOST_STEPS

    @property
    def chose_steps(self) -> bool:
        """Tell whether other numbers of steps were tried."""
        return len({row["steps"] for row in self.attempts}) > 1

    @property
    def at_limit(self) -> bool:
        """Tell whether doubling the steps paid up to the most that are tried."""
        return self.chose_steps and self.steps == self.most


def tune(
    comparison: Comparison, config: TrainConfig | None, policy: str | None, steps: int | None
) -> Tuning:
    """Settle what is not fixed: the configuration (all, or all but its policy) and the steps.

    Args:
        comparison: Trains and scores; takes the steps from then on.
        config: Fixes the configuration; None tunes it.
        policy: Fixes its geometry alone.
        steps: Fixes the optimiser steps; None tunes them.
    """
    pretrained = comparison.experiment.classifier.pretrained
    if config is not None and steps is not None:
        comparison.steps = steps
        return Tuning(config, steps, [])
    candidates: list[Options] = []
    if config is None:
        usual = FINE_TUNING if pretrained else CANDIDATES
        policies = POLICIES if policy is None else _each("policy", policy)
        candidates = [policies if "policy" in options[0] else options for options in usual]
    start = config or TrainConfig(**reduce(or_, (options[0] for options in candidates)))
    first, most = (TUNING_STEPS, MOST_STEPS) if steps is None else (steps, steps)
    return settle(comparison, start, candidates, first, most)


def settle(
    comparison: Comparison, start: TrainConfig, candidates: Sequence[Options], first: int, most: int
) -> Tuning:
    """Settle the steps, from `first` to `most`, and every setting that has candidates."""
    attempts: list[dict[str, Any]] = []
    length, mix = _tune_steps(comparison, start, first, most, attempts)
    best_config = _tune_config(comparison, start, candidates, mix, length, attempts)
    if best_config != start and length < most:
        longer, mix = _tune_steps(comparison, best_config, length, most, attempts)
        if longer > length:  # what is best for a short training is not for a long one
            best_config = _tune_config(comparison, best_config, candidates, mix, longer, attempts)
            length = longer
    comparison.steps = length
    return Tuning(best_config, length, attempts, most)


def expect_base(config: TrainConfig, policy: str | None) -> None:
    """Raise `InputError` for a configuration that fixes what arms differ in, or another policy."""
    if policy is not None and policy != config.policy:
        raise InputError(f"policy: got {policy!r} beside a config that has {config.policy!r}")
    usual = TrainConfig()
    for name in OF_ARMS:
        if getattr(config, name) != getattr(usual, name):
            raise InputError(
                f"config: expected the usual {name}, {getattr(usual, name)!r}, which is what arms "
                f"differ in, got {getattr(config, name)!r}"
            )


def _tune_steps(
    comparison: Comparison,
    config: TrainConfig,
    steps: int,
    most: int,
    attempts: list[dict[str, Any]],
) -> tuple[int, str | None]:
    """Double the steps, up to `most`, for as long as that is worth it.

    Judged by the best of RandAugment alone and with a mix, which is slow to learn and profits from
    more steps for longest. Two seeds may show that doubling is worth it; that it is not, all have
    to show.

    Returns:
        The steps, and the mix that was best.
    """
    best_length: tuple[int, str | None] = steps, None
    best = -1.0
    while steps <= most:
        ways = [(config, mix) for mix in (None, *MIXES)]
        mix_scores = _score(comparison, ways, steps)
        if best < 0:
            _expect_any(comparison, mix_scores, ways)
        scores = {mix: score for (_, mix), score in zip(ways, mix_scores, strict=True)}
        attempts += [
            {"steps": steps, "mix": mix or "none", "validation": round(score, 5)}
            for mix, score in scores.items()
        ]
        mix = max(scores, key=lambda each: scores[each])
        longer = steps, mix
        if scores[mix] < best + WORTH_DOUBLING and not _is_better(
            comparison, config, longer, best_length, attempts
        ):
            break
        best_length, best = longer, scores[mix]
        steps *= 2
    return best_length


def _is_better(
    comparison: Comparison,
    config: TrainConfig,
    longer: tuple[int, str | None],
    shorter: tuple[int, str | None],
    attempts: list[dict[str, Any]],
) -> bool:
    """Tell whether the longer of two trainings, each with its mix, is worth it on all seeds."""
    if len(comparison.seeds) <= TUNING_SEEDS:
        return False
    scores = []
    for steps, mix in (shorter, longer):
        scores += _score(comparison, [(config, mix)], steps, seeds=comparison.seeds)
        row = {"steps": steps, "mix": mix or "none", "validation": round(scores[-1], 5)}
        attempts.append({**row, "seeds": len(comparison.seeds)})
    return scores[1] >= scores[0] + WORTH_DOUBLING


def _tune_config(
    comparison: Comparison,
    config: TrainConfig,
    candidates: Sequence[Options],
    mix: str | None,
    steps: int,
    attempts: list[dict[str, Any]],
) -> TrainConfig:
    """Run one round of coordinate descent, with RandAugment on, as in most of the arms to come."""
    for usual in candidates:
        if len(usual) == 1:
            continue
        options, scores = list(usual), list[float]()
        while len(scores) < len(options):
            configs = [dataclasses.replace(config, **each) for each in options[len(scores) :]]
            scores += _score(comparison, [(each, mix) for each in configs], steps)
            best = options[int(np.argmax(scores))]
            options += _beyond(best, options)
        attempts += [
            {**settings, "steps": steps, "mix": mix or "none", "validation": round(score, 5)}
            for settings, score in zip(options, scores, strict=True)
        ]
        config = dataclasses.replace(config, **best)
    return config


def _expect_any(
    comparison: Comparison, scores: Sequence[float], ways: Sequence[tuple[TrainConfig, str | None]]
) -> None:
    """Raise `TrainingError` where all trainings diverged, so that none can be chosen."""
    if not any(scores):
        comparison.expect_trained(_arms(ways), comparison.seeds[:TUNING_SEEDS])


def _arms(ways: Sequence[tuple[TrainConfig, str | None]]) -> list[Arm]:
    """Return the arms that are trained to score configurations, each with its mix."""
    return [
        Arm(
            f"tuning randaugment {mix or ''}",
            dataclasses.replace(config, automatic="randaugment", mix=mix),
        )
        for config, mix in ways
    ]


def _beyond(best: dict[str, Any], options: Options) -> Options:
    """Return one option more where the best number is at an end of those that were tried.

    The next one may be better still, and a baseline that stops short of it is a weak one.
    """
    name = next((name for name, value in best.items() if isinstance(value, float)), None)
    if name is None:
        return []
    scale = sorted(each[name] for each in options if each | {name: best[name]} == best)
    if best[name] not in (scale[0], scale[-1]):
        return []
    neighbour = scale[1] if best[name] == scale[0] else scale[-2]
    return [best | {name: float(f"{best[name] ** 2 / neighbour:.2g}")}]


def _score(
    comparison: Comparison,
    ways: Sequence[tuple[TrainConfig, str | None]],
    steps: int,
    *,
    seeds: list[int] | None = None,
) -> list[float]:
    """Return the mean validation score of each configuration with its mix, over these seeds."""
    comparison.steps = steps
    seeds = comparison.seeds[:TUNING_SEEDS] if seeds is None else seeds
    arms = _arms(ways)
    comparison.train(arms, "tuning the baseline", seeds=seeds)
    scores = comparison.validation(arms, seeds=seeds)
    return [float(scores[arm].mean()) for arm in arms]
