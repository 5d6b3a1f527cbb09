"""The plots of the report: matplotlib drawings as inline SVG, whose text takes the page's font.

Sizes are in points; the page scales a drawing to its column. matplotlib is imported late, since
`import synthaug` must not import it.
"""

import io
import math
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from synthaug.gain.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 680.0
LABELS_WIDEST = 235.0
INK, MUTED, HAIRLINE, BAND = "#1c2024", "#5b6570", "#e3e6e8", "#f1f5f6"
COLOURS = {
    "real": "#5b6570",
    "control": "#a8620a",
    "synthetic": "#0b6a8a",
    "better": "#0b6a8a",
    "worse": "#b03a1e",
    "unclear": "#7a848d",
}
# Shapes differ as well as colours, so that the page can be read without colour.
MARKERS = {
    "real": "o",
    "control": "s",
    "synthetic": "D",
    "better": ">",
    "worse": "<",
    "unclear": "o",
}
HOLLOW = {"real", "unclear"}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "synthaug",  # the identifiers inside, and so the page, are the same each time
    "text.parse_math": False,  # a dollar sign in a class name is one
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "axes.labelsize": 10.0,
}


@dataclass(frozen=True)
class Row:
    """A line of an interval plot; without `interval` and `kind`, a heading.

    kind: a key of `COLOURS`.
    figures: the numbers in words, to the right.
    strong: set in bold on a band, to be found first.
    """

    label: str
    kind: str = ""
    interval: Interval | None = None
    figures: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Column:
    """The scores of one arm in the plot of seeds, in per cent, with its role and kind."""

    name: str
    role: str
    kind: str
    scores: Sequence[float]


def signed(points: float) -> str:
    """Percentage points with a sign, to one decimal.

    >>> signed(1.94), signed(-0.31), signed(-0.01)
    ('+1.9', '−0.3', '+0.0')
    """
    return f"{round(points, 1) + 0.0:+.1f}".replace("-", "−")


def span(interval: Interval) -> str:
    """The ends of an interval, for a reader."""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def printable(text: str) -> str:
    """`text` in one line of characters that a page and an XML parser accept.

    >>> printable("a\\nb\\x00c")
    'a b c'
    """
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cn") else c for c in text)
    return " ".join(clean.split())


def intervals(rows: Sequence[Row], *, axis: str, alt: str, row_height: float = 22.0) -> Markup:
    """Rows of a point with its interval against a zero line: label, interval, numbers."""
    left = min(LABELS_WIDEST, max(_ems(r.label, bold=r.strong) * 10.5 for r in rows)) + 16
    right = max(_ems(r.figures, bold=r.strong) * 10 for r in rows) + 12
    top, bottom = 4.0, 40.0
    height = len(rows) * row_height + top + bottom
    with _drawing(height) as figure:
        box = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH)
        axes = figure.add_axes((*box, (len(rows) * row_height) / height))
        reach = _reach(rows)
        _prepare(axes, len(rows), reach, axis)
        for line, row in enumerate(rows):
            _write(figure, axes, line, row, left)
            if row.interval is not None:
                _draw_interval(axes, line, row.kind, row.interval, reach)
        return _svg(figure, alt)


def seeds(columns: Sequence[Column], gaps: Sequence[tuple[str, Interval]], *, alt: str) -> Markup:
    """Left the scores of each arm, one line a seed; right the paired differences, with interval."""
    height = 270.0
    with _drawing(height) as figure:
        share = 0.56 if len(columns) > 2 else 0.5
        scores = figure.add_axes((0.075, 0.19, share - 0.075, 0.73))
        differences = figure.add_axes((share + 0.13, 0.19, 0.87 - share, 0.73))
        _draw_scores(scores, columns)
        _draw_differences(differences, gaps, columns[-1].kind)
        return _svg(figure, alt)


