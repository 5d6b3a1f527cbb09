"""Cells: one arm trained on one part of one seed, kept on disk until the run is over.

A cell that is complete on disk is never trained again, so an interrupted run goes on where it was.
One whose training diverged is kept as that: it has no network, and nothing that it says is right.
Training has no access to the test images: they meet the stored networks in `Trials.test`, after all
choices. What a network says of them is kept beside it, and read by nothing else.
"""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from torch import nn

from synthaug.classifiers import (
    Normalize,
    Scores,
    Standardize,
    predict,
    predict_probe,
    train_classifier,
)
from synthaug.core import (
    MANIFEST,
    InputError,
    TrainingError,
    absent_of,
    first_line,
    new_directory,
    read_manifest,
    read_tensors,
    tensor_bytes,
    write_array,
    write_atomically,
    write_json,
)
from synthaug.data import LabelledImages, Samples
from synthaug.gain.arms import Arm, Source, own_identity
from synthaug.gain.leaks import without_copies
from synthaug.gain.runs.experiment import Experiment, short_digest, slug
from synthaug.gain.runs.folds import Fold
from synthaug.gain.runs.pools import load_pool
from synthaug.mixing import mixed_labels

KIND = "cell"
WEIGHTS, PREDICTED = "weights.safetensors", "predicted.npy"
TESTED = "tested-{}.npy"  # one for each set of images, named by their fingerprint
DIVERGED = "diverged"  # in the manifest of a cell without a network: why it has none
NO_CLASS = -1  # what is said of an image where there is no network


@dataclass(frozen=True)
class Run:
    """An arm, a seed, a part of it, and a number of steps; `teacher` where labels are mixed."""

    arm: Arm
    seed: int
    fold: str
    steps: int
    teacher: Arm | None = None

    @property
    def of_teacher(self) -> "Run":
        """The training of the arm that its labels are from."""
        assert self.teacher is not None
        return replace(self, arm=self.teacher, teacher=None)

    def directory(self, experiment: Experiment) -> Path:
        source = self.arm.source
        identity = f"{self.arm} {self.steps} {self.teacher}"
        if source is not None and source.generator is not None:
            identity += own_identity(source.generator)
        named = f"{slug(self.arm.name)}-seed{self.seed}-{self.fold}-{short_digest(identity)}"
        return experiment.directory / "cells" / named

    def done(self, experiment: Experiment) -> bool:
        return (self.directory(experiment) / MANIFEST).exists()

    def complete(self, experiment: Experiment) -> bool:
        """Whether its network is there, too, if it has one: where cells were brought from
        elsewhere, or room was made, it may not be."""
        if not self.done(experiment):
            return False
        return (self.directory(experiment) / WEIGHTS).exists() or self.diverged(
            experiment
        ) is not None

    def diverged(self, experiment: Experiment) -> str | None:
        """Why there is no network though the cell is done: what its training, or that of what it
        learns from, broke down with."""
        with _undamaged(self.directory(experiment)) as directory:
            found: str | None = read_manifest(directory, kind=KIND).get(DIVERGED)
        return found

    def said_of(self, experiment: Experiment, images: str) -> Path:
        """The file of what its network said of the images of this fingerprint, which it did not
        learn from."""
        return self.directory(experiment) / TESTED.format(images)

    def scorable(self, experiment: Experiment, images: str) -> bool:
        """Whether it is scored on the images of this fingerprint without being trained again."""
        return self.complete(experiment) or self.said_of(experiment, images).exists()


