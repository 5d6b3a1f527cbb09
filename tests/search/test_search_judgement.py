"""What the search recommends, and on what evidence."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats
from search_scores import Made, good

from synthaug.core import InputError
from synthaug.gain import Arm
from synthaug.search import Budget

pytest.importorskip("optuna", reason="needs Optuna")


def test_where_the_winner_cannot_be_checked_the_next_one_is(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, winner = Made.train, run(good)[0].search["best"]

    def failing(self: Made, arms: Sequence[Arm], what: str, **options: Any) -> None:
        if what == "checking the best" and winner in [arm.name for arm in arms]:
            raise InputError("the filters left 3 of 400 images")
        train(self, arms, what, **options)

    monkeypatch.setattr(Made, "train", failing)
    mix, _ = run(good)
    assert mix.search["best"] not in (None, winner)
    assert any(winner in each and "left 3 of 400" in each for each in mix.search["caveats"])


def test_the_one_that_is_not_clearly_beaten_is_the_one_shown(run: Callable) -> None:
    """Of the two that a way with mixed labels has to beat."""

    def noisy(arm: Arm, seed: int) -> float:
        if arm.distilled:
            return 0.5 + 0.1 * (seed % 3)  # on the mean far behind, but not on each seed
        return 0.6 if arm.source is None else 0.7 if arm.labels == "mixed" else 0.5

    mix, _ = run(noisy)
    assert mix.labels == "mixed" and not mix.recommended
    assert mix.search["checked_over"].endswith("distilled")
    assert mix.search["check"]["low"] <= 0
    # To be seen, a gain has to be seen over each of them.
    assert mix.search["smallest_detectable"] > mix.search["check"]["smallest_detectable"]


def test_how_small_a_gain_it_could_have_seen_is_that_of_its_own_test(run: Callable) -> None:
    mix, _ = run(lambda arm, seed: 0.5 + 0.01 * (arm.source is not None) * (1 + seed % 3))
    check = mix.search["check"]
    assert check["per_seed"] == pytest.approx([1.0, 2.0, 3.0])
    assert mix.recommended  # one-sided at 5 %, which the usual interval would not show
    assert 0 < check["low"] < 0.5
    # Power of a one-sided t test with 2 degrees of freedom.
    noncentral = check["smallest_detectable"] / (1 / np.sqrt(3))
    power = stats.nct.sf(stats.t.ppf(0.95, 2), 2, noncentral)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_a_way_has_to_beat_what_it_is_without_synthetic_images(run: Callable) -> None:
    """Which may be better than the baseline, that was the best on the seeds of the search."""

    def lucky(arm: Arm, seed: int) -> float:
        if arm.source is not None:
            return 0.62 if arm.config.mix == "mixup" else 0.3
        return 0.5 + 0.05 * (
            arm.config.mix != "mixup" if seed < 3 else 2 * (arm.config.mix == "mixup")
        )

    mix, made = run(lucky)
    assert mix.training["partner"] == "mixup"
    assert ("mixup", 3) in made.trained and mix.search["checked_over"] == "mixup"
    assert mix.search["check"]["points"] == pytest.approx(2.0)


@pytest.mark.usefixtures("on_disk")
def test_a_winner_after_another_says_that_seeds_were_asked_before(run: Callable) -> None:
    def first(arm: Arm, seed: int) -> float:
        return 0.5 + 0.01 * (arm.source is not None)

    def other(arm: Arm, seed: int) -> float:
        return first(arm, seed) + 0.1 * (arm.source is not None and arm.name not in known)

    told = "went on, and all of them were checked on the same seeds"
    one, made = run(first, budget=Budget(trials=8))
    known = {name for name, _ in made.trained}
    same, _ = run(first, budget=Budget(trials=8))
    two, _ = run(other, budget=Budget(trials=24))
    assert two.search["best"] != one.search["best"] == same.search["best"]
    assert [any(told in each for each in mix.search["caveats"]) for mix in (one, same, two)] == [
        False,
        False,
        True,
    ]


def test_luck_in_the_search_is_no_recommendation(run: Callable) -> None:
    mix, _ = run(lambda arm, seed: 0.5 + (0.05 if arm.source is not None and seed < 3 else 0.0))
    assert mix.search["tried"][0]["points"] == pytest.approx(5.0)
    assert mix.search["check"]["points"] == pytest.approx(0.0)
    assert not mix.recommended
    assert mix.generator is not None  # which gain --mix-config measures all the same


def test_mixed_labels_are_no_gain_where_they_are_as_good_without_synthetic_images(
    run: Callable,
) -> None:
    """With the teacher's labels MixUp is as good with synthetic images as without."""

    def softened(arm: Arm, seed: int) -> float:
        soft = arm.distilled or (arm.source is not None and arm.labels == "mixed")
        return 0.5 + 0.05 * (soft and arm.config.mix == "mixup")

    mix, made = run(softened)
    assert (mix.labels, mix.training["partner"]) == ("mixed", "mixup")
    assert mix.search["tried"][0]["points"] == pytest.approx(5.0)
    assert mix.search["baseline"] == "classical"  # what the search compared with
    assert mix.search["checked_over"] == "mixup, distilled"
    assert ("mixup, distilled", 3) in made.trained
    assert mix.search["check"]["points"] == pytest.approx(0.0)
    assert not mix.recommended


def test_mixed_labels_have_to_gain_over_the_baseline_and_over_their_partner_with_such_labels(
    run: Callable,
) -> None:
    """Softened, MixUp was the better of the two on the seeds of the search, and the worse on the
    others: the baseline is as good as the winner there."""

    def softened(arm: Arm, seed: int) -> float:
        if arm.source is not None:
            return 0.6 * (arm.labels == "mixed" and arm.config.mix == "mixup")
        if seed < 3:
            return 0.55 if arm.distilled else 0.5
        return 0.5 if arm.distilled else 0.6

    mix, made = run(softened)
    assert mix.labels == "mixed"
    assert {("mixup, distilled", 3), ("classical", 3)} <= set(made.trained)
    assert mix.search["checked_over"] in ("classical", "mixup")
    assert not mix.recommended
