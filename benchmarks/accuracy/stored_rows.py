"""Train arms again on what a stored row was measured on."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from results_table import Row, read_rows

from synthaug import LabelledImages, TrainConfig, read_images
from synthaug.classifiers import Backbone
from synthaug.core import arithmetic, numpy_stream, resolve_device
from synthaug.data import splits_of
from synthaug.gain import Arm, Experiment, open_comparison
from synthaug.gain.arms import real_arm
from synthaug.gain.held_out_scores import HeldOutScores


def parse_rows(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the options, with those of which rows and where."""
    stems = [row.stem for row in read_rows()]
    parser.add_argument("folder", type=Path, help="of the sets, as .npz files")
    parser.add_argument("--rows", nargs="+", choices=stems, default=stems, metavar="ROW")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/synthaug/rows"))
    return parser.parse_args()


def wanted_rows(options: argparse.Namespace) -> Iterator[tuple[Row, Path]]:
    """Each row whose images are there, with their file.

    Ends the program where networks multiply otherwise here than those of the row did: what is
    measured of them could not stand beside it.
    """
    here = arithmetic(resolve_device("auto"))
    for row in read_rows():
        path = options.folder / f"{row.name}.npz"
        if row.stem not in options.rows or not path.exists():
            continue
        if row.arithmetic != here:
            raise SystemExit(
                f"{row.stem}: expected {row.arithmetic}, which it was measured in, got {here}; "
                f"set SYNTHAUG_ARITHMETIC={row.arithmetic}, or name other --rows"
            )
        yield row, path


def read_row_images(path: Path, count: int) -> tuple[dict[str, LabelledImages], int | None]:
    """The splits of a set, and how many images of each class are drawn for each seed.

    Where a class has fewer than `count`, all seeds share the same images, at most `count` of each
    class, and none are drawn.
    """
    images = {split: read_images(path, split=split) for split in splits_of(path)}
    train = images["train"]
    if train.counts.min() >= count:
        return images, count
    chosen = [
        numpy_stream(0, "at most", label).permutation(np.flatnonzero(train.labels == label))[:count]
        for label in range(len(train.classes))
    ]
    return {**images, "train": train.subset(np.sort(np.concatenate(chosen)))}, None


def config_of(row: Row) -> TrainConfig:
    """Return the training configuration that was tuned for all arms of a row."""
    return TrainConfig(**row.protocol["recipe"])


def conditions(row: Row, images: dict[str, LabelledImages]) -> dict[str, Any]:
    """Return what a measurement has to share with a row to stand beside it."""
    return {
        "baseline": row.baseline,
        **{name: row.protocol[name] for name in ("seeds", "steps", "recipe")},
        "fingerprint": images["train"].fingerprint,
        "test_fingerprint": images["test"].fingerprint,
        "arithmetic": row.arithmetic,
        "partner": row.base_arm,
    }


def score_arms(
    arms: Sequence[Arm],
    row: Row,
    images: dict[str, LabelledImages],
    options: argparse.Namespace,
    *,
    per_class: int | None,
    steps: int,
) -> list[list[float]]:
    """Return each arm's test scores from 0 to 1, one for each seed of the row."""
    seeds, classifier = row.protocol["seeds"], Backbone.of(row.protocol["classifier"])
    experiment = Experiment(
        images["train"],
        images.get("val"),
        per_class,
        classifier,
        row.protocol["batch_size"],
        device="auto",
    )
    with open_comparison(
        experiment, seeds, jobs=options.jobs, cache=options.cache, keep=True, progress=None
    ) as comparison:
        comparison.steps = steps
        comparison.teacher = real_arm(row.base_arm, config_of(row))
        held_out = HeldOutScores(comparison, images["test"])
        held_out.score(dict.fromkeys(arms, seeds))
        comparison.expect_trained(arms, seeds)
    metric = row.protocol["metric"]
    return [[held_out.scores[arm][seed].by(metric) for seed in seeds] for arm in arms]
