"""From any source of labelled images to `LabelledImages`; splits that keep groups whole.

May import `core`.
"""

from synthaug.data.conversion import (
    form_of,
    span_of,
    take,
    to_array,
    to_float,
    to_pil,
    to_stored,
    to_tensor,
    white_of,
)
from synthaug.data.datasets import inner_of
from synthaug.data.decoding import GRAY_LOADER, expect_depth_kept
from synthaug.data.discovery import (
    check_label,
    is_map_style,
    labels_and_classes,
    named_classes,
    relabelling,
    same_classes,
)
from synthaug.data.folder import would_read
from synthaug.data.images import (
    SMALLEST,
    LabelledImages,
    Samples,
    distinct_names,
    expect_alike,
    expect_images,
    expect_labelled,
    expect_scale,
    holds_integers,
    soft_rows,
)
from synthaug.data.source import ImageSource, folder_of, read_classes, read_images, splits_of
from synthaug.data.splits import (
    MOST_SHARED,
    check_groups,
    draw_folds,
    draw_subset,
    first_alike,
    matching_images,
    split_off,
    with_copies_grouped,
)
from synthaug.data.stacking import SkippedImages, describe_skipped
from synthaug.data.untransformed import Apart, Untransformed, source_of, sources_of

__all__ = [
    "Apart",
    "GRAY_LOADER",
    "ImageSource",
    "LabelledImages",
    "MOST_SHARED",
    "SMALLEST",
    "Samples",
    "SkippedImages",
    "Untransformed",
    "check_groups",
    "check_label",
    "distinct_names",
    "draw_folds",
    "draw_subset",
    "expect_alike",
    "expect_depth_kept",
    "expect_images",
    "expect_labelled",
    "expect_scale",
    "first_alike",
    "folder_of",
    "form_of",
    "matching_images",
    "holds_integers",
    "inner_of",
    "is_map_style",
    "labels_and_classes",
    "named_classes",
    "read_classes",
    "read_images",
    "relabelling",
    "same_classes",
    "soft_rows",
    "source_of",
    "sources_of",
    "span_of",
    "split_off",
    "splits_of",
    "take",
    "to_array",
    "to_float",
    "to_pil",
    "to_stored",
    "to_tensor",
    "describe_skipped",
    "white_of",
    "with_copies_grouped",
    "would_read",
]
