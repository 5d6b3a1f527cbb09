"""Choose the device that networks run on, and make them fast there."""

import os
import platform
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from synthaug.core.distributed import current
from synthaug.core.errors import InputError
from synthaug.core.seeding import on_processor

Network = TypeVar("Network", bound=nn.Module)

ASKED = "SYNTHAUG_ARITHMETIC"  # in the environment, which all processes of a run share
KINDS = ("bfloat16", "float32")
PROCESSOR = torch.device("cpu"), torch.device("cpu:0")

_ONE_THREAD = threading.RLock()


def resolve_device(device: str) -> torch.device:
    """Return the device of a name: for `"auto"` the GPU where there is one."""
    if device == "auto" and torch.cuda.is_available():
        ours = current()
        # A launcher may show each process one GPU, which is its first, whatever its number is.
        has_own_gpu = ours.size > 1 and ours.local < torch.cuda.device_count()
        return torch.device("cuda", ours.local) if has_own_gpu else torch.device("cuda")
    if device == "auto":
        return torch.device("cpu")
    resolved = None
    with suppress(RuntimeError, TypeError):
        resolved = torch.device(device)
    if resolved is None or (resolved.type != "cuda" and resolved not in PROCESSOR):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:N, got {device!r}")
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device: {device!r} was asked for, but torch sees no CUDA device")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device: {device!r} was asked for, but torch sees {torch.cuda.device_count()} CUDA "
            "devices, counted from 0"
        )
    return resolved


@contextmanager
def plain_torch() -> Iterator[None]:
    """Run the block with torch's default settings, one thread at a time.

    Gradients, no autocast, exact products of 32-bit floats, tensors on the processor unless a
    device is named, and on a GPU one deterministic way to convolve. Results then follow from the
    seed. All of it holds for the whole process.
    """
    with _ONE_THREAD, _plain():
        yield


@contextmanager
def _plain() -> Iterator[None]:
    """Apply all default settings, for the thread that has the process to itself."""
    floats = torch.get_default_dtype()
    cast = {kind: torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda")}
    convolving = torch.backends.cudnn
    ways = convolving.deterministic, convolving.benchmark
    torch.set_default_dtype(torch.float32)
    convolving.deterministic, convolving.benchmark = True, False
    for kind in cast:  # not torch.autocast: what is cast within one is kept until it ends
        torch.set_autocast_enabled(kind, False)
    try:
        with torch.inference_mode(False), torch.enable_grad(), on_processor(), _exact_products():
            yield
    finally:
        torch.set_default_dtype(floats)
        convolving.deterministic, convolving.benchmark = ways
        for kind, enabled in cast.items():
            torch.set_autocast_enabled(kind, enabled)


@contextmanager
def _exact_products() -> Iterator[None]:
    """Compute products in 32 bits, whatever `torch.set_float32_matmul_precision` asked for."""
    processor: Any = torch.backends.mkldnn
    if not hasattr(processor, "matmul"):  # before torch 2.9
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
        return
    places: list[Any] = [processor.matmul, processor.conv, torch.backends.cuda.matmul]
    precisions = [place.fp32_precision for place in places]
    for place in places:
        place.fp32_precision = "ieee"
    try:
        yield
    finally:
        for place, precision in zip(places, precisions, strict=True):
            place.fp32_precision = precision


def arithmetic(device: torch.device) -> str:
    """Return the arithmetic of networks: "bfloat16" where the hardware has it, else "float32".

    The environment variable SYNTHAUG_ARITHMETIC names one in place of that: work that was begun on
    one machine goes on alike on another, which emulates bfloat16 if it has to (`as_native`).
    """
    if variable := os.environ.get(ASKED):
        if variable not in KINDS:
            raise InputError(f"{ASKED}: expected one of {', '.join(KINDS)}, got {variable!r}")
        return variable
    if device.type == "cuda":
        with torch.cuda.device(device):
            native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = processor_multiplies_bfloat16()
    return "bfloat16" if native else "float32"


def computing_in(kind: str) -> AbstractContextManager[None]:
    """Compute in this arithmetic within the block, whatever the environment of the process says.

    The process may have been started before the variable was changed.
    """
    return with_variable(ASKED, kind)


@contextmanager
def with_variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment within the block, also for processes started there."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def mixed_precision(device: torch.device) -> Iterator[None]:
    """Cast to bfloat16 within the block where that is the device's `arithmetic`.

    What goes backward does so within `as_native`.
    """
    enabled = arithmetic(device) == "bfloat16"
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled), as_native(device):
        yield
    # Within another autocast weights would stay cast as they are now, whatever becomes of them.
    torch.clear_autocast_cache()


@contextmanager
def as_native(device: torch.device) -> Iterator[None]:
    """Emulate bfloat16 within the block on a processor without instructions for it.

    It takes a seventh of the time of torch's own emulation.
    """
    is_emulated = device.type == "cpu" and arithmetic(device) == "bfloat16"
    if is_emulated and not processor_multiplies_bfloat16():
        with _Widened():  # type: ignore[no-untyped-call]
            yield
    else:
        yield


class _Widened(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Compute products of bfloat16 as float32, and round in the end.

    Two numbers of 8 bits have an exact product in 24, and the instructions add in float32, too.
    """

    PRODUCTS = (
        torch.ops.aten.convolution.default,
        torch.ops.aten.convolution_backward.default,
        torch.ops.aten.mm.default,
        torch.ops.aten.addmm.default,
        torch.ops.aten.bmm.default,
        torch.ops.aten.baddbmm.default,
    )

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if torch.is_inference_mode_enabled():  # products are still within others, as of `F.linear`
            with self:
                result = func.decompose(*args, **options)
            if result is not NotImplemented:
                return result
        tensors = (each for each in args if isinstance(each, Tensor))
        if func not in self.PRODUCTS or any(each.dtype != torch.bfloat16 for each in tensors):
            return func(*args, **options)
        result = func(*tree_map_only(Tensor, Tensor.float, args), **options)
        return tree_map_only(Tensor, Tensor.bfloat16, result)


def processor_multiplies_bfloat16() -> bool:
    """Tell whether this processor has instructions for products of bfloat16.

    oneDNN computes them wherever there is AVX-512, but emulates the instructions where there are
    none, at more than the time of float32.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        return torch.cpu._is_avx512_bf16_supported()
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(available and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def channels_last(network: Network) -> Network:
    """Lay out the weights of convolutions channels last, and so their activations.

    Up to a third faster on a processor, and on a GPU in 16 bits.
    """
    return network.to(memory_format=torch.channels_last)


@contextmanager
def evaluating(network: object) -> Iterator[None]:
    """Put a network into evaluation mode within the block; afterwards each part is as it was.

    In training mode dropout would make outputs random, and batch norm would learn from them.
    """
    modules = list(network.modules()) if isinstance(network, nn.Module) else []
    before = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.training = training


def device_of(network: object) -> str | torch.device:
    """Return the device of a network's weights; the CPU where it has none."""
    weights = network.parameters() if isinstance(network, nn.Module) else iter(())
    first = next(weights, None)
    return "cpu" if first is None else first.device
