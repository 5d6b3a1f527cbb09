"""The commands on good input: what they write, what they say, and where."""

import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from typer.models import CommandInfo

import synthaug.cli.output as output
from synthaug.cli.families import build
from synthaug.cli.main import app, run
from synthaug.cli.options import check_trace
from synthaug.data import Samples, read_images
from synthaug.generators import load_generator, registrations
from synthaug.pool import SamplePool

NAMES = ("gain", "fit", "sample", "import", "export", "inspect", "tune", "report")


def test_fit_writes_a_generator_and_says_so(call: Callable, data: Path, tmp_path: Path) -> None:
    output, metadata = tmp_path / "generator", tmp_path / "made" / "for it" / "card.json"
    options = ("--generator", "vae", "--steps", "3", "--per-class", "5", "--device", "cpu")
    done = call("fit", data, *options, "-o", output, "--json", metadata)
    assert (done.status, done.err) == (0, "")
    assert re.match(rf"{output}: vae fitted to 10 images in \d.* s;? ?", done.out)
    assert done.out.count("\n") == 1
    assert json.loads(metadata.read_text())["settings"]["steps"] == 3
    assert load_generator(output).classes == ("cat", "dog")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["generator", "made"]
    again = call("fit", data, *options, "-o", output, "--seed", "1")
    assert again.status == 0  # replaced: it is ours
    assert load_generator(output).metadata["seed"] == 1


def test_fit_warns_of_real_images_in_a_generator(
    call: Callable, data: Path, tmp_path: Path
) -> None:
    done = call("fit", data, "--generator", "random-field", "-o", tmp_path / "generator")
    assert "holds them, so treat it like the data" in done.out


def test_a_pool_is_sampled_exported_and_imported_again(
    call: Callable, generator: Path, tmp_path: Path
) -> None:
    pool, metadata = tmp_path / "pool", tmp_path / "card.json"
    done = call(
        "sample", generator, "--per-class", "3", "-o", pool, "--json", metadata, "--seed", "7"
    )
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{pool}: 6 images of 2 classes, 1x8x8 uint8, from style-swap\n"
    assert json.loads(metadata.read_text())["seed"] == 7
    images = SamplePool(pool).samples.images
    for name, form in (("folder", "folder"), ("set.npz", "npz")):
        target = tmp_path / name
        record = tmp_path / "record.json"
        done = call("export", pool, "-o", target, "--format", form, "--json", record)
        assert (done.status, done.err) == (0, "")
        assert done.out == f"{target}: 6 images of 2 classes\n"
        assert json.loads(record.read_text()) == {
            "output": str(target),
            "images": 6,
            "per_class": [3, 3],
        }
        back = tmp_path / f"from {form}"
        done = call("import", target, "-o", back)
        assert (done.status, done.err) == (0, "")
        assert done.out == f"{back}: 6 images of 2 classes, 1x8x8 uint8, from {name}\n"
        assert np.array_equal(SamplePool(back).samples.images, images)
    done = call("export", pool, "-o", tmp_path / "tar", "--format", "tar")
    assert done.status == 0
    names = sorted(path.name for path in (tmp_path / "tar").iterdir())
    assert names == ["classes.json", "synthetic-000000.tar"]


def test_images_of_some_classes_are_imported_with_the_classes_of_all(
    call: Callable, data: Path, tmp_path: Path
) -> None:
    """As where a diffusion model made images of the rare class alone."""
    classes = read_images(data).classes
    rare, pool = tmp_path / "rare", tmp_path / "of-rare"
    shutil.copytree(data / "train" / classes[1], rare / classes[1])
    done = call("import", rare, "-o", pool)
    assert done.status == 2
    assert f"at least two classes, got only {classes[1]!r}" in done.err
    assert "the real images have more classes, name those: --classes-of DATA" in done.err
    assert not pool.exists()
    done = call("import", rare, "--classes-of", data, "-o", pool)
    assert (done.status, done.err) == (0, "")
    made = SamplePool(pool)
    assert tuple(made.classes) == classes and set(made.samples.labels.tolist()) == {1}
    (rare / classes[1]).rename(rare / "other")
    done = call("import", rare, "--classes-of", data, "-o", tmp_path / "other")
    assert (
        done.status == 2 and f"images of the classes {', '.join(classes)}, got 'other'" in done.err
    )
    done = call("import", rare, "--classes-of", tmp_path / "none", "-o", tmp_path / "other")
    assert done.status == 2 and "none: no such file or folder" in done.err


