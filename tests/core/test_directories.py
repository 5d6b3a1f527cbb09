"""Directories that are as they were, or complete, whenever the process dies."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import synthaug.core.directories as directories
from synthaug.core import (
    MANIFEST,
    InputError,
    check_replaceable,
    expect_file,
    new_directory,
    partial_directory,
    partial_files_cleanup,
    partial_files_mark,
    read_manifest,
    read_unchanged,
    write_json,
    write_text,
)

KIND = "thing"
VALUE = "weights.npy"  # a name that is in directories of ours


def fill(directory: Path, value: str, kind: str = KIND) -> None:
    with new_directory(directory, kind=kind) as partial:
        write_text(partial / VALUE, value)
        write_json(partial / MANIFEST, {"kind": kind, "value": value})


def value_in(directory: Path) -> str:
    """What a complete directory holds; its two files must belong together."""
    manifest = read_manifest(directory, kind=KIND)
    value = (directory / VALUE).read_text()
    assert manifest["value"] == value
    return value


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_directory_is_made_and_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "thing"
    fill(directory, "one")
    assert value_in(directory) == "one"
    fill(directory, "two")
    assert value_in(directory) == "two"
    assert names(directory) == [MANIFEST, VALUE]
    assert names(directory.parent) == ["thing"]


def test_files_of_the_old_directory_do_not_stay(tmp_path: Path) -> None:
    fill(tmp_path / "thing", "one")
    (tmp_path / "thing" / "predicted.npy").write_bytes(b"old")
    fill(tmp_path / "thing", "two")
    assert names(tmp_path / "thing") == [MANIFEST, VALUE]


def test_the_old_directory_stays_when_the_block_raises(tmp_path: Path) -> None:
    fill(tmp_path / "thing", "one")
    with (
        pytest.raises(KeyError),
        new_directory(tmp_path / "thing", kind=KIND) as partial,
    ):
        write_text(partial / VALUE, "two")
        raise KeyError
    assert value_in(tmp_path / "thing") == "one"
    assert names(tmp_path) == ["thing"]


def test_nothing_is_left_when_the_first_block_raises(tmp_path: Path) -> None:
    with pytest.raises(KeyError), new_directory(tmp_path / "thing", kind=KIND):
        raise KeyError
    assert names(tmp_path) == []


def test_a_block_must_write_a_manifest(tmp_path: Path) -> None:
    fill(tmp_path / "thing", "one")
    with (
        pytest.raises(RuntimeError, match=f"filled without a {MANIFEST}"),
        new_directory(tmp_path / "thing", kind=KIND) as partial,
    ):
        write_text(partial / VALUE, "two")
    assert value_in(tmp_path / "thing") == "one"


def test_a_users_directory_is_refused_and_untouched(tmp_path: Path) -> None:
    directory = tmp_path / "photos"
    directory.mkdir()
    (directory / "photo.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"photos: cannot replace it, it holds no manifest"):
        fill(directory, "one")
    assert (directory / "photo.png").read_bytes() == b"mine"
    assert names(directory) == ["photo.png"]
    assert names(tmp_path) == ["photos"]


@pytest.mark.parametrize("mine", ["notes.md", "pool/manifest.json", "images.npy/0.png"])
def test_what_the_user_put_into_a_directory_is_refused_and_untouched(
    tmp_path: Path, mine: str
) -> None:
    fill(tmp_path / "thing", "one")
    write_text(tmp_path / "thing" / ".labels.npy.7.partial", "left by a killed process")
    write_text(tmp_path / "thing" / mine, "mine")
    name, _, _ = mine.partition("/")
    with pytest.raises(InputError, match=f"thing: cannot replace it, it holds '{name}'.*move that"):
        fill(tmp_path / "thing", "two")
    assert (tmp_path / "thing" / mine).read_text() == "mine"
    assert value_in(tmp_path / "thing") == "one"


def test_an_empty_directory_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "thing").mkdir()
    fill(tmp_path / "thing", "one")
    assert value_in(tmp_path / "thing") == "one"
    assert names(tmp_path) == ["thing"]


def test_a_users_file_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(b"mine")
    with pytest.raises(InputError, match="photo"):
        fill(tmp_path / "photo", "one")
    assert (tmp_path / "photo").read_bytes() == b"mine"
    assert names(tmp_path) == ["photo"]


def test_another_kind_is_refused_and_untouched(tmp_path: Path) -> None:
    fill(tmp_path / "thing", "one")
    with pytest.raises(InputError, match="expected a sample pool, got a 'thing'"):
        fill(tmp_path / "thing", "two", kind="sample pool")
    assert value_in(tmp_path / "thing") == "one"


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    fill(tmp_path / "disk" / "thing", "one")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "thing")
    fill(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert value_in(tmp_path / "disk" / "thing") == "two"
    assert names(tmp_path) == ["disk", "link"]
    assert names(tmp_path / "disk") == ["thing"]


def test_the_working_directory_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process, and the shell that it was called from, would be left where nothing is."""
    fill(tmp_path / "thing", "one")
    monkeypatch.chdir(tmp_path / "thing")
    with pytest.raises(InputError, match="expected a directory that can be replaced"):
        fill(Path(), "two")
    assert value_in(tmp_path / "thing") == "one"


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, r"thing: cannot read it, it holds no manifest\.json, so it is not a complete thing"),
        ('{"kind": "thi', r"manifest\.json: expected JSON"),
        ('{"kind": "generator"}', r"thing: expected a thing, got a 'generator'"),
        ("{}", r"thing: expected a thing, got a None"),
    ],
)
def test_a_wrong_manifest_is_an_input_error(
    tmp_path: Path, manifest: str | None, message: str
) -> None:
    (tmp_path / "thing").mkdir()
    if manifest is not None:
        (tmp_path / "thing" / MANIFEST).write_text(manifest)
    with pytest.raises(InputError, match=message):
        read_manifest(tmp_path / "thing", kind=KIND)


