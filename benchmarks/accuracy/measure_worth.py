"""Measure what a gain is worth: in real images, and in optimiser steps.

    python benchmarks/accuracy/measure_worth.py FOLDER --jobs 2

For each stored row: its baseline with two and four times as many real images per class, as far as
the set has them (`room`), and with twice the steps; then its chosen arm with twice the steps.
Configuration, seeds and network are those of the row. Each part is written to results/worth as soon
as it is measured, and what is there is left alone.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from results_table import RESULTS, Row
from stored_rows import conditions, config_of, parse_rows, read_row_images, score_arms, wanted_rows

from synthaug.core import write_json
from synthaug.gain import Arm, default_sources, synthetic_arm
from synthaug.gain.arms import real_arm

TIMES = 2, 4
UNUSED = 0.3  # share of the training images that choices take where there is no validation split


def main() -> None:
    options = parse_rows(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    for row, path in wanted_rows(options):
        if row.protocol["per_class"] is not None:
            measure(options, row, path)


def measure(options: argparse.Namespace, row: Row, path: Path) -> None:
    count, steps = row.protocol["per_class"], row.protocol["steps"]
    images, _ = read_row_images(path, count)
    room = int((1 if "val" in images else 1 - UNUSED) * images["train"].counts.min())
    target = RESULTS / "worth" / f"{row.stem}.json"
    same = conditions(row, images)
    known: dict[str, Any] = row.beside("worth") or {**same, "times": {}}
    known["room"] = room
    baseline, chosen = real_arm(row.baseline, config_of(row)), chosen_arm(row)

    def score(arm: Arm, per_class: int, longer: int) -> list[float]:
        how = {"per_class": per_class, "steps": longer * steps}
        [scores] = score_arms([arm], row, images, options, **how)
        return scores

    def keep(**parts: Any) -> None:
        known.update(parts)
        target.parent.mkdir(exist_ok=True)
        write_json(target, known)
        print(row.stem, json.dumps(parts), flush=True)

    for each in TIMES:
        if each * count <= room and str(each) not in known["times"]:
            keep(times={**known["times"], str(each): score(baseline, each * count, 1)})
    if "longer" not in known:
        keep(longer=score(baseline, count, 2))
    if known.get("chosen") != chosen.name:
        keep(chosen=chosen.name, chosen_longer=score(chosen, count, 2))


def chosen_arm(row: Row) -> Arm:
    """Return the chosen arm as it was trained, from its name."""
    found = re.fullmatch(r"(.+) (\S+) (hard|mixed), (.+)", row.chosen)
    assert found is not None, row.chosen
    name, ratio, labels, base_arm = found.groups()
    source = next(source for source in default_sources() if source.name == name)
    rule = "hard" if labels == "hard" else "mixed"
    return synthetic_arm(source, real_arm(base_arm, config_of(row)), float(ratio), rule)


if __name__ == "__main__":
    main()
