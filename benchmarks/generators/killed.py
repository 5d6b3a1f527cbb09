"""Kills a training at random moments and lets it go on, until it ends: the weights are those of a
run that nobody disturbed, bit for bit, on a CPU.

    python benchmarks/generators/killed.py --times 20 --seed 0

Each round starts `synthaug fit digits`, waits for a random while, sends SIGKILL and starts the same
command again, which goes on from its checkpoint.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

FIT = ("-m", "synthaug", "fit", "digits", "--device", "cpu", "--quiet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=25, help="seconds until a kill")
    parser.add_argument("--generator", default="vae")
    parser.add_argument("--scope", default="shared")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3000)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    words = [
        *("--generator", options.generator, "--scope", options.scope),
        *("--steps", str(options.steps), "--per-class", str(options.per_class)),
    ]
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        subprocess.run([sys.executable, *FIT, *words, "-o", folder / "whole"], check=True)
        kills, resumed = 0, 0
        while not (folder / "made").exists():
            process = subprocess.Popen([sys.executable, *FIT, *words, "-o", folder / "made"])
            if kills < options.times:
                try:
                    process.wait(chance.uniform(0, options.longest))
                except subprocess.TimeoutExpired:
                    os.kill(process.pid, signal.SIGKILL)
                    kills += 1
                    resumed += (folder / "made.checkpoint").exists()
            assert process.wait() in (0, -signal.SIGKILL)
        whole, made = (
            load_file(folder / name / "weights.safetensors") for name in ("whole", "made")
        )
        same = whole.keys() == made.keys() and all(torch.equal(whole[k], made[k]) for k in whole)
        print(f"killed {kills} times, {resumed} with a checkpoint; the same weights: {same}")
        sys.exit(not same)


if __name__ == "__main__":
    main()
