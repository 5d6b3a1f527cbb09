"""Watching a generator train: how varied its images are, and how useful."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.core import InputError
from synthaug.data import LabelledImages, Samples, white_of
from synthaug.metrics import extract_features, prdc

FLOOR = 0.3  # of the variety of real images; below it a class counts as collapsed
VARIETY = 16  # images of a class that its variety is taken from
PROBE_IMAGES = 50  # synthetic images of a class that the probe learns from
COLUMNS = 8  # images of a class on a grid
NEAREST = 5
COMPONENTS = 64  # that usefulness is judged by
DAMPED = 0.03  # of the largest variance, added to each: samples hardly vary in the last components,
# real images lie far off there, and a probe that weighs all alike answers with one class
LARGEST_SIDE = 64  # pixels of a side, at most, that usefulness is judged by


class CollapseWarning(UserWarning):
    """A warning that a generator makes the same image, or nearly, again and again."""


class Usefulness(NamedTuple):
    """A measure of how well synthetic images stand for real ones.

    Attributes:
        accuracy: Of a probe that learned from synthetic images alone, on real ones, 0 to 1.
        coverage: Share of the real images that have a synthetic one near them, 0 to 1.
    """

    accuracy: float
    coverage: float


def variety(images: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the mean distance between two images of each class.

    It is that of 16 of them from first to last, since frames of one track are neighbours.

    Args:
        images: (N, C, H, W).
        labels: Class of each, int64 (N,).
        classes: K, how many classes there are.

    Returns:
        Distances, float64 (K,), 0 where there are fewer than two images.

    >>> images = np.array([0, 0, 0, 255], np.uint8)[:, None, None, None]
    >>> variety(images, np.array([0, 0, 1, 1]), 2)
    array([  0., 255.])
    """
    means = np.zeros(classes)
    for label in range(classes):
        members = np.flatnonzero(labels == label)
        places = np.linspace(0, len(members) - 1, min(VARIETY, len(members))).round().astype(int)
        own = images[members[places]]
        flat = own.reshape(len(own), math.prod(images.shape[1:])).astype(np.float64)
        pairs = np.triu_indices(len(flat), 1)
        if len(pairs[0]):
            means[label] = np.linalg.norm(flat[pairs[0]] - flat[pairs[1]], axis=1).mean()
    return means


def diversity(samples: Samples, data: LabelledImages) -> np.ndarray:
    """Return the variety of each class's samples over that of its real images, float64 (K,).

    It is 1 where the real images are all the same.
    """
    classes = len(data.classes)
    real = variety(data.images, data.labels, classes)
    synthetic = variety(samples.images, samples.labels, classes)
    ratio: np.ndarray = np.divide(synthetic, real, out=np.ones(classes), where=real > 0)
    return ratio


def usefulness(samples: Samples, real: LabelledImages) -> Usefulness:
    """Train on synthetic, test on real.

    The probe is a support vector machine on principal components of images, each brought to zero
    mean and unit deviation, as classifiers see them. Images of more than 64 pixels a side are
    averaged to that: more say no more, and take much room.
    """
    from sklearn.decomposition import PCA  # slow to import, and seldom needed
    from sklearn.svm import SVC

    features = [extract_features(each.images, _pixels) for each in (samples, real)]
    nearest = min(NEAREST, *(len(each) - 1 for each in features))
    coverage = prdc(features[1], features[0], nearest=nearest).coverage
    train, test = map(_standardise, features)
    if samples.labels.min() == samples.labels.max() or np.allclose(train, train[0]):
        most = np.bincount(samples.labels).argmax()  # nothing to tell apart, or to tell it by
        return Usefulness(float((real.labels == most).mean()), coverage)
    analysis = PCA(min(COMPONENTS, len(train) - 1, train.shape[1]), random_state=0).fit(train)
    variance = analysis.explained_variance_
    spread = np.sqrt(variance + DAMPED * variance[0])
    probe = SVC(random_state=0).fit(analysis.transform(train) / spread, samples.labels)
    return Usefulness(float(probe.score(analysis.transform(test) / spread, real.labels)), coverage)


