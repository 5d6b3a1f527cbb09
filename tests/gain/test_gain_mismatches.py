"""What is refused before anything is trained, and what a result warns of."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measurement import POOLED, QUICK, make_pool, measure, pixels, sources

from synthaug import (
    Gain,
    InputError,
    LabelledImages,
    SamplePool,
    Samples,
    StyleSwap,
    TrainConfig,
    read_images,
)
from synthaug.classifiers import Backbone
from synthaug.gain import Experiment, Source, data_caveats
from synthaug.gain.runs.folds import plan_folds
from synthaug.mixing import MixConfig


def test_a_result_says_what_was_trained_on(train: LabelledImages, test: LabelledImages) -> None:
    """Thirty images per class, of which a fifth is held out: 24 are trained on."""
    gain = measure(train, test, **{**QUICK, "per_class": 30, "steps": 1}, sources=sources()[2:])
    assert gain.data["train"] == 240
    shared, asked, _ = gain.protocol["caveats"]
    both = [draw_parts(train, seed) for seed in gain.protocol["choice_seeds"]]
    share = len(both[0] & both[1]) / 240
    assert shared.startswith(f"two seeds share {share:.0%} of the real images") and share > 0.7
    assert asked.startswith("30 images per class were asked for, and 240 in all are trained on")
    assert [shared, asked] == caveats_of(Experiment(train, None, 30, Backbone(), 16, "cpu"))
    experiment = Experiment(train, test.subset(np.arange(100)), None, Backbone(), 16, "cpu")
    same, judged = caveats_of(experiment)
    assert same.startswith("all seeds train on the same real images")
    assert judged.startswith("all seeds are judged by the same validation images")
    # So they are under cross-validation, and all of some classes are held out from a few.
    rows = np.concatenate([np.flatnonzero(train.labels == k)[:5] for k in range(10)])
    experiment = Experiment(train.subset(rows), None, None, Backbone(), 16, "cpu")
    assert "cross-validation" in experiment.plan(0)[1]
    same, judged = caveats_of(experiment)
    assert same.startswith("all seeds train on the same real images")
    assert judged.startswith("all seeds are judged by the same validation images")


def caveats_of(experiment: Experiment) -> list[str]:
    """Of the images of two seeds, as a result has them."""
    return data_caveats(experiment, [0, 1], [])


def draw_parts(train: LabelledImages, seed: int) -> set[bytes]:
    (part,), _ = plan_folds(train, None, 30, seed)
    return pixels(part.train.images)


def test_groups_that_leave_seeds_unlike_numbers_of_images_are_told() -> None:
    images = np.random.default_rng(0).integers(0, 255, (112, 1, 8, 8), np.uint8)
    patients = np.arange(112) // 8
    data = LabelledImages(images, np.arange(112) // 56, ["a", "b"], patients)
    experiment = Experiment(data, None, 44, Backbone(), 16, "cpu")
    sizes = {len(experiment.tested_fold(seed).train) for seed in range(5)}
    said = data_caveats(experiment, list(range(5)), [])
    assert f"seeds train on {min(sizes)} to {max(sizes)} real images, as their groups allow" in said
    assert len(sizes) > 1


def test_a_class_without_test_images_is_told(
    train: LabelledImages, test: LabelledImages, cache: dict[str, Any]
) -> None:
    without = test.subset(np.flatnonzero(test.labels > 1))
    gain = measure(train, without, **QUICK, **cache, sources=sources()[2:])
    unseen, length = gain.protocol["caveats"]
    assert unseen == "there is no test image of '0', '1': nothing is known of it there"
    assert length.startswith("the number of steps was given, not tuned")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seeds", 1, "seeds: expected an integer of at least 2, got 1"),
        ("seeds", 2.5, "seeds: expected an integer of at least 2, got 2.5"),
        ("seed", 0.5, "seed: expected an integer, got 0.5"),
        ("per_class", 2.5, "per_class: expected an integer"),
        ("steps", "9", "steps: expected an integer"),
        ("batch_size", 0, "batch_size: expected an integer of at least 1, got 0"),
        ("jobs", 0, "jobs: expected an integer of at least 1, got 0"),
        ("config", "randaugment", "config: expected a TrainConfig, got 'randaugment'"),
        ("policy", "shift-flip", "policy: got 'shift-flip' beside a config that has 'shift'"),
        ("classifier", 5, "classifier: expected 'resnet', 'timm:NAME' or a Backbone, got 5"),
        ("sources", StyleSwap(), "sources: expected a list of generators or sources"),
        ("sources", ["style-swap"], "sources: expected a list of generators or sources"),
        ("mix", "recipe.json", "mix: expected a MixConfig, as MixConfig.load reads it"),
        ("cache", 5, "expected the path of a file or directory, got int"),
    ],
)
def test_what_is_asked_in_other_types_is_refused(
    name: str, value: Any, message: str, train: LabelledImages, test: LabelledImages
) -> None:
    with pytest.raises(InputError, match=message):
        measure(train, test, **{**QUICK, "sources": sources()[2:], name: value})


def test_numbers_of_numpy_are_those_of_python(
    train: LabelledImages, test: LabelledImages, tmp_path: Path
) -> None:
    """JSON knows no others: hours later the result could not be written."""
    asked: dict[str, Any] = {"seeds": 2, "seed": 1, "per_class": 6, "steps": 3, "batch_size": 16}
    given = {name: np.int64(value) for name, value in asked.items()}
    kept: dict[str, Any] = {"cache": tmp_path / "cells", "keep": True}
    found = [
        measure(
            train,
            test,
            **{**QUICK, **numbers, **kept},
            precision=precision,
            sources=[Source("style", StyleSwap(), filters={"distance": limit})],
        )
        for numbers, precision, limit in (
            (asked, 50.0, 9.0),
            (given, np.float32(50), np.float32(9)),
        )
    ]
    found[1].save(tmp_path / "gain.json")
    assert Gain.load(tmp_path / "gain.json").to_json() == found[0].to_json()
    assert len(list((tmp_path / "cells").iterdir())) == 1
    assert len(list((tmp_path / "cells").glob("*/*.run"))) == 1


def test_mismatches_are_refused_before_anything_is_trained(
    train: LabelledImages, test: LabelledImages, tmp_path: Path
) -> None:
    renamed = LabelledImages(test.images, test.labels, [f"d{k}" for k in range(10)])
    larger = read_images("digits", split="test")
    grouped = [
        LabelledImages(data.images, data.labels, data.classes, np.arange(len(data)) // 2)
        for data in (train, test)
    ]
    for wrong, message in (
        ((train, renamed), r"expected the training classes .*; read_images\(\.\.\., classes=train"),
        ((train, larger), r"test: expected uint8 \(1, 8, 8\)"),
        (tuple(grouped), "groups"),
    ):
        with pytest.raises(InputError, match=message):
            measure(*wrong, **QUICK)
    for precision in (0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="precision: expected a number above 0, got"):
            measure(train, test, **QUICK, precision=precision)
    twice = [*sources()[2:], *sources()[2:]]
    with pytest.raises(InputError, match=r"sources: expected names that differ, got '.*' twice"):
        measure(train, test, **QUICK, sources=twice)
    with pytest.raises(InputError, match="sources: expected at least one"):
        measure(train, test, **QUICK, sources=[])
    elsewhere = Source("elsewhere", pool=tmp_path)
    with pytest.raises(InputError, match="give a pool as `pool`"):
        measure(train, test, **QUICK, sources=[elsewhere])
    mix = MixConfig(StyleSwap(), 0.25, training={"partner": "mixup"})
    with pytest.raises(InputError, match="pool: expected none beside mix"):
        measure(train, test, **POOLED, pool=tmp_path, mix=mix)
    for name, value in (("automatic", "randaugment"), ("label_smoothing", 0.1)):
        fixed = {**QUICK, "config": replace(TrainConfig(), **{name: value})}
        with pytest.raises(InputError, match=f"config: expected the usual {name}"):
            measure(train, test, **fixed)
    with pytest.raises(InputError, match="config: frozen=True trains the last layer alone"):
        measure(train, test, **{**QUICK, "config": TrainConfig(frozen=True)})
    with pytest.raises(InputError, match="search: expected one of quick, staged, full"):
        measure(train, test, **{**QUICK, "search": "some"})
    anything: Any = "data/xray"
    nothing: Any = None
    with pytest.raises(InputError, match="test: expected LabelledImages"):
        measure(train, nothing, **QUICK)
    with pytest.raises(InputError, match="train: expected LabelledImages"):
        measure(anything, test, **QUICK)
    partial = train.subset(np.flatnonzero(train.labels > 0))
    pool = make_pool(tmp_path / "partial", partial.images, partial.labels, train)
    with pytest.raises(InputError, match="no image of class '0' that may be drawn"):
        measure(train, test, **POOLED, sources=[], pool=pool)
    weighted = Samples(train.images, train.labels, weights=train.labels > 0)
    SamplePool.from_samples(tmp_path / "weighted", weighted, train.classes)
    with pytest.raises(InputError, match="no image of class '0' that may be drawn"):
        measure(train, test, **POOLED, sources=[], pool=tmp_path / "weighted")
    validation = test.subset(np.arange(100, 200))
    zeros = validation.subset(np.flatnonzero(validation.labels == 0))
    copied = np.concatenate([zeros.images, partial.images])
    labels = np.concatenate([zeros.labels, partial.labels])
    pool = make_pool(tmp_path / "copied", copied, labels, train)
    few = {**POOLED, "sources": [], "pool": pool, "validation": validation}
    said: list[str] = []
    with pytest.raises(InputError, match=r"copied: all images that .* '0' are near-copies .*see"):
        measure(
            train, test.subset(np.arange(100)), **few, progress=lambda what, *_: said.append(what)
        )
    assert set(said) == {"copies in the pool"}
    with pytest.raises(InputError, match=r"sources: .* differ, got 'recipe' twice"):
        measure(train, test, **QUICK, sources=[Source("recipe", StyleSwap())], mix=mix)
    path: Any = tmp_path
    with pytest.raises(InputError, match="name: expected text, got "):
        measure(train, test, **QUICK, name=path)
