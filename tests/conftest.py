"""What all tests share."""

import multiprocessing
import os
from collections.abc import Iterator

import pytest
import torch
from pretended_gpu import pretended_gpu
from torch import nn

import synthaug.classifiers.networks as networks

# One thread a process, here and in those that tests start, as `gain` trains: networks then agree to
# the last bit, and workers side by side do not spin for each other's cores.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# Workers that are started anew, by "forkserver", are forks of a process that has imported this,
# which takes seconds; they are sent what those of "spawn" are.
multiprocessing.set_forkserver_preload(["synthaug"])

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


class Tiny(networks.SmallResNet):
    """One convolution in place of all blocks."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        nn.Module.__init__(self)
        layers = nn.Conv2d(image_shape[0], 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(32, classes)


@pytest.fixture(scope="module")
def tiny_networks() -> Iterator[None]:
    """For tests that train hundreds of classifiers and do not ask how good these are: "resnet" is a
    smaller network, in this process though in no other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "SmallResNet", Tiny)
        yield
