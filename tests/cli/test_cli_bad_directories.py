"""Generators and pools that cannot be used, and directories of another kind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_files import NEW, RESULTS, expect, noise


@pytest.fixture
def changed_pool(pool: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the pool with another array in it, or another manifest."""

    def change(name: str, **entries: object) -> Path:
        copy = tmp_path / name
        shutil.copytree(pool, copy)
        manifest = json.loads((copy / "manifest.json").read_text())
        (copy / "manifest.json").write_text(json.dumps({**manifest, **entries}))
        return copy

    return change


def test_a_pool_that_does_not_fit_the_images(
    refused: Callable, changed_pool: Callable, data: Path, tmp_path: Path
) -> None:
    def measured(directory: Path) -> str:
        return refused("gain", data, "--pool", directory, "--cache", tmp_path / NEW)

    other = changed_pool("classes", classes=["cat", "eel"])
    expect(measured(other), "classes: expected the classes ['cat', 'dog'], the pool holds", "eel")
    large = changed_pool("large")
    np.save(large / "images.npy", noise(8, 1, 9, 9))
    expect(
        measured(large), "large: expected uint8 images (1, 8, 8), the pool holds uint8 (1, 9, 9)"
    )
    deep = changed_pool("deep")
    np.save(deep / "images.npy", noise(8, 1, 8, 8, dtype=np.uint16))
    expect(measured(deep), "deep: expected uint8", "uint16")
    partial = changed_pool("partial")
    np.save(partial / "labels.npy", np.zeros(8, np.int64))
    expect(measured(partial), "no image of class 'dog'")


def test_a_pool_with_copies_of_test_images(
    refused: Callable, call: Callable, data: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    assert call("import", data / "test", "-o", copied).status == 0
    message = refused("gain", data, "--pool", copied, "--cache", tmp_path / NEW)
    expect(message, "near-copies of test images", "Remove them")


def test_a_damaged_pool(
    refused: Callable, changed_pool: Callable, data: Path, tmp_path: Path
) -> None:
    cut = changed_pool("cut")
    (cut / "images.npy").write_bytes((cut / "images.npy").read_bytes()[:100])
    unnamed = changed_pool("unnamed")
    (unnamed / "manifest.json").write_text("{")
    for broken, said in ((cut, "make the pool again"), (unnamed, "expected JSON")):
        for words in (
            ("export", broken, "-o", tmp_path / NEW),
            ("gain", data, "--pool", broken, "--cache", tmp_path / NEW),
        ):
            expect(refused(*words), str(broken), said)
    expect(refused("inspect", unnamed), "manifest.json", "expected JSON")
    other = changed_pool("other")
    content = bytearray((other / "images.npy").read_bytes())
    content[-1] ^= 1
    (other / "images.npy").write_bytes(content)
    message = refused("gain", data, "--pool", other, "--cache", tmp_path / NEW)
    expect(message, str(other), "its files have the fingerprint")


def test_a_damaged_generator(refused: Callable, generator: Path, tmp_path: Path) -> None:
    for name, spoil in (
        ("weights.safetensors", lambda path: path.write_bytes(b"")),
        ("images.npy", lambda path: path.write_bytes(path.read_bytes()[:90])),
        ("labels.npy", lambda path: path.unlink()),
        ("manifest.json", lambda path: path.write_text('{"kind": "generator"}')),
    ):
        copy = tmp_path / name
        shutil.copytree(generator, copy)
        spoil(copy / name)
        expect(refused("sample", copy, "-o", tmp_path / NEW), str(copy))


def test_directories_of_another_kind(
    refused: Callable, generator: Path, pool: Path, data: Path, tmp_path: Path
) -> None:
    expect(refused("sample", pool, "-o", tmp_path / NEW), "expected a generator")
    expect(refused("export", generator, "-o", tmp_path / NEW), "expected a sample pool")
    expect(refused("inspect", data), "expected a directory that fit, sample or import wrote")
    expect(refused("inspect", tmp_path / "nowhere"), "nowhere: expected a directory")
    expect(refused("sample", tmp_path / "nowhere", "-o", tmp_path / NEW), "nowhere: no such")


def test_a_directory_of_the_user_is_never_replaced(
    refused: Callable, generator: Path, pool: Path, data: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("years of work")
    for words in (("fit", data), ("sample", generator), ("import", data)):
        message = refused(*words, "-o", own)
        expect(message, str(own), "cannot replace it", "name another directory")
    for form in ("folder", "npz"):
        message = refused("export", pool, "-o", own, "--format", form)
        expect(message, "own: already exists")


def test_a_pool_is_not_replaced_by_a_generator(
    refused: Callable, pool: Path, data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pool, copy)
    message = refused("fit", data, "-o", copy)
    expect(message, f"--output {copy}: expected a generator, got a 'sample pool'")


def test_a_pool_is_no_image_set_to_import(refused: Callable, pool: Path, tmp_path: Path) -> None:
    expect(refused("import", pool, "-o", tmp_path / NEW), f"{pool}: is a pool already")


def test_what_lies_in_a_directory_is_no_place_for_its_card(
    refused: Callable, pool: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "pool"
    shutil.copytree(pool, copied)
    message = refused("inspect", copied, "--json", copied / "card.json")
    expect(message, f"lies in {copied}, which could not be replaced any more")
    for given in (("-o", copied / "made"), ("-o", tmp_path / "made", "--json", copied / "c.json")):
        message = refused("export", copied, *given)
        expect(message, f"lies in {copied}, which could not be replaced any more")
    message = refused("sample", copied, "-o", copied / "pool")  # before it is opened
    expect(message, f"lies in {copied}, which could not be replaced any more")


def test_nothing_is_written_into_another_generator_or_pool(
    refused: Callable, call: Callable, data: Path, pool: Path, generator: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(pool, other)
    for words in (
        ("inspect", generator, "--json", other / "card.json"),
        ("sample", generator, "-o", other / "x"),
        ("export", pool, "-o", other / "x"),
        ("fit", data, "--generator", "style-swap", "-o", other / "deep" / "x"),
        ("import", data, "-o", other / "x"),
        ("report", RESULTS / "digits-5.json", "-o", other / "page.html"),
    ):
        expect(refused(*words), f"lies in {other}, which could not be replaced any more")
    # Of another program, as of a web page, it says nothing.
    (tmp_path / "manifest.json").write_text('{"kind": "web"}')
    assert call("inspect", pool, "--json", tmp_path / "card.json").status == 0


def test_a_card_does_not_replace_that_of_a_generator_or_pool(
    refused: Callable, generator: Path, pool: Path, tmp_path: Path
) -> None:
    copies = {source: tmp_path / source.name for source in (generator, pool)}
    for source, copy in copies.items():
        shutil.copytree(source, copy)
    for words in (
        ("sample", generator, "-o", tmp_path / NEW, "--json", copies[generator] / "manifest.json"),
        ("export", pool, "-o", tmp_path / NEW, "--json", copies[pool] / "manifest.json"),
    ):
        expect(refused(*words), "--json", "manifest.json: is there already")


def test_a_directory_where_a_file_should_go(refused: Callable, data: Path, tmp_path: Path) -> None:
    message = refused("gain", data, "--cache", tmp_path / NEW, "--json", tmp_path)
    expect(message, f"--json {tmp_path}: expected a file to write, this is a directory")
    (tmp_path / "file").write_text("text")
    message = refused("fit", data, "-o", tmp_path / "file")
    expect(message, f"{tmp_path / 'file'}: expected a directory to write")
