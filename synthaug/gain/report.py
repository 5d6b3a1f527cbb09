"""The result of `measure_gain` as one HTML page that needs nothing else to be read.

The page holds its style, plots and images; it asks no server for anything and runs no script.
"""

import base64
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from synthaug.files import write_text
from synthaug.gain import plots
from synthaug.gain.pictures import Pictures
from synthaug.gain.plots import printable, signed, span
from synthaug.gain.result import NO_ARM, ArmResult, Gain
from synthaug.gain.statistics import Interval, paired_interval
from synthaug.images import to_float, to_stored

GROUPS = {
    "real": "Real images only",
    "control": "Controls: generators without training",
    "synthetic": "With synthetic images",
}
VERDICTS = {"helps": ("▲", "Helps"), "no evidence": ("≈", "No evidence"), "hurts": ("▼", "Hurts")}
MOST_CLASSES = 50  # rows in the plot of classes; of more, those that changed most are shown
# What no page may hold; a folder's name can, and a class is named after it.
_NO_TEXT = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_report(gain: Gain, pictures: Pictures | None, path: Path) -> None:
    """Write the page, atomically; without `pictures` it has no images, as from a JSON alone."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(signed=signed, span=span, percent=_percent, number=_number)
    environment.filters["breakable"] = _breakable
    template = files("synthaug.gain").joinpath("report.html.jinja").read_text(encoding="utf-8")
    page = environment.from_string(template).render(_contents(gain, pictures))
    write_text(Path(path), _NO_TEXT.sub("\ufffd", page))


def _contents(gain: Gain, pictures: Pictures | None) -> dict[str, Any]:
    """All that the template shows."""
    symbol, word = VERDICTS[gain.verdict]
    names = _class_names(gain, pictures)
    settings = {k: v for k, v in gain.protocol.items() if k not in ("next_steps", "caveats")}
    changes = _class_changes(gain, names)
    return {
        "gain": gain,
        "name": gain.data.get("name", "unnamed data"),
        "metric": gain.protocol.get("metric", "accuracy"),
        "confidence": f"{gain.gain.confidence * 100:g} %",
        "sentence": re.sub(r"(?<= )-(?=\d)", "−", gain.sentence()),
        "symbol": symbol,
        "word": word,
        "facts": _facts(gain),
        "figures": _key_figures(gain),
        "recommended": gain.baseline if gain.recommendation == NO_ARM else gain.recommendation,
        "advice": _advice(gain),
        # Settings and recipe are long; they stand with the protocol at the end of the page.
        "choice": {k: v for k, v in gain.chosen.items() if not isinstance(v, dict)},
        "next_steps": str(gain.protocol.get("next_steps", "")).strip("\n"),
        "arms_plot": _arms_plot(gain),
        "groups": _table(gain),
        "seeds_plot": _seeds_plot(gain),
        "classes_plot": _classes_plot(changes, gain),
        "classes_text": _classes_text(changes, gain),
        "rows": [] if pictures is None else _picture_rows(pictures),
        "pairs": [] if pictures is None else _pairs(pictures),
        "shown_range": None if pictures is None else _range_text(pictures),
        "caveats": _caveats(gain),
        "settings": settings,
    }


def _class_names(gain: Gain, pictures: Pictures | None) -> list[str]:
    """The classes' names, from wherever they are known; else their numbers."""
    count = len(gain.arm(gain.baseline).per_class[0])
    known = gain.data.get("class_names", gain.data.get("classes"))
    if pictures is not None:
        known = pictures.real.classes
    if isinstance(known, Sequence) and not isinstance(known, str) and len(known) == count:
        return [printable(str(name)) for name in known]
    return [f"class {number}" for number in range(count)]


def _facts(gain: Gain) -> list[str]:
    """The line below the title."""
    data, classes = gain.data, len(gain.arm(gain.baseline).per_class[0])
    per_class = gain.protocol.get("per_class")
    words = {
        "train": f"training ({_number(per_class)} a class)" if per_class else "training",
        "validation": "validation",
        "test": "test",
    }
    sizes = [
        f"{_number(data[key])} {word}"
        for key, word in words.items()
        if isinstance(data.get(key), int)
    ]
    facts = [f"{classes} classes"]
    if sizes:
        facts.append(", ".join(sizes) + " images")
    return [*facts, f"{len(gain.gain.per_seed)} paired seeds"]


