"""pythae's VAE under the same measurement, beside what ours gained.

    python benchmarks/accuracy/peers.py FOLDER --jobs 2
    python benchmarks/accuracy/page.py

For each file of results that grid.py wrote, or those that `--only` names: a quarter of each batch
is of pythae's VAE, one a class and fitted anew for each seed, with hard labels, on top of the
training that our generators were put on (how to install it stands in
benchmarks/peers/pythae_pool.py). It, that training alone, and the baseline meet the test images on
the seeds of the result, at its steps and recipe. Written beside the results, in peers/; what is
there is left alone. What networks said is kept as grid.py keeps it.
"""

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
from again import base_of, going_on, scores, what_is_given
from stored import (
    CACHE,
    CELLS,
    PEERS,
    RESULTS,
    comparable,
    expect_arithmetic,
    measured_on,
    most_given,
    partner_of,
)

from synthaug import Gain, read_images
from synthaug.files import read_json, write_json
from synthaug.gain import Source
from synthaug.gain.arms import Arm, real_arm, synthetic_arm
from synthaug.gain.trials import Study, placed
from synthaug.versions import versions

RATIO = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="as in mnist-10")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    for path in sorted(RESULTS.glob("*.json")):
        gain = Gain.load(path)
        source = options.folder / Path(str(gain.data["name"])).name
        if source.exists() and (not options.only or path.stem in options.only):
            measure(options, gain, source, PEERS / path.name)


def measure(options: argparse.Namespace, gain: Gain, source: Path, target: Path) -> None:
    given = what_is_given(source, int(gain.protocol["per_class"] or most_given(gain) or 0))
    test = read_images(source, split="test")
    same = measured_on(gain) | {
        "fingerprint": given["train"].fingerprint,
        "test_fingerprint": test.fingerprint,
    }
    if target.exists() and comparable(read_json(target), same):
        return
    print(target.stem, flush=True)
    cache = options.cache.expanduser()
    study = Study(**given)
    there = placed(study, cache)
    expect_arithmetic(there, gain)
    progress = going_on(there, CELLS / f"{target.stem}.npz")
    running = {"jobs": options.jobs, "cache": cache, "keep": True, "progress": progress}
    partner = real_arm(partner_of(gain), base_of(gain))
    arms = {
        "without": real_arm(gain.baseline, base_of(gain)),
        "alone": partner,
        "pythae": with_pythae(partner),
    }
    said = scores(study, list(arms.values()), gain.protocol["steps"], test, gain, running)
    found = {name: said[arm] for name, arm in arms.items()}
    places = f"{shlex.quote(str(options.folder))} --only {target.stem}"
    made = {
        "partner": partner.name,
        "ratio": RATIO,
        "versions": versions(),
        "command": f"python benchmarks/accuracy/peers.py {places}",
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, {**same, **made, **found})
    told = ", ".join(f"{name} {100 * np.mean(each):.1f}" for name, each in found.items())
    print(f"{target.stem}: {told}", flush=True)


def with_pythae(partner: Arm) -> Arm:
    """Images of pythae's VAE, sampled from a Gaussian mixture of its codes, on top of an arm."""
    sys.path.append(str(Path(__file__).parent.parent / "peers"))
    from pythae_generator import PythaeVAE

    return synthetic_arm(Source("pythae", PythaeVAE()), partner, RATIO, "hard")


if __name__ == "__main__":
    main()
