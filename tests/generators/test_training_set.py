"""Which real images a network learns from together, and with which random numbers."""

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from synthaug.core import Session, StepDraws, jitter, torch_stream
from synthaug.data import LabelledImages, to_float
from synthaug.generators.learning import trained, training_set
from synthaug.generators.learning.stacked import unstack
from synthaug.generators.learning.training_set import TrainingSet

LABELS = np.array([2, 0, 1, 0, 2, 2, 0, 3])  # classes 1 and 3 have one image each
NAMES = ["a", "b", "c", "d"]
CPU = torch.device("cpu")


def lessons(scope, labels=LABELS, classes=NAMES, seed=0):
    """Images that are all one value, their index."""
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None].repeat(8, 2).repeat(8, 3)
    return TrainingSet(LabelledImages(images, labels, classes), scope, Session(seed, CPU), {})


@pytest.fixture
def shared():
    return lessons("shared")


@pytest.fixture
def apart():
    return lessons("per-class")


def seeded(*seeds):
    return StepDraws([torch.Generator().manual_seed(seed) for seed in seeds])


def shares(drawn, among):
    return np.bincount(drawn, minlength=8)[among] / len(drawn)


def nearly_even(counted, draws):
    share = 1 / len(counted)
    return np.abs(counted - share).max() <= 4 * np.sqrt(share * (1 - share) / draws)


def test_a_shared_network_draws_all_images_evenly(shared):
    places = shared.any(seeded(0), 8000)
    assert places.shape == (8000,) and places.dtype == torch.int64
    assert nearly_even(shares(places, range(8)), 8000)


def test_balanced_draws_classes_evenly_and_images_within_them(shared):
    places = shared.draw_balanced(seeded(0), 8000)
    labels = LABELS[places]
    assert nearly_even(np.bincount(labels) / 8000, 8000)
    for label in range(4):
        own = np.flatnonzero(label == LABELS)
        of_class = places[labels == label]
        assert nearly_even(shares(of_class, own), len(of_class))


@pytest.mark.parametrize("method", ["any", "draw_balanced"])
def test_networks_of_one_class_draw_blocks_of_their_own_evenly(apart, method):
    places = getattr(apart, method)(seeded(0, 1, 2, 3), 2000).view(4, 2000)
    for label, block in enumerate(places):
        own = np.flatnonzero(label == LABELS)
        assert set(block.tolist()) == set(own)
        assert nearly_even(shares(block, own), 2000)


@pytest.mark.parametrize("method", ["any", "draw_balanced"])
def test_a_network_draws_the_same_alone(apart, method):
    whole = getattr(apart, method)(seeded(4, 5, 6, 7), 50).view(4, 50)
    alone = lessons("per-class", LABELS[LABELS == 2] * 0, ["c"])
    places = getattr(alone, method)(seeded(6), 50)
    assert torch.equal(torch.as_tensor(np.flatnonzero(LABELS == 2))[places], whole[2])


@pytest.mark.parametrize("scope", training_set.SCOPES)
def test_another_is_never_the_same_and_each_other_is_as_likely(scope):
    # One network's draws for all: which image is another one has nothing to do with the network.
    first = torch.tensor([0, 1, 3, 4, 5, 6]).repeat(1000)
    other = lessons(scope).another(seeded(0), first)
    assert (other != first).all()
    assert (LABELS[other] == LABELS[first]).all()
    assert nearly_even(shares(other[first == 4], [0, 5]), 1000)
    assert nearly_even(shares(other[first == 1], [3, 6]), 1000)


def test_an_image_alone_in_its_class_is_its_own_company(shared):
    assert shared.another(seeded(0), torch.tensor([7, 2, 7])).tolist() == [7, 2, 7]


def test_labels_as_the_networks_know_them(shared, apart):
    places = torch.tensor([0, 2, 7, 1])
    assert shared.labels(places).tolist() == [2, 1, 3, 0]
    assert apart.labels(places).tolist() == [0, 0, 0, 0]
    assert (shared.networks, shared.classes) == (1, 4)
    assert (apart.networks, apart.classes) == (4, 1)