def _key_figures(gain: Gain) -> list[tuple[str, str, str]]:
    """The few numbers to remember: what, how much, remark."""
    before, after = _mean(gain.scores(gain.baseline)), _mean(gain.scores(gain.chosen["arm"]))
    metric = gain.protocol.get("metric", "accuracy")
    figures = [
        ("Gain over the baseline", f"{signed(gain.gain.points)} points", span(gain.gain)),
        (f"Test {metric}", f"{_percent(before)} → {_percent(after)} %", "without → with"),
    ]
    if gain.gain_over_control is not None:
        over = gain.gain_over_control
        figures.append(("Gain over the control", f"{signed(over.points)} points", span(over)))
    seen = f"{gain.gain.smallest_detectable:.1f} points"
    return [*figures, ("Smallest gain it could see", seen, "with a chance of 80 %")]


def _advice(gain: Gain) -> str:
    """The recommendation in words. It was made on validation images, so that the test images
    may disagree; where they do, that is said."""
    if gain.recommendation == NO_ARM:
        if gain.verdict == "helps":
            return (
                "The validation images do not clearly favour synthetic images, though the test "
                "images do. Repeat with more seeds before you rely on it."
            )
        said = "Synthetic images did not earn a place in your training."
        if gain.verdict == "hurts":
            return said
        least = f"{gain.gain.smallest_detectable:.1f} points"
        return f"{said} If a gain below {least} would matter to you, repeat with more seeds."
    return {
        "helps": "The validation images chose it, and the test images confirm it.",
        "no evidence": "The test images neither confirm nor contradict it. "
        "More seeds or more test images would tell; training without synthetic images is the "
        "safe choice until then.",
        "hurts": "The test images speak against it: train "
        f"without synthetic images ({gain.baseline}).",
    }[gain.verdict]


def _kind(arm: ArmResult) -> str:
    if arm.uses in GROUPS:
        return arm.uses
    return "synthetic" if arm.synthetic else "real"


def _by_group(gain: Gain) -> list[tuple[str, list[ArmResult]]]:
    """The arms under the heading of what they train with, empty headings left out."""
    groups = [(kind, [arm for arm in gain.arms if _kind(arm) == kind]) for kind in GROUPS]
    return [(kind, arms) for kind, arms in groups if arms]


def _tags(gain: Gain, arm: ArmResult) -> list[str]:
    recommended = gain.baseline if gain.recommendation == NO_ARM else gain.recommendation
    roles = {
        "recommended": recommended,
        "baseline": gain.baseline,
        "best control": gain.control,
        "best with synthetic images": gain.chosen["arm"],
    }
    return [role for role, name in roles.items() if name == arm.name]


def _arms_plot(gain: Gain) -> Markup:
    rows = []
    for kind, arms in _by_group(gain):
        rows.append(plots.Row(GROUPS[kind]))
        rows += [_arm_row(gain, arm, kind) for arm in arms]
    return plots.intervals(
        rows,
        axis="gain over the baseline, percentage points",
        alt=f"Interval plot of {len(gain.arms)} arms. {gain.sentence()}",
    )


def _arm_row(gain: Gain, arm: ArmResult, kind: str) -> plots.Row:
    recommended = "recommended" in _tags(gain, arm)
    name = ("★ " if recommended else "") + printable(arm.name)
    if arm.name == gain.baseline:
        zero = Interval(0.0, 0.0, 0.0, [], gain.gain.confidence, 0.0, 0)
        return plots.Row(name, kind, zero, "baseline", recommended)
    if arm.gain is None:
        return plots.Row(name, kind, None, "not compared", recommended)
    figures = f"{signed(arm.gain.points)}  ({span(arm.gain)})"
    return plots.Row(name, kind, arm.gain, figures, recommended)


def _table(gain: Gain) -> list[tuple[str, list[dict[str, Any]]]]:
    return [
        (GROUPS[kind], [_table_row(gain, arm) for arm in arms]) for kind, arms in _by_group(gain)
    ]


def _table_row(gain: Gain, arm: ArmResult) -> dict[str, Any]:
    balanced = gain.protocol.get("metric") == "balanced accuracy"
    validation = arm.validation_balanced_accuracy if balanced else arm.validation_accuracy
    return {
        "arm": arm,
        "tags": _tags(gain, arm),
        "accuracy": _mean(arm.accuracy),
        "balanced": _mean(arm.balanced_accuracy),
        "validation": _mean(validation),
        "seconds": _mean(arm.seconds),
        "p": "" if arm.p_holm is None else "<0.001" if arm.p_holm < 0.001 else f"{arm.p_holm:.3f}",
    }


