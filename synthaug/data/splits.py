"""Images that are there more than once, as in folders that were oversampled or scraped.

Which column or key of a source says that images belong together, and what it says.

Stratified parts of labelled images, with groups (patients, tracks) kept whole.
"""

import hashlib
import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from synthaug.core import InputError, numpy_stream
from synthaug.data.images import LabelledImages
from synthaug.data.listing import SPLIT_NAMES

MOST_SHARED = 0.05  # of the images of a split: more is no accident of collecting


def digest_of(image: np.ndarray) -> bytes:
    """Return a digest of an image's pixels, which is smaller than these."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()


def first_alike(images: np.ndarray) -> np.ndarray:
    """Return the index of the first equal image for each of images (N, C, H, W), int64 (N,).

    Examples:
        >>> first_alike(np.array([3, 1, 3, 3, 1], np.uint8).reshape(5, 1, 1, 1))
        array([0, 1, 0, 0, 1])
    """
    first_of: dict[bytes, int] = {}
    indices = [first_of.setdefault(digest_of(image), index) for index, image in enumerate(images)]
    return np.array(indices, np.int64)


def matching_images(one: LabelledImages, other: LabelledImages) -> dict[int, int]:
    """Return the indices of images in `other` that are in `one`, too, and where they are there."""
    places = {digest_of(image): index for index, image in enumerate(one.images)}
    matches = ((index, places.get(digest_of(image))) for index, image in enumerate(other.images))
    return {
        index: place
        for index, place in matches
        if place is not None and np.array_equal(one.images[place], other.images[index])
    }


def with_copies_grouped(data: LabelledImages) -> LabelledImages:
    """Return the same images, with equal ones in one group, so that no split parts them.

    A copy of a training image would say nothing in a test. Groups that share an image become one.
    """
    first = first_alike(data.images)
    if (first == np.arange(len(data))).all():
        return data
    if data.groups is None:
        groups = np.array([f"image {index} and its copies" for index in first])
    else:
        names, group_of = np.unique(data.groups, return_inverse=True)
        groups = names[_first_linked_group(group_of, first)]
    return replace(data, groups=groups)


def _first_linked_group(group_of: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return for each image the first of the groups that are joined to its own by equal images."""
    from scipy.sparse import coo_array  # slow to import
    from scipy.sparse.csgraph import connected_components

    images = group_of.max() + 1 + first
    size = images.max() + 1
    edges = coo_array((np.ones(len(first), bool), (group_of, images)), shape=(size, size))
    _, part_of = connected_components(edges, directed=False)
    _, first_group = np.unique(part_of[: group_of.max() + 1], return_index=True)
    return np.asarray(first_group[part_of[group_of]])


# Names of what several images are of, each also in the plural or with "id": patient_id, subjects.
GROUP_NAMES = (
    "group",
    "patient",
    "subject",
    "participant",
    "lesion",
    "track",
    "drive",
    "video",
)


_OWN = " image "
_MISSING = {"", "nan", "na", "n/a", "<na>", "none", "null"}


def group_key(keys: Sequence[str], where: str, prefix: str = "") -> str | None:
    """Return the one of `keys`, which all begin with `prefix`, that groups images, or None.

    A key called group or groups goes before all others.

    Raises:
        InputError: If several could be meant. It begins with `where`.

    Examples:
        >>> group_key(["age", "Patient ID"], "scans.csv")
        'Patient ID'
    """
    names = {key: _plain(key.removeprefix(prefix)) for key in keys}
    matches = [key for key in keys if names[key] in GROUP_NAMES]
    matches = [key for key in matches if names[key] == "group"] or matches
    if len(matches) > 1:
        own = f"{prefix}group"
        raise InputError(
            f"{where}: expected one name for the groups that images belong to, got "
            f"{', '.join(matches)}; rename the one whose images must stay together to {own}"
            + (", and the others to something else" if own in matches else "")
        )
    return matches[0] if matches else None


def warn_of_unused(where: str, names: Sequence[str], own: str, stacklevel: int) -> None:
    """Warn of columns or keys that may be groups under an unknown name.

    One that is called `own` is used as the group.
    """
    if names:
        warnings.warn(
            f"{where}: {', '.join(names)}: not used; where one says which images belong together "
            f"(a patient, a track), rename it to {own}",
            stacklevel=stacklevel + 1,
        )


def known_groups(groups: np.ndarray, split: str) -> np.ndarray:
    """Return groups (N,) in which each image of unknown group is a group of its own.

    A group is unknown where its text is empty, or what programs write for a missing value.
    """
    if groups.dtype.kind != "U":
        return groups
    has_group = [name.casefold() not in _MISSING for name in groups.tolist()]
    if all(has_group):
        return groups
    names = [
        name if has_group[i] else f"{split}{_OWN}{i}" for i, name in enumerate(groups.tolist())
    ]
    return np.array(names)


