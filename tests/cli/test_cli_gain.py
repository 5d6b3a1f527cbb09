"""`gain`: its table at every width, its files, and the cells it leaves behind."""

import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import timm
from rich.console import Console
from safetensors.torch import save_file

import synthaug.cli.gain as command
import synthaug.cli.output as output
from synthaug.cli.measuring import backbone
from synthaug.cli.output import show_gain
from synthaug.cli.splits import read_splits
from synthaug.core import InputError
from synthaug.data import read_images
from synthaug.data.stacking import SkippedImages
from synthaug.gain import Gain, Source, check_splits, default_sources, with_reading_options
from synthaug.gain.leaks import shared_images

pytestmark = pytest.mark.usefixtures("tiny_networks")
LONG = "transfer-within 0.5 mixed, randaugment+cutmix"


@pytest.fixture(scope="module")
def measured(data: Path, quick: tuple, call: Callable, tmp_path_factory: pytest.TempPathFactory):
    """A folder with the files of one measurement, and what was printed."""
    folder = tmp_path_factory.mktemp("gain")
    files = ("--json", folder / "a" / "b.json", "--report", folder / "report")
    done = call("gain", data, *quick, "--cache", folder / "cells", *files)
    assert done.status == 0, done.err
    return folder, done


@pytest.fixture
def wide(measured: tuple) -> Gain:
    """The result with an arm of a long name, large numbers, and a recommendation."""
    gain = Gain.load(measured[0] / "a" / "b.json")
    interval = replace(gain.gain, points=-12.3, low=-35.7, high=23.3)
    arm = replace(gain.arms[-1], name=LONG, gain=interval, seconds=[12345.0, 12345.0])
    return replace(
        gain,
        arms=[*gain.arms, arm],
        chosen={**gain.chosen, "arm": LONG},
        trained=LONG,
        control=gain.chosen["arm"],
        gain_over_control=interval,
        recommendation=LONG,
    )


def shown(gain: Gain, width: int) -> list[str]:
    file = io.StringIO()
    show_gain(gain, Console(file=file, width=width, force_terminal=True, color_system=None))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_files_and_where_things_are_said(measured: tuple) -> None:
    folder, done = measured
    result = json.loads((folder / "a" / "b.json").read_text())
    assert json.loads((folder / "report" / "result.json").read_text()) == result
    assert "<html" in (folder / "report" / "report.html").read_text()[:200]
    assert result["protocol"]["command"].startswith("synthaug gain ")
    shared, _ = result["protocol"]["caveats"]
    assert shared.startswith("two seeds share")
    assert done.err.splitlines()[-1] == f"Report: {folder / 'report' / 'report.html'}"
    assert result["protocol"]["next_steps"] in done.out


def test_finished_cells_are_removed_with_the_folders_made_for_them(measured: tuple) -> None:
    assert not (measured[0] / "cells").exists()


def test_piped_output_is_plain_with_an_arm_a_line(measured: tuple) -> None:
    folder, done = measured
    assert done.out.isascii()
    assert "\x1b" not in done.out
    lines = done.out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("arm "))
    assert lines[start].split() == ["arm", "uses", "accuracy", "gain", "95%", "interval", "seconds"]
    gain = Gain.load(folder / "a" / "b.json")
    arms = lines[start + 1 : start + 1 + len(gain.arms)]
    names = [re.split(r" {2,}| \(", line)[0] for line in arms]
    assert names == [arm.name for arm in gain.arms]
    assert [name for name, line in zip(names, arms, strict=True) if "(baseline)" in line] == [
        gain.baseline
    ]
    assert f"{gain.chosen['arm']} (chosen)" in arms[-1]
    assert gain.sentence() in lines


@pytest.mark.parametrize("width", [72, 80, 120])
def test_the_table_keeps_its_numbers_whole_on_a_terminal(wide: Gain, width: int) -> None:
    lines = shown(wide, width)
    before_code = lines[
        : next(i for i, line in enumerate(lines) if line.startswith("from synthaug"))
    ]
    assert max(map(len, before_code)) <= width
    assert not any("…" in line for line in lines)
    text = "\n".join(lines)
    assert re.search(r"-12\.3 +-35\.7 to \+23\.3 +12,345", text)
    for role in ("(baseline)", "(chosen)", "(non-learned)"):
        assert role in text
    # Names and sentences are broken between words only.
    words = set(" ".join(before_code).split())
    assert {"transfer-within", "randaugment+cutmix", *wide.sentence().split()} <= words


def test_a_training_that_the_machine_slept_during_is_not_told_as_a_slow_arm(wide: Gain) -> None:
    slept = [replace(arm, seconds=[2.0, 9876.0, 2.5]) for arm in wide.arms]
    lines = shown(replace(wide, arms=slept), 300)
    assert sum(line.endswith(" 2.5") for line in lines) == len(slept)


