"""Read training, validation and test images of DATA."""

from dataclasses import dataclass
from functools import partial

from rich.markup import escape

from synthaug.cli.options import read_data
from synthaug.cli.output import errors
from synthaug.core import InputError
from synthaug.data import LabelledImages, split_off, splits_of, with_copies_grouped
from synthaug.gain import FEWEST_TO_FOLD
from synthaug.generators import FEWEST_IMAGES

TEST_SHARE = 0.3  # set apart where the data have no test split


@dataclass(frozen=True)
class SplitImages:
    """The images of DATA by split.

    Attributes:
        train: Images to train on.
        validation: Images to make choices on; None where DATA has none.
        test: Images to measure on.
        note: Where the test images came from, if they had to be set apart.
        whole: Fingerprint of the images that they were set apart from.
    """

    train: LabelledImages
    validation: LabelledImages | None
    test: LabelledImages
    note: str = ""
    whole: str = ""


def read_splits(
    data: str,
    test: str | None,
    image_size: int | None,
    mode: str | None,
    on_error: str,
    *,
    quiet: bool,
) -> SplitImages:
    """Read the splits of DATA; set a test split apart where there is none, and print that."""
    images = partial(read_data, image_size=image_size, mode=mode, on_error=on_error, quiet=quiet)
    splits, test_splits = splits_of(data), None if test is None else splits_of(test)
    train = images(data)
    validation = images(data, split="val") if "val" in splits else None
    if test is not None and test_splits is not None:
        split = "test" if "test" in test_splits else "train"
        test_images = images(test, split=split, classes=train.classes)
        return SplitImages(train, validation, test_images)
    if "test" in splits:
        return SplitImages(train, validation, images(data, split="test"))
    train_places, test_places = split_off(with_copies_grouped(train), TEST_SHARE, seed=0)
    rest = train.subset(train_places)
    fewest = FEWEST_TO_FOLD if validation is None else FEWEST_IMAGES
    check_rest(data, train, rest, fewest, "set apart to test on", "give --test")
    note = (
        f"{data} has no test split, so {len(test_places)} of its {len(train)} images were set "
        "apart to test on"
    )
    if not quiet:
        errors.print(f"Note: {escape(note)}.", soft_wrap=True)
    fingerprint = train.fingerprint
    return SplitImages(rest, validation, train.subset(test_places), note, fingerprint)


def check_rest(
    data: str, train: LabelledImages, rest: LabelledImages, fewest: int, use: str, advice: str
) -> None:
    """Refuse a class of which too few images are left to train on.

    Args:
        data: DATA as it was typed.
        train: All training images.
        rest: Those that are left to train on.
        fewest: Images that each class needs.
        use: What the others serve, for the message.
        advice: What to do besides adding images.

    Raises:
        InputError: If a class has fewer.
    """
    scarce = int(rest.counts.argmin())
    remaining, count = rest.counts[scarce], train.counts[scarce]
    if remaining < fewest:
        raise InputError(
            f"{data}: class {train.classes[scarce]!r}: expected at least {fewest} training images, "
            f"got {remaining} after {count - remaining} of its {count} were {use}; add images, or "
            f"{advice}"
        )
