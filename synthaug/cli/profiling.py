"""Trace what a training spends its time on."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

SKIPPED_STEPS, STEPS = 10, 10  # steps before the trace, and in it
LAST_STEP = SKIPPED_STEPS + STEPS


@contextmanager
def trace(path: Path | None) -> Iterator[Callable[[], None]]:
    """Write a trace of some steps to `path`; yield a function to call after each step."""
    if path is None:
        yield lambda: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Otherwise the profiler prints an error where there is no GPU, and a line at each stage.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    plan = schedule(wait=SKIPPED_STEPS - 1, warmup=1, active=STEPS, repeat=1)
    gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    with profile(
        activities=[ProfilerActivity.CPU, *gpu],
        schedule=plan,
        on_trace_ready=lambda profiler: profiler.export_chrome_trace(str(path)),
    ) as profiler:
        yield profiler.step
