"""Write the table and the plot of all results from the JSON files beside this script.

    python benchmarks/accuracy/results_table.py

The table goes between its two marks into README.md and docs/results.md, the plot to
docs/images/gains.png. The figures that the prose of these pages tells are printed.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

ROOT = Path(__file__).parent.parent.parent
RESULTS = Path(__file__).parent / "results"
PAGES = ROOT / "README.md", ROOT / "docs" / "results.md"
PLOT = ROOT / "docs" / "images" / "gains.png"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"
VERDICTS = {"helps": "#2a9d4a", "no evidence": "#7a7a7a", "hurts": "#d1382c"}
MOST_STEPS = 4800  # the limit of tuning
TIE = 1e-9  # points
HEAD = """\
| data | images per class | accuracy without | accuracy with synthetic images \
| gain over the baseline | gain over the oracle baseline | verdict |
|---|---|---|---|---|---|---|
"""
PEERS_ALIKE = ("transfer-any", "transfer-within", "nuisance-swap")


@dataclass(frozen=True)
class Interval:
    """A mean of paired differences in points, with its 95 % interval."""

    points: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.points:+z.1f} ({self.low:+.1f} to {self.high:+.1f})"

    @classmethod
    def of(cls, differences: Sequence[float] | np.ndarray) -> "Interval":
        """Return Student's interval."""
        values = np.asarray(differences, dtype=float)
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
        return cls(values.mean(), values.mean() - half, values.mean() + half)

    @classmethod
    def stored(cls, value: dict[str, Any] | None) -> "Interval | None":
        return None if value is None else cls(value["points"], value["low"], value["high"])


@dataclass(frozen=True)
class Row:
    """One stored result: a data set at one size."""

    stem: str
    result: dict[str, Any]

    @property
    def protocol(self) -> dict[str, Any]:
        return self.result["protocol"]

    @property
    def data(self) -> dict[str, Any]:
        return self.result["data"]

    @property
    def name(self) -> str:
        return Path(self.data["name"]).stem

    @property
    def title(self) -> str:
        return f"{self.name}, {self.images_per_class}"

    @property
    def images_per_class(self) -> str:
        """Return how many are trained on: less what a rare class gives up for choices."""
        if self.protocol["per_class"]:
            return str(self.protocol["per_class"])
        [limit] = [c.split()[2] for c in self.protocol["caveats"] if c.startswith("at most ")]
        held_out = "held out of every training" in self.protocol["validation"]
        return f"up to {int(limit) - held_out * max(self.data['validation_counts'])}"

    @cached_property
    def arms(self) -> dict[str, dict[str, Any]]:
        return {arm["name"]: arm for arm in self.result["arms"]}

    @property
    def baseline(self) -> str:
        return self.result["baseline"]

    @property
    def chosen(self) -> str:
        return self.result["chosen"]["arm"]

    def scores(self, arm: str) -> np.ndarray:
        """Return the test scores of an arm from 0 to 1, one a seed."""
        return np.array(self.arms[arm][self.protocol["metric"].replace(" ", "_")])

    @property
    def gain(self) -> Interval:
        found = Interval.stored(self.result["gain"])
        assert found is not None
        return found

    @property
    def oracle_lead(self) -> float:
        """Return by how many points the oracle baseline leads; 0 where there is none."""
        rival = self.result["rival"]
        return max(0.0, self.arms[rival]["gain"]["points"]) if rival else 0.0

    @property
    def gain_over_oracle(self) -> Interval | None:
        return Interval.stored(self.result["gain_over_rival"]) if self.oracle_lead > TIE else None

    @property
    def verdict(self) -> str:
        if self.gain.high < 0:
            return "hurts"
        both = [each for each in (self.gain, self.gain_over_oracle) if each is not None]
        return "helps" if all(each.low > 0 for each in both) else "no evidence"

    @property
    def tuned(self) -> bool:
        return bool(self.protocol["tuning"])

    @property
    def non_learned(self) -> bool:
        """Tell whether the chosen arm's generator has nothing to learn."""
        return self.arms[self.chosen]["uses"] == "control"

    @property
    def base_arm(self) -> str:
        """Return what synthetic images were put on first."""
        first = next(name for name, arm in self.arms.items() if arm["synthetic"])
        return first.split(", ", 1)[1]

    @property
    def arithmetic(self) -> str:
        """Return what networks multiplied in: bfloat16 before results told it."""
        return self.protocol.get("arithmetic", "bfloat16")

    def beside(self, folder: str) -> dict[str, Any] | None:
        """Return what else was measured on the same images, seeds, steps and configuration."""
        path = RESULTS / folder / f"{self.stem}.json"
        if not path.exists():
            return None
        found: dict[str, Any] = json.loads(path.read_text())
        known = {**self.data, **self.protocol, "baseline": self.baseline, "partner": self.base_arm}
        known["arithmetic"] = self.arithmetic
        optional = ("fingerprint", "test_fingerprint", "arithmetic", "partner")
        names = ["baseline", "seeds", "steps", "recipe", *(n for n in optional if n in found)]
        return found if all(found[name] == known[name] for name in names) else None

    @property
    def with_twice_the_steps(self) -> Interval | None:
        """Return what twice the steps bring the baseline, where that was measured."""
        longer = (self.beside("worth") or {}).get("longer")
        return None if longer is None else Interval.of(100 * (np.array(longer) - self.without))

    @property
    def without(self) -> np.ndarray:
        return self.scores(self.baseline)

    @property
    def holds_zero_on_other_images(self) -> bool:
        """Tell whether the interval holds zero once the scatter of test images is added."""
        error = self.result["gain"].get("image_error") or 0.0
        freedom = self.result["gain"].get("image_freedom") or np.inf
        other = stats.t.ppf(0.975, freedom) * error
        half = np.hypot(self.gain.high - self.gain.points, other)
        return self.verdict != "no evidence" and abs(self.gain.points) <= half