def test_a_missing_directory_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="thing: no such directory; expected a thing written by"):
        read_manifest(tmp_path / "thing", kind=KIND)


def leave(path: Path, *, days: float) -> Path:
    """What a process wrote so many days ago, and not to its end."""
    path.mkdir()
    (path / VALUE).write_text("half")
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))
    return path


def test_a_signal_once_the_directory_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    mkdir = Path.mkdir

    def interrupted(path: Path, **options: bool) -> None:
        mkdir(path, **options)
        made.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), partial_directory(tmp_path / "thing"):
        pass
    assert len(made) == 1
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    leave(tmp_path / ".thing.7.partial", days=1.1)
    file = leave(tmp_path / "other", days=1.1) / VALUE
    file.rename(tmp_path / f".{VALUE}.8.partial")
    os.utime(tmp_path / f".{VALUE}.8.partial", (0, 0))
    with partial_directory(tmp_path / "thing") as partial:
        assert not names(partial)
    write_text(tmp_path / VALUE, "new")
    assert names(tmp_path) == ["other", VALUE]


def test_what_another_process_is_writing_stays_whatever_its_number(tmp_path: Path) -> None:
    """On another machine a process may have the number of this one."""
    theirs = leave(tmp_path / f".thing.{os.getpid()}.partial", days=0.9)
    (tmp_path / f".{VALUE}.{os.getpid()}.partial").write_text("half")
    with partial_directory(tmp_path / "thing") as ours, partial_directory(tmp_path / "thing") as we:
        assert len({ours, we, theirs}) == 3
    write_text(tmp_path / VALUE, "new")
    assert (theirs / VALUE).read_text() == "half"
    assert len(names(tmp_path)) == 3


def test_of_a_block_that_fails_goes_what_is_marked_as_its_own(tmp_path: Path) -> None:
    with partial_directory(tmp_path / "in" / "thing") as theirs:
        pass
    with pytest.raises(KeyboardInterrupt), partial_files_cleanup(tmp_path) as mark:
        with partial_files_mark(mark), partial_directory(tmp_path / "in" / "thing") as ours:
            pass
        for killed in (theirs, ours):
            leave(killed, days=0)
            leave(killed / killed.name, days=0)
        raise KeyboardInterrupt
    assert {*tmp_path.rglob("*.partial")} == {theirs, theirs / theirs.name}


def test_who_may_read_a_file_is_left_to_the_system(tmp_path: Path) -> None:
    """Not to the owner alone, as other temporary files are."""
    before = os.umask(0o022)
    try:
        fill(tmp_path / "thing", "one")
    finally:
        os.umask(before)
    assert (tmp_path / "thing").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "thing" / VALUE).stat().st_mode & 0o777 == 0o644


