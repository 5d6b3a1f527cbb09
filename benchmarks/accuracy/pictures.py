"""The pictures of docs/results.md: a forest plot of the gains, and what they depend on."""

from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from stored import is_sound, mark, mix_of, name_of, title

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
    """Gains over sound baselines against the images of a class, and against the ratio of synthetic
    images."""
    results = [gain for gain in results if is_sound(gain)]
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
        for gain, size in zip(gains, sizes, strict=True):
            line = ":" if size <= 10 else "-"
            by_ratio.plot(*zip(*ratios_of(gain), strict=True), line, marker="o", color=color)
    shown = sorted({round(gain.data["train"] / gain.data["classes"]) for gain in results})
    by_size.set_xscale("log")
    by_size.set_xticks(shown, [str(size) for size in shown])
    by_size.minorticks_off()
    by_size.set_xlabel("real images per class")
    by_size.set_ylabel("gain over the baseline, points")
    figure.legend(*by_size.get_legend_handles_labels(), loc="outside right", frameon=False)
    by_ratio.set_xlabel(
        "ratio, of the chosen source with hard labels\n(dotted: up to 10 real images per class)"
    )
    for axes in (by_size, by_ratio):
        axes.axhline(0, color="black", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURES / "trends.png", dpi=110)


def ratios_of(gain: Gain) -> list[tuple[float, float]]:
    """(ratio, points over the baseline) of the chosen source with hard labels on its partner, which
    is the ratio of zero."""
    source, _, _, partner = mix_of(gain.chosen["arm"])
    found = [(mix_of(arm.name), arm.gain) for arm in gain.arms if arm.uses != "real"]
    of_chosen = {
        ratio: each.points
        for (own, ratio, rule, beside), each in found
        if each is not None and (own, rule, beside) == (source, "hard", partner)
    }
    alone = gain.arm(partner).gain
    return [(0.0, 0.0 if alone is None else alone.points), *sorted(of_chosen.items())]
