import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthaug.core import InputError
from synthaug.data import LabelledImages
from synthaug.gain.runs.folds import Fold, plan_folds


def numbered(counts: list[int], groups: list[int] | None = None) -> LabelledImages:
    """Images that can be told apart: image i holds i in its first pixels."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(labels), 1, 8, 8), np.uint16)
    images[:, 0, 0, 0] = np.arange(len(labels))
    names = [f"class {k}" for k in range(len(counts))]
    return LabelledImages(images, labels, names, None if groups is None else np.array(groups))


def ids(data: LabelledImages) -> set[int]:
    return {int(value) for value in data.images[:, 0, 0, 0]}


def with_copies(data: LabelledImages, times: int) -> LabelledImages:
    """Each third of the images so many times more, as an oversampled folder has them."""
    rows = np.concatenate([np.arange(len(data)), np.repeat(np.arange(0, len(data), 3), times)])
    return data.subset(np.random.default_rng(0).permutation(rows))


@pytest.mark.parametrize("per_class", [None, 3, 12])
@pytest.mark.parametrize("count", [6, 30])
@pytest.mark.parametrize("groups", [False, True])
def test_copies_of_an_image_are_never_on_both_sides(
    per_class: int | None, count: int, groups: bool
) -> None:
    data = numbered([count] * 2, (np.arange(2 * count) // 2).tolist() if groups else None)
    for seed in range(3):
        folds, _ = plan_folds(with_copies(data, 4), None, per_class, seed)
        assert_sound(folds)


def assert_sound(folds: list[Fold]) -> None:
    assert [fold.is_tested for fold in folds].count(True) == 1
    assert any(fold.validation is not None for fold in folds)
    for fold in folds:
        assert fold.train.counts.min() > 0
        if fold.validation is not None:
            assert not ids(fold.train) & ids(fold.validation)
            if fold.train.groups is not None:
                assert fold.validation.groups is not None
                assert not set(fold.train.groups.tolist()) & set(fold.validation.groups.tolist())


@settings(max_examples=40)
@given(
    st.lists(st.integers(3, 40), min_size=2, max_size=4),
    st.one_of(st.none(), st.integers(3, 12)),
    st.integers(0, 5),
)
def test_no_choice_is_made_on_an_image_that_was_trained_on(
    counts: list[int], per_class: int | None, seed: int
) -> None:
    data = numbered(counts)
    if per_class is not None and per_class > min(counts):
        with pytest.raises(InputError, match=f"expected at least {per_class} images"):
            plan_folds(data, None, per_class, seed)
        return
    folds, _ = plan_folds(data, None, per_class, seed)
    assert_sound(folds)
    again, _ = plan_folds(data, None, per_class, seed)
    assert [ids(fold.train) for fold in folds] == [ids(fold.train) for fold in again]


@settings(max_examples=30)
@given(st.integers(4, 10), st.integers(2, 5), st.integers(2, 8), st.integers(0, 3))
def test_groups_stay_on_one_side(groups: int, size: int, per_class: int, seed: int) -> None:
    members = [f"{k}-{g}" for k in range(2) for g in range(groups) for _ in range(size)]
    numbers = {name: index for index, name in enumerate(dict.fromkeys(members))}
    data = numbered([groups * size] * 2, [numbers[name] for name in members])
    folds, _ = plan_folds(data, None, min(per_class, groups * size), seed)
    assert_sound(folds)


def test_groups_leave_each_class_two_images_beside_those_held_out() -> None:
    """One patient has nine of ten images of a class, another most of the other class."""
    data = numbered([10, 80], [1] * 9 + [2] * 61 + [3] * 20)
    for seed in range(3):
        with pytest.raises(InputError, match=r"class 'class 0': .* that groups leave beside"):
            plan_folds(data, None, None, seed)


def test_a_subset_is_scored_on_as_many_other_images() -> None:
    folds, text = plan_folds(numbered([300, 300]), None, 60, 0)
    assert [len(fold.train) for fold in folds] == [120]
    assert folds[0].validation is not None
    assert folds[0].validation.counts.tolist() == [60, 60]
    assert text == "120 further images of the training split"


@pytest.mark.parametrize("validation", [None, numbered([5, 5])])
def test_a_seeds_larger_subset_holds_its_smaller_one(validation: LabelledImages | None) -> None:
    small, large = (
        ids(plan_folds(numbered([60, 90]), validation, size, seed=3)[0][0].train)
        for size in (10, 40)
    )
    assert len(small) == 20 and len(large) == 80
    assert small < large


@pytest.mark.parametrize(("images", "held"), [(300, 50), (100, 30)])
def test_a_tiny_subset_is_scored_on_fifty_a_class_where_there_are_as_many(
    images: int, held: int
) -> None:
    folds, _ = plan_folds(numbered([images] * 2), None, 3, 0)
    assert folds[0].train.counts.tolist() == [3, 3]
    assert folds[0].validation is not None
    assert folds[0].validation.counts.tolist() == [held, held]


def test_a_class_that_leaves_few_gives_the_others_no_fewer_to_train_on() -> None:
    folds, text = plan_folds(numbered([14, 140]), None, 10, 0)
    assert folds[0].train.counts.tolist() == [10, 10]
    assert folds[0].validation is not None
    assert folds[0].validation.counts.tolist() == [4, 40]
    assert text == "44 further images of the training split"


def test_what_leaves_fewer_than_a_fifth_holds_them_out_of_the_subset() -> None:
    folds, text = plan_folds(numbered([11, 140]), None, 10, 0)
    assert folds[0].train.counts.tolist() == [8, 8]
    assert "held out" in text


@pytest.mark.parametrize(
    ("sizes", "per_class", "held"),
    [
        ([6, 6, 6], 5, None),
        ([6, 8, 300], 5, None),
        ([10, 200, 200], 8, None),
        ([26, 200, 200], 8, None),
        ([27, 200, 200], 8, [8, 50, 50]),
        ([4, 100], 2, [1, 30]),  # too few to cross-validate
    ],
)
def test_a_tiny_subset_is_not_scored_on_an_image_or_two(
    sizes: list[int], per_class: int, held: list[int] | None
) -> None:
    """Cross-validation scores as many as are trained on."""
    data = numbered(sizes)
    folds, text = plan_folds(data, None, per_class, 0)
    labels = np.concatenate(
        [fold.validation_subset.labels for fold in folds if fold.validation_subset is not None]
    )
    scored = np.bincount(labels).tolist()
    if held is None:
        assert "5-fold cross-validation" in text
        assert scored == [per_class] * len(sizes)
    else:
        assert "further images" in text and scored == held


def test_a_seed_draws_another_subset() -> None:
    data = numbered([100, 100])
    first, second = (plan_folds(data, None, 10, seed)[0][0] for seed in (0, 1))
    assert ids(first.train) != ids(second.train)


def test_all_images_a_fifth_of_them_held_out() -> None:
    folds, text = plan_folds(numbered([50, 20]), None, None, 0)
    assert folds[0].validation is not None
    assert folds[0].validation.counts.tolist() == [10, 4]
    assert text == "14 further images of the training split, held out of every training"


def test_few_images_are_cross_validated_and_then_all_trained_on() -> None:
    data = numbered([7, 5])
    folds, text = plan_folds(data, None, None, 0)
    held = [ids(fold.validation) for fold in folds if fold.validation is not None]
    assert sorted(i for each in held for i in each) == list(range(12))
    assert ids(folds[-1].train) == ids(data)
    assert folds[-1].is_tested
    assert folds[-1].validation is None
    assert "5-fold cross-validation" in text


def test_given_validation_images_are_used_as_they_are() -> None:
    data, other = numbered([20, 20]), numbered([3, 3])
    folds, _ = plan_folds(data, other, None, 0)
    assert len(folds) == 1
    assert folds[0].train is data
    assert folds[0].validation is other


def test_beside_a_pool_all_images_are_trained_on_before_the_test() -> None:
    """Whoever made the pool may have seen all of them."""
    data = numbered([50, 20])
    (choosing, testing), text = plan_folds(data, None, None, 0, beside_pool=True)
    (usual,), _ = plan_folds(data, None, None, 0)
    assert choosing.validation is not None and usual.validation is not None
    assert (ids(choosing.train), ids(choosing.validation)) == (
        ids(usual.train),
        ids(usual.validation),
    )
    assert (choosing.is_tested, testing.is_tested, testing.validation) == (False, True, None)
    assert testing.train is data
    assert choosing.name != usual.name  # cells are known by it
    assert text.startswith("14 of the training images, held out")
    other = numbered([3, 3])
    (fold,), _ = plan_folds(data, other, None, 0, beside_pool=True)
    assert fold.train is data


@pytest.mark.parametrize("few", [1, 2])
def test_a_class_that_leaves_a_generator_nothing_is_an_error(few: int) -> None:
    message = f"'class 1': expected at least 3 training images, .* got {few}; add images, or give"
    with pytest.raises(InputError, match=message):
        plan_folds(numbered([20, few]), None, None, 0)


def test_groups_are_folded_into_as_many_parts_as_there_are() -> None:
    data = numbered([6, 6], groups=[0, 0, 1, 1, 2, 2] * 2)
    folds, text = plan_folds(data, None, None, 0)
    assert text.startswith("3-fold") and len(folds) == 4


def test_groups_that_leave_a_generator_one_image_are_refused_before_anything_is_trained() -> None:
    data = numbered([3, 3], groups=[0, 0, 1, 2, 2, 3])
    with pytest.raises(InputError, match="expected at least 2 training images, that groups leave"):
        plan_folds(data, None, None, 0)


def test_one_image_of_a_class_is_refused_before_anything_is_trained() -> None:
    few, validation = numbered([20, 1]), numbered([3, 3])
    message = "'class 1': expected at least 2 training images, .* got 1; add images"
    with pytest.raises(InputError, match=message):
        plan_folds(few, validation, None, 0)
    for held in (None, validation):
        with pytest.raises(InputError, match="per_class: expected at least 2 images"):
            plan_folds(numbered([20, 20]), held, 1, 0)