def test_shown_are_the_images_as_floats(shared):
    images = shared.images(torch.tensor([7, 0, 3]))
    assert images.shape == (3, 1, 8, 8) and images.dtype == torch.float32
    torch.testing.assert_close(images[:, 0, 0, 0] * 255, torch.tensor([7.0, 0, 3]))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_are_to_the_last_bit_those_of_the_set(dtype, channels_last):
    """And laid out alike, since convolutions sum in another order where they are not."""
    rng = np.random.default_rng(0)
    stored = rng.integers(0, np.iinfo(dtype).max, (8, 3, 9, 11), dtype, endpoint=True)
    if channels_last:
        stored = np.ascontiguousarray(stored.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    some = TrainingSet(LabelledImages(stored, LABELS, NAMES), "shared", Session(0, CPU), {})
    rows = torch.tensor([7, 0, 0, 3])
    images, expected = some.images(rows), to_float(stored)[rows]
    assert torch.equal(images, expected) and images.dtype == torch.float32
    assert images.stride() == expected.stride()


@pytest.mark.parametrize(("white", "share"), [(None, 1.0), (8191, 4095 / 8191)])
def test_shown_are_shares_of_white(white, share):
    """Of the bits that share use, or that those of all classes do."""
    stored = np.full((8, 1, 8, 8), 4095, np.uint16)
    some = TrainingSet(LabelledImages(stored, LABELS, NAMES), "shared", Session(0, CPU), {}, white)
    assert some.images(torch.tensor([7])).unique().item() == pytest.approx(share)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_set_takes_no_more_room_than_it_does_stored(dtype):
    stored = np.zeros((8, 1, 8, 8), dtype)
    some = TrainingSet(LabelledImages(stored, LABELS, NAMES), "shared", Session(0, CPU), {})
    assert some._images.nbytes == stored.nbytes
    elsewhere = Session(0, torch.device("meta"))  # as on a GPU
    some = TrainingSet(LabelledImages(stored, LABELS, NAMES), "shared", elsewhere, {})
    assert some._images.nbytes == stored.nbytes and some._images.device.type == "meta"
    images = some.images(torch.zeros(2, dtype=torch.int64))
    assert images.dtype == torch.float32 and images.device.type == "meta"


@pytest.mark.parametrize("scope", training_set.SCOPES)
def test_torchs_default_device_changes_neither_weights_nor_draws(scope):
    def weights_of():
        some = lessons(scope)
        weights = some.build("build", lambda names: nn.Linear(2, 3)).state_dict()
        with torch_stream(0, "step", 1):
            draws = some.draws(1)
            rows = (
                some.any(draws, 4),
                some.draw_balanced(draws, 4),
                draws.normal(4 * some.networks, 2),
            )
            return [*weights.values(), *rows, *some.jitter_alike(draws, rows[0])]

    with torch.device("meta"):  # as torch.set_default_device("cuda")
        first = weights_of()
    assert all(torch.equal(one, other) for one, other in zip(first, weights_of(), strict=True))


@pytest.mark.parametrize("scope", training_set.SCOPES)
def test_jittered_keep_their_order(scope):
    """A jitter moves nothing in images of one value."""
    some = lessons(scope)
    first, second = torch.tensor([1, 3, 2, 2, 0, 4, 7, 7]), torch.tensor([3, 6, 2, 2, 5, 0, 7, 7])
    draws = seeded(*range(some.networks))
    for images, places in zip(
        some.jitter_alike(draws, first, second), (first, second), strict=True
    ):
        torch.testing.assert_close(images, some.images(places))


def test_a_jittered_block_is_the_same_alone(data):
    whole = TrainingSet(data, "per-class", Session(0, CPU), {})
    some = torch.arange(12)
    (moved,) = whole.jitter_alike(seeded(4, 5, 6), some)
    again = jitter(whole.images(some[4:8]), seeded(5), angle=0.09, zoom=0.05, shift=0.1)
    torch.testing.assert_close(moved[4:8], again)
    assert (moved - whole.images(some)).abs().mean() > 0.01


def build(some, name="build"):
    return unstack(some.build(name, lambda names: nn.Linear(3, len(names) + 1)), some.networks)


def test_networks_are_made_for_the_classes_that_they_know(shared, apart):
    for some, expected in ((shared, [tuple(NAMES)]), (apart, [(name,) for name in NAMES])):
        calls = []
        some.build("build", lambda names, calls=calls: calls.append(names) or nn.Linear(3, 1))
        assert [tuple(names) for names in calls] == expected
    (network,) = build(shared)
    assert network.weight.shape == (5, 3)
    with torch_stream(0, "build"):
        assert torch.equal(network.weight, nn.Linear(3, 5).weight)


def test_initial_weights_follow_seed_purpose_and_class(apart):
    networks = dict(zip(NAMES, build(apart), strict=True))
    weights = [network.weight for network in networks.values()]
    assert all(weight.shape == (2, 3) for weight in weights)
    assert len({weight[0, 0].item() for weight in weights}) == 4
    others = lessons("per-class", np.array([0, 1, 0, 1]), ["d", "b"])
    for name, network in zip(["d", "b"], build(others), strict=True):
        assert torch.equal(network.weight, networks[name].weight)
    for changed in (build(apart, "discriminator"), build(lessons("per-class", seed=1))):
        assert not any(torch.equal(a.weight, b) for a, b in zip(changed, weights, strict=True))


def test_numbers_of_a_step_follow_seed_step_and_class(apart):
    def numbers(some, step=3):
        return some.draws(step).normal(2 * some.networks, 5).view(some.networks, 2, 5)

    whole = numbers(apart)
    assert torch.equal(numbers(apart), whole)
    others = lessons("per-class", np.array([0, 1, 0, 1]), ["d", "b"])
    assert torch.equal(numbers(others), whole[[3, 1]])
    different = [numbers(apart, step=4), numbers(lessons("per-class", seed=1))]
    distinct = torch.cat([whole, *different]).flatten(1).unique(dim=0)
    assert len(distinct) == 12


def test_numbers_of_a_shared_step_are_the_global_ones(shared):
    torch.manual_seed(3)
    expected = torch.randn(4, 2)
    torch.manual_seed(3)
    assert torch.equal(shared.draws(0).normal(4, 2), expected)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)], ids=str)
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_a_block_of_numbers_is_its_networks_own(kind, shape):
    both = getattr(seeded(1, 2), kind)(10, *shape)
    assert both.shape == (10, *shape) and both.dtype == torch.float32
    assert torch.equal(both[:5], getattr(seeded(1), kind)(5, *shape))
    assert torch.equal(both[5:], getattr(seeded(2), kind)(5, *shape))
    assert not torch.equal(both[:5], both[5:])


