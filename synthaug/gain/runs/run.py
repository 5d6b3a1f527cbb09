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
    part: str
    steps: int
    teacher: Arm | None = None

    @property
    def of_teacher(self) -> "Run":
        """The training of the arm that its labels are from."""
        assert self.teacher is not None
        return replace(self, arm=self.teacher, teacher=None)

    def directory(self, study: Experiment) -> Path:
        source = self.arm.source
        identity = f"{self.arm} {self.steps} {self.teacher}"
        if source is not None and source.generator is not None:
            identity += own_identity(source.generator)
        named = f"{slug(self.arm.name)}-seed{self.seed}-{self.part}-{short_digest(identity)}"
        return study.directory / "cells" / named

    def done(self, study: Experiment) -> bool:
        return (self.directory(study) / MANIFEST).exists()

    def complete(self, study: Experiment) -> bool:
        """Whether its network is there, too, if it has one: where cells were brought from
        elsewhere, or room was made, it may not be."""
        if not self.done(study):
            return False
        return (self.directory(study) / WEIGHTS).exists() or self.diverged(study) is not None

    def diverged(self, study: Experiment) -> str | None:
        """Why there is no network though the cell is done: what its training, or that of what it
        learns from, broke down with."""
        with _undamaged(self.directory(study)) as directory:
            found: str | None = read_manifest(directory, kind=KIND).get(DIVERGED)
        return found

    def said_of(self, study: Experiment, images: str) -> Path:
        """The file of what its network said of the images of this fingerprint, which it did not
        learn from."""
        return self.directory(study) / TESTED.format(images)

    def scorable(self, study: Experiment, images: str) -> bool:
        """Whether it is scored on the images of this fingerprint without being trained again."""
        return self.complete(study) or self.said_of(study, images).exists()


def train_run(study: Experiment, cell: Run) -> None:
    """Train the cell's network; keep its weights and its predictions for the held images, or that
    it diverged."""
    part = study.part(cell.seed, cell.part)
    held = part.held
    told: dict[str, Any] = {"kind": KIND, "arm": cell.arm.name}
    network = None
    start = time.perf_counter()
    try:
        network = _trained(study, cell, part)
    except TrainingError as error:
        told[DIVERGED] = str(error)
    seconds = time.perf_counter() - start
    weights = b"" if network is None else tensor_bytes(network.state_dict())
    predicted = None
    if held is not None:
        predicted = _said_before(study, cell, _say(study, cell, network, held))
    if cell.complete(study):  # another process was quicker, and may have scored it already
        return
    # Only now: a process that is stopped while it writes leaves something behind.
    with new_directory(cell.directory(study), kind=KIND) as partial:
        if weights:
            write_atomically(partial / WEIGHTS, lambda file: file.write(weights))
        if predicted is not None:
            write_array(partial / PREDICTED, predicted)
        fitting = 0.0 if network is None else _fitting(study, cell)
        spent = {"seconds": seconds, "generator_seconds": fitting}
        write_json(partial / MANIFEST, {**told, **spent})


def _trained(study: Experiment, cell: Run, part: Fold) -> nn.Module:
    """The cell's network; `TrainingError` where its training diverges, or that of its generator or
    its teacher has."""
    return train_classifier(
        part.train,
        config=cell.arm.config,
        synthetic=_synthetic(study, cell, part.held),
        ratio=cell.arm.ratio,
        soft_labels=_soften(study, cell, part.train) if cell.arm.distilled else None,
        classifier=study.classifier,
        steps=cell.steps,
        batch_size=study.batch_size,
        seed=cell.seed,
        device=study.device,
    )


def _say(
    study: Experiment, cell: Run, network: nn.Module | None, images: LabelledImages
) -> np.ndarray:
    """Predicted labels of these images, int64 (N,); no class where there is no network."""
    if network is None:
        return np.full(len(images), NO_CLASS)
    if cell.arm.config.frozen:
        kept = study.directory / "features"
        found = predict_probe(network, images, kept, device=study.device)
    else:
        found = predict(network, images.images, device=study.device)
    said: np.ndarray = found.argmax(1)
    return said


def _said_before(study: Experiment, cell: Run, now: np.ndarray) -> np.ndarray:
    """The predictions by which choices were made, where the cell is trained again because its
    network was not kept: on another machine `now` may be others, and the choices, too."""
    if not (cell.directory(study) / PREDICTED).exists():
        return now
    before = held_predictions(study, cell)
    if before.shape != now.shape:
        return now
    changed = int((before != now).sum())
    if changed:
        warnings.warn(
            f"{cell.arm.name}, seed {cell.seed}: trained again, since its network was not kept, it "
            f"says something else of {changed} of {len(now)} images that choices are made on, as "
            "on another machine; choices go by what it said first, tests by what it is now",
            stacklevel=2,
        )
    return before


