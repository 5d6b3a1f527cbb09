"""The search for a way of mixing: on validation images alone, over paired seeds, within a budget.

Optuna proposes (a tree-structured Parzen estimator, Bergstra et al. 2011); each proposal is trained
seed after seed beside the best arm without synthetic images, and given up early where others do
better (successive halving, Jamieson and Talwalkar 2016). The best of many is better by luck, too:
so the winner is trained again on seeds that the search has not seen, and recommended only where it
is better there.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from synthaug.classifiers import Backbone, Recipe
from synthaug.errors import InputError
from synthaug.gain.account import data_caveats
from synthaug.gain.arms import Arm
from synthaug.gain.choice import softened_alike, without_synthetic
from synthaug.gain.inputs import FEWEST_SEEDS, check_parts
from synthaug.gain.mixes import recipe_of
from synthaug.gain.rounds import Budget, Rounds
from synthaug.gain.space import PROPOSALS, RATIOS
from synthaug.gain.statistics import clearly_better, paired_interval
from synthaug.gain.trials import Stages, Study, Trials, opened
from synthaug.gain.tuning import tune
from synthaug.images import LabelledImages
from synthaug.mixing import MixRecipe

PARTNERS = 3  # the best arms without synthetic images are offered to build on
SHOWN = 5  # of what was tried, in the recipe


def search_mix(
    train: LabelledImages,
    budget: Budget,
    *,
    validation: LabelledImages | None = None,
    families: Sequence[str] = tuple(PROPOSALS),
    seeds: int = 3,
    seed: int = 0,
    per_class: int | None = None,
    classifier: str | Backbone = "resnet",
    recipe: Recipe | None = None,
    policy: str | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    device: str = "auto",
    jobs: int = 1,
    cache: str | Path | None = None,
    keep: bool = False,
    progress: Stages | None = None,
    name: str = "data",
) -> MixRecipe:
    """Look for the way of mixing that validation images favour; it may not be recommended.

    budget: of the search; the training without synthetic images before it, and the check of the
        winner after it, come on top.
    families: which generators are tried, of `PROPOSALS`.
    seeds: how many the search trains each proposal on at most; the winner is checked on as many
        others.
    For all else see `measure_gain`. With `keep` and a larger budget a search goes on later.

    Raises `InputError` for inputs that do not fit.

    >>> from synthaug import Recipe, read_images
    >>> from synthaug.gain import Budget, search_mix
    >>> images = read_images("digits")
    >>> train, validation = images.subset(np.arange(100)), images.subset(np.arange(100, 140))
    >>> found = search_mix(
    ...     train, Budget(trials=1), validation=validation, families=["random-field"], seeds=2,
    ...     steps=1, batch_size=8, recipe=Recipe(), device="cpu")
    >>> found.generator.family, sum(found.search["trials"].values())
    ('RandomField', 1)
    """
    optuna = load_optuna()
    parts = {"train": train} | ({} if validation is None else {"validation": validation})
    notes = check_parts(parts)
    if seeds < FEWEST_SEEDS:
        raise InputError(f"seeds: expected at least {FEWEST_SEEDS}, got {seeds}")
    unknown = [each for each in families if each not in PROPOSALS]
    if unknown or not families:
        raise InputError(f"families: expected some of {', '.join(PROPOSALS)}, got {unknown}")
    study = Study(train, validation, per_class, Backbone.of(classifier), batch_size, device)
    numbers = list(range(seed, seed + seeds))
    fresh = list(range(seed + seeds, seed + 2 * seeds))
    study.check([*numbers, *fresh], RATIOS)
    run = repr(("search", tuple(families), numbers, recipe, policy, steps))
    with opened(
        study, numbers, run=run, cache=cache, keep=keep, jobs=jobs, progress=progress
    ) as trials:
        times = [time.monotonic()]
        tuning = tune(trials, recipe, policy, steps)
        real, _ = without_synthetic(trials, tuning.recipe)
        baseline = trials.best(real)
        times.append(time.monotonic())
        partners = _partners(trials, real)
        with closing(Rounds(trials, optuna, baseline, partners, families, jobs, seed)) as rounds:
            best = rounds.run(budget)
            tried, counts = rounds.table(), rounds.counts()
        times.append(time.monotonic())
        over: dict[Arm, list[float]] = {}
        image = trials.resolution(seed)
        if best is not None:
            rivals = [baseline, *softened_alike(trials, real, best)]
            trials.train([*rivals, best], "checking the best", seeds=fresh)
            over = {rival: trials.differences(best, rival, fresh) for rival in rivals}
            baseline = min(over, key=lambda rival: float(np.mean(over[rival])))
        sure = over.get(baseline)
        recommended = bool(over) and all(
            clearly_better(each, resolution=image) for each in over.values()
        )
        told = {
            "data": name,
            "fingerprint": train.fingerprint,
            "per_class": per_class,
            "metric": trials.metric,
            "validation": study.plan(seed)[1],
            "seeds": numbers,
            "baseline": baseline.name,
            "tried": tried[:SHOWN],
            "trials": counts,
            "best": None if best is None else best.name,
            "check": None if sure is None else vars(paired_interval(sure, resolution=image)),
            "check_seeds": fresh,
            "caveats": data_caveats(study, numbers, notes),
            "seconds": _seconds([*times, time.monotonic()]),
        }
        setting = {**study.classifier.facts, "steps": tuning.steps, "batch_size": batch_size}
        return recipe_of(best, baseline, trials.teacher, setting, told, recommended=recommended)


def _seconds(times: Sequence[float]) -> dict[str, float]:
    """How long each of the three stages took, from when it began and the last one ended."""
    stages = ("without synthetic images", "search", "check")
    return {
        what: round(end - begin, 1)
        for what, (begin, end) in zip(stages, pairwise(times), strict=True)
    }


def load_optuna() -> Any:
    """Optuna, told to be quiet; `InputError` where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise InputError(
            "the search needs Optuna, which is not installed; pip install 'synthaug[tune]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _partners(trials: Trials, real: Sequence[Arm]) -> list[Arm]:
    """The arms to build on, the best first, of those that were trained on all seeds."""
    scores = trials.validation(real)
    plain = [arm for arm in real if not arm.distilled and trials.seeds_of(arm) == trials.seeds]
    return sorted(plain, key=lambda arm: -float(scores[arm].mean()))[:PARTNERS]