def is_own(group: str) -> bool:
    """Tell whether `known_groups` gave this name to an image of unknown group.

    In other files it stands for other images.
    """
    split, _, index = group.partition(_OWN)
    return split in SPLIT_NAMES and index.isdecimal()


def _plain(name: str) -> str:
    return re.sub(r"(ids|id|s)?$", "", re.sub(r"[\s_-]", "", name.casefold()), count=1)


_ATTEMPTS = 20
_SIZE_WEIGHT = 1e-3


def draw_subset(data: LabelledImages, per_class: int, *, seed: int) -> np.ndarray:
    """Draw exactly `per_class` images of each class; return their indices, int64, ascending.

    A smaller subset of a seed is contained in a larger one. Groups may be drawn in part.

    Raises:
        InputError: If a class has fewer.
    """
    if per_class < 1:
        raise InputError(f"per_class: expected at least 1, got {per_class}")
    for name, count in zip(data.classes, data.counts, strict=True):
        if count < per_class:
            raise InputError(
                f"class {name!r}: expected at least {per_class} images, as asked for each class, "
                f"got {count}; ask for fewer, or add images"
            )
    members_by_class = [
        numpy_stream(seed, "subset", label).permutation(np.flatnonzero(data.labels == label))
        for label in range(len(data.classes))
    ]
    return np.sort(np.concatenate([members[:per_class] for members in members_by_class]))


