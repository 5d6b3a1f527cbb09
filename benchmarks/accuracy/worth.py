"""What a gain is worth: the best training without synthetic images, given two and four times as
many real ones, or twice the steps; and the chosen one with them, for twice the steps, too.

    python benchmarks/accuracy/worth.py FOLDER --jobs 2
    python benchmarks/accuracy/page.py

For each file of results that grid.py wrote, or those that `--only` names: the same recipe, seeds
and network as its baseline, for as many steps on more images per class, its own among them, as far
as the data have them (`room`); then on its images alone for twice the steps. Written beside the
results, in worth/, each part as soon as it is measured; what is there is left alone. Trained
networks are kept in `--cache`, where grid.py keeps its own, so that a run that was stopped goes on
where it was.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from again import asked_rows, base_of, measured_now, rows_of, scores
from stored import WORTH, comparable, expect_arithmetic, mix_of

from synthaug import Gain, read_images
from synthaug.classifiers import Backbone
from synthaug.core import read_json, write_json
from synthaug.data import splits_of
from synthaug.gain import Arm, Experiment, default_sources, synthetic_arm
from synthaug.gain.arms import real_arm
from synthaug.gain.runs.comparison import place_experiment
from synthaug.gain.runs.folds import UNUSED_SHARE

TIMES = (2, 4)
LONGER = 2


def main() -> None:
    options = rows_of(__doc__.splitlines()[0]).parse_args()
    for gain, source, name in asked_rows(options):
        if gain.protocol["per_class"] is not None:
            measure(options, gain, source, WORTH / name)


def measure(options: argparse.Namespace, gain: Gain, source: Path, target: Path) -> None:
    train, test = read_images(source), read_images(source, split="test")
    validation = read_images(source, split="val") if "val" in splits_of(source) else None
    count, steps = int(gain.protocol["per_class"]), int(gain.protocol["steps"])
    room = int(train.counts.min())
    if validation is None:
        room = int((1 - UNUSED_SHARE) * room)  # the rest is what choices are made on
    same = measured_now(gain, train, test)
    known: dict[str, Any] = read_json(target) if target.exists() else {}
    if not comparable(known, same):
        known = {**same, "times": {}}
    known["room"] = room
    baseline, chosen = arms(gain)

    def scored(arm: Arm, images: int, longer: int, what: str) -> list[float]:
        classifier, batch_size = (
            Backbone.of(gain.protocol["classifier"]),
            gain.protocol["batch_size"],
        )
        study = Experiment(train, validation, images, classifier, batch_size, device="auto")
        expect_arithmetic(place_experiment(study, options.cache), gain)
        found = scores(study, [arm], longer * steps, test, gain, options)[arm]
        print(f"{target.stem}: {arm.name}, {what}: {100 * np.mean(found):.1f}", flush=True)
        return found

    def keep(**parts: Any) -> None:
        known.update(parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_json(target, known)

    for each in TIMES:
        if each * count <= room and str(each) not in known["times"]:
            found = scored(baseline, each * count, 1, f"{each} x images")
            keep(times={**known["times"], str(each): found})
    if "longer" not in known:
        keep(longer=scored(baseline, count, LONGER, f"{LONGER} x steps"))
    if known.get("chosen") != chosen.name:
        found = scored(chosen, count, LONGER, f"{LONGER} x steps")
        keep(chosen=chosen.name, chosen_longer=found)


def arms(gain: Gain) -> tuple[Arm, Arm]:
    """The best without synthetic images and the chosen one with them, as they were trained."""
    base = base_of(gain)
    name, ratio, labels, partner = mix_of(gain.chosen["arm"])
    source = next(source for source in default_sources() if source.name == name)
    chosen = synthetic_arm(source, real_arm(partner, base), ratio, labels)
    return real_arm(gain.baseline, base), chosen


if __name__ == "__main__":
    main()
