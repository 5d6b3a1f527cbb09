"""What all tests share."""

import multiprocessing
import os
from collections.abc import Iterator

import pytest
import torch
from joblib.externals.loky.backend.context import set_start_method
from pretended_gpu import pretended_gpu
from tiny_network import Tiny

import synthaug.classifiers.networks as networks

# One thread a process, here and in those that tests start, as `gain` trains: networks then agree to
# the last bit, and workers side by side do not spin for each other's cores.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# Workers that are started anew, by "forkserver", are forks of a process that has imported this,
# which takes seconds; they are sent what those of "spawn" are.
multiprocessing.set_forkserver_preload(["synthaug"])
set_start_method("forkserver")  # of joblib

collect_ignore_glob = [
    "*conftest.py",  # for doctests, under a name that several folders have
    "*write_files.py",  # code of an older version
]


@pytest.fixture
def gpu() -> Iterator[str]:
    """The name of a GPU: of the one that is there, or of one that is pretended."""
    if torch.cuda.is_available():
        yield "cuda"
    else:
        with pretended_gpu():
            yield "cuda"


@pytest.fixture
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that does not ask how good its classifiers are."""
    monkeypatch.setattr(networks, "SmallResNet", Tiny)


@pytest.fixture(scope="module")
def tiny_networks() -> Iterator[None]:
    """For tests that train hundreds of classifiers and do not ask how good these are: "resnet" is a
    smaller network, in this process though in no other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "SmallResNet", Tiny)
        yield
