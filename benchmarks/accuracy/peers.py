"""Other packages' generators under the same measurement, beside what ours gained.

    python benchmarks/accuracy/peers.py FOLDER --package pythae --jobs 2
    python benchmarks/accuracy/page.py

For each file of results that grid.py wrote, or those that `--only` names: a quarter of each batch
is of the package's VAE, one a class and fitted anew for each seed, with hard labels, on top of the
training that our generators were put on (what they are, and how to install them, stands in
benchmarks/peers/pool.py). It, that training alone, and the baseline meet the test images on the
seeds of the result, at its steps and recipe. Written beside the results, in peers/; what is there
is left alone. What networks said is kept as grid.py keeps it.
"""

import argparse
import shlex
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from again import (
    asked_rows,
    base_of,
    going_on,
    measured_now,
    rows_of,
    scores,
    what_is_given,
)
from stored import CELLS, PEERS, asked_for, comparable, expect_arithmetic, partner_of

from synthaug import Gain, read_images
from synthaug.core import read_json, versions, write_json
from synthaug.gain import Arm, Experiment, Source, synthetic_arm
from synthaug.gain.arms import real_arm
from synthaug.gain.runs.comparison import place_experiment

sys.path.append(str(Path(__file__).parent.parent / "peers"))
from stock import PACKAGES, peer

RATIO = 0.25


def main() -> None:
    parser = rows_of(__doc__.splitlines()[0])
    parser.add_argument("--package", choices=PACKAGES, default="pythae")
    options = parser.parse_args()
    for gain, source, name in asked_rows(options):
        measure(options, gain, source, PEERS / options.package / name)


def measure(options: argparse.Namespace, gain: Gain, source: Path, target: Path) -> None:
    given = what_is_given(source, asked_for(gain))
    test = read_images(source, split="test")
    same = measured_now(gain, given["train"], test)
    if target.exists() and comparable(read_json(target), same):
        return
    print(target.stem, flush=True)
    study = Experiment(**given)
    there = place_experiment(study, options.cache)
    expect_arithmetic(there, gain)
    progress = going_on(there, CELLS / f"{target.stem}.npz")
    partner = real_arm(partner_of(gain), base_of(gain))
    arms = {
        "without": real_arm(gain.baseline, base_of(gain)),
        "alone": partner,
        options.package: with_images_of(options.package, partner),
    }
    steps = gain.protocol["steps"]
    said = scores(study, list(arms.values()), steps, test, gain, options, progress)
    found = {name: said[arm] for name, arm in arms.items()}
    places = f"{shlex.quote(str(options.folder))} --package {options.package} --only {target.stem}"
    made = {
        "ratio": RATIO,
        "versions": {**versions(), options.package: version(options.package)},
        "command": f"python benchmarks/accuracy/peers.py {places}",
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, {**same, **made, **found})
    told = ", ".join(f"{name} {100 * np.mean(each):.1f}" for name, each in found.items())
    print(f"{target.stem}: {told}", flush=True)


def with_images_of(package: str, partner: Arm) -> Arm:
    """Images of another package, on top of an arm."""
    return synthetic_arm(Source(package, peer(package)), partner, RATIO, "hard")


if __name__ == "__main__":
    main()
