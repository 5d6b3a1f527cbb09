"""The protocol: tune without synthetic images, choose on validation, open the test split once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthaug.classifiers import Backbone, Recipe
from synthaug.errors import InputError
from synthaug.gain.advice import next_steps
from synthaug.gain.arms import Arm, Source, default_sources
from synthaug.gain.cells import Report, Study, load_pool
from synthaug.gain.choice import SEARCHES, Choices, Search, choose, choose_given
from synthaug.gain.leaks import refuse_copies
from synthaug.gain.mixes import given_by
from synthaug.gain.parts import plan_parts
from synthaug.gain.pictures import Pictures, choose_pictures
from synthaug.gain.result import NO_ARM, Gain
from synthaug.gain.statistics import Interval, clearly_better, seeds_for_precision, verdict
from synthaug.gain.table import TestScores, arm_table, describe, gain_of
from synthaug.gain.trials import Trials, opened
from synthaug.gain.tuning import Tuning, tune
from synthaug.images import LabelledImages
from synthaug.mixing import MixRecipe
from synthaug.pool import SamplePool
from synthaug.reading import check_groups
from synthaug.versions import versions

FEWEST_SEEDS, MOST_SEEDS = 2, 60


def measure_gain(
    train: LabelledImages,
    test: LabelledImages,
    *,
    validation: LabelledImages | None = None,
    arms: Search = "staged",
    sources: Sequence[Source] | None = None,
    pool: str | Path | None = None,
    seeds: int = 5,
    seed: int = 0,
    precision: float | None = None,
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
    report: Report | None = None,
    name: str = "data",
    mix: MixRecipe | None = None,
) -> Gain:
    """Measure what synthetic images do to a classifier's accuracy on held-out images.

    train, test: real images with the same classes; `test` is used once, after every choice.
    validation: images to make choices on; by default set apart from `train`, never trained on.
    arms: how widely to search. "quick" tries each source on top of the best arm without synthetic
        images, at a ratio of 0.25 with hard labels, and fewer arms without; "staged" then
        tries the best also on the plain classical arm, at a ratio of 0.5, and with mixed labels;
        "full" tries all combinations.
    sources: generators to measure (default: TransferVAE, ConditionalVAE, a Blend of both with
        StyleSwap, a Chain of PatchSwap and ConditionalVAE, and as controls StyleSwap, RandomField
        and a Chain of PatchSwap and StyleSwap); an empty list with `pool` measures the pool alone.
    pool: a directory with images made elsewhere, the same for all seeds.
    seeds: paired repetitions, at least 2, from `seed` up; each changes the subset, the generator,
        its pool and the classifier together.
    precision: add seeds until the interval's half width is at most so many percentage points, by
        Stein's two-stage rule, up to 60 seeds.
    per_class: train on so many images a class, drawn anew for each seed.
    classifier: "resnet", "timm:NAME", or a `Backbone` with weights to start from, which are then
        fine-tuned, or only its last layer, as validation images favour.
    recipe, policy, steps: fix the training recipe, its geometry alone, or the number of optimiser
        steps; what is not fixed is tuned on validation images before any arm is compared.
    jobs: processes side by side, each on one thread.
    cache: a directory for finished cells (one arm, one seed), from which an interrupted run
        continues and which a finished one cleans up; by default a temporary one.
    keep: leave the cells in `cache`: a later run on the same data, with other sources or more
        seeds, then trains only what is new.
    report: called with (what is running, cells done, cells known so far).
    mix: measure this way of mixing (what `search_mix` or `synthaug tune` found) and no other, in
        place of `arms` and `sources`, of which the controls stay.

    Raises `InputError` for inputs that do not fit, among them a pool with copies of test images.

    >>> from synthaug import Recipe, StyleSwap, measure_gain, read_images
    >>> from synthaug.gain import Source
    >>> gain = measure_gain(
    ...     read_images("digits"), read_images("digits", split="test"), per_class=5, seeds=2,
    ...     steps=2, recipe=Recipe(), arms="quick", device="cpu",
    ...     sources=[Source("style-swap", StyleSwap())])
    >>> gain.verdict in ("helps", "no evidence", "hurts")
    True
    """
    _check_parts(train, test, validation)
    _check_numbers(arms, seeds, precision)
    wanted = list(default_sources() if sources is None else sources)
    if pool is not None:
        wanted.append(_pool_source(Path(pool), train, test))
    if not wanted:
        raise InputError("sources: expected at least one generator or a pool")
    given = None if mix is None else given_by(mix)
    study = Study(train, validation, per_class, Backbone.of(classifier), batch_size, device)
    numbers = list(range(seed, seed + seeds))
    with opened(study, numbers, cache=cache, keep=keep, jobs=jobs, report=report) as trials:
        tuning = tune(trials, recipe, policy, steps)
        trials.steps = tuning.steps
        if given is None:
            choices = choose(trials, tuning.recipe, wanted, arms)
        else:
            controls = [source for source in wanted if not source.trained]
            choices = choose_given(trials, tuning.recipe, given, controls)
        search = arms if given is None else "recipe"
        return _open_test(_Measured(trials, tuning, choices, search, name), test, precision)


@dataclass(frozen=True)
class _Measured:
    """All that was settled before the test images are opened."""

    trials: Trials
    tuning: Tuning
    choices: Choices
    search: str
    name: str


def _open_test(measured: _Measured, test: LabelledImages, precision: float | None) -> Gain:
    """Score every arm on the test images; nothing from here on changes a choice."""
    trials, choices = measured.trials, measured.choices
    scores = {
        arm: [trials.test(arm, seed, test) for seed in trials.seeds_of(arm)] for arm in choices.arms
    }
    gain = gain_of(trials, scores, choices.chosen, choices.baseline)
    if precision is not None:
        _add_seeds(trials, choices, test, scores, gain, precision)
        gain = gain_of(
            trials, scores, choices.chosen, choices.baseline, stage_one=len(trials.seeds)
        )
    trained, control = choices.trained, choices.control
    validation = trials.validation([choices.chosen, choices.baseline])
    favoured = clearly_better(list(validation[choices.chosen] - validation[choices.baseline]))
    return Gain(
        synthaug=versions()["synthaug"],
        data=_data(measured, test),
        protocol=_protocol(measured, precision, gain, favoured),
        arms=arm_table(trials, choices, scores),
        baseline=choices.baseline.name,
        trained=None if trained is None else trained.name,
        control=None if control is None else control.name,
        chosen=describe(choices.chosen),
        gain_over_control=None
        if trained is None or control is None
        else gain_of(trials, scores, trained, control, stage_one=gain.stage_one),
        gain=gain,
        recommendation=choices.chosen.name if favoured else NO_ARM,
        verdict=verdict(gain),
        pictures=_pictures(trials, choices.chosen),
    )


def _add_seeds(
    trials: Trials,
    choices: Choices,
    test: LabelledImages,
    scores: TestScores,
    gain: Interval,
    precision: float,
) -> None:
    """More seeds for the arms that matter, as many as the first ones' scatter asks for."""
    wanted = min(MOST_SEEDS, seeds_for_precision(gain.per_seed, precision))
    first = trials.seeds[0]
    extra = list(range(first + len(trials.seeds), first + wanted))
    if not extra:
        return
    bests = (choices.baseline, choices.chosen, choices.trained, choices.control)
    arms = list(dict.fromkeys(arm for arm in bests if arm is not None))
    # The teacher's cells come before those that learn from it.
    trials.train([choices.partner], "more seeds", seeds=extra)
    trials.train(arms, "more seeds", seeds=extra)
    for arm in arms:
        scores[arm] += [trials.test(arm, s, test) for s in extra]


