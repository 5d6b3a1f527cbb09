"""`tune`, and what becomes of its recipe; `report`."""

import errno
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import TensorDataset

from synthaug import read_images
from synthaug.classifiers import Backbone, TrainConfig
from synthaug.cli.tune import _lines, sentence
from synthaug.generators import RandomField, StyleSwap
from synthaug.mixing import MixConfig, MixedDataset
from synthaug.pool import SamplePool

pytestmark = pytest.mark.usefixtures("tiny_networks")
LITTLE = ("--steps", "2", "--batch-size", "8", "--seeds", "2", "--policy", "shift")
PLACE = ("--jobs", "1", "--device", "cpu")
FEW = ("--generator", "style-swap", "--generator", "random-field")
MORE = (*FEW, "--trials", "9")


@pytest.fixture(scope="module")
def tuned(data: Path, call: Callable, tmp_path_factory: pytest.TempPathFactory):
    """A recipe, the cache of its search, and what was printed."""
    pytest.importorskip("optuna", reason="needs Optuna")
    folder = tmp_path_factory.mktemp("tune")
    few = (*FEW, "--trials", "3")
    kept = ("--cache", folder / "cells", "--keep", "--json", folder / "copy.json")
    done = call("tune", data, *LITTLE, *PLACE, *few, *kept, "-o", folder / "recipe.json")
    assert done.status == 0, done.err
    return folder, done


def test_a_search_writes_a_recipe_and_says_how_sure_it_is(tuned: tuple, data: Path) -> None:
    folder, done = tuned
    mix = MixConfig.load(folder / "recipe.json")
    assert (folder / "copy.json").read_text() == (folder / "recipe.json").read_text()
    assert sum(mix.search["trials"].values()) == 3
    assert len(mix.search["check"]["per_seed"]) == 2
    assert mix.training["steps"] == 2
    assert sentence(mix) in done.out
    assert all(f"Note: {caveat}." in done.out for caveat in mix.search["caveats"])
    assert ("from_config" in done.out) == mix.recommended
    assert ("Best without:" in done.out) != mix.recommended
    if not mix.recommended:  # what was trained without them is then the answer
        assert mix.search["best_without"] in done.out
        assert "could have gone unseen" in done.out
    few = replace(mix, recommended=False, search=mix.search | {"smallest_detectable": 100.0})
    assert sentence(few).endswith("So few seeds could have shown no gain at all (--seeds).")
    # Eight usual ways less those of other generators, and those that the budget had room for.
    assert mix.search["waiting"] == 0
    assert "points" in done.out.splitlines()[0]
    # What gain should do alike is said again; the number of seeds is its own.
    alike = f"--policy shift --steps 2 --batch-size 8 --cache {folder / 'cells'} --device cpu"
    said = f"synthaug gain {data} {alike} --mix-config {folder / 'recipe.json'}"
    assert done.err.splitlines()[-1] == f"Not measured on test images yet: {said}"
    stages = [line.split(":")[0] for line in done.err.splitlines()[:-1]]
    assert stages[0] == "tuning the baseline" or stages[0] == "without synthetic images"
    assert {"searching", "checking the best"} <= set(stages)
    assert set(mix.search["seconds"]) == {"without synthetic images", "search", "check"}


