"""Search for a way of mixing on validation images, and check the winner on fresh seeds.

Optuna proposes (a tree-structured Parzen estimator, Bergstra et al. 2011). Each proposal is trained
seed after seed beside the best arm without synthetic images, and given up early where others do
better (successive halving, Jamieson and Talwalkar 2016). The best of many is better by luck, too:
so the winner is trained again on seeds that the search has not seen, and recommended only where it
is better there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from synthaug.classifiers import Backbone, expect_train_config
from synthaug.core import InputError, TrainingError, plain_values
from synthaug.data import LabelledImages
from synthaug.gain import (
    SURE,
    Arm,
    Comparison,
    Execution,
    Experiment,
    Interval,
    Protocol,
    Tuning,
    base_arm_of,
    check_name,
    check_splits,
    data_caveats,
    expect_base,
    length_caveats,
    mix_config_of,
    next_steps,
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

BASE_ARMS = 3  # the best arms without synthetic images, offered to build on
LISTED = 5  # trials that the configuration lists
CHECKED_BEFORE = (
    "winner number {turn} of a search that went on, and all of them were checked on the same "
    "seeds: each passes by luck one time in twenty"
)
STAGES = ("without synthetic images", "search", "check")


def search_mix(
    train: LabelledImages,
    budget: Budget,
    *,
    validation: LabelledImages | None = None,
    families: Sequence[str] | None = None,
    classifier: str | Backbone = "resnet",
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    name: str = "data",
) -> MixConfig:
    """Search for the way of mixing that validation images favour.

    With `Execution(keep=True)` and a larger budget a search goes on later. Test images are not
    looked at: `measure_gain(mix=...)` does that.

    Args:
        train: Real images to train on, uint8 or uint16 (N, C, H, W).
        budget: Of the search alone. The training without synthetic images before it, and the check
            of the winner after it, come on top.
        validation: Images to make choices on; by default some are set apart from `train`.
        families: The generators to try, by name; default all that are registered.
        classifier: "resnet", "timm:NAME", or a `Backbone`.
        protocol: As for `measure_gain`, default `Protocol(seeds=3)`. Each proposal is trained on so
            many seeds at most, and the winner is checked on as many others. `search` and
            `precision` must stay at their defaults.
        execution: Where it runs; default `Execution()`.
        name: Name of the data in the result.

    Returns:
        The configuration; `recommended` tells whether the check confirmed it.

    Raises:
        InputError: If inputs do not fit each other, or Optuna is not installed.
        TrainingError: If all trainings without synthetic images diverge.

    References:
        Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter
        Optimization, arXiv 1502.07943. Akiba et al., Optuna, arXiv 1907.10902.

    Examples:
        >>> import numpy as np
        >>> from synthaug import TrainConfig, read_images, search_mix
        >>> from synthaug.gain import Execution, Protocol
        >>> from synthaug.search import Budget
        >>> images = read_images("digits")
        >>> train, validation = images.subset(np.arange(100)), images.subset(np.arange(100, 140))
        >>> mix = search_mix(
        ...     train, Budget(trials=1), validation=validation, families=["random-field"],
        ...     protocol=Protocol(seeds=2, steps=1, batch_size=8, config=TrainConfig()),
        ...     execution=Execution("cpu"))
        >>> mix.generator.name, sum(mix.search["trials"].values())
        ('random-field', 1)
    """
    optuna = load_optuna()
    protocol, execution = protocol or Protocol(seeds=3), execution or Execution()
    backbone = Backbone.of(classifier)
    families = list(registrations()) if families is None else families
    notes = _check(train, budget, validation, families, backbone, protocol, name)
    experiment = Experiment(
        train, validation, protocol.per_class, backbone, protocol.batch_size, execution.device
    )
    seeds = protocol.choice_seeds
    experiment.check([*seeds, *protocol.fresh_seeds], RATIOS)
    fixed_settings = (protocol.config, protocol.policy, protocol.steps)
    with open_comparison(
        experiment,
        seeds,
        identity=repr(plain_values(("search", tuple(families), seeds, *fixed_settings))),
        cache=execution.cache,
        keep=execution.keep,
        jobs=execution.jobs,
        progress=execution.progress,
    ) as comparison:
        times = [time.monotonic()]
        tuning = tune(comparison, *fixed_settings)
        real, _ = without_synthetic(comparison, tuning.config)
        baseline = comparison.best(real)
        times.append(time.monotonic())
        base_arms = _base_arms(comparison, real)
        with Rounds(comparison, optuna, baseline, base_arms, families, seeds[0]).opened() as rounds:
            rounds.run(budget)
            ranking, facts = rounds.best(), rounds.facts(LISTED)
            times.append(time.monotonic())
            check = _check_best(comparison, ranking, [baseline, *real], protocol.fresh_seeds)
            if check.best is not None and (turn := rounds.note_check(check.best.name)) > 1:
                check.notes.append(CHECKED_BEFORE.format(turn=turn))
        times.append(time.monotonic())
        facts = {
            **_search_facts(comparison, experiment, baseline, name),
            **facts,
            **check.facts(protocol.fresh_seeds),
            "caveats": [
                *data_caveats(experiment, seeds, notes),
                *length_caveats(tuning),
                *check.notes,
            ],
            "seconds": _seconds(times),
            "taken_over": _reused_runs(comparison),
            "best_without": _lines_without(
                experiment, baseline, comparison.teacher or baseline, tuning, name
            ),
            "optuna": optuna.__version__,
        }
        training = {
            **experiment.classifier.facts,
            "steps": tuning.steps,
            "batch_size": experiment.batch_size,
        }
        return mix_config_of(
            check.best,
            baseline,
            comparison.teacher,
            training,
            facts,
            recommended=check.is_better,
        )


def _check(
    train: LabelledImages,
    budget: Budget,
    validation: LabelledImages | None,
    families: Sequence[str],
    backbone: Backbone,
    protocol: Protocol,
    name: str,
) -> list[str]:
    """Check the arguments; return what a reader has to know of the images."""
    if not isinstance(budget, Budget):
        raise InputError(f"budget: expected a Budget, as Budget(seconds=1200), got {budget!r}")
    check_name(name)
    usual = Protocol()
    for option in ("search", "precision"):
        if getattr(protocol, option) != getattr(usual, option):
            raise InputError(
                f"protocol: {option} has no meaning for a search, which measures no gain; leave "
                "it out"
            )
    if protocol.config is not None:
        expect_train_config(protocol.config, pretrained=backbone.pretrained)
        expect_base(protocol.config, protocol.policy)
    names = list(registrations())
    unknown = [family for family in families if family not in names]
    if unknown or not families:
        raise InputError(f"families: expected some of {', '.join(names)}, got {unknown}")
    splits = {"train": train} | ({} if validation is None else {"validation": validation})
    return check_splits(splits)


@dataclass
class _Check:
    """The winner of a search on seeds that the search has not seen.

    Attributes:
        best: The winner; None where none could be trained.
        intervals: Its points over each arm that it has to beat.
        notes: What a reader has to know of the check.
    """

    best: Arm | None = None
    intervals: dict[Arm, Interval] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def is_better(self) -> bool:
        """Tell whether it is better than all of them."""
        return bool(self.intervals) and all(each.low > 0 for each in self.intervals.values())

    def facts(self, seeds: list[int]) -> dict[str, Any]:
        """Describe the check, by the arm that is hardest to beat."""
        intervals = self.intervals
        hardest = min(intervals, key=lambda arm: intervals[arm].low) if intervals else None
        return {
            "best": None if self.best is None else self.best.name,
            "check": None if hardest is None else vars(intervals[hardest]),
            "checked_over": None if hardest is None else hardest.name,
            "check_seeds": seeds,
            "smallest_detectable": (
                smallest_detectable(list(intervals.values())) if intervals else None
            ),
        }


def _check_best(
    comparison: Comparison, ranking: Sequence[Arm], real: Sequence[Arm], seeds: list[int]
) -> _Check:
    """Train the best of `ranking` that can be trained on these seeds, and the arms it has to beat.

    These are the first of `real`, which other seeds chose; its base arm, which may be the better
    one; and that with its labels.
    """
    check = _Check()
    image = comparison.resolution(comparison.seeds[0])
    for best in ranking:
        others = list(
            dict.fromkeys([real[0], base_arm_of(best), *softened_alike(comparison, real, best)])
        )
        try:
            comparison.train([*others, best], "checking the best", seeds=seeds, to_test=False)
            comparison.expect_trained([best, *others], seeds)
        except (InputError, TrainingError) as error:
            check.notes.append(
                f"{best.name} could not be trained on the seeds of the check: {error}"
            )
            continue
        check.best = best
        check.intervals = {
            other: paired_interval(
                comparison.differences(best, other, seeds), confidence=SURE, resolution=image
            )
            for other in others
        }
        break
    return check


def _search_facts(
    comparison: Comparison, experiment: Experiment, baseline: Arm, name: str
) -> dict[str, Any]:
    """Describe the data and how they were split."""
    train = experiment.train
    return {
        "data": name,
        "fingerprint": train.fingerprint,
        "image_shape": list(train.image_shape),
        "classes": len(train.classes),
        "per_class": experiment.per_class,
        "metric": comparison.metric,
        "validation": experiment.plan(comparison.seeds[0])[1],
        "seeds": comparison.seeds,
        "baseline": baseline.name,
    }


def _lines_without(
    experiment: Experiment, baseline: Arm, teacher: Arm, tuning: Tuning, name: str
) -> str:
    """Write the lines of Python that train the best without synthetic images."""
    return next_steps(
        None,
        baseline,
        teacher,
        data=name,
        classifier=experiment.classifier,
        steps=tuning.steps,
        batch_size=experiment.batch_size,
        size=spell_size(experiment.train),
    )


def _seconds(times: Sequence[float]) -> dict[str, float]:
    """Return how long each stage took, from the times at which it began and ended."""
    return {
        stage: round(end - begin, 1)
        for stage, (begin, end) in zip(STAGES, pairwise(times), strict=True)
    }


def _reused_runs(comparison: Comparison) -> dict[str, float]:
    """Return how many networks earlier searches trained, and the seconds that these took."""
    networks, seconds = comparison.reused_networks()
    return {"networks": networks, "seconds": round(seconds, 1)}


def load_optuna() -> Any:
    """Import Optuna, and make it quiet.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise InputError(
            "the search needs Optuna, which is not installed; pip install 'synthaug[tune]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _base_arms(comparison: Comparison, real: Sequence[Arm]) -> list[Arm]:
    """Return the arms to build on, the best first, of those that were trained on all seeds."""
    scores = comparison.validation(real)
    candidates = [
        arm for arm in real if not arm.distilled and comparison.seeds_of(arm) == comparison.seeds
    ]
    return sorted(candidates, key=lambda arm: -float(scores[arm].mean()))[:BASE_ARMS]
