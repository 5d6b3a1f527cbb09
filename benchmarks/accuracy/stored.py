"""The results in benchmarks/accuracy/results, and what each row of a table is called and marked."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthaug import Gain
from synthaug.gain import Experiment, Interval, Labels, paired_interval
from synthaug.gain.baselines import MOST_STEPS, WORTH_DOUBLING
from synthaug.gain.statistics import TIE, verdict

RESULTS = Path(__file__).parent / "results"
WORTH = RESULTS / "worth"
PEERS = RESULTS / "peers"
CELLS = RESULTS / "cells"
SETS = (  # of the grid, those that say most first
    "gtsrb32",
    "cifar10",
    "fashion_mnist",
    "wbc_types64",
    "pneumoniamnist",
    "mnist",
    "covid_ct",
)
SIZES = (10, 50)
ALIKE = ("baseline", "seeds", "steps", "recipe")  # in measurements that stand beside each other
TOLD = ("fingerprint", "test_fingerprint", "arithmetic", "partner")  # where both tell them


def read_results() -> list[Gain]:
    """Sorted by data set, the smaller subsets first."""
    results = [_with_leading_rival(Gain.load(path)) for path in RESULTS.glob("*.json")]
    return sorted(results, key=lambda gain: (name_of(gain), gain.data["train"]))


def _with_leading_rival(gain: Gain) -> Gain:
    """Some results name a rival that is behind the baseline: it had not to lead then."""
    if gain.rival is None or lead_of_rival(gain) > TIE:
        return gain
    return replace(gain, rival=None, gain_over_rival=None, verdict=verdict(gain.gain))


def lead_of_rival(gain: Gain) -> float:
    """Points that the rival is ahead of the baseline; 0 where there is none, or it is behind."""
    found = None if gain.rival is None else gain.arm(gain.rival).gain
    return 0.0 if found is None else max(0.0, found.points)


def not_measured(results: list[Gain]) -> list[str]:
    """What of the grid has no result yet."""
    known = {file_of(gain) for gain in results}
    return [
        f"{name}, {count} per class"
        for name in sorted(SETS)
        for count in SIZES
        if f"{name}-{count}.json" not in known
    ]


def name_of(gain: Gain) -> str:
    return Path(str(gain.data["name"])).stem


def images_per_class(gain: Gain) -> str:
    """How many are trained on: of those that were given some may be held out for choices."""
    capped = _most_given(gain)
    if gain.protocol["per_class"] or capped is None:
        return str(gain.protocol["per_class"] or "all")
    held = max(gain.data["validation_counts"]) if holds_out(gain) else 0
    return f"up to {capped - held}"


def holds_out(gain: Gain) -> bool:
    """Whether choices were made on images that training would have had."""
    return "held out of every training" in gain.protocol["validation"]


def _most_given(gain: Gain) -> int | None:
    """Of a class, where a result says so."""
    caveats = [c for c in gain.protocol["caveats"] if c.startswith("at most")]
    return int(caveats[0].removeprefix("at most ").split()[0]) if caveats else None


def file_of(gain: Gain) -> str:
    """What grid.py calls its result."""
    return f"{name_of(gain)}-{asked_for(gain) or 'all'}.json"


def asked_for(gain: Gain) -> int:
    """How many images of each class, where it has as many; 0 where all were."""
    return int(gain.protocol["per_class"] or _most_given(gain) or 0)


def title(gain: Gain) -> str:
    return f"{name_of(gain)}, {images_per_class(gain)} per class"


def anchor(said: str) -> str:
    """Where a title leads to."""
    return said.replace(",", "").replace(" ", "-")


def mark(gain: Gain) -> str:
    """What stands behind the name of a set whose row has to be read with care."""
    found = "†" * gain.on_these_images_alone + "‡" * trained_short(gain)
    found += "‖" * at_limit(gain) + "¶" * settled_on_two(gain) + "§" * (not is_tuned(gain))
    return f" {found}" if found else ""


def is_tuned(gain: Gain) -> bool:
    """Whether the baseline's recipe was tuned, and not given."""
    return bool(gain.protocol["tuning"])


def at_limit(gain: Gain) -> bool:
    """Whether doubling the steps paid up to the most that tuning tries."""
    return is_tuned(gain) and bool(gain.protocol["steps"] == MOST_STEPS)


def settled_on_two(gain: Gain) -> bool:
    """Whether two seeds alone said that longer training is not worth it; since then all have to,
    and what they said stands among what was tried."""
    all_asked = any("seeds" in trial for trial in gain.protocol["tuning"])
    return is_tuned(gain) and gain.protocol["steps"] < MOST_STEPS and not all_asked


def trained_short(gain: Gain) -> bool:
    """Whether the baseline had half a point more after twice the steps."""
    found = gain_of_length(gain)
    return found is not None and found.points >= 100 * WORTH_DOUBLING


def gain_of_length(gain: Gain) -> Interval | None:
    """What twice the steps bring the baseline, where that was measured."""
    known = worth_of(gain)
    if known is None or "longer" not in known:
        return None
    return over(known["longer"], gain.scores(gain.baseline))


def over(scores: list[float], others: list[float]) -> Interval:
    """The paired gain of test scores over others, seed by seed."""
    return paired_interval([100 * (a - b) for a, b in zip(scores, others, strict=True)])


def worth_of(gain: Gain) -> dict[str, Any] | None:
    """What worth.py measured for a row, if it is that of its baseline."""
    path = WORTH / file_of(gain)
    found = json.loads(path.read_text()) if path.exists() else None
    return dict(found) if found is not None and comparable(found, measured_on(gain)) else None


def partner_of(gain: Gain) -> str:
    """What synthetic images were put on top of first: the best arm without them, but for one with
    labels of a teacher."""
    first = next(arm for arm in gain.arms if arm.synthetic)
    *_, partner = mix_of(first.name)
    return partner


def mix_of(name: str) -> tuple[str, float, Labels, str]:
    """Source, ratio, labels and partner, from the name that `synthetic_arm` gave."""
    found = re.fullmatch(r"(.+) (\S+) (hard|mixed), (.+)", name)
    assert found is not None, name
    source, ratio, labels, partner = found.groups()
    return source, float(ratio), "hard" if labels == "hard" else "mixed", partner


def measured_on(gain: Gain) -> dict[str, Any]:
    """What two measurements have alike if one may stand beside the other."""
    known = {**gain.data, **gain.protocol, "baseline": gain.baseline}
    known |= {"arithmetic": arithmetic_of(gain), "partner": partner_of(gain)}
    return {name: known[name] for name in (*ALIKE, *TOLD)}


def arithmetic_of(gain: Gain) -> str:
    """What its networks multiplied in; all did in bfloat16 before results told it."""
    return str(gain.protocol.get("arithmetic", "bfloat16"))


def expect_arithmetic(study: Experiment, gain: Gain) -> None:
    """End the program where the networks of a study would not multiply as those of a result did:
    what is measured of them could not stand beside it."""
    if study.arithmetic != arithmetic_of(gain):
        raise SystemExit(
            f"{title(gain)}: measured in {arithmetic_of(gain)}, and here networks multiply in "
            f"{study.arithmetic}; to measure alike, set SYNTHAUG_ARITHMETIC={arithmetic_of(gain)}"
        )


def comparable(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two measurements, as `measured_on` tells them, may stand beside each other."""
    told = [name for name in TOLD if name in one and name in other]
    return all(one.get(name) == other.get(name) for name in (*ALIKE, *told))
