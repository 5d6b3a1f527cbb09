"""What each family makes of few real images, beside those images: one file a data set and size.

    python benchmarks/generators/measure.py DATA --per-class 10 50 --steps 800
    python benchmarks/generators/page.py

Each generator learns from N images per class of the training split. A classifier is then trained on
what it makes alone, 100 images per class, and scored on the test split, beside one that is trained
on the N real images alone, with the same recipe and steps. Precision to coverage compare the
synthetic images with as many other real ones of the training split, in the features of a classifier
that was trained on the whole of it; so does its agreement with the synthetic labels. Seconds are
those of the processor, so that what else the machine does is not among them. A family that is
measured again (`--families`) takes the place of its older row; the others stay. Strips of samples
are kept beside the figures, for the page.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synthaug import LabelledImages, TrainConfig, read_images, train_classifier
from synthaug.classifiers import evaluate
from synthaug.metrics import prdc
from synthaug.classifiers import predict
from synthaug.core import resolve_device, versions
from synthaug.data import draw_subset
from synthaug.generators import Generator
from synthaug.generators.learning.trained import Trained
from synthaug.generators.learning.training_set import SCOPES
from synthaug.generators.learning.watching import VARIETY, diversity
from synthaug.generators.registry import SINGLE
from synthaug.metrics import extract_features

RESULTS = Path(__file__).parent / "results"
EACH = 100  # synthetic images per class
SHOWN = 10, 2  # classes, and samples of each, on a strip
RECIPE = TrainConfig(automatic="randaugment", weight_decay=0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--steps", type=int, default=800, help="of each classifier")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", nargs="+", choices=SINGLE, default=list(SINGLE))
    parser.add_argument("--scope", choices=SCOPES, default="shared")
    parser.add_argument("--fit-steps", type=int, help="of each generator, not its default")
    parser.add_argument("--batch-size", type=int, help="of each generator, not its default")
    options = parser.parse_args()
    train, test = read_images(options.data), read_images(options.data, split="test")
    judge = train_classifier(train, config=RECIPE, steps=2 * options.steps, seed=options.seed)
    for count in options.per_class:
        few, others = divide(train, count, options.seed)
        stem = RESULTS / f"{Path(options.data).stem}-{count}-seed{options.seed}"
        expect_steps(stem.with_suffix(".json"), options.steps)
        stem.mkdir(parents=True, exist_ok=True)
        write_strip(stem / "real.png", few)
        network = train_classifier(few, config=RECIPE, steps=options.steps, seed=options.seed)
        result = {
            "data": options.data,
            "per_class": count,
            "seed": options.seed,
            "steps": options.steps,
            "device": str(resolve_device("auto")),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "judge": score(judge, test),
            "train_on_real": score(network, test),
        }
        for name in options.families:
            start = time.process_time()
            settings = asked(name, options)
            generator = SINGLE[name](**settings).fit(few, seed=options.seed)
            fitted = time.process_time()
            samples = generator.sample(EACH, seed=options.seed)
            sampled = time.process_time()
            made = LabelledImages(samples.images, samples.labels, train.classes)
            write_strip(stem / f"{name}{'-per-class' if 'scope' in settings else ''}.png", made)
            row = {
                "family": name,
                "settings": settings,
                "synthaug": versions()["synthaug"],
                "fit_seconds": round(fitted - start, 1),
                "images_a_second": round(len(made) / (sampled - fitted)),
                "diversity": least_diversity(generator, few),
                **judged(made, test, others, judge, options.steps, options.seed),
            }
            print(count, row, flush=True)
            keep(stem.with_suffix(".json"), result, row)


def divide(train: LabelledImages, count: int, seed: int) -> tuple[LabelledImages, LabelledImages]:
    """`count` images per class to learn from, and others to compare with."""
    chosen = draw_subset(train, count, seed=seed)
    rest = train.subset(np.setdiff1d(np.arange(len(train)), chosen))
    return train.subset(chosen), rest.subset(
        draw_subset(rest, min(EACH, int(rest.counts.min())), seed=seed)
    )


def judged(
    made: LabelledImages,
    test: LabelledImages,
    others: LabelledImages,
    judge: torch.nn.Module,
    steps: int,
    seed: int,
) -> dict[str, float]:
    """What the synthetic images are worth by themselves."""
    agreed = predict(judge, made.images).argmax(1) == made.labels
    features = torch.nn.Sequential(judge[0], judge[1].features)
    found = prdc(extract_features(others.images, features), extract_features(made.images, features))
    return {
        "accuracy": judged_alone(made, test, steps, seed),
        "agreement": round(float(agreed.mean()), 4),
        **{name: round(value, 4) for name, value in found._asdict().items()},
    }


def least_diversity(generator: Generator, few: LabelledImages) -> float:
    """Of the class where it is least: how far apart two samples are, beside two real images."""
    return round(float(diversity(generator.sample(VARIETY), few).min()), 4)


def judged_alone(made: LabelledImages, test: LabelledImages, steps: int, seed: int) -> float:
    """The test accuracy of a classifier that learned from synthetic images alone."""
    return score(train_classifier(made, config=RECIPE, steps=steps, seed=seed), test)


def keep(path: Path, result: dict[str, Any], row: dict[str, Any]) -> None:
    """Write `row` in its place among those of the families."""
    older = json.loads(path.read_text()) if path.exists() else {"rows": []}
    if older["rows"] and older["versions"] != result["versions"]:
        beside = {name: older[name] for name in ("judge", "train_on_real")}
        beside["synthaug"] = older["versions"]["synthaug"]
        older["rows"] = [beside | kept for kept in older["rows"]]
    rows = {
        (kept["family"], kept["settings"].get("scope", "shared")): kept
        for kept in [*older["rows"], row]
    }
    ordered = [rows[name, scope] for name in SINGLE for scope in SCOPES if (name, scope) in rows]
    path.write_text(json.dumps({**result, "rows": ordered}, indent=1) + "\n")


def expect_steps(path: Path, steps: int) -> None:
    """End the program where rows that are there are of classifiers of another length."""
    known = json.loads(path.read_text())["steps"] if path.exists() else steps
    if known != steps:
        raise SystemExit(
            f"{path}: expected rows at {steps} steps, got those at {known}; ask for as many, or "
            "move the file away to measure anew"
        )


def asked(family: str, options: argparse.Namespace) -> dict[str, Any]:
    """What the command line asks for, where it is not the family's default."""
    if not issubclass(SINGLE[family], Trained):
        return {}
    scope = None if options.scope == "shared" else options.scope
    wanted = {"scope": scope, "steps": options.fit_steps, "batch_size": options.batch_size}
    return {name: value for name, value in wanted.items() if value is not None}


def write_strip(path: Path, images: LabelledImages) -> None:
    """The first images of some classes, one class a column."""
    columns, rows = SHOWN
    classes = len(images.classes)
    shown = np.unique(np.linspace(0, classes - 1, min(columns, classes)).round().astype(int))
    tiles = np.stack([images.images[images.labels == label][:rows] for label in shown])
    sheet = tiles.transpose(1, 3, 0, 4, 2)  # rows, height, columns, width, channels
    sheet = sheet.reshape(rows * tiles.shape[3], -1, tiles.shape[2])
    Image.fromarray(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet).save(path)


def score(network: torch.nn.Module, test: LabelledImages) -> float:
    return round(evaluate(network, test).accuracy, 4)


if __name__ == "__main__":
    main()
