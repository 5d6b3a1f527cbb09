"""The protocol: tune without synthetic images, choose on validation, open the test split once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synthaug.classifiers import Backbone, Recipe, Scores
from synthaug.errors import InputError
from synthaug.gain.advice import next_steps
from synthaug.gain.arms import Arm, Source, default_sources
from synthaug.gain.choice import Choices, Search, choose, choose_given
from synthaug.gain.inputs import check_numbers, check_parts, pool_source
from synthaug.gain.mixes import given_by
from synthaug.gain.pictures import Pictures, choose_pictures
from synthaug.gain.pools import load_pool
from synthaug.gain.result import NO_ARM, Gain
from synthaug.gain.runner import Report
from synthaug.gain.statistics import Interval, clearly_better, seeds_for_precision, verdict
from synthaug.gain.study import Study
from synthaug.gain.table import Tested, arm_table, describe
from synthaug.gain.trials import Trials, opened
from synthaug.gain.tuning import Tuning, tune
from synthaug.images import LabelledImages
from synthaug.mixing import MixRecipe
from synthaug.pool import SamplePool
from synthaug.versions import versions

MOST_SEEDS = 60


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
        images, at a ratio of 0.25 with hard labels; "staged" then tries the best also on the plain
        classical arm, at a ratio of 0.5, and with mixed labels; "full" tries all combinations.
    sources: generators to measure (default: TransferVAE, ConditionalVAE, a Blend of both with
        StyleSwap, a Chain of PatchSwap and ConditionalVAE, and as controls StyleSwap, RandomField
        and a Chain of PatchSwap and StyleSwap); an empty list with `pool` measures the pool alone.
    pool: a directory with images made elsewhere, the same for all seeds.
    seeds: paired repetitions, at least 2; each changes the subset, the generator, its pool and the
        classifier together. Choices are made on so many seeds from `seed` up, the gain is measured
        on as many after them.
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
    parts = {"train": train, "test": test}
    if validation is not None:
        parts["validation"] = validation
    shared = check_parts(parts)
    check_numbers(arms, seeds, precision)
    wanted = list(default_sources() if sources is None else sources)
    if pool is not None:
        wanted.append(pool_source(Path(pool), train, test, per_class))
    if not wanted:
        raise InputError("sources: expected at least one generator or a pool")
    given = None if mix is None else given_by(mix)
    backbone = Backbone.of(classifier)
    study = Study(train, validation, per_class, backbone, batch_size, device, pool is not None)
    numbers = list(range(seed, seed + seeds))
    fresh = _fresh_seeds(numbers, mix)
    with opened(study, numbers, cache=cache, keep=keep, jobs=jobs, report=report) as trials:
        tuning = tune(trials, recipe, policy, steps)
        if given is None:
            choices = choose(trials, tuning.recipe, wanted, arms)
        else:
            controls = [source for source in wanted if not source.trained]
            choices = choose_given(trials, tuning.recipe, given, controls)
        search = arms if given is None else "recipe"
        measured = _Measured(trials, tuning, choices, search, name, shared)
        return _open_test(measured, test, fresh, precision)


def _fresh_seeds(numbers: list[int], mix: MixRecipe | None) -> list[int]:
    """As many seeds that no choice was made on, here or in the search for `mix`."""
    searched = (
        [] if mix is None else mix.search.get("seeds", []) + mix.search.get("check_seeds", [])
    )
    first = max([*numbers, *searched]) + 1
    return list(range(first, first + len(numbers)))


@dataclass(frozen=True)
class _Measured:
    """All that was settled before the test images are opened."""

    trials: Trials
    tuning: Tuning
    choices: Choices
    search: str
    name: str
    shared: list[str]


def _open_test(
    measured: _Measured, test: LabelledImages, fresh: list[int], precision: float | None
) -> Gain:
    """Score every arm on the test images; nothing from here on changes a choice. The finalists are
    trained again, on `fresh` seeds: an arm that was picked for its score on some seeds was lucky on
    them, and the networks of those seeds are as lucky on the test images. So is the rival: where
    validation images do not rank as test images do, a gain over their choice is none over it."""
    trials, choices = measured.trials, measured.choices
    trials.train(choices.finalists, "the best on other seeds", seeds=fresh)
    seeds_of = {arm: trials.seeds_of(arm) for arm in choices.arms}
    for arm in choices.finalists:
        seeds_of[arm] = [*trials.seeds, *fresh] if arm == choices.baseline else fresh

    def scored(arm: Arm, seeds: list[int]) -> dict[int, Scores]:
        return {seed: trials.test(arm, seed, test) for seed in seeds}

    scores = {arm: scored(arm, seeds) for arm, seeds in seeds_of.items()}
    tested = Tested(trials.metric, len(test), scores)
    rival = _rival(tested, choices, trials)
    named = [*choices.finalists, *([] if rival is None else [rival])]
    if rival is not None:
        trials.train([rival], "the best on the test images", seeds=fresh)
        scores[rival] |= scored(rival, fresh)
    stage_one, seeds = len(fresh), fresh
    if precision is not None:
        first = tested.gain(choices.chosen, choices.baseline, fresh)
        seeds = fresh + _more_seeds(first, fresh, precision, tested.resolution)
        trials.train(named, "more seeds", seeds=seeds)
        for arm in named:
            scores[arm] |= scored(arm, seeds[stage_one:])

    def paired(arm: Arm | None, other: Arm | None) -> Interval | None:
        if arm is None or other is None:
            return None
        return tested.gain(arm, other, seeds, stage_one=stage_one)

    gain = tested.gain(choices.chosen, choices.baseline, seeds, stage_one=stage_one)
    over_rival = paired(choices.chosen, rival)
    trained, control = choices.trained, choices.control
    favoured = clearly_better(
        trials.differences(choices.chosen, choices.baseline, seeds),
        resolution=trials.resolution(seeds[0]),
    )
    return Gain(
        synthaug=versions()["synthaug"],
        data=_data(measured, test),
        protocol=_protocol(measured, precision, gain, seeds, favoured),
        arms=arm_table(trials, choices, tested, named, seeds, stage_one),
        baseline=choices.baseline.name,
        trained=None if trained is None else trained.name,
        control=None if control is None else control.name,
        rival=None if rival is None else rival.name,
        chosen=describe(choices.chosen),
        gain_over_control=paired(trained, control),
        gain_over_rival=over_rival,
        gain=gain,
        recommendation=choices.chosen.name if favoured else NO_ARM,
        verdict=verdict(gain, over_rival),
        pictures=_pictures(trials, choices.chosen, seeds[0]),
    )


def _rival(tested: Tested, choices: Choices, trials: Trials) -> Arm | None:
    """The arm without synthetic images that did best on the test images of the seeds that choices
    were made on; None where that is the baseline."""
    over = {
        arm: tested.gain(arm, choices.baseline, trials.seeds_of(arm)).points
        for arm in choices.arms
        if arm.source is None
    }
    best = max(over, key=lambda arm: over[arm])
    return best if over[best] > 0 else None


def _more_seeds(gain: Interval, seeds: list[int], precision: float, resolution: float) -> list[int]:
    """As many further seeds as the scatter of the first ones asks for."""
    needed = seeds_for_precision(gain.per_seed, precision, resolution=resolution)
    wanted = min(MOST_SEEDS, needed) - len(seeds)
    return list(range(seeds[-1] + 1, seeds[-1] + 1 + wanted))


def _pictures(trials: Trials, arm: Arm, seed: int) -> Pictures:
    """Examples of what the chosen arm trained on for that seed."""
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
    measured: _Measured,
    precision: float | None,
    gain: Interval,
    seeds: list[int],
    favoured: bool,
) -> dict[str, Any]:
    trials, study, tuning = measured.trials, measured.trials.study, measured.tuning
    _, apart = study.plan(seeds[0])
    return {
        "metric": trials.metric,
        "seeds": seeds,
        "choice_seeds": trials.seeds,
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
        "caveats": _caveats(measured),
        "next_steps": next_steps(
            measured.choices.chosen if favoured and verdict(gain) != "hurts" else None,
            measured.choices.baseline,
            data=measured.name,
            classifier=study.classifier,
            steps=tuning.steps,
            batch_size=study.batch_size,
        ),
        "versions": versions(),
    }


def _caveats(measured: _Measured) -> list[str]:
    """What a reader of these figures has to know beside them."""
    sources = [arm.source for arm in measured.choices.arms if arm.source is not None]
    pools = {source.name: source.pool for source in sources if source.pool is not None}
    said = list(measured.shared)
    for name, directory in pools.items():
        said.append(f"{name} is the same pool for all seeds")
        if SamplePool(directory).origins != {measured.trials.study.train.fingerprint}:
            said.append(
                f"what {name} was made from is not known to be these training images alone; "
                "if its maker saw others, the gain is theirs, too"
            )
    return said