def _standardise(images: np.ndarray) -> np.ndarray:
    """Bring each of images (N, D) to zero mean and unit deviation."""
    centred = images - images.mean(1, keepdims=True)
    standard: np.ndarray = centred / (centred.std(1, keepdims=True) + 0.01)
    return standard


def _pixels(images: Tensor) -> Tensor:
    """Return images as rows, averaged to at most 64 pixels a side."""
    height, width = images.shape[2:]
    return F.adaptive_avg_pool2d(
        images, (min(height, LARGEST_SIDE), min(width, LARGEST_SIDE))
    ).flatten(1)


class Watcher:
    """A watcher of the images that a family would make, were its training over.

    Args:
        sample: (the moving average, images per class) -> samples.
        validation: Other real images of the same classes, that say how useful the samples are.
        judged_from: The step before which they are not asked, since samples are not yet what
            training aims at.
        log: A directory for TensorBoard.
    """

    def __init__(
        self,
        name: str,
        steps: int,
        data: LabelledImages,
        sample: Callable[[nn.Module, int], Samples],
        validation: LabelledImages | None,
        log: Path | None,
        judged_from: float = 0,
    ) -> None:
        self._name, self._steps, self._data, self._sample = name, steps, data, sample
        self._validation, self._judged_from = validation, judged_from
        self._writer = None if log is None else summary_writer()(str(log))
        self._has_warned = False

    def look(self, step: int, average: nn.Module) -> float | None:
        """Sample from the moving average: log a grid, how varied it is, how useful.

        Returns:
            Mean of accuracy and coverage; None where nothing says so.
        """
        samples = self._sample(average, PROBE_IMAGES if self._validation else VARIETY)
        ratios = diversity(samples, self._data)
        scalars = {"diversity, least of the classes": float(ratios.min())}
        self._warn(step, ratios)
        score = None
        if self._validation is not None and step >= self._judged_from:
            useful = usefulness(samples, self._validation)
            score = (useful.accuracy + useful.coverage) / 2
            scalars |= useful._asdict()
        self._write("samples", scalars, step)
        if self._writer is not None:
            self._writer.add_image("samples", _grid(samples, white_of(self._data.images)), step)
        return score

    def log(self, step: int, losses: dict[str, float]) -> None:
        """Log losses by phase."""
        self._write("loss", losses, step)

    def _write(self, group: str, scalars: dict[str, float], step: int) -> None:
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Close the log."""
        if self._writer is not None:
            self._writer.close()

    def _warn(self, step: int, ratios: np.ndarray) -> None:
        """Warn once, and not in the first half: what has just begun is not varied yet."""
        poor = np.flatnonzero(ratios < FLOOR)
        if self._has_warned or not len(poor) or 2 * step < self._steps:
            return
        self._has_warned = True
        worst = int(ratios.argmin())
        warnings.warn(
            CollapseWarning(
                f"{self._name}, step {step}: images of {len(poor)} of {len(ratios)} classes are "
                f"nearly the same (those of {self._data.classes[worst]!r} differ "
                f"{ratios[worst]:.2f} times as much as real ones; expected {FLOOR} at least): the "
                "generator has collapsed; try more steps, diversity=0.1 of ConditionalGAN, or a "
                "family that starts from real images, such as TransferVAE"
            ),
            stacklevel=2,
        )


def summary_writer() -> Any:
    """Return TensorBoard's class that writes a log; `InputError` where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            'log: TensorBoard is not installed; pip install "synthaug[log]", or leave it out'
        ) from None
    return SummaryWriter


def _grid(samples: Samples, white: int) -> np.ndarray:
    """Arrange the first images of the first classes, a class a row, uint8 (C, H, W)."""
    rows = [
        samples.images[samples.labels == label][:COLUMNS] for label in np.unique(samples.labels)
    ]
    tiles = np.stack(rows[:COLUMNS])
    channels, height = tiles.shape[2:4]
    sheet = tiles.transpose(2, 0, 3, 1, 4).reshape(channels, len(tiles) * height, -1)
    return (sheet.clip(max=white) / (white / 255)).round().astype(np.uint8)