def test_the_next_command_and_lines_say_all_that_was_searched_with(
    tuned: tuple, data: Path, call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = replace(MixConfig.load(tuned[0] / "recipe.json"), recommended=True)
    found.training["teacher"] = asdict(TrainConfig("none"))
    monkeypatch.setattr("synthaug.cli.tune.search_mix", lambda *_, **__: found)
    asked = ("--image-size", "12", "--mode", "rgb", "--seed", "7", "--device", "cpu")
    place = ("--cache", tmp_path / "cells")
    done = call("tune", data, *asked, *place, "-o", tmp_path / "recipe.json")
    assert done.status == 0, done.err
    assert "# train_set: your Dataset, with images of 12 x 12 pixels" in done.out
    read = f"read_images({str(data)!r}, image_size=12, mode='rgb'),"
    assert read in done.out
    assert read in MixConfig.load(tmp_path / "recipe.json").search["best_without"]
    alike = f"--image-size 12 --mode rgb --cache {tmp_path / 'cells'} --seed 7 --device cpu"
    said = f"synthaug gain {data} {alike} --mix-config {tmp_path / 'recipe.json'}"
    assert done.err.splitlines()[-1] == f"Not measured on test images yet: {said}"


def test_the_lines_for_mixed_labels_train_a_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = {
        "teacher": asdict(TrainConfig("none")),
        "recipe": asdict(TrainConfig("none", weight_decay=0.1)),
    }
    taught |= {"steps": 1, "batch_size": 8}
    mix = MixConfig(RandomField(), 0.25, "mixed", training=taught)
    monkeypatch.chdir(tmp_path)
    mix.save(Path("recipe.json"))
    lines = _lines(mix, Path("recipe.json"), "digits", Backbone(), "16 x 16 pixels in gray")
    read = read_images("digits")
    real = TensorDataset(torch.tensor(read.images), torch.tensor(read.labels))
    known = {"train_set": real}
    exec(lines, known)
    assert isinstance(known["train_set"], MixedDataset)
    assert known["train_set"].labels == "mixed"
    assert (
        "# it was found with TrainConfig(policy='none', weight_decay=0.1)\n# in 1 steps of 8 images"
        in lines
    )


def test_what_was_found_is_shown_where_it_cannot_be_written(
    tuned: tuple, data: Path, call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = MixConfig.load(tuned[0] / "recipe.json")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("synthaug.cli.tune.search_mix", lambda *_, **__: found)
    monkeypatch.setattr(MixConfig, "save", full)
    place = ("--cache", tmp_path / "cells", "-q")
    done = call("tune", data, *place, "-o", tmp_path / "recipe.json")
    assert done.status != 0 and "No space left" in done.err
    assert sentence(found) in done.out


def test_why_proposals_failed_is_said(tuned: tuple) -> None:
    found = MixConfig.load(tuned[0] / "recipe.json")
    search = {**found.search, "check": None, "errors": ["the filters left 3 of 400"], "waiting": 0}
    assert "none of what was tried could be trained" in sentence(replace(found, search=search))


def test_what_the_check_was_over_is_said_where_it_is_not_what_the_search_was_over(
    tuned: tuple,
) -> None:
    found = MixConfig.load(tuned[0] / "recipe.json")
    elsewhere = {**found.search, "checked_over": "another arm"}
    said = sentence(replace(found, search=elsewhere))
    assert "over another arm, without synthetic images, the least clearly beaten" in said
    alike = {**found.search, "checked_over": found.search["baseline"]}
    assert "the least" not in sentence(replace(found, search=alike))


@pytest.mark.parametrize("keep", [True, False])
def test_what_waits_can_be_gone_on_with_where_it_was_kept(
    keep: bool,
    tuned: tuple,
    data: Path,
    call: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = MixConfig.load(tuned[0] / "recipe.json")
    short = replace(found, search={**found.search, "waiting": 1})
    monkeypatch.setattr("synthaug.cli.tune.search_mix", lambda *_, **__: short)
    target = tmp_path / "r[v2].json"
    words = ("--cache", tmp_path / "cells", *["--keep"] * keep, "-o", target)
    out = " ".join(call("tune", data, *words).out.split())
    assert "1 proposal waits for more time or trials (--budget, --trials): " in out
    assert ("the same command with more goes on from here." in out) == keep
    assert ("nothing was kept for it" in out) != keep
    assert "Written: " in out and "r[v2].json" in out.replace(" ", "")


def test_any_seed_will_do(tuned: tuple, data: Path, call: Callable, tmp_path: Path) -> None:
    few = ("--generator", "random-field", "--trials", "1", "--seed", str(2**32))
    done = call("tune", data, *LITTLE, *PLACE, *few, "-o", tmp_path / "recipe.json", "-q")
    assert (done.status, done.err) == (0, "")


def test_what_was_trained_serves_a_larger_search(
    tuned: tuple, data: Path, call: Callable, tmp_path: Path
) -> None:
    folder, _ = tuned
    runs = set((folder / "cells").glob("*/cells/*"))
    assert runs
    words = ("tune", data, *LITTLE, *PLACE, *MORE, "--cache", folder / "cells", "--keep")
    done = call(*words, "-o", tmp_path / "recipe.json", "-q")
    assert (done.status, done.out, done.err) == (0, "", "")
    search = MixConfig.load(tmp_path / "recipe.json").search
    assert sum(search["trials"].values()) == 9
    assert runs < set((folder / "cells").glob("*/cells/*"))
    # Those of the former search are in none of its seconds, and it says so; but for the check of
    # another winner it rests on all of them.
    told = [json.loads((cell / "manifest.json").read_text()) for cell in runs]
    of_check = sum("seed2" in cell.name or "seed3" in cell.name for cell in runs)
    assert len(runs) - of_check <= search["taken_over"]["networks"] <= len(runs)
    assert 0 < search["taken_over"]["seconds"] <= sum(each["seconds"] for each in told) + 0.05


def test_what_is_damaged_of_an_earlier_search_is_named_before_it_goes_on(
    tuned: tuple, data: Path, call: Callable, tmp_path: Path
) -> None:
    shutil.copytree(tuned[0] / "cells", tmp_path / "cells")
    runs = set((tmp_path / "cells").glob("*/cells/*"))
    damaged = next(cell for cell in sorted(runs) if cell.name.startswith("random-field"))
    (damaged / "manifest.json").write_text("{}")
    words = ("tune", data, *LITTLE, *PLACE, *MORE, "--cache", tmp_path / "cells", "--keep")
    done = call(*words, "-o", tmp_path / "recipe.json")
    assert (done.status, (tmp_path / "recipe.json").exists()) == (2, False)
    assert f"{damaged}: damaged" in done.err
    assert set((tmp_path / "cells").glob("*/cells/*")) == runs


@pytest.fixture
def mix_config(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.json"
    MixConfig(StyleSwap(cells=4), 0.25, training={"partner": "mixup"}).save(path)
    return path


def test_gain_measures_the_recipe(
    mix_config: Path, data: Path, call: Callable, tmp_path: Path
) -> None:
    words = (
        "gain",
        data,
        *LITTLE,
        *PLACE,
        "--cache",
        tmp_path / "cells",
        "--mix-config",
        mix_config,
    )
    done = call(*words, "--json", tmp_path / "gain.json")
    assert done.status == 0, done.err
    value = json.loads((tmp_path / "gain.json").read_text())
    arms = [arm["name"] for arm in value["arms"] if arm["synthetic"]]
    controls = ("patch-style", "style-swap", "random-field")
    assert arms == [f"{name} 0.25 hard, mixup" for name in ("recipe", *controls)]
    # A recipe is what was asked about, whatever a control that is tried beside it scores.
    assert value["chosen"]["arm"] == arms[0]
    assert value["chosen"]["settings"]["cells"] == 4
    assert value["control"] in arms  # this one learns nothing either
    assert value["protocol"]["search"] == "recipe"
    page = tmp_path / "page.html"
    done = call("report", tmp_path / "gain.json", "-o", page)
    assert (done.status, done.out, done.err) == (0, "", f"Report: {page}\n")
    assert "recipe 0.25 hard, mixup" in page.read_text()
    # No choice was made on what it is measured on, neither here nor in the search.
    asked = MixConfig.load(mix_config).search
    searched = {*asked.get("seeds", []), *asked.get("check_seeds", [])}
    chosen_on = searched | {*value["protocol"]["choice_seeds"]}
    assert not chosen_on & set(value["protocol"]["seeds"])


def test_a_report_is_drawn_from_its_folder_and_replaces_pages_only(
    mix_config: Path, data: Path, call: Callable, tmp_path: Path
) -> None:
    words = (
        "gain",
        data,
        *LITTLE,
        *PLACE,
        "--cache",
        tmp_path / "cells",
        "--mix-config",
        mix_config,
    )
    assert call(*words, "--report", tmp_path / "out").status == 0
    page, notes = tmp_path / "page.html", tmp_path / "notes.html"
    assert call("report", tmp_path / "out", "-o", page).status == 0
    assert call("report", tmp_path / "out", "-o", page).status == 0
    notes.write_text("mine")
    done = call("report", tmp_path / "out", "-o", notes)
    assert (done.status, notes.read_text()) == (2, "mine")
    assert "is there already, and is no page" in done.err
    # The page of gain --report has pictures, which nothing else can bring back.
    first = tmp_path / "out" / "report.html"
    pictured = first.read_bytes()
    done = call("report", tmp_path / "out", "-o", first)
    assert (done.status, first.read_bytes()) == (2, pictured)
    assert f"--output {first}: is a page with pictures" in done.err


def test_json_replaces_nothing_but_earlier_json(
    mix_config: Path, data: Path, call: Callable, tmp_path: Path
) -> None:
    metadata, notes = tmp_path / "card.json", tmp_path / "notes.json"
    fit = ("fit", data, "--generator", "random-field", "-o", tmp_path / "generator", "--json")
    assert call(*fit, metadata).status == 0
    assert call(*fit, metadata).status == 0
    copy = tmp_path / "recipe.json"
    copy.write_bytes(mix_config.read_bytes())
    for path, text in ((notes, "mine"), (notes, '["mine"]'), (copy, copy.read_text())):
        path.write_text(text)
        for words in (fit, ("gain", data, "--json"), ("inspect", tmp_path / "generator", "--json")):
            done = call(*words, path)
            assert (done.status, path.read_text()) == (2, text), words
            assert "is there already, and is no earlier " in done.err


def test_test_images_from_elsewhere_leave_all_others_to_the_search(
    data: Path, call: Callable, tmp_path: Path
) -> None:
    pytest.importorskip("optuna", reason="needs Optuna")
    target = tmp_path / "recipe.json"
    few = ("--generator", "random-field", "--trials", "1", "--cache", tmp_path / "cells")
    words = ("tune", data / "train", *LITTLE, *PLACE, *few, "-o", target)
    apart, whole = call(*words), call(*words, "--test", data / "test")
    assert "were set apart to test on" in apart.err.splitlines()[0]
    assert "set apart to test on" not in whole.err
    assert f"--test {data / 'test'} " in whole.err.splitlines()[-1]
    assert MixConfig.load(target).search["fingerprint"] == read_images(data / "train").fingerprint


def test_fit_and_sample_follow_the_recipe(
    mix_config: Path, data: Path, call: Callable, tmp_path: Path
) -> None:
    done = call("fit", data, "--mix-config", mix_config, "-o", tmp_path / "generator")
    assert done.status == 0, done.err
    assert call("sample", tmp_path / "generator", "-o", tmp_path / "pool").status == 0
    metadata = SamplePool(tmp_path / "pool").manifest["generator"]
    assert (metadata["family"], metadata["settings"]["cells"]) == ("style-swap", 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tune", "DATA", "-o", "NEW", "--budget", "20"), "--budget: expected a time such as 90s"),
        (("tune", "DATA", "-o", "NEW", "--budget", "0m"), "--budget: expected a time such as 90s"),
        (
            ("tune", "DATA", "-o", "FILE"),
            "--output FILE: is there already, and is no mix configuration",
        ),
        (("tune", "DATA", "-o", "FOLDER"), "FOLDER: expected a file to write"),
        (("tune", "DATA", "-o", "NEW", "--seeds", "1"), "--seeds"),
        (("tune", "NEW", "-o", "RECIPE"), "NEW"),
        (("gain", "--mix-config", "RECIPE"), "--mix-config: expected DATA, too"),
        (
            ("gain", "DATA", "--mix-config", "FILE"),
            "FILE: expected a mix configuration that synthaug tune",
        ),
        (
            ("gain", "DATA", "--mix-config", "RECIPE", "--generator", "gan"),
            "--generator: --mix-config",
        ),
        (("gain", "DATA", "--mix-config", "RECIPE", "--arms", "full"), "--arms: --mix-config"),
        (("gain", "NEW", "--mix-config", "NONE"), "there is nothing to measure"),
        (
            ("gain", "NEW", "--mix-config", "STRANGE"),
            "STRANGE: training.partner: expected one of clas",
        ),
        (
            ("gain", "NEW", "--mix-config", "BARE"),
            "BARE: training.partner: expected one of classical",
        ),
        (
            ("gain", "NEW", "--mix-config", "SOFT"),
            "SOFT: labels: expected hard or mixed, got 'soft'",
        ),
        (("fit", "DATA", "--mix-config", "NONE", "-o", "NEW"), "there is none to fit"),
        (
            ("fit", "DATA", "--mix-config", "RECIPE", "--steps", "3", "-o", "NEW"),
            "--steps: --mix-config",
        ),
        (("fit", "DATA", "--mix-config", "RECIPE", "--validate", "-o", "NEW"), "has no training"),
        (("report", "FILE", "-o", "NEW"), "FILE: not a result of synthaug gain"),
        (("report", "NEW", "-o", "NEW"), "no such file"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[str, ...],
    message: str,
    mix_config: Path,
    data: Path,
    call: Callable,
    tmp_path: Path,
) -> None:
    (tmp_path / "FILE").write_text("{}")
    (tmp_path / "FOLDER").mkdir()
    MixConfig(None, recommended=False).save(tmp_path / "NONE")
    MixConfig(StyleSwap(), 0.5).save(tmp_path / "BARE")
    MixConfig(StyleSwap(), 0.5, training={"partner": "cutout"}).save(tmp_path / "STRANGE")
    MixConfig(StyleSwap(), 0.5, "soft", training={"partner": "mixup"}).save(tmp_path / "SOFT")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    places = {"DATA": data, "RECIPE": mix_config}
    given = [places.get(word, tmp_path / word if word.isupper() else word) for word in words]
    more = (*LITTLE, "--jobs", "1", "--cache", tmp_path / "cells") if words[0] == "gain" else ()
    done = call(*given, *more)
    assert done.status == 2, done
    assert message.replace("FILE:", f"{tmp_path / 'FILE'}:") in done.err or message in done.err
    assert "Traceback" not in done.err
    for path, content in before.items():
        assert path.read_bytes() == content
    assert not (tmp_path / "NEW").exists()


def test_without_optuna_the_extra_is_named(
    data: Path, call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = call("tune", data, "-o", tmp_path / "recipe.json", "--cache", tmp_path / "cells")
    assert done.status == 2
    assert "pip install 'synthaug[tune]'" in done.err
