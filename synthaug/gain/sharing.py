"""A directory that lasts until the work in it is done, and that several processes may share."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def kept_until_done(directory: Path, *, keep: bool = False) -> Iterator[None]:
    """Make `directory`; remove it when the block ends well, keep it to go on from otherwise (and
    where that is asked for).

    Of several processes that share it, the last one to end removes it.
    """
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    handle = _hold(directory)
    try:
        yield
        if not keep and _is_alone(handle):
            shutil.rmtree(directory)
    finally:
        os.close(handle)
        for path in made:  # those that nothing was put into
            with suppress(OSError):
                path.rmdir()


if sys.platform == "win32":  # which has no such locks: processes must not share a directory there

    def _hold(directory: Path) -> int:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(os.devnull, os.O_RDONLY)

    def _is_alone(handle: int) -> bool:
        return True

else:
    import fcntl

    def _hold(directory: Path) -> int:
        """A shared lock on `directory`, which the operating system drops with the process."""
        while True:
            directory.mkdir(parents=True, exist_ok=True)
            handle = os.open(directory, os.O_RDONLY)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_SH)
            # Another process may have removed it in the meantime.
            if directory.exists() and os.path.samestat(os.fstat(handle), directory.stat()):
                return handle
            os.close(handle)

    def _is_alone(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
