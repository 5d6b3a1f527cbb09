"""Runs that take over what an earlier one trained."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measurement import POOLED, QUICK, make_pool, measure, sources, trainings, without_times

import synthaug.gain.measure as protocol
import synthaug.gain.runs.run as runs
from synthaug import Blend, Chain, Gain, LabelledImages, SamplePool, StyleSwap, TransferVAE
from synthaug.gain import Source, sources_of
from synthaug.gain.runs.folds import plan_folds
from synthaug.generators import Composite, Generator


def test_an_interrupted_run_goes_on_from_its_finished_cells(
    train: LabelledImages,
    test: LabelledImages,
    quick: Gain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original, trained = runs.train_classifier, []

    def counted(*arguments: Any, **options: Any) -> Any:
        if len(trained) == 5:
            raise KeyboardInterrupt
        trained.append(options["seed"])
        return original(*arguments, **options)

    monkeypatch.setattr(runs, "train_classifier", counted)
    with pytest.raises(KeyboardInterrupt):
        measure(train, test, **QUICK, sources=sources(), cache=tmp_path)
    rest: list[int] = []

    def rest_counted(*arguments: Any, **options: Any) -> Any:
        rest.append(options["seed"])
        return original(*arguments, **options)

    monkeypatch.setattr(runs, "train_classifier", rest_counted)
    resumed = measure(train, test, **QUICK, sources=sources(), cache=tmp_path)
    assert without_times(resumed) == without_times(quick)
    assert len(rest) == trainings(resumed) - 5


def test_kept_cells_serve_a_later_run_with_other_sources(
    train: LabelledImages,
    test: LabelledImages,
    quick: Gain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    controls = sources()[2:]
    kept = measure(train, test, **QUICK, sources=controls, cache=tmp_path, keep=True)
    original, trained = runs.train_classifier, []

    def counted(*arguments: Any, **options: Any) -> Any:
        trained.append(options["seed"])
        return original(*arguments, **options)

    monkeypatch.setattr(runs, "train_classifier", counted)
    later = measure(train, test, **QUICK, sources=sources(), cache=tmp_path)
    assert without_times(later) == without_times(quick)
    # Two sources of the generator that was not measured before, and the better one once more.
    assert trained == [0, 0, 1, 1, 2, 3]
    # What was to be kept is still there, until the run that kept it is done with it.
    before = len(trained)
    [pools] = tmp_path.glob("*/pools")
    shutil.rmtree(pools)  # as where cells were brought from elsewhere; the page shows some images
    again = measure(train, test, **QUICK, sources=controls, cache=tmp_path)
    assert without_times(again) == without_times(kept)
    assert len(trained) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("composite", [Blend, Chain])
def test_a_composite_takes_the_generators_that_others_learned(
    train: LabelledImages,
    test: LabelledImages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    composite: type[Composite],
) -> None:
    fit, fitted = Generator.fit, []

    def noting(self: Generator, data: LabelledImages, **options: object) -> Generator:
        fitted.append((self.name, options["seed"]))
        return fit(self, data, **options)

    monkeypatch.setattr(Generator, "fit", noting)
    transfer, style = TransferVAE(steps=5), StyleSwap(cells=2)
    several = [Source("both", composite((transfer, style))), *sources_of(transfer)]
    settings = {**QUICK, "cache": tmp_path, "keep": True}
    gain = measure(train, test, **settings, sources=several)
    assert len(fitted) == len(set(fitted))
    assert QUICK["seeds"] * 2 <= len(fitted) <= QUICK["seeds"] * 4
    made = [arm.name.split()[0] for arm in gain.arms if arm.uses == "synthetic"]
    assert made == ["both", "transfer-any", "transfer-within"]
    # What the cells hold is what a fit of the whole makes.
    (pool,) = (SamplePool(path) for path in tmp_path.glob("*/pools/both-seed0-*"))
    part = plan_folds(train, None, QUICK["per_class"], 0)[0][0].train
    alone = composite((transfer, style)).fit(part, seed=pool.manifest["generator"]["seed"])
    wanted = alone.sample(len(pool) // len(part.classes), seed=pool.manifest["seed"])
    np.testing.assert_array_equal(pool.samples.images, wanted.images)


def test_a_pool_made_anew_between_interruption_and_resumption_is_measured_anew(
    train: LabelledImages, test: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**POOLED, "sources": [], "pool": tmp_path / "pool"}
    make_pool(tmp_path / "pool", train.images, train.labels, train)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(protocol, "open_test", interrupt)
        measure(train, test, **settings, cache=tmp_path / "cache")
    shifted = np.roll(train.images, 2, axis=3)
    make_pool(tmp_path / "pool", shifted, train.labels, train)
    resumed = measure(train, test, **settings, cache=tmp_path / "cache")
    afresh = measure(train, test, **settings)
    assert [arm.accuracy for arm in resumed.arms] == [arm.accuracy for arm in afresh.arms]
    assert resumed.gain == afresh.gain


def interrupt(*_: Any) -> Gain:
    raise KeyboardInterrupt