NOTES: dict[str, Callable[[Row], bool]] = {  # text: tells which rows it is of
    "Balanced accuracy.": lambda row: row.protocol["metric"] != "accuracy",
    f"Tuning ended at its limit of {MOST_STEPS:,} steps, which were better than half as many: "
    "longer training may take a part of the gain away.": lambda row: (
        row.tuned and row.protocol["steps"] == MOST_STEPS
    ),
    "Perhaps undertrained: twice the steps bring the baseline half a point or more.": lambda row: (
        row.with_twice_the_steps is not None and row.with_twice_the_steps.points >= 0.5
    ),
    "The number of steps was settled on two seeds, not on five.": lambda row: (
        row.tuned
        and row.protocol["steps"] < MOST_STEPS
        and not any("seeds" in trial for trial in row.protocol["tuning"])
    ),
    "On these test images: the interval holds zero once the scatter of others is added.": (
        lambda row: row.holds_zero_on_other_images
    ),
    "The demonstration: settings fixed, not tuned.": lambda row: not row.tuned,
}
SIGNS = "¹²³⁴⁵⁶"


def read_rows(folder: Path = RESULTS) -> list[Row]:
    rows = [Row(path.stem, json.loads(path.read_text())) for path in folder.glob("*.json")]
    return sorted(rows, key=lambda row: (row.name, row.data["train"], row.stem))


def table(rows: list[Row]) -> str:
    lines = "".join(line(row) for row in rows)
    notes = "<br>\n".join(f"{s} {note}" for s, note in zip(SIGNS, NOTES, strict=True))
    return f"{HEAD}{lines}\n{notes}\n"


def line(row: Row) -> str:
    marks = [sign for sign, applies in zip(SIGNS, NOTES.values(), strict=True) if applies(row)]
    after = percent(row.scores(row.chosen))
    cells = [
        row.name + (" " + " ".join(marks) if marks else ""),
        row.images_per_class,
        percent(row.without),
        f"{after}, by a non-learned generator" if row.non_learned else after,
        str(row.gain),
        "—" if row.gain_over_oracle is None else str(row.gain_over_oracle),
        row.verdict if row.verdict == "no evidence" else f"**{row.verdict}**",
    ]
    return f"| {' | '.join(cells)} |\n"


def percent(scores: Sequence[float] | np.ndarray) -> str:
    return f"{100 * np.mean(scores):.1f}"


