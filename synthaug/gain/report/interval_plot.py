"""Draw means with their intervals against a zero line, one a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from synthaug.gain.report.drawing import (
    BAND,
    COLOURS,
    HAIRLINE,
    INK,
    MUTED,
    WIDTH,
    draw_point,
    drawing,
    ems,
    svg,
    tick,
)
from synthaug.gain.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS_WIDEST = 300.0


@dataclass(frozen=True)
class Row:
    """A line of an interval plot; without `interval` and `kind`, a heading.

    Attributes:
        label: Text at the left edge.
        kind: A key of `COLOURS`.
        interval: Mean and ends to draw.
        figures: The numbers in words, to the right.
        strong: Whether it is set in bold on a band.
        aside: Whether it may lie beyond the axis, where an arrow stands for it.
    """

    label: str
    kind: str = ""
    interval: Interval | None = None
    figures: str = ""
    strong: bool = False
    aside: bool = False


def intervals(rows: Sequence[Row], *, axis: str, alt: str, row_height: float = 22.0) -> Markup:
    """Draw rows of label, mean with interval against a zero line, and numbers."""
    left = min(LABELS_WIDEST, max(ems(r.label, bold=r.strong) * 10.5 for r in rows)) + 16
    right = max(ems(r.figures, bold=r.strong) * 10 for r in rows) + 12
    top, bottom = 4.0, 54.0
    height = len(rows) * row_height + top + bottom
    with drawing(height) as figure:
        box = (left / WIDTH, bottom / height, (WIDTH - left - right) / WIDTH)
        axes = figure.add_axes((*box, (len(rows) * row_height) / height))
        reach = _reach(rows)
        _prepare(axes, len(rows), reach, axis)
        for line, row in enumerate(rows):
            _write(figure, axes, line, row, left)
            if row.interval is not None:
                _draw_interval(axes, line, row.kind, row.interval, reach)
        return svg(figure, alt)


def _reach(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the limits of the axis: all means, and all intervals but the very widest.

    Two seeds make an interval of 13 standard errors a side; one such would flatten the rest.
    """
    drawn_intervals = [row.interval for row in rows if row.interval is not None and not row.aside]
    if not drawn_intervals:
        return -1.0, 1.0
    halves = sorted((i.high - i.low) / 2 for i in drawn_intervals)
    farthest = max(
        4 * halves[len(halves) // 2], 1.5 * max(abs(i.points) for i in drawn_intervals), 0.5
    )
    low = min(0.0, max(-farthest, min(i.low for i in drawn_intervals)))
    high = max(0.0, min(farthest, max(i.high for i in drawn_intervals)))
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _prepare(axes: "Axes", rows: int, reach: tuple[float, float], label: str) -> None:
    """Prepare an empty plot with a zero line, `rows` lines from the top, an axis below."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(*reach)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(tick))
    axes.grid(axis="x", color=HAIRLINE, linewidth=0.6)
    axes.set_axisbelow(True)
    _caption(axes, label)


def _caption(axes: "Axes", label: str) -> None:
    """Write what the axis measures, and which way is better."""
    for text, x, side, below in (
        ("← worse", 0.0, "left", -33),
        ("better →", 1.0, "right", -33),
        (label, 0.5, "center", -47),
    ):
        place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(text, (x, 0), (0, below), ha=side, color=MUTED, fontsize=10, **place)


def _write(figure: "Figure", axes: "Axes", line: int, row: Row, left: float) -> None:
    """Write the label at the left edge and the numbers at the right one."""
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


def _shorten(text: str, room: float) -> str:
    """Cut `text` to `room` ems, with an ellipsis where something is gone."""
    if ems(text) <= room:
        return text
    while text and ems(text + "…") > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _draw_interval(
    axes: "Axes", line: int, kind: str, interval: Interval, reach: tuple[float, float]
) -> None:
    colour = COLOURS[kind]
    low, high = (min(max(end, reach[0]), reach[1]) for end in (interval.low, interval.high))
    axes.plot([low, high], [line, line], color=colour, linewidth=1.6, solid_capstyle="butt")
    for end, cut, arrow in ((low, low > interval.low, "<"), (high, high < interval.high, ">")):
        if cut:  # the interval goes on beyond the axis
            axes.plot([end], [line], marker=arrow, color=colour, markersize=5, clip_on=False)
    if reach[0] <= interval.points <= reach[1]:
        draw_point(axes, interval.points, line, kind)
