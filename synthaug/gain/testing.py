"""Open the test split once: score every arm, the finalists on seeds of their own."""

from itertools import islice

from synthaug.core import versions
from synthaug.data import LabelledImages
from synthaug.gain.arms import Arm
from synthaug.gain.held_out_scores import HeldOutScores
from synthaug.gain.metadata import (
    SettledPlan,
    data_facts,
    divergence_caveat,
    lines_to_use,
    protocol_facts,
)
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
    plan: SettledPlan, test: LabelledImages, fresh_seeds: list[int], precision: float | None
) -> Gain:
    """Score every arm on the test images; nothing from here on changes a choice.

    The finalists are trained again, on seeds of their own: an arm that was picked for its score on
    some seeds was lucky on them, and the networks of those seeds are as lucky on the test images.
    So are the candidates for the oracle baseline: where validation images do not rank as test
    images do, a gain over the baseline that they chose is none over these.

    Args:
        plan: All that was settled before.
        test: The test images.
        fresh_seeds: Seeds that no choice was made on.
        precision: Half width of the interval to reach, in points; None adds no seeds.
    """
    comparison, choices = plan.comparison, plan.choices
    scores = HeldOutScores(comparison, test)
    # Finalists with synthetic images are scored on seeds of their own alone.
    others = [arm for arm in choices.arms if arm.source is None or arm not in choices.finalists]
    scores.score({arm: comparison.seeds_of(arm) for arm in others})
    candidates = _oracle_candidates(scores, choices, comparison)
    finalists = [*choices.finalists, *candidates]

    def score_finalists(seeds: list[int], stage: str) -> None:
        scores.score(dict.fromkeys(finalists, seeds), stage)
        # A network that has nothing right would make a gain over nothing.
        comparison.expect_trained([choices.chosen, choices.baseline], seeds)

    score_finalists(fresh_seeds, "the best on other seeds")
    stage_one, seeds, seeds_needed = len(fresh_seeds), fresh_seeds, 0
    if precision is not None:
        first = scores.gain(choices.chosen, choices.baseline, fresh_seeds)
        seeds_needed = seeds_for_precision(first.per_seed, precision, resolution=scores.resolution)
        more_seeds = _more_seeds(comparison, fresh_seeds, seeds_needed)
        score_finalists(more_seeds, "more seeds")
        seeds = fresh_seeds + more_seeds
    divergences = {arm: how for arm in finalists if (how := comparison.divergences(arm, seeds))}
    sound = [arm for arm in candidates if arm not in divergences]
    oracle = _oracle_baseline(scores, sound, choices.baseline, seeds)

    def paired_gain(arm: Arm | None, other: Arm | None) -> Interval | None:
        if arm is None or other is None or divergences.keys() & {arm, other}:
            return None
        return scores.gain(arm, other, seeds, stage_one=stage_one)

    gain = scores.gain(choices.chosen, choices.baseline, seeds, stage_one=stage_one)
    over_oracle = paired_gain(choices.chosen, oracle)
    judgement = verdict(gain, over_oracle)
    is_recommended = _is_recommended(comparison, choices, seeds, judgement)
    result = Gain(
        synthaug=versions()["synthaug"],
        data=data_facts(plan, test),
        protocol=protocol_facts(plan, precision, seeds),
        arms=arm_table(comparison, choices, scores, finalists, seeds, stage_one),
        baseline=choices.baseline.name,
        trained=_name(choices.trained),
        control=_name(choices.control),
        rival=_name(oracle),
        chosen=arm_facts(choices.chosen),
        gain_over_control=paired_gain(choices.trained, choices.control),
        gain_over_rival=over_oracle,
        gain=gain,
        recommendation=choices.chosen.name if is_recommended else NO_ARM,
        verdict=judgement,
        pictures=_pictures(comparison, choices.chosen, seeds[0]),
    )
    result.protocol["caveats"] += [divergence_caveat(*each) for each in divergences.items()]
    if seeds_needed > len(seeds):
        result.protocol["caveats"].append(
            f"an interval within {precision:g} points would take about {seeds_needed:,} seeds, and "
            f"{len(seeds)} are the most"
        )
    to_use = choices.chosen if result.to_use == choices.chosen.name else None
    without = next(arm for arm in choices.arms if arm.name == result.without)
    result.protocol["next_steps"] = lines_to_use(plan, to_use, without)
    return result


def _oracle_candidates(
    scores: HeldOutScores, choices: Choices, comparison: Comparison
) -> list[Arm]:
    """Return the arms without synthetic images, besides the baseline, that did best on test images.

    They are ranked on the seeds that choices were made on.
    """
    points = {
        arm: scores.gain(arm, choices.baseline, comparison.seeds_of(arm)).points
        for arm in choices.arms
        if arm.source is None and arm != choices.baseline
    }
    return sorted(points, key=lambda arm: -points[arm])[:RIVALS]


def _oracle_baseline(
    scores: HeldOutScores, candidates: list[Arm], baseline: Arm, seeds: list[int]
) -> Arm | None:
    """Return the best candidate on other seeds; None where the baseline is as good there."""
    points = {arm: scores.gain(arm, baseline, seeds).points for arm in candidates}
    best = max(points, key=lambda arm: points[arm], default=None)
    return None if best is None or points[best] <= TIE else best


def _is_recommended(
    comparison: Comparison, choices: Choices, seeds: list[int], judgement: Verdict
) -> bool:
    """Tell whether validation images of these seeds clearly favour the chosen arm.

    Where the maker of a pool may have seen them, the test images have to agree.
    """
    is_favoured = clearly_better(
        comparison.differences(choices.chosen, choices.baseline, seeds),
        resolution=comparison.resolution(seeds[0]),
    )
    source = choices.chosen.source
    is_unseen = source is None or source.pool is None or comparison.experiment.unseen_by_pools
    return is_favoured and (is_unseen or judgement == "helps")


def _more_seeds(comparison: Comparison, seeds: list[int], total: int) -> list[int]:
    """Return further seeds, up to so many in all, for which the images can be split.

    A draw of few images may hold a single group of a class, which cannot.
    """
    count = max(0, min(MOST_SEEDS, total) - len(seeds))
    further_seeds = range(seeds[-1] + 1, seeds[-1] + 1 + 2 * MOST_SEEDS)
    return list(islice(filter(comparison.experiment.can_split, further_seeds), count))


def _pictures(comparison: Comparison, arm: Arm, seed: int) -> Pictures:
    """Return examples of what the chosen arm trained on for that seed."""
    real = comparison.experiment.tested_fold(seed).train
    return choose_pictures(real, comparison.pool(arm, seed).samples)


def _name(arm: Arm | None) -> str | None:
    return None if arm is None else arm.name
