"""Read CSV manifests: tables with the columns path, label and, if wanted, split and group.

The group may also be called patient and the like.
"""

import csv
import os
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from synthaug.core import InputError
from synthaug.data.decoding import SUFFIXES, from_file
from synthaug.data.listing import SPLIT_NAMES, Listing, Splits, class_order, split_named
from synthaug.data.splits import group_key, known_groups, warn_of_unused

LAYOUT = "expected a header with the columns path,label and optionally split,group"
COLUMNS = ("path", "label", "split", "group")
OPEN_QUOTE = 'is a quote left open before? double one that belongs to a text: ""'
SEPARATED = "; separate columns by commas, not semicolons or tabs"


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    split: str
    group: str | None


def open_manifest(path: Path) -> Splits:
    """List the splits of a manifest; without a column split, "train" only.

    Paths are relative to it. Labels are class names; where they are the numbers 0 to K-1, classes
    stand in their order. An image without a group is one of its own. Other columns are not used; a
    warning names those that may group images under another name.
    """
    rows = _rows(path)
    classes = _classes({row.label for row in rows})
    per_split: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        per_split[row.split].append(row)
    return {
        split: partial(_list_manifest, path.parent, per_split[split], classes)
        for split in SPLIT_NAMES
        if split in per_split
    }


def _classes(labels: set[str]) -> tuple[str, ...]:
    """Return class names in the order that numbers them.

    As text 10 would come before 2, and class numbers of a Dataset that reads the same column would
    mean other classes.
    """
    numbers = tuple(str(number) for number in range(len(labels)))
    return numbers if labels == set(numbers) else class_order(labels)


def _list_manifest(directory: Path, rows: list[_Row], classes: tuple[str, ...]) -> Listing:
    index_of = {name: index for index, name in enumerate(classes)}
    groups = [row.group for row in rows if row.group is not None]
    return Listing(
        name=lambda index: str(directory / rows[index].path),
        load=lambda index: from_file(directory / rows[index].path),
        labels=np.array([index_of[row.label] for row in rows], np.int64),
        classes=classes,
        groups=known_groups(np.array(groups), rows[0].split) if groups else None,
    )


def _rows(path: Path) -> list[_Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Strict: a quote that is left open would take the rows after it as text of one cell;
            # and one after a space would be part of the text.
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            columns = [name.strip().lower() for name in reader.fieldnames or ()]
            missing = [name for name in ("path", "label") if name not in columns]
            if missing:
                otherwise = any(mark in "".join(columns) for mark in ";\t")
                raise InputError(
                    f"{path}: {LAYOUT}; missing {' and '.join(missing)}, got "
                    f"{','.join(columns) or 'nothing'}{SEPARATED * otherwise}"
                )
            twice = [name for name in COLUMNS if columns.count(name) > 1]
            if twice:
                raise InputError(
                    f"{path}: {LAYOUT}; got a column {twice[0]} more than once; rename or remove "
                    "the others"
                )
            reader.fieldnames = columns
            group = group_key(columns, str(path))
            rows, cells = [], []
            for fields in reader:
                rows.append(_row(path, reader.line_num, fields, group))
                cells.append(fields)
    except csv.Error as error:
        raise InputError(f"{path}: expected a CSV file, but {error}; {OPEN_QUOTE}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a CSV file in UTF-8, but {error}") from error
    if not rows:
        raise InputError(f"{path}: expected a row for each image, got a header alone")
    _refuse_repeats(path, rows)
    if group is None:
        classes = len({row.label for row in rows})
        names = [name for name in columns if name and name not in COLUMNS]
        candidates = [name for name in names if _may_group([each[name] for each in cells], classes)]
        warn_of_unused(str(path), candidates, "group", stacklevel=6)  # whoever called read_images
    return rows


def _may_group(texts: list[str | None], classes: int) -> bool:
    """Tell whether several images share a value, as those of a patient do.

    There must be more values than classes. Empty cells group nothing.
    """
    values = [text for text in texts if text]
    return classes < len(set(values)) < len(values)


def _row(path: Path, line: int, fields: dict[Any, Any], group: str | None) -> _Row:
    if None in fields:  # where csv puts cells beyond the columns
        raise InputError(
            f"{path}: line {line}: expected a cell for each column of the header, got "
            f"{len(fields[None])} more; put text that holds a comma in quotes"
        )
    long_cells = [name for name, text in fields.items() if _holds_rows(name, text)]
    if long_cells:
        raise InputError(
            f"{path}: line {line}: expected a row for each image, but its cell "
            f"{long_cells[0]} goes on over several lines, as if they were one text; {OPEN_QUOTE}"
        )
    cells = {name: (fields[name] or "").strip() for name in fields if name is not None}
    empty = [name for name in ("path", "label", "split") if name in cells and not cells[name]]
    if empty:
        raise InputError(f"{path}: line {line}: expected a {empty[0]}, got nothing")
    text = cells.get("split", "train")
    split = split_named(text)
    if split is None:
        raise InputError(f"{path}: line {line}: expected split train, val or test, got {text!r}")
    return _Row(line, cells["path"], cells["label"], split, None if group is None else cells[group])


def _holds_rows(column: str | None, text: str | None) -> bool:
    """Tell whether a cell of several lines swallowed rows of the table."""
    lines = (text or "").splitlines()
    if len(lines) < 2:
        return False
    has_suffix = any(suffix in line.lower() for line in lines for suffix in SUFFIXES)
    return column in COLUMNS or has_suffix


def _refuse_repeats(path: Path, rows: list[_Row]) -> None:
    """Raise `InputError` for an image listed twice: it would be in two splits, or count double."""
    lines: dict[str, int] = {}
    for row in rows:
        # One file has many spellings: a.png, ./a.png, b/../a.png and its full path.
        spelt_out = os.path.normpath(path.parent.absolute() / row.path)
        first = lines.setdefault(spelt_out, row.line)
        if first != row.line:
            raise InputError(
                f"{path}: line {row.line}: expected each image once, but {row.path} is on line "
                f"{first} already; remove one of the two"
            )
