"""Directories that are either as they were or complete, whenever the process dies.

A directory is complete when its manifest is there: the manifest is written last and removed first.
While a directory is replaced the old one stands beside it for a moment; a process that finds it
there and nothing in its place puts it back.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from synthaug.core.errors import InputError
from synthaug.core.files import expect_place, expect_writable, partial_name, read_json

MANIFEST = "manifest.json"
# Patterns of what a generator, a pool or a run may hold; anything else there is the user's.
CONTENTS = {
    ".DS_Store",  # of macOS
    ".*.partial",
    MANIFEST,
    "images.npy",
    "labels.npy",
    "predicted.npy",
    "soft_labels.npy",
    "weights.npy",
    "weights.safetensors",
    "tested-*.npy",
}
REPLACE_TRIES = 20

Read = TypeVar("Read")


@contextmanager
def new_directory(directory: Path, *, kind: str) -> Iterator[Path]:
    """Yield a directory to fill, which replaces `directory` when the block ends well.

    An existing `directory` is replaced only if it is empty, or holds a manifest of the same `kind`
    and no file that is not written here. Any other content is the user's, and refused.
    """
    expect_place(str(directory), directory)
    directory = directory.resolve()  # a link stays, what it points to is replaced
    restore(directory)
    check_replaceable(directory, kind=kind)
    with partial_directory(directory) as partial:
        yield partial
        if not (partial / MANIFEST).exists():
            raise RuntimeError(f"{partial}: filled without a {MANIFEST}")
        try:
            _replace(directory, partial)
        except OSError as error:
            backup = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}")
            with suppress(OSError):  # what was made may have taken hours
                partial.rename(backup)
            where = f"; what was made is in {backup}" if backup.exists() else ""
            problem = f"cannot be replaced ({error.strerror or error}){where}"
            raise OSError(error.errno, problem, str(directory)) from error


@contextmanager
def partial_directory(directory: Path) -> Iterator[Path]:
    """Yield a directory beside `directory`, to fill and rename within the block."""
    partial = partial_name(directory)
    try:
        partial.mkdir(parents=True)  # within, since a signal may come between any two steps
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_replaceable(directory: Path, *, kind: str) -> None:
    """Raise `InputError` unless a directory of this `kind` can be written or replaced there."""
    expect_place(str(directory), directory)
    if os.path.ismount(directory.resolve()):
        raise InputError(
            f"{directory}: a file system is mounted there, which nothing can take the place of; "
            f"name a directory in it, as {directory / kind}"
        )
    if directory.resolve() == Path.cwd():
        raise InputError(
            f"{directory}: expected a directory that can be replaced, this is the working "
            "directory; name another"
        )
    if directory.is_dir() and any(directory.iterdir()):
        read_manifest(directory, kind=kind, doing="replace")
        _expect_nothing_else(directory, kind)
    elif directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: expected a directory to write, this is a file")
    aside = _aside(directory.resolve())
    if aside.is_dir():
        _expect_nothing_else(aside, kind)
    elif aside.exists():
        raise InputError(
            f"{aside}: is in the way, since a {kind} that is replaced stands there for a moment; "
            "move that elsewhere, or name another directory"
        )
    expect_writable(str(directory), directory.resolve().parent)


def _expect_nothing_else(directory: Path, kind: str) -> None:
    """Raise `InputError` for what the user put into a directory that is to be replaced."""
    for path in sorted(directory.iterdir()):
        is_ours = any(path.match(pattern) for pattern in CONTENTS)
        if path.is_dir() or not is_ours:
            raise InputError(
                f"{directory}: cannot replace it, it holds {path.name!r}, which is no part of a "
                f"{kind}; move that elsewhere, or name another directory"
            )


def _replace(directory: Path, partial: Path) -> None:
    """Rename `partial` to `directory`, again if another process puts something there meanwhile."""
    for attempt in range(REPLACE_TRIES):
        try:
            if directory.exists():
                _discard(_aside(directory))  # left by a process that died after it was done
                directory.rename(_aside(directory))
            partial.rename(directory)
        except OSError:
            restore(directory)
            if attempt == REPLACE_TRIES - 1:
                raise
            time.sleep(attempt / 1000)  # on Windows one who reads it keeps it in place
        else:
            break
    _discard(_aside(directory))


def _aside(directory: Path) -> Path:
    """Return where the old directory stands while the new one replaces it."""
    return directory.with_name(f".{directory.name}.old")


def restore(directory: Path) -> None:
    """Undo a replacement that was cut short between its two renames."""
    if not directory.exists() and (_aside(directory) / MANIFEST).exists():
        with suppress(OSError):  # its writer is alive and was faster
            _aside(directory).rename(directory)


def _discard(directory: Path) -> None:
    (directory / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)


def read_manifest(directory: Path, *, kind: str, doing: str = "read") -> dict[str, Any]:
    """Read the manifest of a directory that synthaug wrote, and check its `kind`."""
    expect_place(str(directory), directory)
    try:
        if not directory.is_dir():
            restore(directory.resolve())
        exists, complete = directory.is_dir(), (directory / MANIFEST).exists()
    except OSError as error:
        raise InputError(f"{directory}: cannot be read ({error.strerror})") from None
    if not exists:
        raise InputError(f"{directory}: no such directory; expected a {kind} written by synthaug")
    if not complete:
        raise InputError(
            f"{directory}: cannot {doing} it, it holds no {MANIFEST}, so it is not a complete "
            f"{kind}; name another directory"
        )
    manifest = read_json(directory / MANIFEST)
    if manifest.get("kind") != kind:
        raise InputError(f"{directory}: expected a {kind}, got a {manifest.get('kind')!r}")
    return manifest


def read_unchanged(directory: Path, read: Callable[[], Read]) -> Read:
    """Read files in `directory`, again if another process replaced it meanwhile.

    So they are never files of two directories.
    """
    while True:
        with _watch_file(directory / MANIFEST) as is_unchanged:
            try:
                content = read()
            except InputError:
                if is_unchanged():
                    raise
            else:
                if is_unchanged():
                    return content


@contextmanager
def _watch_file(path: Path) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether `path` is still the same file, or still missing."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield lambda: not path.exists()
        return
    except OSError:  # whether it is replaced cannot be known, and to try again would not end
        yield lambda: True
        return
    with file:  # kept open: the number of a file that is gone may be given to the next

        def is_unchanged() -> bool:
            try:
                return os.path.samestat(os.fstat(file.fileno()), path.stat())
            except OSError:
                return False

        yield is_unchanged
