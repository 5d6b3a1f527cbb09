"""The search for a way of mixing: what it proposes, gives up, and recommends. Scores are made up,
so that nothing is trained; the command's own test trains."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measurement import search as search_for_mix
from search_scores import REAL, Made, good, is_gan

import synthaug.search.rounds as rounds
import synthaug.search.space as space
from synthaug.core import InputError, TrainingError
from synthaug.data import LabelledImages
from synthaug.gain import Arm
from synthaug.generators import Composite, StyleSwap, TransferVAE
from synthaug.mixing import MixConfig
from synthaug.search import Budget

pytest.importorskip("optuna", reason="needs Optuna")


def test_the_best_way_is_found_and_checked_on_seeds_of_its_own(run: Callable) -> None:
    mix, made = run(good, budget=Budget(trials=100))
    assert isinstance(mix.generator, StyleSwap)
    assert (mix.ratio, mix.training["partner"]) == (0.125, "mixup")
    assert mix.training["recipe"]["mix"] == "mixup"
    assert mix.search["checked_over"] == "mixup"
    # Each proposal on the seeds of the search; the winner and the baseline on the others, last.
    searching = [seed for _, seed in made.trained[: -2 * 3]]
    assert set(searching) == {0, 1, 2} == set(mix.search["seeds"])
    assert [seed for _, seed in made.trained[-2 * 3 :]] == 2 * [3, 4, 5]
    assert mix.search["check"]["points"] == pytest.approx(3.0)
    assert mix.recommended


def test_a_recipe_says_what_its_images_leave_open(run: Callable) -> None:
    others = np.random.default_rng(0).integers(0, 255, (21, 1, 8, 8), np.uint8)
    others[0] = 0  # as one of the training images is
    validation = LabelledImages(others, np.zeros(21, np.int64), ["a", "b"])
    mix, _ = run(good, validation=validation)
    twice, unseen, alike, judged, length = mix.search["caveats"]
    assert length.startswith("the number of steps was given, not tuned")
    assert judged.startswith("all seeds are judged by the same validation images")
    assert twice == "1 of the 21 validation images are train images, too"
    assert unseen.startswith("there is no validation image of 'b'")
    assert alike.startswith("all seeds train on the same real images")


def test_those_that_others_beat_or_that_cannot_be_trained_are_given_up(run: Callable) -> None:
    mix, made = run(good, budget=Budget(trials=60))
    ends = mix.search["trials"]
    assert ends["pruned"] >= 5 and ends["complete"] >= 5
    assert sum(ends.values()) == 60
    per_seed = [len({name for name, at in made.trained if at == seed}) for seed in range(3)]
    assert per_seed[0] > 1.5 * per_seed[1] > 1.5 * per_seed[2]
    assert mix.generator is not None
    assert "memorization" not in mix.filters
    # What failed teaches the search: a third of the space fails, and it is not proposed as often.
    assert 1 <= ends["fail"] <= 12


def test_each_round_keeps_its_better_half_whatever_its_order(run: Callable) -> None:
    """The second best of the first round comes after the best, and only just behind it."""
    names = ["blend", "style-swap"]

    def close(arm: Arm, seed: int) -> float:
        places = [place for place, name in enumerate(names) if arm.name.startswith(name)]
        return 0.5 if arm.source is None else 0.531 - 0.001 * places[0] if places else 0.4

    _, made = run(close, budget=Budget(trials=8))
    for name in names:
        assert {seed for arm, seed in made.trained if arm.startswith(name)} >= {0, 1, 2}
    others = {arm for arm, seed in made.trained if seed == 2 and "0.25" in arm}
    assert all(arm.startswith(tuple(names)) for arm in others)


def test_none_is_tried_twice_nor_counted_twice(run: Callable) -> None:
    mix, made = run(good, families=["style-swap", "patch-swap"], budget=Budget(trials=50))
    ends = mix.search["trials"]
    trained = {name for name, seed in made.trained if seed == 0 and "swap" in name}
    assert len(trained) + ends["fail"] == sum(ends.values()) == 50
    shown = {row["arm"]: row["points"] for row in mix.search["tried"]}
    for name, points in shown.items():
        ratio = float(re.findall(r" (0\.\d+) ", name)[0])
        over = (0.03 if name.startswith("style-swap") else -0.05) - 0.1 * (ratio - 0.125)
        expected = over - 0.01 * ("mixup" not in name)
        assert points == pytest.approx(100 * expected, abs=0.01)


def test_nothing_is_built_on_what_was_given_up(run: Callable, monkeypatch: Any) -> None:
    """It has the better mean, on fewer seeds."""
    monkeypatch.setattr(Made, "seeds_of", lambda self, arm: self.seeds[: 2 + (arm == REAL[0])])
    mix, made = run(good, budget=Budget(trials=20))
    assert mix.training["partner"] == "classical"
    assert not any(name.endswith(", mixup") for name, _ in made.trained)


def test_a_training_that_breaks_down_does_not_end_the_search(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Made.train

    def breaking(self: Made, arms: Sequence[Arm], *others: Any, **options: Any) -> None:
        if any(is_gan(arm) for arm in arms):
            raise TrainingError("one of the processes was ended from outside")
        train(self, arms, *others, **options)

    monkeypatch.setattr(Made, "train", breaking)
    mix, _ = run(good, budget=Budget(trials=30))
    assert mix.search["trials"]["fail"] >= 1 and mix.search["trials"]["complete"] >= 5


def test_a_training_that_diverges_does_not_end_the_search(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a round nor on the seeds of the check."""

    def diverging(_: Made, arms: Sequence[Arm], seeds: list[int]) -> None:
        for arm in arms:
            if is_gan(arm) or (arm.source is not None and max(seeds) > 2):
                raise TrainingError(f"{arm.name}: the loss is not a number")

    monkeypatch.setattr(Made, "expect_trained", diverging)
    mix, made = run(good, budget=Budget(trials=30))
    assert mix.search["trials"]["fail"] >= 1 and mix.search["trials"]["complete"] >= 5
    diverged = [each for each in mix.search["errors"] if "not a number" in each]
    assert diverged and all(each.startswith("gan") for each in diverged)
    # On the seeds of the check nothing with synthetic images could be trained at all.
    assert mix.search["best"] is None and not mix.recommended
    tried = {name for name, seed in made.trained if seed > 2}
    said = [each for each in mix.search["caveats"] if "on the seeds of the check" in each]
    assert len(said) == mix.search["trials"]["complete"]
    assert {each.partition(" could not")[0] for each in said} <= tried


