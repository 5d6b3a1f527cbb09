"""What nobody may be able to say of the instrument: that it saw test images, that its arms were
trained unequally, that it chose on what it reports."""

import itertools
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from measurement import measure
from scipy import stats

import synthaug.gain.baselines as tuning
import synthaug.gain.measure as protocol
import synthaug.gain.runs.run as runs
import synthaug.gain.testing as opening
from synthaug import (
    Blend,
    Chain,
    Gain,
    InputError,
    LabelledImages,
    RandomField,
    SamplePool,
    Samples,
    StyleSwap,
    TrainConfig,
    TransferVAE,
    read_images,
)
from synthaug.classifiers import Backbone, Scores
from synthaug.core import arithmetic
from synthaug.data import draw_subset
from synthaug.gain import Arm, Comparison, Experiment, Source, data_caveats, sources_of
from synthaug.gain.runs.folds import plan_folds
from synthaug.gain.selection import setting_notes
from synthaug.generators import Composite, Generator
from synthaug.mixing import MixConfig

Measure = Callable[..., Gain]
Way = tuple[TrainConfig, str | None]  # a recipe and the mix that it is tried with
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


@pytest.fixture(scope="module")
def train() -> LabelledImages:
    data = read_images("digits", image_size=8)
    return data.subset(draw_subset(data, 30, seed=0))


@pytest.fixture(scope="module")
def test() -> LabelledImages:
    return read_images("digits", split="test", image_size=8).subset(np.arange(200))