def _seeds_plot(gain: Gain) -> Markup:
    roles = [(gain.control, "best control")] if gain.control is not None else []
    roles += [(gain.baseline, "baseline"), (gain.chosen["arm"], "with synthetic images")]
    columns = [
        plots.Column(
            name=printable(name),
            role=role,
            kind=_kind(gain.arm(name)),
            scores=[100 * score for score in gain.scores(name)],
        )
        for name, role in roles
        if name is not None
    ]
    gaps = [("over baseline", gain.gain)]
    if gain.gain_over_control is not None:
        gaps.append(("over control", gain.gain_over_control))
    return plots.seeds(
        columns,
        gaps,
        alt="Test scores of each seed: "
        + "; ".join(f"{c.name} " + ", ".join(f"{s:.1f}" for s in c.scores) for c in columns),
    )


@dataclass(frozen=True)
class _Change:
    """What the chosen arm did to one class; accuracies in per cent."""

    name: str
    before: float
    after: float
    interval: Interval

    @property
    def kind(self) -> str:
        if self.interval.low > 0:
            return "better"
        return "worse" if self.interval.high < 0 else "unclear"


def _class_changes(gain: Gain, names: Sequence[str]) -> list[_Change]:
    """The classes by change, largest loss last; those without test images are left out."""
    before = 100 * np.array(gain.arm(gain.baseline).per_class, dtype=float)
    after = 100 * np.array(gain.arm(gain.chosen["arm"]).per_class, dtype=float)
    changes = [
        _Change(
            name=name,
            before=float(before[:, k].mean()),
            after=float(after[:, k].mean()),
            interval=paired_interval(
                (after - before)[:, k].tolist(), confidence=gain.gain.confidence
            ),
        )
        for k, name in enumerate(names)
        if np.isfinite(after[:, k] - before[:, k]).all()
    ]
    return sorted(changes, key=lambda change: -change.interval.points)


def _classes_plot(changes: list[_Change], gain: Gain) -> Markup | None:
    if not changes:
        return None
    half = MOST_CLASSES // 2
    rows = [_class_row(change) for change in changes]
    if len(changes) > MOST_CLASSES:
        left_out = plots.Row(f"… {len(changes) - 2 * half} classes that changed less …")
        rows = [*rows[:half], left_out, *rows[-half:]]
    return plots.intervals(
        rows,
        axis="change of the class's accuracy, percentage points",
        alt=f"Change of accuracy for {len(changes)} classes. {_classes_text(changes, gain)}",
        row_height=22.0 if len(rows) <= 15 else 15.5,
    )


def _class_row(change: _Change) -> plots.Row:
    figures = f"{change.before:.0f} → {change.after:.0f} %"
    return plots.Row(change.name, change.kind, change.interval, figures)


def _classes_text(changes: list[_Change], gain: Gain) -> str:
    kinds = [change.kind for change in changes]
    better, worse = kinds.count("better"), kinds.count("worse")
    chance = len(changes) * (1 - gain.gain.confidence)
    about = f"{chance:.0f}" if chance >= 1.5 else f"{chance:.1g}"
    return (
        f"Of {len(changes)} classes, {better} lie above zero with their whole interval and {worse} "
        f"below. The intervals are not corrected for their number: if nothing had changed, about "
        f"{about} of {len(changes)} would exclude zero by chance."
    )


def _picture_rows(pictures: Pictures) -> list[dict[str, Any]]:
    """One row a class: its name, real images, synthetic images."""
    real, synthetic = pictures.real, pictures.synthetic
    window = _window(pictures)
    rows = []
    for label in np.unique(np.concatenate([real.labels, synthetic.labels])):
        ours = real.images[real.labels == label]
        theirs = synthetic.images[synthetic.labels == label]
        rows.append(
            {
                "name": printable(real.classes[label]),
                "real": [_embed(image, window) for image in ours],
                "synthetic": [_embed(image, window) for image in theirs],
            }
        )
    return rows


def _pairs(pictures: Pictures) -> list[dict[str, Any]]:
    """Each synthetic image with its nearest real one, the nearest pair first."""
    window = _window(pictures)
    return [
        {
            "name": printable(pictures.real.classes[pictures.synthetic.labels[i]]),
            "synthetic": _embed(pictures.synthetic.images[i], window),
            "nearest": _embed(pictures.nearest[i], window),
            "distance": float(pictures.distance[i]),
            "identical": bool(pictures.distance[i] < 0.5 / 255),
        }
        for i in np.argsort(pictures.distance, kind="stable")
    ]


