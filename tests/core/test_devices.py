"""Which device a name means, and what torch does there."""

import threading
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from synthaug.core import (
    InputError,
    Team,
    arithmetic,
    devices,
    mixed_precision,
    plain_torch,
    resolve_device,
)
from synthaug.core.devices import as_native


@pytest.mark.parametrize("device", ["abacus", "cuda:x", "", "meta", "mps", "cpu:3"])
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
    monkeypatch.setattr(devices, "processor_multiplies_bfloat16", lambda: native)
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


def products(images: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    """Of a convolution and of matrices, and their gradients."""
    images, weights = (each.detach().requires_grad_() for each in (images, weights))
    convolved = torch.nn.functional.conv2d(images, weights, padding=1)
    rows = convolved.flatten(1)
    made = [convolved, rows @ rows.T, torch.addmm(rows[:, :3], rows, rows.T @ rows[:, :3])]
    for each in (convolved, rows @ rows.T):
        made += torch.autograd.grad(each, (images, weights), each.detach(), retain_graph=True)
    return [each.detach() for each in made]


class Convolutions(TorchDispatchMode):
    """Kinds of number that those within it were in."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "convolution" in str(func):
            self.kinds |= {each.dtype for each in args if isinstance(each, torch.Tensor)}
        return func(*args, **kwargs or {})


@pytest.mark.parametrize("native", [True, False])
def test_what_has_no_instructions_for_bfloat16_multiplies_as_if_it_had(monkeypatch, native):
    monkeypatch.setattr(devices, "processor_multiplies_bfloat16", lambda: native)
    monkeypatch.setenv("SYNTHAUG_ARITHMETIC", "bfloat16")
    here, generator = torch.device("cpu"), torch.Generator().manual_seed(0)
    images = torch.randn(3, 4, 7, 6, generator=generator).bfloat16()
    weights = torch.randn(5, 4, 3, 3, generator=generator).bfloat16()
    by_torch = products(images, weights)
    with Convolutions() as done, as_native(here):
        ours = products(images, weights)
    assert done.kinds == {torch.bfloat16 if native else torch.float32}
    exact = torch.nn.functional.conv2d(images.float(), weights.float(), padding=1)
    if not native:
        assert torch.equal(ours[0], exact.bfloat16())
    for made, other in zip(ours, by_torch, strict=True):
        assert made.dtype == torch.bfloat16
        # What one has rounded up and the other down is multiplied further: a few last bits.
        assert (made - other).abs().max() <= 0.02 * other.abs().max()


def test_it_does_so_in_inference_mode_too(monkeypatch):
    """Where torch hands over a layer whole, in place of the products that it is made of."""
    monkeypatch.setattr(devices, "processor_multiplies_bfloat16", lambda: False)
    monkeypatch.setenv("SYNTHAUG_ARITHMETIC", "bfloat16")
    here, generator = torch.device("cpu"), torch.Generator().manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(4, 5, 3, padding=1),
        torch.nn.BatchNorm2d(5),
        torch.nn.ConvTranspose2d(5, 3, 2),
        torch.nn.Flatten(),
        torch.nn.Linear(3 * 8 * 7, 2),
    ).eval()
    images = torch.randn(3, 4, 7, 6, generator=generator)
    with torch.no_grad(), mixed_precision(here):
        expected = layers(images)
    with torch.inference_mode(), Convolutions() as done, mixed_precision(here):
        made = layers(images)
    assert done.kinds == {torch.float32}
    assert made.dtype == torch.bfloat16 and torch.equal(made, expected)


def test_float32_stays_what_it_is_within_bfloat16(monkeypatch):
    monkeypatch.setattr(devices, "processor_multiplies_bfloat16", lambda: False)
    monkeypatch.setenv("SYNTHAUG_ARITHMETIC", "bfloat16")
    weights = torch.full((1, 1), 1 + 2**-10)  # no number of bfloat16
    with as_native(torch.device("cpu")):
        assert torch.equal(torch.ones(1, 1) @ weights, weights)


def test_a_gpu_convolves_in_one_way_while_ours_is_trained(monkeypatch):
    """What looks for the fastest way, or adds in any order, ends elsewhere each time."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    with pytest.raises(KeyError), plain_torch():
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
        raise KeyError
    assert torch.backends.cudnn.benchmark and not torch.backends.cudnn.deterministic


def rounded():
    """What a processor makes of numbers that 8 bits cannot hold: 1 where it rounds them."""
    rows = torch.full((64, 64), 1 + 2**-12)
    return {float(each) for each in (rows @ rows / 64).flatten()}


@pytest.mark.parametrize("ask", ["medium", "by its newer names"])
def test_products_are_exact_whatever_the_caller_asked_for(ask):
    newer = torch.backends.mkldnn.matmul
    exact, before = rounded(), torch.get_float32_matmul_precision()
    try:
        if ask == "medium":
            torch.set_float32_matmul_precision(ask)
        else:
            newer.fp32_precision = "bf16"
        asked = newer.fp32_precision
        with pytest.raises(KeyError), plain_torch():
            assert newer.fp32_precision == "ieee"
            assert rounded() == exact
            raise KeyError
        assert newer.fp32_precision == asked == "bf16"
    finally:
        newer.fp32_precision = "none"
        torch.set_float32_matmul_precision(before)
    assert rounded() == exact


def test_one_thread_at_a_time_has_torch_as_it_starts():
    """Each would put back what the other set, and draw from what the other seeded."""
    seen, inside = [], threading.Event()

    def other():
        with plain_torch():
            seen.append(inside.is_set())

    thread = threading.Thread(target=other)
    torch.set_default_dtype(torch.float64)
    try:
        with plain_torch():
            thread.start()
            with plain_torch():  # once more in the same thread
                assert torch.get_default_dtype() == torch.float32
            thread.join(0.2)
            assert not seen
            inside.set()
        thread.join()
        assert seen == [True] and torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
