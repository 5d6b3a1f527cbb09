"""Show the arms on the page: as interval plot, as table, and seed by seed."""

from typing import Any

from markupsafe import Markup

from synthaug.gain.report.interval_plot import Row, intervals
from synthaug.gain.report.numbers import mean, printable, span, with_sign
from synthaug.gain.report.seed_plot import Column, seeds
from synthaug.gain.result import ArmResult, Gain
from synthaug.gain.statistics import Interval

GROUPS = {
    "real": "Real images only",
    "control": "Non-learned controls",
    "synthetic": "Trained generators, pools",
}


def arms_plot(gain: Gain) -> Markup:
    """Draw the gain of each arm over the baseline, with its interval."""
    rows = []
    for kind, arms in by_group(gain):
        rows.append(Row(GROUPS[kind]))
        rows += [_arm_row(gain, arm, kind) for arm in arms]
    return intervals(
        rows,
        axis="gain over the baseline, percentage points",
        alt=f"Interval plot of {len(gain.arms)} arms. {gain.sentence()}",
    )


def _arm_row(gain: Gain, arm: ArmResult, kind: str) -> Row:
    is_recommended = "recommended" in _tags(gain, arm)
    name = ("★ " if is_recommended else "") + printable(arm.name)
    if arm.name == gain.baseline:
        zero = Interval(0.0, 0.0, 0.0, [], gain.gain.confidence, 0.0, 0)
        return Row(name, kind, zero, "baseline", is_recommended)
    if arm.gain is None:
        return Row(name, kind, None, "not compared", is_recommended)
    figures = f"{with_sign(arm.gain.points)}  ({span(arm.gain)})"
    return Row(name, kind, arm.gain, figures, is_recommended, aside=gain.given_up(arm))


def arms_table(gain: Gain) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the rows of the table of arms, by heading."""
    return [
        (GROUPS[kind], [_table_row(gain, arm) for arm in arms]) for kind, arms in by_group(gain)
    ]


def _table_row(gain: Gain, arm: ArmResult) -> dict[str, Any]:
    return {
        "arm": arm,
        "tags": _tags(gain, arm),
        "accuracy": mean(arm.accuracy),
        "balanced": mean(arm.balanced_accuracy),
        "validation": mean(arm.choice_scores),
        "seconds": arm.usual_seconds,
        "p": "" if arm.p_holm is None else "<0.001" if arm.p_holm < 0.001 else f"{arm.p_holm:.3f}",
    }


def seeds_plot(gain: Gain) -> Markup:
    """Draw the scores of the arms that matter, seed by seed, and their differences."""
    chosen_name = gain.chosen["arm"]
    bests = ((gain.control, "best non-learned"), (gain.trained, "best trained"))
    roles = [(name, role) for name, role in bests if name is not None and name != chosen_name]
    if gain.rival is not None:
        roles.append((gain.rival, "oracle baseline"))
    roles += [(gain.baseline, "baseline"), (chosen_name, "synthetic")]
    columns = [
        Column(
            name=printable(name),
            role=role,
            kind=gain.arm(name).uses,
            scores=[100 * score for score in gain.scores(name)],
        )
        for name, role in roles
    ]
    gaps = [("over\nbaseline", gain.gain)]
    if gain.gain_over_rival is not None:
        gaps.append(("over oracle\nbaseline", gain.gain_over_rival))
    if gain.gain_over_control is not None:
        gaps.append(("trained over\nnon-learned", gain.gain_over_control))
    return seeds(
        columns,
        gaps,
        alt="Test scores of each seed: "
        + "; ".join(f"{c.name} " + ", ".join(f"{s:.1f}" for s in c.scores) for c in columns),
    )


def by_group(gain: Gain) -> list[tuple[str, list[ArmResult]]]:
    """Group the arms by what they train with; leave out empty groups."""
    groups = [(kind, [arm for arm in gain.arms if arm.uses == kind]) for kind in GROUPS]
    return [(kind, arms) for kind, arms in groups if arms]


def _tags(gain: Gain, arm: ArmResult) -> list[str]:
    roles = {
        "recommended": gain.to_use,
        "baseline": gain.baseline,
        "oracle baseline": gain.rival,
        "best trained": gain.trained,
        "best non-learned control": gain.control,
        "best with synthetic images": gain.chosen["arm"],
    }
    tags = [role for role, name in roles.items() if name == arm.name]
    return [*tags, f"given up after {len(arm.accuracy)} seeds"] if gain.given_up(arm) else tags
