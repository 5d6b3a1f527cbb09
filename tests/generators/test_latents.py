"""Mixtures that are fitted to codes of known distributions, and what a probe reads from codes."""

import numpy as np
import pytest

import synthaug.generators.latents as codes_module
from synthaug.core import Draws
from synthaug.generators.latents import EACH, PROBED, class_from_codes, draw_from_mixtures

CENTRES = np.array([[-3.0, 0.0], [3.0, 4.0]])


def two_clusters(count, spread=0.5, share=0.25, seed=0):
    """Codes (count, 2) around `CENTRES`, `share` of them around the second."""
    rng = np.random.default_rng(seed)
    second = np.arange(count) < share * count
    codes = CENTRES[second.astype(int)] + spread * rng.standard_normal((count, 2))
    return codes.astype(np.float32)


def draw(codes, count, labels=None, wanted=None, seed=0):
    labels = np.zeros(len(codes), np.int64) if labels is None else labels
    wanted = np.zeros(count, np.int64) if wanted is None else wanted
    return draw_from_mixtures(codes, labels, wanted, Draws(seed, count))


def nearest(codes):
    """For each code the nearest of `CENTRES` and how far off it is."""
    apart = np.linalg.norm(codes[:, None] - CENTRES, axis=2)
    return apart.argmin(1), apart.min(1)


def test_draws_have_the_mean_and_covariance_of_the_codes():
    codes, draws = two_clusters(200), draw(two_clusters(200), 20000)
    assert draws.dtype == np.float32
    np.testing.assert_allclose(draws.mean(0), codes.mean(0), atol=0.1)
    # Off the diagonal it comes from where the components are, each of them having none.
    np.testing.assert_allclose(np.cov(draws.T), np.cov(codes.T), rtol=0.05, atol=0.1)


def test_draws_fall_into_the_clusters_of_the_codes():
    which, off = nearest(draw(two_clusters(200), 20000))
    assert which.mean() == pytest.approx(0.25, abs=0.015)
    assert off.max() < 3  # the clusters are 7 apart
    # Of a normal distribution in two dimensions.
    assert np.sqrt((off**2).mean()) == pytest.approx(0.5 * np.sqrt(2), rel=0.1)


def test_few_codes_are_one_normal_distribution():
    codes = two_clusters(2 * EACH - 1)
    noise = Draws(4, 30).normal("z", 2)
    # Diagonal, and a little wider so that equal codes do not make it a point.
    expected = codes.mean(0) + np.sqrt(codes.var(0) + 1e-4) * noise
    np.testing.assert_allclose(draw(codes, 30, seed=4), expected, rtol=1e-4, atol=1e-4)


def test_enough_codes_for_two_components_are_two():
    which, off = nearest(draw(two_clusters(2 * EACH, spread=0.1, share=0.5), 200))
    assert set(which) == {0, 1}
    assert off.max() < 1


def test_a_class_is_drawn_from_its_own_codes():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1], [30, 40]))
    codes = np.empty((70, 2), np.float32)
    codes[labels == 0], codes[labels == 1] = two_clusters(30), 50 + two_clusters(40, seed=1)
    classes = np.arange(300) % 2
    samples = draw(codes, 300, labels, classes)
    assert (samples[classes == 0] < 25).all() and (samples[classes == 1] > 25).all()
    codes[labels == 1] += 1
    changed = draw(codes, 300, labels, classes)
    np.testing.assert_array_equal(changed[classes == 0], samples[classes == 0])
    assert (changed[classes == 1] != samples[classes == 1]).all()


def test_a_draw_depends_on_nothing_but_seed_place_and_class():
    codes = np.concatenate([two_clusters(50), 50 + two_clusters(50, seed=1)])
    labels, classes = np.repeat([0, 1], 50), np.arange(40) % 2
    samples = draw(codes, 40, labels, classes)
    np.testing.assert_array_equal(draw(codes, 40, labels, classes), samples)
    np.testing.assert_array_equal(draw(codes, 7, labels, classes[:7]), samples[:7])
    others = classes.copy()
    others[1::4] = 0
    np.testing.assert_array_equal(draw(codes, 40, labels, others)[::2], samples[::2])
    assert (draw(codes, 40, labels, classes, seed=1) != samples).all()


@pytest.mark.parametrize("distinct", [1, 3])
def test_copies_of_few_codes_are_no_trouble(distinct):
    """An image that is there many times is fewer clusters than its copies are enough for."""
    codes = np.repeat(10 * np.eye(3, dtype=np.float32)[:distinct], 20, axis=0)
    samples = draw(codes, 100)
    apart = np.linalg.norm(samples[:, None] - codes[::20], axis=2)
    assert apart.min(1).max() < 0.1
    assert set(apart.argmin(1)) == set(range(distinct))


def blobs(per_class, apart, classes=3, seed=0):
    """Normally distributed codes (N, 4) around a centre of each class, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    return rng.standard_normal((len(labels), 4)) + apart * np.eye(4)[labels], labels


def test_separable_codes_are_read():
    codes, labels = blobs(20, apart=20)
    assert class_from_codes(codes, labels) == 1
    shuffled = np.random.default_rng(0).permutation(60)
    assert class_from_codes(codes[shuffled], labels[shuffled]) == 1
    # Each number of a code is brought to one scale first.
    assert class_from_codes(codes * [1e4, 1, 1e-4, 1], labels) == 1


def test_noise_is_read_as_often_as_by_chance():
    assert class_from_codes(*blobs(PROBED, apart=0)) == pytest.approx(1 / 3, abs=0.1)


def test_it_reads_codes_that_it_has_not_learned_from():
    """By heart it would know all of these: there are more numbers than codes."""
    labels = np.arange(40) % 2
    codes = np.random.default_rng(0).standard_normal((40, 200))
    assert class_from_codes(codes, labels) < 0.75


def test_what_cannot_be_probed():
    codes, labels = blobs(4, apart=9)
    assert class_from_codes(codes[labels == 0], labels[labels == 0]) is None
    alone = np.concatenate([np.flatnonzero(labels < 2), [8]])
    assert class_from_codes(codes[alone], labels[alone]) is None


def test_two_images_of_a_class_are_enough_for_codes():
    codes, labels = blobs(2, apart=20)
    assert class_from_codes(codes, labels) is not None
    codes, labels = blobs(10, apart=20)
    rows = labels != 1
    assert class_from_codes(codes[rows], labels[rows]) == 1


def test_only_the_first_classes_are_read(monkeypatch):
    """The time grows as the cube of their number."""
    monkeypatch.setattr(codes_module, "PROBED_CLASSES", 2)
    codes, labels = blobs(10, apart=20)
    codes[labels == 2] = 0  # which would be read as any
    codes[labels == 2, 0] = 20
    assert class_from_codes(codes, labels) == 1
    monkeypatch.setattr(codes_module, "PROBED_CLASSES", 3)
    assert class_from_codes(codes, labels) < 1


def test_only_the_first_codes_of_a_class_are_read():
    codes, labels = blobs(PROBED + 30, apart=20)
    rank = np.arange(len(labels)) % (PROBED + 30)
    codes[rank >= PROBED] = 1e3
    assert class_from_codes(codes, labels) == 1
    codes[rank == PROBED - 1] = 1e3
    assert class_from_codes(codes, labels) < 1
