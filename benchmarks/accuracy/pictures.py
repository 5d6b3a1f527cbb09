"""The pictures of docs/results.md: a forest plot of the gains, and what they depend on."""

from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from stored import is_sound, mark, mix_of, name_of, title

from synthaug import Gain
from synthaug.gain import Interval

PICTURES = Path(__file__).parent.parent.parent / "docs" / "images"


def draw_gains(results: list[Gain]) -> None:
    """A forest plot: one line for each gain, its interval, and no gain at zero."""
    figure = Figure(figsize=(7, 0.6 + 0.3 * len(results)), layout="constrained")
    axes = figure.subplots()
    for row, gain in enumerate(reversed(results)):
        color = {"helps": "tab:green", "hurts": "tab:red"}.get(gain.verdict, "gray")
        draw_interval(axes, gain.gain, row, "o", color)
        if gain.gain_over_rival is not None:
            draw_interval(axes, gain.gain_over_rival, row - 0.3, "D", color)
    axes.axvline(0, color="black", linewidth=0.8)
    names = [title(gain) + mark(gain) for gain in reversed(results)]
    axes.set_yticks(range(len(results)), names)
    axes.set_xlabel("gain over training without synthetic images, points")
    shapes = {"o": "over the best on validation images", "D": "over the best on test images"}
    keys = [Line2D([], [], color="gray", marker=each, linestyle="") for each in shapes]
    figure.legend(keys, shapes.values(), loc="outside upper center", ncols=2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURES / "gains.png", dpi=110)


def draw_interval(axes: Axes, found: Interval, place: float, shape: str, color: str) -> None:
    sides = [[found.points - found.low], [found.high - found.points]]
    axes.errorbar(found.points, place, xerr=sides, fmt=shape, color=color, capsize=3, markersize=5)


def draw_trends(results: list[Gain]) -> None:
    """Gains over sound baselines against the images of a class, and against the ratio of synthetic
    images."""
    results = [gain for gain in results if is_sound(gain)]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    by_size, by_ratio = figure.subplots(1, 2, sharey=True)
    for name, group in groupby(results, name_of):
        gains = list(group)
        sizes = [gain.data["train"] / gain.data["classes"] for gain in gains]
        by_size.plot(sizes, [gain.gain.points for gain in gains], marker="o", label=name)
        color = by_size.lines[-1].get_color()
        for gain, size in zip(gains, sizes, strict=True):
            line = ":" if size <= 10 else "-"
            by_ratio.plot(*zip(*ratios_of(gain), strict=True), line, marker="o", color=color)
    shown = sorted({round(gain.data["train"] / gain.data["classes"]) for gain in results})
    by_size.set_xscale("log")
    by_size.set_xticks(shown, [str(size) for size in shown])
    by_size.minorticks_off()
    by_size.set_xlabel("real images a class")
    by_size.set_ylabel("gain, points")
    figure.legend(*by_size.get_legend_handles_labels(), loc="outside right", frameon=False)
    by_ratio.set_xlabel(
        "ratio, of the chosen source with hard labels\n(dotted: up to 10 real images a class)"
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
