"""Files that are as they were, or complete, whenever the process dies."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import numpy as np
import pytest

import synthaug.core.files as files
from synthaug.core import (
    InputError,
    expect_file,
    read_json,
    write_array,
    write_atomically,
    write_json,
    write_text,
)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_written_with_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "array.npy"
    write_array(path, np.arange(5))
    assert np.load(path).tolist() == [0, 1, 2, 3, 4]
    write_array(path, np.arange(2))
    assert np.load(path).tolist() == [0, 1]
    assert names(path.parent) == ["array.npy"]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, file = tmp_path / "link.json", tmp_path / "elsewhere" / "file.json"
    for link_to in (file, Path("elsewhere/file.json")):  # not there yet, and there
        link.unlink(missing_ok=True)
        link.symlink_to(link_to)
        write_text(link, str(link_to))
        assert link.is_symlink() and file.read_text() == str(link_to)
    assert names(file.parent) == ["file.json"]


def test_a_link_to_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to("/proc/nowhere/file.json")
    with pytest.raises(InputError, match="--json: cannot write in /proc"):
        expect_file("--json", link)


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    write_text(path, "old")

    def write(file: BinaryIO) -> None:
        file.write(b"half of the n")
        assert names(tmp_path) != ["file.bin"]  # it is being written beside
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.bin"]


def test_a_failed_first_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    with pytest.raises(ValueError, match="Object arrays"):
        write_array(tmp_path / "x.npy", np.array([{}]))
    assert names(tmp_path) == []


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"name": "Übung", "numbers": [1, 2.5, None], "deep": {"a": True}}
    write_json(tmp_path / "x.json", value)
    assert read_json(tmp_path / "x.json") == value
    assert (tmp_path / "x.json").read_bytes().endswith(b"}\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"kind": "thi', r"x\.json: expected JSON, which ends or breaks at line 1, column 10"),
        (b"", r"x\.json: expected JSON, which ends or breaks at line 1, column 1"),
        (b"\xff\xfe\x00", r"x\.json: expected JSON, got a file that is no text"),
        (b"[1, 2]", r"x\.json: expected a JSON object, got list"),
        (b"[" * 100_000, r"x\.json: expected JSON, but it is nested too deeply"),
    ],
)
def test_broken_json_is_an_input_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "x.json")


def test_missing_json_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.json: no such file"):
        read_json(tmp_path / "x.json")


def test_a_file_is_not_written_over_a_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="state: expected a file to write, this is a directory"):
        expect_file("state", tmp_path)


def test_a_file_takes_the_place_of_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for write in (lambda path: expect_file(str(path), path), lambda path: write_text(path, "new")):
        with pytest.raises(InputError, match="pipe: expected a file to write, this is a pipe or"):
            write(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["pipe"]


def test_a_full_disk_is_told_with_its_place(tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as told:
            write_text(tmp_path / "a.txt", "text")
    assert told.value.filename == str(tmp_path / "a.txt")

    def into_full(path: Path, write: Callable[[Any], object]) -> None:
        write(SimpleNamespace(write=full, fileno=lambda: 1))

    monkeypatch.setattr(files, "write_atomically", into_full)
    with pytest.raises(OSError, match="No space left"):  # NumPy says "1024 requested and 0 written"
        write_array(tmp_path / "a.npy", np.zeros(1024))
