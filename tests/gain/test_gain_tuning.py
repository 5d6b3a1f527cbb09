"""The training configuration and the steps, settled before any arm."""

import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from measurement import QUICK, measure, sources

import synthaug.gain.baselines as baselines
from synthaug import InputError, LabelledImages, TrainConfig
from synthaug.classifiers import Backbone
from synthaug.gain import Arm

SETTLED = ("standardize", "policy")


def settled_steps(tried: list[dict[str, Any]], first: int) -> tuple[int, str]:
    """What such trials settle: the last length that was worth doubling, and its best mix."""
    lengths = [list(group) for _, group in itertools.groupby(tried, lambda trial: trial["steps"])]
    bests = [max(group, key=lambda trial: trial["validation"]) for group in lengths]
    assert all({t["mix"] for t in group} == {"none", "mixup", "cutmix"} for group in lengths)
    assert [best["steps"] for best in bests] == [first * 2**i for i in range(len(bests))]
    # It stops at the first doubling that is not worth it, and keeps the length before.
    worth = [
        longer["validation"] >= shorter["validation"] + baselines.WORTH_DOUBLING - 1e-5
        for shorter, longer in itertools.pairwise(bests)
    ]
    assert all(worth[:-1])
    chosen = bests[-1] if not worth or worth[-1] else bests[-2]
    return chosen["steps"], chosen["mix"]


def test_tuning_settles_recipe_and_steps_before_any_arm(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "TUNING_STEPS", 4)
    monkeypatch.setattr(baselines, "MOST_STEPS", 16)
    normalisations = [{"standardize": True}, {"standardize": False}]
    monkeypatch.setattr(baselines, "CANDIDATES", (normalisations, baselines.POLICIES[:2]))
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


class Trials:
    """A comparison whose scores are made up, of a configuration, its steps and the seeds."""

    def __init__(self, seeds: int, score: Callable[[TrainConfig, int, list[int]], float]) -> None:
        self.experiment = SimpleNamespace(classifier=Backbone())
        self.seeds = list(range(seeds))
        self.steps = 0
        self.trainings: list[tuple[TrainConfig, int, list[int]]] = []
        self._score = score

    def train(self, arms: list[Arm], what: str, *, seeds: list[int]) -> None:
        self.trainings += [(arm.config, self.steps, seeds) for arm in arms]

    def validation(self, arms: list[Arm], *, seeds: list[int]) -> dict[Arm, np.ndarray]:
        return {arm: np.array([self._score(arm.config, self.steps, seeds)]) for arm in arms}


def tune(trials: Trials, config: TrainConfig | None, policy: str | None, steps: int | None) -> Any:
    return baselines.tune(trials, config, policy, steps)  # type: ignore[arg-type]


def test_two_unlucky_seeds_do_not_end_the_training_early() -> None:
    """Twice the steps are worth a point; on the first two seeds they look worth a fifth of it."""

    def score(config: TrainConfig, steps: int, seeds: list[int]) -> float:
        worth = 0.01 if len(seeds) == 5 else 0.002
        return 0.5 + worth * min(math.log2(steps / 600), 1) - 0.1 * (config.mix is not None)

    trials = Trials(5, score)
    tuning = tune(trials, None, "shift", None)
    assert tuning.steps == 1200
    on_all = [(steps, config.mix) for config, steps, seeds in trials.trainings if len(seeds) == 5]
    assert {(600, None), (1200, None)} <= set(on_all)
    attempts = [trial for trial in tuning.attempts if trial.get("seeds") == 5]
    assert [trial["steps"] for trial in attempts] == [600, 1200, 1200, 2400]
    assert tune(Trials(2, score), None, "shift", None).steps == 600


