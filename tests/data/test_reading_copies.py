from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from reading_images import labelled

from synthaug.data import LabelledImages, draw_folds, first_alike, split_off, with_copies_grouped


def shown(contents: list[int], groups: list[int] | None = None) -> LabelledImages:
    """Images that are equal where their numbers are, of two classes."""
    labels = np.arange(len(contents)) % 2
    images = np.broadcast_to(
        np.array(contents, np.uint8)[:, None, None, None], (len(contents), 1, 8, 8)
    )
    return LabelledImages(images, labels, ["a", "b"], None if groups is None else np.array(groups))


def test_images_without_copies_are_left_as_they_are() -> None:
    data = shown([4, 2, 9])
    assert with_copies_grouped(data) is data
    assert first_alike(data.images).tolist() == [0, 1, 2]


def test_copies_become_a_group() -> None:
    data = with_copies_grouped(shown([4, 2, 4, 4, 9]))
    assert data.groups is not None
    assert data.groups.tolist()[0] == "image 0 and its copies"
    assert np.unique(data.groups, return_inverse=True)[1].tolist() == [0, 1, 0, 0, 2]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=1, max_size=30))
def test_groups_that_share_an_image_become_one_and_no_others(given: list[tuple[int, int]]) -> None:
    contents, groups = (list(each) for each in zip(*given, strict=True))
    found = with_copies_grouped(shown(contents, groups)).groups
    assert found is not None
    alike = np.equal.outer(contents, contents) | np.equal.outer(groups, groups)
    for _ in given:  # what is reached in as many steps as there are images
        alike = (alike.astype(int) @ alike.astype(int)) > 0
    assert np.array_equal(np.equal.outer(found, found), alike)
    assert set(found.tolist()) <= set(groups)


@given(st.lists(st.integers(0, 99), min_size=8, max_size=40, unique=True), st.integers(0, 9))
def test_numbers_and_the_same_numbers_as_text_are_dealt_alike(ids: list[int], seed: int) -> None:
    """An archive has the one, a CSV the other, as text or as objects."""
    groups = np.repeat(ids, 2)
    data = labelled([len(ids), len(ids)], groups.tolist())
    for other in (groups.astype(str), groups.astype(str).astype(object)):
        same = replace(data, groups=other)
        for one, two in zip(
            split_off(data, 0.3, seed=seed), split_off(same, 0.3, seed=seed), strict=True
        ):
            assert np.array_equal(one, two)
        for one, two in zip(
            draw_folds(data, 3, seed=seed), draw_folds(same, 3, seed=seed), strict=True
        ):
            assert np.array_equal(one[1], two[1])
