import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import stdtrit

from synthaug.classifiers import BALANCED, error_of_images
from synthaug.core import InputError
from synthaug.gain import paired_interval, smallest_detectable
from synthaug.gain.statistics import (
    clearly_better,
    contradicts,
    holm,
    p_value,
    rival_leads,
    seeds_for_precision,
    verdict,
)

points = st.floats(-20, 20, allow_nan=False).map(lambda value: round(value, 3))
samples = st.lists(points, min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-3)


@given(samples)
def test_interval_and_p_value_are_those_of_scipy(values: list[float]) -> None:
    found = paired_interval(values)
    reference = stats.ttest_1samp(values, 0)
    low, high = reference.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.points == pytest.approx(np.mean(values))
    assert p_value(found) == pytest.approx(reference.pvalue, abs=1e-9)


@given(samples)
def test_verdict_agrees_with_the_test_at_five_percent(values: list[float]) -> None:
    p = float(stats.ttest_1samp(values, 0).pvalue)
    if abs(p - 0.05) > 1e-6:
        assert (verdict(paired_interval(values)) != "no evidence") == (p < 0.05)
    if verdict(paired_interval(values)) == "helps":
        assert np.mean(values) > 0


def test_verdicts() -> None:
    assert verdict(paired_interval([1.0, 1.1, 0.9])) == "helps"
    assert verdict(paired_interval([-1.0, -1.1, -0.9])) == "hurts"
    assert verdict(paired_interval([-1.0, 1.1, -0.9])) == "no evidence"
    assert verdict(paired_interval([0.0, 0.0])) == "no evidence"


def test_one_seed_gives_no_interval() -> None:
    with pytest.raises(InputError, match="expected at least 2"):
        paired_interval([1.0])


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_a_gain_of_the_smallest_detectable_size_is_told_four_times_in_five(seeds: int) -> None:
    """Where runs scatter as this one does, whose differences have a deviation of one point."""
    run = np.arange(seeds) / np.std(np.arange(seeds), ddof=1)
    planted = paired_interval(list(run)).smallest_detectable
    drawn = np.random.default_rng(0).normal(planted, 1, (100_000, seeds))
    low = stats.ttest_1samp(drawn, 0, axis=1).confidence_interval(0.95).low
    assert np.mean(low > 0) == pytest.approx(0.8, abs=0.006)


@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_a_gain_over_two_arms_is_told_at_least_four_times_in_five(alike: float) -> None:
    run = paired_interval(list(np.arange(5) / np.std(np.arange(5), ddof=1)))
    planted = smallest_detectable([run, run])
    noise = np.random.default_rng(0).normal(0, 1, (2, 20_000, 5))
    noise[1] = alike * noise[0] + math.sqrt(1 - alike**2) * noise[1]
    low = stats.ttest_1samp(planted + noise, 0, axis=2).confidence_interval(0.95).low
    assert 0.8 <= np.mean((low > 0).all(0)) < 0.9
    assert np.mean(low > 0) == pytest.approx(0.9, abs=0.006)


def test_a_rival_leads_beyond_the_luck_of_the_better_of_two() -> None:
    """Two arms that are as good as the baseline: the better of them is seldom said to lead."""
    drawn = np.random.default_rng(0).normal(0, 1, (4000, 2, 5))
    better = np.take_along_axis(drawn, drawn.mean(2).argmax(1)[:, None, None], 1)[:, 0]
    assert np.mean([rival_leads(paired_interval(list(each))) for each in better]) < 0.03
    assert rival_leads(paired_interval([5.0, 5.5, 4.5, 5.2, 4.9]))


@pytest.mark.parametrize("half_width", [0.5, 1.0])
def test_seeds_added_for_precision_keep_the_confidence(half_width: float) -> None:
    rng = np.random.default_rng(1)
    covered, widths = [], []
    for _ in range(1200):
        first = rng.normal(0.7, 1.5, 5)
        count = seeds_for_precision(list(first), half_width)
        values = np.concatenate([first, rng.normal(0.7, 1.5, count - 5)])
        found = paired_interval(list(values), stage_one=5)
        covered.append(found.low <= 0.7 <= found.high)
        widths.append((found.high - found.low) / 2)
    assert np.mean(covered) >= 0.94
    assert max(widths) <= half_width + 1e-9