def test_a_block_of_integers_is_its_networks_own():
    both = seeded(1, 2).integers(2000, [3, 7]).view(2, 1000)
    for block, seed, below in zip(both, (1, 2), (3, 7), strict=True):
        assert torch.equal(block, seeded(seed).integers(1000, below))
        assert set(block.tolist()) == set(range(below))


def test_numbers_of_a_step_have_their_distributions():
    draws = seeded(0, 1)
    uniform, normal = draws.uniform(20000), draws.normal(20000)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert uniform.mean().item() == pytest.approx(0.5, abs=0.01)
    assert uniform.std().item() == pytest.approx(12**-0.5, abs=0.01)
    assert normal.mean().item() == pytest.approx(0, abs=0.03)
    assert normal.std().item() == pytest.approx(1, abs=0.03)


def test_nothing_of_a_set_stays_after_a_fit(data, trained_family, tiny, monkeypatch):
    """On a GPU it would take the room of the next one until the collector comes by."""
    references = []

    def noted(*arguments):
        some = TrainingSet(*arguments)
        references.append(weakref.ref(some))
        return some

    monkeypatch.setattr(trained, "TrainingSet", noted)
    gc.collect()
    gc.disable()
    try:
        tiny(trained_family).fit(data, device="cpu")
        assert [some() for some in references] == [None]
    finally:
        gc.enable()
