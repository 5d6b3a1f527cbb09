"""The table of all results, on their page and in README.md, and what has to be known to read it."""

from functools import reduce
from typing import NamedTuple

import numpy as np
from scipy.stats import binom
from stored import (
    anchor,
    holds_out,
    images_per_class,
    is_tuned,
    mark,
    name_of,
    not_measured,
    title,
)
from wording import as_control, bullets, mean_of, outcome, paragraph, percent, span

from synthaug import Gain
from synthaug.gain import Interval
from synthaug.gain.baselines import MOST_STEPS
from synthaug.gain.statistics import holm, p_value

CHANCE = 0.025  # that a row without any gain is said to help
TRAINED_SHORT = """
‡ perhaps undertrained: after twice the steps this baseline had half a point more or better ([what a
gain is worth](#what-a-gain-is-worth) has the intervals).
"""
AT_LIMIT = f"""
‖ tuning ended at its limit of {MOST_STEPS:,} steps, which were better than half as many: a longer
training may take a part of the gain away.
"""
SETTLED_ON_TWO = """
¶ tuning stopped doubling the steps when two seeds saw no use in it; later rows ask all five.
"""
NOT_TUNED = """
§ the demonstration: settings fixed, not tuned.
"""
ON_THESE_IMAGES = """
† on these test images: with the scatter that others would bring, too, the interval holds zero. (It
is known of rows whose `gain` has an `image_error`.)
"""
MARKS = {
    "†": ON_THESE_IMAGES,
    "‡": TRAINED_SHORT,
    "‖": AT_LIMIT,
    "¶": SETTLED_ON_TWO,
    "§": NOT_TUNED,
}
HEAD = """\
| data | images per class | best without synthetic | chosen with synthetic | gain | verdict |
|---|---|---|---|---|---|
"""
BRIEF_HEAD = """\
| data | images per class | without | with synthetic | gain | verdict |
|---|---|---|---|---|---|
"""
BRIEF_NOTES = """
Accuracy in percent, balanced where classes are uneven; gains in points, with 95 % intervals over
{seeds} paired seeds: they hold the scatter of seeds, not of other test images. There are two
trainings without synthetic images to beat: the *baseline*, which validation chose of some ten tuned
ones, and its *rival*, where one does better on the *test* images. Shown is the comparison whose
interval reaches lower ([both](docs/results.md#results)). *Helps*: better than both. *Hurts*: worse
than the baseline. *No evidence*: all else, even if surely behind the rival. *Control*: images of a
generator that learns nothing. \\* has [remarks](docs/results.md#results), such as tuning that ended
at its limit. The protocol was [changed](docs/results.md#how-the-protocol-was-changed) after results
on these images were known.
"""


def summary(results: list[Gain]) -> str:
    """One row a data set, with what was compared."""
    rows, marks = [], [mark(gain) for gain in results]
    for gain, found in zip(results, marks, strict=True):
        name = f"[{name_of(gain)}](#{anchor(title(gain))})"
        if gain.protocol["metric"] != "accuracy":
            name += f", {gain.protocol['metric']}"
        rows.append(f"| {name}{found} | {images_per_class(gain)} | {outcome(gain)} |\n")
    notes = "".join(note for known, note in MARKS.items() if known in "".join(marks))
    return HEAD + "".join(rows) + how_to_read(results) + notes


def brief(results: list[Gain], pretrained: list[Gain], peers: list[str]) -> str:
    """One row a data set, with how it came out. `peers`: what is said of other packages' images."""
    rows = []
    for gain in results:
        less_sure = least_sure(gain)
        arms = f"{percent(less_sure.without)} | {percent(gain.scores(gain.chosen['arm']))}"
        shown = f"{arms}{as_control(gain)} | {span(less_sure.gain)} | **{gain.verdict}**"
        marked = " \\*" * bool(mark(gain))
        rows.append(f"| {name_of(gain)}{marked} | {images_per_class(gain)} | {shown} |\n")
    said = [learned(results), *from_weights(pretrained), *peers, *missing(results)]
    notes = BRIEF_NOTES.format(seeds=seeds_of(results))
    found = paragraph(f"{helped(results)} {corrected(results)}")
    return f"{found}\n{BRIEF_HEAD}{''.join(rows)}{notes}{bullets(said)}"


class LeastSure(NamedTuple):
    """Scores of a training without synthetic images, and the gain of the chosen arm over it."""

    without: list[float]
    gain: Interval


def least_sure(gain: Gain) -> LeastSure:
    """The comparison whose interval reaches lower: with the baseline, or with its rival."""
    over_baseline = LeastSure(gain.scores(gain.baseline), gain.gain)
    if gain.rival is None or gain.gain_over_rival is None:
        return over_baseline
    over_rival = LeastSure(gain.scores(gain.rival), gain.gain_over_rival)
    return min(over_baseline, over_rival, key=lambda each: each.gain.low)


def how_to_read(results: list[Gain]) -> str:
    """What the table does not say by itself, and what is missing in it."""
    said = [
        f"Intervals are 95 %, over {seeds_of(results)} paired seeds: they hold the scatter between "
        "seeds, not that of other test images.",
        judged_by(results),
        f"{helped(results)} {by_luck(results)} {corrected(results)}",
        f"*Control*: images of a generator that learns nothing. {learned(results)}",
    ]
    return bullets([*said, *missing(results)])


