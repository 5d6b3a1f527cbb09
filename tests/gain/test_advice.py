"""The lines of Python that a run ends with do what was measured."""

from typing import Any

import pytest

from synthaug.classifiers import Recipe
from synthaug.gain.advice import next_steps
from synthaug.gain.arms import EXTRAPOLATE, Arm, Source, synthetic_arm, transfer_sources
from synthaug.generators import (
    Blend,
    Chain,
    ConditionalVAE,
    Generator,
    PatchSwap,
    StyleSwap,
    TransferVAE,
)


def test_the_generator_is_made_with_the_settings_that_were_measured() -> None:
    partner = Arm("classical", Recipe())
    source = transfer_sources(TransferVAE(steps=400, donors="within"))[0]
    arm = synthetic_arm(source, partner, 0.25, "hard")
    lines = next_steps(arm, partner, data="data", steps=10, batch_size=8)
    assert "TransferVAE(steps=400, donors='any').fit(read_images('data'))" in lines
    assert "ratio=0.25" in lines


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Source("a", Blend()), Blend()),
        (
            Source("b", Blend((TransferVAE(steps=7), StyleSwap(strength=(0.1, 0.2))))),
            Blend((TransferVAE(steps=7), StyleSwap(strength=(0.1, 0.2)))),
        ),
        (
            Source("b", Chain((PatchSwap(area=(0.1, 0.2)), ConditionalVAE()))),
            Chain((PatchSwap(area=(0.1, 0.2)), ConditionalVAE())),
        ),
        (Source("c", ConditionalVAE(), EXTRAPOLATE), ConditionalVAE(**EXTRAPOLATE)),
    ],
)
def test_the_lines_run_and_make_the_same_generator(source: Source, expected: Generator) -> None:
    partner = Arm("classical", Recipe())
    arm = synthetic_arm(source, partner, 0.25, "hard")
    lines = next_steps(arm, partner, data="data", steps=10, batch_size=8)
    made: dict[str, Any] = {}
    exec(lines[: lines.index(".fit(")], made)
    assert made["generator"] == expected
    assert made["generator"].settings == expected.settings


def test_the_best_recipe_without_synthetic_images_is_written_in_full() -> None:
    baseline = Arm("best", Recipe("none", "randaugment", weight_decay=0.01))
    lines = next_steps(None, baseline, data="data", steps=10, batch_size=8)
    made: dict[str, Any] = {}
    start = lines.index("recipe=") + len("recipe=")
    end = lines.index("    steps=")
    exec(f"from synthaug import Recipe\nrecipe = {lines[start:end].strip().rstrip(',')}", made)
    assert made["recipe"] == baseline.recipe
