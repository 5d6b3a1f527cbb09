"""What is trained for whom, and in which order."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

import synthaug.gain.runs.run as runs
from synthaug import LabelledImages, TrainConfig, read_images
from synthaug.classifiers import Backbone, evaluate
from synthaug.core import write_json
from synthaug.gain import Arm, Comparison, Experiment, open_comparison
from synthaug.gain.arms import distilled_arm
from synthaug.gain.runs.run import Run

PLAIN = Arm("plain", TrainConfig())
DISTILLED = distilled_arm(PLAIN)


def recorded(directory: Path) -> tuple[Comparison, list[list[tuple[str, int]]]]:
    """Trials of two seeds whose runner trains nothing, and the batches that it was given."""
    batches: list[list[tuple[str, int]]] = []

    def run(asked: Sequence[Run], what: str) -> None:
        batches.append([(run.arm.name, run.seed) for run in asked])

    experiment: Any = SimpleNamespace(
        directory=directory, folds=lambda seed: [SimpleNamespace(name="all")]
    )
    runner: Any = SimpleNamespace(run=run)
    return Comparison(experiment, runner, "accuracy", [0, 1]), batches


def write_told(place: Path, seconds: float) -> None:
    """What is kept of a training."""
    place.mkdir(parents=True)
    told = {"kind": runs.KIND, "seconds": seconds, "generator_seconds": 9.0}
    write_json(place / "manifest.json", told)


def test_a_teacher_is_trained_before_those_that_learn_from_it(tmp_path: Path) -> None:
    comparison, batches = recorded(tmp_path)
    comparison.teacher = PLAIN
    other = Arm("other", TrainConfig(mix="mixup"))
    comparison.train([DISTILLED, other], "fresh", seeds=[5, 6])
    assert batches[0] == [("plain", 5), ("plain", 6)]
    assert sorted(batches[1]) == [
        (a, s) for a in ("other", "plain, self-distilled") for s in (5, 6)
    ]
    assert len(batches) == 2


def test_no_teacher_is_trained_for_what_needs_none_or_is_there(tmp_path: Path) -> None:
    comparison, batches = recorded(tmp_path)
    comparison.teacher = PLAIN
    comparison.train([PLAIN], "plain")
    assert batches == [[("plain", 0), ("plain", 1)]]
    for seed in (0, 1):
        for run in comparison.runs(DISTILLED, seed):
            write_told(run.directory(comparison.experiment), 1.5 + seed)
    comparison.train([DISTILLED], "done")
    assert len(batches) == 1
    assert comparison.reused_networks() == (2, 4.0)


def test_a_teacher_that_was_trained_on_the_way_is_of_no_earlier_run(tmp_path: Path) -> None:
    comparison, _ = recorded(tmp_path)
    comparison.teacher = PLAIN
    comparison.train([DISTILLED], "distilled")
    for seed in (0, 1):
        for run in comparison.runs(PLAIN, seed):
            write_told(run.directory(comparison.experiment), 1.5)
    comparison.train([PLAIN], "plain")
    assert comparison.reused_networks() == (0, 0)


def test_an_arm_that_is_named_twice_is_trained_once(tmp_path: Path) -> None:
    """As the baseline is that is also what the best of a search is put on, softened."""
    comparison, batches = recorded(tmp_path)
    comparison.train([PLAIN, Arm("plain", TrainConfig())], "checking the best")
    assert batches == [[("plain", 0), ("plain", 1)]]


def test_no_seeds_are_not_all_seeds(tmp_path: Path) -> None:
    """Where the first seeds are precise enough, none are added."""
    comparison, batches = recorded(tmp_path)
    comparison.train([PLAIN], "more seeds", seeds=[])
    assert not batches
    assert len(comparison.validation([PLAIN], seeds=[])[PLAIN]) == 0


def test_choices_need_no_networks_and_those_that_are_needed_again_are_trained_again(
    tmp_path: Path,
) -> None:
    """As where what networks said was brought from another machine, or room was made."""
    digits, test = read_images("digits"), read_images("digits", split="test").subset(range(50))
    experiment = Experiment(digits, None, 5, Backbone(), 16, "cpu")
    ran: dict[str, set[int]] = {}

    def measured() -> tuple[np.ndarray, np.ndarray]:
        ran.clear()
        with open_comparison(
            experiment,
            [0],
            cache=tmp_path,
            keep=True,
            jobs=1,
            progress=lambda what, done, known: ran.setdefault(what, set()).add(done),
        ) as comparison:
            comparison.steps, comparison.teacher = 2, PLAIN
            comparison.train([PLAIN, DISTILLED], "networks")
            held = comparison.validation([DISTILLED])[DISTILLED]
            [scores] = comparison.test([(DISTILLED, 0)], test, "test images")
            return held, scores.per_class

    first = measured()
    assert ran["networks"] == {0, 1, 2} and ran["test images"] == {2, 3}
    for weights in tmp_path.rglob("weights.safetensors"):
        weights.unlink()
    again = measured()  # what they said of the test images was kept
    assert "networks" not in ran and ran["test images"] == {0, 1}
    assert (again[0] == first[0]).all() and (again[1] == first[1]).all()
    for said_of_test in tmp_path.rglob("tested-*.npy"):
        said_of_test.unlink()
    again = measured()
    assert "networks" not in ran and ran["test images"] == {0, 1, 2}  # the teacher, then itself
    assert (again[0] == first[0]).all() and (again[1] == first[1]).all()
    assert len([*tmp_path.rglob("weights.safetensors")]) == 2
    # As if they were of another machine: choices stay as they were made.
    files = [path for path in tmp_path.rglob("predicted.npy") if "distilled" in path.parent.name]
    for path in files:
        np.save(path, (np.load(path) + 1) % 10)
        (path.parent / "weights.safetensors").unlink()
        [said_of_test] = path.parent.glob("tested-*.npy")
        said_of_test.unlink()
    said = [np.load(path) for path in files]
    with pytest.warns(UserWarning, match=r"trained again, .*other labels for (\d+) of \1 images"):
        measured()
    assert files
    assert all(map(np.array_equal, map(np.load, files), said))


def test_a_network_that_was_scored_and_not_kept_is_trained_again(tmp_path: Path) -> None:
    """For other test images, and as the teacher of another."""
    digits, test = read_images("digits"), read_images("digits", split="test").subset(range(50))
    experiment = Experiment(digits, None, 5, Backbone(), 16, "cpu")

    def tested(arm: Arm, images: LabelledImages) -> list[float]:
        with open_comparison(
            experiment, [0], cache=tmp_path, keep=True, jobs=1, progress=None
        ) as comparison:
            comparison.steps, comparison.teacher = 2, PLAIN
            [scores] = comparison.test([(arm, 0)], images, "test images")
        return scores.per_class.tolist()

    first, other = tested(PLAIN, test), test.subset(range(30))
    for arm, images in ((PLAIN, other), (DISTILLED, test)):
        for weights in tmp_path.rglob("weights.safetensors"):
            weights.unlink()
        tested(arm, images)
    assert tested(PLAIN, test) == first


def test_a_network_of_12_of_16_bits_is_loaded_as_it_was(tmp_path: Path) -> None:
    digits = read_images("digits").subset(range(300))
    deep = LabelledImages(digits.images.astype(np.uint16) * 16, digits.labels, digits.classes)
    experiment = Experiment(deep, None, 5, Backbone(), 16, "cpu", directory=tmp_path)
    run = Run(PLAIN, 0, "all", 2)
    runs.train_run(experiment, run)
    network, held = runs.load_network(experiment, run), experiment.fold(0, "all").validation
    assert network[0].floor.item() == pytest.approx(0.01 / 16, rel=0.01)
    assert held is not None
    said = runs.predict(network, held.images, device="cpu").argmax(1)
    assert np.array_equal(said, runs.validation_predictions(experiment, run))


def test_what_another_process_has_finished_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = read_images("digits", split="test").subset(range(50))
    experiment = Experiment(
        read_images("digits"), None, 5, Backbone(), 16, "cpu", directory=tmp_path
    )
    run, train = Run(PLAIN, 0, "all", 2), runs.train_classifier

    def as_slow_as_another(*images: Any, **options: Any) -> Any:
        monkeypatch.setattr(runs, "train_classifier", train)
        runs.score_run(experiment, run, test, test.fingerprint)
        return train(*images, **options)

    monkeypatch.setattr(runs, "train_classifier", as_slow_as_another)
    runs.train_run(experiment, run)
    assert run.test_file(experiment, test.fingerprint).exists()


def test_what_is_trained_for_the_test_images_meets_them_at_once(tmp_path: Path) -> None:
    """So that nothing is trained twice where networks are not kept, however often it is stopped."""
    test = read_images("digits", split="test").subset(range(50))
    few = read_images("digits").subset(range(100))  # choices take a network a fold, beside the one
    experiment = Experiment(few, None, None, Backbone(), 16, "cpu")
    arms = [PLAIN, Arm("other", TrainConfig(mix="mixup"))]
    all_parts = len(arms) * len(experiment.folds(1))

    def tested(last: int) -> None:
        def stop(what: str, done: int, known: int) -> None:
            if done == last:
                raise InterruptedError

        with open_comparison(
            experiment, [0], cache=tmp_path, keep=True, jobs=1, progress=stop
        ) as comparison:
            comparison.steps = 2
            comparison.test([(arm, 1) for arm in arms], test, "the best on other seeds")
            assert all(
                comparison.validation_scores(arm, 1).per_class.shape == (10,) for arm in arms
            )

    with pytest.raises(InterruptedError):
        tested(all_parts - 1)
    [asked] = tmp_path.rglob("tested-*.npy")
    assert len([*tmp_path.rglob("predicted.npy")]) == all_parts - len(arms)
    for weights in tmp_path.rglob("weights.safetensors"):
        weights.unlink()
    tested(-1)
    [again] = tmp_path.rglob("weights.safetensors")
    assert again.parent != asked.parent
    assert len([*tmp_path.rglob("tested-*.npy")]) == len(arms)


def test_what_this_process_has_set_in_torch_changes_nothing(tmp_path: Path) -> None:
    digits, test = read_images("digits"), read_images("digits", split="test").subset(range(50))
    experiment = Experiment(digits, None, 5, Backbone(), 16, "cpu")

    def measured(cache: Path) -> list[np.ndarray]:
        with open_comparison(
            experiment, [0], cache=cache, keep=True, jobs=1, progress=None
        ) as comparison:
            comparison.steps, comparison.teacher = 2, PLAIN
            comparison.train([PLAIN, DISTILLED], "networks")
            held = comparison.validation([DISTILLED])[DISTILLED]
            [scores] = comparison.test([(DISTILLED, 0)], test, "test images")
            return [held, scores.per_class]

    usual = measured(tmp_path / "usual")
    torch.set_default_dtype(torch.float64)
    try:
        found = measured(tmp_path / "other")
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(np.array_equal(*each) for each in zip(usual, found, strict=True))


def test_linear_probes_ask_the_network_below_once_for_each_set_of_images(tmp_path: Path) -> None:
    digits, test = read_images("digits"), read_images("digits", split="test").subset(range(50))
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "weights.safetensors")
    backbone = Backbone("timm:test_resnet", tmp_path / "weights.safetensors")
    experiment = Experiment(digits, None, 5, backbone, 16, "cpu")
    probes = [
        Arm(f"probe {rate}", TrainConfig(learning_rate=rate, frozen=True, standardize=False))
        for rate in (0.1, 1.0)
    ]
    with open_comparison(
        experiment, [0], cache=tmp_path, keep=True, jobs=1, progress=None
    ) as comparison:
        comparison.steps = 5
        comparison.train(probes, "networks")
        scores = comparison.test([(probe, 0) for probe in probes], test, "test images")
        there, held = comparison.experiment, comparison.experiment.fold(0, "all").validation
        assert held is not None
        for probe, found in zip(probes, scores, strict=True):
            [run] = comparison.runs(probe, 0)
            network = runs.load_network(there, run)
            expected = evaluate(network, test, device="cpu")
            assert np.array_equal(found.per_class, expected.per_class, equal_nan=True)
            said = runs.predict(network, held.images, device="cpu").argmax(1)
            assert np.array_equal(said, runs.validation_predictions(there, run))
    kept = [path.stem.split("-") for path in (there.directory / "features").iterdir()]
    assert len(kept) == 2 and len({body for body, _ in kept}) == 1
    assert {images for _, images in kept} == {held.fingerprint, test.fingerprint}
