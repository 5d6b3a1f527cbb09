"""Pools that are measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measurement import POOLED, QUICK, SELF, make_pool, measure, pixels, sources

import synthaug.gain.runs.run as runs
import synthaug.gain.testing as opening
from synthaug import InputError, LabelledImages, RandomField, SamplePool, Samples, StyleSwap
from synthaug.gain import Comparison


def test_a_pool_is_measured_alone_and_beside(
    train: LabelledImages, test: LabelledImages, tmp_path: Path, cache: dict[str, Any]
) -> None:
    pool = make_pool(tmp_path / "copies", train.images, train.labels, train)
    alone = measure(train, test, **POOLED, **cache, sources=[], pool=pool)
    assert [arm.name for arm in alone.arms if arm.synthetic] == [
        f"pool copies 0.25 hard, {alone.baseline.removesuffix(SELF)}"
    ]
    assert alone.control is None
    assert alone.gain_over_control is None
    fixed, length, same, seen, unknown = alone.protocol["caveats"]
    assert length.startswith("the number of steps was given, not tuned")
    assert fixed.startswith("all seeds train on the same real images")
    assert same == "pool copies is the same pool for all seeds"
    assert seen.startswith("what made pool copies may have seen the images that choices were made")
    assert "not known to be these training images alone" in unknown
    beside = measure(train, test, **POOLED, **cache, sources=sources()[2:], pool=pool)
    assert {arm.uses for arm in beside.arms} == {"real", "control", "synthetic"}


def test_a_pool_has_no_real_images_before_the_arms_without_it(
    train: LabelledImages, test: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be made from all training images: then all arms learn from all, before the test."""
    made = StyleSwap(cells=2).fit(train, seed=0, device="cpu")
    SamplePool.create(tmp_path / "pool", made, 12)
    original, shown = runs.train_classifier, []

    def recorded(data: LabelledImages, **options: Any) -> Any:
        shown.append(len(data))
        return original(data, **options)

    monkeypatch.setattr(runs, "train_classifier", recorded)
    gain = measure(train, test, **POOLED, sources=[], pool=tmp_path / "pool")
    assert not any("not known to be" in caveat for caveat in gain.protocol["caveats"])
    assert set(shown) == {240, 300}
    assert shown.count(240) == shown.count(300)
    assert (gain.data["train"], gain.data["validation"]) == (300, 60)
    with pytest.raises(InputError, match="per_class: what made the pool may know more images"):
        measure(train, test, **QUICK, sources=[], pool=tmp_path / "pool")


