"""Measure the gain on each data set at each size, one JSON file each.

    python benchmarks/accuracy/measure_gains.py FOLDER --jobs 2
    python benchmarks/accuracy/results_table.py

FOLDER holds the sets as `.npz` files. Each is measured under the whole protocol of `synthaug gain`.
Finished runs are kept in `--cache`, so that it can be stopped and started again. A row that is
there is not measured again, unless its set is named.
"""

import argparse
import shlex
from pathlib import Path

from results_table import RESULTS
from stored_rows import read_row_images

from synthaug import measure_gain
from synthaug.gain import Execution, Protocol

SETS = "gtsrb32", "cifar10", "fashion_mnist", "wbc_types64", "pneumoniamnist", "mnist", "covid_ct"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help=f"default: all of {', '.join(SETS)}")
    parser.add_argument("--per-class", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/synthaug/gains"))
    options = parser.parse_args()
    for name in options.sets or SETS:
        for count in options.per_class:
            target = RESULTS / f"{name}-{count}.json"
            if options.sets or not target.exists():
                print(f"{name}, {count} per class", flush=True)
                measure(options, name, count, target)


def measure(options: argparse.Namespace, name: str, count: int, target: Path) -> None:
    path = options.folder / f"{name}.npz"
    images, per_class = read_row_images(path, count)
    gain = measure_gain(
        images["train"],
        images["test"],
        validation=images.get("val"),
        protocol=Protocol(seeds=options.seeds, per_class=per_class),
        execution=Execution(jobs=options.jobs, cache=options.cache, keep=True),
        name=str(path),
    )
    if per_class is None:
        gain.protocol["caveats"].append(f"at most {count} images per class, all where it has fewer")
    words = f"--sets {name} --per-class {count} --seeds {options.seeds}"
    folder = shlex.quote(str(options.folder))
    gain.protocol["command"] = f"python benchmarks/accuracy/measure_gains.py {folder} {words}"
    gain.save(target)
    print(gain.sentence(), flush=True)


if __name__ == "__main__":
    main()
