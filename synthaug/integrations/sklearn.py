"""Add synthetic images in pipelines of scikit-learn and imbalanced-learn, on flattened images.

`import synthaug` does not import this module, since importing scikit-learn is slow.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from synthaug.core import InputError, expect_count
from synthaug.data import LabelledImages
from synthaug.generators import Generator

_SLACK = 1e-6  # by which rounding may leave the range of values, as MinMaxScaler's does


class SyntheticResampler(BaseEstimator):  # type: ignore[misc]
    """A sampler that tops up the smaller classes with synthetic images, as imbalanced-learn's do.

    It stands where SMOTE stands in an `imblearn.pipeline.Pipeline`: it works while a pipeline is
    fitted, and does nothing while it predicts.

    Args:
        generator: Any generator; a copy is fitted anew for each call.
        image_shape: (C, H, W) of the image that a row of X flattens.
        sampling_strategy: "auto" brings each class to the size of the largest; a dict gives the
            size of each class that is to grow.
        random_state: An integer, a RandomState, or None for one of numpy's global state.
        device: Where the generator is fitted: "auto", "cpu" or "cuda".

    Attributes:
        sampling_strategy_: How many images of each class were made, after `fit_resample`.

    References:
        Lemaître, Nogueira and Aridas, Imbalanced-learn, arXiv 1609.06570.

    Examples:
        >>> from sklearn.datasets import load_digits
        >>> from synthaug import StyleSwap
        >>> from synthaug.integrations.sklearn import SyntheticResampler
        >>> X, y = load_digits(return_X_y=True)
        >>> resampler = SyntheticResampler(StyleSwap(), (1, 8, 8), device="cpu", random_state=0)
        >>> X_more, y_more = resampler.fit_resample(X[:40] / 16, y[:40])
        >>> np.bincount(y_more).tolist(), bool((X_more[:40] == X[:40] / 16).all())
        ([6, 6, 6, 6, 6, 6, 6, 6, 6, 6], True)
    """

    def __init__(
        self,
        generator: Generator,
        image_shape: Sequence[int],
        sampling_strategy: str | Mapping[Any, int] = "auto",
        random_state: Any = None,
        device: str = "auto",
    ) -> None:
        self.generator = generator
        self.image_shape = image_shape
        self.sampling_strategy = sampling_strategy
        self.random_state = random_state
        self.device = device

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Add synthetic rows after the real ones, which stay as they are.

        Args:
            X: (N, C * H * W), uint8, uint16, or floats in [0, 1], which rounding may miss by 1e-6.
            y: (N,), labels of any type.

        Returns:
            X and y with more rows, of the same dtypes; DataFrames and Series stay such.

        Raises:
            InputError: If rows have another length, floats are outside [0, 1], or a class is to
                shrink.
        """
        if not isinstance(self.generator, Generator):
            raise InputError(f"generator: expected one, as StyleSwap(), got {self.generator!r}")
        rows, labels = np.asarray(X), np.asarray(y)
        images = _as_images(rows, _checked_shape(self.image_shape))
        if labels.shape != (len(rows),):
            raise InputError(
                f"y: expected a label for each of {len(rows)} rows, got {labels.shape}"
            )
        unknown = np.flatnonzero(labels != labels)  # NaN, in floats or among objects
        if len(unknown):
            raise InputError(f"y: expected a label for each row, got NaN in row {unknown[0]}")
        classes, indices = np.unique(labels, return_inverse=True)
        counts = self._counts(classes, np.bincount(indices))
        self.sampling_strategy_ = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        if not counts.any():
            return _like(X, rows), _like(y, labels)
        seed = int(check_random_state(self.random_state).randint(2**31))
        data = LabelledImages(images, indices, [str(name) for name in classes])
        generator = copy.deepcopy(self.generator).fit(data, seed=seed, device=self.device)
        new_labels = np.repeat(np.arange(len(classes)), counts)
        samples = generator.sample(new_labels, seed=seed).images.reshape(len(new_labels), -1)
        if rows.dtype.kind == "f":
            samples = (samples / np.iinfo(samples.dtype).max).astype(rows.dtype)
        all_rows = np.concatenate([rows, samples])
        all_labels = np.concatenate([labels, classes[new_labels]])
        return _like(X, all_rows), _like(y, all_labels)

    def _counts(self, classes: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return how many of each class to make, int64 (K,)."""
        strategy = self.sampling_strategy
        if isinstance(strategy, str) and strategy == "auto":
            return np.asarray(counts.max() - counts)
        if not isinstance(strategy, Mapping):
            raise InputError(
                f'sampling_strategy: expected "auto" or a dict from class to size, got {strategy!r}'
            )
        sizes = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        for name, size in strategy.items():
            if name not in sizes:
                raise InputError(
                    f"sampling_strategy: {name!r} is none of the classes {list(sizes)}"
                )
            at = f"sampling_strategy: class {name!r} has {sizes[name]} images already"
            expect_count(at, size, least=sizes[name])
        targets = [strategy.get(name, size) for name, size in sizes.items()]
        return np.asarray(np.array(targets) - counts)


def _checked_shape(shape: Any) -> tuple[int, ...]:
    sides = tuple(shape) if np.iterable(shape) else ()
    if len(sides) != 3:
        raise InputError(f"image_shape: expected (C, H, W), got {shape!r}")
    for side in sides:
        expect_count("image_shape", side)
    return sides


def _like(original: Any, array: np.ndarray) -> Any:
    """Return an array as a DataFrame or a Series of pandas where the original is one."""
    if not hasattr(original, "iloc"):
        return array
    names = {"columns": original.columns} if array.ndim == 2 else {"name": original.name}
    return type(original)(array, **names).astype(original.dtypes)


def _as_images(rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return flattened images as integers (N, C, H, W); floats become 16 bits."""
    if rows.ndim != 2 or rows.shape[1] != int(np.prod(shape)):
        raise InputError(
            f"X: expected shape (N, {int(np.prod(shape))}) for images {shape}, got {rows.shape}"
        )
    if not len(rows):
        raise InputError("X: expected at least one row, got none")
    if rows.dtype.kind == "f":
        low, high = float(rows.min()), float(rows.max())
        if not -_SLACK <= low <= high <= 1 + _SLACK:
            raise InputError(f"X: expected floats in [0, 1], got {low:.3g} to {high:.3g}; scale it")
        wide = rows.astype(np.promote_types(rows.dtype, np.float32))  # 65535 is none of float16
        rows = (wide.clip(0, 1) * 65535).round().astype(np.uint16)
    if rows.dtype not in (np.uint8, np.uint16):
        raise InputError(f"X: expected uint8, uint16 or floats in [0, 1], got {rows.dtype}")
    return rows.reshape(-1, *shape)
