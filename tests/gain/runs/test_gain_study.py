"""What the trainings of a run share: how a seed's images are set apart, and where cells lie."""

import importlib
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import synthaug.gain.runs.experiment as study_module
import synthaug.gain.runs.run as runs
from synthaug import (
    Blend,
    ConditionalVAE,
    LabelledImages,
    SamplePool,
    Samples,
    StyleSwap,
    TrainConfig,
)
from synthaug.classifiers import Backbone
from synthaug.core import InputError, devices
from synthaug.gain import Arm, Experiment, Source, check_splits, open_comparison, synthetic_arm
from synthaug.gain.arms import fit_key
from synthaug.gain.runs.comparison import place_experiment
from synthaug.gain.runs.folds import plan_folds
from synthaug.gain.runs.pools import load_pool, make_pools, pool_directory
from synthaug.gain.runs.run import Run
from synthaug.gain.testing import _more_seeds

PLACE = Path("cache")


def images(per_class: int, seed: int = 0) -> LabelledImages:
    made = np.random.default_rng(seed).integers(0, 256, (2 * per_class, 1, 64, 64), np.uint8)
    return LabelledImages(made, np.arange(2 * per_class) % 2, ["a", "b"])


def experiment(data: LabelledImages, per_class: int | None = None) -> Experiment:
    return Experiment(data, None, per_class, Backbone(), 16, "cpu")


@pytest.mark.parametrize("per_class", [None, 6, 18])
@pytest.mark.parametrize("count", [5, 20])
def test_plans_hold_no_copies_of_images(count: int, per_class: int | None) -> None:
    if per_class is not None and per_class > count:
        return
    data = images(count)
    some = experiment(data, per_class)
    some.check(range(10), [0.5])
    kept = [fold.train_subset for seed in range(10) for fold in some.folds(seed)]
    assert all(each.whole is data for each in kept)
    plans = len(pickle.dumps(some)) - len(pickle.dumps(experiment(data, per_class)))
    assert plans < data.images.nbytes


