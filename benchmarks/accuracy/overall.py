"""What all results say together."""

from textwrap import fill

import numpy as np
from stored import gain_of_length, is_tuned, lead_of_rival, partner_of, trained_short
from wording import mean_by_set, mean_of

from synthaug import Gain
from synthaug.gain import NO_ARM


def overall(results: list[Gain]) -> str:
    """All gains over tuned baselines together."""
    tuned = [gain for gain in results if is_tuned(gain)]
    even = [gain for gain in tuned if gain.protocol["metric"] == "accuracy"]
    groups = {
        "rows that were tuned (without §)": tuned,
        "in accuracy": even,
        "in balanced accuracy": [gain for gain in tuned if gain not in even],
        "tried with twice the steps, and not undertrained": [
            gain for gain in tuned if gain_of_length(gain) is not None and not trained_short(gain)
        ],
    }
    columns = [means(group) for group in groups.values()]
    rows = "".join(
        f"| {' | '.join([name, *(c[name] for c in columns)])} |\n" for name in columns[0]
    )
    head = " | ".join(f"{len(group)} {name}" for name, group in groups.items())
    left = [100 * (1 - np.mean(gain.scores(gain.baseline))) for gain in tuned]
    said = (
        "Means over rows, with Student's interval over the rows; the mean error of the baselines "
        f"is {np.mean(left):.1f} %. From a gain *less the rival's lead* that of what does best on "
        "the test images is taken: the better of two on the seeds that are measured, partly by "
        "luck, which makes the estimate a low one, but no bound: others may be better still. The "
        "gain itself, over the baseline alone, is partly what validation images chose badly. Rows "
        "of one set share their test images, so that an interval over rows is narrower than it "
        "should be: *by set*, the mean of a set's rows counts as one. *As recommended*, the "
        "baseline is used where validation does not recommend synthetic images, by validation "
        "images of the seeds that are measured, whose "
        "luck the test images share (where all seeds are judged by the same validation images, by "
        "those that chose); that it may be behind the rival there is no fault of "
        "synthetic images. *Undertrained* is a baseline that twice the steps make half a point "
        "better or more (‡)."
    )
    return f"""\
## All together

{fill(said, 100)}

| | {head} |
{"|---" * (1 + len(groups))}|
{rows}
"""


def means(results: list[Gain]) -> dict[str, str]:
    """What these results say together."""
    gains = np.array([gain.gain.points for gain in results])
    leads = np.array([lead_of_rival(gain) for gain in results])
    taken = np.array([gain.recommendation != NO_ARM for gain in results])
    controls = [gain.gain_over_control.points for gain in results if gain.gain_over_control]
    verdicts = [gain.verdict for gain in results]
    advised = gains * taken
    ahead = sum(gain.verdict == "helps" for gain in results if gain.recommendation != NO_ARM)
    return {
        "gain less the rival's lead, by set": mean_by_set(results, gains - leads),
        "gain less the rival's lead, by row": mean_of(gains - leads),
        "gain over the baseline alone, by set": mean_by_set(results, gains),
        "gain over the baseline alone, by row": mean_of(gains),
        "*helps*, *hurts*": f"{verdicts.count('helps')}, {verdicts.count('hurts')}",
        "recommended, of these *helps*, of these behind a rival": (
            f"{taken.sum()}, {ahead}, {(taken & (gains < leads)).sum()}"
        ),
        "gain as recommended": f"{mean_of(advised)}, at worst {advised.min():+z.1f}",
        "as recommended, less the rival's lead": (
            f"{mean_of(advised - leads)}, at worst {(advised - leads).min():+z.1f}"
        ),
        "the best trained over the best control": mean_of(controls),
    }


def hindsight(results: list[Gain]) -> str:
    """What one way of mixing for all rows would have gained, and what the best choice could."""
    tuned = [gain for gain in results if is_tuned(gain)]
    each = [on_partner(gain) for gain in tuned]
    always = [way for way in each[0] if all(way in ways for ways in each)]
    points = {f"`{way}`": [ways[way] for ways in each] for way in always}
    points = dict(sorted(points.items(), key=lambda item: -np.mean(item[1])))
    points["chosen on validation images, on fresh seeds"] = [gain.gain.points for gain in tuned]
    made, real = ([best(gain, kind) for gain in tuned] for kind in (True, False))
    points["the best with synthetic images"] = made
    points["the best without"] = real
    points["the former over the latter"] = [a - b for a, b in zip(made, real, strict=True)]
    rows = "".join(
        f"| {name} | {mean_by_set(tuned, np.array(found))} | {mean_of(found)} | "
        f"{min(found):+z.1f} to {max(found):+z.1f} |\n"
        for name, found in points.items()
    )
    counts = [np.mean([sum(a.synthetic == kind for a in g.arms) for g in tuned]) for kind in (1, 0)]
    said = (
        "Do the generators fall short, or the choice among them? Each way of mixing that was tried "
        "in all tuned rows, on top of the row's partner and over its baseline, as if it had been "
        "settled for all of them beforehand. Below it what somebody would have who chose for each "
        "row by its *test* images: of all arms with synthetic images, and of all without. Points "
        "are those of the tables of all arms: mostly on the seeds that the baseline was chosen on, "
        "and on fewer of these where an arm was given up. So the best of many is partly "
        f"lucky, that of {counts[0]:.0f} arms with synthetic images (on the mean) a little more "
        f"than that of {counts[1]:.0f} without."
    )
    return f"""\
## In hindsight

{fill(said, 100)}

| | by set | by row | least to most |
|---|---|---|---|
{rows}
"""


def on_partner(gain: Gain) -> dict[str, float]:
    """The gain of each way of mixing that was tried on top of the partner."""
    end = f", {partner_of(gain)}"
    arms = [arm for arm in gain.arms if arm.synthetic and arm.name.endswith(end)]
    return {arm.name.removesuffix(end): arm.gain.points for arm in arms if arm.gain is not None}


def best(gain: Gain, synthetic: bool) -> float:
    """The largest gain of an arm with or without synthetic images; the baseline has 0."""
    arms = [arm for arm in gain.arms if arm.synthetic == synthetic]
    return max(0.0 if arm.gain is None else arm.gain.points for arm in arms)