def train_run(experiment: Experiment, run: Run) -> None:
    """Train the cell's network; keep its weights and its predictions for the held images, or that
    it diverged."""
    fold = experiment.fold(run.seed, run.fold)
    held = fold.held
    told: dict[str, Any] = {"kind": KIND, "arm": run.arm.name}
    network = None
    start = time.perf_counter()
    try:
        network = _trained(experiment, run, fold)
    except TrainingError as error:
        told[DIVERGED] = str(error)
    seconds = time.perf_counter() - start
    weights = b"" if network is None else tensor_bytes(network.state_dict())
    predicted = None
    if held is not None:
        predicted = _said_before(experiment, run, _say(experiment, run, network, held))
    if run.complete(experiment):  # another process was quicker, and may have scored it already
        return
    # Only now: a process that is stopped while it writes leaves something behind.
    with new_directory(run.directory(experiment), kind=KIND) as partial:
        if weights:
            write_atomically(partial / WEIGHTS, lambda file: file.write(weights))
        if predicted is not None:
            write_array(partial / PREDICTED, predicted)
        fitting = 0.0 if network is None else _fitting(experiment, run)
        spent = {"seconds": seconds, "generator_seconds": fitting}
        write_json(partial / MANIFEST, {**told, **spent})


def _trained(experiment: Experiment, run: Run, fold: Fold) -> nn.Module:
    """The cell's network; `TrainingError` where its training diverges, or that of its generator or
    its teacher has."""
    return train_classifier(
        fold.train,
        config=run.arm.config,
        synthetic=_synthetic(experiment, run, fold.held),
        ratio=run.arm.ratio,
        soft_labels=_soften(experiment, run, fold.train) if run.arm.distilled else None,
        classifier=experiment.classifier,
        steps=run.steps,
        batch_size=experiment.batch_size,
        seed=run.seed,
        device=experiment.device,
    )


def _say(
    experiment: Experiment, run: Run, network: nn.Module | None, images: LabelledImages
) -> np.ndarray:
    """Predicted labels of these images, int64 (N,); no class where there is no network."""
    if network is None:
        return np.full(len(images), NO_CLASS)
    if run.arm.config.frozen:
        kept = experiment.directory / "features"
        found = predict_probe(network, images, kept, device=experiment.device)
    else:
        found = predict(network, images.images, device=experiment.device)
    said: np.ndarray = found.argmax(1)
    return said


def _said_before(experiment: Experiment, run: Run, now: np.ndarray) -> np.ndarray:
    """The predictions by which choices were made, where the cell is trained again because its
    network was not kept: on another machine `now` may be others, and the choices, too."""
    if not (run.directory(experiment) / PREDICTED).exists():
        return now
    before = held_predictions(experiment, run)
    if before.shape != now.shape:
        return now
    changed = int((before != now).sum())
    if changed:
        warnings.warn(
            f"{run.arm.name}, seed {run.seed}: trained again, since its network was not kept, it "
            f"says something else of {changed} of {len(now)} images that choices are made on, as "
            "on another machine; choices go by what it said first, tests by what it is now",
            stacklevel=2,
        )
    return before


def load_network(experiment: Experiment, run: Run) -> nn.Module:
    """The trained network of a finished cell; `TrainingError` where its training diverged."""
    if (why := run.diverged(experiment)) is not None:
        raise TrainingError(why)
    known = None if experiment.train.images.dtype == np.uint8 else 1.0  # what is loaded says which
    normalization = Standardize(known) if run.arm.config.standardize else Normalize(0.0, 1.0)
    classes = len(experiment.train.classes)
    shape = experiment.train.image_shape
    network = experiment.classifier.build(shape, classes, normalization, empty=True)
    with _undamaged(run.directory(experiment)) as directory:
        network.load_state_dict(read_tensors(directory / WEIGHTS)[0])
    return network.eval()


def score_run(experiment: Experiment, run: Run, images: LabelledImages, fingerprint: str) -> Scores:
    """How the network of a cell does on these images, whose fingerprint takes reading them all; it
    is trained where it is not there, and has not said so before."""
    file = run.said_of(experiment, fingerprint)
    if not file.exists():
        if not run.complete(experiment):
            train_run(experiment, run)
        network = load_network(experiment, run) if run.diverged(experiment) is None else None
        write_array(file, _say(experiment, run, network, images))
    right = _read(file) == images.labels
    return Scores.of(images.labels, right, len(images.classes))


