"""Check that the pages tell the figures that are stored."""

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
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


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "results.md"], ids=lambda p: p.name)
def test_intervals_in_prose_are_computed(page: Path, accuracy: Any, rows: Any) -> None:
    known = accuracy.figures(rows).values()
    found = [match.group() for match in INTERVAL.finditer(prose(page))]
    assert found and [each for each in found if each not in known] == []


@pytest.mark.parametrize("name", WORDS)
def test_pages_are_short(name: str) -> None:
    assert len((DOCS / name).read_text().split()) <= WORDS[name]
