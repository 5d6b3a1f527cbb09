"""A training that diverges has nothing right, is told of, and ends no run before the last seeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measurement import measure

import synthaug.gain.baselines as tuning
import synthaug.gain.runs.run as runs
from synthaug import Blend, ConditionalVAE, LabelledImages, RandomField, TrainConfig, read_images
from synthaug.classifiers import Backbone
from synthaug.core import TrainingError
from synthaug.data import draw_subset
from synthaug.gain import Arm, Comparison, Experiment, Source, open_comparison, synthetic_arm
from synthaug.gain.arms import distilled_arm, real_arms, smoothed_arm

PLAIN, STEEP = Arm("plain", TrainConfig()), Arm("steep", TrainConfig(learning_rate=1e30))
BROKEN = ConditionalVAE(steps=5, learning_rate=1e30)
QUICK: dict[str, Any] = {
    "seeds": 2,
    "per_class": 6,
    "batch_size": 16,
    "search": "quick",
    "device": "cpu",
    "sources": [Source("random-field", RandomField())],
}


@pytest.fixture(scope="module")
def train() -> LabelledImages:
    data = read_images("digits", image_size=8)
    return data.subset(draw_subset(data, 30, seed=0))


@pytest.fixture(scope="module")
def test() -> LabelledImages:
    return read_images("digits", split="test", image_size=8).subset(np.arange(100))


@contextmanager
def trials_of(train: LabelledImages, cache: Path) -> Iterator[Comparison]:
    experiment = Experiment(train, None, 6, Backbone(), 16, "cpu")
    with open_comparison(
        experiment, [0, 1], cache=cache, keep=True, jobs=1, progress=None
    ) as comparison:
        comparison.steps = 3
        yield comparison


def test_it_has_nothing_right_and_is_given_up(
    train: LabelledImages, test: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trials_of(train, tmp_path) as comparison:
        comparison.race([STEEP, PLAIN], "racing")
        assert comparison.best([STEEP, PLAIN]) == PLAIN
        scores = comparison.validation([STEEP, PLAIN])
        assert not scores[STEEP].any() and scores[PLAIN].all()
        assert not comparison.divergences(PLAIN, [0, 1])
        said = comparison.divergences(STEEP, [0, 1])
        assert set(said) == {0, 1} and all("learning rate" in why for why in said.values())
        tested = comparison.test([(STEEP, 0), (PLAIN, 0)], test, "test images")
        assert [bool(each.accuracy) for each in tested] == [False, True]
    monkeypatch.setattr(runs, "train_classifier", None)  # nothing is trained again
    with trials_of(train, tmp_path) as comparison:
        comparison.train([STEEP, PLAIN], "again")
        assert comparison.divergences(STEEP, [0, 1]) == said
        assert comparison.test([(STEEP, 0)], test, "test images")[0].accuracy == 0


def test_where_all_do_there_is_no_best(train: LabelledImages, tmp_path: Path) -> None:
    with trials_of(train, tmp_path) as comparison:
        comparison.train([STEEP], "training")
        with pytest.raises(TrainingError, match=r"^steep, seed 0: .* lower the learning rate"):
            comparison.best([STEEP])


def test_who_learns_from_it_has_nothing_right_either(train: LabelledImages, tmp_path: Path) -> None:
    with trials_of(train, tmp_path) as comparison:
        comparison.teacher = STEEP
        pupil = distilled_arm(PLAIN, own=False)
        comparison.train([pupil], "distilled")
        assert not comparison.validation([pupil])[pupil].any()
        assert all(
            "the teacher of its labels: " in w for w in comparison.divergences(pupil, [0]).values()
        )


@pytest.mark.parametrize("generator", [BROKEN, Blend([BROKEN, RandomField()])], ids=["one", "part"])
def test_a_generator_that_diverges_makes_no_images(
    train: LabelledImages, tmp_path: Path, generator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one that has it as a part."""
    arm = synthetic_arm(Source("broken", generator), PLAIN, 0.25, "hard")
    with trials_of(train, tmp_path) as comparison:
        comparison.train([arm], "training")
        said = comparison.divergences(arm, [0, 1])
        assert set(said) == {0, 1}
        assert all("lower the learning rate" in why for why in said.values())
    monkeypatch.setattr(ConditionalVAE, "fit", None)  # nor is it fitted again for another share
    with trials_of(train, tmp_path) as comparison:
        other = synthetic_arm(Source("broken", generator), PLAIN, 0.5, "hard")
        comparison.train([other], "training")
        assert comparison.divergences(other, [0, 1]) == said


