"""What nobody may be able to say of the instrument: that it saw test images, that its arms were
trained unequally, that it chose on what it reports."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from measurement import (
    QUICK,
    SELF,
    finalists,
    measure,
    pixels,
    sources,
    teacher_of,
    trainings,
    without_times,
)
from scipy import stats

import synthaug.gain.runs.run as runs
from synthaug import Gain, LabelledImages, RandomField, StyleSwap
from synthaug.classifiers import Backbone, Scores
from synthaug.core import arithmetic
from synthaug.data import draw_subset
from synthaug.gain import Arm, Comparison, Source
from synthaug.gain.selection import setting_notes
from synthaug.generators import Generator
from synthaug.mixing import MixConfig

Measure = Callable[..., Gain]


@pytest.fixture(scope="module")
def staged(train: LabelledImages, test: LabelledImages, cache: dict[str, Any]) -> Gain:
    return measure(train, test, **{**QUICK, "search": "staged"}, **cache, sources=sources())


def test_the_json_is_the_contract(staged: Gain, tmp_path: Path) -> None:
    staged.save(tmp_path / "gain.json")
    value = json.loads((tmp_path / "gain.json").read_text())
    keys = "synthaug data protocol arms baseline trained control rival chosen gain_over_control"
    assert set(value) == {*keys.split(), "gain_over_rival", "gain", "recommendation", "verdict"}
    assert {"name", "classes", "train", "test", "fingerprint"} <= set(value["data"])
    protocol = "metric seeds choice_seeds per_class steps batch_size device classifier"
    assert set(protocol.split()) <= set(value["protocol"])
    arm = "name synthetic accuracy balanced_accuracy validation_accuracy seconds"
    assert all(set(arm.split()) <= set(each) for each in value["arms"])
    assert {"arm", "generator", "ratio", "labels"} <= set(value["chosen"])
    assert {"points", "low", "high", "per_seed", "confidence"} <= set(value["gain"])
    assert Gain.load(tmp_path / "gain.json").to_json() == staged.to_json()


def test_its_error_from_the_test_images_is_that_of_what_networks_said(
    staged: Gain, test: LabelledImages, cache: dict[str, Any]
) -> None:
    said = {}
    for place in sorted(cache["cache"].glob(f"*/cells/*/tested-{test.fingerprint}.npy")):
        name = json.loads((place.parent / "manifest.json").read_text())["arm"]
        seed = int(re.search(r"-seed(\d+)-", place.parent.name)[1])  # type: ignore[index]
        said.setdefault((name, seed), []).append(np.load(place) == test.labels)

    def right(name: str) -> np.ndarray:
        arm, found = staged.arm(name), []
        for seed, accuracy in zip(arm.seeds, arm.accuracy, strict=True):
            alike = [each for each in said[name, seed] if abs(each.mean() - accuracy) < 1e-4]
            found.append(alike[0])
        return np.mean(found, axis=0)

    apart = 100 * (right(staged.chosen["arm"]) - right(staged.baseline))
    assert apart.mean() == pytest.approx(staged.gain.points, abs=0.02)
    assert staged.gain.image_error == pytest.approx(apart.std(ddof=1) / np.sqrt(len(test)))


def test_the_gain_is_recomputed_from_the_arms(staged: Gain) -> None:
    chosen, baseline = staged.arm(staged.chosen["arm"]), staged.arm(staged.baseline)
    differences = 100 * (np.array(chosen.accuracy) - np.array(baseline.accuracy))
    assert staged.gain.per_seed == pytest.approx(list(differences))
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    if np.ptp(differences):
        assert (staged.gain.low, staged.gain.high) == pytest.approx(tuple(interval))


def test_choices_are_the_best_on_validation(staged: Gain) -> None:
    def best(*kinds: str) -> float:
        entered = [a for a in staged.arms if a.uses in kinds and not staged.given_up(a)]
        return max(np.mean(a.choice_scores) for a in entered)

    bests = {"real": staged.baseline, "control": staged.control, "synthetic": staged.trained}
    for kind, name in bests.items():
        assert name is not None
        assert np.mean(staged.arm(name).choice_scores) == best(kind)
    chosen = staged.arm(staged.chosen["arm"])
    assert chosen.name in (staged.control, staged.trained)
    assert np.mean(chosen.choice_scores) == best("synthetic", "control")
    assert staged.gain_over_control is not None
    over = [
        100 * (a - b)
        for a, b in zip(
            staged.arm(str(staged.trained)).accuracy,
            staged.arm(str(staged.control)).accuracy,
            strict=True,
        )
    ]
    assert staged.gain_over_control.per_seed == pytest.approx(over)


def test_a_result_tells_what_it_was_computed_on(staged: Gain) -> None:
    told = staged.protocol
    assert told["device"] == "cpu" and told["arithmetic"] == arithmetic(torch.device("cpu"))
    assert torch.__version__.startswith(told["versions"]["torch"].split("+")[0])


def test_what_was_chosen_on_some_seeds_is_measured_on_others(
    train: LabelledImages, test: LabelledImages, cache: dict[str, Any]
) -> None:
    """A network that a seed made lucky on validation images is lucky on test images, too."""
    gain = measure(train, test, **{**QUICK, "seeds": 3}, **cache, sources=sources())
    assert gain.protocol["choice_seeds"] == [0, 1, 2]
    assert gain.protocol["seeds"] == [3, 4, 5]
    for arm in gain.arms:
        measured = arm.name in finalists(gain)
        assert arm.seeds == ([3, 4, 5] if measured else [0, 1, 2][: len(arm.choice_scores)])
    # The others are compared with what the baseline had on their seeds.
    others = [arm for arm in gain.arms if arm.name not in finalists(gain) and len(arm.seeds) == 3]
    first, second = others[:2]
    assert first.gain is not None and second.gain is not None
    apart = 100 * (np.array(first.accuracy) - np.array(second.accuracy))
    assert np.array(first.gain.per_seed) - second.gain.per_seed == pytest.approx(apart)


def test_a_gain_has_to_hold_over_what_does_best_on_the_test_images(
    monkeypatch: pytest.MonkeyPatch,
    train: LabelledImages,
    test: LabelledImages,
    cache: dict[str, Any],
) -> None:
    """Where validation images rank arms as test images do not, what they chose is no baseline to
    be proud of beating."""
    made = {"cutmix": 0.9, "mixup": 0.6}

    def score(arm: Arm, seed: int) -> Scores:
        right = made.get(arm.name, 0.7 if arm.source is not None else 0.5)
        return Scores(right + 0.001 * seed, right + 0.001 * seed, np.full(10, right))

    really = Comparison.test

    def scores(self: Comparison, tested: Any, images: LabelledImages, what: str) -> list[Scores]:
        really(self, tested, images, what)
        return [score(*each) for each in tested]

    monkeypatch.setattr(Comparison, "test", scores)
    monkeypatch.setattr(Comparison, "best", lambda self, arms: arms[0])  # not the two
    monkeypatch.setattr(
        Comparison, "differences", lambda self, arm, other, seeds: [5.0] * len(seeds)
    )
    options: dict[str, Any] = {**QUICK, **cache, "sources": sources()}
    gain = measure(train, test, **options)
    assert gain.rival == "cutmix"
    assert gain.arm("cutmix").seeds == gain.protocol["seeds"] == [2, 3]
    assert gain.gain.points == pytest.approx(20) and gain.gain.low > 0
    assert gain.gain_over_rival is not None
    assert gain.gain_over_rival.per_seed == pytest.approx([-20, -20])
    assert gain.verdict == "no evidence"
    assert "On the test images cutmix, also without them, does better" in gain.sentence()
    assert "over it the change is -20.0 points" in gain.sentence()
    # Validation images are for it; what is to be used next is the training that does not lose.
    assert gain.recommendation == gain.chosen["arm"] and gain.contradicted
    assert "train_classifier(" in gain.protocol["next_steps"]
    assert "MixedDataset" not in gain.protocol["next_steps"]

    made["cutmix"] = 0.6
    gain = measure(train, test, **options)
    assert "MixedDataset" in gain.protocol["next_steps"]
    assert gain.rival in made
    assert gain.gain_over_rival is not None and gain.gain_over_rival.points == pytest.approx(10)
    assert gain.verdict == "helps"

    for right in (0.4, 0.5 + 1e-15):  # as good as the baseline, but for rounding, is not ahead
        made |= {"cutmix": right, "mixup": right}
        gain = measure(train, test, **options)
        assert (gain.rival, gain.gain_over_rival, gain.verdict) == (None, None, "helps")
    assert "also without them" not in gain.sentence()


def test_the_staged_search_tries_both_ratios_and_label_rules(staged: Gain) -> None:
    names = [arm.name for arm in staged.arms if arm.uses == "synthetic"]
    assert {"transfer-any", "transfer-within"} <= {name.split()[0] for name in names}
    assert {"0.25", "0.5"} == {name.split()[1] for name in names}
    assert any(" mixed, " in name for name in names)
    assert any(" mixed, " in arm.name for arm in staged.arms if arm.uses == "control")
    real = {arm.name for arm in staged.arms if arm.uses == "real"}
    assert {"none", "classical", "randaugment", "mixup", "cutmix", "randaugment+mixup"} <= real
    assert any(name.endswith(SELF) for name in real)
    assert ("classical, distilled" in real) == (teacher_of(staged) != "classical")


def test_a_recipe_with_mixed_labels_is_measured_beside_its_partner_with_such_labels(
    train: LabelledImages, test: LabelledImages, cache: dict[str, Any]
) -> None:
    training = {"partner": "none, smoothed"}
    mix = MixConfig(StyleSwap(cells=2), 0.25, "mixed", training=training)
    gain = measure(train, test, **QUICK, **cache, sources=sources()[2:], mix=mix)
    assert {arm.uses for arm in gain.arms if arm.name.endswith("none, smoothed, distilled")} == {
        "real"
    }
    # Smoothed labels are tried on the best alone; what a recipe is put on is tried all the same.
    assert gain.arm("none, smoothed").uses == "real"
    controls = [arm.name for arm in gain.arms if arm.uses == "control"]
    assert len(controls) == 3
    assert all(name.endswith(" 0.25 mixed, none, smoothed") for name in controls)


def test_a_recipe_that_was_found_with_another_training_is_told() -> None:
    found = {"classifier": "timm:resnet10t", "classifier_size": 64, "batch_size": 64, "steps": 9}
    alike = {"batch_size": 64, "steps": 9, "per_class": 10}
    mix = MixConfig(StyleSwap(), training=found, search={"per_class": 10})
    notes = setting_notes(mix, Backbone(), **alike)
    assert notes == [
        "the mix configuration was found with classifier timm:resnet10t, and is measured with "
        "resnet",
        "the mix configuration was found with classifier size 64, and is measured with none",
    ]
    unlike = {"batch_size": 64, "steps": 18, "per_class": None}
    notes = setting_notes(mix, Backbone("timm:resnet10t", size=64), **unlike)
    assert notes == [
        "the mix configuration was found with steps 9, and is measured with 18",
        "the mix configuration was found with per class 10, and is measured with none",
    ]
    # It does not say: none, where it says which classifier.
    plain = MixConfig(StyleSwap(), training={"classifier": "resnet"})
    (said,) = setting_notes(plain, Backbone(size=224), **alike)
    assert (
        said
        == "the mix configuration was found with classifier size none, and is measured with 224"
    )
    assert setting_notes(MixConfig(StyleSwap()), Backbone(), **alike) == []
    assert setting_notes(None, Backbone(), **alike) == []


@pytest.mark.parametrize("known", [True, False])
def test_a_recipe_that_may_know_the_test_images_is_told(
    train: LabelledImages, test: LabelledImages, known: bool, cache: dict[str, Any]
) -> None:
    found_on = train.fingerprint if known else test.fingerprint
    mix = MixConfig(
        StyleSwap(cells=2),
        0.25,
        training={"partner": "classical"},
        search={"fingerprint": found_on},
    )
    gain = measure(train, test, **QUICK, **cache, sources=sources()[2:], mix=mix)
    said = [caveat for caveat in gain.protocol["caveats"] if "its choice knew them" in caveat]
    assert len(said) == (not known)


def test_the_full_search_tries_every_combination(
    train: LabelledImages, test: LabelledImages, cache: dict[str, Any]
) -> None:
    gain = measure(train, test, **{**QUICK, "search": "full"}, **cache, sources=sources())
    base_arms = 1 if teacher_of(gain) == "classical" else 2
    synthetic = [arm.name for arm in gain.arms if arm.uses == "synthetic"]
    controls = [arm.name for arm in gain.arms if arm.uses == "control"]
    assert len(set(synthetic)) == 2 * 2 * 2 * base_arms
    assert len(set(controls)) == 2 * 2 * 2 * base_arms


def test_no_arm_sees_a_test_image_and_all_take_the_same_steps(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[bytes] = set()
    lengths: list[tuple[int, int]] = []
    shown: list[int] = []
    train_classifier, fit = runs.train_classifier, Generator.fit

    def recorded(data: LabelledImages, **options: Any) -> Any:
        seen.update(pixels(data.images))
        lengths.append((options["steps"], options["batch_size"]))
        if options["synthetic"] is not None:
            seen.update(pixels(np.asarray(options["synthetic"].images)))
        shown.append(len(data))
        return train_classifier(data, **options)

    def recorded_fit(self: Generator, data: LabelledImages, **options: Any) -> Generator:
        seen.update(pixels(data.images))
        return fit(self, data, **options)

    monkeypatch.setattr(runs, "train_classifier", recorded)
    monkeypatch.setattr(Generator, "fit", recorded_fit)
    gain = measure(train, test, **QUICK, sources=sources())
    assert len(lengths) == trainings(gain)
    assert set(lengths) == {(QUICK["steps"], QUICK["batch_size"])}
    assert set(shown) == {60}
    assert not seen & (pixels(test.images) - pixels(train.images))


def test_a_choice_never_depends_on_the_test_images(
    train: LabelledImages, test: LabelledImages, quick: Gain
) -> None:
    """With the test labels shuffled every choice is the same."""
    shuffled = LabelledImages(test.images, np.roll(test.labels, 1), test.classes)
    first, second = quick, measure(train, shuffled, **QUICK, sources=sources())
    assert (first.baseline, first.control, first.chosen, first.recommendation) == (
        second.baseline,
        second.control,
        second.chosen,
        second.recommendation,
    )
    assert [arm.choice_scores for arm in first.arms] == [arm.choice_scores for arm in second.arms]
    assert first.gain.per_seed != second.gain.per_seed or not np.any(first.gain.per_seed)


@pytest.mark.usefixtures("usual_networks")
def test_same_seed_same_result_side_by_side_or_not(
    train: LabelledImages, test: LabelledImages
) -> None:
    alone = measure(train, test, **QUICK, sources=sources()[1:3])
    beside = measure(train, test, **QUICK, sources=sources()[1:3], jobs=2)
    assert without_times(alone) == without_times(beside)


def test_another_seed_is_another_measurement(
    train: LabelledImages, test: LabelledImages, quick: Gain
) -> None:
    other = measure(train, test, **{**QUICK, "seed": 7}, sources=sources()[2:])
    assert (other.protocol["choice_seeds"], other.protocol["seeds"]) == ([7, 8], [9, 10])
    assert other.arms[0].accuracy != quick.arms[0].accuracy


def test_few_images_are_cross_validated_without_leaking_into_generators(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = train.subset(draw_subset(train, 4, seed=0))
    fitted: list[set[bytes]] = []
    fit = Generator.fit

    def recorded(self: Generator, data: LabelledImages, **options: Any) -> Generator:
        fitted.append(pixels(data.images))
        return fit(self, data, **options)

    monkeypatch.setattr(Generator, "fit", recorded)
    settings = {**QUICK, "per_class": None, "steps": 2}
    gain = measure(few, test, **settings, sources=[Source("random-field", RandomField())])
    # Each of four folds and the whole, for all four seeds; a fold's generator knows three quarters.
    assert sorted(len(each) for each in fitted) == [30] * 16 + [40] * 4
    assert gain.data["train"] == gain.data["validation"] == 40
    assert sum(gain.data["validation_counts"]) == 40
    assert "cross-validation" in gain.protocol["validation"]


def uneven(train: LabelledImages) -> LabelledImages:
    """Half of the classes have 30 images, the others 12."""
    return train.subset(
        np.concatenate(
            [np.flatnonzero(train.labels == k)[: 30 if k < 5 else 12] for k in range(10)]
        )
    )


def test_uneven_classes_are_measured_by_balanced_accuracy(
    train: LabelledImages, test: LabelledImages
) -> None:
    settings = {**QUICK, "per_class": None, "steps": 2}
    gain = measure(
        uneven(train),
        test,
        **settings,
        sources=[Source("style-swap", StyleSwap())],
    )
    assert gain.protocol["metric"] == "balanced accuracy"
    assert {"oversampled", "logit-adjusted"} < {arm.name for arm in gain.arms}
    chosen, baseline = gain.arm(gain.chosen["arm"]), gain.arm(gain.baseline)
    expected = 100 * (np.array(chosen.balanced_accuracy) - np.array(baseline.balanced_accuracy))
    assert gain.gain.per_seed == pytest.approx(list(expected))


def test_a_subset_of_uneven_classes_is_even_and_needs_no_arms_against_that(
    train: LabelledImages, test: LabelledImages
) -> None:
    settings = {**QUICK, "per_class": 5, "steps": 2}
    source = Source("style-swap", StyleSwap())
    gain = measure(uneven(train), test, **settings, sources=[source])
    assert gain.protocol["metric"] == "balanced accuracy"
    assert not {"oversampled", "logit-adjusted"} & {arm.name for arm in gain.arms}


def test_precision_adds_seeds_for_the_arms_that_matter(
    train: LabelledImages, test: LabelledImages
) -> None:
    settings = {**QUICK, "steps": 3}
    first = measure(train, test, **settings, sources=sources()[2:])
    half = (first.gain.high - first.gain.low) / 2
    if half == 0:
        pytest.fail("the seeds do not differ; the test needs a scatter")
    more = measure(train, test, **settings, sources=sources()[2:], precision=half * 0.75)
    assert len(more.gain.per_seed) > 2
    assert more.gain.per_seed[:2] == first.gain.per_seed
    assert (more.gain.high - more.gain.low) / 2 <= half * 0.75 + 1e-9
    assert more.gain.stage_one == 2
    assert len(more.protocol["seeds"]) == len(more.gain.per_seed)
    assert more.arm(more.chosen["arm"]).gain == more.gain  # the table says what the verdict says
    assert not any("are the most" in caveat for caveat in more.protocol["caveats"])


def test_a_precision_that_is_out_of_reach_is_told(
    train: LabelledImages,
    test: LabelledImages,
    monkeypatch: pytest.MonkeyPatch,
    cache: dict[str, Any],
) -> None:
    monkeypatch.setattr("synthaug.gain.testing.MOST_SEEDS", 3)
    settings = {**QUICK, **cache, "precision": 0.01}
    gain = measure(train, test, **settings, sources=sources()[2:])
    assert len(gain.gain.per_seed) == 3
    *_, said = gain.protocol["caveats"]
    assert re.fullmatch(
        r"an interval within 0\.01 points would take about [\d,]+ seeds, and 3 are the most", said
    )
