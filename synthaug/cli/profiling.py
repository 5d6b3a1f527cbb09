"""What a training spends its time on."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

BEFORE, STEPS = 10, 10  # steps that are let pass, and that are traced
LAST_TRACED = BEFORE + STEPS


@contextmanager
def traced(path: Path | None) -> Iterator[Callable[[], None]]:
    """Write a trace of some steps to `path`; what it gives is to be called after each step."""
    if path is None:
        yield lambda: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Else, where there is no GPU, it says that as an error, and what it does as it does it.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    plan = schedule(wait=BEFORE - 1, warmup=1, active=STEPS, repeat=1)
    gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    with profile(
        activities=[ProfilerActivity.CPU, *gpu],
        schedule=plan,
        on_trace_ready=lambda done: done.export_chrome_trace(str(path)),
    ) as running:
        yield running.step
