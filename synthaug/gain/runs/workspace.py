"""A directory that lasts until the work in it is done, and that several processes may share."""

import glob
import os
import secrets
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from synthaug.core import InputError

LOCK = ".lock"
MARK = ".run"  # what the names of marks end with
OLD = ".old"  # and those of directories that are being removed


@contextmanager
def work_directory(directory: Path, work: str = "all", *, keep: bool = False) -> Iterator[None]:
    """Make a directory, and remove it when the block ends well.

    It stays where the block breaks off, or `keep` is set. Of several processes that share it, the
    last one to end removes it. Files that cannot be removed are warned of, since the work is done;
    nothing that interrupts the removal is passed on. The next use of the directory removes them.

    Args:
        directory: The directory.
        work: Name of one piece of work in it, which leaves a mark until it ends well and keeps
            nothing. The directory stays while there are marks, so that interrupted or kept work of
            others is not lost.
        keep: Whether to keep it.
    """
    new_paths = [path for path in (directory, *directory.parents) if not path.exists()]
    lock, mark = _hold(directory), directory / f"{work}{MARK}"
    for remains in directory.parent.glob(f".{glob.escape(directory.name)}.*{OLD}"):
        shutil.rmtree(remains, ignore_errors=True)
    mark.touch()
    is_over = False
    try:
        yield
        is_over = not keep
    finally:
        with lock:
            renamed_directory = (
                _set_aside(directory, mark, lock) if is_over or _is_bare(directory, mark) else None
            )
        if renamed_directory is not None:  # its lock is closed: some file systems keep open files
            _remove(renamed_directory)
        for path in new_paths:  # those that nothing was put into
            with suppress(OSError):
                path.rmdir()


@contextmanager
def alone(file: Path, what: str) -> Iterator[None]:
    """Hold a lock file for as long as the block lasts.

    Where the system has no locks, nothing is held.

    Raises:
        InputError: If another process, which is at `what`, holds it.
    """
    with file.open("a+b") as lock:
        free = True
        with suppress(OSError):
            free = _is_alone(lock)
        if not free:
            raise InputError(
                f"{file.parent}: another process is at {what} there; wait for it, or name another "
                "place (--cache)"
            )
        yield


def _hold(directory: Path) -> BinaryIO:
    """Open the lock in `directory`, shared with other processes; it ends with the process."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process has just set it aside
            # For reading and writing: NFS locks no file otherwise.
            lock = (directory / LOCK).open("a+b")
            _share(lock)
            if _is_at(directory / LOCK, lock):
                return lock
            lock.close()


def _is_at(path: Path, file: BinaryIO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _is_bare(directory: Path, mark: Path) -> bool:
    """Tell whether the directory is empty but for its marks."""
    try:
        return {path.name for path in directory.iterdir()} <= {LOCK, mark.name}
    except OSError:  # the user removed it
        return False


def _set_aside(directory: Path, mark: Path, lock: BinaryIO) -> Path | None:
    """Rename `directory`, so that no other process finds it while it is being removed.

    None where there is other work in it, or that fails.
    """
    aside = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}{OLD}")
    try:
        mark.unlink(missing_ok=True)
        if any(directory.glob(f"*{MARK}")) or not _is_alone(lock):
            return None
        return directory.rename(aside)
    except OSError as error:
        _warn(directory, error.strerror or str(error))
        return None


def _remove(directory: Path) -> None:
    try:
        shutil.rmtree(directory)
    except FileNotFoundError:  # another process is at it, too
        shutil.rmtree(directory, ignore_errors=True)
    except OSError as error:
        _warn(directory, error.strerror or str(error))
    except (KeyboardInterrupt, SystemExit):  # the result is there, and would be lost
        _warn(directory, "interrupted")


def _warn(directory: Path, why: str) -> None:
    warnings.warn(
        f"{directory}: cannot remove what is not needed any more ({why}); remove it by hand once "
        "no run uses it",
        stacklevel=2,
    )


if sys.platform == "win32":  # where a directory is not renamed while a file in it is open

    def _share(lock: BinaryIO) -> None:
        pass

    def _is_alone(lock: BinaryIO) -> bool:
        lock.close()
        return True

else:
    import fcntl

    def _share(lock: BinaryIO) -> None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_SH)

    def _is_alone(lock: BinaryIO) -> bool:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
