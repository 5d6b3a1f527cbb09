"""Check that the pages tell the figures that are stored."""

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GENERATORS = ROOT / "benchmarks" / "generators" / "results"
WORDS = {  # at most, of each page
    "results.md": 2500,
    "lessons.md": 700,
    "calibration.md": 400,
    "speed.md": 400,
    "generator_figures.md": 500,
}
NUMBER = r"[+-]\d+\.\d"
INTERVAL = re.compile(rf"({NUMBER}) \(({NUMBER}) to ({NUMBER})\)")


def load(script: str) -> Any:
    """A script of the benchmarks as a module."""
    path = ROOT / "benchmarks" / script
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        sys.modules.pop(path.stem, None)
        return importlib.import_module(path.stem)


@pytest.fixture(scope="module")
def accuracy() -> Any:
    return load("accuracy/results_table.py")


@pytest.fixture(scope="module")
def rows(accuracy: Any) -> Any:
    return accuracy.read_rows()


def prose(page: Path) -> str:
    """A page with its lines joined, without its table."""
    text = re.sub("<!-- table -->.*?<!-- end of table -->", "", page.read_text(), flags=re.DOTALL)
    return " ".join(text.split())


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "results.md"], ids=lambda p: p.name)
def test_table_is_that_of_the_files(page: Path, accuracy: Any, rows: Any) -> None:
    assert len(rows) == 16
    text = page.read_text()
    assert text == accuracy.with_table(text, accuracy.table(rows))


def test_verdict_follows_from_its_row(accuracy: Any, rows: Any) -> None:
    lines = accuracy.table(rows).split("\n\n")[0].splitlines()[2:]
    for row, line in zip(rows, lines, strict=True):
        *_, gain, over_oracle, verdict = (cell.strip() for cell in line.strip("|").split("|"))
        intervals = [
            [float(end) for end in found.groups()[1:]]
            for cell in (gain, over_oracle)
            if (found := INTERVAL.fullmatch(cell)) is not None
        ]
        assert len(intervals) == 2 or over_oracle == "—"
        if min(low for low, _ in intervals) > 0:
            expected = "**helps**"
        else:
            expected = "**hurts**" if intervals[0][1] < 0 else "no evidence"
        assert verdict == expected
        assert row.result["verdict"] in verdict


def test_intervals_are_those_of_the_seeds(accuracy: Any, rows: Any) -> None:
    for row in rows:
        for over, interval in (
            (row.baseline, row.gain),
            (row.result["rival"], row.gain_over_oracle),
        ):
            if interval is not None:
                differences = 100 * (row.scores(row.chosen) - row.scores(over))
                again = accuracy.Interval.of(differences)
                assert [again.points, again.low, again.high] == pytest.approx(
                    [interval.points, interval.low, interval.high]
                )


def test_non_learned_rows_say_so(accuracy: Any, rows: Any) -> None:
    learned = {"transfer", "nuisance", "extrapolate", "blend"}  # in names of trained generators
    for row in rows:
        trained = any(word in row.chosen.split()[0] for word in learned)
        assert ("by a non-learned generator" in accuracy.line(row)) == (not trained)


def test_prose_of_results_is_computed(accuracy: Any, rows: Any) -> None:
    page, figures = prose(DOCS / "results.md"), accuracy.figures(rows)
    assert [name for name, figure in figures.items() if figure not in page] == []


def test_counts_in_readme_are_computed(accuracy: Any, rows: Any) -> None:
    page, figures = prose(ROOT / "README.md"), accuracy.figures(rows)
    for name in ("helps by a trained generator", "pretrained", "beside pythae: rows"):
        assert figures[name] in page


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "results.md"], ids=lambda p: p.name)
def test_intervals_in_prose_are_computed(page: Path, accuracy: Any, rows: Any) -> None:
    known = accuracy.figures(rows).values()
    found = [match.group() for match in INTERVAL.finditer(prose(page))]
    assert found and [each for each in found if each not in known] == []


def test_calibration_is_that_of_the_files() -> None:
    module = load("accuracy/calibration.py")
    result = module.read()
    page = (DOCS / "calibration.md").read_text()
    assert [row for row in module.table_rows(result) if row not in page] == []
    for kind in module.EQUALS:
        ends = module.verdicts(module.points_of(result, kind))
        assert ends["helps"] <= 0.05 and 0.93 <= ends["no evidence"] <= 0.97
    # The best of equals gains on the seeds that it was chosen on, and on no others.
    same, other = (gains.mean() for gains in module.gains_of_chosen(result).values())
    assert same > 0.1 > abs(other)


def test_generator_figures_are_those_of_the_files() -> None:
    lines = (DOCS / "generator_figures.md").read_text().splitlines()
    head, _, real, *rows = [line.strip("| ").split(" | ") for line in lines if line[:1] == "|"]
    for column, title in enumerate(head[1:], start=1):
        stem = title.replace(", ", "-") + "-seed0"
        result = json.loads((GENERATORS / f"{stem}.json").read_text())
        assert real[column] == f"{100 * result['train_on_real']:.1f}"
        assert len(rows) == len(result["rows"])
        for row in result["rows"]:
            apart = ", one a class" if "scope" in row["settings"] else ""
            cell = f"{100 * row['accuracy']:.1f} ({row['recall']:.2f})"
            assert [f"`{row['family']}`{apart}", cell] in [[each[0], each[column]] for each in rows]


def test_speeds_are_those_of_the_files() -> None:
    measured = [
        each
        for file in ("speed/mixing.json", "speed/training.json", "peers/pythae_speed.json")
        for part in ("benchmarks", "rows")
        for each in json.loads((ROOT / "benchmarks" / file).read_text()).get(part, [])
    ]
    known = {
        "{:.2f} ({:.2f} to {:.2f})".format(each["ratio"], *each["quartiles"]) for each in measured
    }
    page = " ".join((DOCS / "speed.md").read_text().split())
    found = re.findall(r"\d\.\d\d \(\d\.\d\d to \d\.\d\d\)", page)
    assert len(found) == 18 and set(found) <= known


def tokens(text: str) -> list[str]:
    """Return the words of a page, without the bars of its tables."""
    return [word for word in text.split() if any(each.isalnum() for each in word)]


@pytest.mark.parametrize("name", WORDS)
def test_pages_are_short(name: str) -> None:
    assert len(tokens((DOCS / name).read_text())) <= WORDS[name]
