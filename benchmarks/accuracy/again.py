"""What a row of the grid was measured on, and further trainings on it."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cells import restore, store
from stored import RESULTS, measured_on, partner_of

from synthaug import Gain, LabelledImages, TrainConfig, read_images
from synthaug.classifiers import Backbone
from synthaug.core import expanded, numpy_stream
from synthaug.data import splits_of
from synthaug.gain import Arm, Experiment, StageProgress, open_comparison
from synthaug.gain.arms import real_arm
from synthaug.gain.held_out_scores import HeldOutScores


def parser_of(description: str) -> argparse.ArgumentParser:
    """What every script is told that trains on the sets: where they are, and how to run."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", type=expanded, default="~/.cache/synthaug/grid")
    return parser


def rows_of(description: str) -> argparse.ArgumentParser:
    """The same for a script that measures more of rows that are there, and of which."""
    parser = parser_of(description)
    rows = sorted(path.stem for path in RESULTS.glob("*.json"))
    parser.add_argument(
        "--only", nargs="+", choices=rows, default=rows, metavar="NAME", help="as in mnist-10"
    )
    return parser


def asked_rows(options: argparse.Namespace) -> Iterator[tuple[Gain, Path, str]]:
    """Each result that was asked for, the file of its images, and the name of its own file, of
    those whose images are there."""
    for name in sorted(options.only):
        path = RESULTS / f"{name}.json"
        gain = Gain.load(path)
        source = options.folder / Path(str(gain.data["name"])).name
        if source.exists():
            yield gain, source, path.name


def measured_now(gain: Gain, train: LabelledImages, test: LabelledImages) -> dict[str, Any]:
    """What a measurement on these images has alike with a result, as `measured_on` tells it."""
    found = {"fingerprint": train.fingerprint, "test_fingerprint": test.fingerprint}
    return measured_on(gain) | found


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


def at_most(train: LabelledImages, count: int) -> LabelledImages:
    """`count` images of each class, all of one that has fewer."""
    kept = [
        numpy_stream(0, "at most", label).permutation(np.flatnonzero(train.labels == label))[:count]
        for label in range(len(train.classes))
    ]
    return train.subset(np.sort(np.concatenate(kept)))


def going_on(study: Experiment, said: Path) -> StageProgress:
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


def base_of(gain: Gain) -> TrainConfig:
    """The recipe that was tuned for all arms of a result."""
    return TrainConfig(**gain.protocol["recipe"])


def scores(
    study: Experiment,
    arms: Sequence[Arm],
    steps: int,
    test: LabelledImages,
    gain: Gain,
    options: argparse.Namespace,
    progress: StageProgress | None = None,
) -> dict[Arm, list[float]]:
    """Of each arm on test images, one for each seed of the result. A larger subset of a seed holds
    its smaller ones."""
    seeds = gain.protocol["seeds"]
    running = {"jobs": options.jobs, "cache": options.cache, "keep": True, "progress": progress}
    with open_comparison(study, seeds, **running) as trials:
        trials.steps = steps
        trials.teacher = real_arm(partner_of(gain), base_of(gain))
        tested = HeldOutScores(trials, test)
        tested.score(dict.fromkeys(arms, seeds))
        trials.expect_trained(arms, seeds)
    metric = gain.protocol["metric"]
    return {arm: [tested.scores[arm][seed].by(metric) for seed in seeds] for arm in tested.scores}
