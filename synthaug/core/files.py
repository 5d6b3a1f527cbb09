"""Files that are either as they were or complete, whenever the process dies.

A file is written beside its final name, synced and renamed.
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
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np

from synthaug.core.errors import InputError

LEFT = 24 * 3600  # seconds without a change after which what is being written is a dead process's

_mark = ContextVar("_mark", default="0" * 8)  # in the names of what is being written


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`.

    A link stays; the file that it points to is replaced.
    """
    _expect_regular(str(path), path)
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial_name(path)
    try:
        with path_in_errors(path):
            with temporary.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def path_in_errors(path: Path) -> Iterator[None]:
    """Add `path` to system errors in the block that name no path, such as those of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename = error.filename or str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: object) -> None:
    """Write an object as JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`, atomically."""

    def write(file: BinaryIO) -> None:
        # Through Python: of a full disk NumPy's own writing does not say that it is full.
        through: Any = SimpleNamespace(write=file.write)
        np.save(through, array, allow_pickle=False)

    write_atomically(path, write)


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file; `InputError` if it is missing, cut short or no object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except OverflowError as error:
        raise InputError(f"{path}: expected numbers, got {error}") from None
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


def _no_number(name: str) -> None:
    """Refuse NaN and the infinities, which are no JSON."""
    raise OverflowError(name)


def partial_name(path: Path) -> Path:
    """Return an unused name beside `path` for a partial file; remove those of dead processes.

    They are known by their age: processes on two machines, or in two containers, that write to one
    volume may have the same number.
    """
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        with suppress(OSError):  # another process was faster
            if time.time() - other.stat().st_mtime > LEFT:
                shutil.rmtree(other) if other.is_dir() else other.unlink()
    return path.with_name(f".{path.name}.{_mark.get()}{secrets.token_hex(4)}.partial")


@contextmanager
def partial_files_cleanup(directory: Path) -> Iterator[str]:
    """Yield a mark for processes that write in `directory`, within a `partial_files_mark` of it.

    Where the block does not end well, they are killed, and their partial files removed.
    """
    mark = secrets.token_hex(4)
    try:
        yield mark
    except BaseException:
        # Not rglob, which fails where others that share the directory rename what is in it.
        paths = [Path(at, name) for at, *names in os.walk(directory) for name in chain(*names)]
        for path in paths:
            if f".{mark}" in path.name and path.suffix == ".partial":
                with suppress(OSError):  # of one within another that is gone
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


@contextmanager
def partial_files_mark(mark: str) -> Iterator[None]:
    """Name partial files that the block writes with a mark of `partial_files_cleanup`."""
    before = _mark.set(mark)
    try:
        yield
    finally:
        _mark.reset(before)


def expand_path(path: str | Path) -> Path:
    """Return the path with ~ as the home folder; `InputError` for objects that are no path."""
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"expected the path of a file or directory, got {type(path).__name__}")
    if not os.fspath(path):
        raise InputError("expected the path of a file or directory, got an empty one")
    if "\0" in str(path):
        raise InputError(f"{path!r}: no file can have this path (a zero byte); name another")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{path}: no home folder is known that ~ could stand for; set HOME, write the path in "
            f"full, or ./{path} for a file of that name"
        ) from None


def expect_writable(name: str, directory: Path) -> None:
    """Raise `InputError` that begins with `name` unless files can be written in `directory`.

    It may exist or not; nothing is left there.
    """
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
    """Raise `InputError` that begins with `name` unless a file can exist at `path`.

    Names may be too long, with the suffix while it is written, and links may form a circle.
    """
    # "." and "/" have no name, and nothing is written beside them.
    partial_paths = [path.with_name(f".{path.name}.{'0' * 16}.partial")] if path.name else []
    for each in (*path.parents, path, *partial_paths):
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
    expect_writable(name, path.resolve().parent)


def _expect_regular(name: str, path: Path) -> None:
    """Raise `InputError` that begins with `name` for a pipe or a device."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            f"{name}: expected a file to write, this is a pipe or a device; name a file"
        )
