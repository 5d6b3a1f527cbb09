"""What keeps and compares the figures of the benchmarks."""

import importlib
import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthaug import Gain, LabelledImages, read_images
from synthaug.classifiers import Backbone
from synthaug.core import MANIFEST
from synthaug.gain import Experiment
from synthaug.gain.runs.run import PREDICTED, TESTED

ACCURACY = Path(__file__).parent.parent / "benchmarks" / "accuracy"


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> Any:
    return load("cells", monkeypatch)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Any:
    return load("stored", monkeypatch)


@pytest.fixture
def signs(stored: Any) -> tuple[Gain, dict[str, Any]]:
    """A result, and what pythae's images have beside it."""
    kept = json.loads((stored.PEERS / "pythae" / "gtsrb32-10.json").read_text())
    return Gain.load(ACCURACY / "results" / "gtsrb32-10.json"), kept


def load(script: str, patch: pytest.MonkeyPatch) -> Any:
    patch.syspath_prepend(ACCURACY)
    return importlib.import_module(script)


def write_cell(experiment: Path, name: str, *, whole: bool = True) -> None:
    cell = experiment / "cells" / name
    cell.mkdir(parents=True)
    np.save(cell / PREDICTED, np.ones((2, 3)))
    if whole:
        (cell / MANIFEST).write_text(json.dumps({"kind": "cell", "seconds": 1.5}))


def test_cells_are_kept_and_put_back(tmp_path: Path, cells: Any) -> None:
    write_cell(tmp_path / "here" / "study", "one")
    write_cell(tmp_path / "here" / "study", "one-of-another-arm")
    np.save(tmp_path / "here" / "study" / "cells" / "one" / TESTED.format("0f0f"), np.arange(3))
    cells.store(tmp_path / "here" / "study", tmp_path / "kept.npz")
    target = tmp_path / "there" / "study"
    assert cells.restore(tmp_path / "kept.npz", target) == 2
    tested = sorted(path.relative_to(target) for path in target.rglob("tested-*.npy"))
    assert tested == [Path("cells/one/tested-0f0f.npy")]
    assert np.array_equal(np.load(target / tested[0]), np.arange(3))
    assert np.array_equal(np.load(target / "cells" / "one" / PREDICTED), np.ones((2, 3)))
    assert json.loads((target / "cells" / "one" / MANIFEST).read_text())["seconds"] == 1.5
    assert cells.restore(tmp_path / "kept.npz", target) == 0


def test_cells_that_are_being_written_are_not_kept(tmp_path: Path, cells: Any) -> None:
    experiment = tmp_path / "study"
    write_cell(experiment, "one")
    write_cell(experiment, ".two.0f0f0f0f.partial")
    write_cell(experiment, ".three.0f0f0f0f.partial", whole=False)
    write_cell(experiment, "four", whole=False)
    cells.store(experiment, tmp_path / "kept.npz")
    with np.load(tmp_path / "kept.npz") as kept:
        assert sorted(kept.files) == ["manifests", "one", "study"]
        assert list(json.loads(str(kept["manifests"]))) == ["one"]


def test_cells_of_another_study_are_not_written_over(tmp_path: Path, cells: Any) -> None:
    write_cell(tmp_path / "first", "one")
    cells.store(tmp_path / "first", tmp_path / "kept.npz")
    with pytest.raises(SystemExit, match="expected the cells of second, got those of first"):
        cells.restore(tmp_path / "kept.npz", tmp_path / "second")


def test_measurements_of_other_images_are_not_compared(stored: Any) -> None:
    old = {"baseline": "classical", "seeds": [5, 6], "steps": 600, "recipe": {}, "times": {}}
    told = {**old, "fingerprint": "a", "test_fingerprint": "b"}
    assert stored.comparable(old, told)  # which images it was measured on is not told
    assert stored.comparable(told, {**told, "times": {"2": [0.5]}})
    assert not stored.comparable(told, {**told, "test_fingerprint": "c"})
    assert not stored.comparable(old, {**told, "steps": 1200})
    assert not stored.comparable({}, told)


