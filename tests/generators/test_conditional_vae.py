import numpy as np
import pytest
import torch

from synthaug.errors import InputError
from synthaug.generators import ConditionalVAE
from synthaug.images import to_float
from synthaug.seeding import Draws

LABELS = np.arange(20) % 3


@pytest.fixture(scope="module")
def trained(data):
    return ConditionalVAE(steps=30, latent=4, width=8, batch_size=8).fit(data, device="cpu")


@pytest.fixture(autouse=True)
def default_sampling(trained):
    yield
    trained.sampling, trained.donors, trained.strength = "nuisance-swap", "any", (0.5, 1.0)


@pytest.fixture
def parts(trained, data):
    """The plan of some items, and encode and decode of the trained network."""
    encoder, decoder = trained._module["encoder"], trained._module["decoder"]
    plan = trained._plan(LABELS, Draws(0, len(LABELS)))

    @torch.no_grad()
    def encode(which):
        labels = torch.as_tensor(data.labels[which])
        return encoder(to_float(data.images[which]), labels)[0]

    @torch.no_grad()
    def decode(z):
        return decoder(z, torch.as_tensor(LABELS))

    return plan, encode, decode


def nearly(samples, floats):
    """Equal but for the rounding to integers."""
    return (to_float(samples.images) - floats.clamp(0, 1)).abs().max().item() < 0.6 / 255


def test_step_of_nothing_returns_the_image(trained, data):
    trained.strength = (0.0, 0.0)
    image = trained._plan(LABELS, Draws(0, len(LABELS)))["image"]
    np.testing.assert_array_equal(trained.sample(LABELS).images, data.images[image])


def test_nuisance_swap_formula(trained, data, parts):
    plan, encode, decode = parts
    za, zb = encode(plan["image"]), encode(plan["donor"])
    t = torch.as_tensor(plan["strength"])[:, None]
    a = to_float(data.images[plan["image"]])
    assert nearly(trained.sample(LABELS), a + decode(za + t * (zb - za)) - decode(za))


def test_interpolation_runs_from_one_code_to_the_other(trained, data, parts):
    _, encode, decode = parts
    trained.sampling, trained.strength = "interpolate", (1.0, 1.0)
    plan = trained._plan(LABELS, Draws(0, len(LABELS)))
    assert (data.labels[plan["donor"]] == LABELS).all()
    assert nearly(trained.sample(LABELS), decode(encode(plan["donor"])))
    trained.strength = (0.0, 0.0)
    assert nearly(trained.sample(LABELS), decode(encode(plan["image"])))


def test_jitter_is_noise_around_the_code(trained, parts):
    _, encode, decode = parts
    trained.sampling = "jitter"
    plan = trained._plan(LABELS, Draws(0, len(LABELS)))
    noise = torch.as_tensor(plan["noise"] * plan["strength"][:, None])
    assert nearly(trained.sample(LABELS), decode(encode(plan["image"]) + noise))


def test_images_are_of_the_wanted_class_and_donors_of_any_or_the_same(trained, data):
    labels = np.zeros(300, np.int64)
    plan = trained._plan(labels, Draws(0, 300))
    assert (data.labels[plan["image"]] == 0).all()
    assert set(data.labels[plan["donor"]]) == {0, 1, 2}
    np.testing.assert_array_equal(data.labels[plan["donor"]], plan["donor label"])
    assert 0.5 <= plan["strength"].min() < 0.55 < 0.95 < plan["strength"].max() <= 1
    trained.donors = "within"
    assert set(data.labels[trained._plan(labels, Draws(0, 300))["donor"]]) == {0}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sampling", "prior", "expected 'nuisance-swap' or 'interpolate' or 'jitter', got 'prior'"),
        ("donors", "all", "expected 'any' or 'within', got 'all'"),
        ("strength", (1.0, 0.5), r"expected \(low, high\) with 0 <= low <= high"),
        ("strength", 0.5, r"expected \(low, high\)"),
    ],
)
def test_sampling_settings_are_checked_at_sampling_too(trained, data, name, value, expected):
    setattr(trained, name, value)
    with pytest.raises(InputError, match=f"{name}: {expected}"):
        trained.sample(1)
    with pytest.raises(InputError, match=f"{name}: {expected}"):
        ConditionalVAE(**{name: value}).fit(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("latent", 2.5),
        ("width", -1),
        ("batch_size", 1),
        ("kl_weight", -0.1),
        ("kl_weight", float("nan")),
        ("learning_rate", 0),
        ("learning_rate", "fast"),
    ],
)
def test_training_settings_are_checked(data, name, value):
    with pytest.raises(InputError, match=f"^{name}: expected .*, got "):
        ConditionalVAE(**{name: value}).fit(data)


def test_it_learns(data):
    losses = {}
    for steps in (1, 60):
        generator = ConditionalVAE(
            steps=steps, latent=4, width=8, batch_size=12, sampling="interpolate", kl_weight=0.0
        )
        generator.strength = (0.0, 0.0)
        generator.fit(data, device="cpu")
        image = generator._plan(LABELS, Draws(0, len(LABELS)))["image"]
        made = generator.sample(LABELS).images.astype(int)
        losses[steps] = np.abs(made - data.images[image]).mean()
    assert losses[60] < 0.7 * losses[1]