def test_arms_are_told_apart_where_it_is_narrow(wide: Gain) -> None:
    lines = shown(wide, 60)
    assert not any("…" in line for line in lines)
    head = next(line for line in lines if line.startswith("arm "))
    column = "".join(line[: head.index("uses")].strip() for line in lines[lines.index(head) :])
    for name in ("randaugment", "randaugment+mixup", "randaugment+cutmix", "(baseline)"):
        assert name in column


@pytest.mark.parametrize("width", [40, 80])
def test_lines_to_copy_are_never_wrapped(wide: Gain, width: int) -> None:
    steps = f"network = train({'x' * 100})  # [not markup]\n    second_line = 2\n"
    gain = replace(wide, protocol={**wide.protocol, "next_steps": steps})
    text = "\n".join(shown(gain, width))
    assert steps.rstrip("\n") in text


def test_images_set_apart_are_mentioned_and_other_things_in_the_cache_stay(
    call: Callable, tree: Callable, quick: tuple, tmp_path: Path
) -> None:
    source = tree(tmp_path / "images", {"cat": 16, "dog": 16})
    other = tmp_path / "cells" / "another run" / "cells"
    other.mkdir(parents=True)
    done = call("gain", source, *quick, "--cache", tmp_path / "cells")
    note = f"Note: {source} has no test split, so 10 of its 32 images were set apart to test on."
    assert note in done.out
    assert done.err.splitlines()[0] == note  # before it begins, too
    assert [path.name for path in (tmp_path / "cells").iterdir()] == ["another run"]
    assert other.exists()


def test_images_set_apart_are_no_copies_of_what_is_left(tree: Callable, tmp_path: Path) -> None:
    """As in a folder whose rare classes were filled up with copies."""
    source = tree(tmp_path / "images", {"ant": 12, "bee": 12})
    for path in sorted(source.rglob("*.png"))[::2]:
        for copy in range(4):
            shutil.copy(path, path.with_name(f"{path.stem}-{copy}.png"))
    splits = read_splits(str(source), None, None, None, "raise", quiet=True)
    assert len(splits.train) + len(splits.test) == 24 + 12 * 4
    assert shared_images({"train": splits.train, "test": splits.test}) == []


def test_test_images_of_another_place_may_lack_a_class(tree: Callable, tmp_path: Path) -> None:
    source = tree(tmp_path / "images", {"ant": 4, "bee": 4, "cow": 4})
    for counts in ({"ant": 2, "cow": 3}, {"ant": 2, "bee": 0, "cow": 3}):
        other = tree(tmp_path / f"other{len(counts)}", counts, seed=9)
        splits = read_splits(str(source), str(other), None, None, "raise", quiet=True)
        assert splits.test.classes == splits.train.classes
        assert splits.test.counts.tolist() == [2, 0, 3]
        assert len(check_splits({"train": splits.train, "test": splits.test})) == 1


def test_results_tell_of_images_that_could_not_be_read(tree: Callable, tmp_path: Path) -> None:
    source = tree(tmp_path / "images", {"cat": 9, "dog": 9})
    (source / "dog" / "1.png").write_text("no image")
    other = tree(tmp_path / "other", {"cat": 3, "dog": 3}, seed=9)
    for name in ("0.png", "2.png"):
        (other / "cat" / name).write_text("no image")
    of_train = f"of all images 1 could not be read and were left out: {source / 'dog' / '1.png'}"
    of_test = f"of all images 2 could not be read and were left out: {other / 'cat' / '0.png'}, "
    for test, expected in ((None, [of_train]), (str(other), [of_train, of_test])):
        with pytest.warns(SkippedImages):
            splits = read_splits(str(source), test, None, None, "skip", quiet=True)
        small = {
            name: read_images(part, image_size=8)
            for name, part in (("train", splits.train), ("test", splits.test))
        }
        said = check_splits(small)
        assert [told[: len(each)] for told, each in zip(said, expected, strict=True)] == expected


def test_too_few_images_beside_those_set_apart_are_named(tree: Callable, tmp_path: Path) -> None:
    message = r"'dog': expected at least 3 training images, got 2 after 1 of its 3 .* give --test"
    source = tree(tmp_path / "images", {"cat": 9, "dog": 3})
    with pytest.raises(InputError, match=message):
        read_splits(str(source), None, None, None, "raise", quiet=True)
    enough = tree(tmp_path / "enough", {"cat": 9, "dog": 5})
    assert read_splits(str(enough), None, None, None, "raise", quiet=True).train.counts.min() >= 3