def test_inspect_shows_the_card(
    call: Callable, generator: Path, pool: Path, tmp_path: Path
) -> None:
    for directory, *shown in (
        (generator, r"settings\.cells +8"),
        (pool, r"per_class +4, 4", r"filters +none"),
    ):
        metadata = tmp_path / f"card of {directory.name}.json"
        done = call("inspect", directory, "--json", metadata)
        assert (done.status, done.err) == (0, "")
        assert all(re.search(each, done.out) for each in shown)
        assert json.loads(metadata.read_text()) == json.loads(
            (directory / "manifest.json").read_text()
        )


def test_letters_that_the_output_cannot_show_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = Samples(np.zeros((2, 1, 8, 8), np.uint8), np.arange(2))
    SamplePool.from_samples(tmp_path / "pool", samples, ["naïve", "plain"])
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    with pytest.raises(SystemExit) as done:
        run(["inspect", str(tmp_path / "pool")])
    shown.seek(0)
    assert done.value.code == 0
    assert r"na\xefve, plain" in shown.read()


def test_inspect_finds_what_a_replacement_set_aside(
    call: Callable, pool: Path, tmp_path: Path
) -> None:
    shutil.copytree(pool, tmp_path / ".pool.old")
    assert call("inspect", tmp_path / "pool").status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


def test_a_home_folder_after_an_equals_sign(
    call: Callable, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = call("export", pool, "--output=~/made", "--json=~/made.json")
    assert done.status == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "made.json"]


