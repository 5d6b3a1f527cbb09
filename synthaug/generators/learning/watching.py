"""What is looked at while a generator trains: how varied its images are, and how useful."""

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
PROBED = 50  # synthetic images of a class that the probe learns from
SHOWN = 8  # images of a class on a grid
NEAREST = 5
COMPONENTS = 64  # that usefulness is judged by
DAMPED = 0.03  # of the largest variance, added to each: samples hardly vary in the last components,
# real images lie far off there, and a probe that weighs all alike answers with one class
SEEN = 64  # pixels of a side, at most, that usefulness is judged by


class CollapseWarning(UserWarning):
    """A generator makes the same image, or nearly, again and again."""


class Usefulness(NamedTuple):
    """What a probe that learned from synthetic images alone scores on real ones, and the share of
    real ones that have a synthetic one near them; both 0 to 1."""

    accuracy: float
    coverage: float


def variety(images: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The mean distance between two images of each class, of 16 of them from first to last (frames
    of one track are neighbours); float64 (K,), 0 where there are fewer than two.

    >>> images = np.array([0, 0, 0, 255], np.uint8)[:, None, None, None]
    >>> variety(images, np.array([0, 0, 1, 1]), 2)
    array([  0., 255.])
    """
    found = np.zeros(classes)
    for label in range(classes):
        known = np.flatnonzero(labels == label)
        places = np.linspace(0, len(known) - 1, min(VARIETY, len(known))).round().astype(int)
        own = images[known[places]]
        flat = own.reshape(len(own), math.prod(images.shape[1:])).astype(np.float64)
        pairs = np.triu_indices(len(flat), 1)
        if len(pairs[0]):
            found[label] = np.linalg.norm(flat[pairs[0]] - flat[pairs[1]], axis=1).mean()
    return found


def diversity(samples: Samples, data: LabelledImages) -> np.ndarray:
    """The variety of each class's samples over that of its real images, float64 (K,); 1 where the
    real images are all the same."""
    classes = len(data.classes)
    real = variety(data.images, data.labels, classes)
    made = variety(samples.images, samples.labels, classes)
    ratio: np.ndarray = np.divide(made, real, out=np.ones(classes), where=real > 0)
    return ratio


def usefulness(samples: Samples, real: LabelledImages) -> Usefulness:
    """Train on synthetic, test on real: a support vector machine on principal components of images,
    each brought to zero mean and unit deviation, as classifiers see them. Images of more than 64
    pixels a side are averaged to that: more say no more, and take much room."""
    from sklearn.decomposition import PCA  # slow to import, and seldom needed
    from sklearn.svm import SVC

    made, held = (extract_features(each.images, _seen) for each in (samples, real))
    covered = prdc(held, made, nearest=min(NEAREST, len(held) - 1, len(made) - 1)).coverage
    known, asked = _standard(made), _standard(held)
    if samples.labels.min() == samples.labels.max() or np.allclose(known, known[0]):
        most = np.bincount(samples.labels).argmax()  # nothing to tell apart, or to tell it by
        return Usefulness(float((real.labels == most).mean()), covered)
    analysis = PCA(min(COMPONENTS, len(known) - 1, known.shape[1]), random_state=0).fit(known)
    variance = analysis.explained_variance_
    spread = np.sqrt(variance + DAMPED * variance[0])
    probe = SVC(random_state=0).fit(analysis.transform(known) / spread, samples.labels)
    return Usefulness(float(probe.score(analysis.transform(asked) / spread, real.labels)), covered)


def _standard(seen: np.ndarray) -> np.ndarray:
    """Images (N, D), each to zero mean and unit deviation."""
    centred = seen - seen.mean(1, keepdims=True)
    standard: np.ndarray = centred / (centred.std(1, keepdims=True) + 0.01)
    return standard


def _seen(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    return F.adaptive_avg_pool2d(images, (min(height, SEEN), min(width, SEEN))).flatten(1)


class Watcher:
    """Looks at what a family would make, were its training over.

    sample: (the moving average, images per class) -> samples.
    validation: other real images of the same classes, that say how useful the samples are.
    judged_from: the step before which they are not asked, since samples are not yet what training
        aims at.
    log: a directory for TensorBoard.
    """

    def __init__(
        self,
        family: str,
        steps: int,
        data: LabelledImages,
        sample: Callable[[nn.Module, int], Samples],
        validation: LabelledImages | None,
        log: Path | None,
        judged_from: float = 0,
    ) -> None:
        self._family, self._steps, self._data, self._sample = family, steps, data, sample
        self._validation, self._judged_from = validation, judged_from
        self._writer = None if log is None else summary_writer()(str(log))
        self._warned = False

    def look(self, step: int, average: nn.Module) -> float | None:
        """Samples of the moving average: on a grid, how varied, how useful."""
        samples = self._sample(average, PROBED if self._validation else VARIETY)
        varied = diversity(samples, self._data)
        scalars = {"diversity, least of the classes": float(varied.min())}
        self._warn(step, varied)
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
        """Losses by phase."""
        self._write("loss", losses, step)

    def _write(self, group: str, scalars: dict[str, float], step: int) -> None:
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _warn(self, step: int, varied: np.ndarray) -> None:
        """Once, and not in the first half: what has just begun is not varied yet."""
        poor = np.flatnonzero(varied < FLOOR)
        if self._warned or not len(poor) or 2 * step < self._steps:
            return
        self._warned = True
        worst = int(varied.argmin())
        warnings.warn(
            CollapseWarning(
                f"{self._family}, step {step}: images of {len(poor)} of {len(varied)} classes are "
                f"nearly the same (those of {self._data.classes[worst]!r} differ "
                f"{varied[worst]:.2f} times as much as real ones; expected {FLOOR} at least): the "
                "generator has collapsed; try more steps, diversity=0.1 of ConditionalGAN, or a "
                "family that starts from real images, such as TransferVAE"
            ),
            stacklevel=2,
        )


def summary_writer() -> Any:
    """TensorBoard's class that writes a log; `InputError` where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            'log: TensorBoard is not installed; pip install "synthaug[log]", or leave it out'
        ) from None
    return SummaryWriter


def _grid(samples: Samples, white: int) -> np.ndarray:
    """The first images of the first classes, a class a row, uint8 (C, H, W)."""
    rows = [samples.images[samples.labels == label][:SHOWN] for label in np.unique(samples.labels)]
    tiles = np.stack(rows[:SHOWN])
    channels, height = tiles.shape[2:4]
    sheet = tiles.transpose(2, 0, 3, 1, 4).reshape(channels, len(tiles) * height, -1)
    return (sheet.clip(max=white) / (white / 255)).round().astype(np.uint8)
