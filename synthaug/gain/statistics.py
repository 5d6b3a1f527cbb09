"""Judge paired differences: Student's interval, the verdict, and the gain that could be told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from scipy.special import stdtr, stdtrit

from synthaug.core import InputError

Verdict = Literal["helps", "no evidence", "hurts"]
POWER = 0.8
ALL = 100.0  # points: no gain is larger
TIE = 1e-9  # points: means of equal shares may differ in their last bits
MOST_SEEDS = 60  # that are run for a precision
RIVALS = 2  # one alone may owe its place to luck, and be beaten for that
SURE = 0.9  # of a two-sided interval whose lower end a recommendation clears: one-sided 5 %


@dataclass(frozen=True)
class Interval:
    """A mean of paired differences and its confidence interval, all in percentage points.

    Attributes:
        points: The mean.
        low: Lower end.
        high: Upper end.
        per_seed: The differences, one a seed.
        confidence: Level, 0 to 1.
        smallest_detectable: The true gain that would have been told from zero with a probability of
            80 %, given how much the differences scatter.
        stage_one: Number of seeds whose scatter set the width, where seeds were added for a
            precision (see `seeds_for_precision`); otherwise the number of differences.
        image_error: Standard error of the mean from the choice of images, which the interval does
            not hold; None where it is not known, as in results of before 0.5.0.
        image_freedom: Degrees of freedom of that estimate, few where few images of a rare class, or
            few groups, make most of it; None where they are not known, and taken as many.
    """

    points: float
    low: float
    high: float
    per_seed: list[float]
    confidence: float
    smallest_detectable: float
    stage_one: int
    image_error: float | None = None
    image_freedom: float | None = None

    @property
    def of_other_images(self) -> tuple[float, float]:
        """The ends where the images count as a draw, too; the interval's own if that is unknown.

        Examples:
            >>> import dataclasses
            >>> interval = dataclasses.replace(paired_interval([1.0, 2.0, 3.0]), image_error=1.0)
            >>> [round(end, 2) for end in interval.of_other_images]
            [-1.16, 5.16]
        """
        quantile = _t(self.confidence, self.image_freedom or math.inf)
        half = math.hypot(self.high - self.points, quantile * (self.image_error or 0.0))
        return max(-ALL, self.points - half), min(ALL, self.points + half)

    @property
    def span(self) -> str:
        """The ends, for a reader; -0.0 is below zero.

        Examples:
            >>> paired_interval([1.0, 2.0, 3.0]).span
            '-0.5 to +4.5'
        """
        return f"{self.low:+.1f} to {self.high:+.1f}"


def paired_interval(
    differences: Sequence[float],
    *,
    confidence: float = 0.95,
    stage_one: int | None = None,
    resolution: float = 0.0,
) -> Interval:
    """Compute Student's interval over paired differences: mean ± t(n - 1) s / sqrt(n).

    Args:
        differences: One a seed, in points.
        confidence: Level, 0 to 1.
        stage_one: m: s and the degrees of freedom come from the first m differences alone, which
            keeps the confidence exact after `seeds_for_precision`.
        resolution: Points that one image counts. Scores are whole numbers of images: two equal
            differences are no certainty, and s is never below the rounding error.

    References:
        Stein, A Two-Sample Test for a Linear Hypothesis Whose Power is Independent of the Variance
        (1945).

    Examples:
        >>> interval = paired_interval([1.0, 2.0, 3.0])
        >>> round(interval.points, 2), round(interval.low, 2), round(interval.high, 2)
        (2.0, -0.48, 4.48)
    """
    values = np.asarray(differences, dtype=float)
    first = len(values) if stage_one is None else stage_one
    if first < 2:
        raise InputError(f"seeds: expected at least 2 for an interval, got {first}")
    spread = _scatter(values[:first], resolution) / math.sqrt(len(values))
    freedom = first - 1
    mean, half = float(values.mean()), _t(confidence, freedom) * spread
    return Interval(
        points=mean,
        low=mean - half,
        high=mean + half,
        per_seed=[float(value) for value in values],
        confidence=confidence,
        smallest_detectable=_detectable(confidence, freedom, POWER) * spread,
        stage_one=first,
    )


def _scatter(values: np.ndarray, resolution: float) -> float:
    """Return the standard deviation, at least that of the difference of two rounded numbers."""
    return max(float(values.std(ddof=1)), resolution / math.sqrt(6))


def seeds_for_precision(
    differences: Sequence[float],
    half_width: float,
    *,
    confidence: float = 0.95,
    resolution: float = 0.0,
) -> int:
    """Return how many seeds in all make the interval's half width at most `half_width` points.

    Stein's two-stage rule: n = max(m, ceil((t(m - 1) s_m / half_width)^2)) from the first m
    differences. The stop depends on their scatter only, never on their mean, so nothing is peeked
    at.

    Examples:
        >>> seeds_for_precision([1.0, 2.0, 3.0], 0.5)
        75
    """
    values = np.asarray(differences, dtype=float)
    spread = _scatter(values, resolution)
    root = _t(confidence, len(values) - 1) * spread / half_width
    # More than anybody trains, but a number: the square of an overflow has no ceiling.
    return max(len(values), math.ceil(min(root, 1e9) ** 2))


def _t(confidence: float, freedom: float) -> float:
    return float(stdtrit(freedom, 0.5 + confidence / 2))


def smallest_detectable(intervals: Sequence[Interval]) -> float:
    """Return the true mean that puts all intervals above zero with a probability of `POWER`.

    Of differences that scatter as these do; each interval misses it with its share of the rest
    (Bonferroni).
    """
    power = 1 - (1 - POWER) / len(intervals)
    return max(_detectable_by(interval, power) for interval in intervals)


def _detectable_by(interval: Interval, power: float) -> float:
    freedom = interval.stage_one - 1
    return _detectable(interval.confidence, freedom, power) * _standard_error(interval)


def _standard_error(interval: Interval) -> float:
    return (interval.high - interval.points) / _t(interval.confidence, interval.stage_one - 1)


@cache
def _detectable(confidence: float, freedom: int, power: float) -> float:
    """Return the true mean, in standard errors, whose interval lies above zero with a probability.

    t follows the noncentral distribution then.
    """
    from scipy import optimize, stats  # slow to import, and needed once a run

    critical = _t(confidence, freedom)
    mean_seen = optimize.brentq(
        lambda mean: stats.nct.sf(critical, freedom, mean) - power, 0, 2 * critical
    )
    return float(mean_seen)


def verdict(interval: Interval, over_rival: Interval | None = None) -> Verdict:
    """Return the verdict of an interval: above zero, below zero, or neither.

    It is "helps" only where the interval over the oracle baseline lies above zero, too.
    """
    if interval.low > 0 and (over_rival is None or over_rival.low > 0):
        return "helps"
    return "hurts" if interval.high < 0 else "no evidence"


def contradicts(interval: Interval, over_rival: Interval | None = None) -> bool:
    """Tell whether the interval, or that over the oracle baseline, lies below zero."""
    if interval.high < 0 or over_rival is None:
        return interval.high < 0
    return over_rival.points + _half_of_best(over_rival) < 0


def rival_leads(over_baseline: Interval) -> bool:
    """Tell whether the interval of a candidate's gain over the baseline lies above zero."""
    return over_baseline.points > _half_of_best(over_baseline)


