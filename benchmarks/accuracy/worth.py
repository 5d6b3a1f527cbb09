"""What a gain is worth: the best training without synthetic images, given two and four times as
many real ones, or twice the steps.

    python benchmarks/accuracy/worth.py FOLDER --jobs 2
    python benchmarks/accuracy/page.py

For each file of results that grid.py wrote, or those that `--only` names: the same recipe, seeds
and network as its baseline, on its images for twice the steps; then for as many steps on more
images a class, its own among them, as far as the data have them. Written beside the results, in
worth/, each part as soon as it is measured; what is there is left alone.
"""

import argparse
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from stored import RESULTS, WORTH, measured_on

from synthaug import Gain, LabelledImages, Recipe, evaluate, read_images, train_classifier
from synthaug.classifiers import predict
from synthaug.files import read_json, write_json
from synthaug.gain.arms import Arm, real_arm
from synthaug.gain.parts import UNUSED_SHARE, plan_parts
from synthaug.mixing.labels import mixed_labels
from synthaug.reading import splits_of

TIMES = (2, 4)
LONGER = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="as in mnist-10")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    for path in sorted(RESULTS.glob("*.json")):
        gain = Gain.load(path)
        if options.only and path.stem not in options.only:
            continue
        source = options.folder / Path(str(gain.data["name"])).name
        if gain.protocol["per_class"] is not None and source.exists():
            measure(gain, source, WORTH / path.name, options.jobs)


def measure(gain: Gain, source: Path, target: Path, jobs: int) -> None:
    train, test = read_images(source), read_images(source, split="test")
    validation = read_images(source, split="val") if "val" in splits_of(source) else None
    count = int(gain.protocol["per_class"])
    room = train.counts.min()
    if validation is None:
        room = int((1 - UNUSED_SHARE) * room)  # the rest is what choices are made on
    same = measured_on(gain)
    known = read_json(target) if target.exists() else {}
    if any(known.get(name) != value for name, value in same.items()):
        known = {**same, "times": {}}
    base = Recipe(**gain.protocol["recipe"])
    arm, teacher = real_arm(gain.baseline, base), real_arm(gain.partner, base)

    def scores(images: int, longer: int) -> list[float]:
        tasks = [
            joblib.delayed(score)(
                arm, teacher, more(train, validation, images, seed), test, gain, seed, longer
            )
            for seed in gain.protocol["seeds"]
        ]
        return list(joblib.Parallel(n_jobs=jobs)(tasks))

    def keep(what: str, found: list[float]) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_json(target, known)
        before, after = np.mean(gain.scores(gain.baseline)), np.mean(found)
        print(f"{target.stem}: {100 * before:.1f}, {what}: {100 * after:.1f}", flush=True)

    if "longer" not in known:
        known["longer"] = scores(count, LONGER)
        keep(f"{LONGER} x steps", known["longer"])
    for each in TIMES:
        if each * count <= room and str(each) not in known["times"]:
            known["times"][str(each)] = scores(each * count, 1)
            keep(f"{each} x images", known["times"][str(each)])


def more(
    train: LabelledImages, validation: LabelledImages | None, larger: int, seed: int
) -> LabelledImages:
    """The seed's images and others, `larger` a class: a smaller subset is part of a larger one."""
    parts, _ = plan_parts(train, validation, larger, seed)
    return next(part.train for part in parts if part.tested)


def score(
    arm: Arm,
    teacher: Arm,
    train: LabelledImages,
    test: LabelledImages,
    gain: Gain,
    seed: int,
    longer: int,
) -> float:
    """Of the arm on test images, after `longer` times as many steps as it took."""
    torch.set_num_threads(1)
    setting: dict[str, Any] = {
        "classifier": gain.protocol["classifier"],
        "steps": longer * gain.protocol["steps"],
        "batch_size": gain.protocol["batch_size"],
        "seed": seed,
    }
    soft = None
    if arm.distilled:
        taught = train_classifier(train, recipe=teacher.recipe, **setting)
        soft = mixed_labels(train.labels, predict(taught, train.images))
    network = train_classifier(train, recipe=arm.recipe, soft_labels=soft, **setting)
    return evaluate(network, test).by(gain.protocol["metric"])


if __name__ == "__main__":
    main()
