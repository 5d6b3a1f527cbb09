"""Which images a seed trains on, and which it makes its choices on.

Every choice is made on images that no arm of that seed has trained on:

- a validation set that the caller gave; else
- where `per_class` leaves at least as many training images unused as would be scored without them
  (a fifth of it, or below ten all), up to as many of those a class, or up to fifty where it is
  less, and at most 30 % of all: a baseline that is tuned on a hundred images is a weak one;
- else a fifth of the training images, held out;
- else, where a class has fewer than ten images, five-fold cross-validation, after which the model
  to be tested is trained on all of them.

Beside a pool from elsewhere the model to be tested is always trained on all of them: what made the
pool may have seen all, and must not know more real images than the arms without it.

Groups (patients, tracks) are never on both sides, nor are copies of an image.
"""

from dataclasses import dataclass, replace

import numpy as np

from synthaug.core import InputError, stream_seed
from synthaug.data import (
    SMALLEST,
    LabelledImages,
    draw_folds,
    draw_subset,
    split_off,
    with_copies_grouped,
)
from synthaug.generators import FEWEST_IMAGES

HELD_SHARE = 0.2
UNUSED_SHARE = 0.3  # of the training images, from which validation is drawn beside a subset
FEWEST_TO_SCORE = 50  # images per class beside a subset; choices on fewer are mostly chance
FEWEST_TO_HOLD_OUT = 10
FOLDS = 5
FEWEST_TO_FOLD = 3  # so that two are left to a generator
LEFT = "that groups leave beside those held out"
ADVICE = "add images, or give validation images"


@dataclass(frozen=True, eq=False)
class ImageSubset:
    """Some of the images, which are copied only when they are asked for.

    rows: their indices in `whole`; None where it is all of them.
    """

    whole: LabelledImages
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,)."""
        return self.whole.labels if self.rows is None else self.whole.labels[self.rows]

    @property
    def places(self) -> np.ndarray:
        """The indices in `whole`, int64 (N,)."""
        return np.arange(len(self.whole)) if self.rows is None else self.rows

    def images(self) -> LabelledImages:
        """The images themselves."""
        return self.whole if self.rows is None else self.whole.subset(self.rows)


@dataclass(frozen=True, eq=False)
class Fold:
    """One training of an arm: what it trains on, and the images that score it for choices.

    scored: None where the model is only tested. tested: whether the model meets the test images.
    """

    name: str
    trained: ImageSubset
    scored: ImageSubset | None
    tested: bool

    @property
    def train(self) -> LabelledImages:
        """The images that it trains on, copied anew."""
        return self.trained.images()

    @property
    def held(self) -> LabelledImages | None:
        """The images that score it, copied anew."""
        return None if self.scored is None else self.scored.images()


def plan_folds(
    train: LabelledImages,
    validation: LabelledImages | None,
    per_class: int | None,
    seed: int,
    *,
    pooled: bool = False,
    known: LabelledImages | None = None,
) -> tuple[list[Fold], str]:
    """The parts of one seed, and in words how validation images were set apart.

    known: `without_images` of `train`, which is the same for all seeds.
    pooled: whether a pool from elsewhere is among what is measured.
    """
    if per_class is not None and per_class < FEWEST_IMAGES:
        raise InputError(
            f"per_class: expected at least {FEWEST_IMAGES} images, that a generator can learn "
            f"from, got {per_class}"
        )
    known, among = without_images(train) if known is None else known, None
    if validation is not None:
        _expect_each(known, FEWEST_IMAGES, "that a generator can learn from", "add images")
        rows = None if per_class is None else draw_subset(known, per_class, seed=seed)
        fold = Fold("all", ImageSubset(train, rows), ImageSubset(validation), tested=True)
        return [fold], "a validation set that was given"
    if per_class is not None:
        beside = _beside(known, per_class, seed)
        if beside is not None:
            chosen, held = (ImageSubset(train, rows) for rows in beside)
            text = f"{len(held)} further images of the training split"
            return [Fold("all", chosen, held, tested=True)], text
        among = draw_subset(known, per_class, seed=seed)
        known = known.subset(among)
    if known.counts.min() >= FEWEST_TO_HOLD_OUT and _enough_groups(known, 2):
        kept, out = split_off(known, HELD_SHARE, seed=stream_seed(seed, "held out"))
        _expect_each(known.subset(kept), FEWEST_IMAGES, LEFT, ADVICE)
        fewer, held = (ImageSubset(train, _places(among, rows)) for rows in (kept, out))
        if not pooled:
            text = f"{len(out)} further images of the training split, held out of every training"
            return [Fold("all", fewer, held, tested=True)], text
        text = f"{len(out)} of the training images, held out of every training that choices go by"
        whole = Fold("whole", ImageSubset(train, among), None, tested=True)
        return [Fold("fewer", fewer, held, tested=False), whole], text
    folds = _folds(known, seed)
    folds = []
    for index, fold in enumerate(folds):
        fewer, held = (ImageSubset(train, _places(among, rows)) for rows in fold)
        folds.append(Fold(f"fold{index}", fewer, held, tested=False))
    text = f"{len(folds)}-fold cross-validation within the training images"
    return [*folds, Fold("all", ImageSubset(train, among), None, tested=True)], text


def without_images(data: LabelledImages) -> LabelledImages:
    """Its labels and groups, by which alone parts are drawn, and images that take no room. Copies
    of an image are of one group."""
    shape = (1, SMALLEST, SMALLEST)
    bare = np.broadcast_to(np.zeros(shape, np.uint8), (len(data), *shape))
    return replace(with_copies_grouped(data), images=bare)


def _places(among: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """Indices in the whole of `rows`, which index `among`; where that is None, they are that."""
    return rows if among is None else among[rows]


def _beside(
    train: LabelledImages, per_class: int, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Where `per_class` images per class to train on and others to score on are, if there are
    enough."""
    fewest = int(train.counts.min())
    if fewest - per_class < max(1, HELD_SHARE * per_class) or not _enough_groups(train, 2):
        return None
    # Of so few as are cross-validated all are scored: less beside them would be a poor exchange.
    if FEWEST_TO_FOLD <= per_class < FEWEST_TO_HOLD_OUT and UNUSED_SHARE * fewest < per_class:
        return None
    share = min(UNUSED_SHARE, 1 - per_class / fewest)
    kept, unused = split_off(train, share, seed=stream_seed(seed, "unused"))
    rest = train.subset(kept)
    if rest.counts.min() < per_class:
        return None
    rank = _rank_in_class(train.labels[unused], seed)
    scoring = max(per_class, FEWEST_TO_SCORE)
    return kept[draw_subset(rest, per_class, seed=seed)], unused[rank < scoring]


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


def _folds(train: LabelledImages, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each fold trains on and what scores it."""
    _expect_each(train, FEWEST_TO_FOLD, "of which some can be held out", ADVICE)
    groups = len(train) if train.groups is None else len(np.unique(train.groups))
    folds = int(min(FOLDS, train.counts.min(), groups))
    drawn = draw_folds(train, folds, seed=stream_seed(seed, "folds"))
    for kept, _ in drawn:
        _expect_each(train.subset(kept), FEWEST_IMAGES, LEFT, ADVICE)
    return drawn


def _expect_each(train: LabelledImages, fewest: int, why: str, advice: str) -> None:
    """Refuse a class that has fewer images."""
    scarce = int(train.counts.argmin())
    if train.counts[scarce] < fewest:
        raise InputError(
            f"class {train.classes[scarce]!r}: expected at least {fewest} training images, {why}, "
            f"got {train.counts[scarce]}; {advice}"
        )