def test_a_pool_is_measured_alone(
    call: Callable, data: Path, pool: Path, quick: tuple, tmp_path: Path
) -> None:
    options = [word for word in quick if word not in ("--generator", "style-swap")]
    target = tmp_path / "result.json"
    words = ("--pool", pool, "--cache", tmp_path / "cells", "--json", target)
    done = call("gain", data, *options, *words)
    assert done.status == 0, done.err
    result = json.loads(target.read_text())
    assert result["chosen"]["generator"] == "pool pool"
    assert result["control"] is None
    assert "Note: pool pool is the same pool for all seeds." in done.out


def test_a_pool_that_was_made_from_what_is_set_apart_to_test_on_is_refused(
    call: Callable, tree: Callable, tmp_path: Path
) -> None:
    source = tree(tmp_path / "images", {"cat": 16, "dog": 16})
    generator, pool, cache = (tmp_path / name for name in ("generator", "pool", "cells"))
    fit = ("fit", source, "--generator", "random-field", "-o", generator, "--device", "cpu")
    assert call(*fit).status == 0
    assert call("sample", generator, "--per-class", "4", "-o", pool).status == 0
    done = call("gain", source, "--pool", pool, "--cache", cache)
    assert done.status == 2
    assert "made from all of DATA" in done.err
    assert "10 of its 32 images were set apart" in done.err
    # Of a part that was drawn from all of DATA some are set apart to test on, too.
    part, drawn = tmp_path / "part", tmp_path / "drawn"
    assert call(*fit[:4], "--per-class", "12", "-o", part, "--device", "cpu").status == 0
    assert call("sample", part, "--per-class", "4", "-o", drawn).status == 0
    done = call("gain", source, "--pool", drawn, "--cache", cache)
    assert done.status == 2
    assert "not made from these images" in done.err and "were set apart" in done.err
    few = call("gain", source, "--pool", pool, "--per-class", "4", "--cache", cache)
    assert (few.status, few.out) == (2, "")
    assert "--per-class: what made the pool may know more images" in few.err


def test_a_pool_without_the_images_it_was_made_from_is_refused(
    call: Callable, pool: Path, tmp_path: Path
) -> None:
    done = call("gain", "--pool", pool, "--cache", tmp_path / "cells")
    assert (done.status, done.out) == (2, "")
    assert done.err == "error: --pool: expected DATA, too: the images that the pool was made from\n"


def test_a_report_replaces_nothing_but_a_report(
    call: Callable, data: Path, quick: tuple, tmp_path: Path
) -> None:
    for name in ("result.json", "report.html"):
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).write_text("mine")
        done = call("gain", data, *quick, "--cache", tmp_path / "cells", "--report", folder)
        assert (done.status, (folder / name).read_text()) == (2, "mine")
        assert f"--report {folder / name}: is there already" in done.err


def test_what_the_test_images_speak_against_is_not_put_to_use(wide: Gain) -> None:
    below = replace(wide.gain, points=-2.0, low=-3.0, high=-1.0)
    against = replace(wide, recommendation=wide.chosen["arm"], verdict="hurts", gain=below)
    text = " ".join(shown(against, 200))
    assert "Best without:" in text and "To use it" not in text


def test_arms_that_were_compared_for_the_rival_are_named_among_those_on_fresh_seeds(
    wide: Gain,
) -> None:
    fresh = wide.protocol["seeds"]
    marked = {wide.rival, wide.trained, wide.control, wide.chosen["arm"], wide.baseline}
    text = " ".join(" ".join(shown(wide, 300)).split())
    told = text.split("Arms marked")[1].split("were trained again on fresh seeds")[0]
    for arm in wide.arms:
        assert (f"'{arm.name}'" in told) == (arm.seeds == fresh and arm.name not in marked)


def test_the_lines_to_use_next_read_the_images_as_they_were_read(
    call: Callable, data: Path, quick: tuple, tmp_path: Path
) -> None:
    read = ("--image-size", "12", "--mode", "rgb", "--on-error", "skip")
    done = call("gain", data, *quick, *read, "--cache", tmp_path / "cells")
    assert done.status == 0, done.err
    if "read_images(" in done.out:  # unless the mix is recommended, which reads the Dataset
        told = "image_size=12, mode='rgb', on_error='skip'"
        assert f"read_images({str(data)!r}, {told})" in done.out
    lines = "train_classifier(read_images('x'))"
    assert with_reading_options(lines, "x", image_size=None, mode=None, on_error="raise") == lines
    assert with_reading_options(lines, "x", image_size=8, mode=None, on_error="raise") == (
        "train_classifier(read_images('x', image_size=8))"
    )


