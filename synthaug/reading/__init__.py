"""From a folder, a file, a name or a Dataset to `LabelledImages`; splits that keep groups whole."""

from synthaug.reading.copies import MOST_SHARED, first_alike, found_in, with_copies_grouped
from synthaug.reading.discovery import (
    check_label,
    is_map_style,
    labels_and_classes,
    named_classes,
    relabelling,
    same_classes,
)
from synthaug.reading.loaders import GRAY_LOADER, expect_depth_kept
from synthaug.reading.skipped import SkippedImages, told_skipped
from synthaug.reading.source import ImageSource, read_classes, read_images, splits_of
from synthaug.reading.splits import check_groups, draw_folds, draw_subset, split_off
from synthaug.reading.untransformed import Apart, Untransformed, source_of, sources_of

__all__ = [
    "GRAY_LOADER",
    "MOST_SHARED",
    "Apart",
    "ImageSource",
    "SkippedImages",
    "Untransformed",
    "check_groups",
    "check_label",
    "draw_folds",
    "draw_subset",
    "expect_depth_kept",
    "first_alike",
    "found_in",
    "is_map_style",
    "labels_and_classes",
    "named_classes",
    "read_classes",
    "read_images",
    "relabelling",
    "same_classes",
    "source_of",
    "sources_of",
    "split_off",
    "splits_of",
    "told_skipped",
    "with_copies_grouped",
]
