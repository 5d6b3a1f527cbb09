"""Train runs: one arm on one fold of one seed each, kept on disk until the measurement is over.

A run that is complete on disk is never trained again, so an interrupted measurement goes on where
it was. One whose training diverged is kept as such: it has no network, and none of its predictions
counts as right. Training has no access to the test images: they meet the stored networks in
`Comparison.test`, after all choices. Predictions of them are kept beside the network, and nothing
else reads them.
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
    absent_classes,
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
WEIGHTS, VALIDATION_FILE = "weights.safetensors", "predicted.npy"
TEST_FILE = "tested-{}.npy"  # one for each set of images, named by their fingerprint
DIVERGED = "diverged"  # in the manifest of a run without a network: the reason
NO_CLASS = -1  # prediction where there is no network


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        arm: The way of training.
        seed: The seed.
        fold: Name of the fold that it trains on.
        steps: Optimiser steps.
        teacher: The arm that gives it labels, if any.
    """

    arm: Arm
    seed: int
    fold: str
    steps: int
    teacher: Arm | None = None

    @property
    def of_teacher(self) -> "Run":
        """The run of the arm that gives it labels."""
        assert self.teacher is not None
        return replace(self, arm=self.teacher, teacher=None)

    def directory(self, experiment: Experiment) -> Path:
        """Return where the run is kept."""
        source = self.arm.source
        identity = f"{self.arm} {self.steps} {self.teacher}"
        if source is not None and source.generator is not None:
            identity += own_identity(source.generator)
        name = f"{slug(self.arm.name)}-seed{self.seed}-{self.fold}-{short_digest(identity)}"
        return experiment.directory / "cells" / name

    def done(self, experiment: Experiment) -> bool:
        """Tell whether it was trained."""
        return (self.directory(experiment) / MANIFEST).exists()

    def complete(self, experiment: Experiment) -> bool:
        """Tell whether it was trained, and its network is there, if it has one.

        Networks may be missing where runs were copied from elsewhere, or deleted to save space.
        """
        if not self.done(experiment):
            return False
        has_network = (self.directory(experiment) / WEIGHTS).exists()
        return has_network or self.divergence(experiment) is not None

    def divergence(self, experiment: Experiment) -> str | None:
        """Return why a finished run has no network, None where it has one."""
        with _expect_undamaged(self.directory(experiment)) as directory:
            reason: str | None = read_manifest(directory, kind=KIND).get(DIVERGED)
        return reason

    def test_file(self, experiment: Experiment, images: str) -> Path:
        """Return the file of its predictions of the test images of a fingerprint."""
        return self.directory(experiment) / TEST_FILE.format(images)

    def scorable(self, experiment: Experiment, images: str) -> bool:
        """Tell whether test images of a fingerprint can be scored without training again."""
        return self.complete(experiment) or self.test_file(experiment, images).exists()


def train_run(experiment: Experiment, run: Run) -> None:
    """Train a run; keep its weights and its predictions of the validation images.

    Where the training diverges, keep the reason.
    """
    fold = experiment.fold(run.seed, run.fold)
    validation = fold.validation
    manifest: dict[str, Any] = {"kind": KIND, "arm": run.arm.name}
    network = None
    start = time.perf_counter()
    try:
        network = _train(experiment, run, fold)
    except TrainingError as error:
        manifest[DIVERGED] = str(error)
    seconds = time.perf_counter() - start
    weights = b"" if network is None else tensor_bytes(network.state_dict())
    predictions = None
    if validation is not None:
        predictions = _predict(experiment, run, network, validation)
        predictions = _first_predictions(experiment, run, predictions)
    if run.complete(experiment):  # another process was quicker, and may have scored it already
        return
    # Only now: a process that is stopped while it writes leaves a partial directory behind.
    with new_directory(run.directory(experiment), kind=KIND) as partial:
        if weights:
            write_atomically(partial / WEIGHTS, lambda file: file.write(weights))
        if predictions is not None:
            write_array(partial / VALIDATION_FILE, predictions)
        manifest["seconds"] = seconds
        manifest["generator_seconds"] = 0.0 if network is None else _fit_seconds(experiment, run)
        write_json(partial / MANIFEST, manifest)


def _train(experiment: Experiment, run: Run, fold: Fold) -> nn.Module:
    """Train the network; `TrainingError` where it diverges, or its generator or teacher has."""
    return train_classifier(
        fold.train,
        config=run.arm.config,
        synthetic=_synthetic(experiment, run, fold.validation),
        ratio=run.arm.ratio,
        soft_labels=_soften(experiment, run, fold.train) if run.arm.distilled else None,
        classifier=experiment.classifier,
        steps=run.steps,
        batch_size=experiment.batch_size,
        seed=run.seed,
        device=experiment.device,
    )


def _predict(
    experiment: Experiment, run: Run, network: nn.Module | None, images: LabelledImages
) -> np.ndarray:
    """Predict labels, int64 (N,); `NO_CLASS` where there is no network."""
    if network is None:
        return np.full(len(images), NO_CLASS)
    if run.arm.config.frozen:
        features = experiment.directory / "features"
        posterior = predict_probe(network, images, features, device=experiment.device)
    else:
        posterior = predict(network, images.images, device=experiment.device)
    labels: np.ndarray = posterior.argmax(1)
    return labels


def _first_predictions(experiment: Experiment, run: Run, now: np.ndarray) -> np.ndarray:
    """Return the predictions of an earlier training of the run, by which choices were made.

    A run is trained again where its network was not kept. On another machine its predictions may
    differ, and so would the choices.
    """
    if not (run.directory(experiment) / VALIDATION_FILE).exists():
        return now
    before = validation_predictions(experiment, run)
    if before.shape != now.shape:
        return now
    changes = int((before != now).sum())
    if changes:
        warnings.warn(
            f"{run.arm.name}, seed {run.seed}: trained again, since its network was not kept, it "
            f"predicts other labels for {changes} of {len(now)} images that choices are made on, "
            "as on another machine; choices go by its first predictions, tests by the new network",
            stacklevel=2,
        )
    return before