def test_a_pool_is_where_it_was_opened(
    train: LabelledImages, test: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pool(Path("pool"), train.images, train.labels, train)
    pool = SamplePool("pool")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    gain = measure(train, test, **POOLED, sources=[], pool=pool)
    assert [arm.name.split(" 0.25")[0] for arm in gain.arms if arm.synthetic] == ["pool pool"]


def test_a_pool_is_not_recommended_for_images_that_its_maker_may_have_seen(
    train: LabelledImages, test: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = make_pool(tmp_path / "copies", train.images, train.labels, train)
    SamplePool.create(tmp_path / "ours", StyleSwap(cells=2).fit(train, device="cpu"), 20)
    validation = test.subset(np.arange(100, 200))
    options: dict[str, Any] = {**POOLED, "sources": [], "cache": tmp_path / "cells", "keep": True}
    monkeypatch.setattr(Comparison, "differences", lambda *_: [5.0, 5.1])
    for pool, said, given, recommended in (
        (unknown, "no evidence", None, False),
        (unknown, "helps", None, True),
        (unknown, "no evidence", validation, False),  # its maker may have had them, too
        (tmp_path / "ours", "no evidence", None, False),
        (tmp_path / "ours", "no evidence", validation, True),
    ):
        monkeypatch.setattr(opening, "verdict", lambda *_, said=said: said)
        gain = measure(train, test.subset(np.arange(100)), **options, pool=pool, validation=given)
        assert (gain.recommendation != "none") == recommended
        caveats = " ".join(gain.protocol["caveats"])
        assert ("give a val split" in caveats) == (not given)
        assert ("may have seen the images that choices" in caveats) == (
            said == "helps" or not recommended
        )
        assert ("is not known to be these training images" in caveats) == (pool == unknown)
    # A generator beside it was fitted to what each seed trains on, and nothing else.
    monkeypatch.setattr(
        Comparison, "best", lambda _, arms: max(arms, key=lambda arm: arm.name.startswith("style"))
    )
    both = {**options, "sources": sources()[2:3], "pool": unknown}
    gain = measure(train, test.subset(np.arange(100)), **both, validation=validation)
    assert gain.recommendation.startswith("style-swap")


def test_hard_labels_are_hard_whatever_the_pool_has(
    train: LabelledImages, test: LabelledImages, tmp_path: Path, cache: dict[str, Any]
) -> None:
    """A pool's soft labels are a teacher's, who may have seen anything."""
    wrong = np.roll(np.eye(10, dtype=np.float32)[train.labels], 1, axis=1)
    plain = Samples(train.images, train.labels)
    for name, samples in (("a", plain), ("b", Samples(train.images, train.labels, wrong))):
        SamplePool.from_samples(tmp_path / name / "pool", samples, train.classes)
    first, second = (
        measure(train, test, **POOLED, **cache, sources=[], pool=tmp_path / name / "pool")
        for name in ("a", "b")
    )
    assert first.gain == second.gain


def test_a_pool_with_test_images_is_refused(
    train: LabelledImages, test: LabelledImages, tmp_path: Path
) -> None:
    images = np.concatenate([train.images, test.images[:3]])
    labels = np.concatenate([train.labels, test.labels[:3]])
    pool = make_pool(tmp_path / "leak", images, labels, train)
    with pytest.raises(InputError, match="near-copies of test images"):
        measure(train, test, **POOLED, sources=[], pool=pool)


def test_a_pool_made_from_test_images_is_refused(
    train: LabelledImages, test: LabelledImages, tmp_path: Path
) -> None:
    """Whether or not its images can be told from others."""
    generator = RandomField().fit(test, device="cpu")
    pool = SamplePool.create(tmp_path / "pool", generator, per_class=4).directory
    with pytest.raises(InputError, match="made from the test images, or chosen by them"):
        measure(train, test, **POOLED, sources=[], pool=pool)


def test_a_pool_on_a_larger_scale_than_the_real_images_is_refused(
    train: LabelledImages, test: LabelledImages, tmp_path: Path
) -> None:
    """12 bits beside 16: what is white to the classifier begins at a sixteenth of the pool's."""
    deep, seen = (
        replace(each, images=each.images.astype(np.uint16) * 16) for each in (train, test)
    )
    pool = make_pool(tmp_path / "stretched", deep.images * 16, deep.labels, deep)
    with pytest.raises(InputError, match=r"expected values up to 4095, .* goes up to 65280"):
        measure(deep, seen, **POOLED, sources=[], pool=pool)


def test_a_pool_never_shows_the_images_that_score_it(
    train: LabelledImages, test: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool made from all training images holds copies of those held out for choices."""
    pool = make_pool(tmp_path / "copies", train.images, train.labels, train)
    original, shown = runs.train_classifier, []

    def recorded(data: LabelledImages, **options: Any) -> Any:
        if options["synthetic"] is not None:
            shown.append((pixels(data.images), pixels(np.asarray(options["synthetic"].images))))
        return original(data, **options)

    monkeypatch.setattr(runs, "train_classifier", recorded)
    measure(train, test, **POOLED, sources=[], pool=pool)
    assert len(shown) == 2 * 4  # for choices on a part, for the test on all; four seeds
    assert {len(real) >= 290 for real, _ in shown} == {False, True}
    for real, synthetic in shown:
        assert len(real) >= 230
        assert synthetic == real


def test_noise_with_random_labels_never_helps(
    train: LabelledImages, test: LabelledImages, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (400, 1, 8, 8), dtype=np.uint8)
    pool = make_pool(tmp_path / "noise", noise, rng.permutation(np.arange(400) % 10), train)
    gain = measure(train, test, **{**POOLED, "steps": 10}, sources=[], pool=pool)
    assert gain.verdict != "helps"
    assert gain.recommendation == "none"
    assert "config=TrainConfig(" in gain.protocol["next_steps"]
