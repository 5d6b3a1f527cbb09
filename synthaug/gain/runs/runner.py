"""Train runs side by side, each as soon as the pool that it needs is there."""

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError

from synthaug.classifiers import Scores
from synthaug.core import (
    TrainingError,
    as_count,
    computing_in,
    partial_files_cleanup,
    partial_files_mark,
    plain_torch,
    with_variable,
)
from synthaug.data import LabelledImages
from synthaug.gain.arms import Source, fit_key
from synthaug.gain.runs.experiment import Experiment
from synthaug.gain.runs.pools import has_pool, load_pool, make_pools, pool_directory
from synthaug.gain.runs.run import Run, rows_without_copies, score_run, train_run
from synthaug.generators import Generator, singles
from synthaug.pool import SamplePool

PAUSE = 0.2  # seconds until a process that found nothing ready looks again
TRACKED = "ignore:resource_tracker"  # how those warnings begin, as filters of PYTHONWARNINGS do

StageProgress = Callable[[str, int, int], None]
"""Called with (the heading, runs done, runs known so far)."""


@dataclass(frozen=True)
class Task:
    """The work of one process at a time: `function`, called with the experiment and `arguments`.

    Attributes:
        what: Heading of the progress that is shown.
        makes: A product that other tasks may need; none of them begins before all that it needs is
            made.
    """

    what: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    makes: tuple[object, ...] = ()
    needs: tuple[object, ...] = ()


