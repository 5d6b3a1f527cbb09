"""Which device a name means, and what torch does there."""

import pytest
import torch

from synthaug import devices
from synthaug.devices import arithmetic, mixed_precision, plain_torch, resolve_device
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


@pytest.mark.parametrize(
    ("machine", "native", "emulated", "expected"),
    [
        ("x86_64", True, True, True),
        ("AMD64", False, True, False),  # AVX-512 without instructions for it
        ("aarch64", False, True, True),
        ("arm64", False, False, False),
    ],
)
def test_bfloat16_is_for_processors_that_multiply_it(
    monkeypatch, machine, native, emulated, expected
):
    monkeypatch.delenv("SYNTHAUG_ARITHMETIC", raising=False)
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: emulated)
    with mixed_precision(torch.device("cpu")):
        assert torch.is_autocast_enabled("cpu") == expected
    assert not torch.is_autocast_enabled("cpu")
    assert arithmetic(torch.device("cpu")) == ("bfloat16" if expected else "float32")


@pytest.mark.parametrize("native", [True, False])
def test_the_environment_may_name_another_arithmetic(monkeypatch, native):
    monkeypatch.setattr(devices, "_processor_multiplies_bfloat16", lambda: native)
    here, weights = torch.device("cpu"), torch.full((1, 1), 1 + 2**-10)  # no number of bfloat16
    for asked, product in (("bfloat16", 1.0), ("float32", 1 + 2**-10)):
        monkeypatch.setenv("SYNTHAUG_ARITHMETIC", asked)
        assert arithmetic(here) == asked
        with mixed_precision(here):
            assert torch.nn.functional.linear(torch.ones(1, 1), weights).item() == product
    monkeypatch.setenv("SYNTHAUG_ARITHMETIC", "")
    assert arithmetic(here) == ("bfloat16" if native else "float32")
    monkeypatch.setenv("SYNTHAUG_ARITHMETIC", "half")
    with pytest.raises(InputError, match="SYNTHAUG_ARITHMETIC: expected one of bfloat16, float32"):
        arithmetic(here)


def test_a_gpu_convolves_in_one_way_while_ours_is_trained(monkeypatch):
    """What looks for the fastest way, or adds in any order, ends elsewhere each time."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    with pytest.raises(KeyError), plain_torch():
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
        raise KeyError
    assert torch.backends.cudnn.benchmark and not torch.backends.cudnn.deterministic
