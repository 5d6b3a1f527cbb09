"""Cells trained side by side, after the pools that they need."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import joblib
import torch

from synthaug.checks import as_count
from synthaug.classifiers import Scores
from synthaug.devices import computing_in
from synthaug.files import marked, swept
from synthaug.gain.arms import Source, fit_key
from synthaug.gain.trials.cells import Cell, left_of_pool, score_cell, train_cell
from synthaug.gain.trials.pools import has_pool, load_pool, make_pools, pool_directory
from synthaug.gain.trials.study import Study
from synthaug.generators import Generator
from synthaug.generators.composite import Composite, singles
from synthaug.images import LabelledImages
from synthaug.pool import SamplePool

Result = TypeVar("Result")

Stages = Callable[[str, int, int], None]
"""Called with (what is running, cells done, cells known so far)."""


class Runner:
    """Runs cells side by side, each process on one thread, and says how far it is."""

    def __init__(self, study: Study, jobs: int, progress: Stages | None) -> None:
        self._study, self._jobs, self._progress = study, as_count("jobs", jobs), progress
        self._done = self._known = 0

    def run(self, cells: Sequence[Cell], what: str) -> None:
        """Train the cells, after making the pools they need that are not on disk yet."""
        self._known += len(cells)
        self._make_pools(cells, what)
        self._map(train_cell, [(cell,) for cell in cells], what)

    def score(
        self, cells: Sequence[Cell], missing: Sequence[Cell], images: LabelledImages, what: str
    ) -> list[Scores]:
        """How the networks of cells do on these images, one a cell. Those that are `missing`,
        neither kept nor scored before, are trained."""
        self._known += len(cells)
        self._make_pools(missing, what)
        told = images.fingerprint
        return self._map(score_cell, [(cell, images, told) for cell in cells], what)

    def check(self, parts: Sequence[tuple[Source, int, str]], what: str) -> None:
        """Raise `InputError` where a pool has nothing left of a class for one of the parts."""
        self._known += len(parts)
        self._map(left_of_pool, parts, what)

    def pool(self, cell: Cell, what: str) -> SamplePool:
        """The pool of a cell with synthetic images."""
        assert cell.arm.source is not None
        self._make_pools([cell], what)
        return load_pool(self._study, cell.arm.source, cell.seed, cell.part)

    def _make_pools(self, cells: Sequence[Cell], what: str) -> None:
        """Those that the cells need and that are not on disk yet."""
        fits = self._missing_fits(cells)
        self._known += len(fits)
        for composite in (False, True):  # what one is made of comes before it
            if group := [fit for fit in fits if isinstance(fit[0], Composite) == composite]:
                self._map(make_pools, group, f"{what}: generators")

    def _missing_fits(self, cells: Sequence[Cell]) -> list[tuple[Any, ...]]:
        """What `make_pools` is to be called with, for what composites are made of, too."""
        fits: dict[tuple[str, int, str], tuple[Generator, dict[Path, Source]]] = {}
        for cell in cells:
            source = cell.arm.source
            if source is None or source.generator is None:
                continue
            if has_pool(self._study, source, cell.seed, cell.part):
                continue
            made = source.generator
            directory = pool_directory(self._study, source, cell.seed, cell.part)
            for each in (*singles(made), made):
                fits.setdefault((fit_key(each), cell.seed, cell.part), (each, {}))
            fits[fit_key(made), cell.seed, cell.part][1][directory] = source
        return [
            (made, list(pools.values()), seed, part)
            for (_, seed, part), (made, pools) in fits.items()
        ]

    def _map(
        self, function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], what: str
    ) -> list[Result]:
        if not arguments:
            return []
        self._say(what)
        made = []
        # One at a time: joblib hands out several where the first ones were quick, as those are that
        # were trained before, and a process then trains those while another has nothing to do.
        pool = joblib.Parallel(n_jobs=self._jobs, return_as="generator", batch_size=1)
        with (
            warnings.catch_warnings(),
            # An interruption kills processes, wherever they are.
            swept(self._study.directory) as mark,
            closing(pool(_tasks(mark, function, self._study, arguments))) as results,
        ):
            # Of tasks that an interruption cancels: they are the next run's.
            warnings.filterwarnings("ignore", message=r"\d+ tasks (have been|which were)")
            # Of a process that joblib replaces, since it has grown by 300 MB since its first task.
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
            for result, warned in results:
                made.append(result)
                for text, category in warned:
                    warnings.warn(text, category, stacklevel=2)
                self._done += 1
                self._say(what)
        return made

    def _say(self, what: str) -> None:
        if self._progress:
            self._progress(what, self._done, self._known)


def _tasks(
    mark: str, function: Callable[..., Any], study: Study, arguments: Sequence[tuple[Any, ...]]
) -> Iterator[Any]:
    return (joblib.delayed(_on_one_thread)(mark, function, study, *each) for each in arguments)


def _on_one_thread(
    mark: str, function: Callable[..., Result], study: Study, *arguments: Any
) -> tuple[Result, list[tuple[str, type[Warning]]]]:
    """The function's result and its warnings, to be shown by the calling process, which alone knows
    the user's filters."""
    # Two thread pools side by side on few cores make everything many times slower; and with one
    # thread a figure does not depend on how many processes or cores there were.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            marked(mark),
            computing_in(study.arithmetic),  # of a process that an earlier run may have left
            warnings.catch_warnings(record=True) as warned,
        ):
            result = function(study, *arguments)
        return result, [(str(each.message), each.category) for each in warned]
    finally:
        torch.set_num_threads(threads)
