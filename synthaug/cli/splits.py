"""Training, validation and test images of what the command line names."""

from dataclasses import dataclass

from synthaug.cli.options import read
from synthaug.images import LabelledImages
from synthaug.reading import split_off, splits_of

TEST_SHARE = 0.3  # set apart where the data have no test split


@dataclass(frozen=True)
class Splits:
    train: LabelledImages
    validation: LabelledImages | None
    test: LabelledImages
    set_apart: str = ""  # where the test images came from, if they had to be set apart


def read_splits(
    data: str, test: str | None, image_size: int | None, mode: str | None, on_error: str
) -> Splits:
    """Training, validation and test images; a test split is set apart where there is none."""
    known, others = splits_of(data), None if test is None else splits_of(test)
    train = read(data, image_size, mode, on_error)
    validation = read(data, image_size, mode, on_error, "val") if "val" in known else None
    if test is not None and others is not None:
        split = "test" if "test" in others else "train"
        return Splits(train, validation, read(test, image_size, mode, on_error, split))
    if "test" in known:
        return Splits(train, validation, read(data, image_size, mode, on_error, "test"))
    kept, held = split_off(train, TEST_SHARE, seed=0)
    note = f"{data} has no test split, so {len(held)} of its {len(train)} images were set apart"
    return Splits(train.subset(kept), validation, train.subset(held), note)
