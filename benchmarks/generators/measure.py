"""What each family makes of few real images, beside those images: one file a data set and size.

    python benchmarks/generators/measure.py DATA --per-class 10 50 --steps 800
    python benchmarks/generators/page.py

Each generator learns from N images a class of the training split. A classifier is then trained on
what it makes alone, 100 images a class, and scored on the test split, beside one that is trained on
the N real images alone, with the same recipe and steps. Precision to coverage compare the synthetic
images with as many other real ones of the training split, in the features of a classifier that was
trained on the whole of it; so does its agreement with the synthetic labels. Seconds are those of
the processor, so that what else the machine does is not among them.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthaug import (
    LabelledImages,
    Recipe,
    evaluate,
    prdc,
    read_images,
    train_classifier,
)
from synthaug.classifiers import predict
from synthaug.generators import FAMILIES
from synthaug.metrics import extract_features
from synthaug.reading import draw_subset
from synthaug.training import resolve_device
from synthaug.versions import versions

RESULTS = Path(__file__).parent / "results"
EACH = 100  # synthetic images a class
RECIPE = Recipe(automatic="randaugment", weight_decay=0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--steps", type=int, default=800, help="of each classifier")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train, test = read_images(options.data), read_images(options.data, split="test")
    judge = train_classifier(train, recipe=RECIPE, steps=2 * options.steps, seed=options.seed)
    for count in options.per_class:
        name = f"{Path(options.data).stem}-{count}-seed{options.seed}.json"
        result = measure(train, test, judge, count, options.steps, options.seed)
        result |= {"data": options.data, "judge": score(judge, test)}
        (RESULTS / name).write_text(json.dumps(result, indent=1) + "\n")


def measure(
    train: LabelledImages,
    test: LabelledImages,
    judge: torch.nn.Module,
    count: int,
    steps: int,
    seed: int,
) -> dict[str, Any]:
    chosen = draw_subset(train, count, seed=seed)
    few, rest = train.subset(chosen), train.subset(np.setdiff1d(np.arange(len(train)), chosen))
    others = rest.subset(draw_subset(rest, min(EACH, int(rest.counts.min())), seed=seed))
    features = torch.nn.Sequential(judge[0], judge[1].features)
    real = extract_features(others.images, features)
    rows = []
    for family in FAMILIES.values():
        start = time.process_time()
        generator = family().fit(few, seed=seed)
        fitted = time.process_time()
        samples = generator.sample(EACH, seed=seed)
        sampled = time.process_time()
        made = LabelledImages(samples.images, samples.labels, train.classes)
        network = train_classifier(made, recipe=RECIPE, steps=steps, seed=seed)
        agreed = predict(judge, made.images).argmax(1) == made.labels
        found = prdc(real, extract_features(made.images, features))
        rows.append(
            {
                "family": family.__name__,
                "fit_seconds": round(fitted - start, 1),
                "images_a_second": round(len(made) / (sampled - fitted)),
                "accuracy": score(network, test),
                "agreement": round(float(agreed.mean()), 4),
                **{name: round(value, 4) for name, value in found._asdict().items()},
            }
        )
        print(count, rows[-1], flush=True)
    network = train_classifier(few, recipe=RECIPE, steps=steps, seed=seed)
    return {
        "per_class": count,
        "seed": seed,
        "steps": steps,
        "device": str(resolve_device("auto")),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "train_on_real": score(network, test),
        "rows": rows,
    }


def score(network: torch.nn.Module, test: LabelledImages) -> float:
    return round(evaluate(network, test).accuracy, 4)


if __name__ == "__main__":
    main()
