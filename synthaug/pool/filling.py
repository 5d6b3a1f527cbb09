"""Sampling until every class of a pool is full of what its filters let through."""

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
    """Says which samples are fit for the pool."""

    def keep(self, samples: Samples, reference: LabelledImages) -> np.ndarray:
        """bool (M,): which of `samples` to keep, given the real images they should resemble."""
        ...


def check_filters(
    filters: Collection[Filter], reference: LabelledImages | None, generator: Generator
) -> None:
    """Raise `InputError` for what are no filters, and for real images that they cannot compare
    samples of the generator with."""
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
    """The numbers that a filter was made with, by their names, for a pool's card."""
    settings = getattr(rule, "__dict__", {}).items()
    return {
        name: value
        for name, value in settings
        if isinstance(value, int | float) and math.isfinite(value)
    }


def chosen_by(filters: Collection[Filter], reference: LabelledImages) -> list[str]:
    """What filters knew, for a pool's card: the fingerprint of the images that they compare with,
    and the names of those that go by more, as a classifier's weights."""
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
    """`per_class` samples of every class that pass the filters, and how many were drawn for it."""
    if not filters or reference is None:
        samples = generator.sample(per_class, seed=seed, progress=progress)
        return samples, len(samples)
    classes = len(generator.classes)
    missing = np.full(classes, per_class)
    drawn, passed = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    parts = []
    for turn in range(MOST_ROUNDS):
        counts = _to_draw(missing, drawn, passed, per_class)
        wanted = np.repeat(np.arange(classes), counts)
        samples = generator.sample(wanted, seed=stream_seed(seed, "round", turn))
        for rule in filters:
            if len(samples):  # else there is nothing to judge
                samples = samples.subset(_judged(rule, samples, reference))
        drawn += counts
        passed += np.bincount(samples.labels, minlength=classes)
        samples = samples.subset(_first(samples.labels, missing))
        parts.append(samples)
        missing -= np.bincount(samples.labels, minlength=classes)
        if progress:
            progress(per_class * classes - int(missing.sum()), per_class * classes)
        if not missing.any():
            full = _concatenate(parts)
            return full.subset(np.argsort(full.labels, kind="stable")), int(drawn.sum())
    short = int(np.argmax(missing))
    raise InputError(
        f"class {generator.classes[short]!r}: the filters left {per_class - missing[short]} of "
        f"{per_class} images after {MOST_ROUNDS} rounds; loosen them"
    )


def _to_draw(
    missing: np.ndarray, drawn: np.ndarray, passed: np.ndarray, per_class: int
) -> np.ndarray:
    """How many of each class to sample next, int64 (K,): as many as should fill it, by the share
    that has passed so far, within bounds."""
    share = np.maximum(passed, 1) / np.maximum(drawn, 1)
    likely = np.ceil(missing / share).astype(np.int64)
    most = MOST_A_ROUND * max(per_class, FEWEST_A_ROUND)
    return np.where(missing > 0, np.clip(likely, FEWEST_A_ROUND, most), 0)


def _judged(rule: Filter, samples: Samples, reference: LabelledImages) -> np.ndarray:
    """bool (M,): which samples a filter keeps."""
    kept = to_array(rule.keep(samples, reference))
    if kept.dtype != bool or kept.shape != (len(samples),):
        raise InputError(
            f"filters: expected bool ({len(samples)},) from {type(rule).__name__}.keep, got "
            f"{kept.dtype} {kept.shape}"
        )
    return kept


def _concatenate(parts: list[Samples]) -> Samples:
    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    return Samples(*(joined(field.name) for field in fields(Samples)))


def _first(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Indices of the first `counts[k]` of each class k."""
    found = [np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)]
    return np.concatenate(found)
