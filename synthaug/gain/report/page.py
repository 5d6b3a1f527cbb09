"""Write the result of `measure_gain` as one HTML page that needs no other file.

The page holds its style, plots and images; it asks no server for anything and runs no script.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from synthaug.core import expand_path, write_text
from synthaug.gain.report.arm_tables import arms_plot, arms_table, seeds_plot
from synthaug.gain.report.caveats import advice, caveats, use_of_lines
from synthaug.gain.report.classes import class_changes, classes_plot, classes_text
from synthaug.gain.report.numbers import (
    breakable,
    mean,
    number,
    percent,
    printable,
    span,
    with_sign,
)
from synthaug.gain.report.pictures import picture_pairs, picture_rows, range_text
from synthaug.gain.result import Gain
from synthaug.gain.statistics import TIE

VERDICTS = {"helps": ("▲", "Helps"), "no evidence": ("≈", "No evidence"), "hurts": ("▼", "Hurts")}
# Characters that no page may hold; a folder's name can, and a class is named after it.
_NO_TEXT = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_report(gain: Gain, path: str | Path) -> None:
    """Write a result as one HTML page.

    The file is written beside its final name and renamed, so that it is whole or absent. A gain
    that was read from JSON has no pictures to show.

    Args:
        gain: What `measure_gain` returned, or `Gain.load` read.
        path: The file to write.

    Raises:
        InputError: If the page cannot be written there.

    Examples:
        >>> from synthaug.gain.report import write_report
        >>> write_report.__name__
        'write_report'
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(with_sign=with_sign, span=span, percent=percent, number=number)
    environment.filters["breakable"] = breakable
    template = files("synthaug.gain.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
    page = environment.from_string(template).render(_contents(gain))
    write_text(expand_path(path), _NO_TEXT.sub("\ufffd", page))


def _contents(gain: Gain) -> dict[str, Any]:
    """Return the values that the template shows."""
    pictures = gain.pictures
    symbol, word = VERDICTS[gain.verdict]
    names = [printable(name) for name in gain.data["class_names"]]
    settings = {k: v for k, v in gain.protocol.items() if k not in ("next_steps", "caveats")}
    changes = class_changes(gain, names)
    return {
        "gain": gain,
        "name": gain.data["name"],
        "metric": gain.protocol["metric"],
        "confidence": f"{gain.gain.confidence * 100:g}%",
        "sentence": re.sub(r"(?<=[ (])-(?=\d)", "−", gain.sentence()),
        "symbol": symbol,
        "word": word,
        "facts": _facts(gain),
        "figures": _key_figures(gain),
        "advice": advice(gain),
        "label": use_of_lines(gain),
        # Settings and recipe are long; they stand with the protocol at the end of the page.
        "choice": {k: v for k, v in gain.chosen.items() if not isinstance(v, dict)},
        "next_steps": gain.protocol["next_steps"].strip("\n"),
        "arms_plot": arms_plot(gain),
        "groups": arms_table(gain),
        "better": sum(each > TIE for each in gain.gain.per_seed),
        "seeds_plot": seeds_plot(gain),
        "classes_plot": classes_plot(changes, gain),
        "classes_text": classes_text(changes, gain),
        "rows": [] if pictures is None else picture_rows(pictures),
        "pairs": [] if pictures is None else picture_pairs(pictures),
        "shown_range": None if pictures is None else range_text(pictures),
        "caveats": caveats(gain),
        "settings": settings,
    }


def _facts(gain: Gain) -> list[str]:
    """Return the parts of the line below the title."""
    data = gain.data
    each = round(data["train"] / data["classes"])  # fewer than asked for, where some were held out
    evenly = f" ({number(each)} per class)" if gain.protocol["per_class"] else ""
    words = {"train": f"training{evenly}", "validation": "validation", "test": "test"}
    sizes = [f"{number(data[key])} {word}" for key, word in words.items()]
    seeds = len(gain.gain.per_seed)
    return [f"{data['classes']} classes", f"{', '.join(sizes)} images", f"{seeds} paired seeds"]


def _key_figures(gain: Gain) -> list[tuple[str, str, str]]:
    """Return the few numbers to remember: label, value, remark."""
    before, after = mean(gain.scores(gain.baseline)), mean(gain.scores(gain.chosen["arm"]))
    metric = gain.protocol["metric"]
    figures = [
        ("Gain over the baseline", f"{with_sign(gain.gain.points)} points", span(gain.gain)),
        (f"Test {metric}", f"{percent(before)} → {percent(after)} %", "without → with"),
    ]
    if gain.gain_over_rival is not None:
        over = gain.gain_over_rival
        label = f"Gain over the oracle baseline, {printable(gain.rival or '')}"
        figures.append((label, f"{with_sign(over.points)} points", span(over)))
    if gain.gain_over_control is not None:
        over = gain.gain_over_control
        figures.append(
            (
                "Trained generator over non-learned control",
                f"{with_sign(over.points)} points",
                span(over),
            )
        )
    detectable = "none" if gain.blind else f"{gain.smallest_detectable:.1f} points"
    over_both = "over both, " if gain.gain_over_rival is not None else ""
    return [*figures, ("Smallest detectable gain", detectable, f"{over_both}80% power")]
