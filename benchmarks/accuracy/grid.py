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

With `--peers` pythae's VAE is measured where there are results already: a quarter of all images are
its, with hard labels, on top of the training that our generators were put on, tuned as it was then
(how to install it stands in benchmarks/peers/pythae_pool.py). What was kept is not trained again;
the results are beside ours, in peers/.

A class that has fewer images than asked for gives all that it has; of the others, the same images
are then taken for all seeds.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
from cells import restore, store
from stored import CACHE, CELLS, RESULTS, SETS, SIZES, expect_arithmetic, partner_of

from synthaug import Gain, LabelledImages, Recipe, StyleSwap, measure_gain, read_images
from synthaug.classifiers import Backbone
from synthaug.gain import Source
from synthaug.gain.arms import default_sources
from synthaug.gain.trials import Stages, Study, placed
from synthaug.mixing import MixRecipe
from synthaug.reading import splits_of
from synthaug.seeding import numpy_stream


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help=f"default: all of {', '.join(SETS)}")
    parser.add_argument("--per-class", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--precision", type=float, help="see `synthaug gain`")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=CACHE)
    options = parser.parse_args()
    for name in options.sets or SETS:
        for count in options.per_class:
            folder = RESULTS / "peers" if options.peers else RESULTS
            target = folder / f"{name}-{count}.json"
            if options.sets or not target.exists():
                print(f"{name}, {count} per class", flush=True)
                measure(options, name, count, target)


def measure(options: argparse.Namespace, name: str, count: int, target: Path) -> None:
    ours = RESULTS / f"{name}-{count}.json"
    if options.peers and not ours.exists():
        print("  left out: our generators were not measured on it")
        return
    path = options.folder / f"{name}.npz"
    given = what_is_given(path, count)
    cache = options.cache.expanduser()
    study = placed(Study(**given), cache)
    said = CELLS / target.name.replace(".json", ".npz")
    row = Gain.load(ours) if options.peers else None
    if row is not None:
        expect_arithmetic(study, row)
    progress = going_on(study, said)
    gain = measure_gain(
        **given,
        test=read_images(path, split="test"),
        sources=[Source("style-swap", StyleSwap())] if options.peers else default_sources(),
        mix=None if row is None else peer(row),
        seeds=options.seeds,
        precision=options.precision,
        recipe=None if row is None else Recipe(**row.protocol["recipe"]),
        steps=None if row is None else row.protocol["steps"],
        name=str(path),
        jobs=options.jobs,
        cache=cache,
        keep=True,
        progress=progress,
    )
    if row is not None:
        gain.protocol["tuning"] = row.protocol["tuning"]
    if given["per_class"] is None:
        gain.protocol["caveats"].append(f"at most {count} images per class, all where it has fewer")
    keep(gain, target, command(options, name, count))


def what_is_given(path: Path, count: int) -> dict[str, Any]:
    """The arguments of `measure_gain` that tuning goes by, too."""
    train = read_images(path)
    scarce = int(train.counts.min()) < count
    return {
        "train": at_most(train, count) if scarce else train,
        "validation": read_images(path, split="val") if "val" in splits_of(path) else None,
        "per_class": None if scarce else count,
        "classifier": Backbone(),
        "batch_size": 64,
        "device": "auto",
    }


def command(options: argparse.Namespace, name: str, count: int) -> str:
    """The command that makes a result again."""
    asked = f"--sets {name} --per-class {count} --seeds {options.seeds}"
    if options.precision is not None:
        asked += f" --precision {options.precision:g}"
    asked += " --peers" * options.peers
    return f"python benchmarks/accuracy/grid.py {shlex.quote(str(options.folder))} {asked}"


def keep(gain: Gain, target: Path, command: str) -> None:
    """Write a result with the command that makes it again."""
    gain.protocol["command"] = command
    target.parent.mkdir(parents=True, exist_ok=True)
    gain.save(target)
    print(gain.sentence(), flush=True)


def peer(ours: Gain) -> MixRecipe:
    """Images of pythae's VAE, one a class, sampled from a Gaussian mixture of its codes, on top of
    what ours were tried on."""
    sys.path.append(str(Path(__file__).parent.parent / "peers"))
    from pythae_generator import PythaeVAE

    return MixRecipe(PythaeVAE(), 0.25, training={"partner": partner_of(ours)})


def at_most(train: LabelledImages, count: int) -> LabelledImages:
    """`count` images of each class, all of one that has fewer."""
    kept = [
        numpy_stream(0, "at most", label).permutation(np.flatnonzero(train.labels == label))[:count]
        for label in range(len(train.classes))
    ]
    return train.subset(np.sort(np.concatenate(kept)))


def going_on(study: Study, said: Path) -> Stages:
    """Put the cells of a file where a study looks for its own; what says how far it is, and keeps
    them there from then on."""
    print(f"  {restore(said, study.directory)} cells from {said.name}", flush=True)

    def progress(what: str, done: int, known: int) -> None:
        say(what, done, known)
        store(study.directory, said)

    return progress


def say(what: str, done: int, known: int) -> None:
    if sys.stdout.isatty():
        print(f"\r{what}: {done} of {known}\033[K", end="", flush=True)
    elif done % 25 == 0:
        print(f"{what}: {done} of {known}", flush=True)


if __name__ == "__main__":
    main()
