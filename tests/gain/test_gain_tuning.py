"""The training configuration and the steps, settled before any arm."""

import itertools
import math
from types import SimpleNamespace
from typing import Any

import pytest
from measurement import QUICK, measure, sources

import synthaug.gain.baselines as tuning
from synthaug import InputError, LabelledImages, TrainConfig
from synthaug.classifiers import Backbone

Way = tuple[TrainConfig, str | None]  # a recipe and the mix that it is tried with


SETTLED = ("standardize", "policy")


def settled_steps(tried: list[dict[str, Any]], first: int) -> tuple[int, str]:
    """What such trials settle: the last length that was worth doubling, and its best mix."""
    lengths = [list(group) for _, group in itertools.groupby(tried, lambda trial: trial["steps"])]
    bests = [max(group, key=lambda trial: trial["validation"]) for group in lengths]
    assert all({t["mix"] for t in group} == {"none", "mixup", "cutmix"} for group in lengths)
    assert [best["steps"] for best in bests] == [first * 2**i for i in range(len(bests))]
    # It stops at the first doubling that is not worth it, and keeps the length before.
    worth = [
        longer["validation"] >= shorter["validation"] + tuning.WORTH_DOUBLING - 1e-5
        for shorter, longer in itertools.pairwise(bests)
    ]
    assert all(worth[:-1])
    chosen = bests[-1] if not worth or worth[-1] else bests[-2]
    return chosen["steps"], chosen["mix"]


def test_tuning_settles_recipe_and_steps_before_any_arm(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "TUNING_STEPS", 4)
    monkeypatch.setattr(tuning, "MOST_STEPS", 16)
    normalisations = [{"standardize": True}, {"standardize": False}]
    monkeypatch.setattr(tuning, "CANDIDATES", (normalisations, tuning.POLICIES[:2]))
    settings = {k: v for k, v in QUICK.items() if k not in ("config", "steps")}
    gain = measure(train, test, **settings, sources=sources()[2:])
    tried = gain.protocol["tuning"]
    # The steps come first, then the recipe at those steps, then the steps again from there on.
    groups = [
        (settles, list(group))
        for settles, group in itertools.groupby(
            tried, lambda trial: next((name for name in SETTLED if name in trial), "steps")
        )
    ]
    assert [settles for settles, _ in groups][:3] == ["steps", "standardize", "policy"]
    length, mix = settled_steps(groups[0][1], first=4)
    for name, group in groups[1:3]:
        assert all((trial["steps"], trial["mix"]) == (length, mix) for trial in group)
        best = max(group, key=lambda trial: trial["validation"])
        assert gain.protocol["recipe"][name] == best[name]
    as_it_was = (
        gain.protocol["recipe"]["standardize"] and gain.protocol["recipe"]["policy"] == "shift"
    )
    assert len(groups) == (3 if as_it_was or length == 16 else 4)
    if len(groups) == 4:
        length, _ = settled_steps(groups[3][1], first=length)
    assert gain.protocol["steps"] == length
    told = [each for each in gain.protocol["caveats"] if each.startswith("tuning ends at 16 steps")]
    assert bool(told) == (length == 16)
    fixed = measure(train, test, **settings, steps=1, policy="rotate-scale", sources=sources()[2:])
    assert fixed.protocol["recipe"]["policy"] == "rotate-scale"
    with pytest.raises(InputError, match="policy: expected one of"):
        measure(train, test, **settings, policy="mirror", sources=sources()[2:])


def fake_trials(seeds: int) -> Any:
    experiment = SimpleNamespace(classifier=Backbone())
    return SimpleNamespace(experiment=experiment, seeds=list(range(seeds)))


