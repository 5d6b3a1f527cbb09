"""Places that results go to: nothing that lies there is lost."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_files import NEW, RESULTS, Words, expect

from synthaug.cli.options import check_outside, check_result
from synthaug.core import InputError
from synthaug.data import read_images

TARGETS: dict[str, Words] = {
    "fit": ("fit", "DATA", "-o", "FREE", "--json", "TARGET"),
    "fit to": ("fit", "DATA", "-o", "TARGET"),
    "sample": ("sample", "GENERATOR", "-o", "FREE", "--json", "TARGET"),
    "sample to": ("sample", "GENERATOR", "-o", "TARGET"),
    "import": ("import", "DATA", "-o", "FREE", "--json", "TARGET"),
    "import to": ("import", "DATA", "-o", "TARGET"),
    "export": ("export", "POOL", "-o", "FREE", "--json", "TARGET"),
    "export to": ("export", "POOL", "-o", "TARGET"),
    "inspect": ("inspect", "POOL", "--json", "TARGET"),
    "gain": ("gain", "DATA", "--cache", "FREE", "--json", "TARGET"),
    "gain report": ("gain", "DATA", "--cache", "FREE", "--report", "TARGET"),
    "gain cache": ("gain", "DATA", "--cache", "TARGET"),
}


@pytest.fixture(params=["below a file", "read-only"])
def closed(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path that nothing can be written to."""
    if request.param == "below a file":
        (tmp_path / "file").write_text("text")
        return tmp_path / "file" / "below"
    (tmp_path / "locked").mkdir(mode=0o500)
    if os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("nothing is read-only for this user")
    return tmp_path / "locked" / "below"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("words", TARGETS.values(), ids=TARGETS)
