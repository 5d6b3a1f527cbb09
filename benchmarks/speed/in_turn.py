"""Trainings that take turns of some steps each, so that whatever else the machine does meets all of
them alike, and what a step of each costs.

Each has a process of its own: in one process they would share the memory that is at hand, and with
it the cost of asking for more. On a processor seconds are those of that process
(`time.process_time`), which others do not add to; on a GPU those of the clock, after all that was
launched is done.
"""

import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

AfterStep = Callable[[], None]


class Paused:
    """A training that goes on for some steps and waits.

    train: called with a function to call after each step, then `arguments`; found by its name in
        another process.
    """

    def __init__(self, device: str, train: Callable[..., object], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_go_on, args=(theirs, device, train, arguments), daemon=True
        )
        self._process.start()
        theirs.close()

    def advance(self, steps: int) -> float:
        """The seconds that `steps` more steps take."""
        self._connection.send(steps)
        seconds: float = self._connection.recv()  # EOFError where the training has ended
        return seconds

    def stop(self) -> None:
        self._connection.close()
        self._process.join()


def _go_on(
    connection: Connection, device: str, train: Callable[..., object], arguments: Sequence[Any]
) -> None:
    left, start = connection.recv(), _now(device)

    def after_step() -> None:
        nonlocal left, start
        left -= 1
        if not left:
            connection.send(_now(device) - start)
            left, start = connection.recv(), _now(device)

    with suppress(EOFError):  # `stop`
        train(after_step, *arguments)


def _now(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds_per_step(
    sides: Mapping[str, Sequence[Paused]], warmup: int, rounds: int, steps: int
) -> dict[str, np.ndarray]:
    """For each side, a step of all its trainings: seconds in each of `rounds`, in which each side
    does `steps` steps of one training after another. Every round begins with another side. Before
    them come `warmup` steps of each. The trainings are stopped then.
    """
    names = list(sides)
    for side in sides.values():
        for training in side:
            training.advance(warmup)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(sum(each.advance(steps) for each in sides[name]) / steps)
    for side in sides.values():
        for training in side:
            training.stop()
    return {name: np.array(values) for name, values in found.items()}


def median_and_quartiles(ratios: np.ndarray) -> dict[str, object]:
    return {
        "ratio": float(np.median(ratios)),
        "quartiles": [float(value) for value in np.quantile(ratios, (0.25, 0.75))],
    }


def name_of(device: str) -> str:
    """Return the name of the device."""
    return "CPU" if device == "cpu" else torch.cuda.get_device_name()


def smooth_images(count: int, seed: int = 0) -> np.ndarray:
    """Random images without sharp edges, uint8 (count, 1, 28, 28)."""
    coarse = torch.rand(count, 1, 7, 7, generator=torch.Generator().manual_seed(seed))
    fine = F.interpolate(coarse, (28, 28), mode="bicubic", align_corners=False).clamp(0, 1)
    return (fine * 255).byte().numpy()
