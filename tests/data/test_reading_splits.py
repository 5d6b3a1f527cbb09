import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_images import labelled, tree

from synthaug.core import InputError
from synthaug.data import (
    LabelledImages,
    check_groups,
    draw_folds,
    draw_subset,
    read_images,
    split_off,
    splits,
)

counts_lists = st.lists(st.integers(2, 30), min_size=2, max_size=5)
seeds = st.integers(0, 2**32)
light = settings(max_examples=40)


@st.composite
def grouped(draw: st.DrawFn) -> LabelledImages:
    """Images in groups of one class each, at least two groups a class, of uneven sizes."""
    sizes = draw(
        st.lists(st.lists(st.integers(1, 9), min_size=2, max_size=8), min_size=2, max_size=4)
    )
    groups = [i for i, size in enumerate(np.concatenate(sizes).tolist()) for _ in range(size)]
    return labelled([sum(of_class) for of_class in sizes], groups)


def groups_in(data: LabelledImages, indices: np.ndarray) -> set[int]:
    assert data.groups is not None
    return set(data.groups[indices].tolist())


def counts_in(data: LabelledImages, indices: np.ndarray) -> np.ndarray:
    return data.subset(indices).counts


@light
@given(counts_lists, seeds)
def test_a_subset_has_exactly_so_many_of_each_and_grows(counts: list[int], seed: int) -> None:
    data = labelled(counts)
    small = draw_subset(data, 1, seed=seed)
    large = draw_subset(data, min(counts), seed=seed)
    assert large.dtype == np.int64
    assert np.array_equal(large, np.unique(large))
    assert set(counts_in(data, large).tolist()) == {min(counts)}
    assert set(small.tolist()) <= set(large.tolist())
    assert np.array_equal(large, draw_subset(data, min(counts), seed=seed))


def test_seeds_differ() -> None:
    data = labelled([50, 50])
    assert not np.array_equal(draw_subset(data, 5, seed=0), draw_subset(data, 5, seed=1))
    assert not np.array_equal(split_off(data, 0.3, seed=0)[1], split_off(data, 0.3, seed=1)[1])


def test_a_subset_that_a_class_cannot_give_is_an_error() -> None:
    with pytest.raises(InputError, match=r"class 'class1': expected at least 5 images, .*got 4"):
        draw_subset(labelled([5, 4]), 5, seed=0)
    with pytest.raises(InputError, match="per_class: expected at least 1, got 0"):
        draw_subset(labelled([5, 4]), 0, seed=0)


@light
@given(counts_lists, st.floats(0.05, 0.95), seeds)
def test_split_off_is_stratified_within_one(counts: list[int], share: float, seed: int) -> None:
    data = labelled(counts)
    kept, held = split_off(data, share, seed=seed)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(data)))
    assert counts_in(data, kept).min() >= 1
    assert counts_in(data, held).min() >= 1
    wanted = np.clip(data.counts * share, 1, data.counts - 1)
    assert np.abs(counts_in(data, held) - wanted).max() < 1 + 1e-9


@light
@given(grouped(), st.floats(0.1, 0.6), seeds)
def test_split_off_keeps_groups_whole(data: LabelledImages, share: float, seed: int) -> None:
    kept, held = split_off(data, share, seed=seed)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(data)))
    assert not groups_in(data, kept) & groups_in(data, held)
    assert counts_in(data, kept).min() >= 1
    assert counts_in(data, held).min() >= 1
    again = split_off(data, share, seed=seed)
    assert np.array_equal(again[1], held)


@light
@given(counts_lists, st.integers(2, 4), seeds)
def test_folds_are_stratified_within_one(counts: list[int], folds: int, seed: int) -> None:
    data = labelled(counts)
    parts = draw_folds(data, folds, seed=seed)
    assert np.array_equal(
        np.sort(np.concatenate([held for _, held in parts])), np.arange(len(data))
    )
    for train, held in parts:
        assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(len(data)))
        assert len(held)
        assert counts_in(data, train).min() >= 1
        assert np.abs(counts_in(data, held) - data.counts / folds).max() < 1 + 1e-9


@light
@given(grouped(), st.integers(2, 4), seeds)
def test_folds_keep_groups_whole(data: LabelledImages, folds: int, seed: int) -> None:
    parts = draw_folds(data, folds, seed=seed)
    assert np.array_equal(
        np.sort(np.concatenate([held for _, held in parts])), np.arange(len(data))
    )
    for train, held in parts:
        assert not groups_in(data, train) & groups_in(data, held)
        assert counts_in(data, train).min() >= 1


def dealt_by_table(data: LabelledImages, shares: np.ndarray, order: np.ndarray) -> np.ndarray:
    """What a table of all groups and classes gives, which is too large of many images."""
    ids = np.arange(len(data)) if data.groups is None else data.groups
    names, group_of = np.unique(ids, return_inverse=True)
    counts = np.zeros((len(names), len(data.classes)))
    np.add.at(counts, (group_of, data.labels), 1)
    columns = np.hstack([counts, counts.sum(1, keepdims=True)])
    totals = np.maximum(columns.sum(0), 1)
    weights = 1 / totals**2
    weights[-1] *= splits._SIZE_WEIGHT
    excess = -shares[:, None] * totals
    part = np.empty(len(counts), np.int64)
    for group in order:
        own = np.flatnonzero(columns[group])
        row = columns[group, own]
        terms = (2 * excess[:, own] + row) * row * weights[own]
        part[group] = np.argmin([math.fsum(line) for line in terms.tolist()])
        excess[part[group]] += columns[group]
    return part


