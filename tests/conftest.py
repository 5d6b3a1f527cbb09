"""What all tests share."""

import multiprocessing
import os
from collections.abc import Iterator

import pytest
import torch
from pretended_gpu import pretended_gpu

# One thread a process, here and in those that tests start, as `gain` trains: networks then agree to
# the last bit, and workers side by side do not spin for each other's cores.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# Workers that are started anew, by "forkserver", are forks of a process that has imported this,
# which takes seconds; they are sent what those of "spawn" are.
multiprocessing.set_forkserver_preload(["synthaug"])

collect_ignore = ["conftest.py"]  # for doctests, under a name that those in folders have, too


@pytest.fixture
def gpu() -> Iterator[str]:
    """The name of a GPU: of the one that is there, or of one that is pretended."""
    if torch.cuda.is_available():
        yield "cuda"
    else:
        with pretended_gpu():
            yield "cuda"