def _check_parts(
    train: LabelledImages, test: LabelledImages, validation: LabelledImages | None
) -> None:
    parts = {"train": train, "test": test}
    if validation is not None:
        parts["validation"] = validation
    for name, part in parts.items():
        if part.classes != train.classes:
            raise InputError(
                f"{name}: expected the training classes {list(train.classes)}, got "
                f"{list(part.classes)}"
            )
        if part.images.dtype != train.images.dtype or part.image_shape != train.image_shape:
            raise InputError(
                f"{name}: expected {train.images.dtype} {train.image_shape} like the training "
                f"images, got {part.images.dtype} {part.image_shape}"
            )
        if not len(part):
            raise InputError(f"{name}: expected images, got none")
    check_groups(parts)


def _check_numbers(arms: str, seeds: int, precision: float | None) -> None:
    if arms not in SEARCHES:
        raise InputError(f"arms: expected one of {', '.join(SEARCHES)}, got {arms!r}")
    if seeds < FEWEST_SEEDS:
        raise InputError(f"seeds: expected at least {FEWEST_SEEDS} for an interval, got {seeds}")
    if precision is not None and precision <= 0:
        raise InputError(f"precision: expected percentage points above 0, got {precision}")


def _pool_source(directory: Path, train: LabelledImages, test: LabelledImages) -> Source:
    pool = SamplePool(directory)
    if list(pool.classes) != list(train.classes):
        raise InputError(
            f"{directory}: expected the classes {list(train.classes)}, the pool holds "
            f"{pool.classes}"
        )
    made = pool.samples.images
    if made.dtype != train.images.dtype or made.shape[1:] != train.images.shape[1:]:
        raise InputError(
            f"{directory}: expected {train.images.dtype} images {train.image_shape}, the pool "
            f"holds {made.dtype} {made.shape[1:]}"
        )
    missing = np.setdiff1d(np.arange(len(train.classes)), pool.samples.labels)
    if len(missing):
        raise InputError(
            f"{directory}: no image of class {train.classes[missing[0]]!r}; a pool needs some of "
            "every class"
        )
    refuse_copies(pool.samples, train, test)
    return Source(
        f"pool {directory.name}",
        pool=directory.resolve(),
        fingerprint=pool.manifest["fingerprint"],
    )