def test_a_target_that_cannot_be_written_is_refused_before_any_work(
    words: Words,
    closed: Path,
    refused: Callable,
    data: Path,
    generator: Path,
    pool: Path,
    tmp_path: Path,
) -> None:
    known = {
        "DATA": data,
        "GENERATOR": generator,
        "POOL": pool,
        "FREE": tmp_path / NEW,
        "TARGET": closed,
    }
    message = refused(*(known.get(word, word) for word in words))
    expect(message, str(closed), "cannot write", "name another place")


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "DATA", "-o", "PLACE"),
        ("fit", "DATA", "-o", "FREE", "--log", "PLACE"),
        ("gain", "DATA", "--report", "PLACE"),
        ("gain", "DATA", "--cache", "PLACE"),
        ("tune", "DATA", "-o", "FREE", "--cache", "PLACE"),
        ("import", "DATA", "-o", "PLACE"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("split", ["", "train"])
def test_nothing_is_written_where_it_would_be_read_as_a_class(
    refused: Callable, tree: Callable, tmp_path: Path, words: tuple[str, ...], split: str
) -> None:
    root = tmp_path / "images"
    tree(root / split, {"cat": 2, "dog": 2})
    known = {"DATA": root, "PLACE": root / split / NEW, "FREE": tmp_path / NEW}
    message = refused(*(known.get(word, word) for word in words))
    expect(message, f"{root / split / NEW}: lies in {root}, whose folders are read as classes")


def test_a_hidden_folder_and_one_beside_splits_may_lie_in_data(
    tree: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "flat", {"cat": 2, "dog": 2})
    tree(tmp_path / "split" / "train", {"cat": 2, "dog": 2})
    check_outside(str(tmp_path / "flat"), {"--cache": tmp_path / "flat" / ".cache" / "synthaug"})
    check_outside(str(tmp_path / "split"), {"--report": tmp_path / "split" / "out"})
    # A page beside class folders is no class, cells of a run are.
    check_outside(str(tmp_path / "flat"), {"--report": tmp_path / "flat"})
    for option in ("--cache", "--log"):
        with pytest.raises(InputError, match=f"{option} .*flat: lies in .*flat"):
            check_outside(str(tmp_path / "flat"), {option: tmp_path / "flat"})
    check_outside(str(tmp_path / "split"), {"--cache": tmp_path / "split"})
    tree(tmp_path / "digits", {"cat": 2, "dog": 2})
    monkeypatch.chdir(tmp_path)
    check_outside("digits", {"--report": Path("digits/out")})  # the name is that of those at hand


def test_a_trace_replaces_nothing_but_a_trace(refused: Callable, tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    trace.write_text('{"mine": 1}')
    message = refused("fit", "digits", "-o", tmp_path / NEW, "--profile", trace)
    expect(message, f"--profile {trace}: is there already, and is no trace", "name another file")
    assert trace.read_text() == '{"mine": 1}'


@pytest.mark.parametrize(
    "mine",
    [
        {"output": "runs/1", "lr": 0.1},
        {"versions": ["1.0"], "settings": {}},
        {"synthaug": "used", "arms": 2},
        {"kind": "recipe"},
    ],
)
def test_json_of_other_programs_is_not_replaced(
    mine: dict, refused: Callable, pool: Path, tmp_path: Path
) -> None:
    target = tmp_path / "conf.json"
    target.write_text(json.dumps(mine))
    message = refused("inspect", pool, "--json", target)
    expect(
        message, f"--json {target}: is there already, and is no earlier metadata", "name another"
    )


def test_the_json_of_each_command_is_replaced_by_its_own_alone(
    call: Callable, refused: Callable, data: Path, generator: Path, pool: Path, tmp_path: Path
) -> None:
    commands: tuple[tuple[Words, str], ...] = (
        (
            ("fit", data, "--generator", "style-swap", "-o", tmp_path / "g"),
            "metadata of a generator",
        ),
        (("sample", generator, "--per-class", "2", "-o", tmp_path / "p"), "metadata of a pool"),
        (("import", data, "-o", tmp_path / "i"), "metadata of a pool"),
        (("export", pool, "-o", tmp_path / "e"), "record of an export"),
        (("inspect", generator), "metadata of a generator"),
        (("inspect", pool), "metadata of a pool"),
    )
    kinds = [
        "metadata of a generator",
        "metadata of a pool",
        "record of an export",
        "result of gain",
    ]
    for words, kind in commands:
        target = tmp_path / f"{kind}.json"
        done = call(*words, "--json", target)
        assert done.status == 0, done.err
    hours = (RESULTS / "digits-5.json").read_text()
    (tmp_path / "result of gain.json").write_text(hours)
    for words, kind in commands:
        for other in set(kinds) - {kind}:
            target = tmp_path / f"{other}.json"
            message = refused(*words, "--json", target)
            expect(message, f"--json {target}: is there already, and is no earlier {kind};")
    assert (tmp_path / "result of gain.json").read_text() == hours


def test_the_result_of_other_images_is_not_replaced(
    refused: Callable, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object, **__: object) -> None:
        pytest.fail("work began")

    monkeypatch.setattr("synthaug.cli.gain.measure_gain", work)
    told = json.loads((RESULTS / "digits-5.json").read_text())
    told["data"]["name"] = str(data)  # another folder was called so where it was measured
    earlier = json.dumps(told)
    (tmp_path / "out").mkdir()
    for option, place, file in (
        ("--json", tmp_path / "gain.json", tmp_path / "gain.json"),
        ("--report", tmp_path / "out", tmp_path / "out" / "result.json"),
    ):
        file.write_text(earlier)
        message = refused("gain", data, "--cache", tmp_path / NEW, option, place)
        expect(
            message,
            f"{option} {file}: is there already",
            "is the result of other images (read from",
        )
        assert file.read_text() == earlier


def test_the_result_of_the_same_data_is_replaced_however_they_are_named(
    data: Path, tmp_path: Path
) -> None:
    target = tmp_path / "gain.json"
    train, test = read_images(data), read_images(data, split="test")
    result = json.loads((RESULTS / "digits-5.json").read_text())
    told = {"fingerprint": train.fingerprint, "test_fingerprint": test.fingerprint}
    result["data"] = {**result["data"], **told, "name": "elsewhere"}
    target.write_text(json.dumps(result))
    check_result("--json", target, train, test)
    check_result("--json", tmp_path / NEW, train, test)
    with pytest.raises(InputError, match=r"other images \(read from 'elsewhere'\)"):
        check_result("--json", target, train, train)
    result["data"] = "elsewhere"
    target.write_text(json.dumps(result))
    with pytest.raises(InputError, match="is the result of other images"):
        check_result("--json", target, train, test)


def test_places_without_a_name(
    refused: Callable,
    data: Path,
    generator: Path,
    pool: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (("fit", data), ("sample", generator), ("import", data)):
        expect(refused(*words, "-o", "."), "--output .: expected", "working directory")
    expect(refused("fit", data, "-o", "/"), "--output /: a file system is mounted there")
    expect(refused("export", pool, "-o", "."), "already exists")
    expect(refused("gain", data, "--json", ""), "--json", "this is a directory")
    for option in ("--report", "--cache"):  # these are folders that there may be other things in
        message = refused("gain", data, option, ".", "--generator", "none such")
        expect(message, "--generator: expected one of")
    assert not [*tmp_path.iterdir()]


def test_a_page_of_the_user_is_not_replaced(
    refused: Callable, call: Callable, tmp_path: Path
) -> None:
    result, page = RESULTS / "digits-5.json", tmp_path / "index.html"
    for _ in range(2):
        assert call("report", result, "-o", page).status == 0
    page.write_text("<!DOCTYPE html><html><body>mine</body></html>")
    message = refused("report", result, "-o", page)
    expect(message, f"--output {page}: is there already, and is no page that synthaug wrote")


def test_an_empty_argument_is_no_demonstration(
    refused: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(data: str, test: str, *_: object, **__: object) -> None:
        raise InputError(f"read {data!r} and {test!r}")

    monkeypatch.setattr("synthaug.cli.gain.read_splits", read)
    expect(refused("gain", "", "--test", "", "--cache", tmp_path / NEW), "read '' and ''")


SAME: dict[str, tuple[Words, tuple[str, str]]] = {
    "fit, json": (("fit", "digits", "-o", NEW, "--json", NEW), ("--json", "--output")),
    "fit, log": (("fit", "digits", "-o", NEW, "--log", f"./{NEW}"), ("--log", "--output")),
    "fit, log within": (("fit", "digits", "-o", NEW, "--log", f"{NEW}/log"), ("--log", "--output")),
    "fit, profile": (("fit", "digits", "-o", NEW, "--profile", NEW), ("--profile", "--output")),
    "fit, checkpoint": (
        ("fit", "digits", "-o", NEW, "--json", f"{NEW}.checkpoint"),
        ("--json", "the checkpoint of --output"),
    ),
    "fit, two": (("fit", "digits", "-o", "g", "--json", NEW, "--log", NEW), ("--log", "--json")),
    "sample": (("sample", "g", "-o", NEW, "--json", NEW), ("--json", "--output")),
    "import": (("import", "digits", "-o", NEW, "--json", NEW), ("--json", "--output")),
    "export": (
        ("export", "p", "-o", NEW, "--format", "npz", "--json", NEW),
        ("--json", "--output"),
    ),
    "tune": (("tune", "digits", "-o", NEW, "--json", NEW), ("--json", "--output")),
    "gain": (("gain", "digits", "--report", NEW, "--json", NEW), ("--json", "--report")),
    "gain, page": (
        ("gain", "digits", "--report", NEW, "--json", f"{NEW}/report.html"),
        ("--json", "the page of --report"),
    ),
    "gain, cache": (("gain", "digits", "--cache", NEW, "--json", NEW), ("--json", "--cache")),
}


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("gain", "digits", "--report", "a/b", "--json", "a"), ("--report", "--json")),
        (("fit", "digits", "-o", "a/b", "--json", "a"), ("--output", "--json")),
        (("tune", "digits", "-o", "a", "--json", "a/b"), ("--json", "--output")),
    ],
)
def test_a_target_below_a_file_is_refused_before_any_work(
    words: Words,
    options: tuple[str, str],
    refused: Callable,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    inner, outer = options
    expect(refused(*words), f"{inner} ", f"lies in {outer}, which holds nothing else")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("name", ["x" * 245, "y" * 300, "circle/file"])
def test_a_path_that_no_file_can_have(
    name: str, refused: Callable, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("links")
    (place / "circle").symlink_to(place / "circle")
    for command in (
        ("gain", "digits", "--cache", tmp_path / NEW, "--json"),
        ("tune", "digits", "--cache", tmp_path / NEW, "-o"),
        ("fit", "digits", "-o"),
    ):
        expect(refused(*command, place / name), "no file can have this path", "name another")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(("words", "options"), SAME.values(), ids=SAME)
def test_two_targets_in_one_place_are_refused_before_any_work(
    words: Words,
    options: tuple[str, str],
    refused: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    expect(refused(*words), *options, str(tmp_path / NEW))


def test_json_beside_the_page_is_no_second_target(
    call: Callable, data: Path, quick: tuple, tmp_path: Path
) -> None:
    report, cache = tmp_path / "out", tmp_path / "cells"
    target = report / "gain.json"
    done = call("gain", data, *quick, "--cache", cache, "--report", report, "--json", target)
    assert done.status == 0, done.err
    assert sorted(path.name for path in report.iterdir()) == [
        "gain.json",
        "report.html",
        "result.json",
    ]