def test_a_seed_is_planned_once(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    planned: list[int] = []

    def counted(*given, **options):
        planned.append(given[3])
        return plan_folds(*given, **options)

    monkeypatch.setattr(study_module, "plan_folds", counted)
    some = experiment(images(20))
    some.check([0, 1], [0.5])
    place_experiment = some.below(tmp_path)
    for seed in (0, 1):
        assert place_experiment.plan(seed)[0] is place_experiment.folds(seed)
        assert place_experiment.tested_fold(seed) is place_experiment.fold(seed, "all")
    assert len(pickle.loads(pickle.dumps(place_experiment)).folds(1)) == 1
    assert planned == [0, 1]


BASE = experiment(images(20), 6)
SETTINGS = {
    "train": images(20, seed=1),
    "validation": images(5),
    "per_class": 7,
    "classifier": Backbone("timm:resnet18"),
    "batch_size": 17,
    "device": "cuda",
    "arithmetic": "bfloat16",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_cells_of_other_images_or_settings_lie_elsewhere(name: str) -> None:
    """A cell that is found there would be taken for what was asked."""
    other = replace(BASE, **{name: SETTINGS[name]})
    assert other.below(PLACE).directory != BASE.below(PLACE).directory
    again = replace(BASE, train=images(20))
    assert again.below(PLACE).directory == BASE.below(PLACE).directory


@pytest.mark.parametrize("native", [True, False])
def test_the_arithmetic_of_a_study_is_that_of_its_device(
    native: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A cache may be shared by machines of both kinds."""
    monkeypatch.setattr(devices, "processor_multiplies_bfloat16", lambda: native)
    found = place_experiment(BASE, tmp_path)
    with devices.mixed_precision(torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == getattr(torch, found.arithmetic)
    assert found.directory == replace(BASE, arithmetic=found.arithmetic).below(tmp_path).directory


def test_each_of_two_validation_sets_has_cells_of_its_own() -> None:
    first, second = (replace(BASE, validation=images(5, seed)).below(PLACE) for seed in (0, 1))
    assert first.directory != second.directory


ARM = Arm("plain", TrainConfig())
CELL = Run(ARM, 0, "all", 100)
MADE = Arm("made", TrainConfig(), Source("vae", ConditionalVAE(steps=5)), 0.25)
CHANGES: dict[str, dict[str, Any]] = {
    "arm": {"arm": replace(ARM, name="other")},
    "use": {"arm": replace(ARM, distilled=True)},
    "source": {"arm": MADE},
    "recipe": {"arm": replace(ARM, config=TrainConfig(mix="mixup"))},
    "seed": {"seed": 1},
    "fold": {"fold": "fold0"},
    "steps": {"steps": 200},
    "teacher": {"teacher": replace(ARM, name="teacher")},
    "teacher's recipe": {"teacher": replace(ARM, name="teacher", config=TrainConfig(mix="mixup"))},
}


def test_a_cell_of_any_other_training_lies_elsewhere() -> None:
    places = [replace(CELL, **change).directory(BASE) for change in ({}, *CHANGES.values())]
    assert len(set(places)) == len(places)
    assert Run(Arm("plain", TrainConfig()), 0, "all", 100).directory(BASE) == places[0]


@pytest.mark.parametrize(
    "change",
    [
        {"ratio": 0.5},
        {"labels": "mixed"},
        {"source": Source("vae", ConditionalVAE(steps=6))},
        {"source": Source("vae", ConditionalVAE(steps=5), {"sampling": "nuisance-swap"})},
        {"source": Source("vae", ConditionalVAE(steps=5), filters={"distance": 2.0})},
        {"source": Source("vae", pool=Path("pool"), fingerprint="a")},
        {"source": Source("vae", pool=Path("pool"), fingerprint="b")},
    ],
    ids=str,
)
def test_a_cell_of_other_synthetic_images_lies_elsewhere(change: dict[str, Any]) -> None:
    known = [MADE, replace(MADE, source=Source("vae", pool=Path("pool")))]
    places = [replace(CELL, arm=arm).directory(BASE) for arm in (*known, replace(MADE, **change))]
    assert len(set(places)) == 3


def test_copies_in_a_pool_are_looked_for_once_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def looked(samples: Samples, train: LabelledImages, held: LabelledImages) -> np.ndarray:
        asked.append(len(samples))
        return np.array([0, 3])

    monkeypatch.setattr(runs, "without_copies", looked)
    data = images(5)
    samples = Samples(data.images[:4], data.labels[:4])
    SamplePool.from_samples(tmp_path / "pool", samples, data.classes)
    source = Source("made", pool=tmp_path / "pool", fingerprint=samples.fingerprint)
    here = replace(BASE, directory=tmp_path)

    def used(seed: int, arm: str, source: Source = source) -> list[int]:
        run = Run(Arm(arm, TrainConfig(), source, 0.5), seed, "all", 10)
        found = runs._synthetic(here, run, data)
        assert found is not None
        return found.images[:, 0, 0, 0].tolist()

    expected = data.images[[0, 3], 0, 0, 0].tolist()
    assert used(0, "one") == used(0, "two") == used(1, "one") == expected
    assert len(asked) == 2
    more = Samples(data.images[:6], data.labels[:6])
    SamplePool.from_samples(tmp_path / "pool", more, data.classes)  # made anew between two runs
    assert used(0, "one", replace(source, fingerprint=more.fingerprint)) == expected
    assert len(asked) == 3


def test_a_name_leads_nowhere_else(tmp_path: Path) -> None:
    for name in ("../../up", "/elsewhere", "blend of two"):
        source = Source(name, StyleSwap())
        where = pool_directory(replace(experiment(images(4)), directory=tmp_path), source, 0, "all")
        assert where.parent == tmp_path / "pools"


def test_a_pool_that_is_replaced_while_it_is_measured_is_refused(tmp_path: Path) -> None:
    """The new one was not compared with the test images, and is not what the result names."""

    def write(data: LabelledImages) -> SamplePool:
        samples = Samples(data.images, data.labels)
        return SamplePool.from_samples(tmp_path / "pool", samples, data.classes)

    data = images(4)
    source = Source("given", pool=tmp_path / "pool", fingerprint=write(data).samples.fingerprint)
    place_experiment = experiment(data).below(tmp_path)
    assert len(load_pool(place_experiment, source, 0, "all")) == len(data)
    write(images(4, seed=1))
    with pytest.raises(InputError, match="replaced by another pool since it was opened"):
        load_pool(place_experiment, source, 0, "all")


class Dark(StyleSwap):
    """A family of the user's own."""

    def render(self, network: Any, plan: dict[str, Any]) -> Any:
        return super().render(network, plan) * 0


def test_a_family_of_ones_own_is_fitted_once_and_found_again(tmp_path: Path) -> None:
    place_experiment = experiment(images(6)).below(tmp_path)
    for made in (Dark(cells=2), Blend((Dark(cells=2), StyleSwap(cells=2)))):
        source = Source("own", made)
        make_pools(place_experiment, made, [source], 0, "all")
        found = load_pool(place_experiment, source, 0, "all").samples.images
        assert (found.max((1, 2, 3)) == 0).any()
    assert len(list((place_experiment.directory / "generators").iterdir())) == 2


def test_families_of_one_name_are_told_apart_by_their_code() -> None:
    other = type("Dark", (StyleSwap,), {"__module__": "elsewhere"})
    assert fit_key(Dark()) != fit_key(other())
    assert fit_key(Blend((Dark(), StyleSwap()))) != fit_key(Blend((other(), StyleSwap())))
    # What a family builds on may change, too.
    bases = [type("Base", (StyleSwap,), {"__module__": module}) for module in ("one", "another")]
    one, another = (type("Own", (base,), {"__module__": "own"}) for base in bases)
    assert fit_key(one()) != fit_key(another())
    # Those of the package are what they are called: results of older versions are found by it.
    assert fit_key(StyleSwap()) == f"StyleSwap {StyleSwap().settings}"


def test_a_family_is_another_where_its_module_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is made of often stands beside it: a network, a function, a constant."""
    keys = []
    for number in (0, 1):
        place = tmp_path / str(number)
        place.mkdir()
        (place / "own_family.py").write_text(
            f"from synthaug import StyleSwap\n\nDARK = {number}\n\n"
            "class Own(StyleSwap):\n    pass\n"
        )
        with monkeypatch.context() as patch:
            patch.syspath_prepend(place)
            patch.delitem(sys.modules, "own_family", raising=False)
            keys.append(fit_key(importlib.import_module("own_family").Own()))
        sys.modules.pop("own_family")
    assert keys[0] != keys[1]


def test_what_learned_from_a_family_of_ones_own_is_told_apart_by_its_code(tmp_path: Path) -> None:
    other = type("Dark", (StyleSwap,), {"__module__": "elsewhere"})
    place_experiment, plain = experiment(images(6)).below(tmp_path), Arm("plain", TrainConfig())

    def run(generator: StyleSwap) -> Path:
        arm = synthetic_arm(Source("own", generator), plain, 0.5, "hard")
        return Run(arm, 0, "all", 2).directory(place_experiment)

    assert repr(Dark()) == repr(other())
    assert run(Dark()) == run(Dark()) != run(other())


class Painted(StyleSwap):
    """One with a setting that no text of usual length tells, and that says nothing of itself."""

    def __init__(self, pattern: Any, cells: int = 2) -> None:
        super().__init__(cells)
        self.pattern = pattern

    def __repr__(self) -> str:
        return "Painted()"

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | {"pattern": self.pattern}


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_families_of_ones_own_are_told_apart_by_all_their_settings(
    kind: Any, tmp_path: Path
) -> None:
    place_experiment, plain = experiment(images(6)).below(tmp_path), Arm("plain", TrainConfig())

    def places(*given: Any) -> tuple[str, Path, Path]:
        source = Source("own", Painted(*given))
        arm = synthetic_arm(source, plain, 0.5, "hard")
        found = (
            Run(arm, 0, "all", 2).directory(place_experiment),
            pool_directory(place_experiment, source, 0, "all"),
        )
        return fit_key(source.generator), *found

    dark, spotted = np.zeros(5000, np.float32), np.zeros(5000, np.float32)
    spotted[2500] = 1
    assert str(dark) == str(spotted)
    first = places(kind(dark))
    assert places(kind(dark.copy())) == first
    for other in (places(kind(spotted)), places(kind(dark), 4)):
        assert not set(other) & set(first)


def test_further_seeds_are_those_for_which_images_can_be_split(tmp_path: Path) -> None:
    """Of twenty images of one patient and one of another, a draw may hold those of one alone."""
    groups = np.repeat(["a", "b", "c", "d"], [20, 1, 11, 10])
    data = LabelledImages(images(42).images[:42], np.repeat([0, 1], 21), ["x", "y"], groups)
    comparison: Any = SimpleNamespace(experiment=experiment(data, per_class=20))
    split = [seed for seed in range(40) if comparison.experiment.can_split(seed)]
    assert 20 < len(split) < 40
    assert _more_seeds(comparison, list(range(70)), 70) == []  # more than the most were asked for
    more = _more_seeds(comparison, [0, 1, 2], 20)
    assert more == [seed for seed in split if seed > 2][:17]


def test_cells_are_where_the_run_began(tmp_path: Path, monkeypatch: Any) -> None:
    """Processes that train them may have begun elsewhere."""
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"keep": True, "jobs": 1, "progress": None}
    with open_comparison(experiment(images(6)), [0], cache="cells", **options) as comparison:
        assert comparison.experiment.directory.is_relative_to(tmp_path / "cells")


def test_test_images_of_another_scale_are_told() -> None:
    """As from another hospital, which exports 12 bits as 16: no network knows them."""
    rng = np.random.default_rng(0)
    bits12 = rng.integers(0, 4096, (8, 1, 8, 8), dtype=np.uint16)
    labels, classes = np.repeat([0, 1], 4), ["a", "b"]
    train = LabelledImages(bits12, labels, classes)
    alike = LabelledImages(np.flip(bits12, -1).copy(), labels, classes)
    brighter = LabelledImages(np.flip(bits12, -1) * 16, labels, classes)
    assert check_splits({"train": train, "test": alike}) == []
    [said] = check_splits({"train": train, "test": brighter})
    top, known = f"{brighter.images.max():,}", f"{bits12.max():,}"
    assert said.startswith(f"test images go up to {top}, training images to {known} (12 bits)")