def test_two_unlucky_seeds_do_not_end_the_training_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the steps are worth a point; on the first two seeds they look worth a fifth of it."""
    asked = []

    def score(
        _: object,
        ways: list[Way],
        steps: int,
        *,
        seeds: list[int] | None = None,
    ) -> list[float]:
        asked.extend((steps, mix, seeds) for _, mix in ways)
        worth = 0.01 if seeds is not None else 0.002
        reached = 0.5 + worth * min(math.log2(steps / 600), 1)
        return [reached - 0.1 * (mix is not None) for _, mix in ways]

    monkeypatch.setattr(tuning, "_score", score)
    found = tuning.tune(fake_trials(5), None, "shift", None)
    assert found.steps == 1200
    assert (600, None, [0, 1, 2, 3, 4]) in asked and (1200, None, [0, 1, 2, 3, 4]) in asked
    asked_all = [trial for trial in found.attempts if trial.get("seeds") == 5]
    assert [trial["steps"] for trial in asked_all] == [600, 1200, 1200, 2400]
    assert tuning.tune(fake_trials(2), None, "shift", None).steps == 600


def test_a_linear_probe_is_tried_at_rates_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the rates of fine-tuning it looks worse than it is."""
    asked: list[TrainConfig] = []

    def score(_: object, ways: list[Way], *_more: Any, **_seeds: Any) -> list[float]:
        recipes = [config for config, _ in ways]
        asked.extend(recipes)
        return [0.6 if r.frozen and r.learning_rate == 0.3 else 0.5 for r in recipes]

    monkeypatch.setattr(tuning, "_score", score)
    comparison = fake_trials(2)
    comparison.experiment.classifier = SimpleNamespace(pretrained=True)
    found = tuning.tune(comparison, None, "shift", None)
    assert (found.config.frozen, found.config.learning_rate) == (True, 0.3)
    probes = {config.learning_rate for config in asked if config.frozen}
    others = {config.learning_rate for config in asked if not config.frozen}
    assert probes == {0.03, 0.1, 0.3, 0.9}  # those on both sides of the best are tried, too
    assert others == {0.01, 0.03, 0.1}
    assert {config.policy for config in asked} == {"shift"}
    rows = [row for row in found.attempts if "frozen" in row]
    assert len(rows) == 7 and all("learning_rate" in row for row in rows)


@pytest.mark.parametrize("rate", [0.8, 0.1, 0.013])
@pytest.mark.parametrize("decay", [0.16, 0.01, 0.0008])
def test_tuning_goes_on_where_the_best_is_at_an_end(
    monkeypatch: pytest.MonkeyPatch, rate: float, decay: float
) -> None:
    """Whatever the best is, it was tried, and so was what lies on both sides of it."""
    asked: list[TrainConfig] = []

    def score(_: object, ways: list[Way], *_more: Any, **_seeds: Any) -> list[float]:
        recipes = [config for config, _ in ways]
        asked.extend(recipes)
        return [
            0.9
            - 0.01 * abs(math.log(each.learning_rate / rate))
            - 0.01 * abs(math.log(each.weight_decay / decay))
            for each in recipes
        ]

    monkeypatch.setattr(tuning, "_score", score)
    found = tuning.tune(fake_trials(2), None, "shift", 600)
    assert found.config.learning_rate == pytest.approx(rate, rel=0.1)
    assert found.config.weight_decay == pytest.approx(decay, rel=0.1)
    for name in ("learning_rate", "weight_decay"):
        numbers = [row[name] for row in found.attempts if name in row]
        assert min(numbers) < getattr(found.config, name) < max(numbers)
        assert len(numbers) == len(set(numbers))  # none is trained twice


def test_recipe_is_tuned_for_trainings_of_the_length_that_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is best for a short training is not for a long one."""

    def score(_: object, ways: list[Way], steps: int, **seeds: Any) -> list[float]:
        best = 1e-2 if steps <= 1200 else 2e-3
        learned = 0.5 + 0.02 * math.log2(steps / 600)
        return [
            learned
            + 0.04 * (mix == "mixup" and steps >= 2400)
            - 0.05 * (each.weight_decay != best)
            + 0.01 * (each.policy == "shift-flip")
            for each, mix in ways
        ]

    monkeypatch.setattr(tuning, "_score", score)
    comparison = fake_trials(2)
    found = tuning.tune(comparison, None, None, None)
    assert (found.steps, found.config.weight_decay) == (tuning.MOST_STEPS, 2e-3)
    assert found.config.policy == "shift-flip"
    assert found.at_limit and found.chose_steps
    assert all(trial["mix"] == "mixup" for trial in found.attempts if "policy" in trial)
    short = tuning.tune(comparison, None, "rotate-scale", 600)
    assert (short.steps, short.config.weight_decay, short.config.policy) == (
        600,
        1e-2,
        "rotate-scale",
    )
    assert not short.chose_steps
    assert tuning.tune(comparison, TrainConfig(), None, 600) == tuning.Tuning(
        TrainConfig(), 600, []
    )
    assert tuning.tune(comparison, TrainConfig(), None, None).steps == tuning.MOST_STEPS


def test_a_recipe_is_tuned_again_where_it_makes_longer_trainings_worth_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More steps pay with little weight decay alone, of which the usual is not."""

    def score(_: object, ways: list[Way], steps: int, **seeds: Any) -> list[float]:
        return [
            0.5
            - 10 * abs(each.weight_decay - 2e-3)
            + 0.05 * (each.weight_decay < 5e-3) * math.log2(steps / 600)
            for each, _ in ways
        ]

    monkeypatch.setattr(tuning, "_score", score)
    found = tuning.tune(fake_trials(2), None, None, None)
    tried = [trial["steps"] for trial in found.attempts if "weight_decay" in trial]
    assert set(tried) == {600, found.steps}
