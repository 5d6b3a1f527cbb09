"""Save the state of a training, and resume from it after the training was killed."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from synthaug.core.errors import InputError
from synthaug.core.files import write_atomically
from synthaug.core.tensors import read_tensors, tensor_bytes


@dataclass
class Resumed:
    """The checkpoints that trainings of a block resumed from.

    Attributes:
        seconds: Time that those trainings had taken before.
    """

    seconds: float = 0.0
    _finished_files: list[Path] = field(default_factory=list)


_around: ContextVar[Resumed | None] = ContextVar("around", default=None)


@contextmanager
def until_saved() -> Iterator[Resumed]:
    """Remove finished checkpoints when the block ends well.

    Until the result is on disk, an interrupted training of hours can go on from them.
    """
    outer, own = _around.get(), Resumed()
    token = _around.set(own)
    try:
        yield own
    finally:
        _around.reset(token)
    if outer is None:
        for path in own._finished_files:
            _remove(path)
    else:
        outer._finished_files += own._finished_files


def done_with(path: Path) -> None:
    """Remove a checkpoint, at the end of `until_saved` where that is around it."""
    around = _around.get()
    if around is None:
        _remove(path)
    else:
        around._finished_files.append(path)


def _remove(path: Path) -> None:
    """Remove a file, and a link to it."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


class Checkpoint:
    """The state of a training, as one flat safetensors file.

    Args:
        path: The file.
        identity: Tells the training; the file of another one is refused.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        identity: str,
    ) -> None:
        self._modules = modules
        self._optimizers = optimizers
        self._identity = identity
        self._began = time.perf_counter()
        self._before = 0.0

    def save(self, path: Path, step: int) -> None:
        """Write the state after so many steps, atomically."""
        tensors = {
            f"{name}/{key}": value.contiguous().clone()
            for name, module in self._modules.items()
            for key, value in module.state_dict().items()
        }
        for phase, optimizer in self._optimizers.items():
            for index, slots in optimizer.state_dict()["state"].items():
                for slot, value in slots.items():
                    place = f"optimizer/{phase}/{index}/{slot}"
                    tensors[place] = torch.as_tensor(value).contiguous()
        seconds = self._before + time.perf_counter() - self._began
        metadata = {"step": str(step), "identity": self._identity, "seconds": f"{seconds:.2f}"}
        write_atomically(path, lambda file: file.write(tensor_bytes(tensors, metadata)))

    def load(self, path: Path) -> int:
        """Load a saved state, and return the steps that were done then.

        The seconds that they took are passed to `until_saved`.
        """
        try:
            tensors, metadata = read_tensors(path)
        except Exception as error:
            raise InputError(f"{path}: not a readable checkpoint ({error}); remove it") from None
        if metadata.get("identity") != self._identity:
            raise InputError(
                f"{path}: the checkpoint of another run (other data, settings or seed); "
                "name another file or remove it"
            )
        for name, module in self._modules.items():
            prefix = f"{name}/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            try:
                module.load_state_dict(own)
            except RuntimeError:  # its message lists every weight
                raise InputError(
                    f"{path}: its weights are not those of this training, perhaps of another "
                    "version of synthaug; remove it"
                ) from None
        for phase, optimizer in self._optimizers.items():
            prefix = f"optimizer/{phase}/"
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(prefix):
                    index, slot = key.removeprefix(prefix).split("/")
                    slots.setdefault(int(index), {})[slot] = value
            state = optimizer.state_dict()
            optimizer.load_state_dict({**state, "state": slots})
            for parameter, moments in optimizer.state.items():
                # A fused step reads both as they lie in memory, so they have to lie alike.
                for slot, value in moments.items():
                    if value.shape == parameter.shape:
                        moments[slot] = torch.empty_like(parameter).copy_(value)
        self._before = float(metadata.get("seconds", 0))  # versions before 0.5 do not say
        if (around := _around.get()) is not None:
            around.seconds += self._before
        return int(metadata["step"])