def held_predictions(experiment: Experiment, run: Run) -> np.ndarray:
    """Predicted labels of the images that score the cell for choices, int64 (V,)."""
    return _read(run.directory(experiment) / PREDICTED)


def tested_predictions(experiment: Experiment, run: Run, images: str) -> np.ndarray:
    """Predicted labels of the images of this fingerprint, that it was scored on, int64 (N,)."""
    return _read(run.said_of(experiment, images))


def _read(file: Path) -> np.ndarray:
    """What a network said of images, int64 (N,)."""
    with _undamaged(file.parent):
        array: np.ndarray = np.load(file, allow_pickle=False)
    return array


def seconds(experiment: Experiment, run: Run) -> tuple[float, float]:
    """Time to train the cell, and to fit its generator; sampling and a teacher are not counted."""
    with _undamaged(run.directory(experiment)) as directory:
        manifest = read_manifest(directory, kind=KIND)
        return float(manifest["seconds"]), float(manifest["generator_seconds"])


@contextmanager
def _undamaged(directory: Path) -> Iterator[Path]:
    """The directory of a finished cell to read from; `InputError` where that fails."""
    try:
        yield directory
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        said = first_line(error)  # of weights that do not fit, a line each would follow
        raise InputError(
            f"{directory}: damaged ({said}); remove it, and it is trained again"
        ) from None


def _fitting(experiment: Experiment, run: Run) -> float:
    """Seconds that fitting the cell's generator took."""
    if run.arm.source is None or run.arm.source.pool is not None:
        return 0.0
    manifest = load_pool(experiment, run.arm.source, run.seed, run.fold).manifest
    return float(manifest["generator"]["seconds"])


def _synthetic(experiment: Experiment, run: Run, held: LabelledImages | None) -> Samples | None:
    source = run.arm.source
    if source is None:
        return None
    samples = load_pool(experiment, source, run.seed, run.fold).samples
    if source.pool is not None and held is not None:
        samples = samples.subset(left_of_pool(experiment, source, run.seed, run.fold))
    soft = None  # a pool's own soft labels are a teacher's, who may have seen more than the arms
    if run.arm.labels == "mixed":
        soft = _soften(experiment, run, samples)
    return Samples(samples.images, samples.labels, soft, samples.weights)


def left_of_pool(experiment: Experiment, source: Source, seed: int, fold_name: str) -> np.ndarray:
    """What `without_copies` leaves of a given pool beside the images that score a part for choices,
    which is looked for once for all cells of the part.

    Raises `InputError` where that is nothing of a class.
    """
    digest = short_digest(f"{source.pool} {source.fingerprint}")
    file = experiment.directory / "without-copies" / f"seed{seed}-{fold_name}-{digest}.npy"
    samples, fold = (
        load_pool(experiment, source, seed, fold_name).samples,
        experiment.fold(seed, fold_name),
    )
    if not file.exists():
        assert fold.held is not None
        write_array(file, without_copies(samples, fold.train, fold.held))
    with _undamaged(file):
        left: np.ndarray = np.load(file, allow_pickle=False)
    weights = None if samples.weights is None else samples.weights[left]
    absent = absent_of(samples.labels[left], weights, experiment.train.classes)
    if absent:
        raise InputError(
            f"{source.pool}: all images that may be drawn of class {absent[0]!r} are near-copies "
            f"of images that choices are made on (seed {seed}), beside which they are left out; "
            "make the pool of training images alone, or with more of that class"
        )
    return left


def _soften(experiment: Experiment, run: Run, shown: LabelledImages | Samples) -> np.ndarray:
    """One-hot labels, half of each replaced by the teacher's posterior, float32 (M, K)."""
    try:
        teacher = load_network(experiment, run.of_teacher)
    except TrainingError as error:
        raise TrainingError(f"what it learns labels from: {error}") from None
    return mixed_labels(shown.labels, predict(teacher, shown.images, device=experiment.device))
