"""Does it help? The gain on each data set at each size, one file each.

    python benchmarks/accuracy/grid.py FOLDER --jobs 2
    python benchmarks/accuracy/page.py

FOLDER holds the sets as `.npz` files. Each file of results is what `measure_gain` gave, under the
whole protocol: the baselines tuned first, all choices on validation images, the test split last.
What is finished is kept: cells (one arm, one seed) in `--cache`, results in
benchmarks/accuracy/results, so that a run can be stopped at any time and goes on where it was, and
one with more seeds or other generators trains only what is new. A set or a size that is named is
measured again. What the cells said, of the images that choices are made on and then of test images,
is kept beside the results, too, in cells/, from where it is taken if the cache is not there: a row
of many hours can be measured in several sittings and on several machines. (The networks are not
kept, so that one that has not met the test images in one sitting is trained again in the next.)
Machines have to multiply alike: SYNTHAUG_ARITHMETIC=bfloat16 in the environment has those do so
that would compute in float32. What is there of other images, another version or arithmetic is not
written over: move it away to measure anew.

A class that has fewer images than asked for gives all that it has; of the others, the same images
are then taken for all seeds.
"""

import argparse
import shlex
from pathlib import Path

from again import going_on, parser_of, what_is_given
from stored import CELLS, RESULTS, SETS, SIZES

from synthaug import Gain, measure_gain, read_images
from synthaug.gain import Experiment
from synthaug.gain.runs.comparison import place_experiment


def main() -> None:
    parser = parser_of(__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", help=f"default: all of {', '.join(SETS)}")
    parser.add_argument("--per-class", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--precision", type=float, help="see `synthaug gain`")
    options = parser.parse_args()
    for name in options.sets or SETS:
        for count in options.per_class:
            target = RESULTS / f"{name}-{count}.json"
            if options.sets or not target.exists():
                print(f"{name}, {count} per class", flush=True)
                measure(options, name, count, target)


def measure(options: argparse.Namespace, name: str, count: int, target: Path) -> None:
    path = options.folder / f"{name}.npz"
    given = what_is_given(path, count)
    progress = going_on(
        place_experiment(Experiment(**given), options.cache), CELLS / f"{target.stem}.npz"
    )
    gain = measure_gain(
        **given,
        test=read_images(path, split="test"),
        seeds=options.seeds,
        precision=options.precision,
        name=str(path),
        jobs=options.jobs,
        cache=options.cache,
        keep=True,
        progress=progress,
    )
    if given["per_class"] is None:
        gain.protocol["caveats"].append(f"at most {count} images per class, all where it has fewer")
    keep(gain, target, command(options, name, count))


def command(options: argparse.Namespace, name: str, count: int) -> str:
    """The command that makes a result again."""
    asked = f"--sets {name} --per-class {count} --seeds {options.seeds}"
    if options.precision is not None:
        asked += f" --precision {options.precision:g}"
    return f"python benchmarks/accuracy/grid.py {shlex.quote(str(options.folder))} {asked}"


def keep(gain: Gain, target: Path, command: str) -> None:
    """Write a result with the command that makes it again."""
    gain.protocol["command"] = command
    target.parent.mkdir(parents=True, exist_ok=True)
    gain.save(target)
    print(gain.sentence(), flush=True)


if __name__ == "__main__":
    main()