def helped(results: list[Gain]) -> str:
    """In how many rows and sets synthetic images help and hurt."""
    rows = {v: [name_of(gain) for gain in results if gain.verdict == v] for v in ("helps", "hurts")}
    sets = {verdict: list(dict.fromkeys(found)) for verdict, found in rows.items()}
    hurt = f" ({', '.join(sets['hurts'])})" if rows["hurts"] else ""
    return (
        f"Synthetic images *help* in {len(rows['helps'])} of the {len(results)} rows, in "
        f"{len(sets['helps'])} of the {len({name_of(gain) for gain in results})} sets "
        f"({', '.join(sets['helps'])}), and *hurt* in {len(rows['hurts'])}{hurt}."
    )


def learned(results: list[Gain]) -> str:
    """What training a generator adds."""
    helping = sum(g.verdict == "helps" and g.chosen["arm"] == g.trained for g in results)
    controls = [g.gain_over_control.points for g in results if is_tuned(g) and g.gain_over_control]
    return (
        f"Images of a trained generator help in {helping} row{'s' * (helping != 1)}; on the mean "
        f"of the tuned rows the best trained one has {mean_of(controls)} points over the best "
        "control."
    )


def judged_by(results: list[Gain]) -> str:
    """What choices were made on."""
    held = [gain.data["validation"] for gain in results if not holds_out(gain)]
    of_its_own = [gain.data["validation"] for gain in results if holds_out(gain)]
    own = f", in one row on {of_its_own[0]} held out of its own" if of_its_own else ""
    return (
        f"Choices were made on {min(held):,} to {max(held):,} further labelled images{own}"
        f"{if_trained_on(results)}."
    )


def from_weights(pretrained: list[Gain]) -> list[str]:
    """What the networks of the table start from, and how those did that start from weights: a
    sentence or two, or none where none was measured."""
    if not pretrained:
        return []
    points = [least_sure(gain).gain.points for gain in pretrained]
    helped, hurt = (sum(g.verdict == each for g in pretrained) for each in ("helps", "hurts"))
    return [
        "The network is a small one, of 0.3 million weights, that starts from random ones. With "
        f"one that starts from ImageNet's, synthetic images *help* in {helped} and *hurt* in "
        f"{hurt} of {len(pretrained)} rows, with gains of {min(points):+z.1f} to "
        f"{max(points):+z.1f} points ([row by row](docs/results.md#pretrained-networks))."
    ]


def missing(results: list[Gain]) -> list[str]:
    """A sentence, or none."""
    rows = "; ".join(not_measured(results))
    return [f"Not measured yet: {rows}."] if rows else []


def if_trained_on(results: list[Gain]) -> str:
    """What as many images more as choices were made on bring, in words, for the first set of which
    another row trains on so many."""
    for few in results:
        for many in results:
            if name_of(few) == name_of(many) and few.data["validation"] == many.data["train"]:
                before, more = (percent(least_sure(each).without) for each in (few, many))
                after = percent(few.scores(few.chosen["arm"]))
                return (
                    f". As many to train on are worth more: with {images_per_class(many)} per "
                    f"class {name_of(few)} has {more} without synthetic ones, with "
                    f"{images_per_class(few)} per class {before}, and {after} with them"
                )
    return ""


def by_luck(results: list[Gain]) -> str:
    """How often so many rows would help if nothing ever did, in words. Rows of one set may come
    out alike, or each by itself: the truth is between the two."""
    rows = [name_of(gain) for gain in results]
    helping = [name_of(gain) for gain in results if gain.verdict == "helps"]
    sets, hits = dict.fromkeys(rows), len(set(helping))
    alike = binom(len(sets), CHANCE).sf(hits - 1)
    each_set = [1 - (1 - CHANCE) ** rows.count(name) for name in sets]
    apart = reduce(np.convolve, [[1 - p, p] for p in each_set])[hits:].sum()
    each = binom(len(rows), CHANCE).sf(len(helping) - 1)
    return (
        "If nothing ever helped, as many rows would by luck with a probability of "
        f"{each:.1%}, were no two of one set, and as many sets with {alike:.0%} to {apart:.0%}."
    )


def corrected(results: list[Gain]) -> str:
    """Which rows are told from no gain when all of them are tested together, in words."""
    sure = {
        verdict: [
            f"{title(gain)} (p = {p:.3f})"
            for gain, p in zip(results, holm(list(map(p_of_row, results))), strict=True)
            if gain.verdict == verdict and p < 0.05
        ]
        for verdict in ("helps", "hurts")
    }
    said = " and ".join(
        f"to {'help' if verdict == 'helps' else 'hurt'} on {', '.join(rows)}"
        for verdict, rows in sure.items()
        if rows
    )
    return f"With all rows tested together (Holm, 5 %), they are found {said or 'to do neither'}."


def p_of_row(gain: Gain) -> float:
    """How rare its verdict would be by luck: a gain has to be one over the rival, too, and else is
    none, however sure it is over the baseline."""
    rival = gain.gain_over_rival
    if gain.gain.points <= 0 or rival is None:
        return p_value(gain.gain)
    return max(p_value(gain.gain), p_value(rival)) if rival.points > 0 else 1.0


def seeds_of(results: list[Gain]) -> str:
    counts = sorted({len(gain.protocol["seeds"]) for gain in results})
    return " or ".join(str(count) for count in counts)
