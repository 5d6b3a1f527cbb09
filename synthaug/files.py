"""Files and directories that are either as they were or complete, whenever the process dies.

A file is written beside its final name, synced and renamed. A directory is complete when its
manifest is there: the manifest is written last and removed first. While a directory is replaced
the old one stands beside it for a moment; a process that finds it there and nothing in its place
puts it back.
"""

import glob
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, TypeVar

import numpy as np

from synthaug.errors import InputError

MANIFEST = "manifest.json"
# What a generator, a pool or a cell may hold; anything else in its directory is the user's.
CONTENTS = {
    ".DS_Store",  # of macOS
    MANIFEST,
    "images.npy",
    "labels.npy",
    "predicted.npy",
    "soft_labels.npy",
    "weights.npy",
    "weights.safetensors",
}
REPLACE_TRIES = 20
LEFT = 24 * 3600  # seconds without a change after which what is being written is a dead process's

_mark = ContextVar("_mark", default="0" * 8)  # in the names of what is being written

Read = TypeVar("Read")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`."""
    _expect_regular(str(path), path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _partial(path)
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None:  # of a full disk it says nothing of where
            error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    def write(file: BinaryIO) -> None:
        # Through Python: of a full disk NumPy's own writing does not say that it is full.
        through: Any = SimpleNamespace(write=file.write)
        np.save(through, array, allow_pickle=False)

    write_atomically(path, write)


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; `InputError` if it is missing, cut short or not an object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{path}: expected JSON, which ends or breaks at {where}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected JSON, got a file that is no text") from None
    except RecursionError:
        raise InputError(f"{path}: expected JSON, but it is nested too deeply") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


@contextmanager
def new_directory(directory: Path, *, kind: str) -> Iterator[Path]:
    """A directory to fill, which takes the place of `directory` when the block ends well.

    An existing `directory` is replaced only if it is empty, or holds a manifest of the same `kind`
    and nothing that is not written here; anything else there is the user's, and refused.
    """
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
            kept = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}")
            with suppress(OSError):  # what was made may have taken hours
                partial.rename(kept)
            where = f"; what was made is in {kept}" if kept.exists() else ""
            said = f"cannot be replaced ({error.strerror or error}){where}"
            raise OSError(error.errno, said, str(directory)) from error


@contextmanager
def partial_directory(directory: Path) -> Iterator[Path]:
    """A directory beside `directory` to fill, and rename within the block; else it goes."""
    partial = _partial(directory)
    try:
        partial.mkdir(parents=True)  # within, since a signal may come between any two steps
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _partial(path: Path) -> Path:
    """A name beside `path` that no other process has, for what is being written there; what dead
    processes left under such names goes.

    These are known by their age: processes on two machines, or in two containers, that write to one
    volume may have the same number.
    """
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with suppress(OSError):  # another process was faster
            if time.time() - other.stat().st_mtime > LEFT:
                shutil.rmtree(other) if other.is_dir() else other.unlink()
    return path.with_name(f".{path.name}.{_mark.get()}{secrets.token_hex(4)}.partial")


@contextmanager
def swept(directory: Path) -> Iterator[str]:
    """The mark of what other processes write in `directory` in a block `marked` with it: where the
    block of this one does not end well, they are killed, and what they were writing goes."""
    mark = secrets.token_hex(4)
    try:
        yield mark
    except BaseException:
        for left in [*directory.rglob(f".*.{mark}*.partial")]:
            with suppress(OSError):  # of one within another that is gone
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        raise


@contextmanager
def marked(mark: str) -> Iterator[None]:
    """The block writes under names by which `swept` knows what it was at."""
    before = _mark.set(mark)
    try:
        yield
    finally:
        _mark.reset(before)


def expanded(path: str | Path) -> Path:
    """The path with ~ as the home folder; `InputError` for what is no path."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"expected the path of a file or directory, got {type(path).__name__}")
    if not os.fspath(path):
        raise InputError("expected the path of a file or directory, got an empty one")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{path}: no home folder is known that ~ could stand for; set HOME, write the path in "
            f"full, or ./{path} for a file of that name"
        ) from None


def expect_writable(name: str, directory: Path) -> None:
    """Raise `InputError` that begins with `name` unless files can be written in `directory`, be it
    there or not; nothing is left there."""
    try:
        while not directory.exists() and directory != directory.parent:
            directory = directory.parent
        with tempfile.TemporaryFile(dir=directory, prefix=".", suffix=".partial"):
            pass
    except OSError as error:
        raise InputError(
            f"{name}: cannot write in {directory} ({error.strerror}); name another place"
        ) from None


def expect_place(name: str, path: Path) -> None:
    """Raise `InputError` that begins with `name` unless there can be something at `path`: not for a
    name that is too long, with what it is called while it is written, or links in a circle."""
    written = path.with_name(f".{path.name}.{'0' * 16}.partial")
    for each in (*path.parents, path, written):
        try:
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                each.stat()
        except OSError as error:
            raise InputError(
                f"{name}: no file can have this path ({error.strerror}); name another"
            ) from None


def expect_file(name: str, path: Path) -> None:
    """Raise `InputError` that begins with `name` unless a file can be written at `path`."""
    expect_place(name, path)
    if path.is_dir():
        raise InputError(f"{name}: expected a file to write, this is a directory")
    _expect_regular(name, path)
    expect_writable(name, path.parent)


def _expect_regular(name: str, path: Path) -> None:
    """Raise `InputError` that begins with `name` where there is a pipe or a device at `path`, which
    a file that is written would take the place of."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            f"{name}: expected a file to write, this is a pipe or a device; name a file"
        )


def check_replaceable(directory: Path, *, kind: str) -> None:
    """Raise `InputError` unless a directory of this `kind` can be written at `directory`, or
    another one of it replaced there."""
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
    expect_writable(str(directory), directory.resolve().parent)


def _expect_nothing_else(directory: Path, kind: str) -> None:
    """Raise `InputError` for what the user put into a directory that is to be replaced."""
    for path in sorted(directory.iterdir()):
        known = path.name in CONTENTS or (path.name[0] == "." and path.suffix == ".partial")
        if path.is_dir() or not known:
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
    """Where the old directory stands while the new one takes its place."""
    return directory.with_name(f".{directory.name}.old")


def restore(directory: Path) -> None:
    """Undo a replacement that was cut short between its two renames."""
    old = _aside(directory)
    if not directory.exists() and (old / MANIFEST).exists():
        with suppress(OSError):  # its writer is alive and was faster
            old.rename(directory)


def _discard(directory: Path) -> None:
    (directory / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)


def read_manifest(directory: Path, *, kind: str, doing: str = "read") -> dict[str, Any]:
    """The manifest of a directory that synthaug wrote, checked to be of `kind`."""
    if not directory.is_dir():
        restore(directory.resolve())
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; expected a {kind} written by synthaug")
    path = directory / MANIFEST
    if not path.exists():
        raise InputError(
            f"{directory}: cannot {doing} it, it holds no {MANIFEST}, so it is not a complete "
            f"{kind}; name another directory"
        )
    manifest = read_json(path)
    if manifest.get("kind") != kind:
        raise InputError(f"{directory}: expected a {kind}, got a {manifest.get('kind')!r}")
    return manifest


def read_unchanged(directory: Path, read: Callable[[], Read]) -> Read:
    """What `read` makes of the files in `directory`; again if another process replaced it
    meanwhile, so that they are never files of two."""
    while True:
        with _unchanged(directory / MANIFEST) as unchanged:
            try:
                found = read()
            except InputError:
                if unchanged():
                    raise
            else:
                if unchanged():
                    return found


@contextmanager
def _unchanged(path: Path) -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether `path` is still the same file, or still missing."""
    try:
        file = path.open("rb")
    except OSError:
        yield lambda: not path.exists()
        return
    with file:  # kept open: the number of a file that is gone may be given to the next

        def unchanged() -> bool:
            try:
                return os.path.samestat(os.fstat(file.fileno()), path.stat())
            except OSError:
                return False

        yield unchanged
