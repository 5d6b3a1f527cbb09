"""Arms that fall far behind on the first seeds are not trained on the others."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from measurement import measure
from rich.console import Console

import synthaug.gain.runs.comparison as trials_module
from synthaug import ConditionalVAE, RandomField, StyleSwap, TrainConfig, read_images
from synthaug.cli.output import show_gain
from synthaug.data import draw_subset
from synthaug.gain import Arm, Comparison, Source
from synthaug.gain.report import write_report

ARMS = {name: Arm(name, TrainConfig()) for name in ("best", "near", "far", "other")}


class Raced(Comparison):
    """Trials with scores that are given, one for each arm and seed; who gets fewer images right,
    gets none right that the others do not."""

    def __init__(self, scores: dict[str, Sequence[float]], held: list[int]) -> None:
        experiment: Any = SimpleNamespace(train=SimpleNamespace(classes="abcdef"[: len(held)]))
        runner: Any = None
        super().__init__(experiment, runner, "accuracy", list(range(5)))
        self.trained: dict[str, set[int]] = {}
        self.asked: list[list[int]] = []
        self._made, self._held = scores, held

    def train(self, arms: Sequence[Arm], what: str, *, seeds: list[int] | None = None) -> None:
        self.asked.append(seeds or self.seeds)
        for arm in arms:
            self.trained.setdefault(arm.name, set()).update(self.asked[-1])

    def hits(self, arm: Arm, seed: int) -> tuple[np.ndarray, np.ndarray]:
        assert seed in self.trained[arm.name]
        score = self._made[arm.name][seed]
        right = [np.arange(count) < round(score * count) for count in self._held]
        return np.repeat(np.arange(len(self._held)), self._held), np.concatenate(right)


def test_those_far_behind_keep_to_the_first_seeds() -> None:
    scores = {
        "best": [0.8, 0.8, 0.5, 0.5, 0.5],
        "near": [0.79] * 5,
        "far": [0.7] * 2 + [1.0] * 3,
    }
    raced = Raced(scores, [2000, 2000])
    raced.race([ARMS[name] for name in scores], "racing")
    # What was ahead on two seeds is far behind on three.
    assert raced.trained == {"best": {0, 1, 2}, "near": set(range(5)), "far": {0, 1}}
    assert raced.seeds_of(ARMS["far"]) == [0, 1]
    assert raced.seeds_of(ARMS["best"]) == [0, 1, 2]
    assert raced.best([ARMS[name] for name in scores]) is ARMS["near"]
    assert len(raced.validation([ARMS["far"]])[ARMS["far"]]) == 2


@pytest.mark.parametrize("held", [[100, 100], [40, 400], [5000, 5000, 5000]])
@pytest.mark.parametrize("seeds", [2, 4])
def test_far_is_two_standard_errors_of_images_and_of_training(held: list[int], seeds: int) -> None:
    """Recomputed one image at a time: classes count alike, and only images that one of the two gets
    right; a training scatters by one point."""
    rng = np.random.default_rng(seeds)
    score = {"best": 0.8, "other": 0.76}
    raced = Raced({name: [value] * 5 for name, value in score.items()}, held)
    drawn = {
        (name, seed): rng.random(sum(held)) < value
        for name, value in score.items()
        for seed in range(seeds)
    }
    labels = np.repeat(np.arange(len(held)), held)
    raced.hits = lambda arm, seed: (labels, drawn[arm.name, seed])  # type: ignore[method-assign]
    differ = np.mean([drawn["best", seed] != drawn["other", seed] for seed in range(seeds)])
    variance = sum(
        differ / (len(held) * count * seeds) ** 2 for count in held for _ in range(count * seeds)
    )
    expected = np.sqrt(variance + 2 * 0.01**2 / seeds)
    found = raced._standard_error(ARMS["other"], ARMS["best"], list(range(seeds)))
    assert found == pytest.approx(expected)


def test_an_arm_is_raced_beside_those_before_it() -> None:
    raced = Raced({"best": [0.9] * 5, "other": [0.5] * 5}, [5000, 5000])
    raced.race([ARMS["best"]], "racing")
    raced.race([ARMS["other"]], "racing", beside=[ARMS["best"]])
    assert raced.trained["other"] == {0, 1}


def test_an_arm_that_is_alone_is_trained_on_all_other_seeds_at_once() -> None:
    raced = Raced({"best": [0.9] * 5, "other": [0.9] * 2 + [0.1] * 3}, [5000, 5000])
    raced.race([ARMS["best"]], "racing")
    raced.race([ARMS["other"]], "racing", beside=[ARMS["best"]])
    assert raced.asked == [[0, 1], [0, 1, 2, 3, 4]] * 2
    assert raced.seeds_of(ARMS["other"]) == raced.seeds


def test_an_arm_is_raced_against_its_like() -> None:
    """The best control is wanted, too, however far it is behind trained generators."""
    generators = {"style-swap": StyleSwap(), "random-field": RandomField(), "vae": ConditionalVAE()}
    arms = [
        Arm(name, TrainConfig(), Source(name, generator), 0.5)
        for name, generator in generators.items()
    ]
    scores = {"best": 0.95, "vae": 0.9, "style-swap": 0.8, "random-field": 0.7}
    raced = Raced({name: [score] * 5 for name, score in scores.items()}, [5000, 5000])
    raced.race([ARMS["best"]], "racing")
    raced.race(arms, "racing", beside=[ARMS["best"]])
    assert {name: len(seeds) for name, seeds in raced.trained.items()} == {
        "best": 5,
        "vae": 5,
        "style-swap": 5,
        "random-field": 2,
    }


def test_a_result_says_on_how_few_seeds_an_arm_was_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trials_module, "MOST_ERRORS", 0.0)
    data = read_images("digits", image_size=8)
    gain = measure(
        data.subset(draw_subset(data, 20, seed=0)),
        read_images("digits", split="test", image_size=8).subset(np.arange(100)),
        sources=[Source("style-swap", StyleSwap(cells=2))],
        per_class=5,
        seeds=3,
        steps=8,
        batch_size=16,
        config=TrainConfig(),
        search="quick",
        device="cpu",
        cache=tmp_path / "cells",
        keep=True,
    )
    lengths = {arm.name: len(arm.choice_scores) for arm in gain.arms}
    best = {gain.baseline, gain.control, gain.chosen["arm"]} - {None}
    assert {lengths[str(name)] for name in best} == {3}
    again = {arm.name for arm in gain.arms if arm.seeds == gain.protocol["seeds"]}
    assert best < again and len(again - best) == 2  # and those that the rival is chosen from
    short = [name for name, length in lengths.items() if length == 2]
    assert short
    last = [path.name for path in tmp_path.glob("cells/*/cells/*-seed2-*")]
    assert len(last) == len(set(lengths) - set(short))  # what was given up is not trained after all
    for arm in gain.arms:
        assert arm.seeds == ([3, 4, 5] if arm.name in again else list(range(lengths[arm.name])))
        lists = (arm.accuracy, arm.seconds, arm.validation_accuracy, arm.per_class)
        assert {len(each) for each in lists} == {len(arm.seeds)}
        assert (arm.gain is None) == (arm.name == gain.baseline)
        if arm.gain is not None:
            assert len(arm.gain.per_seed) == len(arm.seeds)
    file = io.StringIO()
    show_gain(gain, Console(file=file, width=200))
    shown = next(name for name in short if name not in again)
    assert f"{shown} (2 seeds)" in file.getvalue()
    write_report(gain, tmp_path / "page.html")
    assert "given up after 2 seeds" in (tmp_path / "page.html").read_text()
    json.dumps(gain.to_json())