def test_measurements_in_another_arithmetic_are_not_compared(stored: Any) -> None:
    gain = Gain.load(ACCURACY / "results" / "mnist-10.json")
    gain.protocol["arithmetic"] = "bfloat16"
    said = stored.measured_on(gain)
    assert stored.comparable(said, {**said, "times": {}})
    gain.protocol["arithmetic"] = "float32"
    assert not stored.comparable(said, stored.measured_on(gain))
    experiment = Experiment(
        read_images("digits"), None, 5, Backbone(), 16, "cpu", arithmetic="bfloat16"
    )
    with pytest.raises(SystemExit, match=r"mnist, 10 per class: measured in float32, .* in b"):
        stored.expect_arithmetic(experiment, gain)
    stored.expect_arithmetic(replace(experiment, arithmetic="float32"), gain)


def test_lengths_that_two_seeds_settled_are_marked(stored: Any) -> None:
    gain = Gain.load(ACCURACY / "results" / "mnist-10.json")
    asked = gain.protocol["tuning"]
    assert not stored.settled_on_two(gain)
    gain.protocol["tuning"] = [trial for trial in asked if "seeds" not in trial]
    assert stored.settled_on_two(gain)
    gain.protocol["steps"] = 4800  # there is nothing longer to ask for
    assert not stored.settled_on_two(gain)


def test_rows_are_tested_together(monkeypatch: pytest.MonkeyPatch, stored: Any) -> None:
    summary = load("summary", monkeypatch)
    results = stored.read_results()
    alone = [gain for gain in results if gain.verdict != "no evidence"]
    found = re.findall(r"(\w+, \d+ per class) \(p = 0\.0\d\d\)", summary.corrected(results))
    assert 0 < len(found) < len(alone) and set(found) < {stored.title(gain) for gain in alone}
    assert summary.corrected(alone[:1]).count("p = ") == 1  # nothing to be corrected for