def test_a_gain_goes_on_without_what_diverged(train: LabelledImages, test: LabelledImages) -> None:
    sources = [Source("broken", BROKEN), Source("vae", ConditionalVAE(steps=5)), *QUICK["sources"]]
    options = {**QUICK, "sources": sources, "steps": 3, "config": TrainConfig()}
    gain = measure(train, test, **options)
    broken = gain.arm(next(arm.name for arm in gain.arms if arm.name.startswith("broken")))
    assert not any([*broken.accuracy, *broken.choice_scores])
    assert gain.trained is not None and gain.trained.startswith("vae")
    told = [each for each in gain.protocol["caveats"] if "diverged" in each]
    assert told == [
        f"the training of {broken.name} diverged (the vae loss became nan at step 1), and has "
        "nothing right on seeds 0, 1"
    ]


def test_a_rate_that_is_too_high_is_tuned_away(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = [{"learning_rate": rate} for rate in (0.1, 1e30)]
    monkeypatch.setattr(tuning, "CANDIDATES", (rates, tuning.POLICIES[:1]))
    gain = measure(train, test, **QUICK, steps=3)
    assert gain.protocol["recipe"]["learning_rate"] <= 0.1
    rows = [row for row in gain.protocol["tuning"] if "learning_rate" in row]
    scores = {row["learning_rate"]: row["validation"] for row in rows}
    assert scores[0.1] > scores[1e30] == 0


def test_what_is_tried_on_top_and_diverges_is_not_chosen(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate beyond those that nobody asked for, and twice the steps: each is trained alone, and
    the best before it stands."""
    original = runs.train_classifier

    def diverging(*images: Any, **options: Any) -> Any:
        if options["config"].learning_rate not in usual or options["steps"] > 6:
            raise TrainingError("the loss became nan")
        return original(*images, **options)

    usual = (0.1, 0.5)
    rates = [{"learning_rate": rate} for rate in usual]
    monkeypatch.setattr(tuning, "CANDIDATES", (rates, tuning.POLICIES[:1]))
    monkeypatch.setattr(tuning, "TUNING_STEPS", 6)
    monkeypatch.setattr(runs, "train_classifier", diverging)
    gain = measure(train, test, **QUICK)
    rows = gain.protocol["tuning"]
    assert gain.protocol["steps"] == 6 and gain.protocol["recipe"]["learning_rate"] in usual
    beyond = [row["validation"] for row in rows if row.get("learning_rate", 0.1) not in usual]
    assert beyond and not any(beyond)
    longer = [row["validation"] for row in rows if row["steps"] == 12]
    assert longer and not any(longer)


def test_an_oracle_candidate_that_diverges_on_the_last_seeds_is_none(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = runs.train_classifier
    options: dict[str, Any] = {**QUICK, "steps": 3, "config": TrainConfig()}
    first = measure(train, test, **options)
    finalists = {first.baseline, first.trained, first.control, first.chosen["arm"]}
    on_last = [arm for arm in first.arms if arm.seeds == first.protocol["seeds"]]
    candidates = {arm.name for arm in on_last} - finalists
    plain = real_arms(TrainConfig(), balanced=True)
    arms = [arm for arm in (*plain, *map(smoothed_arm, plain)) if arm.name in candidates]
    names, configs = [arm.name for arm in arms], [arm.config for arm in arms]
    assert configs

    def diverging(*images: Any, **settings: Any) -> Any:
        is_plain = settings["synthetic"] is None and settings["soft_labels"] is None
        if is_plain and settings["seed"] == 3 and settings["config"] in configs:
            raise TrainingError("the loss became nan; lower the learning rate")
        return original(*images, **settings)

    monkeypatch.setattr(runs, "train_classifier", diverging)
    gain = measure(train, test, **options)
    assert gain.rival not in names
    messages = [each for each in gain.protocol["caveats"] if "diverged" in each]
    assert set(messages[-len(configs) :]) == {
        f"the training of {name} diverged (the loss became nan), and has nothing right on seed 3"
        for name in names
    }


def test_a_recipe_that_never_converges_ends_it_at_once(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match=r"^\S.*, seed 0: .* lower the learning rate"):
        measure(train, test, **QUICK, config=STEEP.config, steps=3)
    done: list[str] = []
    monkeypatch.setattr(tuning, "TUNING_STEPS", 3)
    with pytest.raises(TrainingError, match=r"^tuning randaugment"):
        measure(
            train, test, **QUICK, config=STEEP.config, progress=lambda what, *_: done.append(what)
        )
    assert set(done) == {"tuning the baseline"}


def test_no_figure_is_made_of_it(
    train: LabelledImages, test: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the seeds that a gain is measured on it would be one over nothing."""
    original = runs.train_classifier

    def diverging(*images: Any, **options: Any) -> Any:
        if options["seed"] == 3 and options["synthetic"] is None:
            options["config"] = STEEP.config
        return original(*images, **options)

    monkeypatch.setattr(runs, "train_classifier", diverging)
    with pytest.raises(TrainingError, match=r", seed 3: .* lower the learning rate"):
        measure(train, test, **QUICK, steps=3, config=TrainConfig())
