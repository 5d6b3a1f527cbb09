"""A GPU for machines that have none, so that what runs on one is tested everywhere.

Its tensors lie in memory and the processor works on them, but they say that they are on cuda:0, and
refuse what a GPU refuses: tensors of the processor beside them, its random generators, numpy, most
work on uint16, and waiting where `torch.cuda.set_sync_debug_mode("error")` forbids it. What a
real one does differently, the last bits of a sum and all that is about speed, it cannot show.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
aten = torch.ops.aten
# Tensors of the processor may say where to look, and be copied from and to.
_INDEXED = (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_)
_ACROSS = (aten.copy_, *_INDEXED)
_WAITING = (aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten._unique2)
_OF_UINT16 = (  # what only moves or looks at it
    *("_reshape_alias", "_to_copy", "_unsafe_view", "alias", "as_strided", "clone", "copy_"),
    *("detach", "empty_like", "expand", "permute", "select", "slice", "squeeze", "t", "to"),
    *("transpose", "unbind", "unsqueeze", "view"),
)


class _Chip:
    """What a GPU knows: the state of its random generator, and whether nothing may wait for it."""

    def __init__(self) -> None:
        self.random = torch.Generator().manual_seed(0).get_state()
        self.strict = False

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Within it the processor draws from the GPU's random numbers."""
        outer = torch.get_rng_state()
        torch.set_rng_state(self.random)
        try:
            yield
        finally:
            self.random = torch.get_rng_state()
            torch.set_rng_state(outer)

    def wait(self) -> None:
        if self.strict:
            raise RuntimeError("called a synchronizing CUDA operation")


_chip = _Chip()


class OnGPU(Tensor):
    """A tensor of the pretended GPU; `content` is where its numbers are."""

    content: Tensor

    @staticmethod
    def __new__(cls, content: Tensor) -> "OnGPU":
        made = Tensor._make_wrapper_subclass(
            cls,
            content.shape,
            strides=content.stride(),
            storage_offset=content.storage_offset(),
            dtype=content.dtype,
            device="cpu",  # for torch itself, which asks CUDA's driver about what is elsewhere
        )
        made.content = content
        return made

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)
    __torch_function__ = torch._C._disabled_torch_function_impl

    def __repr__(self) -> str:
        return f"OnGPU({self.content!r})"

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        _check(function, given, kwargs.get("generator"))
        same = {id(_content(each)): each for each in given}
        draws = torch.Tag.nondeterministic_seeded in function.tags
        with _chip.drawing() if draws else nullcontext():
            made = function(*tree_map(_content, args), **tree_map(_content, kwargs))
        return tree_map(lambda each: same[id(each)] if id(each) in same else _on_gpu(each), made)


def _content(value: Any) -> Any:
    return value.content if isinstance(value, OnGPU) else value


def _on_gpu(value: Any) -> Any:
    return OnGPU(value) if isinstance(value, Tensor) else value


def _check(function: Any, given: list[Tensor], generator: Any) -> None:
    """Refuse what CUDA does."""
    packet = function.overloadpacket
    elsewhere = [each for each in given if not isinstance(each, OnGPU)]
    if any(each.ndim for each in elsewhere) and packet not in _ACROSS:
        raise RuntimeError(
            f"{packet}: Expected all tensors to be on the same device, but found at least two "
            "devices, cuda:0 and cpu!"
        )
    if packet in _INDEXED and not isinstance(given[0], OnGPU):
        raise RuntimeError("indices should be either on cpu or on the same device as the tensor")
    if generator is not None:
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    if packet in _WAITING or (packet == aten.copy_ and elsewhere):
        _chip.wait()
    deep = any(each.dtype == torch.uint16 for each in given)
    if deep and packet.__name__ not in _OF_UINT16:
        raise NotImplementedError(f'"{packet}_cuda" not implemented for "UInt16"')