def test_a_gain_that_a_rival_has_too_is_none_when_rows_are_tested_together(
    monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    """It would take the place of another, which could then be told from luck too easily."""
    summary, behind, ahead = load("summary", monkeypatch), [], []
    for gain in stored.read_results():
        rival = gain.gain_over_rival
        if rival is not None and gain.gain.points > 0:
            (ahead if rival.points > 0 else behind).append(gain)
    assert behind and ahead
    assert {summary.p_of_row(gain) for gain in behind} == {1.0}
    for gain in ahead:
        alone = summary.p_value(gain.gain), summary.p_value(gain.gain_over_rival)
        assert summary.p_of_row(gain) == max(alone)


def test_what_a_row_says_of_its_validation_images_is_so_of_others_that_share_them(
    monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    sections, results = load("sections", monkeypatch), stored.read_results()
    few, many = (
        next(gain for gain in results if stored.file_of(gain) == f"gtsrb32-{count}.json")
        for count in (10, 50)
    )
    said = [caveat for caveat in many.protocol["caveats"] if sections.JUDGED in caveat]
    assert said and sections.of_judging(few, results) == said
    assert sections.of_judging(many, results) == sections.of_judging(few, [few]) == []
    given = [gain for gain in results if "that was given" in gain.protocol["validation"]]
    assert len(given) == 4
    for gain in given:
        [same] = [caveat for caveat in gain.protocol["caveats"] if sections.JUDGED in caveat]
        assert same.startswith("all seeds are judged by the same")
        assert sections.of_judging(gain, results) == []


def test_luck_is_that_of_rows_where_each_is_of_its_own_set(
    monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    summary = load("summary", monkeypatch)
    results = stored.read_results()
    apart = [next(g for g in results if stored.name_of(g) == name) for name in ("mnist", "gtsrb32")]
    assert "in 1 of the 2 sets" in summary.helped(apart)
    said = summary.by_luck(apart)
    assert said.count("5%") == 2 and "4.9%" in said  # 1 - 0.975 ** 2


def test_the_readme_shows_the_comparison_that_is_least_sure(
    monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    """A gain over a baseline that a rival beats would look like one."""
    summary = load("summary", monkeypatch)
    results = stored.read_results()
    for gain in results:
        shown, both = summary.least_sure(gain), [gain.gain, gain.gain_over_rival]
        assert shown.gain.low == min(each.low for each in both if each is not None)
        per_seed = 100 * (np.array(gain.scores(gain.chosen["arm"])) - shown.without)
        assert per_seed.mean() == pytest.approx(shown.gain.points, abs=0.01)
        assert (gain.verdict == "helps") == (shown.gain.low > 0)
    rivals = [gain.gain_over_rival for gain in results]
    assert {summary.least_sure(gain).gain in rivals for gain in results} == {True, False}


def test_the_readme_counts_the_rows_of_pretrained_networks(
    monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    summary, rows = load("summary", monkeypatch), load("beside", monkeypatch).read_pretrained()
    gain = rows["cifar10, 10 per class, pretrained, last layer"]
    [said] = summary.from_weights([gain])
    assert "*help* in 0 and *hurt* in 0 of 1 rows, with gains of -0.2 to -0.2 points" in said
    [said] = summary.from_weights([*rows.values(), replace(gain, verdict="helps")])
    assert all(map(stored.is_tuned, rows.values()))
    assert f"*help* in 1 and *hurt* in 0 of {len(rows) + 1} rows" in said
    assert summary.from_weights([]) == []


def test_nobody_does_better_than_one_who_knows_the_test_images(
    monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    overall = load("overall", monkeypatch)
    for gain in stored.read_results():
        ways, chosen = overall.on_partner(gain), stored.mix_of(gain.chosen["arm"])
        if chosen[-1] == stored.base_arm_of(gain):
            assert ways[" ".join(map(str, chosen[:3]))] == gain.gain.points
        assert all(points <= overall.best(gain, True) for points in ways.values())
        assert overall.best(gain, False) >= stored.lead_of_rival(gain)


def test_what_the_aims_are_set_against_is_what_was_measured() -> None:
    docs = ACCURACY.parent.parent / "docs"
    _, aims, _ = (docs / "research.md").read_text().split("\n## ", 2)
    reached = re.findall(r"[+-]\d+\.\d \([+-]\d+\.\d to [+-]\d+\.\d\)", aims)
    results = (docs / "results.md").read_text()
    assert len(reached) == 7
    assert [figure for figure in reached if figure not in results] == []


def test_what_a_gain_is_worth_is_shown_as_far_as_it_is_measured(
    monkeypatch: pytest.MonkeyPatch, stored: Any, signs: tuple[Gain, dict[str, Any]]
) -> None:
    beside, (gain, _) = load("beside", monkeypatch), signs
    without = gain.scores(gain.baseline)
    found: dict[str, Any] = {"room": 30, "times": {"2": [each + 0.01 for each in without]}}
    for module in (beside, stored):
        monkeypatch.setattr(module, "worth_of", lambda _: found)
    now, more = (f"{100 * np.mean(without) + points:.1f}" for points in (0, 1))
    assert beside.worth([gain]).rstrip().endswith(f"| {more} | – |  |  |")
    found["longer"] = without
    of_length = f"{now}: +0.0 (+0.0 to +0.0)"
    assert beside.worth([gain]).rstrip().endswith(f"| {more} | – | {of_length} |  |")


def test_images_of_a_class_are_those_that_are_trained_on(stored: Any) -> None:
    counts = {stored.file_of(gain): stored.images_per_class(gain) for gain in stored.read_results()}
    assert counts["wbc_types64-50.json"] == "up to 40"  # 10 of 50 are held out for choices
    assert counts["cifar10-50.json"] == "50" and counts["digits-5.json"] == "5"


def test_pythae_stands_beside_the_baseline_that_it_was_measured_with(
    monkeypatch: pytest.MonkeyPatch, signs: tuple[Gain, dict[str, Any]], tmp_path: Path
) -> None:
    beside, (gain, kept) = load("beside", monkeypatch), signs
    monkeypatch.setattr(beside, "PEERS", tmp_path)

    def table(**changed: Any) -> str:
        (tmp_path / "pythae").mkdir(exist_ok=True)
        (tmp_path / "pythae" / "gtsrb32-10.json").write_text(json.dumps({**kept, **changed}))
        said: str = beside.peers([gain])
        return said.splitlines()[-2] if said else ""

    def points(one: str, other: str) -> str:
        return f"{100 * np.mean(np.array(kept[one]) - np.array(kept[other])):+.1f} ("

    _, _, _, over_baseline, over_partner, *ours, chosen, _ = table().split("|")
    assert over_baseline.strip().startswith(points("pythae", "without"))
    assert over_partner.strip().startswith(points("pythae", "alone"))
    assert chosen.strip().startswith(f"{gain.gain.points:+.1f} (")
    arms = [gain.arm(f"{source} 0.25 hard, {kept['partner']}") for source in beside.BESIDE_PEERS]
    assert [f"{arm.gain.points:+.1f}" for arm in arms if arm.gain] == [
        each.split()[0] for each in ours
    ]
    assert table(baseline="classical") == table(arithmetic="float32") == ""


def test_pyraug_stands_beside_pythae_seed_by_seed(
    monkeypatch: pytest.MonkeyPatch,
    stored: Any,
    signs: tuple[Gain, dict[str, Any]],
    tmp_path: Path,
) -> None:
    beside, (gain, theirs) = load("beside", monkeypatch), signs
    same = {name: theirs[name] for name in (*stored.ALIKE, *stored.TOLD)}
    found = {"without": [0.91] * 5, "alone": [0.92] * 5, "pyraug": [0.93, 0.94, 0.95, 0.96, 0.97]}
    for package, kept in (("pythae", theirs), ("pyraug", {**same, **found})):
        (tmp_path / package).mkdir()
        (tmp_path / package / "gtsrb32-10.json").write_text(json.dumps(kept))
    monkeypatch.setattr(beside, "PEERS", tmp_path)
    _, _, _, *gains, _ = beside.peers([gain]).splitlines()[-2].split("|")
    others = [found["without"], found["alone"], theirs["pythae"]]
    expected = [stored.over(found["pyraug"], other) for other in others]
    assert [each.strip() for each in gains] == [
        f"{each.points:+.1f} ({each.low:+.1f} to {each.high:+.1f})" for each in expected
    ]
    (tmp_path / "pythae" / "gtsrb32-10.json").unlink()
    assert beside.peers([gain]) == ""


def test_what_ours_are_ahead_of_pythae_by_is_the_mean_over_rows(
    monkeypatch: pytest.MonkeyPatch, stored: Any
) -> None:
    beside = load("beside", monkeypatch)
    gains = {stored.file_of(gain): gain for gain in stored.read_results()}
    differences = []
    for path in (stored.PEERS / "pythae").glob("*.json"):
        kept = json.loads(path.read_text())
        theirs = 100 * (np.mean(kept["pythae"]) - np.mean(kept["without"]))
        differences.append(gains[path.name].gain.points - theirs)
    measured = beside.read_peers(list(gains.values()), "pythae")
    said = beside.beside_pythae(measured).splitlines()[-2]
    name, *blank, chosen = [cell.strip() for cell in said.strip("|").split("|")]
    assert name == "ahead of pythae's" and blank[:3] == ["", "", ""]
    assert chosen.startswith(f"{np.mean(differences):+.1f} (")


def test_each_class_is_made_by_itself_and_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ACCURACY.parent / "peers")
    monkeypatch.setattr(logging, "disable", lambda level: None)
    stock = importlib.import_module("stock")
    asked = []

    class Shifted(stock.Stocked):  # type: ignore[misc]
        package = "shifted"

        def make(self, real: Any, count: int, *, seed: int, device: str) -> Any:
            asked.append((len(real), count, seed))
            return real[torch.arange(count) % len(real)] + 0.1

    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.full((1, 1, 8, 8), 10, np.uint8)
    data = LabelledImages(images, np.array([0, 0, 1, 1, 1]), ("few", "more"))
    made = Shifted().fit(data, seed=3).sample(40, seed=1)
    assert [(real, count) for real, count, _ in asked] == [(2, 60), (3, 60)]
    assert asked[0][2] != asked[1][2]
    for label, expected in enumerate(({0, 10}, {20, 30, 40})):
        values = made.images[made.labels == label]
        assert {round(float(v) - 25.5) for v in np.unique(values)} == expected
