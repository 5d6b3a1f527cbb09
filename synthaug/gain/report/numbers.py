"""Write numbers and names as a reader sees them."""

import math
import unicodedata
from collections.abc import Iterable

from markupsafe import Markup, escape

from synthaug.gain.statistics import Interval


def with_sign(points: float) -> str:
    """Write percentage points with a sign, to one decimal.

    Examples:
        >>> with_sign(1.94), with_sign(-0.31), with_sign(-0.01)
        ('+1.9', '−0.3', '+0.0')
    """
    return f"{points:+z.1f}".replace("-", "−")


def span(interval: Interval) -> str:
    """Write the ends of an interval."""
    return interval.span.replace("-", "−")


def printable(text: str) -> str:
    r"""Return `text` in one line of characters that a page and an XML parser accept.

    Examples:
        >>> printable("a\nb\x00c")
        'a b c'
    """
    clean = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Cn") else c for c in text)
    return " ".join(clean.split())


def mean(values: Iterable[float]) -> float:
    """Return the mean; NaN where there is nothing to average."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else math.nan


def percent(share: float) -> str:
    """Write a share as per cent, a dash where it is NaN."""
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def breakable(text: str) -> Markup:
    """Return a name that may be broken after a slash or an underscore."""
    return escape(text).replace("/", Markup("/<wbr>")).replace("_", Markup("_<wbr>"))


def number(value: float | bool) -> str:
    """Write a number of the protocol.

    Examples:
        >>> number(12500), number(0.0003), number(True)
        ('12,500', '0.0003', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return "–" if math.isnan(value) else f"{value:.6g}"
