"""Describe how a result was made: the data, the protocol, and what to know beside them."""

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

    Attributes:
        comparison: The trained arms.
        tuning: The training configuration and steps that all arms build on.
        choices: What validation images plan.
        search: How arms were found.
        name: Name of the data.
        notes: What a reader has to know of the images, in words.
    """

    comparison: Comparison
    tuning: Tuning
    choices: Choices
    search: str
    name: str
    notes: list[str]


def data_facts(plan: SettledPlan, test: LabelledImages) -> dict[str, Any]:
    """Describe the images."""
    experiment = plan.comparison.experiment
    seed = plan.comparison.seeds[0]
    classes = len(experiment.train.classes)
    validation_labels = [
        fold.validation_subset.labels
        for fold in experiment.folds(seed)
        if fold.validation_subset is not None
    ]
    counts = np.bincount(np.concatenate(validation_labels), minlength=classes)
    return {
        "name": plan.name,
        "classes": classes,
        "train": len(experiment.tested_fold(seed).train_subset),
        "validation": int(counts.sum()),
        "validation_counts": counts.tolist(),
        "test": len(test),
        "test_counts": test.counts.tolist(),
        "test_groups": None if test.groups is None else len(np.unique(test.groups)),
        "image_shape": list(experiment.train.image_shape),
        "class_names": list(experiment.train.classes),
        "fingerprint": experiment.train.fingerprint,
        "test_fingerprint": test.fingerprint,
    }


def protocol_facts(
    plan: SettledPlan,
    precision: float | None,
    seeds: list[int],
) -> dict[str, Any]:
    """Describe how the figures came about."""
    comparison, experiment, tuning = plan.comparison, plan.comparison.experiment, plan.tuning
    _, split = experiment.plan(seeds[0])
    return {
        "metric": comparison.metric,
        "seeds": seeds,
        "choice_seeds": comparison.seeds,
        "per_class": experiment.per_class,
        "steps": tuning.steps,
        "batch_size": experiment.batch_size,
        "device": experiment.device,
        "arithmetic": experiment.arithmetic,
        **experiment.classifier.facts,
        "recipe": asdict(tuning.config),
        "validation": split,
        "search": plan.search,
        "precision": precision,
        "tuning": tuning.attempts,
        "caveats": _all_caveats(plan),
        "versions": versions(),
    }


def lines_to_use(plan: SettledPlan, to_use: Arm | None, without: Arm) -> str:
    """Write the lines of Python that use an arm; those that train `without` where it is None."""
    experiment = plan.comparison.experiment
    return next_steps(
        to_use,
        without,
        plan.choices.base_arm,
        data=plan.name,
        classifier=experiment.classifier,
        steps=plan.tuning.steps,
        batch_size=experiment.batch_size,
        size=spell_size(experiment.train),
    )


def data_caveats(experiment: Experiment, seeds: Sequence[int], notes: Sequence[str]) -> list[str]:
    """List what a reader has to know of the images that were trained on, `notes` first."""
    subsets = [experiment.tested_fold(seed).train_subset for seed in seeds]
    first, second = (each.places for each in subsets[:2])
    train_overlap = float(np.isin(second, first).mean())
    caveats = list(notes)
    if train_overlap == 1 and len(first) == len(second):
        caveats.append(
            "all seeds train on the same real images: intervals hold the scatter of generators and "
            "trainings, not that of other images"
        )
    elif train_overlap > MUCH:
        caveats.append(
            f"two seeds share {train_overlap:.0%} of the real images that they train on: intervals "
            "hold the scatter of generators and trainings, and little of that of other images"
        )
    one, other = (_validation_places(experiment, seed) for seed in seeds[:2])
    if (validation_overlap := float(np.isin(one, other).mean())) > MUCH:
        subject = "all seeds are judged by the same"
        if validation_overlap < 1:
            subject = f"two seeds share {validation_overlap:.0%} of their"
        caveats.append(
            f"{subject} validation images: what suits these by chance is chosen, and recommended, "
            "more often than it should be"
        )
    sizes = [len(each) for each in subsets]
    if min(sizes) < max(sizes):
        caveats.append(
            f"seeds train on {min(sizes):,} to {max(sizes):,} real images, as their groups allow"
        )
    if experiment.per_class is not None and len(first) < experiment.per_class * len(
        experiment.train.classes
    ):
        caveats.append(
            f"{experiment.per_class} images per class were asked for, and {len(first):,} in all "
            "are trained on: there are too few others to make choices by, so some of them are "
            "held out for that"
        )
    return caveats


def length_caveats(tuning: Tuning) -> list[str]:
    """List what a reader has to know of the number of steps, which a gain depends on."""
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


def divergence_caveat(arm: Arm, reasons: Mapping[int, str]) -> str:
    """Tell on which seeds the training of an arm diverged, and how."""
    seeds, reason = ", ".join(map(str, reasons)), next(iter(reasons.values()))
    return (
        f"the training of {arm.name} diverged ({reason.partition(';')[0]}), and has nothing right "
        f"on seed{'s' * (len(reasons) > 1)} {seeds}"
    )


def _validation_places(experiment: Experiment, seed: int) -> np.ndarray:
    """Return the indices of the images that choices of a seed are made on, int64 (V,)."""
    subsets = [
        fold.validation_subset
        for fold in experiment.folds(seed)
        if fold.validation_subset is not None
    ]
    return np.concatenate([each.places for each in subsets])


def _all_caveats(plan: SettledPlan) -> list[str]:
    """List what a reader of these figures has to know beside them."""
    sources = [arm.source for arm in plan.choices.arms if arm.source is not None]
    pools = dict.fromkeys(source.name for source in sources if source.pool is not None)
    experiment = plan.comparison.experiment
    caveats = data_caveats(experiment, plan.comparison.seeds, plan.notes)
    caveats += length_caveats(plan.tuning)
    for arm in plan.choices.arms:
        reasons = plan.comparison.divergences(arm, plan.comparison.seeds_of(arm))
        if reasons:
            caveats.append(divergence_caveat(arm, reasons))
    for name in pools:
        caveats.append(f"{name} is the same pool for all seeds")
        if not experiment.unseen_by_pools:
            advice = "" if experiment.validation is not None else "; give a val split"
            caveats.append(
                f"what made {name} may have seen the images that choices were made on, which "
                "favours it there: it is recommended only where the test images say that it "
                f"helps{advice}"
            )
        if not experiment.pool_is_known:
            caveats.append(
                f"what {name} was made from is not known to be these training images alone; "
                "if its maker saw others, the gain is theirs, too"
            )
    return caveats
