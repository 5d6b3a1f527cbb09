"""How the pages of results put figures into words."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from stored import name_of

from synthaug import Gain
from synthaug.gain import NO_ARM, ArmResult, Interval, paired_interval

START, END = "<!-- results -->\n", "<!-- end of results -->\n"


def span(interval: Interval) -> str:
    return f"{interval.points:+z.1f} ({interval.span})"


def percent(values: list[float]) -> str:
    return f"{100 * np.mean(values):.1f}"


def both(gain: Gain) -> list[str]:
    """The scores of the best arm without synthetic images and of the chosen one."""
    return [percent(gain.scores(arm)) for arm in (gain.baseline, gain.chosen["arm"])]


def outcome(gain: Gain) -> str:
    """What was compared, and how it came out."""
    before, after = both(gain)
    arms = f"{gain.baseline}: {before} | {gain.chosen['arm']}{as_control(gain)}: {after}"
    over_rival = gain.gain_over_rival
    rival = f"; {span(over_rival)} over {gain.rival}" if over_rival else ""
    return f"{arms} | {span(gain.gain)}{rival} | **{gain.verdict}**"


def as_control(gain: Gain) -> str:
    """What stands behind a chosen arm whose generator learns nothing."""
    return " (control)" * (gain.chosen["arm"] == gain.control)


def few(gain: Gain, arm: ArmResult) -> str:
    """On how many seeds, of an arm that was given up."""
    return f" ({len(arm.accuracy)} seeds)" if gain.given_up(arm) else ""


def recommended(gain: Gain) -> str:
    """The recommendation in words: an arm may be called "none", too."""
    return "no synthetic images" if gain.recommendation == NO_ARM else gain.recommendation


def mean_of(points: Sequence[float] | np.ndarray) -> str:
    return span(paired_interval([float(each) for each in points]))


def mean_by_set(results: list[Gain], points: np.ndarray) -> str:
    """The mean over sets of the mean of each, and over how many."""
    names = np.array([name_of(gain) for gain in results])
    sets = [float(points[names == name].mean()) for name in dict.fromkeys(names)]
    return f"{mean_of(sets)}, {len(sets)} sets"


def bullets(said: list[str]) -> str:
    return "\n" + "".join(f"{fill(f'- {each}', 100, subsequent_indent='  ')}\n" for each in said)


def paragraph(said: str) -> str:
    return f"{fill(said, 100)}\n"


def renewed(text: str, made: str) -> str:
    """A page that is written by hand, with what a script makes between its two marks."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return before + START + made + END + after