def sources() -> list[Source]:
    return [
        *sources_of(TransferVAE(steps=5)),
        Source("style-swap", StyleSwap(cells=2)),
        Source("random-field", RandomField()),
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of runs that may take over what others trained: most of their arms are alike."""
    return {"cache": tmp_path_factory.mktemp("cells"), "keep": True}


@pytest.fixture(scope="module")
def staged(train: LabelledImages, test: LabelledImages, cache: dict[str, Any]) -> Gain:
    return measure(train, test, **{**QUICK, "search": "staged"}, **cache, sources=sources())


@pytest.fixture(scope="module")
def quick(train: LabelledImages, test: LabelledImages) -> Gain:
    """In one go, with nothing from another run."""
    return measure(train, test, **QUICK, sources=sources())


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


def without_times(gain: Gain) -> dict[str, Any]:
    value = gain.to_json()
    for arm in value["arms"]:
        del arm["seconds"]
    return value


@pytest.mark.usefixtures("usual_networks")
def test_same_seed_same_result_side_by_side_or_not(
    train: LabelledImages, test: LabelledImages
) -> None:
    alone = measure(train, test, **QUICK, sources=sources()[1:3])
    beside = measure(train, test, **QUICK, sources=sources()[1:3], jobs=2)
    assert without_times(alone) == without_times(beside)
    other = measure(train, test, **{**QUICK, "seed": 7}, sources=sources()[2:])
    assert (other.protocol["choice_seeds"], other.protocol["seeds"]) == ([7, 8], [9, 10])
    assert other.arms[0].accuracy != alone.arms[0].accuracy


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
    settings = {**QUICK, "per_class": None, "steps": 2, "search": "staged"}
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
    settings = {**QUICK, "per_class": 5, "steps": 2, "search": "staged"}
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


SETTLED = ("standardize", "policy")


def settled_steps(tried: list[dict[str, Any]], first: int) -> tuple[int, str]:
    """What such trials settle: the last length that was worth doubling, and its best mix."""
    lengths = [list(group) for _, group in itertools.groupby(tried, lambda trial: trial["steps"])]
    bests = [max(group, key=lambda trial: trial["validation"]) for group in lengths]
    assert all({t["mix"] for t in group} == {"none", "mixup", "cutmix"} for group in lengths)
    assert [best["steps"] for best in bests] == [first * 2**i for i in range(len(bests))]
    # It stops at the first doubling that is not worth it, and keeps the length before.
    worth = [
        longer["validation"] >= shorter["validation"] + tuning.WORTH_DOUBLING - 1e-5
        for shorter, longer in itertools.pairwise(bests)
    ]
    assert all(worth[:-1])
    chosen = bests[-1] if not worth or worth[-1] else bests[-2]
    return chosen["steps"], chosen["mix"]


def test_tuning_settles_recipe_and_steps_before_any_arm(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "TUNING_STEPS", 4)
    monkeypatch.setattr(tuning, "MOST_STEPS", 16)
    normalisations = [{"standardize": True}, {"standardize": False}]
    monkeypatch.setattr(tuning, "CANDIDATES", (normalisations, tuning.POLICIES[:2]))
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


def fake_trials(seeds: int) -> Any:
    experiment = SimpleNamespace(classifier=Backbone())
    return SimpleNamespace(experiment=experiment, seeds=list(range(seeds)))


def test_two_unlucky_seeds_do_not_end_the_training_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the steps are worth a point; on the first two seeds they look worth a fifth of it."""
    asked = []

    def score(
        _: object,
        ways: list[Way],
        steps: int,
        *,
        seeds: list[int] | None = None,
    ) -> list[float]:
        asked.extend((steps, mix, seeds) for _, mix in ways)
        worth = 0.01 if seeds is not None else 0.002
        reached = 0.5 + worth * min(math.log2(steps / 600), 1)
        return [reached - 0.1 * (mix is not None) for _, mix in ways]

    monkeypatch.setattr(tuning, "_score", score)
    found = tuning.tune(fake_trials(5), None, "shift", None)
    assert found.steps == 1200
    assert (600, None, [0, 1, 2, 3, 4]) in asked and (1200, None, [0, 1, 2, 3, 4]) in asked
    asked_all = [trial for trial in found.tried if trial.get("seeds") == 5]
    assert [trial["steps"] for trial in asked_all] == [600, 1200, 1200, 2400]
    assert tuning.tune(fake_trials(2), None, "shift", None).steps == 600


def test_a_linear_probe_is_tried_at_rates_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the rates of fine-tuning it looks worse than it is."""
    asked: list[TrainConfig] = []

    def score(_: object, ways: list[Way], *_more: Any, **_seeds: Any) -> list[float]:
        recipes = [config for config, _ in ways]
        asked.extend(recipes)
        return [0.6 if r.frozen and r.learning_rate == 0.3 else 0.5 for r in recipes]

    monkeypatch.setattr(tuning, "_score", score)
    comparison = fake_trials(2)
    comparison.experiment.classifier = SimpleNamespace(pretrained=True)
    found = tuning.tune(comparison, None, "shift", None)
    assert (found.config.frozen, found.config.learning_rate) == (True, 0.3)
    probes = {config.learning_rate for config in asked if config.frozen}
    others = {config.learning_rate for config in asked if not config.frozen}
    assert probes == {0.03, 0.1, 0.3, 0.9}  # those on both sides of the best are tried, too
    assert others == {0.01, 0.03, 0.1}
    assert {config.policy for config in asked} == {"shift"}
    rows = [row for row in found.tried if "frozen" in row]
    assert len(rows) == 7 and all("learning_rate" in row for row in rows)


@pytest.mark.parametrize("rate", [0.8, 0.1, 0.013])
@pytest.mark.parametrize("decay", [0.16, 0.01, 0.0008])
def test_tuning_goes_on_where_the_best_is_at_an_end(
    monkeypatch: pytest.MonkeyPatch, rate: float, decay: float
) -> None:
    """Whatever the best is, it was tried, and so was what lies on both sides of it."""
    asked: list[TrainConfig] = []

    def score(_: object, ways: list[Way], *_more: Any, **_seeds: Any) -> list[float]:
        recipes = [config for config, _ in ways]
        asked.extend(recipes)
        return [
            0.9
            - 0.01 * abs(math.log(each.learning_rate / rate))
            - 0.01 * abs(math.log(each.weight_decay / decay))
            for each in recipes
        ]

    monkeypatch.setattr(tuning, "_score", score)
    found = tuning.tune(fake_trials(2), None, "shift", 600)
    assert found.config.learning_rate == pytest.approx(rate, rel=0.1)
    assert found.config.weight_decay == pytest.approx(decay, rel=0.1)
    for name in ("learning_rate", "weight_decay"):
        numbers = [row[name] for row in found.tried if name in row]
        assert min(numbers) < getattr(found.config, name) < max(numbers)
        assert len(numbers) == len(set(numbers))  # none is trained twice


def test_recipe_is_tuned_for_trainings_of_the_length_that_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is best for a short training is not for a long one."""

    def score(_: object, ways: list[Way], steps: int, **seeds: Any) -> list[float]:
        best = 1e-2 if steps <= 1200 else 2e-3
        learned = 0.5 + 0.02 * math.log2(steps / 600)
        return [
            learned
            + 0.04 * (mix == "mixup" and steps >= 2400)
            - 0.05 * (each.weight_decay != best)
            + 0.01 * (each.policy == "shift-flip")
            for each, mix in ways
        ]

    monkeypatch.setattr(tuning, "_score", score)
    comparison = fake_trials(2)
    found = tuning.tune(comparison, None, None, None)
    assert (found.steps, found.config.weight_decay) == (tuning.MOST_STEPS, 2e-3)
    assert found.config.policy == "shift-flip"
    assert found.at_limit and found.chose_steps
    assert all(trial["mix"] == "mixup" for trial in found.tried if "policy" in trial)
    short = tuning.tune(comparison, None, "rotate-scale", 600)
    assert (short.steps, short.config.weight_decay, short.config.policy) == (
        600,
        1e-2,
        "rotate-scale",
    )
    assert not short.chose_steps
    assert tuning.tune(comparison, TrainConfig(), None, 600) == tuning.Tuning(
        TrainConfig(), 600, []
    )
    assert tuning.tune(comparison, TrainConfig(), None, None).steps == tuning.MOST_STEPS


def test_a_recipe_is_tuned_again_where_it_makes_longer_trainings_worth_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More steps pay with little weight decay alone, of which the usual is not."""

    def score(_: object, ways: list[Way], steps: int, **seeds: Any) -> list[float]:
        return [
            0.5
            - 10 * abs(each.weight_decay - 2e-3)
            + 0.05 * (each.weight_decay < 5e-3) * math.log2(steps / 600)
            for each, _ in ways
        ]

    monkeypatch.setattr(tuning, "_score", score)
    found = tuning.tune(fake_trials(2), None, None, None)
    tried = [trial["steps"] for trial in found.tried if "weight_decay" in trial]
    assert set(tried) == {600, found.steps}


def make_pool(
    directory: Path, images: np.ndarray, labels: np.ndarray, data: LabelledImages
) -> Path:
    SamplePool.from_samples(directory, Samples(images, labels), data.classes)
    return directory


POOLED = {**QUICK, "per_class": None, "steps": 2}


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
    sizes = {len(experiment.tested(seed).train) for seed in range(5)}
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
    gain = measure(train, test, **{**POOLED, "steps": 20}, sources=[], pool=pool)
    assert gain.verdict != "helps"
    assert gain.recommendation == "none"
    assert "config=TrainConfig(" in gain.protocol["next_steps"]


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
