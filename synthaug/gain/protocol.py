"""Describe what a measurement compares (`Protocol`), and where it runs (`Execution`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from synthaug.classifiers import TrainConfig
from synthaug.core import InputError, as_count, as_seed, expand_path, expect_number, expect_progress
from synthaug.gain.runs.runner import StageProgress

Search = Literal["quick", "staged", "full"]
SEARCHES: tuple[Search, ...] = get_args(Search)
FEWEST_SEEDS = 2


@dataclass(frozen=True)
class Protocol:
    """The arms to compare, and how often.

    Args:
        search: How widely to search. "quick" tries each source on the best arm without synthetic
            images, at a ratio of 0.25 with hard labels. "staged" then tries the best also on the
            plain classical arm, at a ratio of 0.5, and with mixed labels. "full" tries all
            combinations.
        seeds: Paired repetitions, at least 2. Each changes the subset, the generator, its pool and
            the classifier together. Choices are made on so many seeds from `seed` up; the gain is
            measured on as many after them.
        seed: The first seed.
        precision: Add seeds until the interval's half width is at most so many percentage points,
            by Stein's two-stage rule, up to 60 seeds.
        per_class: Train on so many images per class, drawn anew for each seed; None for all.
        config: Fix the training configuration; None tunes it on validation images.
        policy: Fix its geometry alone.
        steps: Fix the optimiser steps of each arm; None tunes them.
        batch_size: Images in each step of every arm.

    Raises:
        InputError: If a field is out of range or of another type.

    Examples:
        >>> from synthaug.gain import Protocol
        >>> Protocol(seeds=3, per_class=10).search
        'staged'
    """

    search: Search = "staged"
    seeds: int = 5
    seed: int = 0
    precision: float | None = None
    per_class: int | None = None
    config: TrainConfig | None = None
    policy: str | None = None
    steps: int | None = None
    batch_size: int = 64

    def __post_init__(self) -> None:
        if self.search not in SEARCHES:
            raise InputError(f"search: expected one of {', '.join(SEARCHES)}, got {self.search!r}")
        if self.precision is not None:
            expect_number("precision", self.precision)
        if not isinstance(self.config, TrainConfig | None):
            raise InputError(f"config: expected a TrainConfig, got {self.config!r}")
        numbers = {
            "seeds": as_count("seeds", self.seeds, least=FEWEST_SEEDS),
            "seed": as_seed(self.seed),
            "batch_size": as_count("batch_size", self.batch_size),
        }
        for name in ("per_class", "steps"):
            if getattr(self, name) is not None:
                numbers[name] = as_count(name, getattr(self, name))
        for name, value in numbers.items():  # as integers of Python, which JSON can hold
            object.__setattr__(self, name, value)

    @property
    def choice_seeds(self) -> list[int]:
        """The seeds that choices are made on."""
        return list(range(self.seed, self.seed + self.seeds))

    @property
    def fresh_seeds(self) -> list[int]:
        """The seeds after them, that the gain is measured on."""
        return list(range(self.seed + self.seeds, self.seed + 2 * self.seeds))


@dataclass(frozen=True)
class Execution:
    """The device, processes and directory of a measurement.

    Args:
        device: "auto" (a GPU where there is one), "cpu", "cuda:0".
        jobs: Processes side by side, each on one thread.
        cache: A directory for finished runs (one arm, one seed), from which an interrupted
            measurement continues. One that ends well removes what it kept there. None for a
            temporary one.
        keep: Leave the finished runs in `cache`. A later measurement on the same data, with other
            sources or more seeds, then trains only what is new.
        progress: Called with (stage, runs done, runs known so far).

    Raises:
        InputError: If a field is out of range or of another type.

    Examples:
        >>> from synthaug.gain import Execution
        >>> Execution(device="cpu", jobs=2).keep
        False
    """

    device: str = "auto"
    jobs: int = 1
    cache: str | Path | None = None
    keep: bool = False
    progress: StageProgress | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "jobs", as_count("jobs", self.jobs))
        if self.cache is not None:
            object.__setattr__(self, "cache", expand_path(self.cache))
        expect_progress(self.progress)
