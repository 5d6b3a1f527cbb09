"""Which device a name means."""

import pytest
import torch

from synthaug import devices
from synthaug.devices import resolve_device
from synthaug.distributed import Team
from synthaug.errors import InputError


@pytest.mark.parametrize("device", ["abacus", "cuda:x", "", "meta", "mps"])
def test_unknown_device(device):
    with pytest.raises(InputError, match="device: expected auto, cpu, cuda or cuda:N"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_device_that_is_not_there():
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(InputError, match="sees no CUDA device"):
        resolve_device("cuda")


@pytest.mark.parametrize(
    ("count", "local", "expected"), [(4, 3, "cuda:3"), (4, 0, "cuda:0"), (1, 3, "cuda")]
)
def test_auto_is_the_gpu_of_a_process_or_the_one_that_it_is_shown(
    monkeypatch, count, local, expected
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(devices, "current", lambda: Team(local, 4, local))
    assert resolve_device("auto") == torch.device(expected)


def test_a_gpu_beyond_the_last(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="'cuda:2' was asked for, but torch sees 2 CUDA devices"):
        resolve_device("cuda:2")
