"""From scores to a `Gain`: intervals, the table of arms, and the protocol in full."""

import dataclasses
from typing import Any

import numpy as np

from synthaug.classifiers import Scores
from synthaug.gain.arms import Arm
from synthaug.gain.choice import Choices
from synthaug.gain.result import ArmResult
from synthaug.gain.statistics import Interval, holm, paired_interval, paired_p_value
from synthaug.gain.trials import Trials

TestScores = dict[Arm, list[Scores]]


def points(trials: Trials, scores: list[Scores]) -> np.ndarray:
    """Test accuracy in the protocol's metric, in percentage points, one a seed."""
    balanced = trials.metric == "balanced accuracy"
    return 100 * np.array([s.balanced_accuracy if balanced else s.accuracy for s in scores])


def gain_of(
    trials: Trials, scores: TestScores, arm: Arm, other: Arm, *, stage_one: int | None = None
) -> Interval:
    """The paired gain of `arm` over `other` on the test images."""
    differences = points(trials, scores[arm]) - points(trials, scores[other])
    return paired_interval(list(differences), stage_one=stage_one)


def arm_table(trials: Trials, choices: Choices, scores: TestScores) -> list[ArmResult]:
    """Every arm against the baseline, over the seeds that it shares with all that were not given
    up."""
    reference = points(trials, scores[choices.baseline])
    counts = {arm: len(trials.seeds_of(arm)) for arm in choices.arms}
    differences = {
        arm: list(points(trials, scores[arm])[:count] - reference[:count])
        for arm, count in counts.items()
        if arm != choices.baseline
    }
    corrected = holm([paired_p_value(each) for each in differences.values()])
    p_values = dict(zip(differences, corrected, strict=True))
    return [
        _arm_result(trials, arm, scores[arm], differences.get(arm), p_values.get(arm))
        for arm in choices.arms
    ]


def _arm_result(
    trials: Trials,
    arm: Arm,
    scores: list[Scores],
    differences: list[float] | None,
    p_holm: float | None,
) -> ArmResult:
    seeds = trials.seeds_of(arm)
    held = [trials.held(arm, seed) for seed in seeds]
    return ArmResult(
        name=arm.name,
        synthetic=arm.source is not None,
        uses=arm.uses,
        description=arm.description,
        accuracy=[each.accuracy for each in scores],
        balanced_accuracy=[each.balanced_accuracy for each in scores],
        validation_accuracy=[accuracy for accuracy, _ in held],
        validation_balanced_accuracy=[balanced for _, balanced in held],
        per_class=[[float(v) if np.isfinite(v) else None for v in s.per_class] for s in scores],
        seconds=[round(trials.seconds(arm, seed), 2) for seed in seeds],
        gain=None if differences is None else paired_interval(differences),
        p_holm=p_holm,
    )


def describe(arm: Arm) -> dict[str, Any]:
    """The chosen arm for the JSON: enough to build it again."""
    assert arm.source is not None
    source = arm.source
    settings = source.generator.settings if source.generator else {}
    return {
        "arm": arm.name,
        "generator": source.generator.family if source.generator else source.name,
        "settings": {**settings, **source.sampling},
        "ratio": arm.ratio,
        "labels": arm.labels,
        "recipe": dataclasses.asdict(arm.recipe),
    }
