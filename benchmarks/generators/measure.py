"""Measure what each generator makes of few real images: one JSON file a data set and size.

    python benchmarks/generators/measure.py DATA --per-class 10 50 --steps 800

Each generator learns from N images per class of the training split. A classifier is then trained on
what it makes alone, 100 images per class, and scored on the test split, beside one that is trained
on the N real images alone, with the same configuration and steps. Precision to coverage compare the
synthetic images with as many other real ones of the training split, in the features of a classifier
that was trained on the whole of it; so does its agreement with the synthetic labels. Seconds are
those of the processor. Files go to `--output`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthaug import LabelledImages, TrainConfig, read_images, train_classifier
from synthaug.classifiers import evaluate, predict
from synthaug.core import resolve_device, versions
from synthaug.data import draw_subset
from synthaug.generators import Composite, Generator, registrations
from synthaug.generators.learning.trained import Trained
from synthaug.generators.learning.training_set import SCOPES
from synthaug.generators.learning.watching import VARIETY, diversity
from synthaug.metrics import extract_features, prdc

FAMILIES = {  # by class name, as the files have them
    each.family.__name__: each.family
    for each in registrations().values()
    if not issubclass(each.family, Composite)
}
EACH = 100  # synthetic images per class
CONFIG = TrainConfig(automatic="randaugment", weight_decay=0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--steps", type=int, default=800, help="of each classifier")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--scope", choices=SCOPES, default="shared")
    parser.add_argument("--fit-steps", type=int, help="of each generator, not its default")
    parser.add_argument("--batch-size", type=int, help="of each generator, not its default")
    parser.add_argument("--output", type=Path, default=Path("generator_figures"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    train, test = read_images(options.data), read_images(options.data, split="test")
    judge = train_classifier(train, config=CONFIG, steps=2 * options.steps, seed=options.seed)
    for count in options.per_class:
        few, others = divide(train, count, options.seed)
        result: dict[str, Any] = {
            "data": options.data,
            "per_class": count,
            "seed": options.seed,
            "steps": options.steps,
            "device": str(resolve_device("auto")),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "judge": score(judge, test),
            "train_on_real": score_trained_on(few, test, options),
            "rows": [],
        }
        for name in options.families:
            row = measure(name, few, others, test, judge, options)
            print(count, row, flush=True)
            result["rows"].append(row)
            target = options.output / f"{Path(options.data).stem}-{count}-seed{options.seed}.json"
            target.write_text(json.dumps(result, indent=1) + "\n")


def divide(train: LabelledImages, count: int, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """Return `count` images per class to learn from, and others to compare with."""
    chosen = draw_subset(train, count, seed=seed)
    rest = train.subset(np.setdiff1d(np.arange(len(train)), chosen))
    size = min(EACH, int(rest.counts.min()))
    return train.subset(chosen), rest.subset(draw_subset(rest, size, seed=seed))


def measure(
    name: str,
    few: LabelledImages,
    others: LabelledImages,
    test: LabelledImages,
    judge: torch.nn.Module,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return the figures of one generator."""
    settings = settings_of(name, options)
    start = time.process_time()
    generator: Generator = FAMILIES[name](**settings).fit(few, seed=options.seed)
    fitted = time.process_time()
    samples = generator.sample(EACH, seed=options.seed)
    sampled = time.process_time()
    made = LabelledImages(samples.images, samples.labels, few.classes)
    features = torch.nn.Sequential(judge[0], judge[1].features)
    found = prdc(extract_features(others.images, features), extract_features(made.images, features))
    agreed = predict(judge, made.images).argmax(1) == made.labels
    return {
        "family": name,
        "settings": settings,
        "synthaug": versions()["synthaug"],
        "fit_seconds": round(fitted - start, 1),
        "images_a_second": round(len(made) / (sampled - fitted)),
        "diversity": round(float(diversity(generator.sample(VARIETY), few).min()), 4),
        "accuracy": score_trained_on(made, test, options),
        "agreement": round(float(agreed.mean()), 4),
        **{name: round(value, 4) for name, value in found._asdict().items()},
    }


def settings_of(family: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line asks for, where it is not the default."""
    if not issubclass(FAMILIES[family], Trained):
        return {}
    scope = None if options.scope == "shared" else options.scope
    values = {"scope": scope, "steps": options.fit_steps, "batch_size": options.batch_size}
    return {name: value for name, value in values.items() if value is not None}


def score_trained_on(
    images: LabelledImages, test: LabelledImages, options: argparse.Namespace
) -> float:
    network = train_classifier(images, config=CONFIG, steps=options.steps, seed=options.seed)
    return score(network, test)


def score(network: torch.nn.Module, test: LabelledImages) -> float:
    return round(evaluate(network, test).accuracy, 4)


if __name__ == "__main__":
    main()
