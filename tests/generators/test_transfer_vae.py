"""TransferVAE: where differences come from, how strong they are and how they are chained."""

import copy

import numpy as np
import pytest
import torch

from synthaug.core import Draws, InputError
from synthaug.data import to_float
from synthaug.generators import TransferVAE, load_generator
from synthaug.generators.transfer_vae import apply_difference

LABELS = np.arange(20) % 3
TINY = {"steps": 2, "batch_size": 4, "latent": 3}


def changing(generator):
    """With decoders that change much, as those that have learned do and new ones do not."""
    torch.manual_seed(0)
    for network in generator.networks:
        torch.nn.init.normal_(network["decoder"].head.weight, std=0.5)
    return generator


@pytest.fixture(scope="module")
def fitted_once(data):
    return {
        scope: changing(TransferVAE(**TINY, scope=scope).fit(data, device="cpu"))
        for scope in ("shared", "per-class")
    }


@pytest.fixture
def trained(fitted_once):
    """A copy whose settings a test may change."""
    return copy.copy(fitted_once["shared"])


@pytest.fixture
def per_class(fitted_once):
    return copy.copy(fitted_once["per-class"])


def plan_of(generator, labels=LABELS, seed=0):
    return generator.plan(labels, Draws(seed, len(labels)))


def change(generator, image, z, strength, label=0):
    """Images (B, C, H, W) after a difference of code `z`, each field scaled by its column of
    `strength` (B, 3)."""
    network = generator.networks[label]
    with torch.no_grad():
        fields = network["decoder"](image, torch.as_tensor(z))
    scales = torch.as_tensor(strength).T[..., None, None, None]
    return apply_difference(image, *(s * f for s, f in zip(scales, fields, strict=True)))


def code(generator, data, first, second, label=0):
    network = generator.networks[label]
    with torch.no_grad():
        return network["encoder"](to_float(data.images[first]), to_float(data.images[second]))[0]


def threefold(strength):
    return np.repeat(strength[:, None], 3, axis=1)


def nearly(images, floats):
    """Equal but for the rounding to integers."""
    return (to_float(images) - floats.clamp(0, 1)).abs().max().item() < 0.6 / 255


def test_samples_are_images_changed_as_another_pair_differs(trained, data):
    plan = plan_of(trained)
    assert set(plan) == {"image", "from", "to", "strength"}
    image = to_float(data.images[plan["image"]])
    z = code(trained, data, plan["from"], plan["to"])
    expected = change(trained, image, z, threefold(plan["strength"]))
    assert (expected - image).abs().mean() > 0.02
    assert nearly(trained.sample(LABELS).images, expected)


def test_samples_of_the_prior_need_no_pair(trained, data):
    trained.sampling = "prior"
    plan = plan_of(trained, seed=5)
    assert set(plan) == {"image", "z", "strength"}
    z = Draws(5, len(LABELS)).normal("z", 3)
    image = to_float(data.images[plan["image"]])
    expected = change(trained, image, z, threefold(plan["strength"]))
    assert nearly(trained.sample(LABELS, seed=5).images, expected)


def test_the_image_is_the_same_one_however_differences_are_taken(trained, data):
    expected = plan_of(trained)["image"]
    assert (data.labels[expected] == LABELS).all()
    for settings in ({"sampling": "prior"}, {"apart": True}, {"chain": 3}, {"donors": "within"}):
        other = copy.copy(trained)
        vars(other).update(settings)
        np.testing.assert_array_equal(plan_of(other)["image"], expected)


@pytest.mark.parametrize("sampling", ["pairs", "prior"])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("chain", [1, 2])
def test_no_strength_is_no_change(trained, data, sampling, apart, chain):
    trained.sampling, trained.apart, trained.chain = sampling, apart, chain
    trained.strength = (0.0, 0.0)
    image = plan_of(trained)["image"]
    np.testing.assert_array_equal(trained.sample(LABELS).images, data.images[image])