def test_a_linear_probe_is_tried_at_rates_of_its_own() -> None:
    """At the rates of fine-tuning it looks worse than it is."""
    trials = Trials(
        2, lambda config, *_: 0.5 + 0.1 * (config.frozen and config.learning_rate == 0.3)
    )
    trials.experiment.classifier = SimpleNamespace(pretrained=True)  # type: ignore[assignment]
    tuning = tune(trials, None, "shift", None)
    assert (tuning.config.frozen, tuning.config.learning_rate) == (True, 0.3)
    configs = [config for config, *_ in trials.trainings]
    probes = {config.learning_rate for config in configs if config.frozen}
    others = {config.learning_rate for config in configs if not config.frozen}
    assert probes == {0.03, 0.1, 0.3, 0.9}  # those on both sides of the best are tried, too
    assert others == {0.01, 0.03, 0.1}
    assert {config.policy for config in configs} == {"shift"}
    rows = [row for row in tuning.attempts if "frozen" in row]
    assert len(rows) == 7 and all("learning_rate" in row for row in rows)


@pytest.mark.parametrize("rate", [0.8, 0.1, 0.013])
@pytest.mark.parametrize("decay", [0.16, 0.01, 0.0008])
def test_tuning_goes_on_where_the_best_is_at_an_end(rate: float, decay: float) -> None:
    """Whatever the best is, it was tried, and so was what lies on both sides of it."""

    def score(config: TrainConfig, *_: Any) -> float:
        distance = abs(math.log(config.learning_rate / rate))
        return 0.9 - 0.01 * (distance + abs(math.log(config.weight_decay / decay)))

    tuning = tune(Trials(2, score), None, "shift", 600)
    assert tuning.config.learning_rate == pytest.approx(rate, rel=0.1)
    assert tuning.config.weight_decay == pytest.approx(decay, rel=0.1)
    for name in ("learning_rate", "weight_decay"):
        numbers = [row[name] for row in tuning.attempts if name in row]
        assert min(numbers) < getattr(tuning.config, name) < max(numbers)
        assert len(numbers) == len(set(numbers))  # none is trained twice


def test_the_config_is_tuned_for_trainings_of_the_length_chosen() -> None:
    """What is best for a short training is not for a long one."""

    def score(config: TrainConfig, steps: int, _: Any) -> float:
        best = 1e-2 if steps <= 1200 else 2e-3
        gains = 0.04 * (config.mix == "mixup" and steps >= 2400) + 0.01 * (
            config.policy == "shift-flip"
        )
        return 0.5 + 0.02 * math.log2(steps / 600) + gains - 0.05 * (config.weight_decay != best)

    trials = Trials(2, score)
    tuning = tune(trials, None, None, None)
    assert (tuning.steps, tuning.config.weight_decay) == (baselines.MOST_STEPS, 2e-3)
    assert tuning.config.policy == "shift-flip"
    assert tuning.at_limit and tuning.chose_steps
    assert all(trial["mix"] == "mixup" for trial in tuning.attempts if "policy" in trial)
    short = tune(trials, None, "rotate-scale", 600)
    assert (short.steps, short.config.weight_decay) == (600, 1e-2)
    assert short.config.policy == "rotate-scale"
    assert not short.chose_steps
    fixed = tune(trials, TrainConfig(), None, 600)
    assert fixed == baselines.Tuning(TrainConfig(), 600, [])
    assert tune(trials, TrainConfig(), None, None).steps == baselines.MOST_STEPS


def test_the_config_is_tuned_again_where_longer_trainings_then_pay() -> None:
    """More steps pay with little weight decay alone, of which the usual is not."""

    def score(config: TrainConfig, steps: int, _: Any) -> float:
        decay = config.weight_decay
        return 0.5 - 10 * abs(decay - 2e-3) + 0.05 * (decay < 5e-3) * math.log2(steps / 600)

    tuning = tune(Trials(2, score), None, None, None)
    lengths = [trial["steps"] for trial in tuning.attempts if "weight_decay" in trial]
    assert set(lengths) == {600, tuning.steps}
