"""Writes docs/speed.md from benchmarks/speed/mixing.json.

python benchmarks/speed/page.py
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RESULT = ROOT / "benchmarks" / "speed" / "mixing.json"
PAGE = ROOT / "docs" / "speed.md"
TEXT = """\
# What mixing costs

Ratios of speeds, each the median over pairs of rounds that were timed in turn in one run; in
brackets the middle half of the pairs. Above 1 is faster than what it is compared with.

`MixedDataset` at a ratio of 0.5, against the same Dataset without it: images in memory as
torchvision's CIFAR10 has them, random crop, flip, float tensors, batches of 64.

| image | workers | speed beside the Dataset alone |
|---|---|---|
{datasets}

`MixSynthetic` on a batch of 128 float images of 3x64x64, against `v2.CutMix` on the same batch.
Both make a new batch, and how long that takes depends on the memory that is at hand: so they are
timed in turn, as in a training where other work comes between, and in two tight loops one after the
other, where CutMix finds its own memory again.

| threads | share of synthetic images | timed | milliseconds | speed beside CutMix |
|---|---|---|---|---|
{batches}

{machine}

```sh
{command}
python benchmarks/speed/page.py
```
"""


def page(result: dict[str, Any]) -> str:
    machine = result["machine_info"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return TEXT.format(
        datasets="\n".join(_rows(result, "MixedDataset", "{side}x{side} | {workers}")),
        batches="\n".join(
            _rows(
                result,
                "MixSynthetic",
                "{threads} | {ratio_of_synthetic} | {order} | {milliseconds:.2f}",
            )
        ),
        machine=f"{machine['cpu']}, {machine['cores']} cores; {versions}.",
        command=result["command"],
    )


def _rows(result: dict[str, Any], what: str, form: str) -> list[str]:
    rows = []
    for each in result["benchmarks"]:
        if each["what"] == what:
            low, high = each["quartiles"]
            facts = form.format(**each, milliseconds=1000 * each["with_seconds"])
            rows.append(f"| {facts} | {each['ratio']:.2f} ({low:.2f} to {high:.2f}) |")
    return rows


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULT.read_text())))
