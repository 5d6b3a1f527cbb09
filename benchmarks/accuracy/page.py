"""Writes docs/results.md, its pictures, and the table in README.md, from the JSON files in
benchmarks/accuracy/results.

    python benchmarks/accuracy/page.py

Each file is what `synthaug gain ... --json` or grid.py wrote; the command is in it.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from pictures import draw_gains, draw_trends
from scipy.stats import binom
from stored import (
    RESULTS,
    anchor,
    arithmetic_of,
    at_limit,
    comparable,
    file_of,
    gain_of_length,
    holds_out,
    images_per_class,
    is_sound,
    lead_of_rival,
    mark,
    measured_on,
    name_of,
    not_measured,
    over,
    partner_of,
    read_results,
    title,
    trained_short,
    worth_of,
)

from synthaug import Gain
from synthaug.gain import ArmResult, Interval
from synthaug.gain.result import NO_ARM
from synthaug.gain.statistics import holm, p_value, paired_interval
from synthaug.gain.tuning import MOST_STEPS

ROOT = Path(__file__).parent.parent.parent
CHANCE = 0.025  # that a row without any gain is said to help
START, END = "<!-- results -->\n", "<!-- end of results -->\n"
INTRODUCTION = """\
# Results

Each gain is over the best arm without synthetic images, on test images that were opened after that
arm and the one with synthetic images were chosen, over paired seeds that no choice was made on, at
equal optimiser steps; intervals are 95 %. The baselines were tuned first (see
[measuring](measuring.md)). Where another arm without synthetic images does better on the test
images than the one that validation chose, the gain over that one stands after the semicolon, and
has to be above zero, too. (Two were trained again to be compared with it, where † stands one:
those that did best on the test images of the seeds that choices were made on. Where nothing stands,
neither is ahead of the baseline; others may be.) Written by `python benchmarks/accuracy/page.py`
from the files in `benchmarks/accuracy/results/`, which hold every figure, the tuning and the seeds.