def test_leaks_are_refused_before_the_search() -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 1, 8, 8), dtype=np.uint8)
    groups = np.arange(40) // 2
    train = LabelledImages(images, np.repeat([0, 1], 20), ["a", "b"], groups)
    other = LabelledImages(images, train.labels, ["a", "c"])
    with pytest.raises(InputError, match="validation: expected the training classes"):
        search_for_mix(train, Budget(trials=1), validation=other)
    with pytest.raises(InputError, match="group"):
        search_for_mix(train, Budget(trials=1), validation=train)


def test_a_space_that_is_searched_through_ends_before_the_budget(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "REPEATS", 30)
    mix, made = run(good, families=["random-field"], budget=Budget(seconds=3600))
    names = {name for name, _ in made.trained if name.startswith("random-field")}
    assert len(names) <= 2 * 3 * 2 * 2  # filters that leave something, ratios, labels, partners
    assert not mix.recommended  # it is worse than none


def test_a_budget_that_is_over_at_once_recommends_none(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds.Rounds, "run", lambda *_: None)
    mix, _ = run(good)
    assert (mix.generator, mix.search["check"], mix.recommended) == (None, None, False)


@pytest.mark.parametrize("most", [20, 1])
def test_one_network_a_class_only_where_classes_are_few(
    run: Callable, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "MOST_PER_CLASS", most)
    _, made = run(good, families=["gan"], budget=Budget(trials=12))
    assert any("per-class" in name for name, _ in made.trained) == (most == 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 1}, "seeds: expected an integer of at least 2, got 1"),
        ({"budget": 1200}, r"budget: expected a Budget, as Budget\(seconds=1200\), got 1200"),
        ({"families": ["diffusion"]}, "families: expected some of transfer"),
        ({"families": []}, "families: expected some of transfer"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Callable, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(good, **options)
    for wrong in ({}, {"seconds": 0.0}, {"seconds": "20m"}, {"trials": -1}, {"trials": 2.5}):
        with pytest.raises(InputError, match="budget"):
            Budget(**wrong)


def test_sampling_settings_are_in_the_recipe(run: Callable) -> None:
    def within(arm: Arm, seed: int) -> float:
        told = arm.source is not None and arm.source.sampling.get("donors") == "within"
        return 0.6 if told else 0.5

    mix, _ = run(within)
    assert isinstance(mix.generator, TransferVAE)
    assert mix.generator.donors == "within"


@pytest.mark.parametrize(
    ("family", "parts", "kinds"),
    [("blend", ["vae", "style-swap"], 3), ("chain", ["patch-swap", "style-swap"], 4)],
)
def test_a_composite_is_proposed_kept_and_read_again(
    run: Callable, tmp_path: Path, family: str, parts: list[str], kinds: int
) -> None:
    def wanted(arm: Arm, seed: int) -> float:
        return 0.6 if f"of {' and '.join(parts)}" in arm.name else 0.5

    mix, made = run(wanted, families=[family], budget=Budget(trials=40))
    mix.save(tmp_path / "recipe.json")
    assert MixConfig.load(tmp_path / "recipe.json").generator == mix.generator
    assert isinstance(mix.generator, Composite)
    assert [part.name for part in mix.generator.parts] == parts
    proposed = {name.split(" 0.")[0] for name, _ in made.trained if name.startswith(family)}
    ways = {re.sub(" (per-class|distance filter|memorization filter)", "", n) for n in proposed}
    assert len(ways) == kinds
    # A scope says nothing about what does not learn.
    assert all("vae" in name or "transfer" in name for name in proposed if "per-class" in name)