@light
@given(counts_lists, st.integers(0, 9), st.lists(st.floats(0.05, 1), min_size=2, max_size=5), seeds)
def test_dealing_is_that_by_a_table_to_the_bit(
    counts: list[int], large: int, shares: list[float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 3 * large, sum(counts)).tolist() if large else None
    data = labelled([*counts, 0], groups)  # one class without images
    ids = np.arange(len(data)) if data.groups is None else data.groups
    group_of = np.unique(ids, return_inverse=True)[1]
    order = rng.permutation(group_of.max() + 1)
    part = np.array(shares) / sum(shares)
    found = splits._deal_in_order(
        splits._tally(group_of, data.labels, len(data.classes)), part, order
    )
    assert np.array_equal(found, dealt_by_table(data, part, order))


def test_many_images_of_many_classes_take_little_memory() -> None:
    data = labelled([4] * 1500)
    tracemalloc.start()
    split_off(data, 0.3, seed=0)
    assert tracemalloc.get_traced_memory()[1] < 20e6  # 72 MB as a table
    tracemalloc.stop()


def test_shares_are_near_with_many_groups() -> None:
    groups = np.arange(400) // 4  # 100 groups of 4; every fifth spans two classes
    data = labelled([198, 202], groups.tolist())
    _, held = split_off(data, 0.2, seed=0)
    assert np.abs(counts_in(data, held) / data.counts - 0.2).max() < 0.03
    for _, held in draw_folds(data, 5, seed=0):
        assert np.abs(counts_in(data, held) / data.counts - 0.2).max() < 0.03


def test_fold_sizes_are_even_across_classes() -> None:
    sizes = [len(held) for _, held in draw_folds(labelled([7] * 40), 5, seed=0)]
    assert max(sizes) - min(sizes) <= 1


def test_a_class_without_images_is_passed_over() -> None:
    data = labelled([4, 0, 4])
    kept, held = split_off(data, 0.5, seed=0)
    assert counts_in(data, kept).tolist() == counts_in(data, held).tolist() == [2, 0, 2]


def test_a_class_that_cannot_be_parted_is_named() -> None:
    with pytest.raises(InputError, match=r"class 'class1': expected at least 2 images"):
        split_off(labelled([4, 1]), 0.5, seed=0)
    one_group = labelled([4, 3], [0, 0, 1, 1, 2, 2, 2])
    for attempt in (
        lambda: split_off(one_group, 0.5, seed=0),
        lambda: draw_folds(one_group, 2, seed=0),
    ):
        with pytest.raises(InputError, match=r"'class1': .*all 3 are of group 2; add images of an"):
            attempt()


def test_groups_that_cannot_be_parted_are_an_error() -> None:
    # Each pair of the three groups shares a class: one side always has two of them, so a class.
    data = labelled([2, 2, 2], [0, 1, 1, 2, 2, 0])
    with pytest.raises(InputError, match="3 groups that can be dealt into 2 parts"):
        split_off(data, 0.5, seed=0)


def test_numbers_out_of_range_are_named() -> None:
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(InputError, match="share: expected a number between 0 and 1"):
            split_off(labelled([4, 4]), share, seed=0)
    with pytest.raises(
        InputError, match=r"^groups: expected at least 2 for folds, got 1; add groups"
    ):
        draw_folds(labelled([4, 4], [5] * 8), 2, seed=0)
    with pytest.raises(InputError, match="folds: expected 2 to 8, the number of images, got 9"):
        draw_folds(labelled([4, 4]), 9, seed=0)
    with pytest.raises(InputError, match="folds: expected 2 to 4, the number of groups, got 5"):
        draw_folds(labelled([4, 4], [0, 0, 1, 1, 2, 2, 3, 3]), 5, seed=0)


def test_groups_in_two_parts_are_named() -> None:
    train = labelled([3, 3], [0, 1, 2, 3, 4, 5])
    check_groups({"train": train, "test": labelled([1, 1], [6, 7]), "extra": labelled([1, 1])})
    with pytest.raises(InputError, match=r"6 are in several, .*: 0 \(train, test\), .* and 1 more"):
        check_groups({"train": train, "test": train})


def test_numbers_of_groups_are_the_same_with_a_point(tmp_path: Path) -> None:
    """As pandas writes them where one is missing."""
    train = replace(labelled([2, 1]), groups=np.array(["17.0", "17", "1.5"]))
    for groups, shared in ((["17", "18"], "17"), (["17.0", "18"], "17"), (["1.5", "2"], "1.5")):
        test = replace(labelled([1, 1]), groups=np.array(groups))
        with pytest.raises(InputError, match=rf"1 are in several, .*: {shared} \(train, test\)"):
            check_groups({"train": train, "test": test})
    for groups in (["017", "1"], ["17.05", "a.0"]):
        check_groups({"train": train, "test": replace(labelled([1, 1]), groups=np.array(groups))})


def test_images_without_a_group_are_alone_in_each_file(tmp_path: Path) -> None:
    tree(tmp_path, {"a": 4, "b": 4})
    parts = {}
    for part, numbers in {"train": (0, 1), "test": (2, 3)}.items():
        rows = [f"{name}/{i}.png,{name}," for name in "ab" for i in numbers]
        rows[0] += f"patient {part}"
        (tmp_path / f"{part}.csv").write_text("\n".join(["path,label,patient", *rows, ""]))
        parts[part] = read_images(tmp_path / f"{part}.csv")
    assert parts["train"].groups is not None
    assert parts["train"].groups.tolist()[:2] == ["patient train", "train image 1"]
    check_groups(parts)
