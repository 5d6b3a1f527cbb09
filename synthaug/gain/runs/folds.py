"""Plan the images that a seed trains on, and those that it makes its choices on.

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

    Attributes:
        whole: All images.
        rows: Indices in `whole`, int64 (N,); None for all of it.
    """

    whole: LabelledImages
    rows: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def labels(self) -> np.ndarray:
        """Their labels, int64 (N,)."""
        return self.whole.labels if self.rows is None else self.whole.labels[self.rows]

    @property
    def places(self) -> np.ndarray:
        """Their indices in `whole`, int64 (N,)."""
        return np.arange(len(self.whole)) if self.rows is None else self.rows

    def images(self) -> LabelledImages:
        """Copy the images."""
        return self.whole if self.rows is None else self.whole.subset(self.rows)


@dataclass(frozen=True, eq=False)
class Fold:
    """One training of an arm: the images that it trains on, and those that score it for choices.

    Attributes:
        name: Name in files.
        train_subset: Images to train on.
        validation_subset: Images to score on; None where the model is only tested.
        is_tested: Whether the model meets the test images.
    """

    name: str
    train_subset: ImageSubset
    validation_subset: ImageSubset | None
    is_tested: bool

    @property
    def train(self) -> LabelledImages:
        """The images that it trains on, copied anew."""
        return self.train_subset.images()

    @property
    def validation(self) -> LabelledImages | None:
        """The images that score it, copied anew."""
        return None if self.validation_subset is None else self.validation_subset.images()


def plan_folds(
    train: LabelledImages,
    validation: LabelledImages | None,
    per_class: int | None,
    seed: int,
    *,
    beside_pool: bool = False,
    labels: LabelledImages | None = None,
) -> tuple[list[Fold], str]:
    """Plan the folds of one seed.

    Args:
        train: The training images.
        validation: Images to make choices on; None sets some apart.
        per_class: Images per class to train on; None for all.
        seed: The seed.
        beside_pool: Whether a pool from elsewhere is among what is measured.
        labels: `without_images(train)`, which is the same for all seeds.

    Returns:
        The folds, and in words how validation images were set apart.

    Raises:
        InputError: If a class has too few images.
    """
    if per_class is not None and per_class < FEWEST_IMAGES:
        raise InputError(
            f"per_class: expected at least {FEWEST_IMAGES} images, that a generator can learn "
            f"from, got {per_class}"
        )
    labels, subset = without_images(train) if labels is None else labels, None
    if validation is not None:
        _expect_each(labels, FEWEST_IMAGES, "that a generator can learn from", "add images")
        rows = None if per_class is None else draw_subset(labels, per_class, seed=seed)
        fold = Fold("all", ImageSubset(train, rows), ImageSubset(validation), is_tested=True)
        return [fold], "a validation set that was given"
    if per_class is not None:
        split = _split_beside(labels, per_class, seed)
        if split is not None:
            train_subset, validation_subset = (ImageSubset(train, rows) for rows in split)
            text = f"{len(validation_subset)} further images of the training split"
            return [Fold("all", train_subset, validation_subset, is_tested=True)], text
        subset = draw_subset(labels, per_class, seed=seed)
        labels = labels.subset(subset)
    whole = ImageSubset(train, subset)
    if labels.counts.min() >= FEWEST_TO_HOLD_OUT and _enough_groups(labels, 2):
        train_rows, held_rows = split_off(labels, HELD_SHARE, seed=stream_seed(seed, "held out"))
        _expect_each(labels.subset(train_rows), FEWEST_IMAGES, LEFT, ADVICE)
        train_subset, validation_subset = (
            ImageSubset(train, _places(subset, rows)) for rows in (train_rows, held_rows)
        )
        count = len(held_rows)
        if not beside_pool:
            text = f"{count} further images of the training split, held out of every training"
            return [Fold("all", train_subset, validation_subset, is_tested=True)], text
        text = f"{count} of the training images, held out of every training that choices go by"
        return [
            Fold("fewer", train_subset, validation_subset, is_tested=False),
            Fold("whole", whole, None, is_tested=True),
        ], text
    folds = []
    for index, split in enumerate(_split_folds(labels, seed)):
        train_subset, validation_subset = (
            ImageSubset(train, _places(subset, rows)) for rows in split
        )
        folds.append(Fold(f"fold{index}", train_subset, validation_subset, is_tested=False))
    text = f"{len(folds)}-fold cross-validation within the training images"
    return [*folds, Fold("all", whole, None, is_tested=True)], text


def without_images(data: LabelledImages) -> LabelledImages:
    """Return labels and groups, by which folds are drawn, with images that take no room.

    Copies of an image are of one group.
    """
    shape = (1, SMALLEST, SMALLEST)
    empty = np.broadcast_to(np.zeros(shape, np.uint8), (len(data), *shape))
    return replace(with_copies_grouped(data), images=empty)


def _places(subset: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """Return the indices in all images of `rows` of a subset; None is all of them."""
    return rows if subset is None else subset[rows]


def _split_beside(
    train: LabelledImages, per_class: int, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Draw `per_class` images per class to train on and others to score on, if there are enough."""
    fewest = int(train.counts.min())
    if fewest - per_class < max(1, HELD_SHARE * per_class) or not _enough_groups(train, 2):
        return None
    # Of so few as are cross-validated all are scored: less beside them would be a poor exchange.
    if FEWEST_TO_FOLD <= per_class < FEWEST_TO_HOLD_OUT and UNUSED_SHARE * fewest < per_class:
        return None
    share = min(UNUSED_SHARE, 1 - per_class / fewest)
    rest_rows, unused_rows = split_off(train, share, seed=stream_seed(seed, "unused"))
    rest = train.subset(rest_rows)
    if rest.counts.min() < per_class:
        return None
    rank = _rank_in_class(train.labels[unused_rows], seed)
    scoring = max(per_class, FEWEST_TO_SCORE)
    return rest_rows[draw_subset(rest, per_class, seed=seed)], unused_rows[rank < scoring]


def _rank_in_class(labels: np.ndarray, seed: int) -> np.ndarray:
    """Return a random rank of each item among those of its class."""
    order = np.random.default_rng(stream_seed(seed, "validation")).permutation(len(labels))
    ranks = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        ranks[of_class] = np.arange(len(of_class))
    return ranks


def _enough_groups(train: LabelledImages, fewest: int) -> bool:
    """Tell whether each class has images of at least `fewest` groups."""
    if train.groups is None:
        return True
    pairs = {
        (int(label), str(group)) for label, group in zip(train.labels, train.groups, strict=True)
    }
    groups = np.bincount([label for label, _ in pairs], minlength=len(train.classes))
    return bool(groups.min() >= fewest)


def _split_folds(train: LabelledImages, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows that each fold trains on, and those that score it."""
    _expect_each(train, FEWEST_TO_FOLD, "of which some can be held out", ADVICE)
    groups = len(train) if train.groups is None else len(np.unique(train.groups))
    count = int(min(FOLDS, train.counts.min(), groups))
    splits = draw_folds(train, count, seed=stream_seed(seed, "folds"))
    for train_rows, _ in splits:
        _expect_each(train.subset(train_rows), FEWEST_IMAGES, LEFT, ADVICE)
    return splits


def _expect_each(train: LabelledImages, fewest: int, need: str, advice: str) -> None:
    """Raise `InputError` for a class that has fewer images."""
    scarce = int(train.counts.argmin())
    if train.counts[scarce] < fewest:
        raise InputError(
            f"class {train.classes[scarce]!r}: expected at least {fewest} training images, {need}, "
            f"got {train.counts[scarce]}; {advice}"
        )
