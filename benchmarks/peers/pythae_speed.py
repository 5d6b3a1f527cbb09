"""Seconds that a step of training takes beside pythae's VAE, both in turn in one run.

    python -m venv peers
    peers/bin/pip install -e . && peers/bin/pip install --no-deps pythae==0.1.2 imageio
    OMP_NUM_THREADS=1 peers/bin/python benchmarks/peers/pythae_speed.py
    python benchmarks/speed/page.py

(`--no-deps` leaves out `dataclasses`, an old copy of what Python has; all else that pythae asks for
comes with synthaug.)

Both train the same layers on the same images, with the same number of images a step and Adam:
`ConditionalVAE(scope="per-class")`, and pythae's VAE with our encoder and decoder, by its training
pipeline, its progress bar off. Once on one class, and once on ten classes: all of ours at once,
pythae's one after another. What differs is the rest of a step: ours rotates, zooms and moves the
images, has SSIM in its loss, limits the gradient and keeps a moving average of the weights;
pythae's goes through a DataLoader and keeps a copy of the best epoch's weights. Ours uses bfloat16
where the processor multiplies it natively; pythae has mixed precision on a GPU only, where it is
timed with and without and the faster one counts.

On a processor seconds are those of the process, so that other work on the machine is not among
them; on a GPU they are those of the clock. Each round gives one ratio; the median is kept, and the
middle half.
"""

import argparse
import json
import logging
import os
import platform
import shlex
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pythae_vae import train_pythae

from synthaug import ConditionalVAE, LabelledImages
from synthaug.core import versions

sys.path.append(str(Path(__file__).parent.parent / "speed"))
from in_turn import (
    AfterStep,
    Paused,
    median_and_quartiles,
    name_of,
    seconds_per_step,
    smooth_images,
)

RESULT = Path(__file__).parent / "pythae_speed.json"
IMAGES, CLASSES = 640, 10
STEPS = 1200  # of a whole training, of which some are timed
WARMUP, STEPS_A_ROUND = 10, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    images = smooth_images(IMAGES, seed=options.seed)
    rows = [
        compare(images, classes, batch_size, device, options)
        for device in (["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
        for classes in (1, CLASSES)
        for batch_size in options.batch_sizes
    ]
    result = {
        "command": shlex.join(["python", "benchmarks/peers/pythae_speed.py", *sys.argv[1:]]),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "seed": options.seed,
        "versions": {**versions(), "pythae": version("pythae")},
        "rows": rows,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n")


def compare(
    images: np.ndarray, classes: int, batch_size: int, device: str, options: argparse.Namespace
) -> dict[str, Any]:
    """A network for each of `classes` classes, as a row of the result."""
    seed = options.seed
    labels = np.arange(classes).repeat(len(images) // classes)
    data = LabelledImages(images, labels, [str(label) for label in range(classes)])
    with tempfile.TemporaryDirectory() as output:

        def pythae(amp: bool) -> list[Paused]:
            apart = [images[labels == label] for label in range(classes)]
            return [
                Paused(device, theirs, own, batch_size, seed, device, amp, output) for own in apart
            ]

        sides = {"synthaug": [Paused(device, ours, data, batch_size, seed, device)]}
        sides["pythae"] = pythae(amp=False)
        if device == "cuda":
            sides["pythae, mixed precision"] = pythae(amp=True)
        seconds = seconds_per_step(sides, WARMUP, options.rounds, STEPS_A_ROUND)
    medians = {name: float(np.median(each)) for name, each in seconds.items()}
    best = min(set(medians) - {"synthaug"}, key=medians.__getitem__)
    row = {
        "device": name_of(device),
        "threads": torch.get_num_threads(),
        "classes": classes,
        "batch_size": batch_size,
        "rounds": options.rounds,
        "steps_a_round": STEPS_A_ROUND,
        "seconds_per_step": medians,
        "peer": best,
        **median_and_quartiles(seconds[best] / seconds["synthaug"]),
    }
    print(json.dumps(row), flush=True)
    return row


def ours(
    after_step: AfterStep, data: LabelledImages, batch_size: int, seed: int, device: str
) -> None:
    generator = ConditionalVAE(steps=STEPS, batch_size=batch_size, scope="per-class")
    generator.fit(data, seed=seed, device=device, progress=lambda done, total: after_step())


def theirs(
    after_step: AfterStep,
    images: np.ndarray,
    batch_size: int,
    seed: int,
    device: str,
    amp: bool,
    output: str,
) -> None:
    logging.disable()
    train_pythae(
        torch.as_tensor(images) / 255,
        steps=STEPS,
        batch_size=batch_size,
        seed=seed,
        device=device,
        output=output,
        amp=amp,
        after_step=after_step,
    )


def processor() -> str:
    """Its name, where the system tells it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
