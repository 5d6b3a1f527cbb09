"""Options that several commands share, and the checks of paths before any work begins."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from synthaug.cli.output import progress
from synthaug.core import (
    MANIFEST,
    InputError,
    check_replaceable,
    expand_path,
    expect_file,
    expect_place,
    expect_writable,
    leads,
    resolve_device,
)
from synthaug.data import LabelledImages, folder_of, read_images, would_read
from synthaug.generators import GENERATOR_KIND as GENERATOR
from synthaug.pool import POOL_KIND as POOL

PAGE_MARK = b'<meta name="generator" content="synthaug">'
FOLDERS = ("--report", "--cache", "--log")  # that may hold what other options name
IMAGES, CLASSIFIER, COMPARED, RUNNING, OUTPUT = (
    "Images",
    "Classifier",
    "What is compared",
    "Running",
    "Output",
)  # panels of --help
FLAG = ""  # instead of a value's name, for what takes none
DATA_FORMS = (
    'a folder of class folders, an .npz, a .csv (path,label[,split][,group]), "digits", '
    '"torchvision:NAME" or "medmnist:NAME"'
)


def _hush(quiet: bool) -> bool:
    if quiet:
        warnings.simplefilter("ignore")
    return quiet


def at_home(path: Path | None) -> Path | None:
    """Expand ~ to the home folder, which no shell does in `--json=~/gain.json`."""
    return None if path is None else expand_path(path)


Data = Annotated[str, typer.Argument(metavar="DATA", help=f"Labelled images: {DATA_FORMS}.")]
ImageSize = Annotated[
    int | None,
    typer.Option(metavar="N", min=8, max=256, help="Resize images to N x N pixels."),
]
Mode = Annotated[
    Literal["gray", "rgb"] | None,
    typer.Option(help="Convert images to one or three channels.", rich_help_panel=IMAGES),
]
OnError = Annotated[
    Literal["raise", "skip"],
    typer.Option(
        help="Stop at an image that cannot be read, or leave it out and say which.",
        rich_help_panel=IMAGES,
    ),
]
PerClass = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=2,
        help="Train on N images per class, not all.",
        rich_help_panel=COMPARED,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="Settles every random choice but which test images are set apart.",
        rich_help_panel=RUNNING,
    ),
]
AnySeed = Annotated[
    int,
    typer.Option(metavar="N", min=0, help="Settles every random choice.", rich_help_panel=RUNNING),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help='"auto" (a GPU where there is one), "cpu", "cuda:0".',
        rich_help_panel=RUNNING,
    ),
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        callback=at_home,
        help="Write the result as JSON.",
        rich_help_panel=OUTPUT,
    ),
]
PoolOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="POOL",
        callback=at_home,
        help="Directory to write; a pool that is there is replaced.",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        metavar=FLAG,
        callback=_hush,
        help="Print nothing but errors.",
        rich_help_panel=OUTPUT,
    ),
]


class JsonKind(StrEnum):
    """The kinds of JSON that `--json` writes; one replaces an earlier one of its kind alone."""

    RESULT = "result of gain"
    GENERATOR = "metadata of a generator"
    POOL = "metadata of a pool"
    EXPORT = "record of an export"


KEYS = {  # tell each kind from the others, and from the JSON of other programs
    JsonKind.RESULT: {"synthaug", "data", "protocol", "arms", "verdict"},
    JsonKind.GENERATOR: {"family", "settings", "versions"},
    JsonKind.POOL: {"source", "fingerprint", "soft_labels", "versions"},
    JsonKind.EXPORT: {"output", "images", "per_class"},
}


class ExportFormat(StrEnum):
    """The forms in which `export` writes a pool."""

    FOLDER = "folder"
    NPZ = "npz"
    TAR = "tar"


def read_data(
    data: str,
    image_size: int | None,
    mode: str | None,
    on_error: str,
    split: str = "train",
    classes: Sequence[str] | None = None,
    *,
    quiet: bool,
) -> LabelledImages:
    """Call `read_images` with the options of the command line."""
    with progress(quiet or not leads()) as update:
        return read_images(
            data,
            split=split,
            image_size=image_size,
            mode=mode,
            on_error=on_error,
            classes=classes,
            progress=partial(update, f"reading {split} images"),
        )


def check_device(device: str) -> None:
    """Raise `InputError` for a device that this machine lacks."""
    try:
        resolve_device(device)
    except InputError as error:
        raise InputError(f"--{error}; leave --device out for what there is") from None


def check_apart(targets: Mapping[str, Path | None]) -> None:
    """Check that each option can write at its path without touching another's.

    Args:
        targets: The path of each option; None where it was not given.

    Raises:
        InputError: Where nothing can be written at a path, where two options name one path, and
            where one lies in another that is a file or is put in place whole, or in a generator or
            pool, which is replaced only where nothing else is in it.
    """
    targets_given = [(option, path) for option, path in targets.items() if path is not None]
    for option, path in targets_given:
        expect_place(f"{option} {path}", path)
        for parent in path.resolve().parents if path.name != MANIFEST else ():
            if _read_object(parent / MANIFEST).get("kind") in (GENERATOR, POOL):
                raise InputError(
                    f"{option} {path}: lies in {parent}, which could not be replaced any more; "
                    "name another place"
                )
    targets_by_option = [(option, path.resolve()) for option, path in targets_given]
    for (one, first), (other, second) in permutations(targets_by_option, 2):
        if first == second:
            raise InputError(f"{other} and {one} are the same path: {first}; name two")
        holds_others = one in FOLDERS or (one != "--output" and first.is_dir())
        if not holds_others and first in second.parents:
            raise InputError(
                f"{other} {second}: lies in {one}, which holds nothing else; name another place"
            )


def check_outside(data: str | None, directories: Mapping[str, Path | None]) -> None:
    """Raise `InputError` for an output directory that would be read as images of DATA later."""
    folder = folder_of(data or "")
    if folder is None:
        return
    for option, path in directories.items():
        if path is None:
            continue
        # A page or a JSON file in the folder itself is no class; an option that adds folders is.
        inside = path / "folder" if option in ("--cache", "--log") else path
        if would_read(folder, inside):
            raise InputError(
                f"{option} {path}: lies in {data}, whose folders are read as classes of images; "
                "name a place outside it"
            )


def check_file(option: str, path: Path | None) -> None:
    """Raise `InputError` unless a file can be written at `path`; nothing is left there."""
    if path is not None:
        expect_file(f"{option} {path}", path)


def check_json(option: str, path: Path | None, kind: JsonKind) -> None:
    """Raise `InputError` unless JSON of this kind can be written at `path`.

    A file that is there is replaced only if it is an earlier one of this kind, and not the manifest
    of a generator or a pool.
    """
    check_file(option, path)
    if path is None or not path.exists():
        return
    if path.name == MANIFEST or not KEYS[kind] <= set(_read_object(path)):
        raise InputError(
            f"{option} {path}: is there already, and is no earlier {kind}; name another "
            "file, or remove it"
        )


def check_result(
    option: str, path: Path | None, train: LabelledImages, test: LabelledImages
) -> None:
    """Raise `InputError` for an earlier result of `gain` on other images than these.

    It took hours, and is not replaced. Images are told by fingerprint, since two folders may have
    one name.
    """
    if path is None or not path.exists():
        return
    value = _read_object(path)["data"]
    data = value if isinstance(value, dict) else {}
    images = {"fingerprint": train.fingerprint, "test_fingerprint": test.fingerprint}
    if any(data.get(key) != fingerprint for key, fingerprint in images.items()):
        raise InputError(
            f"{option} {path}: is there already, and is the result of other images (read from "
            f"{data.get('name')!r}); name another place, or remove it"
        )


def _read_object(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; empty where it holds none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def check_page(option: str, path: Path) -> None:
    """Raise `InputError` unless a page can be written there; only a page is replaced."""
    _check_replaced(option, path, "page that synthaug wrote", lambda head: PAGE_MARK in head)


def check_trace(option: str, path: Path | None) -> None:
    """Raise `InputError` unless a trace can be written at `path`; only a trace is replaced."""
    if path is None:
        return
    if path.suffix == ".gz":  # torch would compress it
        raise InputError(f"{option} {path}: expected a name that does not end in .gz")
    _check_replaced(option, path, "trace", lambda head: b'"schemaVersion"' in head)


def _check_replaced(option: str, path: Path, kind: str, is_kind: Callable[[bytes], bool]) -> None:
    """Raise `InputError` unless a file can be written at `path`.

    A file that is there is replaced only where its first bytes show that it is of the kind.
    """
    check_file(option, path)
    if not path.exists():
        return
    with path.open("rb") as file:
        head = file.read(200)
    if not is_kind(head):
        raise InputError(f"{option} {path}: is there already, and is no {kind}; name another file")


def check_directory(option: str, path: Path | None) -> None:
    """Raise `InputError` unless files can be written in a directory `path`, new or not."""
    if path is not None:
        expect_writable(f"{option} {path}", path)


def check_output(path: Path, kind: str) -> None:
    """Raise `InputError` unless a directory of this kind can be written at `path`."""
    try:
        check_replaceable(path, kind=kind)
    except InputError as error:
        raise InputError(f"--output {error}") from None


def check_new(option: str, path: Path) -> None:
    """Raise `InputError` unless a file can be written beside `path`; its writer checks `path`."""
    expect_writable(f"{option} {path}", path.parent)
