"""Arms that fall far behind on the first seeds are not trained on the others."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import synthaug.gain.trials as trials_module
from synthaug import LabelledImages, Recipe, StyleSwap, measure_gain, read_images
from synthaug.cli.output import show_gain
from synthaug.gain import Source
from synthaug.gain.arms import Arm
from synthaug.gain.report import write_report
from synthaug.gain.trials import Trials
from synthaug.reading import draw_subset

ARMS = {name: Arm(name, Recipe()) for name in ("best", "near", "far", "other")}


class Raced(Trials):
    """Trials with scores that are given, one for each arm and seed."""

    def __init__(self, scores: dict[str, Sequence[float]], held: list[int]) -> None:
        labels = np.repeat(np.arange(len(held)), held)
        images = np.zeros((len(labels), 1, 8, 8), np.uint8)
        part = SimpleNamespace(held=LabelledImages(images, labels, list("abcdef"[: len(held)])))
        study: Any = SimpleNamespace(parts=lambda seed: [part])
        runner: Any = None
        super().__init__(study, runner, "accuracy", list(range(5)))
        self.trained: dict[str, set[int]] = {}
        self._made = scores

    def train(self, arms: Sequence[Arm], what: str, *, seeds: list[int] | None = None) -> None:
        for arm in arms:
            self.trained.setdefault(arm.name, set()).update(seeds or self.seeds)

    def held(self, arm: Arm, seed: int) -> tuple[float, float]:
        assert seed in self.trained[arm.name]
        return self._made[arm.name][seed], 0.0


def test_those_far_behind_keep_to_the_first_seeds() -> None:
    scores = {"best": [0.8, 0.8, 0.5, 0.5, 0.5], "near": [0.77] * 5, "far": [0.7] * 2 + [1.0] * 3}
    raced = Raced(scores, [2000, 2000])
    raced.race([ARMS[name] for name in scores], "racing")
    assert raced.trained == {"best": set(range(5)), "near": set(range(5)), "far": {0, 1}}
    assert raced.seeds_of(ARMS["far"]) == [0, 1]
    assert raced.best([ARMS[name] for name in scores]) is ARMS["near"]
    assert len(raced.validation([ARMS["far"]])[ARMS["far"]]) == 2


@pytest.mark.parametrize("score", [0.8, 0.5])
def test_few_held_images_give_nobody_up_for_chance(score: float) -> None:
    """Two standard errors of the difference of two independent shares."""
    held = 30
    error = np.sqrt(2 * score * (1 - score) / (2 * 2 * held))  # two classes, two seeds
    inside, outside = score - 1.9 * error, score - 2.1 * error
    assert 1.9 * error > 0.03
    raced = Raced({"best": [score] * 5, "near": [inside] * 5, "far": [outside] * 5}, [held, held])
    raced.race([ARMS["best"], ARMS["near"], ARMS["far"]], "racing")
    assert len(raced.trained["near"]) == 5
    assert len(raced.trained["far"]) == 2


def test_an_arm_is_raced_beside_those_before_it() -> None:
    raced = Raced({"best": [0.9] * 5, "other": [0.5] * 5}, [5000, 5000])
    raced.race([ARMS["best"]], "racing")
    raced.race([ARMS["other"]], "racing", beside=[ARMS["best"]])
    assert raced.trained["other"] == {0, 1}


def test_a_result_says_on_how_few_seeds_an_arm_was_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trials_module, "REACH", 0.0)
    monkeypatch.setattr(trials_module, "ERRORS", 0.0)
    data = read_images("digits", image_size=8)
    gain = measure_gain(
        data.subset(draw_subset(data, 20, seed=0)),
        read_images("digits", split="test", image_size=8).subset(np.arange(100)),
        sources=[Source("style-swap", StyleSwap(cells=2))],
        per_class=5,
        seeds=3,
        steps=8,
        batch_size=16,
        recipe=Recipe(),
        arms="quick",
        device="cpu",
        cache=tmp_path / "cells",
        keep=True,
    )
    lengths = {arm.name: len(arm.accuracy) for arm in gain.arms}
    assert lengths[gain.baseline] == lengths[gain.chosen["arm"]] == 3
    short = [name for name, length in lengths.items() if length == 2]
    assert short
    last = [path.name for path in tmp_path.glob("cells/*/cells/*-seed2-*")]
    assert len(last) == len(set(lengths) - set(short))  # what was given up is not trained after all
    for arm in gain.arms:
        assert len(arm.seconds) == len(arm.validation_accuracy) == len(arm.per_class)
        baseline = np.array(gain.arm(gain.baseline).accuracy)[: len(arm.accuracy)]
        if arm.gain is not None:
            assert arm.gain.per_seed == pytest.approx(list(100 * (arm.accuracy - baseline)))
    file = io.StringIO()
    show_gain(gain, Console(file=file, width=200))
    assert f"{short[0]} (2 seeds)" in file.getvalue()
    write_report(gain, gain.pictures, tmp_path / "page.html")
    assert "given up after 2 seeds" in (tmp_path / "page.html").read_text()
    json.dumps(gain.to_json())
