"""A directory that several runs work in: when it goes, and when it stays."""

import errno
import os
import shutil
import warnings
from pathlib import Path

import pytest

from synthaug.gain.runs import workspace as sharing
from synthaug.gain.runs.workspace import work_directory


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "shared"


def test_cells_stay_while_another_run_uses_them(shared: Path, tmp_path: Path) -> None:
    with work_directory(shared, "one"):
        with work_directory(shared, "one"):
            (shared / "cell").mkdir()
        assert (shared / "cell").exists()
        with work_directory(shared, "other"):
            pass
        assert (shared / "cell").exists()
    assert list(tmp_path.iterdir()) == []


def test_what_was_interrupted_or_kept_outlives_another_run(shared: Path) -> None:
    def look() -> None:
        with work_directory(shared, "quick look"):
            (shared / "look").mkdir(exist_ok=True)
        assert (shared / "cell").exists()

    with pytest.raises(KeyboardInterrupt), work_directory(shared, "long"):
        (shared / "cell").mkdir()
        raise KeyboardInterrupt
    look()
    with work_directory(shared, "long", keep=True):
        look()
    look()
    with work_directory(shared, "long"):
        assert (shared / "cell").exists()
    assert list(shared.parent.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks the process that is killed")
def test_what_was_killed_outlives_another_run(shared: Path) -> None:
    process = os.fork()
    if process == 0:
        with work_directory(shared, "long"):
            (shared / "cell").mkdir()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 1
    with work_directory(shared, "quick look"):
        pass
    assert (shared / "cell").exists()


def test_a_run_that_ends_before_it_made_anything_leaves_nothing(
    shared: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="wrong"), work_directory(shared):
        raise ValueError("wrong")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [shutil, Path], ids=["removed", "renamed"])
def test_what_cannot_be_removed_is_warned_of(
    shared: Path, monkeypatch: pytest.MonkeyPatch, place: object
) -> None:
    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    results = []
    with pytest.warns(UserWarning, match=r"shared.*: cannot remove .* \(Device or resource busy\)"):
        with work_directory(shared):
            (shared / "cell").mkdir()
            monkeypatch.setattr(place, "rmtree" if place is shutil else "rename", busy)
        results.append("a result")
    assert results


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_removal_costs_no_result_and_is_made_up_for(
    shared: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    """Gigabytes take their time, and there is nothing to see then."""

    def stopped(*_: object) -> None:
        raise stop

    told = pytest.warns(UserWarning, match=r"cannot remove .* \(interrupted\)")
    with told, work_directory(shared):
        (shared / "cell").mkdir()
        monkeypatch.setattr(shutil, "rmtree", stopped)
    assert [path.suffix for path in shared.parent.iterdir()] == [".old"]
    monkeypatch.undo()
    with work_directory(shared):
        assert [path.name for path in shared.parent.iterdir()] == ["shared"]
    assert not shared.parent.exists() or not list(shared.parent.iterdir())


@pytest.mark.parametrize("keep", [False, True])
def test_a_directory_that_the_user_removed_costs_no_result(shared: Path, keep: bool) -> None:
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with work_directory(shared, keep=keep):
            shutil.rmtree(shared)
        results.append("a result")
    assert results


def test_a_file_system_without_locks_keeps_all_and_says_so(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlocked(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", unlocked)
    with pytest.warns(UserWarning, match="No locks available"), work_directory(shared):
        (shared / "cell").mkdir()
    assert (shared / "cell").exists()


def test_it_is_locked_by_a_file_that_can_be_written(shared: Path) -> None:
    """NFS gives no exclusive lock on what is open for reading alone, as a directory is."""
    with work_directory(shared):
        lock = sharing._hold(shared)
        with lock:
            assert lock.readable() and lock.writable()


def test_nothing_in_it_is_open_when_it_is_removed(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS keeps what is open under another name, and a directory with it."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("reads /proc")

    def opened(directory: Path) -> list[str]:
        links = [path.readlink() for path in descriptors.iterdir() if path.is_symlink()]
        return [str(link) for link in links if directory.name in str(link)]

    found: list[str] = []
    remove = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path: found.extend(opened(path)) or remove(path))
    with work_directory(shared):
        assert opened(shared)
    assert found == [] and not shared.exists()