def test_inspect_says_of_a_generator_which_file_is_damaged(
    call: Callable, generator: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(generator, copied)
    assert call("inspect", copied).status == 0
    content = bytearray((copied / "images.npy").read_bytes())
    content[-1] ^= 1
    (copied / "images.npy").write_bytes(content)
    for words in (("inspect", copied), ("sample", copied, "-o", tmp_path / "pool")):
        done = call(*words)
        assert (done.status, "images.npy is not as it was written" in done.err) == (2, True)
    assert not (tmp_path / "pool").exists()


def test_what_is_damaged_is_said_and_not_passed_on(
    call: Callable, generator: Path, pool: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(pool, tmp_path / "pool")
    with (copied / "images.npy").open("r+b") as images:
        images.seek(-50, os.SEEK_END)
        images.write(bytes(range(50)))
    done = call("inspect", copied)
    assert (done.status, "damaged, its files have the fingerprint" in done.err) == (2, True)
    done = call("export", copied, "-o", tmp_path / "out")
    assert (done.status, "damaged, its files have the fingerprint" in done.err) == (2, True)
    assert not (tmp_path / "out").exists()
    copied = shutil.copytree(generator, tmp_path / "generator")
    (copied / "weights.safetensors").unlink()
    done = call("inspect", copied)
    assert (done.status, "damaged" in done.err) == (2, True)


def test_a_blend_is_fitted_sampled_and_inspected(
    call: Callable, data: Path, tmp_path: Path
) -> None:
    blend, log = tmp_path / "blend", tmp_path / "log"
    words = ("--generator", "blend", "--steps", "2", "--scope", "per-class", "--log", log)
    assert call("fit", data, *words, "-o", blend).status == 0
    shown = call("inspect", blend).out
    assert re.search(r"settings\.parts\.1\.settings\.scope +per-class", shown)
    assert re.search(r"settings\.parts\.2\.family +style-swap", shown)
    assert sorted(path.name for path in log.iterdir()) == ["0-transfer", "1-vae"]
    assert call("sample", blend, "--per-class", "2", "-o", tmp_path / "pool").status == 0
    refused = call("fit", data, *words[:4], "--start", blend, "-o", tmp_path / "other")
    assert (refused.status, "it has a network for each class" in refused.err) == (2, True)


def test_quiet_says_nothing(
    call: Callable, data: Path, generator: Path, pool: Path, quick: tuple, tmp_path: Path
) -> None:
    for words in (
        ("fit", data, "--generator", "style-swap", "-o", tmp_path / "generator"),
        ("sample", generator, "--per-class", "2", "-o", tmp_path / "pool"),
        ("import", data, "-o", tmp_path / "imported"),
        ("export", pool, "-o", tmp_path / "folder"),
        ("inspect", pool),
        ("gain", data, *quick, "--steps", "1", "--cache", tmp_path / "cells"),
    ):
        done = call(*words, "--quiet")
        assert done == (0, "", ""), words
    assert "error: " in call("inspect", tmp_path, "-q").err


@pytest.mark.filterwarnings("default")
def test_unreadable_images_are_skipped_and_named(
    call: Callable, tree: Callable, tmp_path: Path
) -> None:
    source = tree(tmp_path / "images", {"cat": 4, "dog": 4})
    for name in ("1.png", "2.png"):
        (source / "dog" / name).write_text("not an image")
    words = ("fit", source, "--generator", "style-swap", "-o", tmp_path / "generator")
    assert call(*words).status == 2
    before = warnings.showwarning
    done = call(*words, "--on-error", "skip")
    assert warnings.showwarning is before
    assert done.status == 0
    assert "fitted to 6 images" in done.out
    said = "warning: 2 of 8 images could not be read and were left out: "
    assert done.err == f"{said}{source / 'dog' / '1.png'}, {source / 'dog' / '2.png'}\n"
    assert call(*words, "--on-error", "skip", "--quiet") == (0, "", "")


def test_a_warning_is_shown_once(call: Callable, tree: Callable, tmp_path: Path) -> None:
    for name in ("train", "val", "dev"):
        tree(tmp_path / name, {"cat": 5, "dog": 5})
    done = call("fit", tmp_path, "--steps", "1", "--validate", "-o", tmp_path / "made")
    assert done.err.count("images in dev are left out") == 1


def test_image_size_and_mode(call: Callable, data: Path, tmp_path: Path) -> None:
    done = call(
        "import", data, "--image-size", "12", "--mode", "rgb", "-o", tmp_path / "pool", "--quiet"
    )
    assert done.status == 0
    assert SamplePool(tmp_path / "pool").samples.images.shape == (28, 3, 12, 12)


def test_debug_shows_where_an_error_came_from(call: Callable, tmp_path: Path) -> None:
    words = ("inspect", tmp_path / "nowhere")
    plain = call(*words).err
    for debug in (("--debug", *words), (*words, "--debug")):
        done = call(*debug)
        assert done.status == 2
        assert "Traceback (most recent call last)" in done.err
        assert done.err.endswith(plain)


@pytest.mark.parametrize("words", [(), ("--help",), *((name, "--help") for name in NAMES)])
def test_help_explains_every_option(
    words: tuple[str, ...], call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = call(*words)
    assert (done.status, done.err) == (0 if words else 2, "")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.out
    if len(words) == 2:
        assert "--debug" in done.out
        options = [line for line in lines if re.match(r"│ [* ]? *--\w", line)]
        assert len(options) >= 3
        # An option's line goes on with what it does.
        named = [line for line in options if "--help" not in line]  # that one is typer's
        assert not any("bool" in line for line in named)
        unexplained = [line for line in options if not re.search(r' {2,}[A-Z"].* │$', line)]
        assert unexplained == []


@pytest.mark.parametrize("command", app.registered_commands, ids=lambda each: each.name)
def test_help_has_no_line_that_is_broken_before_another(command: CommandInfo) -> None:
    """In 80 columns; typer keeps the lines of a paragraph."""
    for paragraph in inspect.cleandoc(str(command.callback.__doc__)).split("\n\n"):
        assert all(len(line) <= 78 for line in paragraph.splitlines()[:-1])


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OSError(28, "No space left on device", "pool/images.npy"), 1, "pool/images.npy: No space"),
        (RuntimeError("two\nlines"), 1, "RuntimeError: two lines (--debug shows where)"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_what_goes_wrong_meanwhile(
    error: BaseException,
    status: int,
    said: str,
    call: Callable,
    generator: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(SamplePool, "create", fail)
    done = call("sample", generator, "-o", tmp_path / "pool")
    assert (done.status, done.out) == (status, "")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_loss_that_is_no_number_is_a_failure(
    call: Callable, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthaug.core import TrainingError
    from synthaug.generators import ConditionalVAE

    def fail(*_: object, **__: object) -> None:
        raise TrainingError("the vae loss became nan at step 3; lower the learning rate")

    monkeypatch.setattr(ConditionalVAE, "fit", fail)
    done = call("fit", data, "--generator", "vae", "-o", tmp_path / "generator")
    assert done.status == 1
    assert done.err == "error: the vae loss became nan at step 3; lower the learning rate\n"
    assert list(tmp_path.iterdir()) == []


def test_the_images_of_fit_are_those_of_the_training_split(generator: Path, data: Path) -> None:
    assert (
        load_generator(generator).metadata["data"]["fingerprint"] == read_images(data).fingerprint
    )


FAST = ("--generator", "vae", "--steps", "3", "--device", "cpu")


def test_fit_trains_a_network_for_each_class(call: Callable, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "generator"
    assert call("fit", data, *FAST, "--scope", "per-class", "-o", output).status == 0
    made = load_generator(output)
    assert made.settings["scope"] == "per-class"
    assert call("sample", output, "--per-class", "2", "-o", tmp_path / "pool").status == 0
    assert len(SamplePool(tmp_path / "pool")) == 4


def test_fit_goes_on_from_another_generator(call: Callable, data: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert call("fit", data, *FAST, "-o", first).status == 0
    assert call("fit", data, *FAST, "--start", first, "-o", second).status == 0
    told = load_generator(second).metadata["start"]
    learned = load_generator(first).metadata["data"]["fingerprint"]
    assert told == {"fingerprint": learned, "origins": [learned], "missing": []}


@pytest.mark.parametrize("split", ["val", None])
def test_fit_validates_on_a_split_or_on_images_held_out(
    call: Callable, data: Path, tree: Callable, tmp_path: Path, split: str | None
) -> None:
    if split:
        tree(tmp_path / "set" / "train", {"cat": 6, "dog": 6})
        tree(tmp_path / "set" / "val", {"cat": 4, "dog": 4}, seed=9)
        data = tmp_path / "set"
    output = tmp_path / "generator"
    assert call("fit", data, *FAST, "--validate", "-o", output).status == 0
    metadata = load_generator(output).metadata
    assert 0 <= metadata["validation"]["accuracy"] <= 1
    everything = len(read_images(data))
    assert metadata["data"]["images"] == (everything if split else everything * 4 // 5)


def test_a_log_without_tensorboard_is_refused_before_images_are_read(
    call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    words = ("fit", tmp_path / "nowhere", "--log", tmp_path / "log", "-o", tmp_path / "generator")
    done = call(*words)
    assert done.status == 2
    assert "TensorBoard is not installed" in done.err and "nowhere" not in done.err


def test_fit_writes_a_trace_and_a_log(
    call: Callable, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    pytest.importorskip("tensorboard")
    trace, log = tmp_path / "made for it" / "trace.json", tmp_path / "log"
    words = ("--generator", "vae", "--steps", "25", "--device", "cpu")
    done = call("fit", data, *words, "--profile", trace, "--log", log, "-o", tmp_path / "generator")
    assert done.status == 0, done.err
    events = json.loads(trace.read_text())["traceEvents"]
    steps = {event["name"] for event in events if event["name"].startswith("ProfilerStep#")}
    assert len(steps) == 10
    check_trace("--profile", trace)  # which another run may replace
    assert list(log.glob("events.out.tfevents.*"))
    assert capfd.readouterr().err == ""  # what torch says itself of a machine without a GPU


def test_every_generator_has_one_name_on_the_command_line() -> None:
    assert all(build(name, None).name == name for name in registrations())


def test_the_version_is_told(call: Callable) -> None:
    assert call("--version") == (0, f"{version('synthaug')}\n", "")


def test_progress_without_a_terminal_is_a_line_a_stage_and_one_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(output.time, "monotonic", lambda: now[0])

    def told(*, quiet: bool, growing: bool) -> list[str]:
        with output.progress(quiet, growing=growing) as update:
            for done in range(8):
                update("tuning" if done < 6 else "measuring", done, 2000)
                now[0] += 25
        return capsys.readouterr().err.splitlines()

    expected = ["tuning: 0 of 2,000", "tuning: 3 of 2,000", "measuring: 6 of 2,000"]
    assert told(quiet=False, growing=True) == expected
    assert told(quiet=False, growing=False) == ["tuning: 3 of 2,000", "measuring: 6 of 2,000"]
    assert told(quiet=True, growing=True) == []


def test_who_reads_no_further_ends_nothing(pool: Path) -> None:
    """As `python -m synthaug inspect POOL | head -1`: exit status 0, since all was done."""
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "synthaug", "inspect", str(pool)]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