def with_table(text: str, made: str) -> str:
    """Put the table between its two marks on a page."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return before + START + made + END + after


def figures(rows: list[Row]) -> dict[str, str]:
    """Return the figures that the prose tells, by what they are of."""
    tuned = [row for row in rows if row.tuned]
    gains = np.array([row.gain.points for row in tuned])
    leads = np.array([row.oracle_lead for row in tuned])
    recommended = [row for row in tuned if row.result["recommendation"] != "none"]
    helping = [row for row in rows if row.verdict == "helps"]
    hurting = [row for row in rows if row.verdict == "hurts"]
    detectable = sorted(row.result["gain"]["smallest_detectable"] for row in rows)
    found = {
        "helps": f"{len(helping)} of {len(rows)} rows",
        "sets that helps": f"{len({row.name for row in helping})} of "
        f"{len({row.name for row in rows})} sets",
        "hurts": f"{len(hurting)} rows",
        "helps by a trained generator": f"{sum(not row.non_learned for row in helping)} row",
        "helps by luck": f"{stats.binom(len(rows), 0.025).sf(len(helping) - 1):.1%}",
        "gain, by row": str(Interval.of(gains)),
        "gain, by set": str(by_set(tuned, gains)),
        "gain less the lead of the oracle baseline, by row": str(Interval.of(gains - leads)),
        "gain less the lead of the oracle baseline, by set": str(by_set(tuned, gains - leads)),
        "trained over non-learned": str(trained_over_non_learned(tuned)),
        "recommended": f"{len(recommended)} of {len(tuned)} tuned rows",
        "recommended that help": f"{sum(row.verdict == 'helps' for row in recommended)} of them",
        "smallest detectable": f"{detectable[0]:.1f} to {detectable[-1]:.1f} points",
        "smallest detectable, median": f"{np.median(detectable):.1f}",
    }
    p_values = holm([p_value_of(row) for row in rows])
    for row, p in zip(rows, p_values, strict=True):
        if p < 0.05 and row.verdict != "no evidence":
            found[f"Holm, {row.title}"] = f"p = {p:.3f}"
    return found | of_best(tuned) | of_pretrained() | of_pythae(rows) | of_worth(rows)


def by_set(rows: list[Row], points: np.ndarray) -> Interval:
    """Return the mean over sets of the mean of each."""
    names = np.array([row.name for row in rows])
    return Interval.of([points[names == name].mean() for name in dict.fromkeys(names)])


def trained_over_non_learned(rows: list[Row]) -> Interval:
    found = [row.result["gain_over_control"] for row in rows]
    return Interval.of([each["points"] for each in found if each])


def p_value_of(row: Row) -> float:
    """Return the larger of both comparisons' p-values; 1 where only the baseline is beaten."""
    over = row.gain_over_oracle
    if row.gain.points <= 0 or over is None:
        return p_value(row.gain, len(row.without))
    both = p_value(row.gain, len(row.without)), p_value(over, len(row.without))
    return max(both) if over.points > 0 else 1.0


def p_value(interval: Interval, seeds: int) -> float:
    error = (interval.high - interval.points) / stats.t.ppf(0.975, seeds - 1)
    return float(2 * stats.t.sf(abs(interval.points) / error, seeds - 1))