@contextmanager
def _drawing(height: float) -> Iterator["Figure"]:
    """A figure under fixed settings, whatever the user's matplotlibrc says."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser's fonts draw the text; that matplotlib's own lacks a letter does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield Figure(figsize=(WIDTH / 72, height / 72), dpi=72)


def _svg(figure: "Figure", alt: str) -> Markup:
    """The figure as an element to put into HTML: no prolog, no metadata, no fixed size."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    drawn = buffer.getvalue()
    body = drawn[drawn.index(">", drawn.index("<svg")) + 1 :]
    # Nothing refers to the names of groups, and they would repeat from one plot to the next.
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    width, height = figure.get_size_inches() * 72
    opening = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">'
    )
    return Markup(opening + body)  # matplotlib escapes the text in it


def _ems(text: str, *, bold: bool = False) -> float:
    """About how wide a text is, in units of the font size; a little more than most fonts need."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return (0.56 * (len(text) - wide) + 1.05 * wide) * (1.06 if bold else 1)


def _shorten(text: str, room: float) -> str:
    """`text` cut to `room` ems, with an ellipsis where something is gone."""
    if _ems(text) <= room:
        return text
    while text and _ems(text + "…") > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _reach(rows: Sequence[Row]) -> tuple[float, float]:
    """Limits of the axis: all points, and all intervals but those many times wider than most.

    Two seeds make an interval of 13 standard errors a side; one such would flatten the rest.
    """
    found = [row.interval for row in rows if row.interval is not None]
    if not found:
        return -1.0, 1.0
    halves = sorted((i.high - i.low) / 2 for i in found)
    farthest = max(4 * halves[len(halves) // 2], 1.5 * max(abs(i.points) for i in found), 0.5)
    low = min(0.0, max(-farthest, min(i.low for i in found)))
    high = max(0.0, min(farthest, max(i.high for i in found)))
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _prepare(axes: "Axes", rows: int, reach: tuple[float, float], label: str) -> None:
    """An empty plot with a zero line, `rows` lines from the top, an axis below."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(*reach)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(_tick))
    axes.grid(axis="x", color=HAIRLINE, linewidth=0.6)
    axes.set_axisbelow(True)
    _caption(axes, label)


def _caption(axes: "Axes", label: str) -> None:
    """What the axis measures, and which way is better."""
    for text, x, side in (
        ("← worse", 0.0, "left"),
        (label, 0.5, "center"),
        ("better →", 1.0, "right"),
    ):
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(text, (x, 0), (0, -33), ha=side, color=MUTED, fontsize=10, **place)


def _tick(value: float, _: object = None) -> str:
    return "0" if abs(value) < 1e-9 else f"{value:+g}".replace("-", "−")


def _write(figure: "Figure", axes: "Axes", line: int, row: Row, left: float) -> None:
    """The label at the left edge and the numbers at the right one."""
    from matplotlib.patches import Rectangle
    from matplotlib.transforms import blended_transform_factory

    across = blended_transform_factory(figure.transFigure, axes.transData)
    heading = row.interval is None and not row.kind
    if row.strong:
        band = Rectangle((0, line - 0.5), 1, 1, transform=across, color=BAND, linewidth=0)
        band.set(clip_on=False, zorder=0)
        axes.add_patch(band)
    rule = MUTED if heading else HAIRLINE
    size = 9.5 if heading else 10.5
    axes.plot([0, 1], [line + 0.5] * 2, transform=across, color=rule, linewidth=0.5, clip_on=False)
    look: dict[str, Any] = {"transform": across, "va": "center_baseline", "clip_on": False}
    room = (left - 12) / (11.1 if row.strong else 10.5)
    label = row.label if heading else _shorten(row.label, room)
    weight = "bold" if row.strong else "normal"
    colour = MUTED if heading else INK
    axes.text(0.004, line, label, color=colour, fontsize=size, weight=weight, **look)
    axes.text(0.996, line, row.figures, ha="right", fontsize=10, weight=weight, **look)