def _half_of_best(interval: Interval) -> float:
    """Return half the width of the interval of the oracle baseline.

    It is the best of `RIVALS` on the same seeds, so the interval has to be wider (Bonferroni).
    """
    confidence = 1 - (1 - interval.confidence) / RIVALS
    return _t(confidence, interval.stage_one - 1) * _standard_error(interval)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several tests, so that the chance of any false alarm stays at the level.

    References:
        Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    adjusted_values, largest = np.empty(len(p_values)), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        adjusted_values[index] = min(1.0, largest)
    return [float(round(value, 12)) for value in adjusted_values]


def p_value(interval: Interval) -> float:
    """Return the two-sided p-value of a mean of zero.

    It is below 1 - `confidence` where zero lies outside the interval. The interval must have a
    width, which a `resolution` gives every one.

    Examples:
        >>> round(p_value(paired_interval([1.0, 2.0, 3.0])), 4)
        0.0742
    """
    t = interval.points / _standard_error(interval)
    return float(2 * stdtr(interval.stage_one - 1, -abs(t)))


def clearly_better(differences: Sequence[float], *, resolution: float = 0.0) -> bool:
    """Tell whether the mean lies above zero at a one-sided level of 5 %.

    That is required to recommend the costlier of two arms. The seeds must not have picked it. Where
    validation images of a given split did, the level is that for these images.
    """
    return paired_interval(differences, confidence=SURE, resolution=resolution).low > 0