def _pictures(trials: Trials, arm: Arm) -> Pictures:
    """Examples of what the chosen arm trained on, from the first seed."""
    seed = trials.seeds[0]
    part = next(part for part in trials.study.parts(seed) if part.tested)
    assert arm.source is not None
    pool = load_pool(trials.study, arm.source, seed, part.name)
    return choose_pictures(part.train, pool.samples)


def _data(measured: _Measured, test: LabelledImages) -> dict[str, Any]:
    study = measured.trials.study
    parts = study.parts(measured.trials.seeds[0])
    return {
        "name": measured.name,
        "classes": len(study.train.classes),
        "train": next(len(part.train) for part in parts if part.tested),
        "validation": sum(len(part.held) for part in parts if part.held is not None),
        "test": len(test),
        "image_shape": list(study.train.image_shape),
        "class_names": list(study.train.classes),
        "fingerprint": study.train.fingerprint,
        "test_fingerprint": test.fingerprint,
    }


def _protocol(
    measured: _Measured, precision: float | None, gain: Interval, favoured: bool
) -> dict[str, Any]:
    trials, study, tuning = measured.trials, measured.trials.study, measured.tuning
    first = trials.seeds[0]
    _, apart = plan_parts(study.train, study.validation, study.per_class, first)
    pools = [arm.source for arm in measured.choices.arms if arm.source and arm.source.pool]
    caveats = [f"{pools[0].name} is the same pool for all seeds"] if pools else []
    return {
        "metric": trials.metric,
        "seeds": list(range(first, first + len(gain.per_seed))),
        "per_class": study.per_class,
        "steps": tuning.steps,
        "batch_size": study.batch_size,
        "device": study.device,
        **study.classifier.facts,
        "recipe": asdict(tuning.recipe),
        "validation": apart,
        "search": measured.search,
        "precision": precision,
        "tuning": tuning.tried,
        "caveats": caveats,
        "next_steps": next_steps(
            measured.choices.chosen if favoured else None,
            measured.choices.baseline,
            data=measured.name,
            steps=tuning.steps,
            batch_size=study.batch_size,
        ),
        "versions": versions(),
    }