def test_the_demonstration_is_changed_by_options(
    call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict] = []

    class Asked(Exception):
        pass

    def measure(*_: object, **options: object) -> None:
        asked.append(options)
        raise Asked

    monkeypatch.setattr(command, "measure_gain", measure)
    plain = ("gain", "--cache", tmp_path / "cells")
    changed = ("--arms", "staged", "--batch-size", "16", "--policy", "none", "--steps", "7")
    said = call(*plain).err
    call(*plain, *changed)
    assert said.startswith("Demonstration on scikit-learn's digits")
    first, second = (each["protocol"] for each in asked)
    assert (first.search, first.batch_size, first.config.policy, first.steps) == (
        "quick",
        command.DEMO_BATCH,
        "rotate-scale",
        command.DEMO_STEPS,
    )
    assert (second.search, second.batch_size, second.config.policy, second.steps) == (
        "staged",
        16,
        "none",
        7,
    )
    assert "Demonstration" not in call(*plain, "--quiet").err


def test_sources_of_the_default_run_are_asked_for_by_name(
    call: Callable, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[Source]] = []

    def measure(*_: object, sources: list[Source], **__: object) -> None:
        asked.append(sources)
        raise InputError("asked")

    monkeypatch.setattr(command, "measure_gain", measure)
    usual = default_sources()
    words = ("gain", data, "--cache", tmp_path / "cells")
    call(*words, *(word for source in usual for word in ("--generator", source.name)))
    assert list(map(vars, asked[0])) == list(map(vars, usual))
    call(*words, "--generator", "transfer", "--generator", "vae")
    assert [source.name for source in asked[1]] == ["transfer-any", "transfer-within", "vae"]
    for names, said in (
        (("transfer", "transfer-any"), "--generator: expected each once, got transfer-any twice"),
        (("tranfser",), "--generator: expected one of transfer, vae, "),
    ):
        done = call(*words, *(word for name in names for word in ("--generator", name)))
        assert done.status == 2
        assert said in done.err
    assert len(asked) == 2


@pytest.mark.parametrize("width", [80, 120])
def test_progress_is_shown_on_a_terminal_only_and_disappears(
    width: int, call: Callable, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("fit", data, "--generator", "vae", "--steps", "12", "-o", tmp_path / "made")
    assert call(*words).err == ""
    terminal = io.StringIO()
    console = Console(file=terminal, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "errors", console)
    assert call(*words, "--quiet").status == 0
    assert terminal.getvalue() == ""
    assert call(*words).status == 0
    drawn = re.split(r"[\r\n]|\x1b\[[0-9?]*[A-Za-z]", terminal.getvalue())
    assert max(map(len, drawn)) == width
    assert any("reading train images" in line and "28/28" in line for line in drawn)
    assert any("fitting vae" in line and "12/12" in line for line in drawn)
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is cleared


def test_pace_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    terminal = io.StringIO()
    console = Console(file=terminal, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(output, "errors", console)
    for growing, left in ((False, "30/min 0:00:16 left"), (True, "30/min at least 0:00:16 left")):
        with output.progress(False, growing=growing) as update:
            update("with synthetic images: generators", 40, 50)  # 40 done in an earlier run
            now[0] += 4
            update("with synthetic images: generators", 42, 50)
        assert left in terminal.getvalue()


def test_weights_of_a_network_are_fine_tuned(call: Callable, data: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    named = ("--classifier", "timm:test_resnet", "--classifier-weights", weights)
    few = ("--steps", "1", "--batch-size", "8", "--seeds", "2", "--arms", "quick", "--jobs", "1")
    words = (*named, "--classifier-size", "24", *few, "--generator", "random-field")
    files = ("--cache", tmp_path / "cells", "--json", tmp_path / "gain.json")
    done = call("gain", data, *words, *files)
    assert done.status == 0, done.err
    protocol = json.loads((tmp_path / "gain.json").read_text())["protocol"]
    assert protocol["classifier"] == "timm:test_resnet"
    assert protocol["classifier_weights"] == str(weights)
    assert protocol["classifier_size"] == 24
    assert {trial["frozen"] for trial in protocol["tuning"] if "frozen" in trial} == {True, False}
    assert protocol["recipe"]["standardize"] is False
    done = call("gain", data, "--classifier-weights", weights, *files)
    assert done.status == 2
    assert "expected 'timm:NAME', got 'resnet'" in done.err
    save_file(timm.create_model("test_vit").state_dict(), weights)
    done = call("gain", data, *named, *files)
    assert done.status == 2
    assert (
        "error: --classifier-weights: " in done.err and "of the weights of test_resnet" in done.err
    )


def test_weights_of_a_network_for_gray_images(tmp_path: Path) -> None:
    weights = tmp_path / "gray.safetensors"
    save_file(timm.create_model("test_resnet", in_chans=1).state_dict(), weights)
    network = backbone("timm:test_resnet", str(weights), None)
    assert network.weights == str(weights)
    network.check((1, 32, 32), 4)
    with pytest.raises(InputError, match="for images of 3 channels"):
        network.check((3, 32, 32), 4)
