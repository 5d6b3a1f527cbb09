"""From scores to intervals and the table of arms."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from synthaug.classifiers import Scores
from synthaug.gain.arms import Arm
from synthaug.gain.held_out_scores import HeldOutScores
from synthaug.gain.result import ArmResult
from synthaug.gain.runs.comparison import Comparison
from synthaug.gain.selection import Choices
from synthaug.gain.statistics import Interval, holm, p_value


def arm_table(
    trials: Comparison,
    choices: Choices,
    tested: HeldOutScores,
    named: Sequence[Arm],
    seeds: Sequence[int],
    stage_one: int,
) -> list[ArmResult]:
    """Every arm against the baseline: those that the result names over `seeds`, which choices did
    not see and of which the first `stage_one` set the number, the others over those that they were
    trained on for choices."""
    shown = {arm: trials.seeds_of(arm) for arm in choices.arms}
    shown |= {arm: list(seeds) for arm in named}
    first = {arm: stage_one if arm in named else len(shown[arm]) for arm in shown}
    gains = {
        arm: tested.gain(arm, choices.baseline, shown[arm], stage_one=first[arm])
        for arm in choices.arms
        if arm != choices.baseline
    }
    corrected = holm([p_value(gain) for gain in gains.values()])
    p_values = dict(zip(gains, corrected, strict=True))
    return [
        _arm_result(trials, arm, shown[arm], tested.scores[arm], gains.get(arm), p_values.get(arm))
        for arm in choices.arms
    ]


def _arm_result(
    trials: Comparison,
    arm: Arm,
    seeds: list[int],
    by_seed: dict[int, Scores],
    gain: Interval | None,
    p_holm: float | None,
) -> ArmResult:
    scores = [by_seed[seed] for seed in seeds]
    held = [trials.held(arm, seed) for seed in seeds]
    return ArmResult(
        name=arm.name,
        synthetic=arm.source is not None,
        uses=arm.uses,
        description=arm.description,
        seeds=seeds,
        accuracy=[each.accuracy for each in scores],
        balanced_accuracy=[each.balanced_accuracy for each in scores],
        validation_accuracy=[each.accuracy for each in held],
        validation_balanced_accuracy=[each.balanced_accuracy for each in held],
        choice_scores=[float(score) for score in trials.validation([arm])[arm]],
        per_class=[[float(v) if np.isfinite(v) else None for v in s.per_class] for s in scores],
        seconds=[round(trials.seconds(arm, seed), 2) for seed in seeds],
        gain=gain,
        p_holm=p_holm,
    )


def arm_facts(arm: Arm) -> dict[str, Any]:
    """The chosen arm for the JSON: enough to build it again."""
    assert arm.source is not None
    source = arm.source
    settings = source.generator.settings if source.generator else {}
    return {
        "arm": arm.name,
        "generator": source.generator.name if source.generator else source.name,
        "settings": {**settings, **source.sampling},
        "filters": dict(source.filters),
        "ratio": arm.ratio,
        "labels": arm.labels,
        "recipe": dataclasses.asdict(arm.config),
    }