def _draw_interval(
    axes: "Axes", line: int, kind: str, interval: Interval, reach: tuple[float, float]
) -> None:
    colour = COLOURS[kind]
    low, high = max(interval.low, reach[0]), min(interval.high, reach[1])
    axes.plot([low, high], [line, line], color=colour, linewidth=1.6, solid_capstyle="butt")
    for end, cut, arrow in ((low, low > interval.low, "<"), (high, high < interval.high, ">")):
        if cut:  # the interval goes on beyond the axis
            axes.plot([end], [line], marker=arrow, color=colour, markersize=5, clip_on=False)
    _draw_point(axes, interval.points, line, kind)


def _draw_point(axes: "Axes", x: float, y: float, kind: str) -> None:
    colour = COLOURS[kind]
    axes.plot(
        [x],
        [y],
        marker=MARKERS[kind],
        markersize=6.5 if kind != "synthetic" else 6,
        color=colour,
        markerfacecolor="white" if kind in HOLLOW else colour,
        markeredgewidth=1.4,
        linestyle="none",
        zorder=3,
    )


def _draw_scores(axes: "Axes", columns: Sequence[Column]) -> None:
    places = range(len(columns))
    for values in zip(*(column.scores for column in columns), strict=True):
        axes.plot(places, values, color="#b4bcc3", linewidth=1, zorder=1)
    for place, column in enumerate(columns):
        for value in column.scores:
            _draw_point(axes, place, value, column.kind)
        mean = sum(column.scores) / len(column.scores)
        axes.plot([place - 0.16, place + 0.16], [mean, mean], color=INK, linewidth=2, zorder=2)
    axes.set_xlim(-0.4, len(columns) - 0.6)
    axes.margins(y=0.08)
    _name_columns(axes, [f"{c.role}\n{_two_lines(c.name)}" for c in columns])
    axes.set_title("Score on test images, %", loc="left", fontsize=10.5, color=INK, pad=10)
    _quiet(axes)


def _two_lines(name: str) -> str:
    return "\n".join(textwrap.wrap(name, 19, max_lines=2, placeholder=" …")) or name[:19]


def _draw_differences(axes: "Axes", gaps: Sequence[tuple[str, Interval]], kind: str) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.axhline(0, color=INK, linewidth=0.9, zorder=1)
    for place, (_, gap) in enumerate(gaps):
        spread = [place - 0.14] * len(gap.per_seed)
        axes.plot(spread, gap.per_seed, "o", color=MUTED, markersize=4, alpha=0.75, linewidth=0)
        axes.plot([place + 0.1] * 2, [gap.low, gap.high], color=COLOURS[kind], linewidth=1.8)
        _draw_point(axes, place + 0.1, gap.points, kind)
        at: dict[str, Any] = {"xytext": (9, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(signed(gap.points), (place + 0.1, gap.points), fontsize=10, **at)
    middle = (len(gaps) - 1) / 2
    axes.set_xlim(middle - 1, middle + 1.2)
    axes.yaxis.set_major_formatter(FuncFormatter(_tick))
    _name_columns(axes, [name for name, _ in gaps])
    axes.set_title("Difference, points", loc="left", fontsize=10.5, color=INK, pad=10)
    _quiet(axes)


def _name_columns(axes: "Axes", names: Sequence[str]) -> None:
    """Names below the columns. Each line is a text of its own, for the browser to centre."""
    axes.set_xticks(range(len(names)), [""] * len(names))
    axes.tick_params(axis="x", length=0)
    below = axes.get_xaxis_transform()
    for place, name in enumerate(names):
        for line, text in enumerate(name.split("\n")):
            colour = MUTED if line else INK
            where: dict[str, Any] = {"xycoords": below, "textcoords": "offset points"}
            axes.annotate(
                text, (place, 0), (0, -17 - 13 * line), ha="center", color=colour, **where
            )


def _quiet(axes: "Axes") -> None:
    """Few ticks, light grid, no frame."""
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_ylim()
    if math.isclose(low, high):
        axes.set_ylim(low - 1, high + 1)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=HAIRLINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "right", "top", "bottom"]].set_visible(False)
