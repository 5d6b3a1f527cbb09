"""Numbers and names as a reader sees them."""

import math
import unicodedata
from collections.abc import Iterable

from markupsafe import Markup, escape

from synthaug.gain.statistics import Interval


def signed(points: float) -> str:
    """Percentage points with a sign, to one decimal.

    >>> signed(1.94), signed(-0.31), signed(-0.01)
    ('+1.9', '−0.3', '+0.0')
    """
    return f"{points:+z.1f}".replace("-", "−")


def span(interval: Interval) -> str:
    """The ends of an interval, for a reader."""
    return interval.span.replace("-", "−")


def printable(text: str) -> str:
    """`text` in one line of characters that a page and an XML parser accept.

    >>> printable("a\\nb\\x00c")
    'a b c'
    """
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cn") else c for c in text)
    return " ".join(clean.split())


def mean(values: Iterable[float]) -> float:
    """The mean; not a number where there is nothing to average."""
    found = list(values)
    return sum(found) / len(found) if found else math.nan


def percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def breakable(text: str) -> Markup:
    """A name that may be broken after a slash or an underscore."""
    return escape(text).replace("/", Markup("/<wbr>")).replace("_", Markup("_<wbr>"))


def number(value: float | bool) -> str:
    """A number of the protocol, for a reader.

    >>> number(12500), number(0.0003), number(True)
    ('12,500', '0.0003', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return "–" if math.isnan(value) else f"{value:.6g}"