KILLED_AT_EVERY_CALL = """
import json, os, signal, shutil, sys, types
from pathlib import Path

for name, folder in (("synthaug", ""), ("synthaug.core", "/core")):
    package = types.ModuleType(name)  # its __init__ imports torch, which takes seconds
    package.__path__ = [sys.argv[1] + folder]
    sys.modules[name] = package
from synthaug.core.directories import MANIFEST, new_directory
from synthaug.core.files import write_json, write_text

base = Path(sys.argv[2])

def fill(directory, value):
    with new_directory(directory, kind="thing") as partial:
        write_text(partial / "weights.npy", value)
        write_json(partial / MANIFEST, {"kind": "thing", "value": value})

def die_at(call):
    calls = 0
    def count(event, arguments):
        nonlocal calls
        if event in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"):
            calls += 1
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)

for call in range(1, 200):
    directory = base / str(call) / "thing"
    fill(directory, "one")
    child = os.fork()
    if not child:
        die_at(call)
        fill(directory, "two")
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        break
print(call)
"""


def test_a_kill_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    script = [
        sys.executable,
        "-c",
        KILLED_AT_EVERY_CALL,
        str(Path(directories.__file__).parents[1]),
    ]
    done = subprocess.run([*script, str(tmp_path)], capture_output=True, text=True, check=True)
    calls = int(done.stdout)
    assert 10 < calls < 199
    values, missing = [], 0
    for call in range(1, calls):
        directory = tmp_path / str(call) / "thing"
        missing += not directory.exists()
        values.append(value_in(directory))
        shutil.rmtree(directory)
        with suppress(InputError):  # what is put back, if anything, is complete
            assert value_in(directory) == "one"
        fill(directory, "three")
        assert value_in(directory) == "three"
        # What a dead process wrote may stay, but nothing that could come back as the old state.
        assert all(name == "thing" or name.endswith(".partial") for name in names(directory.parent))
    assert values == sorted(values)  # "one" until the new one is in place, then "two"
    assert set(values) == {"one", "two"}
    assert missing  # the moment between the two renames was among them


def test_what_a_dead_process_set_aside_is_protected_as_if_it_were_in_place(tmp_path: Path) -> None:
    fill(tmp_path / "thing", "one")
    (tmp_path / "thing").rename(tmp_path / ".thing.old")
    with pytest.raises(InputError, match="expected a sample pool, got a 'thing'"):
        fill(tmp_path / "thing", "two", kind="sample pool")
    assert value_in(tmp_path / "thing") == "one"


def test_a_half_removed_old_directory_never_comes_back(tmp_path: Path) -> None:
    old = tmp_path / ".thing.old"
    old.mkdir()
    (old / VALUE).write_text("one")
    with pytest.raises(InputError, match="no such directory"):
        read_manifest(tmp_path / "thing", kind=KIND)


def test_a_reader_between_the_renames_does_not_disturb_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "thing", "one")
    rename, seen = Path.rename, []

    def rename_and_read(source: Path, target: Path) -> Path:
        moved = rename(source, target)
        if target.name == ".thing.old" and not seen:
            seen.append(None)
            seen.append(value_in(tmp_path / "thing"))
        return moved

    monkeypatch.setattr(Path, "rename", rename_and_read)
    fill(tmp_path / "thing", "two")
    assert seen == [None, "one"]
    assert value_in(tmp_path / "thing") == "two"
    assert names(tmp_path) == ["thing"]


def test_the_old_directory_stays_when_the_new_one_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "thing", "one")
    rename = Path.rename

    def refuse(source: Path, target: Path) -> Path:
        if source.suffix == ".partial":
            raise PermissionError(errno.EACCES, "not allowed")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError, match="not allowed"):
        fill(tmp_path / "thing", "two")
    assert value_in(tmp_path / "thing") == "one"
    assert names(tmp_path) == ["thing"]


