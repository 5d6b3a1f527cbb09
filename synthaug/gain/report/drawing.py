"""Draw the plots of the report: matplotlib figures as inline SVG, in the page's font.

Sizes are in points; the page scales a drawing to its column. matplotlib is imported late, since
`import synthaug` must not import it.
"""

import io
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 680.0
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


@contextmanager
def drawing(height: float) -> Iterator["Figure"]:
    """Yield a figure under fixed settings, whatever the user's matplotlibrc says."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        # The browser's fonts draw the text; that matplotlib's own lacks a letter does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield Figure(figsize=(WIDTH / 72, height / 72), dpi=72)


def svg(figure: "Figure", alt: str) -> Markup:
    """Return the figure as an element for HTML: no prolog, no metadata, no fixed size."""
    import matplotlib

    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # The identifiers inside, and so the page, are the same each time, and each figure has its own.
    with matplotlib.rc_context({"svg.hashsalt": alt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    body = text[text.index(">", text.index("<svg")) + 1 :]
    # Nothing refers to the names of groups, and they would repeat from one plot to the next.
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    width, height = figure.get_size_inches() * 72
    opening = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">'
    )
    return Markup(opening + body)  # matplotlib escapes the text in it


def draw_point(axes: "Axes", x: float, y: float, kind: str) -> None:
    """Draw the mark of one mean, in the shape and colour of its kind."""
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


def ems(text: str, *, bold: bool = False) -> float:
    """Estimate the width of a text in units of the font size; most fonts need a little less."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return (0.56 * (len(text) - wide) + 1.05 * wide) * (1.06 if bold else 1)


def tick(value: float, _: object = None) -> str:
    """Write the number beside a tick, with its sign."""
    return "0" if abs(value) < 1e-9 else f"{value:+g}".replace("-", "−")