def _window(pictures: Pictures) -> tuple[float, float]:
    """What is shown black and white: the whole range of 8-bit images, and of 16-bit ones the part
    that the real images use, since most instruments fill only 10 or 12 of the 16 bits."""
    if pictures.real.images.dtype == np.uint8 or not len(pictures.real):
        return 0.0, 1.0
    values = to_float(pictures.real.images).numpy()
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.5)))
    return (low, high) if high > low else (0.0, 1.0)


def _range_text(pictures: Pictures) -> str | None:
    if pictures.real.images.dtype == np.uint8:
        return None
    low, high = (_number(round(65535 * value)) for value in _window(pictures))
    return f"The images have 16 bits: values from {low} to {high} are shown as black to white."


def _embed(image: np.ndarray, window: tuple[float, float], side: int = 64) -> dict[str, Any]:
    """An image as PNG in text, with the size to show it at: about `side` pixels, scaled up by a
    whole number, so that its pixels stay equal squares; larger images are scaled down."""
    low, high = window
    grey = to_stored((to_float(image) - low) / (high - low), np.uint8)
    picture = Image.fromarray(grey[0] if len(grey) == 1 else grey.transpose(1, 2, 0).copy())
    largest = max(picture.size)
    if largest > side:
        width, height = (max(1, round(n * side / largest)) for n in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    scale = max(1, round(side / max(picture.size)))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode()
    return {
        "src": f"data:image/png;base64,{text}",
        "width": picture.width * scale,
        "height": picture.height * scale,
    }


def _caveats(gain: Gain) -> list[str]:
    """What the numbers do not say."""
    interval, seeds = gain.gain, len(gain.gain.per_seed)
    said = [
        f"Small gains stay unseen. With {seeds} seeds, a true gain of "
        f"{interval.smallest_detectable:.1f} points would have been told from zero four times in "
        "five; a smaller one less often. No evidence of a gain is not evidence of none.",
        _about_test(gain),
        _about_validation(gain),
        "Many comparisons. The verdict's interval needs no correction, since its arm was picked "
        "before the test images were opened; the p-values of the table are corrected for the "
        "number of arms (Holm).",
    ]
    if interval.stage_one < seeds:
        said.append(
            f"Seeds were added. The scatter of the first {interval.stage_one} seeds set their "
            "number and the interval's width, never the gain itself, so the confidence holds "
            "(Stein 1945)."
        )
    more = gain.protocol.get("caveats", [])
    return said + [str(text) for text in ([more] if isinstance(more, str) else more)]


def _about_test(gain: Gain) -> str:
    test = gain.data.get("test")
    said = (
        "One test set. The interval holds the scatter between seeds (training subset, generator, "
        "pool, classifier), not that of collecting other test images."
    )
    if not isinstance(test, int) or test < 1:
        return said
    share = min(max(_mean(gain.scores(gain.baseline)), 0.0), 1.0)
    error = 196 * math.sqrt(share * (1 - share) / test)
    return (
        f"{said} There are {_number(test)} of them: one image is {100 / test:.2g} points of "
        f"accuracy, and the accuracy of a single classifier is known to about ±{error:.1f} points."
    )


def _about_validation(gain: Gain) -> str:
    """How the images were set apart on which the choices were made."""
    how, count = gain.protocol.get("validation"), gain.data.get("validation")
    said = "Choices were made on validation images alone"
    if isinstance(count, int):
        said += f" ({_number(count)} of them)"
    if isinstance(how, str) and how:
        return f"{said}, set apart as follows: {how.rstrip('.')}."
    return f"{said}; how they were set apart stands in the protocol."


def _mean(values: Iterable[float]) -> float:
    """The mean; not a number where there is nothing to average."""
    found = list(values)
    return sum(found) / len(found) if found else math.nan


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f}"


def _breakable(text: str) -> Markup:
    """A name that may be broken after a slash or an underscore."""
    return escape(text).replace("/", Markup("/<wbr>")).replace("_", Markup("_<wbr>"))


def _number(value: float | bool) -> str:
    """A number of the protocol, for a reader.

    >>> _number(12500), _number(0.0003), _number(True)
    ('12,500', '0.0003', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return "–" if math.isnan(value) else f"{value:.6g}"
