"""Work that is done side by side."""

import os
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib.externals.loky.process_executor as executor
import pytest
import torch

from synthaug.devices import ASKED, KINDS, arithmetic
from synthaug.gain.trials.runner import Runner
from synthaug.generators.learning.watching import CollapseWarning

TASKS = 5


def grow(study: Any, step: int) -> tuple[int, int]:
    """What joblib takes for a process that has grown too large, in place of 300 MB."""
    executor._MAX_MEMORY_LEAK_SIZE, executor._MEMORY_LEAK_CHECK_DELAY = -1, 0
    return step, os.getpid()


@pytest.fixture
def study(tmp_path: Path) -> Any:
    """What a runner asks of one: where its tasks write, and what they multiply in."""
    return SimpleNamespace(directory=tmp_path, arithmetic="float32")


def test_a_process_that_grows_is_replaced_without_a_word(
    recwarn: pytest.WarningsRecorder, study: Any
) -> None:
    said: list[tuple[str, int, int]] = []
    runner = Runner(study, 2, lambda *now: said.append(now))
    done = runner._map(grow, [(step,) for step in range(TASKS)], "growing")
    assert [step for step, _ in done] == list(range(TASKS))
    assert len({process for _, process in done}) > 2
    assert said[-1] == ("growing", TASKS, 0)
    assert not recwarn.list


def multiply(study: Any) -> str:
    return arithmetic(torch.device("cpu"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes_of_an_earlier_run_multiply_as_this_one_does(
    jobs: int, study: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle ones are taken again, and know the environment that they were started in."""
    for kind in KINDS:
        monkeypatch.setenv(ASKED, "float32" if kind == "bfloat16" else "bfloat16")
        study.arithmetic = kind
        assert Runner(study, jobs, None)._map(multiply, [(), ()], "multiplying") == [kind] * 2


def warn(study: Any, step: int) -> int:
    warnings.warn(f"step {step}", CollapseWarning, stacklevel=1)
    return step


@pytest.mark.parametrize("jobs", [1, 2])
def test_warnings_are_those_of_the_process_that_asked(jobs: int, study: Any) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert Runner(study, jobs, None)._map(warn, [(0,), (1,)], "warning") == [0, 1]
    assert [(str(each.message), each.category) for each in warned] == [
        ("step 0", CollapseWarning),
        ("step 1", CollapseWarning),
    ]
