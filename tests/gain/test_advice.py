"""The lines of Python that a run ends with do what was measured."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthaug import LabelledImages, SamplePool, Samples, SyntheticDataset, read_images
from synthaug.classifiers import Backbone, TrainConfig, predict
from synthaug.gain import (
    Arm,
    Source,
    next_steps,
    sources_of,
    spell_size,
    synthetic_arm,
)
from synthaug.gain.arms import LABELS, distilled_arm
from synthaug.generators import (
    EXTRAPOLATE,
    Blend,
    Chain,
    ConditionalVAE,
    Generator,
    PatchSwap,
    RandomField,
    StyleSwap,
    TransferVAE,
)
from synthaug.mixing import mixed_labels

IMAGES = LabelledImages(np.zeros((2, 3, 12, 16), np.uint8), [0, 1], ["a", "b"])


@dataclass
class Mine(StyleSwap):
    """A family of the user's own."""

    cells: int = 2


@dataclass
class Asking(StyleSwap):
    """One that takes a setting, and has none for it."""

    rounds: int = field(kw_only=True)
    names: list[str] = field(default_factory=list)


def lines_for(
    recommended: Arm | None,
    baseline: Arm,
    teacher: Arm,
    data: str,
    classifier: Backbone = Backbone(),  # noqa: B008
    steps: int = 10,
) -> str:
    facts = {"data": data, "classifier": classifier, "steps": steps}
    return next_steps(
        recommended,
        baseline,
        teacher,
        **facts,
        batch_size=8,
        size=spell_size(IMAGES),
    )


def test_the_generator_is_made_with_the_settings_that_were_measured() -> None:
    base_arm = Arm("classical", TrainConfig())
    source = sources_of(TransferVAE(steps=400, donors="within"))[0]
    arm = synthetic_arm(source, base_arm, 0.25, "hard")
    lines = lines_for(arm, base_arm, base_arm, "data")
    assert "MixConfig(TransferVAE(steps=400, donors='any'), ratio=0.25)" in lines


def test_settings_without_a_default_are_written_out() -> None:
    base_arm = Arm("classical", TrainConfig())
    arm = synthetic_arm(Source("asking", Asking(cells=2, rounds=3)), base_arm, 0.25, "hard")
    lines = lines_for(arm, base_arm, base_arm, "data")
    assert "Asking(cells=2, rounds=3)" in lines


def test_the_size_that_was_measured_is_said_of_the_dataset() -> None:
    base_arm = Arm("classical", TrainConfig())
    pool = Source("pool", pool=Path("pool"), fingerprint="f")
    for source in (Source("style-swap", StyleSwap()), pool):
        arm = synthetic_arm(source, base_arm, 0.25, "hard")
        lines = lines_for(arm, base_arm, base_arm, "data").splitlines()
        assert max(map(len, lines)) <= 88
        said = " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
        assert "images of 12 x 16 pixels (height x width) in RGB, so that is what your" in said


def test_another_network_than_the_usual_one_is_named_beside_the_mix(tmp_path: Path) -> None:
    """It is what the gain was measured on, and no other network needs to have it."""
    base_arm = Arm("classical", TrainConfig(learning_rate=0.01, frozen=True))
    arm = synthetic_arm(Source("style-swap", StyleSwap()), base_arm, 0.25, "hard")
    weights = tmp_path / f"weights-of-{'a-' * 40}long-name.safetensors"
    weights.touch()
    network = Backbone("timm:resnet10t", weights, size=96)
    usual, other = (
        " ".join(lines_for(arm, base_arm, base_arm, "data", each).replace("\n#", "").split())
        for each in (Backbone(), network)
    )
    assert "Backbone" not in usual
    assert (
        f"on Backbone(name='timm:resnet10t', weights='{weights}', size=96) by "
        "TrainConfig(learning_rate=0.01, frozen=True); 10 steps" in other
    )


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
    base_arm = Arm("classical", TrainConfig())
    arm = synthetic_arm(source, base_arm, 0.25, "hard")
    lines = lines_for(arm, base_arm, base_arm, "data")
    made: dict[str, Any] = {}
    exec(lines[: lines.index("# in place")], made)
    assert made["mix"].generator == expected
    assert made["mix"].generator.settings == expected.settings


@pytest.mark.parametrize("generator", [Mine(), Mine(cells=4), Blend((Mine(), RandomField()))])
def test_the_lines_bring_a_family_of_the_users_own(tmp_path: Path, generator: Generator) -> None:
    base_arm = Arm("classical", TrainConfig())
    arm = synthetic_arm(Source("mine", generator), base_arm, 0.25, "hard")
    lines = lines_for(arm, base_arm, base_arm, "data")
    made: dict[str, Any] = {}
    exec(lines[: lines.index("# in place")], made)
    assert made["mix"].generator == generator
    data = read_images("digits").subset(np.arange(60))
    pool = made["mix"].make_pool(tmp_path / "pool", data, device="cpu")
    assert pool.manifest["generator"]["settings"] == json.loads(json.dumps(generator.settings))


