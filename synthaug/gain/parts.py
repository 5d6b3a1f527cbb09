"""Which images a seed trains on, and which it makes its choices on.

Every choice is made on images that no arm of that seed has trained on:

- a validation set that the caller gave; else
- where `per_class` leaves at least as many training images unused as holding out would give, up to
  as many of those a class, or up to fifty where it is less: a baseline that is tuned on a hundred
  images is a weak one;
- else a fifth of the training images, held out;
- else, where a class has fewer than ten images, five-fold cross-validation, after which the model
  to be tested is trained on all of them.

Beside a pool from elsewhere the model to be tested is always trained on all of them: what made the
pool may have seen all, and must not know more real images than the arms without it.

Groups (patients, tracks) are never on both sides.
"""

from dataclasses import dataclass

import numpy as np

from synthaug.errors import InputError
from synthaug.generators.base import FEWEST_IMAGES
from synthaug.images import LabelledImages
from synthaug.reading import draw_folds, draw_subset, split_off
from synthaug.seeding import stream_seed

HELD_SHARE = 0.2
UNUSED_SHARE = 0.3  # of the training images, from which validation is drawn beside a subset
FEWEST_TO_SCORE = 50  # images a class beside a subset; choices on fewer are mostly chance
FEWEST_TO_HOLD_OUT = 10
FOLDS = 5
FEWEST_TO_FOLD = 3  # so that two are left to a generator
LEFT = "that groups leave beside those held out"
ADVICE = "add images, or give validation images"


@dataclass(frozen=True)
class Part:
    """One training of an arm: what it trains on, and the images that score it for choices.

    held: None where the model is only tested. tested: whether the model meets the test images.
    """

    name: str
    train: LabelledImages
    held: LabelledImages | None
    tested: bool


def plan_parts(
    train: LabelledImages,
    validation: LabelledImages | None,
    per_class: int | None,
    seed: int,
    *,
    pooled: bool = False,
) -> tuple[list[Part], str]:
    """The parts of one seed, and in words how validation images were set apart.

    pooled: whether a pool from elsewhere is among what is measured.
    """
    if per_class is not None and per_class < FEWEST_IMAGES:
        raise InputError(
            f"per_class: expected at least {FEWEST_IMAGES} images, that a generator can learn "
            f"from, got {per_class}"
        )
    if validation is not None:
        _expect_each(train, FEWEST_IMAGES, "that a generator can learn from", "add images")
        subset = train if per_class is None else _take(train, per_class, seed)
        return [Part("all", subset, validation, tested=True)], "a validation set that was given"
    if per_class is not None:
        beside = _beside(train, per_class, seed)
        if beside is not None:
            chosen, held = beside
            text = f"{len(held)} further images of the training split"
            return [Part("all", chosen, held, tested=True)], text
        train = _take(train, per_class, seed)
    if train.counts.min() >= FEWEST_TO_HOLD_OUT and _enough_groups(train, 2):
        kept, out = split_off(train, HELD_SHARE, seed=stream_seed(seed, "held out"))
        text = f"{len(out)} of the training images, held out of every training"
        fewer = train.subset(kept)
        _expect_each(fewer, FEWEST_IMAGES, LEFT, ADVICE)
        if not pooled:
            return [Part("all", fewer, train.subset(out), tested=True)], text
        part = Part("fewer", fewer, train.subset(out), tested=False)
        return [part, Part("whole", train, None, tested=True)], f"{text} that choices go by"
    return _fold_parts(train, seed)


def _take(train: LabelledImages, per_class: int, seed: int) -> LabelledImages:
    return train.subset(draw_subset(train, per_class, seed=seed))


def _beside(
    train: LabelledImages, per_class: int, seed: int
) -> tuple[LabelledImages, LabelledImages] | None:
    """`per_class` images a class to train on and others to score on, where there are enough."""
    fewest = int(train.counts.min())
    if fewest - per_class < max(1, HELD_SHARE * per_class) or not _enough_groups(train, 2):
        return None
    share = min(UNUSED_SHARE, 1 - per_class / fewest)
    kept, unused = split_off(train, share, seed=stream_seed(seed, "unused"))
    rest, other = train.subset(kept), train.subset(unused)
    if rest.counts.min() < per_class:
        return None
    rank = _rank_in_class(other.labels, seed)
    scoring = max(per_class, FEWEST_TO_SCORE)
    return _take(rest, per_class, seed), other.subset(np.flatnonzero(rank < scoring))


def _rank_in_class(labels: np.ndarray, seed: int) -> np.ndarray:
    """A random rank of each item among those of its class."""
    order = np.random.default_rng(stream_seed(seed, "validation")).permutation(len(labels))
    ranks = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        ranks[of_class] = np.arange(len(of_class))
    return ranks


def _enough_groups(train: LabelledImages, needed: int) -> bool:
    """Whether each class has images of at least `needed` groups."""
    if train.groups is None:
        return True
    pairs = {
        (int(label), str(group)) for label, group in zip(train.labels, train.groups, strict=True)
    }
    groups = np.bincount([label for label, _ in pairs], minlength=len(train.classes))
    return bool(groups.min() >= needed)


def _fold_parts(train: LabelledImages, seed: int) -> tuple[list[Part], str]:
    _expect_each(train, FEWEST_TO_FOLD, "of which some can be held out", ADVICE)
    groups = len(train) if train.groups is None else len(np.unique(train.groups))
    folds = int(min(FOLDS, train.counts.min(), groups))
    parts = [
        Part(f"fold{index}", train.subset(kept), train.subset(held), tested=False)
        for index, (kept, held) in enumerate(
            draw_folds(train, folds, seed=stream_seed(seed, "folds"))
        )
    ]
    for part in parts:
        _expect_each(part.train, FEWEST_IMAGES, LEFT, ADVICE)
    text = f"{folds}-fold cross-validation within the training images"
    return [*parts, Part("all", train, None, tested=True)], text


def _expect_each(train: LabelledImages, fewest: int, why: str, advice: str) -> None:
    """Refuse a class that has fewer images."""
    scarce = int(train.counts.argmin())
    if train.counts[scarce] < fewest:
        raise InputError(
            f"class {train.classes[scarce]!r}: expected at least {fewest} training images, {why}, "
            f"got {train.counts[scarce]}; {advice}"
        )
