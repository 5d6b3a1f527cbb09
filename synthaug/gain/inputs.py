"""What `measure_gain` is given, checked before anything is trained."""

from collections.abc import Sequence

import numpy as np

from synthaug.core import InputError, absent_of, as_count, as_seed, expect_number
from synthaug.data import LabelledImages, check_groups, expect_labelled, told_skipped, white_of
from synthaug.gain.arms import Source
from synthaug.gain.leaks import copied_within, refuse_copies, shared_images
from synthaug.gain.selection import SEARCHES
from synthaug.generators import Generator
from synthaug.mixing import MixConfig
from synthaug.pool import SamplePool

FEWEST_SEEDS = 2


def check_parts(parts: dict[str, LabelledImages]) -> list[str]:
    """Refuse splits that do not fit together; what a reader has to know of them."""
    for name, part in parts.items():
        expect_labelled(name, part)
    train = parts["train"]
    if len(train.classes) < 2:
        raise InputError(f"train: expected at least two classes, got only {train.classes[0]!r}")
    for name, part in parts.items():
        if part.classes != train.classes:
            raise InputError(
                f"{name}: expected the training classes {list(train.classes)}, got "
                f"{list(part.classes)}; read_images(..., classes=train.classes) numbers them so, "
                "also where some have no images"
            )
        if part.images.dtype != train.images.dtype or part.image_shape != train.image_shape:
            raise InputError(
                f"{name}: expected {train.images.dtype} {train.image_shape} like the training "
                f"images, got {part.images.dtype} {part.image_shape}"
            )
        if not len(part):
            raise InputError(f"{name}: expected images, got none")
    check_groups(parts)
    return [
        *shared_images(parts),
        *copied_within(train),
        *_unseen(parts),
        *_brighter(parts),
        *_left_out(parts),
    ]


def _left_out(parts: dict[str, LabelledImages]) -> list[str]:
    """In words, what of the images' sources could not be read; parts of one source say it once."""
    names = dict.fromkeys(part.left_out for part in parts.values() if part.left_out)
    return [told_skipped(each, f"of all images {len(each)}") for each in names]


def _brighter(parts: dict[str, LabelledImages]) -> list[str]:
    """In words, the splits whose 16-bit values are on a scale that training images do not know."""
    white = white_of(parts["train"].images)
    return [
        f"{name} images go up to {part.images.max():,}, training images to "
        f"{parts['train'].images.max():,} ({white.bit_length()} bits): if they are of another "
        "scale, bring them to one, or no network knows them"
        for name, part in parts.items()
        if white_of(part.images) > white
    ]


def _unseen(parts: dict[str, LabelledImages]) -> list[str]:
    """In words, the classes of which a split has no image."""
    said = []
    for name, part in parts.items():
        missing = [part.classes[int(label)] for label in np.flatnonzero(part.counts == 0)]
        if missing:
            shown = ", ".join(map(repr, missing[:5])) + ", ..." * (len(missing) > 5)
            said.append(f"there is no {name} image of {shown}: nothing is known of it there")
    return said


def numbered(seeds: int, seed: int) -> tuple[list[int], list[int]]:
    """The numbers of so many seeds from `seed` up, and of as many after them."""
    first, count = as_seed(seed), as_count("seeds", seeds, least=FEWEST_SEEDS)
    return list(range(first, first + count)), list(range(first + count, first + 2 * count))


def check_name(name: str) -> None:
    """Refuse a name of the data that is no text, which files could not hold."""
    if not isinstance(name, str):
        raise InputError(f"name: expected text, got {name!r}")


def check_asked(name: str, arms: str, precision: float | None, mix: MixConfig | None) -> None:
    """Refuse what is asked for in other words or types."""
    check_name(name)
    if arms not in SEARCHES:
        raise InputError(f"arms: expected one of {', '.join(SEARCHES)}, got {arms!r}")
    if precision is not None:
        expect_number("precision", precision)
    if mix is not None and not isinstance(mix, MixConfig):
        raise InputError(
            f"mix: expected a MixConfig, as MixConfig.load reads it from a file, got {mix!r}"
        )


def generators_of(sources: Sequence[Source]) -> list[Source]:
    """The sources; `InputError` for what are none, and for pools."""
    if isinstance(sources, Source | Generator) or not all(isinstance(s, Source) for s in sources):
        raise InputError(
            "sources: expected a list of sources, as [Source('style-swap', StyleSwap())], got "
            f"{sources!r}"
        )
    if any(source.pool is not None for source in sources):
        raise InputError("sources: expected generators; give a pool as `pool`")
    return list(sources)


def check_sources(sources: Sequence[Source]) -> None:
    """Refuse none, and two of one name, which stands for their arms in the result."""
    if not sources:
        raise InputError("sources: expected at least one generator or a pool")
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"sources: expected names that differ, got {name!r} twice")


def pool_source(
    pool: SamplePool, train: LabelledImages, test: LabelledImages, per_class: int | None
) -> Source:
    """The images in a pool, as what is measured."""
    if per_class is not None:
        raise InputError(
            "per_class: what made the pool may know more images than a subset that is drawn anew "
            "for each seed; give the images that it was made from as training data, and leave "
            "per_class out"
        )
    directory = pool.directory
    if list(pool.classes) != list(train.classes):
        raise InputError(
            f"{directory}: expected the classes {list(train.classes)}, the pool holds "
            f"{pool.classes}"
        )
    if test.fingerprint in pool.origins:
        raise InputError(
            f"{directory}: made from the test images, or chosen by them; a gain measured with it "
            "would be worthless. Make the pool from training images alone"
        )
    made = pool.samples.images
    if made.dtype != train.images.dtype or made.shape[1:] != train.images.shape[1:]:
        raise InputError(
            f"{directory}: expected {train.images.dtype} images {train.image_shape}, the pool "
            f"holds {made.dtype} {made.shape[1:]}; read the data at the pool's size and mode, or "
            "make the pool again"
        )
    if white_of(made) > white_of(train.images):
        raise InputError(
            f"{directory}: expected values up to {white_of(train.images)}, as the training images "
            f"have them, the pool goes up to {made.max()}, which they would all be white beside; "
            "bring the pool's images to the scale of the real ones"
        )
    if absent := absent_of(pool.samples.labels, pool.samples.weights, train.classes):
        raise InputError(
            f"{directory}: no image of class {absent[0]!r} that may be drawn; a pool needs some of "
            "every class, with a weight above 0 where it has weights"
        )
    pool.check()
    refuse_copies(pool.samples, train, test)
    return Source(
        f"pool {pool.place.name}",
        pool=pool.place.resolve(),
        fingerprint=pool.manifest["fingerprint"],
    )