@given(samples.filter(lambda values: len(values) > 3), points)
def test_after_seeds_were_added_p_value_and_interval_agree(
    values: list[float], shift: float
) -> None:
    moved = [value + shift for value in values]
    if np.std(moved[:3]) < 1e-3:
        return
    found = paired_interval(moved, stage_one=3)
    p = p_value(found)
    if abs(p - 0.05) > 1e-6:
        assert (verdict(found) != "no evidence") == (p < 0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_closed_test_procedure(p_values: list[float]) -> None:
    """Adjusted p of hypothesis i = the largest Bonferroni p of the smallest sets that hold it."""
    adjusted = holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for index, value in enumerate(adjusted):
        rank = order.index(index)
        steps = [min(1, (len(p_values) - r) * p_values[order[r]]) for r in range(rank + 1)]
        assert value == pytest.approx(max(steps), abs=1e-9)


def test_the_best_of_two_rivals_contradicts_no_more_often_than_one_would() -> None:
    """Two arms without synthetic images are equal to the chosen one; the better speaks."""
    rng = np.random.default_rng(4)
    even, said = paired_interval([-1.0, 1.0]), []
    for _ in range(4000):
        scores = rng.normal(0, 1, (3, 5))
        over = [paired_interval(list(scores[0] - rival)) for rival in scores[1:]]
        said.append(contradicts(even, min(over, key=lambda interval: interval.points)))
    assert 0.015 < np.mean(said) < 0.03  # one end of 95 %
    assert contradicts(paired_interval([-1.0, -1.1, -0.9])) and not contradicts(even)


@given(samples)
def test_clearly_better_is_a_one_sided_test_at_five_percent(values: list[float]) -> None:
    p = float(stats.ttest_1samp(values, 0, alternative="greater").pvalue)
    if abs(p - 0.05) > 1e-6:
        assert clearly_better(values) == (p < 0.05)
    assert not clearly_better([0.0, 0.0, 0.0])


@pytest.mark.parametrize("half_width", [1e-9, 1e-300, 5e-324])
def test_a_precision_that_no_number_of_seeds_reaches_asks_for_many(half_width: float) -> None:
    assert seeds_for_precision([1.0, 2.0, 3.0], half_width) > 10**9


def test_equal_differences_of_few_images_are_no_certainty() -> None:
    """Scores are whole numbers of images: with 12 of them, two seeds often differ alike."""
    image = 100 / 12
    tie = [image, image]
    assert verdict(paired_interval(tie)) == "helps"
    found = paired_interval(tie, resolution=image)
    deviation = image / np.sqrt(6)  # of the difference of two numbers rounded to images
    half = stats.t.ppf(0.975, 1) * deviation / np.sqrt(2)
    assert (found.low, found.high) == pytest.approx((image - half, image + half))
    assert verdict(found) == "no evidence"
    assert not clearly_better(tie, resolution=image)
    assert 0.05 < p_value(found) < 1
    assert paired_interval([0.0, 0.0, 0.0], resolution=image).smallest_detectable > image / 2
    assert seeds_for_precision(tie, 1.0, resolution=image) > 1000
    # A wider scatter is left as it is.
    values = [-20.0, 3.0, 12.0]
    assert paired_interval(values, resolution=image) == paired_interval(values)


def test_the_floor_is_the_scatter_of_rounding() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.uniform(0, 100, (100_000, 2))
    error = np.diff(np.round(pairs / 2) * 2 - pairs)
    assert np.std(error) == pytest.approx(2 / np.sqrt(6), rel=0.01)


def test_other_images_widen_the_interval() -> None:
    interval = paired_interval([1.0, 2.0, 3.0])
    assert interval.image_error is None
    assert interval.of_other_images == pytest.approx((interval.low, interval.high))
    low, high = replace(interval, image_error=2.0).of_other_images
    half = math.hypot(interval.high - interval.points, 2 * stats.norm.ppf(0.975))
    assert (low, high) == pytest.approx((2 - half, 2 + half))
    # Where few images make it, it is known as badly as they tell it.
    low, high = replace(interval, image_error=2.0, image_freedom=3.0).of_other_images
    half = math.hypot(interval.high - interval.points, 2 * stats.t.ppf(0.975, 3))
    assert (low, high) == pytest.approx((2 - half, 2 + half))
    assert replace(interval, image_error=50.0).of_other_images[1] == pytest.approx(100)


@pytest.mark.parametrize("metric", ["accuracy", BALANCED])
def test_error_of_images_is_what_drawing_them_again_gives(metric: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [300, 150, 50])
    apart = rng.choice([-1, -0.4, 0, 0.6], len(labels), p=[0.1, 0.2, 0.5, 0.2]) + 0.2 * labels

    def score(rows: np.ndarray) -> float:
        if metric == "accuracy":
            return 100 * float(apart[rows].mean())
        means = [apart[rows][labels[rows] == k].mean() for k in range(3)]
        return 100 * float(np.mean(means))

    drawn = [score(rng.integers(len(labels), size=len(labels))) for _ in range(3000)]
    found = error_of_images(apart, labels, metric)
    assert found is not None and found.points == pytest.approx(np.std(drawn), rel=0.06)
    assert found.freedom > 100
    # Two images of each patient, of whom both say the same, are as many draws as patients.
    twice = (np.repeat(apart, 2), np.repeat(labels, 2))
    patients = np.repeat([f"patient {i}" for i in range(len(labels))], 2)
    assert error_of_images(*twice, metric, patients) == pytest.approx(found)
    alone = error_of_images(*twice, metric)
    assert alone is not None and alone.points < 0.75 * found.points


@pytest.mark.parametrize("counts", [(60, 30, 10, 1), (50, 20, 5, 2), (40, 30, 14, 6), (100, 100)])
def test_error_of_images_holds_zero_where_there_is_no_effect(counts: tuple[int, ...]) -> None:
    """Of rare classes, too, whose few images make most of it."""
    rng = np.random.default_rng(0)
    labels, outside = np.repeat(np.arange(len(counts)), counts), 0
    for _ in range(400):
        apart = rng.choice([-1, -0.6, 0, 0.6, 1], len(labels), p=[0.06, 0.06, 0.76, 0.06, 0.06])
        points = 100 * np.mean([apart[labels == k].mean() for k in range(len(counts))])
        error = error_of_images(apart, labels, BALANCED)
        assert error is not None
        outside += abs(points) > stdtrit(error.freedom, 0.975) * error.points
    assert outside <= 0.08 * 400


@pytest.mark.parametrize("patients", [3, 6, 20])
def test_error_of_images_knows_how_few_groups_there_are(patients: int) -> None:
    rng = np.random.default_rng(0)
    groups, outside = np.repeat(np.arange(patients), 10), 0
    for _ in range(400):
        apart = rng.normal(0, 0.3, patients)[groups] + rng.normal(0, 0.3, len(groups))
        error = error_of_images(apart, np.zeros(len(groups), int), "accuracy", groups)
        assert error is not None and error.freedom == pytest.approx(patients - 1)
        outside += abs(100 * apart.mean()) > stdtrit(error.freedom, 0.975) * error.points
    assert outside <= 0.08 * 400


def test_the_only_draw_of_a_class_is_no_certainty() -> None:
    """One image, or one patient with several, that alone makes all of the gain."""
    for few in (1, 30):
        labels = np.repeat([0, 1, 2], [100, 100, few])
        groups = np.append(np.arange(200), np.full(few, 200))
        error = error_of_images((labels == 2).astype(float), labels, BALANCED, groups)
        assert error is not None
        assert error.points == pytest.approx(100 / 3)  # as far as it is from the others, a third
        assert error.freedom == pytest.approx(1)


def test_one_draw_says_nothing_of_others() -> None:
    for count, groups in ((1, None), (4, np.array(["a"] * 4))):
        ones = np.ones(count)
        assert error_of_images(ones, np.zeros(count, int), "accuracy", groups) is None
