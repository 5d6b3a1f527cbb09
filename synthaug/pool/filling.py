"""Sample until every class of a pool is full of images that pass its filters."""

import math
from collections.abc import Collection
from dataclasses import fields
from typing import Any, Protocol

import numpy as np

from synthaug.core import InputError, Progress, stream_seed
from synthaug.data import LabelledImages, Samples, expect_alike, expect_labelled, to_array
from synthaug.generators import Generator
from synthaug.pool.filters import compares_pixels

FEWEST_A_ROUND = 32  # sampled of each class that is not full
MOST_A_ROUND = 4  # sampled of each class, times what it should have
MOST_ROUNDS = 20  # how often more is sampled where filters reject


class Filter(Protocol):
    """An object that chooses the samples that are fit for a pool."""

    def keep(self, samples: Samples, reference: LabelledImages) -> np.ndarray:
        """Tell which samples to keep, bool (M,), given the real images they should resemble."""
        ...


def check_filters(
    filters: Collection[Filter], reference: LabelledImages | None, generator: Generator
) -> None:
    """Raise `InputError` for objects that are no filters, and for real images of another form."""
    if not isinstance(filters, Collection):
        raise InputError(f"filters: expected a list, got {type(filters).__name__}; give [it]")
    for rule in filters:
        if isinstance(rule, type) or not callable(getattr(rule, "keep", None)):
            raise InputError(f"filters: expected objects with a method keep, got {rule!r}")
    if filters and reference is None:
        raise InputError("filters: give reference=, the real images that they compare with")
    if reference is not None:
        expect_labelled("reference", reference)
        like = (generator.classes, generator.image_shape, generator.image_dtype)
        expect_alike("reference", reference, *like)


def limits_of(rule: Filter) -> dict[str, float]:
    """Return the numbers that a filter was made with, by name, for a pool's metadata."""
    settings = getattr(rule, "__dict__", {}).items()
    return {
        name: value
        for name, value in settings
        if isinstance(value, int | float) and math.isfinite(value)
    }


def filter_dependencies(filters: Collection[Filter], reference: LabelledImages) -> list[str]:
    """Return what filters depend on, for a pool's metadata.

    That is the fingerprint of the images that they compare with, and the names of filters that
    depend on more, such as a classifier's weights.
    """
    others = {type(rule).__name__ for rule in filters if not compares_pixels(rule)}
    return [reference.fingerprint, *sorted(others)] if filters else []


def fill(
    generator: Generator,
    per_class: int,
    filters: Collection[Filter],
    reference: LabelledImages | None,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Samples, int]:
    """Draw `per_class` samples of every class that pass the filters.

    Returns:
        The samples, and how many were drawn in all.

    Raises:
        InputError: If a class is not full after `MOST_ROUNDS` rounds.
    """
    if not filters or reference is None:
        samples = generator.sample(per_class, seed=seed, progress=progress)
        return samples, len(samples)
    classes = len(generator.classes)
    missing_counts = np.full(classes, per_class)
    draw_counts, pass_counts = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    parts = []
    for turn in range(MOST_ROUNDS):
        counts = _next_counts(missing_counts, draw_counts, pass_counts, per_class)
        labels = np.repeat(np.arange(classes), counts)
        samples = generator.sample(labels, seed=stream_seed(seed, "round", turn))
        for rule in filters:
            if len(samples):  # else there is nothing to judge
                samples = samples.subset(_passes(rule, samples, reference))
        draw_counts += counts
        pass_counts += np.bincount(samples.labels, minlength=classes)
        samples = samples.subset(_first(samples.labels, missing_counts))
        parts.append(samples)
        missing_counts -= np.bincount(samples.labels, minlength=classes)
        if progress:
            progress(per_class * classes - int(missing_counts.sum()), per_class * classes)
        if not missing_counts.any():
            full = _concatenate(parts)
            return full.subset(np.argsort(full.labels, kind="stable")), int(draw_counts.sum())
    short = int(np.argmax(missing_counts))
    raise InputError(
        f"class {generator.classes[short]!r}: the filters left {per_class - missing_counts[short]} "
        f"of {per_class} images after {MOST_ROUNDS} rounds; loosen them"
    )


def _next_counts(
    missing_counts: np.ndarray, draw_counts: np.ndarray, pass_counts: np.ndarray, per_class: int
) -> np.ndarray:
    """Return how many of each class to sample next, int64 (K,).

    As many as should fill it, by the share that has passed so far, within bounds.
    """
    share = np.maximum(pass_counts, 1) / np.maximum(draw_counts, 1)
    likely = np.ceil(missing_counts / share).astype(np.int64)
    most = MOST_A_ROUND * max(per_class, FEWEST_A_ROUND)
    return np.where(missing_counts > 0, np.clip(likely, FEWEST_A_ROUND, most), 0)


def _passes(rule: Filter, samples: Samples, reference: LabelledImages) -> np.ndarray:
    """Tell which samples pass a filter, bool (M,)."""
    passes = to_array(rule.keep(samples, reference))
    if passes.dtype != bool or passes.shape != (len(samples),):
        raise InputError(
            f"filters: expected bool ({len(samples)},) from {type(rule).__name__}.keep, got "
            f"{passes.dtype} {passes.shape}"
        )
    return passes


def _concatenate(parts: list[Samples]) -> Samples:
    def join(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    return Samples(*(join(field.name) for field in fields(Samples)))


def _first(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the indices of the first `counts[k]` of each class k."""
    indices = [np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)]
    return np.concatenate(indices)
