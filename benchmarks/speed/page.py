"""Writes docs/speed.md from benchmarks/speed/mixing.json, training.json and
benchmarks/peers/pythae_speed.json.

python benchmarks/speed/page.py
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BENCHMARKS = ROOT / "benchmarks"
FILES = {
    "mixing": BENCHMARKS / "speed" / "mixing.json",
    "training": BENCHMARKS / "speed" / "training.json",
    "pythae": BENCHMARKS / "peers" / "pythae_speed.json",
}
PAGE = ROOT / "docs" / "speed.md"
TEXT = """\
# Speed

Ratios, each the median over rounds that were timed in turn in one run; in brackets the middle half
of the rounds.

## What mixing costs

Above 1 is faster than what it is compared with.

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

{mixing_machine}

```sh
{mixing_command}
python benchmarks/speed/page.py
```

## Training generators

Images of 1x28x28, the families' default networks. Milliseconds are those of one step of all
networks named: CPU time of the process; on a GPU, wall time. {gpu}

Ten classes, 50 images each: one network a class, all trained together (`scope="per-class"`),
against ten trainings of one class, one after another.

| family | batch size | device | threads | together, ms | apart, ms | speed beside apart |
|---|---|---|---|---|---|---|
{together}

One `ConditionalVAE` of one class against a loop written by hand: the same network, random images,
movement of them, loss and Adam with its defaults, in float32 and in bfloat16, and nothing else: no
moving average, limit of the gradient, schedule, check of the loss or seeds of its own. It is
written as one would write it: SSIM by pooling, weights as torch lays them out, Adam not fused.
Time is beside the faster of the two: 1.05 is 5 % more.

| batch size | device | threads | ours, ms | float32, ms | bfloat16, ms | time beside it |
|---|---|---|---|---|---|---|
{by_hand}

{training_machine}

```sh
{training_command}
python benchmarks/speed/page.py
```

`ConditionalVAE(scope="per-class")` against the VAE of pythae {pythae_version} with the same layers,
on 640 images: of one class, and of ten, ours together and pythae's one after another. What else
differs in a step stands at the head of the script, and how to install pythae, which is no
dependency of ours.

| classes | batch size | device | threads | ours, ms | pythae, ms | speed beside pythae |
|---|---|---|---|---|---|---|
{pythae}

{pythae_machine}

```sh
{pythae_command}
python benchmarks/speed/page.py
```
"""


def read_results() -> dict[str, Any]:
    return {name: json.loads(path.read_text()) for name, path in FILES.items()}


def page(results: dict[str, Any]) -> str:
    mixing, training, pythae = (results[name] for name in FILES)
    trained = training["benchmarks"]
    gpus = sorted({each["device"] for each in trained} - {"CPU"})
    return TEXT.format(
        datasets=_rows(_of(mixing, "MixedDataset"), "{side}x{side} | {workers}"),
        batches=_rows(
            _of(mixing, "MixSynthetic"),
            "{threads} | {ratio_of_synthetic} | {order} | {milliseconds:.2f}",
        ),
        mixing_machine=_machine(mixing["machine_info"]),
        mixing_command=mixing["command"],
        gpu=f"The GPU was {', '.join(gpus)}." if gpus else "Not measured on a GPU.",
        together=_rows(
            _of(training, "together"),
            "`{family}` | {batch_size} | {device} | {threads} | {together:.1f} | {apart:.1f}",
        ),
        by_hand=_rows(
            _of(training, "by hand"),
            "{batch_size} | {device} | {threads} | {generator:.1f} | {float32:.1f} | "
            "{bfloat16:.1f}",
        ),
        training_machine=_machine(training["machine_info"]),
        training_command=f"OMP_NUM_THREADS={trained[0]['threads']} {training['command']}",
        pythae_version=pythae["versions"]["pythae"],
        pythae=_rows(
            pythae["rows"],
            "{classes} | {batch_size} | {device} | {threads} | {synthaug:.1f} | {theirs:.1f}",
        ),
        pythae_machine=_machine(pythae),
        pythae_command=f"OMP_NUM_THREADS={pythae['rows'][0]['threads']} {pythae['command']}",
    )


def _machine(facts: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return f"{facts['cpu']}, {facts['cores']} cores; {versions}."


def _of(result: dict[str, Any], what: str) -> list[dict[str, Any]]:
    return [each for each in result["benchmarks"] if each["what"] == what]


def _rows(measured: Iterable[dict[str, Any]], form: str) -> str:
    return "\n".join(
        f"| {form.format(**each, **_milliseconds(each))} | {_ratio(each)} |" for each in measured
    )


def _milliseconds(measured: dict[str, Any]) -> dict[str, float]:
    seconds = dict(measured.get("seconds_per_step", {}))
    if "with_seconds" in measured:
        seconds["milliseconds"] = measured["with_seconds"]
    if "peer" in measured:
        seconds["theirs"] = seconds[measured["peer"]]
    return {name: 1000 * value for name, value in seconds.items()}


def _ratio(measured: dict[str, Any]) -> str:
    low, high = measured["quartiles"]
    return f"{measured['ratio']:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    PAGE.write_text(page(read_results()))