def test_equal_strengths_apart_are_one_strength(trained):
    trained.strength = (0.7, 0.7)
    together = trained.sample(LABELS).images
    trained.apart = True
    np.testing.assert_array_equal(trained.sample(LABELS).images, together)


def test_strengths_apart_are_drawn_for_each_field(trained, data):
    trained.apart = True
    plan = plan_of(trained)
    assert plan["strength"].shape == (20, 3)
    assert 0.4 <= plan["strength"].min() < 0.5 < 1.0 < plan["strength"].max() <= 1.1
    # Independent of each other.
    assert np.abs(np.corrcoef(plan_of(trained, LABELS.repeat(50))["strength"].T)[0, 1:]).max() < 0.1
    image = to_float(data.images[plan["image"]])
    z = code(trained, data, plan["from"], plan["to"])
    expected = change(trained, image, z, plan["strength"])
    assert nearly(trained.sample(LABELS).images, expected)
    swapped = change(trained, image, z, plan["strength"][:, [1, 2, 0]])
    assert not nearly(trained.sample(LABELS).images, swapped)


@pytest.mark.parametrize("field", [0, 1, 2])
def test_each_strength_scales_its_own_field(trained, data, field):
    """Deformation, gain and bias, in this order."""
    plan = {name: torch.as_tensor(value) for name, value in plan_of(trained).items()}
    plan["strength"] = torch.eye(3)[[field] * 20]
    image = to_float(data.images[plan["image"]])
    network = trained.networks[0]
    with torch.no_grad():
        rendered = trained.render(network, plan)
        z, _ = network["encoder"](
            to_float(data.images[plan["from"]]), to_float(data.images[plan["to"]])
        )
        fields = list(network["decoder"](image, z))
    alone = [part if index == field else 0 * part for index, part in enumerate(fields)]
    expected = apply_difference(image, *alone).clamp(0, 1)
    torch.testing.assert_close(rendered, expected, atol=1e-5, rtol=0)
    assert (expected - image).abs().mean() > 0.01


@pytest.mark.parametrize("sampling", ["pairs", "prior"])
@pytest.mark.parametrize("apart", [False, True])
def test_a_chain_of_two_is_one_difference_after_another(trained, data, sampling, apart):
    trained.chain, trained.sampling, trained.apart = 2, sampling, apart
    plan = plan_of(trained)
    image = to_float(data.images[plan["image"]])
    for link in ("", " 1"):
        if sampling == "pairs":
            z = code(trained, data, plan[f"from{link}"], plan[f"to{link}"])
        else:
            z = plan[f"z{link}"]
        strength = plan[f"strength{link}"]
        strength = strength if apart else threefold(strength)
        image = change(trained, image, z, strength).clamp(0, 1)
    assert nearly(trained.sample(LABELS).images, image)


def test_a_longer_chain_begins_like_a_shorter_one(trained, data):
    short = plan_of(trained)
    trained.chain = 3
    long = plan_of(trained)
    for name, value in short.items():
        np.testing.assert_array_equal(long[name], value)
    assert set(long) - set(short) == {
        f"{name} {index}" for name in ("from", "to", "strength") for index in (1, 2)
    }
    # Each link has a pair and a strength of its own, all of the class that lends.
    for name in ("from", "to", "strength"):
        assert (long[name] != long[f"{name} 1"]).mean() > 0.5
        assert (long[f"{name} 1"] != long[f"{name} 2"]).mean() > 0.5
    for index in (1, 2):
        for end in ("from", "to"):
            lending = data.labels[long[f"{end} {index}"]]
            np.testing.assert_array_equal(lending, data.labels[long["from"]])
    trained.sampling = "prior"
    codes = plan_of(trained)
    assert (codes["z"] != codes["z 1"]).all() and (codes["z 1"] != codes["z 2"]).all()


