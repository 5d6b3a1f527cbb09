"""What a row of the grid was measured on, and further trainings on it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cells import restore, store
from stored import partner_of

from synthaug import Gain, LabelledImages, Recipe, read_images
from synthaug.classifiers import Backbone
from synthaug.gain.arms import Arm, real_arm
from synthaug.gain.tested import Tested
from synthaug.gain.trials import Stages, Study, opened
from synthaug.reading import splits_of
from synthaug.seeding import numpy_stream


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


def base_of(gain: Gain) -> Recipe:
    """The recipe that was tuned for all arms of a result."""
    return Recipe(**gain.protocol["recipe"])


def scores(
    study: Study,
    arms: Sequence[Arm],
    steps: int,
    test: LabelledImages,
    gain: Gain,
    running: dict[str, Any],
) -> dict[Arm, list[float]]:
    """Of each arm on test images, one for each seed of the result. A larger subset of a seed holds
    its smaller ones."""
    seeds = gain.protocol["seeds"]
    with opened(study, seeds, **running) as trials:
        trials.steps = steps
        trials.teacher = real_arm(partner_of(gain), base_of(gain))
        tested = Tested(trials, test)
        tested.score(dict.fromkeys(arms, seeds))
    metric = gain.protocol["metric"]
    return {arm: [tested.scores[arm][seed].by(metric) for seed in seeds] for arm in tested.scores}