def split_off(data: LabelledImages, share: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split images in two, each class in both parts, and groups whole.

    With few large groups the share is coarse.

    Args:
        data: The images.
        share: About the share of each class that is held out, 0 to 1.
        seed: Settles the split.

    Returns:
        Indices to train on and those held out, int64, ascending.

    Raises:
        InputError: If a class cannot be in both parts.

    Examples:
        >>> from synthaug import read_images
        >>> from synthaug.data import split_off
        >>> images = read_images("digits")
        >>> train_rows, held_rows = split_off(images, 1 / 5, seed=0)
        >>> len(images), len(images.subset(train_rows)), len(images.subset(held_rows))
        (1000, 801, 199)
    """
    if not 0 < share < 1:
        raise InputError(f"share: expected a number between 0 and 1, got {share}")
    part = _deal(data, np.array([1 - share, share]), numpy_stream(seed, "split"))
    return np.flatnonzero(part == 0), np.flatnonzero(part == 1)


def draw_folds(
    data: LabelledImages, folds: int, *, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the indices (train, held) of each fold, int64, ascending; each image is held once.

    Every class is in every `train`. A class with fewer images or groups than folds is missing from
    some `held`. Groups are whole.

    Raises:
        InputError: If a class is one image or group.
    """
    kind, units = "images", len(data)
    if data.groups is not None:
        kind, units = "groups", len(np.unique(data.groups))
    if units < 2:
        raise InputError(
            f"{kind}: expected at least 2 for folds, got {units}; add {kind}"
            + ", or leave groups out where images are not of one patient or track"
            * (kind == "groups")
        )
    if not 2 <= folds <= units:
        raise InputError(f"folds: expected 2 to {units}, the number of {kind}, got {folds}")
    part = _deal(data, np.full(folds, 1 / folds), numpy_stream(seed, "folds"))
    return [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in range(folds)]


def check_groups(parts: dict[str, LabelledImages]) -> None:
    """Raise `InputError` if a group occurs in more than one of the named parts.

    Parts without groups are passed over. Groups are compared as text, whole numbers by what they
    are: 17.0, as pandas has it in a column with gaps, is 17.
    """
    homes: dict[str, dict[str, None]] = {}
    for name, data in parts.items():
        groups = [] if data.groups is None else np.unique(data.groups).tolist()
        for group in groups:
            if is_own(str(group)):
                continue
            homes.setdefault(_spell_group(str(group)), {})[name] = None
    shared = {group: names for group, names in homes.items() if len(names) > 1}
    if shared:
        examples = [f"{group} ({', '.join(names)})" for group, names in list(shared.items())[:5]]
        more = f" and {len(shared) - 5} more" if len(shared) > 5 else ""
        raise InputError(
            f"groups: expected each group in one part only, but {len(shared)} are in several, "
            f"which would leak: {', '.join(examples)}{more}; split by group, or, if each part "
            "numbers its groups anew, make the numbers distinct"
        )


def _spell_group(group: str) -> str:
    return group.removesuffix(".0") if re.fullmatch(r"\d+\.0", group) else group


class _Tally(NamedTuple):
    """Counts of images by group and class, of the pairs that occur.

    A table of all groups and classes could take gigabytes.

    Attributes:
        groups: Group of each pair, (M,), ordered by group, then by label.
        labels: Label of each pair, (M,).
        counts: Images of each pair, (M,).
        starts: Where each group begins, (G + 1,).
        sizes: Images in each group, (G,).
        classes: Number of classes.
    """

    groups: np.ndarray
    labels: np.ndarray
    counts: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    classes: int


def _tally(group_of: np.ndarray, labels: np.ndarray, classes: int) -> _Tally:
    pairs, counts = np.unique(group_of * classes + labels, return_counts=True)
    groups, labels = np.divmod(pairs, classes)
    sizes = np.bincount(group_of)
    starts = np.searchsorted(groups, np.arange(len(sizes) + 1))
    return _Tally(groups, labels, counts.astype(float), starts, sizes, classes)


def _deal(data: LabelledImages, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Assign each image to a part, int64 (N,), with about `shares` (P,) of each class in each part.

    No class present lies in one part alone. Large groups are dealt first, each to the part where it
    brings class counts closest to their targets. Images without groups are groups of one, for which
    each count ends within one of its target.
    """
    names, group_of = _order_groups(np.arange(len(data)) if data.groups is None else data.groups)
    tally = _tally(group_of, data.labels, len(data.classes))
    _check_divisible(data, tally, names)
    for attempt in range(_ATTEMPTS):
        order = rng.permutation(len(names))
        if attempt < _ATTEMPTS / 2:  # after that, any order that works
            order = order[np.argsort(-tally.sizes[order], kind="stable")]
        part = _deal_in_order(tally, shares, order)
        if _spread(tally, shares, part) and len(np.unique(part)) == len(shares):
            return np.asarray(part[group_of])
    raise InputError(
        f"groups: expected {len(names)} groups that can be dealt into {len(shares)} parts with no "
        f"class in one part alone, found no way in {_ATTEMPTS} attempts; add groups, or make them "
        "smaller"
    )


def _order_groups(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order groups by their text alone, numbers as such; return the place of each image's group.

    An archive may have numbers where a CSV has text.
    """
    is_number = groups.dtype.kind in "iu"
    texts = groups if is_number else np.array([str(group) for group in groups.tolist()])
    names, group_of = np.unique(texts, return_inverse=True)
    try:
        values = names.astype(float)
    except ValueError:
        return names, group_of
    order = np.argsort(values, kind="stable")
    return names[order], np.argsort(order)[group_of]


def _deal_in_order(tally: _Tally, shares: np.ndarray, order: np.ndarray) -> np.ndarray:
    # Class counts weigh in relative to the class; the size of a part decides between equals.
    per_class = np.bincount(tally.labels, tally.counts, tally.classes)
    totals = np.maximum(np.append(per_class, tally.sizes.sum()), 1)
    weights = 1 / totals**2
    weights[-1] *= _SIZE_WEIGHT
    excess = -shares[:, None] * totals  # (P, K + 1): what a part has less what it should have
    part = np.empty(len(tally.sizes), np.int64)
    for group in order:
        inside = slice(tally.starts[group], tally.starts[group + 1])
        own = np.append(tally.labels[inside], tally.classes)
        row = np.append(tally.counts[inside], tally.sizes[group])
        terms = (2 * excess[:, own] + row) * row * weights[own]
        # fsum rounds once, so that a seed gives the same parts on every machine.
        part[group] = np.argmin([math.fsum(line) for line in terms.tolist()])
        excess[part[group], own] += row
    return part


def _alone(tally: _Tally, part: np.ndarray, parts: int) -> np.ndarray:
    """Return the classes that lie in a single part."""
    holds_class = np.zeros((parts, tally.classes), bool)
    holds_class[part[tally.groups], tally.labels] = True
    return np.flatnonzero(holds_class.sum(0) == 1)


def _spread(tally: _Tally, shares: np.ndarray, part: np.ndarray) -> bool:
    """Move groups, changing `part`, until no class lies in one part; False if that fails."""
    alone = _alone(tally, part, len(shares))
    while len(alone):
        best = None
        for group in tally.groups[tally.labels == alone[0]]:
            home = part[group]
            # The part with the largest share other than its own bears a stray group best.
            part[group] = np.argmax(np.where(np.arange(len(shares)) == home, -1, shares))
            count_left = len(_alone(tally, part, len(shares)))
            if count_left < len(alone) and (best is None or tally.sizes[group] < best[0]):
                best = (tally.sizes[group], group, part[group])
            part[group] = home
        if best is None:
            return False
        part[best[1]] = best[2]
        alone = _alone(tally, part, len(shares))
    return True


def _check_divisible(data: LabelledImages, tally: _Tally, names: np.ndarray) -> None:
    homes = np.bincount(tally.labels, minlength=tally.classes)
    for label in np.flatnonzero(homes == 1).tolist():
        if data.groups is None:
            raise InputError(
                f"class {data.classes[label]!r}: expected at least 2 images, one for each side of "
                "a split, got 1; add images, or leave that class out"
            )
        group = names[tally.groups[tally.labels == label][0]]
        raise InputError(
            f"class {data.classes[label]!r}: expected images of at least 2 groups, one for each "
            f"side of a split, but all {data.counts[label]} are of group {group}; add images of "
            "another"
        )