def load_network(study: Experiment, cell: Run) -> nn.Module:
    """The trained network of a finished cell; `TrainingError` where its training diverged."""
    if (why := cell.diverged(study)) is not None:
        raise TrainingError(why)
    known = None if study.train.images.dtype == np.uint8 else 1.0  # what is loaded says which
    normalization = Standardize(known) if cell.arm.config.standardize else Normalize(0.0, 1.0)
    classes = len(study.train.classes)
    shape = study.train.image_shape
    network = study.classifier.build(shape, classes, normalization, empty=True)
    with _undamaged(cell.directory(study)) as directory:
        network.load_state_dict(read_tensors(directory / WEIGHTS)[0])
    return network.eval()


def score_run(study: Experiment, cell: Run, images: LabelledImages, fingerprint: str) -> Scores:
    """How the network of a cell does on these images, whose fingerprint takes reading them all; it
    is trained where it is not there, and has not said so before."""
    file = cell.said_of(study, fingerprint)
    if not file.exists():
        if not cell.complete(study):
            train_run(study, cell)
        network = load_network(study, cell) if cell.diverged(study) is None else None
        write_array(file, _say(study, cell, network, images))
    right = _read(file) == images.labels
    return Scores.of(images.labels, right, len(images.classes))


def held_predictions(study: Experiment, cell: Run) -> np.ndarray:
    """Predicted labels of the images that score the cell for choices, int64 (V,)."""
    return _read(cell.directory(study) / PREDICTED)


def tested_predictions(study: Experiment, cell: Run, images: str) -> np.ndarray:
    """Predicted labels of the images of this fingerprint, that it was scored on, int64 (N,)."""
    return _read(cell.said_of(study, images))


def _read(file: Path) -> np.ndarray:
    """What a network said of images, int64 (N,)."""
    with _undamaged(file.parent):
        array: np.ndarray = np.load(file, allow_pickle=False)
    return array


def seconds(study: Experiment, cell: Run) -> tuple[float, float]:
    """Time to train the cell, and to fit its generator; sampling and a teacher are not counted."""
    with _undamaged(cell.directory(study)) as directory:
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


def _fitting(study: Experiment, cell: Run) -> float:
    """Seconds that fitting the cell's generator took."""
    if cell.arm.source is None or cell.arm.source.pool is not None:
        return 0.0
    manifest = load_pool(study, cell.arm.source, cell.seed, cell.part).manifest
    return float(manifest["generator"]["seconds"])


def _synthetic(study: Experiment, cell: Run, held: LabelledImages | None) -> Samples | None:
    source = cell.arm.source
    if source is None:
        return None
    samples = load_pool(study, source, cell.seed, cell.part).samples
    if source.pool is not None and held is not None:
        samples = samples.subset(left_of_pool(study, source, cell.seed, cell.part))
    soft = None  # a pool's own soft labels are a teacher's, who may have seen more than the arms
    if cell.arm.labels == "mixed":
        soft = _soften(study, cell, samples)
    return Samples(samples.images, samples.labels, soft, samples.weights)


def left_of_pool(study: Experiment, source: Source, seed: int, part_name: str) -> np.ndarray:
    """What `without_copies` leaves of a given pool beside the images that score a part for choices,
    which is looked for once for all cells of the part.

    Raises `InputError` where that is nothing of a class.
    """
    digest = short_digest(f"{source.pool} {source.fingerprint}")
    file = study.directory / "without-copies" / f"seed{seed}-{part_name}-{digest}.npy"
    samples, part = load_pool(study, source, seed, part_name).samples, study.part(seed, part_name)
    if not file.exists():
        assert part.held is not None
        write_array(file, without_copies(samples, part.train, part.held))
    with _undamaged(file):
        left: np.ndarray = np.load(file, allow_pickle=False)
    weights = None if samples.weights is None else samples.weights[left]
    absent = absent_of(samples.labels[left], weights, study.train.classes)
    if absent:
        raise InputError(
            f"{source.pool}: all images that may be drawn of class {absent[0]!r} are near-copies "
            f"of images that choices are made on (seed {seed}), beside which they are left out; "
            "make the pool of training images alone, or with more of that class"
        )
    return left


def _soften(study: Experiment, cell: Run, shown: LabelledImages | Samples) -> np.ndarray:
    """One-hot labels, half of each replaced by the teacher's posterior, float32 (M, K)."""
    try:
        teacher = load_network(study, cell.of_teacher)
    except TrainingError as error:
        raise TrainingError(f"what it learns labels from: {error}") from None
    return mixed_labels(shown.labels, predict(teacher, shown.images, device=study.device))
