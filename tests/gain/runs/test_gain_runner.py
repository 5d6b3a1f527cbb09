"""Work that is done side by side."""

import os
import signal
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib.externals.loky.process_executor as executor
import pytest
import torch

from synthaug.core import InputError, TrainingError, arithmetic
from synthaug.core.devices import ASKED, KINDS
from synthaug.gain.runs.runner import Runner, Task
from synthaug.generators.learning.watching import CollapseWarning

TASKS = 5


def grow(experiment: Any, step: int) -> tuple[int, int]:
    """What joblib takes for a process that has grown too large, in place of 300 MB."""
    executor._MAX_MEMORY_LEAK_SIZE, executor._MEMORY_LEAK_CHECK_DELAY = -1, 0
    return step, os.getpid()


@pytest.fixture
def experiment(tmp_path: Path) -> Any:
    """What a runner asks of one: where its tasks write, and what they multiply in."""
    return SimpleNamespace(directory=tmp_path, arithmetic="float32")


def test_a_process_that_grows_is_replaced_without_a_word(
    recwarn: pytest.WarningsRecorder, experiment: Any
) -> None:
    said: list[tuple[str, int, int]] = []
    runner = Runner(experiment, 2, lambda *now: said.append(now))
    done = runner._do([Task("growing", grow, (step,)) for step in range(TASKS)])
    assert [step for step, _ in done] == list(range(TASKS))
    assert len({process for _, process in done}) > 2
    assert said[-1] == ("growing", TASKS, 0)
    assert not recwarn.list


def multiply(experiment: Any) -> str:
    return arithmetic(torch.device("cpu"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_of_an_earlier_run_multiply_as_this_one_does(
    jobs: int, experiment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle ones are taken again, and know the environment that they were started in."""
    for kind in KINDS:
        monkeypatch.setenv(ASKED, "float32" if kind == "bfloat16" else "bfloat16")
        experiment.arithmetic = kind
        tasks = [Task("multiplying", multiply, ())] * 2
        assert Runner(experiment, jobs, None)._do(tasks) == [kind] * 2


def end(experiment: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_ended_from_outside_is_told(experiment: Any) -> None:
    """As by a system whose memory ran out."""
    with pytest.raises(TrainingError, match=r"ended from outside.*run the same again to go on"):
        Runner(experiment, 2, None)._do([Task("ending", end, ()), Task("going on", multiply, ())])
    # The next one has processes again.
    assert (
        Runner(experiment, 2, None)._do([Task("multiplying", multiply, ())] * 2) == ["float32"] * 2
    )


def warn(experiment: Any, step: int) -> int:
    warnings.warn(f"step {step}", CollapseWarning, stacklevel=1)
    return step


@pytest.mark.parametrize("jobs", [1, 2])
def test_warnings_are_those_of_the_process_that_asked(jobs: int, experiment: Any) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        tasks = [Task("warning", warn, (step,)) for step in range(2)]
        assert Runner(experiment, jobs, None)._do(tasks) == [0, 1]
    assert [(str(each.message), each.category) for each in warned] == [
        ("step 0", CollapseWarning),
        ("step 1", CollapseWarning),
    ]


def make(experiment: Any, made: str, *there: str) -> list[bool]:
    """A file, and whether others were there before it."""
    found = [(experiment.directory / other).exists() for other in there]
    (experiment.directory / made).touch()
    return found


def make_after(experiment: Any, made: str, other: str) -> list[bool]:
    """A file, once another one is there that some other process makes."""
    began = time.monotonic()
    while not (experiment.directory / other).exists():
        assert time.monotonic() - began < 60, f"nothing made {other}"
        time.sleep(0.01)
    return make(experiment, made)


def test_a_task_begins_as_soon_as_what_it_needs_is_made(
    recwarn: pytest.WarningsRecorder, experiment: Any
) -> None:
    """The slow fit ends after the training that needs the quick one; with a wait for all fits it
    would never end."""
    said: list[tuple[str, int, int]] = []
    tasks = [
        Task("fits", make_after, ("slow", "trained"), makes=("slow",)),
        Task("fits", make, ("quick",), makes=("quick",)),
        Task("fits", make, ("both", "slow", "quick"), makes=("both",), needs=("slow", "quick")),
        Task("trainings", make, ("last", "both"), needs=("both",)),
        Task("trainings", make, ("trained", "quick"), needs=("quick",)),
    ]
    done = Runner(experiment, 2, lambda *now: said.append(now))._do(tasks)
    assert done == [[], [], [True, True], [True], [True]]
    assert [count for _, count, _ in said] == list(range(len(tasks) + 1))
    assert [what for what, _, _ in said] == [*["fits"] * 4, *["trainings"] * 2]
    assert not recwarn.list


def test_what_others_need_comes_first_with_one_process(experiment: Any) -> None:
    tasks = [
        Task("trainings", make, ("trained", "fitted"), needs=("fit",)),
        Task("fits", make, ("fitted",), makes=("fit",)),
    ]
    assert Runner(experiment, 1, None)._do(tasks) == [[True], []]


def fail(experiment: Any) -> None:
    raise InputError("nothing to fit")


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_needs_a_task_that_fails_is_never_begun(jobs: int, experiment: Any) -> None:
    tasks = [
        Task("fits", fail, (), makes=("fit",)),
        Task("trainings", make, ("trained",), needs=("fit",)),
    ]
    with pytest.raises(InputError, match="nothing to fit"):
        Runner(experiment, jobs, None)._do(tasks)
    assert not (experiment.directory / "trained").exists()