class Runner:
    """Trainer of runs side by side, each process on one thread; it says how far it is."""

    def __init__(self, experiment: Experiment, jobs: int, progress: StageProgress | None) -> None:
        self._experiment, self._jobs, self._progress = experiment, as_count("jobs", jobs), progress
        self._done_count = self._total_count = 0

    def run(self, runs: Sequence[Run], what: str) -> None:
        """Train the runs, and make the pools that they need and that are not on disk yet."""
        self._total_count += len(runs)
        training_tasks = [Task(what, train_run, (run,), needs=self._needs(run)) for run in runs]
        self._do([*self._fits(runs, what), *training_tasks])

    def score(
        self, runs: Sequence[Run], missing: Sequence[Run], images: LabelledImages, what: str
    ) -> list[Scores]:
        """Score the networks of runs on test images; train those that are missing."""
        self._total_count += len(runs)
        fits, fingerprint = self._fits(missing, what), images.fingerprint
        scoring_tasks = [
            Task(what, score_run, (run, images, fingerprint), needs=self._needs(run))
            for run in runs
        ]
        return self._do([*fits, *scoring_tasks])[len(fits) :]

    def check(self, folds: Sequence[tuple[Source, int, str]], what: str) -> None:
        """Raise `InputError` where a pool has nothing left of a class for one of the folds."""
        self._total_count += len(folds)
        self._do([Task(what, rows_without_copies, fold) for fold in folds])

    def pool(self, run: Run, what: str) -> SamplePool:
        """Return the pool of a run with synthetic images."""
        assert run.arm.source is not None
        self._do(self._fits([run], what))
        return load_pool(self._experiment, run.arm.source, run.seed, run.fold)

    def _needs(self, run: Run) -> tuple[Path, ...]:
        """Return the pool that a run learns from, where a generator makes it."""
        source = run.arm.source
        if source is None or source.generator is None:
            return ()
        return (pool_directory(self._experiment, source, run.seed, run.fold),)

    def _fits(self, runs: Sequence[Run], what: str) -> list[Task]:
        """Return the tasks that make the pools that runs need and that are not on disk yet."""
        fits: dict[tuple[str, int, str], tuple[Generator, dict[Path, Source]]] = {}
        for run in runs:
            source = run.arm.source
            if source is None or source.generator is None:
                continue
            if has_pool(self._experiment, source, run.seed, run.fold):
                continue
            generator = source.generator
            directory = pool_directory(self._experiment, source, run.seed, run.fold)
            for each in (*singles(generator), generator):
                fits.setdefault((fit_key(each), run.seed, run.fold), (each, {}))
            fits[fit_key(generator), run.seed, run.fold][1][directory] = source
        self._total_count += len(fits)
        tasks = []
        for key, (generator, pools) in fits.items():
            _, *place = key
            # What a composite is made of is fitted once, for all that need it.
            folds = tuple(
                (fit_key(each), *place) for each in singles(generator) if each is not generator
            )
            arguments = (generator, list(pools.values()), *place)
            makes = (key, *pools)
            tasks.append(Task(f"{what}: generators", make_pools, arguments, makes, folds))
        return tasks

    def _do(self, tasks: Sequence[Task]) -> list[Any]:
        """Return the results, one a task; show warnings in the order of the tasks, too."""
        if not tasks:
            return []
        self._say(tasks[0].what)
        try:
            return self._results(tasks)
        except TerminatedWorkerError as error:
            raise TrainingError(
                "one of the processes was ended from outside, perhaps because memory ran out; what "
                "the others finished is kept: run the same again to go on, with fewer jobs if so"
            ) from error

    def _results(self, tasks: Sequence[Task]) -> list[Any]:
        results: dict[int, Any] = {}
        variable = os.environ.get("PYTHONWARNINGS")
        missing_products = {each for task in tasks for each in task.makes}
        # One at a time: joblib hands out several where the first ones were quick, as those are that
        # were trained before, and a process then trains those while another has nothing to do.
        pool = joblib.Parallel(
            n_jobs=self._jobs,
            return_as="generator_unordered",
            batch_size=1,
            pre_dispatch="n_jobs",  # what comes next is known when a process is free
        )
        with (
            warnings.catch_warnings(),
            # Of joblib's process that outlives the others: after an interruption it tells of what
            # it clears away, or finds cleared away, and a user can do nothing about that.
            with_variable("PYTHONWARNINGS", ",".join(filter(None, [variable, TRACKED]))),
            # An interruption kills processes, wherever they are.
            partial_files_cleanup(self._experiment.directory) as mark,
            closing(pool(_calls(mark, self._experiment, tasks, missing_products))) as outcomes,
        ):
            # Of tasks that an interruption cancels: they are the next run's.
            warnings.filterwarnings("ignore", message=r"\d+ tasks (have been|which were)")
            # Of a process that joblib replaces, since it has grown by 300 MB since its first task.
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
            warnings_by_task: dict[int, list[tuple[str, type[Warning]]]] = {}
            next_task = 0
            for number, *outcome in filter(None, outcomes):
                results[number], warnings_by_task[number] = outcome
                missing_products.difference_update(tasks[number].makes)
                self._done_count += 1
                open_tasks = (task for other, task in enumerate(tasks) if other not in results)
                self._say(next(open_tasks, tasks[-1]).what)
                while next_task in warnings_by_task:
                    for text, category in warnings_by_task.pop(next_task):
                        warnings.warn(text, category, stacklevel=2)
                    next_task += 1
        return [results[number] for number in range(len(tasks))]

    def _say(self, what: str) -> None:
        if self._progress:
            self._progress(what, self._done_count, self._total_count)


def _calls(
    mark: str, experiment: Experiment, tasks: Sequence[Task], missing_products: set[object]
) -> Iterator[Any]:
    """Yield the ready tasks in order; pause while none is ready."""
    waiting = dict(enumerate(tasks))
    while waiting:
        ready = (
            number for number, task in waiting.items() if missing_products.isdisjoint(task.needs)
        )
        number = next(ready, None)
        if number is None:
            yield joblib.delayed(time.sleep)(PAUSE)
        else:
            yield joblib.delayed(_on_one_thread)(mark, experiment, number, waiting.pop(number))


def _on_one_thread(
    mark: str, experiment: Experiment, number: int, task: Task
) -> tuple[int, Any, list[tuple[str, type[Warning]]]]:
    """Return the task's number, its result and its warnings.

    The calling process shows them, since it alone knows the user's filters.
    """
    # Two thread pools side by side on few cores make everything many times slower; and with one
    # thread a figure does not depend on how many processes or cores there were.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            partial_files_mark(mark),
            computing_in(experiment.arithmetic),  # of a process that an earlier run may have left
            plain_torch(),  # in this process, too, whatever it has set
            warnings.catch_warnings(record=True) as task_warnings,
        ):
            result = task.function(experiment, *task.arguments)
        return number, result, [(str(each.message), each.category) for each in task_warnings]
    finally:
        torch.set_num_threads(threads)