def holm(p_values: list[float]) -> list[float]:
    """Adjust p-values of tests made together (Holm 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def of_best(rows: list[Row]) -> dict[str, str]:
    """Return what the best single way, and the best choice by test images, would have gained."""
    ways = []
    for row in rows:
        end = f", {row.base_arm}"
        synthetic = {name: arm for name, arm in row.arms.items() if arm["synthetic"]}
        ways.append(
            {n.removesuffix(end): a["gain"]["points"] for n, a in synthetic.items() if end in n}
        )
    common = [way for way in ways[0] if all(way in each for each in ways)]
    points = {way: np.array([each[way] for each in ways]) for way in common}
    best_way = max(common, key=lambda way: points[way].mean())

    def best(row: Row, synthetic: bool) -> float:
        arms = [arm for arm in row.arms.values() if arm["synthetic"] == synthetic]
        return max(0.0 if arm["gain"] is None else arm["gain"]["points"] for arm in arms)

    ahead = np.array([best(row, True) - best(row, False) for row in rows])
    return {
        f"best single way ({best_way})": str(by_set(rows, points[best_way])),
        "best with over best without, chosen on test images": str(by_set(rows, ahead)),
    }


def of_pretrained() -> dict[str, str]:
    rows = read_rows(RESULTS / "pretrained")
    least = [min((r.gain, r.gain_over_oracle or r.gain), key=lambda i: i.low) for r in rows]
    points = [each.points for each in least]
    verdicts = [row.verdict for row in rows]
    return {
        "pretrained": f"help in {verdicts.count('helps')} and hurt in {verdicts.count('hurts')} "
        f"of {len(rows)} rows",
        "pretrained, least sure gain": f"{min(points):+z.1f} to {max(points):+z.1f} points",
    }


def of_pythae(rows: list[Row]) -> dict[str, str]:
    """Return mean gains in the rows that pythae's VAE was measured in."""
    names = ["pythae", "pythae over its base arm", *PEERS_ALIKE, "chosen"]
    columns: dict[str, list[float]] = {name: [] for name in names}
    for row in rows:
        theirs = row.beside("peers/pythae")
        if theirs is None:
            continue
        scores = {name: 100 * np.array(theirs[name]) for name in ("pythae", "without", "alone")}
        alike = f"{theirs['ratio']:g} hard, {theirs['partner']}"
        columns["pythae"].append((scores["pythae"] - scores["without"]).mean())
        columns["pythae over its base arm"].append((scores["pythae"] - scores["alone"]).mean())
        for source in PEERS_ALIKE:
            columns[source].append(row.arms[f"{source} {alike}"]["gain"]["points"])
        columns["chosen"].append(row.gain.points)
    found = {f"beside pythae: {name}": str(Interval.of(each)) for name, each in columns.items()}
    for name in ("nuisance-swap", "chosen"):
        ahead = np.subtract(columns[name], columns["pythae"])
        found[f"beside pythae: {name} ahead of it"] = str(Interval.of(ahead))
    return {"beside pythae: rows": f"{len(columns['pythae'])} rows", **found}


def of_worth(rows: list[Row]) -> dict[str, str]:
    """Return what more real images and twice the steps bring, in two rows."""
    found = {}
    by_stem = {row.stem: row for row in rows}
    signs, photographs = by_stem["gtsrb32-10"], by_stem["cifar10-50"]
    more = signs.beside("worth")
    if more is not None:
        for times in ("2", "4"):
            found[f"traffic signs, {times} x the images"] = percent(more["times"][times])
    longer = photographs.beside("worth")
    if longer is not None:
        with_synthetic = 100 * (np.array(longer["chosen_longer"]) - longer["longer"])
        found["photographs, twice the steps"] = str(photographs.with_twice_the_steps)
        found["photographs, twice the steps, synthetic"] = str(Interval.of(with_synthetic))
    return found


def draw(rows: list[Row], path: Path = PLOT) -> None:
    """Draw a forest plot: a line for each row, the gain over the oracle baseline lighter."""
    figure = Figure(figsize=(7.6, 0.9 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(reversed(rows)):
        color = VERDICTS[row.verdict]
        for interval, height, shape, alpha in (
            (row.gain, place + 0.12, "o", 1.0),
            (row.gain_over_oracle, place - 0.22, "D", 0.4),
        ):
            if interval is not None:
                axes.plot([interval.low, interval.high], [height] * 2, color=color, alpha=alpha)
                look = {"marker": shape, "markersize": 5.5, "linestyle": "", "alpha": alpha}
                axes.plot(interval.points, height, color=color, **look)
    axes.axvline(0, color="black", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(rows)), [row.title for row in reversed(rows)])
    axes.set_ylim(-0.7, len(rows) - 0.4)
    axes.set_ylabel("data, images per class")
    axes.set_xlabel("gain, percentage points, 95 % interval")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    keys = [Line2D([], [], color=color, marker="o") for color in VERDICTS.values()]
    keys.append(Line2D([], [], color="black", marker="o"))
    keys.append(Line2D([], [], color="black", marker="D", alpha=0.4))
    labels = [*VERDICTS, "over the baseline", "over the oracle baseline"]
    figure.legend(keys, labels, loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def main() -> None:
    rows = read_rows()
    for page in PAGES:
        page.write_text(with_table(page.read_text(), table(rows)))
    draw(rows)
    for name, figure in figures(rows).items():
        print(f"{name}: {figure}")


if __name__ == "__main__":
    main()