def test_pairs_are_of_one_class_which_may_be_any_or_the_same(trained, data):
    labels = np.zeros(300, np.int64)
    plan = plan_of(trained, labels)
    np.testing.assert_array_equal(data.labels[plan["from"]], data.labels[plan["to"]])
    assert set(data.labels[plan["from"]]) == {0, 1, 2}
    trained.donors = "within"
    assert set(data.labels[plan_of(trained, labels)["from"]]) == {0}


def test_a_network_of_one_class_takes_pairs_of_it_alone(per_class, data):
    per_class.chain = 2
    for donors in ("any", "within"):
        per_class.donors = donors
        plan = plan_of(per_class)
        for name in ("image", "from", "to", "from 1", "to 1"):
            np.testing.assert_array_equal(data.labels[plan[name]], LABELS)


@pytest.mark.parametrize("sampling", ["pairs", "prior"])
def test_a_class_is_rendered_by_its_own_network(per_class, data, sampling):
    per_class.sampling = sampling
    plan, samples = plan_of(per_class), per_class.sample(LABELS)
    image = to_float(data.images[plan["image"]])
    for label in range(3):
        if sampling == "pairs":
            z = code(per_class, data, plan["from"], plan["to"], label)
        else:
            z = plan["z"]
        changed = change(per_class, image, z, threefold(plan["strength"]), label)
        rows = label == LABELS
        assert nearly(samples.images[rows], changed[rows])
        assert not nearly(samples.images[~rows], changed[~rows])


# The contract's tests see the default alone. uint16 shows the last bits of a float.
@pytest.mark.parametrize("scope", ["shared", "per-class"])
@pytest.mark.parametrize("sampling", ["pairs", "prior"])
def test_an_item_depends_on_nothing_but_seed_place_and_label(sampling, scope, fit_tiny):
    generator = fit_tiny(
        "TransferVAE", dtype=np.uint16, sampling=sampling, scope=scope, chain=2, apart=True, steps=1
    )
    labels = np.arange(70) % 3
    images = changing(generator).sample(labels, seed=3).images
    np.testing.assert_array_equal(generator.sample(labels, seed=3, batch_size=1).images, images)
    np.testing.assert_array_equal(generator.sample(labels[:5], seed=3).images, images[:5])
    others = labels.copy()
    others[1::2] = (others[1::2] + 1) % 3
    np.testing.assert_array_equal(generator.sample(others, seed=3).images[::2], images[::2])
    assert (generator.sample(labels, seed=4).images != images).any(axis=(1, 2, 3)).all()


def test_settings_of_sampling_survive_saving(data, tmp_path):
    settings = {"sampling": "prior", "apart": True, "chain": 2, "strength": (1.0, 2.0)}
    generator = TransferVAE(**TINY, **settings).fit(data, device="cpu")
    changing(generator).save(tmp_path / "saved")
    loaded = load_generator(tmp_path / "saved", device="cpu")
    assert loaded == generator
    np.testing.assert_array_equal(loaded.sample(9).images, generator.sample(9).images)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sampling", "nearest", "expected 'pairs' or 'prior', got 'nearest'"),
        ("donors", "all", "expected 'any' or 'within', got 'all'"),
        ("strength", (1.0, 0.5), r"expected \(low, high\) with 0 <= low <= high"),
        ("chain", 0, "expected an integer of at least 1, got 0"),
        ("chain", 1.5, "expected an integer of at least 1, got 1.5"),
        ("chain", True, "expected an integer of at least 1, got True"),
    ],
)
def test_sampling_settings_are_checked_at_sampling_too(trained, data, name, value, expected):
    setattr(trained, name, value)
    with pytest.raises(InputError, match=f"^{name}: {expected}"):
        trained.sample(1)
    with pytest.raises(InputError, match=f"^{name}: {expected}"):
        TransferVAE(**{name: value}).fit(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("latent", 2.5),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("kl_weight", -1),
        ("smoothness", float("nan")),
        ("scope", "each"),
    ],
)
def test_training_settings_are_checked(data, name, value):
    with pytest.raises(InputError, match=f"^{name}: expected .*, got "):
        TransferVAE(**{name: value}).fit(data)
