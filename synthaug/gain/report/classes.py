"""Show what the chosen arm changed for each class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from synthaug.gain.report.interval_plot import Row, intervals
from synthaug.gain.result import Gain
from synthaug.gain.statistics import Interval, paired_interval

MOST_CLASSES = 50  # rows in the plot of classes; of more, those that changed most are shown


@dataclass(frozen=True)
class Change:
    """The change of one class by the chosen arm; accuracies in per cent."""

    name: str
    before: float
    after: float
    interval: Interval

    @property
    def kind(self) -> str:
        """Return "better", "worse" or "unclear"."""
        if self.interval.low > 0:
            return "better"
        return "worse" if self.interval.high < 0 else "unclear"


def class_changes(gain: Gain, names: Sequence[str]) -> list[Change]:
    """Sort the classes by change, largest loss last; leave out those without test images."""
    before = 100 * np.array(gain.arm(gain.baseline).per_class, dtype=float)
    after = 100 * np.array(gain.arm(gain.chosen["arm"]).per_class, dtype=float)
    counts = gain.data.get("test_counts") or [gain.data["test"] / len(names)] * len(names)
    changes = [
        Change(
            name=name,
            before=float(before[:, k].mean()),
            after=float(after[:, k].mean()),
            interval=paired_interval(
                (after - before)[:, k].tolist(),
                confidence=gain.gain.confidence,
                stage_one=gain.gain.stage_one,
                resolution=100 / counts[k],
            ),
        )
        for k, name in enumerate(names)
        if np.isfinite(after[:, k] - before[:, k]).all()
    ]
    return sorted(changes, key=lambda change: -change.interval.points)


def classes_plot(changes: list[Change], gain: Gain) -> Markup | None:
    """Draw the change of each class; None where no class has test images."""
    if not changes:
        return None
    half = MOST_CLASSES // 2
    rows = [_class_row(change) for change in changes]
    if len(changes) > MOST_CLASSES:
        ellipsis = Row(f"… {len(changes) - 2 * half} classes that changed less …")
        rows = [*rows[:half], ellipsis, *rows[-half:]]
    return intervals(
        rows,
        axis="change of the class's accuracy, percentage points",
        alt=f"Change of accuracy for {len(changes)} classes. {classes_text(changes, gain)}",
        row_height=22.0 if len(rows) <= 15 else 15.5,
    )


def _class_row(change: Change) -> Row:
    figures = f"{change.before:.0f} → {change.after:.0f} %"
    return Row(change.name, change.kind, change.interval, figures)


def classes_text(changes: list[Change], gain: Gain) -> str:
    """Count the classes that changed for sure, and how many would by chance."""
    kinds = [change.kind for change in changes]
    better, worse = kinds.count("better"), kinds.count("worse")
    chance = len(changes) * (1 - gain.gain.confidence)
    about = f"{chance:.0f}" if chance >= 1.5 else f"{chance:.1g}"
    return (
        f"Better in {better} of {len(changes)} classes and worse in {worse}, the whole interval "
        "being on one side of zero. The intervals are not corrected for their number: if nothing "
        f"had changed, about {about} of {len(changes)} would look so by chance."
    )