What is compared was chosen without the test images and the seeds that it is measured on; these pick
the rival alone, which can only speak against synthetic images. But the protocol was
[changed](#how-the-protocol-was-changed) after results on these test images were known.

![The gain on each set, with its interval](images/gains.png)

![Gains against images per class, and against the share of synthetic ones](images/trends.png)

An arm's name says where its images come from, their share, their labels, and the training that they
are put on: see the [words](measuring.md#words). In the tables of all arms further down, each gain
is over the baseline on the same seeds, but not all arms are measured on the same seeds (those that
the result names on fresh ones, the others on those of the choices, on which the baseline may have
been lucky, as it was chosen on them): compare gains, not accuracies. The column *validation* is of
the seeds of the choices, whichever the others are of.

"""
HISTORY = """\
## How the protocol was changed

The test images of all sets had been opened under versions 0.1.0 to 0.4.0, which said *helps* of
traffic signs and of CIFAR-10. Then the baselines were tuned at the length that they are trained
for, smoothed labels joined the arms without synthetic images, and gains were measured on seeds that
no choice was made on (0.5.0). Not all baselines became better by it: on chest X-rays at 10 per
class MixUp, self-distilled, had had 85.3 on other seeds, where 77.3 and a rival of 82.8 stand now;
on Fashion-MNIST at 50 CutMix had 84.6 after 1,200 steps (three seeds), where both are 83.3 now. The
digits were said to be helped by a version in between (+1.2, +0.1 to +2.4), before a gain was
measured on other seeds than those of the choices. Sources had joined before that: `nuisance-swap`,
`extrapolate` and `blend` after the first rows, and `patch-nuisance` and `patch-style`, for what
they did on images of CIFAR-10's training split, an hour after white blood cells had first been
measured. CutMix had 85.2 there, and a `Blend` -1.5 (-6.8 to +3.7) over it; the +6.9 of now is that
of `patch-nuisance`. The comparison with what does best on the test images, and the arm `classical,
distilled`, were added after rows of PneumoniaMNIST and MNIST had said *helps* under 0.5.0, and
those of MNIST were measured again, on the same seeds. Later two arms were compared in place of one,
and steps were doubled where that pays on two seeds or on all, no more where on two alone (¶). The
comparison can only speak against synthetic images. A new arm usually does, but may also take the
place of a stronger baseline: MNIST at 10 per class went from +0.47 (+0.22 to +0.71) to +0.48 (-0.10
to +1.07).

"""
SETS = """\
## The sets

Each is one `.npz` of the [usual form](data.md), with at most 1,000 training images per class
(CIFAR-10: 500, traffic signs: 100), but PneumoniaMNIST's 1,214 and 3,494. They are not part of this
repository.

| name | what it shows | pixels | from |
|---|---|---|---|
| mnist | handwritten digits | 28, gray | LeCun et al. 1998 |
| fashion_mnist | clothing | 28, gray | Xiao et al. 2017, MIT |
| cifar10 | photographs | 32, RGB | Krizhevsky 2009 |
| gtsrb32 | 43 traffic signs, apart by physical sign | 32, RGB | GTSRB (Stallkamp 2012), research |
| pneumoniamnist | chest X-rays, 3 to 1 with pneumonia | 28, gray | MedMNIST v2, CC BY 4.0 |
| covid_ct | CT slices, split by patient | 64, gray | COVID-CT (Yang et al. 2020), research |
| wbc_types64 | four kinds of white blood cells, 141 to 14 of each | 64, RGB | BCCD, MIT |
| digits | handwritten digits, with the package | 8, enlarged to 16, gray | scikit-learn |

"""
TUNED_SHORT = """
\\* measured with an earlier protocol: weaker baselines where training is long, choices and gains on
the same seeds, no comparison with what does best on the test images. To be measured again.
"""
NOT_DISTILLED = """
† measured before the arm `classical, distilled` existed, and with one arm, not two, compared on the
test images: measured again, the gain may be another.
"""
WORTH_HEAD = """\
## What a gain is worth

The training without synthetic images that validation chose, with 2 and 4 times as many real images
per class, and with as many for twice the steps: same recipe and seeds (`python
benchmarks/accuracy/worth.py`), where that was measured for the present baseline. The recipe is the
one that suits the few images, so more of them are worth more than this: chest X-rays have 81.7 here
with 40 per class, and 87.1 where all was tuned at 50. A dash says that the set has not as many to
train on; what is blank was not measured. Beside it the rival, where there is one: accuracy up to
that level needs no synthetic images. After twice the steps, with the weight decay that was tuned
for less: what they bring the training without synthetic images, and, where that was measured and
they do no harm, what the chosen one with them then gains over it.

| data | per class | without | rival | synthetic | 2 × images | 4 × | 2 × steps | synthetic |
|---|---|---|---|---|---|---|---|---|
"""
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
MARKS = {
    "*": TUNED_SHORT,
    "†": NOT_DISTILLED,
    "‡": TRAINED_SHORT,
    "‖": AT_LIMIT,
    "¶": SETTLED_ON_TWO,
    "§": NOT_TUNED,
}
BESIDE_PEERS = ("transfer-any", "transfer-within", "nuisance-swap")
PEERS_HEAD = f"""\
## Beside pythae

Its VAE, one a class, sampled from a Gaussian mixture of its codes and fitted anew for each seed: a
quarter of each batch, with hard labels, on top of the same partner and over the same baseline as
ours (`grid.py --peers`, where that was measured for the present baseline; for other sets it was for
an earlier one). Beside it *the partner alone*, what the partner has over the baseline before any
synthetic image is added, and each of ours at the same share. pythae's is on the seeds of the
result; so is what the result names, and all else on those that choices were made on (how many, if
not all, is told): differences between columns are not paired, and say little.

| data | images per class | pythae | the partner alone | {" | ".join(BESIDE_PEERS)} |
{"|---" * (4 + len(BESIDE_PEERS))}|
"""
PRETRAINED_HEAD = """\
## Pretrained networks

EfficientNet-Lite0 from ImageNet's weights, ten images per class, on seeds and test images as above:
the last layer alone learns, at 96 pixels, or all of it, at 64 (`pretrained.py`). Learning rate and
geometry are tuned, the steps are given, and each generator is tried once, on top of the partner.

| data | learns | best without synthetic | chosen with synthetic | gain | verdict |
|---|---|---|---|---|---|
"""
PUBLISHED = {"10": (47.6, 49.75), "50": (67.3, 70.09), "100": (74.96, 76.76)}
PUBLISHED_HEAD = """\
## Beside published figures

ChimeraMix (Reinders et al., IJCAI 2022), on CIFAR-10's images less near-duplicates, alone and with
AutoAugment: a WideResNet-16-8 with 11 million weights, 100,000 steps. Our network has
0.3 million and took up to 4,800 steps of 64, on a CPU: a shorter protocol, not the same. Well-tuned
training without any generator has reached 58.2 (Brigato et al. 2021) and 66.5 (2023) at 50 per
class, the latter more than either column of ours: such a network may leave less to gain than this
one.

| per class | best without synthetic | chosen with synthetic | ChimeraMix | with AutoAugment |
|---|---|---|---|---|
"""
HEAD = """\
| data | images per class | best without synthetic | chosen with synthetic | gain | verdict |
|---|---|---|---|---|---|
"""
BRIEF_HEAD = """\
| data | images per class | best without | with synthetic | gain | verdict |
|---|---|---|---|---|---|
"""
BRIEF_NOTES = """
Accuracy in percent, balanced where classes are uneven; gains in points, with 95 % intervals over
{seeds} paired seeds. *Best without* is what validation images chose of some ten tuned trainings
without synthetic images or, where the gain over that is less sure, one that the *test* images
prefer. *Helps*: the gains over both are above zero; *hurts*: that over the first is below.
*Control*: synthetic images of a generator that learns nothing. \\* has
[remarks](docs/results.md#results), as an earlier protocol, or tuning that ended at its limit.
"""


def span(interval: Interval) -> str:
    return f"{interval.points:+z.1f} ({interval.span})"


def percent(values: list[float]) -> str:
    return f"{100 * np.mean(values):.1f}"


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


def brief(results: list[Gain]) -> str:
    """One row a data set, with how it came out."""
    rows = []
    for gain in results:
        less_sure = least_sure(gain)
        arms = f"{percent(less_sure.without)} | {percent(gain.scores(gain.chosen['arm']))}"
        control = " (control)" * (gain.chosen["arm"] == gain.control)
        shown = f"{arms}{control} | {span(less_sure.gain)} | **{gain.verdict}**"
        marked = " \\*" * bool(mark(gain))
        rows.append(f"| {name_of(gain)}{marked} | {images_per_class(gain)} | {shown} |\n")
    said = [helped(results), corrected(results), learned(results), judged_by(results)]
    notes = BRIEF_NOTES.format(seeds=seeds_of(results))
    return BRIEF_HEAD + "".join(rows) + notes + bullets([*said, *missing(results)])


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


def bullets(said: list[str]) -> str:
    return "\n" + "".join(f"{fill(f'- {each}', 100, subsequent_indent='  ')}\n" for each in said)


def helped(results: list[Gain]) -> str:
    """In how many rows and sets synthetic images help and hurt."""
    rows = {v: [g for g in results if g.verdict == v] for v in ("helps", "hurts")}
    sets = {verdict: len({name_of(gain) for gain in found}) for verdict, found in rows.items()}
    return (
        f"Synthetic images *help* in {len(rows['helps'])} of the {len(results)} rows, in "
        f"{sets['helps']} of the {len({name_of(gain) for gain in results})} sets, and *hurt* in "
        f"{len(rows['hurts'])}."
    )


def learned(results: list[Gain]) -> str:
    """What training a generator adds."""
    helping = sum(g.verdict == "helps" and g.chosen["arm"] == g.trained for g in results)
    controls = [g.gain_over_control.points for g in results if is_sound(g) and g.gain_over_control]
    return (
        f"Those of a trained generator help in {helping} row{'s' * (helping != 1)}; on the mean of "
        f"the tuned rows the best trained one is {mean_of(controls)} points over the best control."
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


def missing(results: list[Gain]) -> list[str]:
    """A sentence, or none."""
    rows = "; ".join(not_measured(results))
    return [f"Not measured yet: {rows}."] if rows else []


def if_trained_on(results: list[Gain]) -> str:
    """What the images of the choices bring where they are trained on, in words, for the first set
    of which another row trains on as many."""
    for few in results:
        for many in results:
            if name_of(few) == name_of(many) and few.data["validation"] == many.data["train"]:
                (before, after), more = both(few), percent(many.scores(many.baseline))
                return (
                    f" (trained on, they would be worth more: {name_of(few)} has {before} with "
                    f"{images_per_class(few)} per class, {after} with synthetic ones, and {more} "
                    f"with {images_per_class(many)})"
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
    tested = [
        max(p_value(each) for each in (gain.gain, gain.gain_over_rival) if each is not None)
        if gain.verdict == "helps"
        else p_value(gain.gain)
        for gain in results
    ]
    sure = {
        verdict: [
            f"{title(gain)} (p = {p:.3f})"
            for gain, p in zip(results, holm(tested), strict=True)
            if gain.verdict == verdict and p < 0.05
        ]
        for verdict in ("helps", "hurts")
    }
    said = " and ".join(
        f"to {'help' if verdict == 'helps' else 'hurt'} on {', '.join(rows)}"
        for verdict, rows in sure.items()
        if rows
    )
    return f"All rows tested together (Holm, 5 %), they are found {said or 'to do neither'}."


def seeds_of(results: list[Gain]) -> str:
    counts = sorted({len(gain.protocol["seeds"]) for gain in results})
    return " or ".join(str(count) for count in counts)


def outcome(gain: Gain) -> str:
    """What was compared, and how it came out."""
    before, after = both(gain)
    control = " (control)" * (gain.chosen["arm"] == gain.control)
    arms = f"{gain.baseline}: {before} | {gain.chosen['arm']}{control}: {after}"
    over_rival = gain.gain_over_rival
    rival = f"; {span(over_rival)} over {gain.rival}" if over_rival else ""
    return f"{arms} | {span(gain.gain)}{rival} | **{gain.verdict}**"


def both(gain: Gain) -> list[str]:
    """The scores of the best arm without synthetic images and of the chosen one."""
    return [percent(gain.scores(arm)) for arm in (gain.baseline, gain.chosen["arm"])]


def section(said: str, gain: Gain) -> str:
    """All arms of one data set, under that title."""
    protocol, data = gain.protocol, gain.data
    rows = "".join(arm_row(gain, arm) for arm in gain.arms)
    control = gain.gain_over_control
    pair = f"The best trained ({gain.trained}) over the best control ({gain.control})"
    beside = f" {pair}: {span(control)}." if control else ""
    versions = ", ".join(f"{name} {number}" for name, number in protocol["versions"].items())
    where = f"{protocol['device']} in {arithmetic_of(gain)}"
    length = of_length(gain) if at_limit(gain) else []
    notes = [*at_edges(gain), *length, *protocol["caveats"]]
    noted = "".join(f" {note[0].upper()}{note[1:]}." for note in notes)
    return f"""\
## {said}

```sh
{protocol["command"]}
```

{gain.sentence()}{beside} Recommended on validation: {recommended(gain)}.

{data["train"]:,} training, {data["validation"]:,} validation and {data["test"]:,} test images;
{len(protocol["seeds"])} seeds, {protocol["steps"]:,} steps of {protocol["batch_size"]}, recipe
`{recipe(protocol["recipe"])}`, on {where}, one thread a process. {versions}.{noted}

| arm | uses | {protocol["metric"]} | gain over baseline | validation | seconds a seed |
|---|---|---|---|---|---|
{rows}
"""


def of_length(gain: Gain) -> list[str]:
    """What gain has said itself since it was measured."""
    said = f"tuning ends at {MOST_STEPS:,} steps, and they were better than half as many"
    told = any(caveat.startswith(said) for caveat in gain.protocol["caveats"])
    return [f"{said}: a longer training may take a part of the gain away"] if not told else []


def at_edges(gain: Gain) -> list[str]:
    """What of the recipe is the smallest or the largest of what was tried."""
    said = []
    for name in ("learning_rate", "weight_decay"):
        tried = {trial[name] for trial in gain.protocol["tuning"] if name in trial}
        value = gain.protocol["recipe"][name]
        if tried and value in (min(tried), max(tried)):
            which = "smallest" if value == min(tried) else "largest"
            said.append(f"of {name} the {which} that was tried is the best")
    return said


def recipe(settings: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items() if value)


def few(gain: Gain, arm: ArmResult) -> str:
    """On how many seeds, of an arm that was given up."""
    return f" ({len(arm.accuracy)} seeds)" if gain.given_up(arm) else ""


def arm_row(gain: Gain, arm: ArmResult) -> str:
    over = "baseline" if arm.gain is None else span(arm.gain)
    name = arm.name + few(gain, arm)
    held, tested = percent(arm.choice_scores), percent(gain.scores(arm.name))
    return f"| {name} | {arm.uses} | {tested} | {over} | {held} | {np.mean(arm.seconds):,.0f} |\n"


def overall(results: list[Gain]) -> str:
    """All gains over tuned baselines together."""
    sound = [gain for gain in results if is_sound(gain)]
    even = [gain for gain in sound if gain.protocol["metric"] == "accuracy"]
    groups = {
        "rows that were tuned (without §)": sound,
        "in accuracy": even,
        "in balanced accuracy": [gain for gain in sound if gain not in even],
        "tried with twice the steps, and not undertrained": [
            gain for gain in sound if gain_of_length(gain) is not None and not trained_short(gain)
        ],
    }
    columns = [means(group) for group in groups.values()]
    rows = "".join(
        f"| {' | '.join([name, *(c[name] for c in columns)])} |\n" for name in columns[0]
    )
    head = " | ".join(f"{len(group)} {name}" for name, group in groups.items())
    left = [100 * (1 - np.mean(gain.scores(gain.baseline))) for gain in sound]
    said = (
        "Means over rows, with Student's interval over the rows; the mean error of the baselines "
        f"is {np.mean(left):.1f} %. From a gain *less the rival's lead* that of what does best on "
        "the test images is taken: the better of two on the seeds that are measured, partly by "
        "luck, which makes the estimate a low one, but no bound: where one arm alone was compared "
        "(†), a better one may have been missed. The gain itself, over the baseline alone, is "
        "partly what validation images chose badly. Rows of one set share their test images, so "
        "that an interval over rows is narrower than it should be: *by set*, the mean of a set's "
        "rows counts as one. *As recommended*, the baseline is used where validation does not "
        "recommend synthetic images, by validation images of the seeds that are measured, whose "
        "luck the test images share; that it may be behind the rival there is no fault of "
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


def recommended(gain: Gain) -> str:
    """The recommendation in words: an arm may be called "none", too."""
    return "no synthetic images" if gain.recommendation == NO_ARM else gain.recommendation


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


def mean_of(points: Sequence[float] | np.ndarray) -> str:
    return span(paired_interval([float(each) for each in points]))


def mean_by_set(results: list[Gain], points: np.ndarray) -> str:
    """The mean over sets of the mean of each, and over how many."""
    names = np.array([name_of(gain) for gain in results])
    sets = [float(points[names == name].mean()) for name in dict.fromkeys(names)]
    return f"{mean_of(sets)}, {len(sets)} sets"


def worth(results: list[Gain]) -> str:
    """How many more real images would have gained as much; nothing where none was measured."""
    rows = []
    for gain in results:
        found = worth_of(gain)
        if found is None:
            continue
        before, after = both(gain)
        rival = "" if gain.rival is None else percent(gain.scores(gain.rival))
        cells = " | ".join(with_more(gain, found, times) for times in (2, 4))
        longer = found["longer"]
        long = f"{percent(longer)}: {span(gain_of_length(gain))}"
        both_long = ""
        spoilt = gain_of_length(gain).high < 0
        if found.get("chosen") == gain.chosen["arm"] and not spoilt:
            scores = found["chosen_longer"]
            both_long = f"{percent(scores)}: {span(over(scores, longer))}"
        said = f"{before} | {rival} | {after} | {cells} | {long} | {both_long}"
        rows.append(f"| {name_of(gain)} | {images_per_class(gain)} | {said} |\n")
    return WORTH_HEAD + "".join(rows) + "\n" if rows else ""


def with_more(gain: Gain, found: dict[str, Any], times: int) -> str:
    """The accuracy with that many times the images; a dash where the set has not as many."""
    if str(times) in found["times"]:
        return percent(found["times"][str(times)])
    wanted = times * int(gain.protocol["per_class"])
    return "–" if wanted > found.get("room", wanted) else ""


def peers(results: list[Gain]) -> str:
    """pythae's VAE under the same measurement; nothing where it was not measured."""
    rows = []
    for gain in results:
        path = RESULTS / "peers" / file_of(gain)
        theirs = Gain.load(path) if path.exists() else None
        if theirs is not None and comparable(measured_on(theirs), measured_on(gain)):
            alike = theirs.chosen["arm"].removeprefix("recipe")
            known = {arm.name: span(arm.gain) + few(gain, arm) for arm in gain.arms if arm.gain}
            ours = [known.get(source + alike, "") for source in BESIDE_PEERS]
            cells = " | ".join([span(theirs.gain), known.get(partner_of(gain), ""), *ours])
            rows.append(f"| {name_of(gain)} | {images_per_class(gain)} | {cells} |\n")
    return PEERS_HEAD + "".join(rows) + "\n" if rows else ""


def published(results: list[Gain]) -> str:
    """CIFAR-10 beside figures that others have published; nothing where it was not measured."""
    rows = []
    for gain in results:
        count = images_per_class(gain)
        if name_of(gain) == "cifar10" and count in PUBLISHED:
            theirs = (f"{figure:.1f}" for figure in PUBLISHED[count])
            rows.append(f"| {count} | {' | '.join([*both(gain), *theirs])} |\n")
    return PUBLISHED_HEAD + "".join(rows) + "\n" if rows else ""


def read_pretrained() -> dict[str, Gain]:
    """The results of networks that started from weights, by the title that each has on the page."""
    found = [Gain.load(path) for path in sorted((RESULTS / "pretrained").glob("*.json"))]
    return {f"{title(gain)}, pretrained, {learns(gain)}": gain for gain in found}


def learns(gain: Gain) -> str:
    return "last layer" if gain.protocol["recipe"]["frozen"] else "all layers"


def pretrained(found: Mapping[str, Gain]) -> str:
    """A row for each set and way of training; nothing where none was measured."""
    rows = [
        f"| [{name_of(gain)}](#{anchor(said)}) | {learns(gain)} | {outcome(gain)} |\n"
        for said, gain in found.items()
    ]
    return PRETRAINED_HEAD + "".join(rows) + "\n" if rows else ""


def page(results: list[Gain]) -> str:
    tables = f"{summary(results)}\n{overall(results)}\n"
    found = read_pretrained()
    titled = {title(gain): gain for gain in results} | found
    sections = "\n".join(section(said, gain) for said, gain in titled.items())
    beside = worth(results) + peers(results) + published(results) + pretrained(found)
    return INTRODUCTION + tables + beside + SETS + HISTORY + sections


def readme(text: str, results: list[Gain]) -> str:
    """README.md with its table renewed."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return before + START + brief(results) + END + after


if __name__ == "__main__":
    results = read_results()
    draw_gains(results)
    draw_trends(results)
    (ROOT / "docs" / "results.md").write_text(page(results))
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text(), results))