def test_a_class_of_the_script_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mine, "__module__", "__main__")
    base_arm = Arm("classical", TrainConfig())
    lines = lines_for(
        synthetic_arm(Source("m", Mine()), base_arm, 0.25, "hard"), base_arm, base_arm, "d"
    )
    assert lines.startswith("# Mine is the class that was measured\nfrom synthaug import MixedData")


def test_the_lines_mix_as_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters and mixed labels too, whose teacher is the best classifier without them."""
    monkeypatch.chdir(tmp_path)
    base_arm = Arm("mixup", TrainConfig(mix="mixup"))
    source = Source("swap", StyleSwap(), filters={"distance": 0.9})
    arm = synthetic_arm(source, base_arm, 0.25, "mixed")
    lines = lines_for(arm, base_arm, base_arm, "digits", steps=2)
    real = read_images("digits").subset(np.arange(60))
    made: dict[str, Any] = {"your_dataset": SyntheticDataset(stored(tmp_path / "real", real))}
    exec(lines, made)
    mixed = made["dataset"]
    assert (mixed.ratio, mixed.labels) == (0.25, "mixed")
    assert mixed.pool.manifest["filters"] == ["DistanceFilter"]
    assert mixed.pool.samples.soft_labels is not None


def stored(directory: Path, data: LabelledImages) -> SamplePool:
    return SamplePool.from_samples(directory, Samples(data.images, data.labels), data.classes)


def test_a_pool_that_was_measured_is_the_one_that_is_used(tmp_path: Path) -> None:
    data = read_images("digits").subset(np.arange(60))
    pool = stored(tmp_path / "pool", data)
    source = Source("pool", pool=pool.directory, fingerprint="f")
    base_arm = Arm("classical", TrainConfig())
    for labels in LABELS:
        arm = synthetic_arm(source, base_arm, 0.5, labels)
        lines = lines_for(arm, base_arm, base_arm, "digits", steps=2)
        made: dict[str, Any] = {"your_dataset": SyntheticDataset(pool)}
        exec(lines, made)
        assert (made["dataset"].ratio, len(made["dataset"].pool)) == (0.5, 60)
        assert made["dataset"].labels == labels
        if labels == "mixed":  # beside the pool, which is as it was
            expected = predict(made["network"], data.images)
            assert np.allclose(made["dataset"].pool.samples.soft_labels, expected)
            assert SamplePool(pool.directory).samples.soft_labels is None


def test_the_best_recipe_without_synthetic_images_is_written_in_full() -> None:
    baseline = Arm("best", TrainConfig("none", "randaugment", weight_decay=0.01))
    lines = lines_for(None, baseline, baseline, "data")
    made: dict[str, Any] = {}
    start = lines.index("config=") + len("config=")
    end = lines.index("    steps=")
    exec(f"from synthaug import TrainConfig\nconfig = {lines[start:end].strip().rstrip(',')}", made)
    assert made["config"] == baseline.config


def test_the_network_is_the_one_that_was_measured() -> None:
    baseline, network = Arm("classical", TrainConfig()), Backbone("timm:resnet10t", size=32)
    lines = lines_for(None, baseline, baseline, "digits", network)
    made: dict[str, Any] = {}
    exec(lines.replace("train_classifier(", "dict(train="), made)
    assert made["network"]["classifier"] == network


def test_distilled_labels_are_a_teachers_that_is_trained_first() -> None:
    teacher = Arm("cutmix, smoothed", TrainConfig(mix="cutmix", label_smoothing=0.1))
    plain = Arm("classical", TrainConfig("none"))
    other = distilled_arm(plain, own=False)
    mixed = synthetic_arm(Source("style-swap", StyleSwap()), plain, 0.25, "mixed")
    for recommended, baseline in ((None, other), (mixed, other), (mixed, plain)):
        lines = lines_for(recommended, baseline, teacher, "digits", steps=1)
        made: dict[str, Any] = {}
        exec(lines[: lines.index(")\n")].replace("train_classifier(", "dict(train=") + ")", made)
        assert made["network"]["config"] == teacher.config
        assert ("soft_labels=soft_labels" in lines) == (recommended is None)


def test_the_lines_run_and_say_how_the_baseline_was_trained() -> None:
    plain = Arm("mixup", TrainConfig(mix="mixup"))
    for baseline, distilled in ((plain, False), (distilled_arm(plain), True)):
        lines = lines_for(None, baseline, plain, "digits", steps=1)
        assert ("soft_labels=" in lines) == distilled
        made: dict[str, Any] = {}
        exec(lines, made)
        assert made["network"](torch.zeros(2, 1, 16, 16)).shape == (2, 10)
        if distilled:  # as the arm that was measured had it
            first, *_ = lines.split("import numpy")
            taught: dict[str, Any] = {}
            exec(first, taught)
            real = read_images("digits")
            posterior = predict(taught["network"], real.images)
            assert np.allclose(made["soft_labels"], mixed_labels(real.labels, posterior))
