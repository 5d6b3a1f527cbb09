"""`measure_gain` and `search_mix`, with the fields of their two objects as plain options."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from synthaug import (
    Gain,
    LabelledImages,
    MixConfig,
    RandomField,
    SamplePool,
    Samples,
    StyleSwap,
    TrainConfig,
    TransferVAE,
    measure_gain,
    search_mix,
)
from synthaug.gain import Execution, Protocol, Source, sources_of
from synthaug.search import Budget


def grouped(options: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Move the options that are fields of the two objects into them."""
    rest = {**defaults, **options}
    groups = {"protocol": Protocol, "execution": Execution}
    for name, group in groups.items():
        names = [field.name for field in fields(group)]
        rest[name] = group(**{each: rest.pop(each) for each in names if each in rest})
    return rest


def measure(train: LabelledImages, test: LabelledImages, **options: Any) -> Gain:
    """Measure a gain."""
    return measure_gain(train, test, **grouped(options))


def search(train: LabelledImages, budget: Budget, **options: Any) -> MixConfig:
    """Search for a way of mixing."""
    return search_mix(train, budget, **grouped(options, seeds=3))


SELF = ", self-distilled"


QUICK: dict[str, Any] = {
    "seeds": 2,
    "per_class": 6,
    "steps": 3,
    "batch_size": 16,
    "config": TrainConfig(),
    "search": "quick",
    "device": "cpu",
}


def sources() -> list[Source]:
    return [
        *sources_of(TransferVAE(steps=5)),
        Source("style-swap", StyleSwap(cells=2)),
        Source("random-field", RandomField()),
    ]


def finalists(gain: Gain) -> set[str]:
    """What is measured on other seeds: what choices left, and two without synthetic images."""
    bests = {gain.baseline, gain.trained, gain.control, gain.chosen["arm"]} - {None}
    seeds = gain.protocol["seeds"]
    rivals = {arm.name for arm in gain.arms if arm.seeds == seeds} - bests
    assert len(rivals) == 2 and {gain.arm(name).uses for name in rivals} == {"real"}
    assert gain.rival is None or gain.rival in rivals
    return bests | rivals


def trainings(gain: Gain) -> int:
    """How many networks a run takes: each arm on the seeds for choices, the best on others, and
    there their teacher, if they have one."""
    taught = any(name.endswith("distilled") for name in finalists(gain))
    fresh = finalists(gain) | ({teacher_of(gain)} if taught else set())
    return sum(len(arm.choice_scores) for arm in gain.arms) + 2 * len(fresh)


def teacher_of(gain: Gain) -> str:
    return next(arm.name for arm in gain.arms if arm.name.endswith(SELF)).removesuffix(SELF)


def pixels(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def without_times(gain: Gain) -> dict[str, Any]:
    value = gain.to_json()
    for arm in value["arms"]:
        del arm["seconds"]
    return value


def make_pool(
    directory: Path, images: np.ndarray, labels: np.ndarray, data: LabelledImages
) -> Path:
    SamplePool.from_samples(directory, Samples(images, labels), data.classes)
    return directory


POOLED = {**QUICK, "per_class": None, "steps": 2}
