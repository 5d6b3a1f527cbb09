"""Training, validation and test images of what the command line names."""

from dataclasses import dataclass
from functools import partial

from rich.markup import escape

from synthaug.cli.options import read
from synthaug.cli.output import errors
from synthaug.core import InputError
from synthaug.data import LabelledImages, split_off, splits_of, with_copies_grouped
from synthaug.gain import FEWEST_TO_FOLD
from synthaug.generators import FEWEST_IMAGES

TEST_SHARE = 0.3  # set apart where the data have no test split


@dataclass(frozen=True)
class SplitImages:
    train: LabelledImages
    validation: LabelledImages | None
    test: LabelledImages
    set_apart: str = ""  # where the test images came from, if they had to be set apart
    whole: str = ""  # the fingerprint of what they were set apart from


def read_splits(
    data: str,
    test: str | None,
    image_size: int | None,
    mode: str | None,
    on_error: str,
    *,
    quiet: bool,
) -> SplitImages:
    """Training, validation and test images; a test split is set apart where there is none, which
    is said at once."""
    images = partial(read, image_size=image_size, mode=mode, on_error=on_error, quiet=quiet)
    known, others = splits_of(data), None if test is None else splits_of(test)
    train = images(data)
    validation = images(data, split="val") if "val" in known else None
    if test is not None and others is not None:
        split = "test" if "test" in others else "train"
        held = images(test, split=split, classes=train.classes)
        return SplitImages(train, validation, held)
    if "test" in known:
        return SplitImages(train, validation, images(data, split="test"))
    kept, apart = split_off(with_copies_grouped(train), TEST_SHARE, seed=0)
    left = train.subset(kept)
    fewest = FEWEST_TO_FOLD if validation is None else FEWEST_IMAGES
    check_left(data, train, left, fewest, "set apart to test on", "give --test")
    note = (
        f"{data} has no test split, so {len(apart)} of its {len(train)} images were set apart to "
        "test on"
    )
    if not quiet:
        errors.print(f"Note: {escape(note)}.", soft_wrap=True)
    fingerprint = train.fingerprint
    return SplitImages(left, validation, train.subset(apart), note, fingerprint)


def check_left(
    data: str, train: LabelledImages, left: LabelledImages, fewest: int, what: str, advice: str
) -> None:
    """Refuse a class that has fewer images left to train on; only here is known where its others
    went: `what` was done with them, and what to do about it besides adding images."""
    scarce = int(left.counts.argmin())
    rest, count = left.counts[scarce], train.counts[scarce]
    if rest < fewest:
        raise InputError(
            f"{data}: class {train.classes[scarce]!r}: expected at least {fewest} training images, "
            f"got {rest} after {count - rest} of its {count} were {what}; add images, or {advice}"
        )
