"""The test split, opened once: every arm scored, the finalists on seeds of their own."""

from synthaug.gain.account import Settled, data_facts, protocol_facts
from synthaug.gain.arms import Arm
from synthaug.gain.choice import Choices
from synthaug.gain.pictures import Pictures, choose_pictures
from synthaug.gain.pools import load_pool
from synthaug.gain.result import NO_ARM, Gain
from synthaug.gain.statistics import Interval, clearly_better, seeds_for_precision, verdict
from synthaug.gain.table import arm_table, describe
from synthaug.gain.tested import Tested
from synthaug.gain.trials import Trials
from synthaug.images import LabelledImages
from synthaug.versions import versions

MOST_SEEDS = 60


def open_test(
    settled: Settled, test: LabelledImages, fresh: list[int], precision: float | None
) -> Gain:
    """Score every arm on the test images; nothing from here on changes a choice. The finalists are
    trained again, on `fresh` seeds: an arm that was picked for its score on some seeds was lucky on
    them, and the networks of those seeds are as lucky on the test images. So is the rival: where
    validation images do not rank as test images do, a gain over their choice is none over it."""
    trials, choices = settled.trials, settled.choices
    tested = Tested(trials, test)
    # Finalists with synthetic images are shown on seeds of their own alone.
    shown = [arm for arm in choices.arms if arm.source is None or arm not in choices.finalists]
    tested.score({arm: trials.seeds_of(arm) for arm in shown})
    rival = _rival(tested, choices, trials)
    named = [*choices.finalists, *([] if rival is None else [rival])]
    tested.train(named, fresh, "the best on other seeds")
    stage_one, seeds = len(fresh), fresh
    if precision is not None:
        first = tested.gain(choices.chosen, choices.baseline, fresh)
        more = _more_seeds(first, fresh, precision, tested.resolution)
        tested.train(named, more, "more seeds")
        seeds = fresh + more

    def paired(arm: Arm | None, other: Arm | None) -> Interval | None:
        if arm is None or other is None:
            return None
        return tested.gain(arm, other, seeds, stage_one=stage_one)

    gain = tested.gain(choices.chosen, choices.baseline, seeds, stage_one=stage_one)
    over_rival = paired(choices.chosen, rival)
    favoured = clearly_better(
        trials.differences(choices.chosen, choices.baseline, seeds),
        resolution=trials.resolution(seeds[0]),
    )
    return Gain(
        synthaug=versions()["synthaug"],
        data=data_facts(settled, test),
        protocol=protocol_facts(settled, precision, gain, seeds, favoured),
        arms=arm_table(trials, choices, tested, named, seeds, stage_one),
        baseline=choices.baseline.name,
        trained=_name(choices.trained),
        control=_name(choices.control),
        rival=_name(rival),
        chosen=describe(choices.chosen),
        gain_over_control=paired(choices.trained, choices.control),
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
    part = trials.study.tested(seed)
    assert arm.source is not None
    pool = load_pool(trials.study, arm.source, seed, part.name)
    return choose_pictures(part.train, pool.samples)


def _name(arm: Arm | None) -> str | None:
    return None if arm is None else arm.name
