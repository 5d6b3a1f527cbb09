"""The test split, opened once: every arm scored, the finalists on seeds of their own."""

from itertools import islice

from synthaug.core import versions
from synthaug.data import LabelledImages
from synthaug.gain.arms import Arm
from synthaug.gain.held_out_scores import HeldOutScores
from synthaug.gain.metadata import SettledPlan, data_facts, lines_to_use, protocol_facts, divergence_caveat
from synthaug.gain.result import NO_ARM, Gain, Pictures, choose_pictures
from synthaug.gain.results_table import arm_facts, arm_table
from synthaug.gain.runs.comparison import Comparison
from synthaug.gain.selection import Choices
from synthaug.gain.statistics import (
    MOST_SEEDS,
    RIVALS,
    TIE,
    Interval,
    Verdict,
    clearly_better,
    seeds_for_precision,
    verdict,
)


def open_test(
    settled: SettledPlan, test: LabelledImages, fresh: list[int], precision: float | None
) -> Gain:
    """Score every arm on the test images; nothing from here on changes a choice. The finalists are
    trained again, on `fresh` seeds: an arm that was picked for its score on some seeds was lucky on
    them, and the networks of those seeds are as lucky on the test images. So are its rivals: where
    validation images do not rank as test images do, a gain over their choice is none over these."""
    trials, choices = settled.trials, settled.choices
    tested = HeldOutScores(trials, test)
    # Finalists with synthetic images are shown on seeds of their own alone.
    shown = [arm for arm in choices.arms if arm.source is None or arm not in choices.finalists]
    tested.score({arm: trials.seeds_of(arm) for arm in shown})
    rivals = _rivals(tested, choices, trials)
    again = [*choices.finalists, *rivals]

    def measure(seeds: list[int], what: str) -> None:
        tested.score(dict.fromkeys(again, seeds), what)
        # What has nothing right makes a gain over nothing.
        trials.expect_trained([choices.chosen, choices.baseline], seeds)

    measure(fresh, "the best on other seeds")
    stage_one, seeds, needed = len(fresh), fresh, 0
    if precision is not None:
        first = tested.gain(choices.chosen, choices.baseline, fresh)
        needed = seeds_for_precision(first.per_seed, precision, resolution=tested.resolution)
        more = _more_seeds(trials, fresh, needed)
        measure(more, "more seeds")
        seeds = fresh + more
    broken = {arm: how for arm in again if (how := trials.diverged(arm, seeds))}
    sound = [arm for arm in rivals if arm not in broken]
    rival = _rival(tested, sound, choices.baseline, seeds)

    def paired(arm: Arm | None, other: Arm | None) -> Interval | None:
        if arm is None or other is None or broken.keys() & {arm, other}:
            return None
        return tested.gain(arm, other, seeds, stage_one=stage_one)

    gain = tested.gain(choices.chosen, choices.baseline, seeds, stage_one=stage_one)
    over_rival = paired(choices.chosen, rival)
    found = verdict(gain, over_rival)
    recommended = _is_recommended(trials, choices, seeds, found)
    made = Gain(
        synthaug=versions()["synthaug"],
        data=data_facts(settled, test),
        protocol=protocol_facts(settled, precision, seeds),
        arms=arm_table(trials, choices, tested, again, seeds, stage_one),
        baseline=choices.baseline.name,
        trained=_name(choices.trained),
        control=_name(choices.control),
        rival=_name(rival),
        chosen=arm_facts(choices.chosen),
        gain_over_control=paired(choices.trained, choices.control),
        gain_over_rival=over_rival,
        gain=gain,
        recommendation=choices.chosen.name if recommended else NO_ARM,
        verdict=found,
        pictures=_pictures(trials, choices.chosen, seeds[0]),
    )
    made.protocol["caveats"] += [divergence_caveat(*each) for each in broken.items()]
    if needed > len(seeds):
        made.protocol["caveats"].append(
            f"an interval within {precision:g} points would take about {needed:,} seeds, and "
            f"{len(seeds)} are the most"
        )
    to_use = choices.chosen if made.to_use == choices.chosen.name else None
    without = next(arm for arm in choices.arms if arm.name == made.without)
    made.protocol["next_steps"] = lines_to_use(settled, to_use, without)
    return made


def _rivals(tested: HeldOutScores, choices: Choices, trials: Comparison) -> list[Arm]:
    """The arms without synthetic images, but for the baseline, that did best on the test images of
    the seeds that choices were made on."""
    over = {
        arm: tested.gain(arm, choices.baseline, trials.seeds_of(arm)).points
        for arm in choices.arms
        if arm.source is None and arm != choices.baseline
    }
    return sorted(over, key=lambda arm: -over[arm])[:RIVALS]


def _rival(tested: HeldOutScores, rivals: list[Arm], baseline: Arm, seeds: list[int]) -> Arm | None:
    """The best of them on other seeds; None where the baseline is as good there."""
    over = {arm: tested.gain(arm, baseline, seeds).points for arm in rivals}
    best = max(over, key=lambda arm: over[arm], default=None)
    return None if best is None or over[best] <= TIE else best


def _is_recommended(trials: Comparison, choices: Choices, seeds: list[int], found: Verdict) -> bool:
    """Whether validation images of these seeds clearly favour the chosen arm. Of a pool whose maker
    may have seen them they say nothing by themselves."""
    favoured = clearly_better(
        trials.differences(choices.chosen, choices.baseline, seeds),
        resolution=trials.resolution(seeds[0]),
    )
    source = choices.chosen.source
    is_pool = source is not None and source.pool is not None
    return favoured and (not is_pool or trials.study.unseen_by_pools or found == "helps")


def _more_seeds(trials: Comparison, seeds: list[int], needed: int) -> list[int]:
    """As many further seeds as make them so many in all, or the most, of those for which the images
    can be split: a draw of few may hold one group of a class."""
    wanted = max(0, min(MOST_SEEDS, needed) - len(seeds))
    after = range(seeds[-1] + 1, seeds[-1] + 1 + 2 * MOST_SEEDS)
    return list(islice(filter(trials.study.can_split, after), wanted))


def _pictures(trials: Comparison, arm: Arm, seed: int) -> Pictures:
    """Examples of what the chosen arm trained on for that seed."""
    return choose_pictures(trials.study.tested(seed).train, trials.pool(arm, seed).samples)


def _name(arm: Arm | None) -> str | None:
    return None if arm is None else arm.name