def load_network(experiment: Experiment, run: Run) -> nn.Module:
    """Load the network of a finished run; `TrainingError` where its training diverged."""
    if (reason := run.divergence(experiment)) is not None:
        raise TrainingError(reason)
    span = None if experiment.train.images.dtype == np.uint8 else 1.0  # replaced by the weights
    normalization = Standardize(span) if run.arm.config.standardize else Normalize(0.0, 1.0)
    classes = len(experiment.train.classes)
    shape = experiment.train.image_shape
    network = experiment.classifier.build(shape, classes, normalization, empty=True)
    with _expect_undamaged(run.directory(experiment)) as directory:
        network.load_state_dict(read_tensors(directory / WEIGHTS)[0])
    return network.eval()


def score_run(experiment: Experiment, run: Run, images: LabelledImages, fingerprint: str) -> Scores:
    """Score a run on test images; train it where neither network nor predictions are there.

    Args:
        experiment: What all runs share.
        run: The run.
        images: The test images.
        fingerprint: Their fingerprint, which takes reading them all.
    """
    file = run.test_file(experiment, fingerprint)
    if not file.exists():
        if not run.complete(experiment):
            train_run(experiment, run)
        network = load_network(experiment, run) if run.divergence(experiment) is None else None
        write_array(file, _predict(experiment, run, network, images))
    right = _read(file) == images.labels
    return Scores.of(images.labels, right, len(images.classes))


def validation_predictions(experiment: Experiment, run: Run) -> np.ndarray:
    """Return the predicted labels of the validation images, int64 (V,)."""
    return _read(run.directory(experiment) / VALIDATION_FILE)


def test_predictions(experiment: Experiment, run: Run, images: str) -> np.ndarray:
    """Return the predicted labels of the test images of a fingerprint, int64 (N,)."""
    return _read(run.test_file(experiment, images))


def _read(file: Path) -> np.ndarray:
    """Read predicted labels, int64 (N,)."""
    with _expect_undamaged(file.parent):
        array: np.ndarray = np.load(file, allow_pickle=False)
    return array


def seconds(experiment: Experiment, run: Run) -> tuple[float, float]:
    """Return the seconds to train a run, and to fit its generator, without sampling and teacher."""
    with _expect_undamaged(run.directory(experiment)) as directory:
        manifest = read_manifest(directory, kind=KIND)
        return float(manifest["seconds"]), float(manifest["generator_seconds"])


@contextmanager
def _expect_undamaged(directory: Path) -> Iterator[Path]:
    """Raise `InputError` where a file of a finished run cannot be read in the block."""
    try:
        yield directory
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = first_line(error)  # torch adds a line for each weight that does not fit
        raise InputError(
            f"{directory}: damaged ({reason}); remove it, and it is trained again"
        ) from None


def _fit_seconds(experiment: Experiment, run: Run) -> float:
    """Return the seconds that fitting the run's generator took."""
    if run.arm.source is None or run.arm.source.pool is not None:
        return 0.0
    manifest = load_pool(experiment, run.arm.source, run.seed, run.fold).manifest
    return float(manifest["generator"]["seconds"])


def _synthetic(
    experiment: Experiment, run: Run, validation: LabelledImages | None
) -> Samples | None:
    """Return the synthetic images that a run mixes in."""
    source = run.arm.source
    if source is None:
        return None
    samples = load_pool(experiment, source, run.seed, run.fold).samples
    if source.pool is not None and validation is not None:
        samples = samples.subset(rows_without_copies(experiment, source, run.seed, run.fold))
    soft = None  # the teacher of a pool's own soft labels may have seen more images than the arms
    if run.arm.labels == "mixed":
        soft = _soften(experiment, run, samples)
    return Samples(samples.images, samples.labels, soft, samples.weights)


def rows_without_copies(
    experiment: Experiment, source: Source, seed: int, fold_name: str
) -> np.ndarray:
    """Return the rows of a pool from elsewhere that copy no validation image of a fold, int64.

    They are computed once for all runs of the fold.

    Raises:
        InputError: If none of a class is left.
    """
    digest = short_digest(f"{source.pool} {source.fingerprint}")
    file = experiment.directory / "without-copies" / f"seed{seed}-{fold_name}-{digest}.npy"
    samples = load_pool(experiment, source, seed, fold_name).samples
    fold = experiment.fold(seed, fold_name)
    if not file.exists():
        assert fold.validation is not None
        write_array(file, without_copies(samples, fold.train, fold.validation))
    with _expect_undamaged(file):
        rows: np.ndarray = np.load(file, allow_pickle=False)
    weights = None if samples.weights is None else samples.weights[rows]
    absent = absent_classes(samples.labels[rows], weights, experiment.train.classes)
    if absent:
        raise InputError(
            f"{source.pool}: all images that may be drawn of class {absent[0]!r} are near-copies "
            f"of images that choices are made on (seed {seed}), beside which they are left out; "
            "make the pool of training images alone, or with more of that class"
        )
    return rows


def _soften(experiment: Experiment, run: Run, images: LabelledImages | Samples) -> np.ndarray:
    """Replace half of each one-hot label by the teacher's posterior, float32 (M, K)."""
    try:
        teacher = load_network(experiment, run.of_teacher)
    except TrainingError as error:
        raise TrainingError(f"the teacher of its labels: {error}") from None
    return mixed_labels(images.labels, predict(teacher, images.images, device=experiment.device))
