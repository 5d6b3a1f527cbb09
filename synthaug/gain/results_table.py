"""Turn scores into intervals and the table of arms."""

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
    comparison: Comparison,
    choices: Choices,
    scores: HeldOutScores,
    finalists: Sequence[Arm],
    seeds: Sequence[int],
    stage_one: int,
) -> list[ArmResult]:
    """Compare every arm with the baseline.

    Args:
        comparison: The trained arms.
        choices: What validation images settled.
        scores: Scores on the test images.
        finalists: The arms that are compared over `seeds`. The others are compared over those that
            they were trained on for choices.
        seeds: Seeds that no choice was made on.
        stage_one: How many of them set the number of seeds.
    """
    seeds_by_arm = {arm: comparison.seeds_of(arm) for arm in choices.arms}
    seeds_by_arm |= {arm: list(seeds) for arm in finalists}
    gains = {
        arm: scores.gain(
            arm,
            choices.baseline,
            arm_seeds,
            stage_one=stage_one if arm in finalists else len(arm_seeds),
        )
        for arm, arm_seeds in seeds_by_arm.items()
        if arm != choices.baseline
    }
    adjusted_values = holm([p_value(gain) for gain in gains.values()])
    p_values = dict(zip(gains, adjusted_values, strict=True))
    return [
        _arm_result(
            comparison,
            arm,
            seeds_by_arm[arm],
            scores.scores[arm],
            gains.get(arm),
            p_values.get(arm),
        )
        for arm in choices.arms
    ]


def _arm_result(
    comparison: Comparison,
    arm: Arm,
    seeds: list[int],
    by_seed: dict[int, Scores],
    gain: Interval | None,
    p_holm: float | None,
) -> ArmResult:
    scores = [by_seed[seed] for seed in seeds]
    validation = [comparison.validation_scores(arm, seed) for seed in seeds]
    return ArmResult(
        name=arm.name,
        synthetic=arm.source is not None,
        uses=arm.uses,
        description=arm.description,
        seeds=seeds,
        accuracy=[each.accuracy for each in scores],
        balanced_accuracy=[each.balanced_accuracy for each in scores],
        validation_accuracy=[each.accuracy for each in validation],
        validation_balanced_accuracy=[each.balanced_accuracy for each in validation],
        choice_scores=[float(score) for score in comparison.validation([arm])[arm]],
        per_class=[[float(v) if np.isfinite(v) else None for v in s.per_class] for s in scores],
        seconds=[round(comparison.seconds(arm, seed), 2) for seed in seeds],
        gain=gain,
        p_holm=p_holm,
    )


def arm_facts(arm: Arm) -> dict[str, Any]:
    """Describe the chosen arm for the JSON, in enough detail to build it again."""
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
