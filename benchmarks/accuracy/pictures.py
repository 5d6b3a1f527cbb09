"""The pictures of docs/results.md: a forest plot of the gains, and what they depend on."""

from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from stored import is_tuned, mark, mix_of, name_of, over, title

from synthaug import Gain
from synthaug.gain import Interval

COLORS = {"helps": "tab:green", "no evidence": "gray", "hurts": "tab:red"}
PICTURES = Path(__file__).parent.parent.parent / "docs" / "images"


def draw_gains(results: list[Gain]) -> None:
    """A forest plot: one line for each gain, its interval, and no gain at zero."""
    figure = Figure(figsize=(7, 0.8 + 0.3 * len(results)), layout="constrained")
    axes = figure.subplots()
    for row, gain in enumerate(reversed(results)):
        color = COLORS[gain.verdict]
        draw_interval(axes, gain.gain, row, "o", color)
        if gain.gain_over_rival is not None:
            draw_interval(axes, gain.gain_over_rival, row - 0.3, "D", color)
    axes.axvline(0, color="black", linewidth=0.8)
    names = [title(gain) + mark(gain) for gain in reversed(results)]
    axes.set_yticks(range(len(results)), names)
    axes.set_xlabel(
        "gain over the best without synthetic images, points\n"
        "(best on validation images ●, on test images ◆)"
    )
    keys = [Line2D([], [], color=color, marker="o", **_filled(color)) for color in COLORS.values()]
    figure.legend(keys, COLORS, loc="outside upper center", ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURES / "gains.png", dpi=110)


def draw_interval(axes: Axes, found: Interval, place: float, shape: str, color: str) -> None:
    sides = [[found.points - found.low], [found.high - found.points]]
    look = {"color": color, "capsize": 3, "markersize": 5, **_filled(color)}
    axes.errorbar(found.points, place, xerr=sides, fmt=shape, **look)


def _filled(color: str) -> dict[str, str]:
    """Hollow where nothing is evident: colours alone do not tell everybody."""
    return {"markerfacecolor": "white"} if color == COLORS["no evidence"] else {}


def draw_trends(results: list[Gain]) -> None:
    """Gains over tuned baselines against the images of a class, and on validation images against
    the ratio of synthetic ones."""
    results = [gain for gain in results if is_tuned(gain)]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    by_size, by_ratio = figure.subplots(1, 2, sharey=True)
    for place, (name, group) in enumerate(groupby(results, name_of)):
        gains = list(group)
        sizes = [gain.data["train"] / gain.data["classes"] for gain in gains]
        beside = [size * (0.85 + 0.05 * place) for size in sizes]  # so that none hides another
        points = [gain.gain.points for gain in gains]
        ends = [
            [g.gain.points - g.gain.low for g in gains],
            [g.gain.high - g.gain.points for g in gains],
        ]
        color = f"C{place}"
        by_size.errorbar(beside, points, yerr=ends, fmt="o", capsize=2, color=color, label=name)
        for gain, size, at in zip(gains, sizes, beside, strict=True):
            if gain.gain_over_rival is not None:
                look = {"marker": "D", "color": color, "markersize": 4, "markerfacecolor": "white"}
                by_size.plot(at, gain.gain_over_rival.points, **look)
            found = ratios_of(gain)
            if len(found) > 1:
                draw_ratios(by_ratio, found, ":" if size <= 10 else "-", color, 0.004 * place)
    shown = sorted({round(gain.data["train"] / gain.data["classes"]) for gain in results})
    by_size.set_xscale("log")
    by_size.set_xticks(shown, [str(size) for size in shown])
    by_size.minorticks_off()
    by_size.set_xlabel("real images per class\n(◇ over the rival)")
    by_size.set_ylabel("gain over the baseline, points")
    figure.legend(*by_size.get_legend_handles_labels(), loc="outside right", frameon=False)
    by_ratio.set_xlabel(
        "ratio, of the chosen source with hard labels, on\n"
        "validation images (dotted: up to 10 real ones per class)"
    )
    for axes in (by_size, by_ratio):
        axes.axhline(0, color="black", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURES / "trends.png", dpi=110)


def draw_ratios(
    axes: Axes, found: list[tuple[float, Interval]], line: str, color: str, aside: float
) -> None:
    ratios = [ratio + aside for ratio, _ in found]
    points = [each.points for _, each in found]
    sides = [
        [each.points - each.low for _, each in found],
        [each.high - each.points for _, each in found],
    ]
    axes.plot(ratios, points, line, marker="o", markersize=4, color=color)
    axes.errorbar(ratios, points, yerr=sides, fmt="none", color=color, alpha=0.3)


def ratios_of(gain: Gain) -> list[tuple[float, Interval]]:
    """(ratio, points over the baseline) of the chosen source with hard labels on its partner, which
    is the ratio of zero, on the validation images of the seeds that choices were made on, where it
    was trained on all of them: on test images the chosen arm is measured on others."""
    source, _, _, partner = mix_of(gain.chosen["arm"])
    ratios = [(0.0, gain.arm(partner))]
    for arm in gain.arms:
        own, ratio, rule, beside = mix_of(arm.name) if arm.synthetic else ("", 0.0, "", "")
        if (own, rule, beside) == (source, "hard", partner):
            ratios.append((ratio, arm))
    baseline = gain.arm(gain.baseline).choice_scores
    found = [
        (ratio, over(arm.choice_scores, baseline))
        for ratio, arm in ratios
        if len(arm.choice_scores) == len(baseline)
    ]
    return sorted(found, key=lambda each: each[0])
