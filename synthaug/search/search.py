"""The search for a way of mixing: on validation images alone, over paired seeds, within a budget.

Optuna proposes (a tree-structured Parzen estimator, Bergstra et al. 2011); each proposal is trained
seed after seed beside the best arm without synthetic images, and given up early where others do
better (successive halving, Jamieson and Talwalkar 2016). The best of many is better by luck, too:
so the winner is trained again on seeds that the search has not seen, and recommended only where it
is better there.
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from synthaug.classifiers import Backbone, TrainConfig
from synthaug.core import InputError, TrainingError, expect_progress, plain_values
from synthaug.data import LabelledImages
from synthaug.gain import (
    SURE,
    Arm,
    Comparison,
    Experiment,
    StageProgress,
    base_arm_of,
    check_name,
    check_parts,
    data_caveats,
    length_caveats,
    mix_config_of,
    next_steps,
    numbered,
    open_comparison,
    paired_interval,
    smallest_detectable,
    softened_alike,
    spell_size,
    tune,
    without_synthetic,
)
from synthaug.generators import registrations
from synthaug.mixing import MixConfig
from synthaug.search.rounds import Budget, Rounds
from synthaug.search.space import RATIOS

PARTNERS = 3  # the best arms without synthetic images are offered to build on
SHOWN = 5  # of what was tried, in the recipe
AGAIN = (
    "winner number {turn} of a search that went on, and all of them were checked on the same "
    "seeds: each passes by luck one time in twenty"
)


def search_mix(
    train: LabelledImages,
    budget: Budget,
    *,
    validation: LabelledImages | None = None,
    families: Sequence[str] | None = None,
    seeds: int = 3,
    seed: int = 0,
    per_class: int | None = None,
    classifier: str | Backbone = "resnet",
    config: TrainConfig | None = None,
    policy: str | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    device: str = "auto",
    jobs: int = 1,
    cache: str | Path | None = None,
    keep: bool = False,
    progress: StageProgress | None = None,
    name: str = "data",
) -> MixConfig:
    """Look for the way of mixing that validation images favour; it may not be recommended.

    budget: of the search; the training without synthetic images before it, and the check of the
        winner after it, come on top.
    families: names of the generators that are tried; all that are registered by default.
    seeds: how many the search trains each proposal on at most; the winner is checked on as many
        others.
    For all else see `measure_gain`. With `keep` and a larger budget a search goes on later.

    Raises `InputError` for inputs that do not fit.

    >>> import numpy as np
    >>> from synthaug import TrainConfig, read_images
    >>> from synthaug.gain import Budget, search_mix
    >>> images = read_images("digits")
    >>> train, validation = images.subset(np.arange(100)), images.subset(np.arange(100, 140))
    >>> found = search_mix(
    ...     train, Budget(trials=1), validation=validation, families=["random-field"], seeds=2,
    ...     steps=1, batch_size=8, config=TrainConfig(), device="cpu")
    >>> found.generator.name, sum(found.search["trials"].values())
    ('RandomField', 1)
    """
    optuna = load_optuna()
    if not isinstance(budget, Budget):
        raise InputError(f"budget: expected a Budget, as Budget(seconds=1200), got {budget!r}")
    expect_progress(progress)
    check_name(name)
    parts = {"train": train} | ({} if validation is None else {"validation": validation})
    notes = check_parts(parts)
    numbers, fresh = numbered(seeds, seed)
    known = list(registrations())
    families = known if families is None else families
    unknown = [each for each in families if each not in known]
    if unknown or not families:
        raise InputError(f"families: expected some of {', '.join(known)}, got {unknown}")
    study = Experiment(train, validation, per_class, Backbone.of(classifier), batch_size, device)
    study.check([*numbers, *fresh], RATIOS)
    run = repr(plain_values(("search", tuple(families), numbers, config, policy, steps)))
    with open_comparison(
        study, numbers, run=run, cache=cache, keep=keep, jobs=jobs, progress=progress
    ) as trials:
        times = [time.monotonic()]
        tuning = tune(trials, config, policy, steps)
        real, _ = without_synthetic(trials, tuning.config)
        baseline = trials.best(real)
        times.append(time.monotonic())
        base_arms = _partners(trials, real)
        with Rounds(trials, optuna, baseline, base_arms, families, numbers[0]).opened() as rounds:
            rounds.run(budget)
            ranked, found = rounds.best(), rounds.facts(SHOWN)
            times.append(time.monotonic())
            best, over, notes_of_check = _checked(trials, ranked, [baseline, *real], fresh)
            if best is not None and (turn := rounds.checked(best.name)) > 1:
                notes_of_check.append(AGAIN.format(turn=turn))
        image = trials.resolution(numbers[0])
        checks = {
            rival: paired_interval(each, confidence=SURE, resolution=image)
            for rival, each in over.items()
        }
        best_without = next_steps(
            None,
            baseline,
            trials.teacher or baseline,
            data=name,
            classifier=study.classifier,
            steps=tuning.steps,
            batch_size=study.batch_size,
            size=spell_size(train),
        )
        hardest = min(checks, key=lambda rival: checks[rival].low) if checks else None
        told = {
            "data": name,
            "fingerprint": train.fingerprint,
            "image_shape": list(train.image_shape),
            "classes": len(train.classes),
            "per_class": study.per_class,
            "metric": trials.metric,
            "validation": study.plan(numbers[0])[1],
            "seeds": numbers,
            "baseline": baseline.name,
            **found,
            "best": None if best is None else best.name,
            "check": None if hardest is None else vars(checks[hardest]),
            "checked_over": None if hardest is None else hardest.name,
            "check_seeds": fresh,
            "smallest_detectable": smallest_detectable(list(checks.values())) if checks else None,
            "caveats": [
                *data_caveats(study, numbers, notes),
                *length_caveats(tuning),
                *notes_of_check,
            ],
            "seconds": _seconds([*times, time.monotonic()]),
            "taken_over": _taken_over(trials),
            "best_without": best_without,
            "optuna": optuna.__version__,
        }
        setting = {**study.classifier.facts, "steps": tuning.steps, "batch_size": study.batch_size}
        recommended = bool(checks) and all(each.low > 0 for each in checks.values())
        return mix_config_of(best, baseline, trials.teacher, setting, told, recommended=recommended)


def _checked(
    trials: Comparison, ranked: Sequence[Arm], real: Sequence[Arm], seeds: list[int]
) -> tuple[Arm | None, dict[Arm, list[float]], list[str]]:
    """The best of `ranked` that can be trained on these seeds, its points over each arm that it has
    to beat, and why others could not. These are the first of `real`, which other seeds chose; what
    the winner is without synthetic images, which may be the better one; and that with its labels.
    """
    failures = []
    for best in ranked:
        rivals = list(
            dict.fromkeys([real[0], base_arm_of(best), *softened_alike(trials, real, best)])
        )
        try:
            trials.train([*rivals, best], "checking the best", seeds=seeds, to_test=False)
            trials.expect_trained([best, *rivals], seeds)
        except (InputError, TrainingError) as error:
            failures.append(f"{best.name} could not be trained on the seeds of the check: {error}")
            continue
        over = {rival: trials.differences(best, rival, seeds) for rival in rivals}
        return best, over, failures
    return None, {}, failures


def _seconds(times: Sequence[float]) -> dict[str, float]:
    """How long each of the three stages took, from when it began and the last one ended."""
    stages = ("without synthetic images", "search", "check")
    return {
        what: round(end - begin, 1)
        for what, (begin, end) in zip(stages, pairwise(times), strict=True)
    }


def _taken_over(trials: Comparison) -> dict[str, float]:
    """What the search did not have to train, which is in none of its seconds."""
    networks, taken = trials.taken_over()
    return {"networks": networks, "seconds": round(taken, 1)}


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


def _partners(trials: Comparison, real: Sequence[Arm]) -> list[Arm]:
    """The arms to build on, the best first, of those that were trained on all seeds."""
    scores = trials.validation(real)
    plain_values = [
        arm for arm in real if not arm.distilled and trials.seeds_of(arm) == trials.seeds
    ]
    return sorted(plain_values, key=lambda arm: -float(scores[arm].mean()))[:PARTNERS]
