"""One seed in, independent named streams out.

A stream is named by what it is for, so adding a use of randomness never shifts another one.
Rows of a stream are consecutive draws of one generator: row *i* is the same however many rows
are asked for, which is what makes item *i* of a sampling call depend on (seed, *i*) alone.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from synthaug.core.checks import as_seed


def stream_seed(seed: int, *names: object) -> int:
    """Return a 63-bit seed for the stream that `names` name.

    Examples:
        >>> stream_seed(0, "pool", 3) == stream_seed(0, "pool", 3)
        True
        >>> stream_seed(0, "pool", 3) == stream_seed(0, "pool", 4)
        False
    """
    text = "\x1f".join(str(part) for part in (as_seed(seed), *names))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def numpy_stream(seed: int, *names: object) -> np.random.Generator:
    """Return a numpy generator for the stream that `names` name."""
    return np.random.default_rng(stream_seed(seed, *names))


def uniform_at(stream: int, indices: np.ndarray) -> np.ndarray:
    """Return numbers `indices` (M,) of a SplitMix64 stream, float64 (M,) in [0, 1).

    Each is computed alone, without those before it.

    References:
        Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators (2014).

    Examples:
        >>> uniform_at(stream_seed(0, "items"), np.array([41, 7])).round(6).tolist()
        [0.116021, 0.515811]
    """
    with np.errstate(over="ignore"):  # 64 bits are meant to wrap around
        bits: np.ndarray = np.uint64(stream) + (indices.astype(np.uint64) + 1) * np.uint64(
            0x9E3779B97F4A7C15
        )
        bits = (bits ^ (bits >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> 27)) * np.uint64(0x94D049BB133111EB)
        numbers: np.ndarray = ((bits ^ (bits >> 31)) >> 11) * 2.0**-53
    return numbers


@contextmanager
def torch_stream(seed: int, *names: object, device: str | torch.device = "cpu") -> Iterator[None]:
    """Let torch's global generators follow the named stream within the block.

    Afterwards they go on as if the block had not been. Libraries (torchvision transforms, dropout)
    draw from the global generators, so seeding those is the only way to make a step depend on
    (seed, step) alone. Tensors without a named device are made on the processor, whatever
    `torch.set_default_device` says, so that numbers are those of the stream.
    """
    with _following(seed, *names, device=device), on_processor():
        yield


def on_processor() -> AbstractContextManager[Any]:
    """Make tensors without a named device on the processor within the block."""
    # Not get_default_device, which before torch 2.7 does not know of `with torch.device(...)`.
    elsewhere = torch.empty(0).device.type != "cpu"
    return torch.device("cpu") if elsewhere else nullcontext()


@contextmanager
def _following(seed: int, *names: object, device: str | torch.device = "cpu") -> Iterator[None]:
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    number = stream_seed(seed, *names)
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(number)
        for cuda in devices:
            with torch.cuda.device(cuda):
                torch.cuda.manual_seed(number)
        yield


@contextmanager
def global_stream(seed: int, *names: object) -> Iterator[None]:
    """Seed Python's `random` and numpy's global generator, too, as `torch_stream` does torch's.

    A Dataset's own transforms may draw from any of them.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - others draw from it
    number = stream_seed(seed, *names)
    try:
        random.seed(number)
        np.random.seed(number % 2**32)  # noqa: NPY002
        with _following(seed, *names):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


class Draws:
    """Random numbers for `count` items of a sampling call, one named stream per quantity.

    Examples:
        >>> few, many = Draws(7, 3), Draws(7, 1000)
        >>> bool((few.normal("z", 16) == many.normal("z", 16)[:3]).all())
        True
    """

    def __init__(self, seed: int, count: int, *scope: str) -> None:
        self._seed, self._count, self._scope = seed, count, scope

    def apart(self, scope: str) -> "Draws":
        """Return streams for the same items, independent of these whatever their names."""
        return Draws(self._seed, self._count, *self._scope, scope)

    def _stream(self, name: str) -> np.random.Generator:
        return numpy_stream(self._seed, "draws", *self._scope, name)

    def normal(self, name: str, *shape: int) -> np.ndarray:
        """Draw standard normal numbers, float32 (count, *shape)."""
        rng = self._stream(name)
        numbers: np.ndarray = rng.standard_normal((self._count, *shape)).astype(np.float32)
        return numbers

    def uniform(self, name: str, *shape: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Draw uniform numbers in [low, high), float32 (count, *shape)."""
        unit = self._stream(name).random((self._count, *shape))
        # The nearest float32 of a number just below `high` can be `high`.
        below = np.nextafter(np.float32(high), np.float32(low))
        numbers: np.ndarray = np.minimum((low + (high - low) * unit).astype(np.float32), below)
        return numbers

    def choice(self, name: str, sizes: np.ndarray) -> np.ndarray:
        """Draw an integer in [0, sizes[i]) for each item, int64 (count,)."""
        unit = self._stream(name).random(self._count)
        numbers: np.ndarray = np.minimum((unit * sizes).astype(np.int64), sizes - 1)
        return numbers


class StepDraws:
    """Random numbers of one training step, for one network or for several side by side.

    Args:
        generators: One for each network; None is torch's global one. Rows come in blocks of equal
            length, one a network, each from that network's own generator: a network learns the same
            whichever others learn beside it. Numbers are made on the processor, so that they are
            the same on every device.

    Examples:
        >>> a, b = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
        >>> both = StepDraws([a, b]).normal(6, 2)
        >>> bool((both[3:] == StepDraws([b.manual_seed(2)]).normal(3, 2)).all())
        True
    """

    def __init__(self, generators: Sequence[torch.Generator | None]) -> None:
        self._generators = generators

    def normal(self, count: int, *shape: int) -> torch.Tensor:
        """Draw standard normal numbers, float32 (count, *shape)."""
        each = count // len(self._generators)
        return torch.cat([torch.randn(each, *shape, generator=own) for own in self._generators])

    def uniform(self, count: int, *shape: int) -> torch.Tensor:
        """Draw uniform numbers in [0, 1), float32 (count, *shape)."""
        each = count // len(self._generators)
        numbers = [torch.rand(*shape, each, generator=own) for own in self._generators]
        return torch.cat(numbers, -1).movedim(-1, 0)

    def integers(self, count: int, below: int | Sequence[int]) -> torch.Tensor:
        """Draw integers in [0, below), int64 (count,); `below` may be one for each network."""
        bounds = [below] * len(self._generators) if isinstance(below, int) else below
        each = count // len(self._generators)
        return torch.cat(
            [
                torch.randint(bound, (each,), generator=own)
                for bound, own in zip(bounds, self._generators, strict=True)
            ]
        )
