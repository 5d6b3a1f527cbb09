"""Writes docs/families.md from the files in benchmarks/generators/results.

python benchmarks/generators/page.py
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "benchmarks" / "generators" / "results"
PAGE = ROOT / "docs" / "families.md"
HEAD = """\
# Which generator?

What each family makes of few real images, with its default settings. *Accuracy* is that of a
classifier trained on 100 synthetic images a class **alone**, on the test split; beside it stands
one trained on the real images themselves. It says how much of the classes a family has caught, and
is no gain: whether images help *beside* the real ones is what [`synthaug gain`](results.md)
measures. *Agreement* is how often a classifier that was trained on the whole training split sees
the class that an image was made for; precision to coverage are taken in its features, against as
many other real images. Seconds are those of the processor. One run each, with one seed:
differences of a few points are chance.

Written by `python benchmarks/generators/page.py` from `benchmarks/generators/results/`.
"""
COLUMNS = """\
| family | accuracy | agreement | precision | recall | density | coverage | fit, s | images a s |
|---|---|---|---|---|---|---|---|---|
"""


def read_results() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]


def page(results: list[dict[str, Any]]) -> str:
    return HEAD + "".join(map(_section, results))


def _section(result: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    command = (
        f"python benchmarks/generators/measure.py {result['data']} "
        f"--per-class {result['per_class']} --steps {result['steps']} --seed {result['seed']}"
    )
    return (
        f"\n## {Path(result['data']).stem}, {result['per_class']} a class\n\n"
        f"Trained on the real images: {100 * result['train_on_real']:.1f} %. The classifier that "
        f"agreement is taken from: {100 * result['judge']:.1f} %. On {result['device']}, "
        f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}; {versions}; "
        f"`{command}`.\n\n{COLUMNS}" + "".join(_row(row) for row in result["rows"])
    )


def _row(row: dict[str, Any]) -> str:
    shares = (row[name] for name in ("precision", "recall", "density", "coverage"))
    return (
        f"| `{row['family']}` | {100 * row['accuracy']:.1f} | {100 * row['agreement']:.1f} | "
        + " | ".join(f"{value:.2f}" for value in shares)
        + f" | {row['fit_seconds']:.0f} | {row['images_a_second']} |\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(read_results()))
