"""Draw the scores of each arm, seed by seed, and their paired differences."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from synthaug.gain.report.drawing import (
    COLOURS,
    HAIRLINE,
    INK,
    MUTED,
    draw_point,
    drawing,
    svg,
    tick,
)
from synthaug.gain.report.numbers import with_sign
from synthaug.gain.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Column:
    """The scores of one arm in the plot of seeds, in per cent, with its role and kind."""

    name: str
    role: str
    kind: str
    scores: Sequence[float]


def seeds(columns: Sequence[Column], gaps: Sequence[tuple[str, Interval]], *, alt: str) -> Markup:
    """Draw the scores of each arm at the left, the paired differences at the right."""
    height = 284.0
    with drawing(height) as figure:
        share = 0.56 if len(columns) > 2 else 0.5
        scores = figure.add_axes((0.075, 0.23, share - 0.075, 0.69))
        differences = figure.add_axes((share + 0.13, 0.23, 0.87 - share, 0.69))
        _draw_scores(scores, columns)
        _draw_differences(differences, gaps, columns[-1].kind)
        return svg(figure, alt)


def _draw_scores(axes: "Axes", columns: Sequence[Column]) -> None:
    places = range(len(columns))
    for values in zip(*(column.scores for column in columns), strict=True):
        axes.plot(places, values, color="#b4bcc3", linewidth=1, zorder=1)
    for place, column in enumerate(columns):
        for value in column.scores:
            draw_point(axes, place, value, column.kind)
        mean = sum(column.scores) / len(column.scores)
        axes.plot([place - 0.16, place + 0.16], [mean, mean], color=INK, linewidth=2, zorder=2)
    axes.set_xlim(-0.4, len(columns) - 0.6)
    axes.margins(y=0.08)
    _name_columns(axes, [f"{c.role}\n{_in_lines(c.name, len(columns))}" for c in columns])
    axes.set_title("Score on test images, %", loc="left", fontsize=10.5, color=INK, pad=10)
    _simplify(axes)


def _draw_differences(axes: "Axes", gaps: Sequence[tuple[str, Interval]], kind: str) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.axhline(0, color=INK, linewidth=0.9, zorder=1)
    for place, (_, gap) in enumerate(gaps):
        spread = [place - 0.14] * len(gap.per_seed)
        axes.plot(spread, gap.per_seed, "o", color=MUTED, markersize=4, alpha=0.75, linewidth=0)
        axes.plot([place + 0.1] * 2, [gap.low, gap.high], color=COLOURS[kind], linewidth=1.8)
        draw_point(axes, place + 0.1, gap.points, kind)
        at: dict[str, Any] = {"xytext": (9, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(with_sign(gap.points), (place + 0.1, gap.points), fontsize=10, **at)
    middle = (len(gaps) - 1) / 2
    axes.set_xlim(min(middle - 1, -0.45), max(middle + 1.2, len(gaps) - 0.25))
    axes.yaxis.set_major_formatter(FuncFormatter(tick))
    _name_columns(axes, [name for name, _ in gaps], INK)
    axes.set_title("Difference, points", loc="left", fontsize=10.5, color=INK, pad=10)
    _simplify(axes)


def _in_lines(name: str, columns: int) -> str:
    """Break an arm's name into lines; it may break after a plus."""
    width = 19 if columns < 4 else 14
    lines = textwrap.wrap(name.replace("+", "+ "), width, max_lines=3, placeholder=" …")
    return "\n".join(lines).replace("+ ", "+") or name[:width]


def _name_columns(axes: "Axes", names: Sequence[str], further: str = MUTED) -> None:
    """Write names below the columns, lines after the first in the colour `further`.

    Each line is a text of its own, for the browser to centre.
    """
    axes.set_xticks(range(len(names)), [""] * len(names))
    axes.tick_params(axis="x", length=0)
    below = axes.get_xaxis_transform()
    for place, name in enumerate(names):
        for line, text in enumerate(name.split("\n")):
            colour = further if line else INK
            where: dict[str, Any] = {"xycoords": below, "textcoords": "offset points"}
            axes.annotate(
                text, (place, 0), (0, -17 - 13 * line), ha="center", color=colour, **where
            )


def _simplify(axes: "Axes") -> None:
    """Leave few ticks, a light grid and no frame."""
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_ylim()
    if math.isclose(low, high):
        axes.set_ylim(low - 1, high + 1)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=HAIRLINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