def test_what_was_made_stays_when_it_cannot_be_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where another program has a file of the old one open."""
    fill(tmp_path / "thing", "one")
    rename = Path.rename

    def refuse(source: Path, target: Path) -> Path:
        if source.name == "thing":
            raise OSError(errno.EBUSY, "in use", str(source))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        OSError, match=r"cannot be replaced .in use.; what was made is in"
    ) as raised:
        fill(tmp_path / "thing", "two")
    assert value_in(tmp_path / "thing") == "one"
    [kept] = {*names(tmp_path)} - {"thing"}
    assert str(tmp_path / kept) in str(raised.value)
    assert value_in(tmp_path / kept) == "two"


def test_a_file_system_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a volume of a container, into which results are to go."""
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "volume")
    with pytest.raises(InputError, match=rf"mounted there, .*directory in it, as .*volume/{KIND}"):
        fill(tmp_path / "volume", "one")
    fill(tmp_path / "volume" / "thing", "one")


@pytest.mark.parametrize("name", ["x" * 240, "y" * 300, "circle"])
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(InputError, match="no file can have this path"):
        expect_file("--json", tmp_path / name)
    with pytest.raises(InputError, match="no file can have this path"):
        check_replaceable(tmp_path / name, kind=KIND)
    with pytest.raises(InputError, match="no file can have this path"):
        fill(tmp_path / name, "one")
    if name != "x" * 240:  # that is long for what is being written, not for a folder
        with pytest.raises(InputError, match="no file can have this path"):
            expect_file("--json", tmp_path / name / "below")
        with pytest.raises(InputError, match="no file can have this path"):
            read_manifest(tmp_path / name, kind=KIND)


def test_manifests_are_plain_json(tmp_path: Path) -> None:
    fill(tmp_path / "thing", "one")
    assert json.loads((tmp_path / "thing" / MANIFEST).read_text()) == {"kind": KIND, "value": "one"}


def test_the_manifest_of_the_old_directory_is_removed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "thing", "one")
    remove, left = shutil.rmtree, []

    def look_and_remove(path: Path, **options: bool) -> None:
        if path.name == ".thing.old" and path.exists():
            left.append(names(path))
        remove(path, **options)

    monkeypatch.setattr(directories.shutil, "rmtree", look_and_remove)
    fill(tmp_path / "thing", "two")
    assert left == [[VALUE]]


@pytest.mark.parametrize("below", ["thing", "deep/er/thing"])
def test_a_place_that_nothing_can_be_written_in_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_bytes(b"mine")
    for check in (
        lambda path: check_replaceable(path, kind=KIND),
        lambda path: expect_file(str(path), path),
        lambda path: fill(path, "one"),
    ):
        with pytest.raises(InputError, match=rf"file/{below}: cannot write in .*file \(Not a dir"):
            check(tmp_path / "file" / below)
        check(tmp_path / "free" / below)
        shutil.rmtree(tmp_path / "free", ignore_errors=True)
    assert names(tmp_path) == ["file"]


def test_what_the_user_has_where_an_old_directory_would_stand_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".thing.old").mkdir()
    (tmp_path / ".thing.old" / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match=r"\.thing\.old: cannot replace it, it holds 'thesis.txt'"):
        fill(tmp_path / "thing", "one")
    assert (tmp_path / ".thing.old" / "thesis.txt").read_text() == "years"
    (tmp_path / ".other.old").write_text("a file")
    with pytest.raises(InputError, match=r"\.other\.old: is in the way"):
        fill(tmp_path / "other", "one")
    assert names(tmp_path) == [".other.old", ".thing.old"]


def test_what_cannot_be_opened_is_named_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder" / MANIFEST).mkdir(parents=True)
    with pytest.raises(InputError, match=r"manifest\.json: cannot be read \(Is a directory"):
        read_unchanged(tmp_path / "folder", lambda: value_in(tmp_path / "folder"))

    def forbidden(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    fill(tmp_path / "thing", "one")
    with monkeypatch.context() as patch:
        for name in ("open", "read_text"):
            patch.setattr(Path, name, forbidden)
        with pytest.raises(InputError, match=r"manifest\.json: cannot be read \(Permission denied"):
            read_unchanged(tmp_path / "thing", lambda: value_in(tmp_path / "thing"))
    monkeypatch.setattr(Path, "is_dir", forbidden)
    with pytest.raises(InputError, match=r"thing: cannot be read \(Permission denied"):
        read_manifest(tmp_path / "thing", kind=KIND)
