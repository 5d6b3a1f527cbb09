"""Which synthetic image takes the place of which real one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthaug.core import ClassDrawer, InputError, replaced_positions


class Fixed:
    """A random generator with given draws."""

    def __init__(self, draws: np.ndarray) -> None:
        self._draws = draws

    def random(self, count: int) -> np.ndarray:
        assert count == len(self._draws)
        return self._draws


def brute_force(labels: np.ndarray, weights: np.ndarray, wanted: int, unit: float) -> list[int]:
    """Walk through the class's items until the share `unit` of its weight is used up; two items
    where it falls between them."""
    members = [i for i in range(len(labels)) if labels[i] == wanted and weights[i] > 0]
    shares = np.cumsum([float(weights[i]) for i in members]) / sum(
        float(weights[i]) for i in members
    )
    return [
        item
        for item, end, start in zip(members, shares, [0, *shares[:-1]], strict=True)
        if start - 1e-9 <= unit <= end + 1e-9
    ]


@settings(max_examples=150)
@given(st.data())
def test_a_draw_is_that_of_brute_force(data: st.DataObject) -> None:
    labels = np.array(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=25)))
    numbers = st.one_of(st.just(0.0), st.floats(1e-3, 1e3), st.sampled_from([1e-20, 1e20]))
    weights = np.array(data.draw(st.lists(numbers, min_size=len(labels), max_size=len(labels))))
    even = data.draw(st.booleans())
    weights = np.ones(len(labels)) if even else weights
    present = np.unique(labels[weights > 0])
    drawer = ClassDrawer(labels, 6, None if even else weights.astype(np.float32))
    assert drawer.present.tolist() == present.tolist()
    if not len(present):
        return
    wanted = np.array(data.draw(st.lists(st.sampled_from(present.tolist()), max_size=12)), np.int64)
    units = np.array([data.draw(st.floats(0, 1, exclude_max=True)) for _ in wanted])
    drawn = drawer.draw(wanted, Fixed(units))  # type: ignore[arg-type]
    for item, label, unit in zip(drawn, wanted, units, strict=True):
        assert item in brute_force(labels, weights.astype(np.float32), label, unit)


def test_draws_follow_the_weights() -> None:
    labels = np.array([1, 0, 1, 1, 2])
    weights = np.array([1, 5, 0, 3, 1], np.float32)
    drawer = ClassDrawer(labels, 3, weights)
    drawn = drawer.draw(np.full(20000, 1), np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=5) / 20000
    assert shares[[1, 2, 4]].tolist() == [0, 0, 0]
    assert abs(shares[0] - 0.25) < 0.015
    even = ClassDrawer(labels, 3).draw(np.full(20000, 1), np.random.default_rng(0))
    assert np.abs(np.bincount(even, minlength=5)[[0, 2, 3]] / 20000 - 1 / 3).max() < 0.015


def test_a_heavy_class_does_not_drown_another() -> None:
    weights = np.array([1e30, 1, 1], np.float32)
    drawn = ClassDrawer(np.array([0, 1, 1]), 2, weights).draw(
        np.ones(2000, np.int64), np.random.default_rng(0)
    )
    assert abs((drawn == 1).mean() - 0.5) < 0.05


def test_a_class_without_items_is_an_input_error() -> None:
    drawer = ClassDrawer(np.array([0, 2, 2]), 4, np.array([1, 0, 0], np.float32))
    with pytest.raises(InputError, match="no synthetic image of class 2"):
        drawer.draw(np.array([0, 2, 3]), np.random.default_rng(0))
    assert drawer.draw(np.array([], np.int64), np.random.default_rng(0)).shape == (0,)


@settings(max_examples=50)
@given(st.integers(1, 100), st.floats(0, 1), st.integers(0, 2**32))
def test_replaced_positions_are_distinct(size: int, share: float, seed: int) -> None:
    count = round(share * size)
    places = replaced_positions(size, count, np.random.default_rng(seed))
    assert len(np.unique(places)) == len(places) == count
    assert ((places >= 0) & (places < size)).all()


def test_every_place_is_replaced_equally_often() -> None:
    rng = np.random.default_rng(0)
    hits = np.bincount(np.concatenate([replaced_positions(16, 4, rng) for _ in range(4000)]))
    assert np.abs(hits / 4000 - 0.25).max() < 0.03
