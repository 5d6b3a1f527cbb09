"""Streams: named, independent, stable, and the same for item i however many are drawn."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import synthaug.core.seeding as seeding
from synthaug.core import (
    Draws,
    InputError,
    global_stream,
    numpy_stream,
    stream_seed,
    torch_stream,
    uniform_at,
)

KNOWN_SEEDS = (4761921975702974394, 1617881830973675142)
KNOWN_ORDER = [0, 4, 5, 3, 1, 2]
KNOWN_TORCH = [45, 411, 633, 15]
KNOWN_NORMAL = [[1.6387420892715454, -0.40838757157325745], [0.745406985282898, 1.035866141319275]]
KNOWN_UNIFORM = [2.1856324672698975, 2.4389851093292236]
KNOWN_CHOICE = [3, 153]


def test_streams_give_known_values() -> None:
    """A figure that was measured must come out again: these values may never change."""
    assert stream_seed(0) == KNOWN_SEEDS[0]
    assert stream_seed(7, "pool", 3) == KNOWN_SEEDS[1]
    assert numpy_stream(1, "order", 2).permutation(6).tolist() == KNOWN_ORDER
    with torch_stream(1, "step", 0):
        assert torch.randint(1000, (4,)).tolist() == KNOWN_TORCH
    draws = Draws(5, 2)
    assert np.allclose(draws.normal("z", 2), KNOWN_NORMAL)
    assert np.allclose(draws.uniform("u", low=2, high=4), KNOWN_UNIFORM)
    assert draws.choice("c", np.array([10, 1000])).tolist() == KNOWN_CHOICE


NAMES = st.lists(st.one_of(st.integers(0, 5), st.sampled_from(["a", "b", "ab"])), max_size=3)


@settings(max_examples=200)
@given(st.integers(0, 3), NAMES, st.integers(0, 3), NAMES)
def test_streams_are_the_same_only_where_the_names_are(
    seed: int, names: list[Any], other_seed: int, other_names: list[Any]
) -> None:
    same = (seed, *map(str, names)) == (other_seed, *map(str, other_names))
    number = stream_seed(seed, *names)
    assert 0 <= number < 2**63
    assert (number == stream_seed(other_seed, *other_names)) == same


def test_numpy_integers_name_the_same_stream() -> None:
    assert stream_seed(np.int64(3), "a", np.int32(1)) == stream_seed(3, "a", 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [1.0, True, "1", None, torch.tensor(1), np.array([1])])
def test_a_seed_that_is_no_integer_is_refused(seed: Any) -> None:
    for use in (stream_seed, numpy_stream, lambda given: Draws(given, 1).normal("z")):
        with pytest.raises(InputError, match="seed: expected an integer, got"):
            use(seed)


def test_streams_are_uncorrelated() -> None:
    rows = np.stack([numpy_stream(0, "x", k).standard_normal(4000) for k in range(20)])
    correlations = np.corrcoef(rows)[np.triu_indices(20, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)


def test_a_stream_does_not_depend_on_what_was_drawn_before() -> None:
    expected = Draws(3, 4).normal("z", 5)
    draws = Draws(3, 4)
    draws.uniform("other")
    draws.normal("another", 7)
    np.random.default_rng(0).random(9)
    torch.rand(9)
    assert np.array_equal(draws.normal("z", 5), expected)
    assert not np.array_equal(draws.normal("y", 5), expected)
    assert not np.array_equal(Draws(4, 4).normal("z", 5), expected)


@settings(max_examples=60)
@given(st.integers(0, 2**40), st.integers(0, 40), st.integers(0, 40), st.integers(1, 6))
def test_rows_do_not_depend_on_how_many_there_are(
    seed: int, few: int, more: int, width: int
) -> None:
    short, long = Draws(seed, few), Draws(seed, few + more)
    sizes = np.arange(1, few + more + 1)
    assert np.array_equal(short.normal("z", width), long.normal("z", width)[:few])
    assert np.array_equal(short.normal("w", width, 2), long.normal("w", width, 2)[:few])
    assert np.array_equal(short.uniform("u", width), long.uniform("u", width)[:few])
    assert np.array_equal(short.choice("c", sizes[:few]), long.choice("c", sizes)[:few])


def test_draws_have_their_distributions() -> None:
    draws = Draws(11, 20000)
    normal, uniform = draws.normal("z"), draws.uniform("u", low=-2, high=6)
    assert normal.dtype == uniform.dtype == np.float32
    assert abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05
    assert uniform.min() >= -2 and uniform.max() < 6
    assert abs(uniform.mean() - 2) < 0.1 and abs(uniform.std() - 8 / np.sqrt(12)) < 0.1
    choice = draws.choice("c", np.full(20000, 4))
    assert np.abs(np.bincount(choice, minlength=4) / 20000 - 0.25).max() < 0.02
    assert draws.choice("c", np.ones(20000, np.int64)).max() == 0


class _Nearly:
    """A random generator that draws the largest number below 1."""

    def random(self, shape: Any) -> np.ndarray:
        return np.full(shape, np.nextafter(1.0, 0.0))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.3, 0.7), (-5.0, -4.0), (2.0, 2.0)])
def test_the_upper_bound_is_never_drawn(
    monkeypatch: pytest.MonkeyPatch, low: float, high: float
) -> None:
    monkeypatch.setattr(seeding, "numpy_stream", lambda *_: _Nearly())
    drawn = Draws(0, 3).uniform("u", low=low, high=high)
    assert (drawn < np.float32(high)).all() or low == high
    assert (drawn >= np.float32(low)).all()
    sizes = np.array([1, 3, 2**31])
    assert (Draws(0, 3).choice("c", sizes) == sizes - 1).all()


def test_torch_goes_on_as_if_the_block_had_not_been() -> None:
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    first = torch.rand(2)
    with torch_stream(0, "block"):
        inside = torch.rand(3)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
    with torch_stream(0, "block"):
        assert torch.equal(torch.rand(3), inside)
    with torch_stream(0, "other block"):
        assert not torch.equal(torch.rand(3), inside)


def test_torch_goes_on_after_an_error_too() -> None:
    torch.manual_seed(6)
    state = torch.get_rng_state()
    with pytest.raises(KeyError), torch_stream(0, "block"):
        torch.rand(3)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), state)


def _drawn() -> list[float]:
    return [random.random(), np.random.random(), torch.rand(1).item()]  # noqa: NPY002


def test_every_global_generator_goes_on_as_if_the_block_had_not_been() -> None:
    random.seed(3), np.random.seed(3), torch.manual_seed(3)  # noqa: NPY002
    expected = _drawn()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)  # noqa: NPY002
    with pytest.raises(KeyError), global_stream(0, "block"):
        _drawn()
        raise KeyError
    assert _drawn() == expected


def test_a_stream_is_the_processors_whatever_the_default_device() -> None:
    with torch_stream(1, "step", 0):
        expected = torch.rand(4)
    with torch.device("meta"):  # as torch.set_default_device("cuda")
        with torch_stream(1, "step", 0):
            assert torch.equal(torch.rand(4), expected)
        with global_stream(1, "step", 0):  # a Dataset's own transforms
            assert torch.rand(4).is_meta
        assert torch.rand(4).is_meta


def test_a_global_stream_is_the_stream_of_torch() -> None:
    with torch_stream(1, "block"):
        expected = torch.rand(3)
    with global_stream(1, "block"):
        assert torch.equal(torch.rand(3), expected)


def test_blocks_can_be_nested() -> None:
    with torch_stream(0, "outer"):
        expected = torch.rand(4)
    with torch_stream(0, "outer"):
        first = torch.rand(2)
        with torch_stream(0, "inner"):
            torch.rand(5)
        assert torch.equal(torch.cat([first, torch.rand(2)]), expected)


def test_numbers_at_an_index_are_those_of_splitmix64() -> None:
    """The first outputs of the reference implementation for the seed 1234567."""
    reference = np.array([6457827717110365317, 3203168211198807973, 9817491932198370423], np.uint64)
    found = uniform_at(1234567, np.array([2, 0, 1])) * 2**53
    assert found.astype(np.uint64).tolist() == (reference >> np.uint64(11))[[2, 0, 1]].tolist()


def test_numbers_at_an_index_are_even() -> None:
    streams = [stream_seed(0, "mixed", epoch) for epoch in range(50)]
    numbers = np.array([uniform_at(stream, np.arange(400)) for stream in streams])
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    for ahead, behind in ((numbers[:, 1:], numbers[:, :-1]), (numbers[1:], numbers[:-1])):
        # Neighbours in one epoch, and one item in neighbouring epochs.
        apart = np.corrcoef(ahead.ravel(), behind.ravel())[0, 1]
        assert abs(apart) < 4 / np.sqrt(ahead.size)
