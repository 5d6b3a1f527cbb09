"""Measure the images of pythae's VAE as ours are measured.

    pip install --no-deps pythae==0.1.2 imageio
    python benchmarks/accuracy/measure_peers.py FOLDER --jobs 2

For each stored row a quarter of each batch is of a VAE of pythae, one for each class and fitted
anew for each seed, with hard labels, on the base arm that our generators were put on. It, the base
arm alone and the baseline are scored on the test images, on the seeds of the row, at its steps and
configuration. Written to results/peers/pythae; what is there is left alone.

(`--no-deps` leaves out `dataclasses`, an old copy of what Python has.)
"""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from results_table import RESULTS, Row, percent
from stored_rows import conditions, config_of, parse_rows, read_row_images, score_arms, wanted_rows

from synthaug.core import versions, write_json
from synthaug.gain import Source, synthetic_arm
from synthaug.gain.arms import real_arm

sys.path.append(str(Path(__file__).parent.parent / "peers"))
from pythae_generator import PythaeVAE

RATIO = 0.25


def main() -> None:
    options = parse_rows(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    for row, path in wanted_rows(options):
        if row.beside("peers/pythae") is None:
            measure(options, row, path)


def measure(options: argparse.Namespace, row: Row, path: Path) -> None:
    images, per_class = read_row_images(path, int(row.stem.rsplit("-", 1)[1]))
    base_arm = real_arm(row.base_arm, config_of(row))
    arms = {
        "without": real_arm(row.baseline, config_of(row)),
        "alone": base_arm,
        "pythae": synthetic_arm(Source("pythae", PythaeVAE()), base_arm, RATIO, "hard"),
    }
    how = {"per_class": per_class, "steps": row.protocol["steps"]}
    scores = score_arms(list(arms.values()), row, images, options, **how)
    result = {
        **conditions(row, images),
        "ratio": RATIO,
        "versions": {**versions(), "pythae": version("pythae")},
        **dict(zip(arms, scores, strict=True)),
    }
    target = RESULTS / "peers" / "pythae" / f"{row.stem}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, result)
    print(f"{row.stem}:", dict(zip(arms, map(percent, scores), strict=True)), flush=True)


if __name__ == "__main__":
    main()
