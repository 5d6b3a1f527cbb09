"""Images for tests of the classifiers."""

from typing import Any

import numpy as np

from synthaug.data import LabelledImages, Samples

CLASSES = ["ant", "bee", "cow"]


SOFT_REAL = np.random.default_rng(5).dirichlet(np.ones(3), 30).astype(np.float32)


SOFT_MADE = np.random.default_rng(6).dirichlet(np.ones(3), 24).astype(np.float32)


def flat(labels: np.ndarray, start: int, dtype: Any = np.uint8) -> np.ndarray:
    values = (start + np.arange(len(labels))).astype(dtype)
    return np.tile(values[:, None, None, None], (1, 1, 8, 8))


def make_real(counts: tuple[int, int, int] = (10, 10, 10)) -> LabelledImages:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), counts))
    return LabelledImages(flat(labels, 0), labels, CLASSES)


def make_synthetic(**changes: Any) -> Samples:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(3), 8))
    return Samples(**{"images": flat(labels, 150), "labels": labels, **changes})


def stripes(count: int, seed: int, dtype: Any = np.uint8) -> LabelledImages:
    """Horizontal or vertical stripes at any phase, with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    wave = np.sin(np.arange(12) * np.pi / 2 + phase)
    images = np.where(labels[:, None, None] == 1, wave, wave.transpose(0, 2, 1))
    images = np.broadcast_to(images, (count, 12, 12)) * 0.2 + 0.5
    images = images + rng.normal(0, 0.1, images.shape)
    top = np.iinfo(dtype).max
    return LabelledImages(
        (images.clip(0, 1) * top).astype(dtype)[:, None], labels, ["rows", "columns"]
    )


TRAIN, TEST = stripes(40, 0), stripes(100, 1)
