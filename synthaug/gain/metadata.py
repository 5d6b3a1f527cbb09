"""What a result says of its own making: the data, the protocol, and what to know beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from synthaug.core import versions
from synthaug.data import LabelledImages
from synthaug.gain.advice import next_steps, spell_size
from synthaug.gain.arms import Arm
from synthaug.gain.baselines import Tuning
from synthaug.gain.runs.comparison import Comparison
from synthaug.gain.runs.experiment import Experiment
from synthaug.gain.selection import Choices

MUCH = 0.5  # of the images that a seed trains on


@dataclass(frozen=True)
class SettledPlan:
    """All that is settled before the test images are opened.

    search: how arms were found. name: what the data are called.
    notes: what was found of the images before any training, in words.
    """

    trials: Comparison
    tuning: Tuning
    choices: Choices
    search: str
    name: str
    notes: list[str]


def data_facts(settled: SettledPlan, test: LabelledImages) -> dict[str, Any]:
    study = settled.trials.study
    seed = settled.trials.seeds[0]
    classes = len(study.train.classes)
    scored = [part.scored.labels for part in study.parts(seed) if part.scored is not None]
    held = np.bincount(np.concatenate(scored), minlength=classes)
    return {
        "name": settled.name,
        "classes": classes,
        "train": len(study.tested(seed).trained),
        "validation": int(held.sum()),
        "validation_counts": held.tolist(),
        "test": len(test),
        "test_counts": test.counts.tolist(),
        "test_groups": None if test.groups is None else len(np.unique(test.groups)),
        "image_shape": list(study.train.image_shape),
        "class_names": list(study.train.classes),
        "fingerprint": study.train.fingerprint,
        "test_fingerprint": test.fingerprint,
    }


def protocol_facts(
    settled: SettledPlan,
    precision: float | None,
    seeds: list[int],
) -> dict[str, Any]:
    """How the figures came about."""
    trials, study, tuning = settled.trials, settled.trials.study, settled.tuning
    _, apart = study.plan(seeds[0])
    return {
        "metric": trials.metric,
        "seeds": seeds,
        "choice_seeds": trials.seeds,
        "per_class": study.per_class,
        "steps": tuning.steps,
        "batch_size": study.batch_size,
        "device": study.device,
        "arithmetic": study.arithmetic,
        **study.classifier.facts,
        "recipe": asdict(tuning.config),
        "validation": apart,
        "search": settled.search,
        "precision": precision,
        "tuning": tuning.tried,
        "caveats": _caveats(settled),
        "versions": versions(),
    }


def lines_to_use(settled: SettledPlan, to_use: Arm | None, without: Arm) -> str:
    """The lines of Python that use an arm with synthetic images, or where there is none to use
    train `without`."""
    study = settled.trials.study
    return next_steps(
        to_use,
        without,
        settled.choices.base_arm,
        data=settled.name,
        classifier=study.classifier,
        steps=settled.tuning.steps,
        batch_size=study.batch_size,
        size=spell_size(study.train),
    )


def data_caveats(study: Experiment, seeds: Sequence[int], notes: Sequence[str]) -> list[str]:
    """What a reader has to know of the images that were trained on; `notes`, as `Settled` has them,
    first."""
    trained = [study.tested(seed).trained for seed in seeds]
    first, second = (each.places for each in trained[:2])
    shared = float(np.isin(second, first).mean())
    said = list(notes)
    if shared == 1 and len(first) == len(second):
        said.append(
            "all seeds train on the same real images: intervals hold the scatter of generators and "
            "trainings, not that of other images"
        )
    elif shared > MUCH:
        said.append(
            f"two seeds share {shared:.0%} of the real images that they train on: intervals hold "
            "the scatter of generators and trainings, and little of that of other images"
        )
    one, other = (_judging(study, seed) for seed in seeds[:2])
    if (alike := float(np.isin(one, other).mean())) > MUCH:
        whose = "all seeds are judged by the same"
        if alike < 1:
            whose = f"two seeds share {alike:.0%} of their"
        said.append(
            f"{whose} validation images: what suits these by chance is chosen, and recommended, "
            "more often than it should be"
        )
    sizes = [len(each) for each in trained]
    if min(sizes) < max(sizes):
        said.append(
            f"seeds train on {min(sizes):,} to {max(sizes):,} real images, as their groups allow"
        )
    if study.per_class is not None and len(first) < study.per_class * len(study.train.classes):
        said.append(
            f"{study.per_class} images per class were asked for, and {len(first):,} in all are "
            "trained on: there are too few others to make choices by, so some of them are held out "
            "for that"
        )
    return said


def length_caveats(tuning: Tuning) -> list[str]:
    """What a reader has to know of the number of steps, which a gain depends on."""
    if not tuning.chose_steps:
        return [
            "the number of steps was given, not tuned: beside a baseline that is trained too "
            "little synthetic images seem to help where they do not"
        ]
    if tuning.at_limit:
        return [
            f"tuning ends at {tuning.steps:,} steps, and they were better than half as many: a "
            "longer training may take a part of the gain away (--steps)"
        ]
    return []


def divergence_caveat(arm: Arm, diverged: Mapping[int, str]) -> str:
    """What a reader has to know of an arm whose training diverged, and how, on these seeds."""
    seeds, why = ", ".join(map(str, diverged)), next(iter(diverged.values()))
    return (
        f"the training of {arm.name} diverged ({why.partition(';')[0]}), and has nothing right on "
        f"seed{'s' * (len(diverged) > 1)} {seeds}"
    )


def _judging(study: Experiment, seed: int) -> np.ndarray:
    """Indices of the images that the choices of a seed are made on, int64 (V,)."""
    parts = [part.scored for part in study.parts(seed) if part.scored is not None]
    return np.concatenate([each.places for each in parts])


def _caveats(settled: SettledPlan) -> list[str]:
    """What a reader of these figures has to know beside them."""
    sources = [arm.source for arm in settled.choices.arms if arm.source is not None]
    pools = dict.fromkeys(source.name for source in sources if source.pool is not None)
    study = settled.trials.study
    said = data_caveats(study, settled.trials.seeds, settled.notes)
    said += length_caveats(settled.tuning)
    for arm in settled.choices.arms:
        diverged = settled.trials.diverged(arm, settled.trials.seeds_of(arm))
        if diverged:
            said.append(divergence_caveat(arm, diverged))
    for name in pools:
        said.append(f"{name} is the same pool for all seeds")
        if not study.unseen_by_pools:
            advice = "" if study.validation is not None else "; give a val split"
            said.append(
                f"what made {name} may have seen the images that choices were made on, which "
                "favours it there: it is recommended only where the test images say that it "
                f"helps{advice}"
            )
        if not study.pool_is_known:
            said.append(
                f"what {name} was made from is not known to be these training images alone; "
                "if its maker saw others, the gain is theirs, too"
            )
    return said