class _Upload(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return OnGPU(tensor.detach().clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _content(gradient)


class _Download(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _content(tensor).clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _on_gpu(gradient)


def _moved(tensor: Tensor, device: torch.device | None, *, waits: bool = True) -> Tensor:
    there = device is not None and device.type == "cuda"
    if device is None or there == isinstance(tensor, OnGPU):
        return tensor
    if waits:
        _chip.wait()
    if tensor.requires_grad and torch.is_grad_enabled():
        return (_Upload if there else _Download).apply(tensor)
    return OnGPU(tensor.detach().clone()) if there else _content(tensor).clone()


class _Calls(TorchFunctionMode):
    """Sees each call of torch before torch does, which would look for CUDA's driver."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        if function is Tensor.to:
            return _to(*args, **kwargs)
        if function is Tensor.cuda:
            return _moved(first, GPU)
        if isinstance(first, OnGPU):
            if function is Tensor.cpu:
                return _moved(first, torch.device("cpu"))
            if function in (Tensor.numpy, Tensor.__array__):
                raise TypeError("can't convert cuda:0 device type tensor to numpy")
            if function is torch.nn.functional.one_hot:  # of numbers that it makes itself
                return OnGPU(function(first.content, *args[1:], **kwargs))
            if function is Tensor.tolist:
                _chip.wait()
                return first.content.tolist()
            if function is Tensor.new_tensor:
                return _moved(torch.tensor(*args[1:], **kwargs), GPU)
            if function == Tensor.data.__set__:  # made anew each time it is looked up
                first.content = args[1].content
        if _is_gpu(kwargs.get("device")):
            return self._made(function, args, {**kwargs, "device": "cpu"})
        if function is Tensor.__deepcopy__:  # is given all that was copied before, to look up
            return function(*args, **kwargs)
        with _autocast((args, kwargs)):
            return function(*args, **kwargs)

    def _made(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """What a function makes on the GPU of numbers and shapes."""
        if isinstance(kwargs.get("generator"), torch.Generator):
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        with _chip.drawing():
            return tree_map(_on_gpu, function(*tree_map(_content, args), **kwargs))


@contextmanager
def _autocast(given: Any) -> Iterator[None]:
    """For a GPU's tensors its autocast is that of the processor, which is then for them alone."""
    here = any(isinstance(each, OnGPU) for each in tree_leaves(given))
    outer = torch.is_autocast_enabled("cpu")
    torch.set_autocast_enabled("cpu", torch.is_autocast_enabled("cuda") if here else outer)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cpu", outer)


def _to(tensor: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
    """`Tensor.to` in all its forms."""
    if args and isinstance(args[0], Tensor):
        return tensor.to(args[0].device, args[0].dtype, *args[1:], copy=copy, **kwargs)
    device, dtype, waits_not, layout = torch._C._nn._parse_to(*args, **kwargs)
    moved = _moved(tensor, device, waits=not waits_not)
    changes = {"dtype": dtype, "memory_format": layout}
    asked = {name: value for name, value in changes.items() if value is not None}
    if not asked and not copy:
        return moved
    with torch._C.DisableTorchFunction():
        return Tensor.to(moved, **asked, copy=copy)


def _alike(input: Tensor, from_: Tensor) -> bool:  # torch checks these names
    return isinstance(input, OnGPU) == isinstance(from_, OnGPU)


def _is_gpu(device: Any) -> bool:
    return isinstance(device, str | torch.device) and torch.device(device).type == "cuda"


def _no_graphs(check_available: bool = False) -> None:
    """An optimiser would ask the accelerator whether it captures a graph of its steps."""


def _set_state(state: Tensor, device: Any = None) -> None:
    _chip.random = state


def _set_mode(mode: str) -> None:
    _chip.strict = mode == "error"


_CUDA = {
    "current_device": lambda: 0,
    "device": lambda device: nullcontext(),
    "device_count": lambda: 1,
    "get_rng_state": lambda device=None: _chip.random,
    "is_available": lambda: True,
    "is_bf16_supported": lambda including_emulation=True: True,
    "is_current_stream_capturing": lambda: False,
    "manual_seed": lambda seed: _set_state(torch.Generator().manual_seed(seed).get_state()),
    "set_device": lambda device: None,
    "set_rng_state": _set_state,
    "set_sync_debug_mode": _set_mode,
}


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Within it torch has a GPU."""
    with ExitStack() as stack:
        for name, value in _CUDA.items():
            stack.enter_context(patch.object(torch.cuda, name, value))
        stack.enter_context(patch.object(torch.accelerator, "current_accelerator", _no_graphs))
        # Weights in memory cannot become a GPU's: those that are moved are new ones.
        stack.enter_context(patch.object(torch, "_has_compatible_shallow_copy_type", _alike))
        stack.enter_context(_Calls())
        yield
