"""The results in benchmarks/accuracy/results, and what each row of a table is called and marked."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from synthaug import Gain
from synthaug.gain.arms import DISTILLED
from synthaug.gain.tuning import WORTH_DOUBLING

RESULTS = Path(__file__).parent / "results"
WORTH = RESULTS / "worth"


def read_results() -> list[Gain]:
    """Sorted by data set, the smaller subsets first."""
    results = [Gain.load(path) for path in RESULTS.glob("*.json")]
    return sorted(results, key=lambda gain: (name_of(gain), gain.data["train"]))


def name_of(gain: Gain) -> str:
    return Path(str(gain.data["name"])).stem


def images_a_class(gain: Gain) -> str:
    caveats = [c for c in gain.protocol["caveats"] if c.startswith("at most")]
    capped = caveats[0].removeprefix("at most ").split()[0] if caveats else None
    return str(gain.protocol["per_class"] or (capped and f"up to {capped}") or "all")


def file_of(gain: Gain) -> str:
    """What grid.py calls its result."""
    return f"{name_of(gain)}-{images_a_class(gain).removeprefix('up to ')}.json"


def title(gain: Gain) -> str:
    return f"{name_of(gain)}, {images_a_class(gain)} a class"


def anchor(gain: Gain) -> str:
    return title(gain).replace(",", "").replace(" ", "-")


def mark(gain: Gain) -> str:
    """What stands behind the name of a set whose row is to be measured again."""
    if tuned_short(gain):
        return " *"
    taught = any(arm.name.endswith(DISTILLED) for arm in gain.arms)
    found = "" if taught or gain.partner == "classical" else "†"
    found += "‡" * trained_short(gain)
    return f" {found}" if found else ""


def is_sound(gain: Gain) -> bool:
    """Whether the baseline was tuned and trained as the present version would."""
    return not tuned_short(gain) and not trained_short(gain)


def trained_short(gain: Gain) -> bool:
    """Whether the baseline is known to be better after twice the steps."""
    known = worth_of(gain)
    if known is None:
        return False
    longer, now = np.mean(known["longer"]), np.mean(gain.scores(gain.baseline))
    return bool(longer >= now + WORTH_DOUBLING)


def tuned_short(gain: Gain) -> bool:
    """Whether the baseline's recipe was settled at 600 steps, and the gain measured on the seeds
    that choices were made on, before version 0.5.0."""
    return tuple(map(int, gain.synthaug.split("."))) < (0, 5, 0)


def worth_of(gain: Gain) -> dict[str, Any] | None:
    """What worth.py measured for a row, if it is that of its baseline."""
    path = WORTH / file_of(gain)
    found = json.loads(path.read_text()) if path.exists() else None
    if found is None or any(found[name] != value for name, value in measured_on(gain).items()):
        return None
    return dict(found)


def measured_on(gain: Gain) -> dict[str, object]:
    """What two measurements have alike if one may stand beside the other."""
    protocol = gain.protocol
    return {"baseline": gain.baseline, **{k: protocol[k] for k in ("seeds", "steps", "recipe")}}
