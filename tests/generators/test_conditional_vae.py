"""ConditionalVAE: what each way of sampling makes of codes, and what each option does."""

import copy

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from synthaug.core import Draws, InputError, Session, StepDraws
from synthaug.data import LabelledImages, to_float
from synthaug.generators import ConditionalVAE, load_generator
from synthaug.generators.latents import class_from_codes, draw_from_mixtures
from synthaug.generators.learning.losses import dependence, structural_dissimilarity
from synthaug.generators.learning.stacked import stack
from synthaug.generators.learning.training_set import TrainingSet

LABELS = np.arange(20) % 3
TINY = {"steps": 3, "latent": 3, "width": 4, "batch_size": 8}
SMALL = {"steps": 30, "latent": 4, "width": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def trained_once(data):
    return ConditionalVAE(**SMALL).fit(data, device="cpu")


@pytest.fixture
def trained(trained_once):
    """A copy whose settings a test may change."""
    return copy.copy(trained_once)


@pytest.fixture(scope="module")
def of_class_priors_once(data):
    """Trained a little, and then given priors that are far apart."""
    generator = ConditionalVAE(prior="class", **SMALL).fit(data, device="cpu")
    weight = generator.networks[0]["prior"].embed.weight
    values = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        weight.copy_(values)
    return generator


@pytest.fixture
def of_class_priors(of_class_priors_once):
    return copy.copy(of_class_priors_once)


@pytest.fixture(scope="module")
def per_class_once(data):
    return ConditionalVAE(scope="per-class", **TINY).fit(data, device="cpu")


@pytest.fixture
def per_class(per_class_once):
    return copy.copy(per_class_once)


def plan_of(generator, labels=LABELS, seed=0):
    return generator.plan(labels, Draws(seed, len(labels)))


@torch.no_grad()
def encode(generator, data, which):
    """The codes of some images."""
    images, labels = to_float(data.images[which]), torch.as_tensor(data.labels[which])
    return generator.networks[0]["encoder"](images, labels)[0]


@torch.no_grad()
def decode(generator, codes, labels=LABELS):
    return generator.networks[0]["decoder"](torch.as_tensor(codes), torch.as_tensor(labels))


def nearly(samples, floats):
    """Equal but for the rounding to integers."""
    return (to_float(samples.images) - floats.clamp(0, 1)).abs().max().item() < 0.6 / 255


def weights(generator):
    return torch.cat([value.flatten() for value in generator.networks.parameters()])


# Ways of sampling.


def test_step_of_nothing_returns_the_image(trained, data):
    trained.strength = (0.0, 0.0)
    image = plan_of(trained)["image"]
    np.testing.assert_array_equal(trained.sample(LABELS).images, data.images[image])


@pytest.mark.parametrize("strength", [(0.5, 1.0), (1.5, 2.0)])
def test_nuisance_swap_formula(trained, data, strength):
    trained.strength = strength
    plan = plan_of(trained)
    za, zb = (encode(trained, data, plan[which]) for which in ("image", "donor"))
    t = torch.as_tensor(plan["strength"])[:, None]
    a = to_float(data.images[plan["image"]])
    change = decode(trained, za + t * (zb - za)) - decode(trained, za)
    assert change.abs().max() > 0.01  # it does something that can be seen
    assert nearly(trained.sample(LABELS), a + change)


def test_interpolation_runs_from_one_code_to_the_other_and_on(trained, data):
    trained.sampling = "interpolate"
    plan = plan_of(trained)
    assert (data.labels[plan["donor"]] == LABELS).all()
    za, zb = (encode(trained, data, plan[which]) for which in ("image", "donor"))
    for strength, code in ((0.0, za), (0.5, (za + zb) / 2), (1.0, zb), (2.0, 2 * zb - za)):
        trained.strength = (strength, strength)
        assert nearly(trained.sample(LABELS), decode(trained, code))


def test_jitter_is_noise_around_the_code(trained, data):
    trained.sampling = "jitter"
    plan = plan_of(trained)
    noise = torch.as_tensor(plan["noise"] * plan["strength"][:, None])
    code = encode(trained, data, plan["image"])
    assert nearly(trained.sample(LABELS), decode(trained, code + noise))


def test_samples_of_the_prior_are_decoded_normal_numbers(trained):
    trained.sampling = "prior"
    code = Draws(5, len(LABELS)).normal("z", 4)
    assert nearly(trained.sample(LABELS, seed=5), decode(trained, code))


def test_samples_of_a_mixture_are_decoded_draws(trained, data):
    trained.sampling = "mixture"
    codes = encode(trained, data, np.arange(len(data))).numpy()
    rows = draw_from_mixtures(codes, data.labels, LABELS, Draws(5, len(LABELS)))
    assert nearly(trained.sample(LABELS, seed=5), decode(trained, rows))


def test_codes_of_a_mixture_do_not_depend_on_autocast(fit_tiny):
    generator = fit_tiny("ConditionalVAE", dtype=np.uint16, sampling="mixture", steps=1)
    with torch.autocast("cpu", torch.bfloat16):
        within = generator.sample(LABELS, seed=5).images
    np.testing.assert_array_equal(within, generator.sample(LABELS, seed=5).images)


def test_each_way_of_sampling_makes_other_images(trained):
    batches = []
    for sampling in ("nuisance-swap", "interpolate", "jitter", "mixture", "prior"):
        trained.sampling = sampling
        batches.append(trained.sample(LABELS).images)
    for index, images in enumerate(batches):
        for other in batches[:index]:
            assert (images != other).any(axis=(1, 2, 3)).mean() > 0.8


# The contract's tests see the default alone. uint16 shows the last bits of a float.
@pytest.mark.parametrize("scope", ["shared", "per-class"])
@pytest.mark.parametrize("sampling", ["interpolate", "jitter", "mixture", "prior"])
def test_an_item_depends_on_nothing_but_seed_place_and_label(sampling, scope, fit_tiny):
    generator = fit_tiny("ConditionalVAE", dtype=np.uint16, sampling=sampling, scope=scope, steps=1)
    labels = np.arange(70) % 3
    images = generator.sample(labels, seed=3).images
    np.testing.assert_array_equal(generator.sample(labels, seed=3, batch_size=1).images, images)
    np.testing.assert_array_equal(generator.sample(labels[:5], seed=3).images, images[:5])
    others = labels.copy()
    others[1::2] = (others[1::2] + 1) % 3
    np.testing.assert_array_equal(generator.sample(others, seed=3).images[::2], images[::2])
    assert (generator.sample(labels, seed=4).images != images).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("sampling", ["mixture", "prior"])
@pytest.mark.parametrize("settings", [{"prior": "class"}, {"scope": "per-class"}], ids=str)
def test_codes_are_drawn_the_same_after_loading(sampling, settings, data, tmp_path):
    generator = ConditionalVAE(sampling=sampling, **settings, **TINY).fit(data, device="cpu")
    generator.save(tmp_path / "saved")
    loaded = load_generator(tmp_path / "saved", device="cpu")
    np.testing.assert_array_equal(loaded.sample(9).images, generator.sample(9).images)


def test_images_are_of_the_class_and_donors_of_any_or_it(trained, data):
    labels = np.zeros(300, np.int64)
    plan = plan_of(trained, labels)
    assert (data.labels[plan["image"]] == 0).all()
    assert set(data.labels[plan["donor"]]) == {0, 1, 2}
    np.testing.assert_array_equal(data.labels[plan["donor"]], plan["donor label"])
    assert 0.5 <= plan["strength"].min() < 0.55 < 0.95 < plan["strength"].max() <= 1
    trained.donors = "within"
    assert set(data.labels[plan_of(trained, labels)["donor"]]) == {0}


# A network of each class.


def test_a_network_of_one_class_borrows_from_it_alone(per_class, data):
    for donors in ("any", "within"):
        per_class.donors = donors
        plan = plan_of(per_class)
        np.testing.assert_array_equal(data.labels[plan["image"]], LABELS)
        np.testing.assert_array_equal(data.labels[plan["donor"]], LABELS)


@pytest.mark.parametrize("sampling", ["interpolate", "mixture", "prior"])
def test_a_class_is_rendered_by_its_own_network(per_class, data, sampling):
    per_class.sampling, per_class.strength = sampling, (1.0, 1.0)
    plan, draws = plan_of(per_class), Draws(0, len(LABELS))
    samples = per_class.sample(LABELS)
    for label, network in enumerate(per_class.networks):
        own, rows = data.labels == label, label == LABELS
        with torch.inference_mode():
            codes, _ = network["encoder"](
                to_float(data.images[own]), torch.zeros(own.sum(), dtype=torch.int64)
            )
            if sampling == "prior":
                code = draws.normal("z", 3)[rows]
            elif sampling == "mixture":
                mixed = draw_from_mixtures(codes.numpy(), LABELS[:4] * 0, LABELS * 0, draws)
                code = mixed[rows]
            else:
                code = codes[plan["donor"][rows] - np.flatnonzero(own)[0]]
            decoded = network["decoder"](
                torch.as_tensor(code), torch.zeros(rows.sum(), dtype=torch.int64)
            )
        assert np.abs(samples.images[rows] / 255 - decoded.numpy()).max() < 0.6 / 255


# Priors of classes.


def test_priors_start_at_the_standard_one(data):
    images = {}
    for prior in ("standard", "class"):
        generator = ConditionalVAE(prior=prior, **TINY).fit(data, device="cpu")
        with torch.random.fork_rng():
            torch.manual_seed(0)
            untrained = generator.build((1, 8, 8), 3)
        generator.networks = torch.nn.ModuleList(untrained).eval()
        for sampling in ("nuisance-swap", "jitter", "mixture", "prior"):
            generator.sampling = sampling
            images[prior, sampling] = generator.sample(LABELS).images
    for sampling in ("nuisance-swap", "jitter", "mixture", "prior"):
        np.testing.assert_array_equal(images["class", sampling], images["standard", sampling])


@pytest.mark.parametrize("scope", ["shared", "per-class"])
def test_priors_learn(data, scope):
    generator = ConditionalVAE(prior="class", scope=scope, **TINY).fit(data, device="cpu")
    learned = torch.cat([network["prior"].embed.weight for network in generator.networks])
    assert learned.shape == (3, 6)
    assert (learned != 0).all()
    assert (learned[0] != learned[1]).all()


def priors(generator, labels):
    """Mean and standard deviation of the prior of each of `labels`, (M, Z)."""
    weight = generator.networks[0]["prior"].embed.weight.detach()[torch.as_tensor(labels)]
    return weight[:, :4], torch.exp(0.5 * weight[:, 4:])


def test_a_swap_of_an_image_with_itself_returns_the_image(of_class_priors, data):
    of_class_priors.donors, of_class_priors.strength = "within", (1.0, 3.0)
    plan, samples = plan_of(of_class_priors), of_class_priors.sample(LABELS)
    alone = plan["image"] == plan["donor"]
    assert 0 < alone.sum() < len(LABELS)
    image = data.images[plan["image"]]
    np.testing.assert_array_equal(samples.images[alone], image[alone])
    assert (samples.images[~alone] != image[~alone]).any(axis=(1, 2, 3)).all()


def test_a_swap_is_relative_to_the_priors_of_both_classes(of_class_priors, data):
    of_class_priors.strength = (1.0, 1.0)
    plan = plan_of(of_class_priors)
    za, zb = (encode(of_class_priors, data, plan[which]) for which in ("image", "donor"))
    mean_a, spread_a = priors(of_class_priors, LABELS)
    mean_b, spread_b = priors(of_class_priors, plan["donor label"])
    there = mean_a + spread_a * (zb - mean_b) / spread_b
    change = decode(of_class_priors, there) - decode(of_class_priors, za)
    expected = to_float(data.images[plan["image"]]) + change
    assert nearly(of_class_priors.sample(LABELS), expected)


def test_the_prior_of_a_class_is_drawn_from(of_class_priors):
    of_class_priors.sampling = "prior"
    mean, spread = priors(of_class_priors, LABELS)
    noise = torch.as_tensor(Draws(0, len(LABELS)).normal("z", 4))
    assert nearly(of_class_priors.sample(LABELS), decode(of_class_priors, mean + spread * noise))


# Training.


def lessons_of(data, scope="shared"):
    return TrainingSet(data, scope, Session(0, torch.device("cpu")), {})


@pytest.mark.parametrize(
    ("kl_warmup", "expected"),
    [
        (0.0, [1.0] * 8),
        (0.05, [1.0] * 8),  # over before the first step is
        (0.5, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]),
        (1.0, [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]),
    ],
)
def test_weight_of_the_divergence_rises_and_stays(data, kl_warmup, expected):
    generator = ConditionalVAE(**{**TINY, "steps": 8}, kl_weight=0.4, kl_warmup=kl_warmup)
    batches = generator._batches(lessons_of(data))
    weights = [batches(step).kl_weight for step in range(8)]
    np.testing.assert_allclose(weights, 0.4 * np.array(expected))


@pytest.mark.parametrize("prior", ["standard", "class"])
@pytest.mark.parametrize(("scope", "networks"), [("shared", 1), ("per-class", 3)])
def test_loss_against_its_parts(data, prior, scope, networks):
    independence = 11.0 if scope == "shared" else 0.0
    generator = ConditionalVAE(
        **TINY, prior=prior, scope=scope, independence=independence, l1=0.3, mse=5, bce=0.7, ssim=2
    )
    torch.manual_seed(0)
    built = [generator._network((1, 8, 8), 3 // networks) for _ in range(networks)]
    module = stack(built).eval()
    if prior == "class":
        for value in module["prior"].parameters():
            torch.nn.init.normal_(value)
    batch = generator._batches(lessons_of(data, scope))(0)
    labels = batch.labels
    mean, log_variance = module["encoder"](batch.images, labels)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(1))
    codes = mean + torch.exp(log_variance / 2) * noise
    p = Normal(0.0, 1.0)
    if prior == "class":
        centre, spread = module["prior"](labels)
        p = Normal(centre, torch.exp(spread / 2))
    kl = kl_divergence(Normal(mean, torch.exp(log_variance / 2)), p)
    means = torch.stack([block.mean(0) for block in kl.chunk(networks)])
    generator.free_bits = means.quantile(0.3).item()  # some are below it and some above

    draws = StepDraws([torch.Generator().manual_seed(1)])
    reconstruction, loss = generator._reconstruct(
        module, batch._replace(draws=draws, kl_weight=0.6), networks
    )
    torch.testing.assert_close(reconstruction, module["decoder"](codes, labels))
    expected = (
        0.6 * means.clamp(min=generator.free_bits).sum() / networks
        + 0.3 * (reconstruction - batch.images).abs().mean()
        + 5 * ((reconstruction - batch.images) ** 2).mean()
        + 0.7 * F.binary_cross_entropy(reconstruction, batch.images.clamp(0, 1))
        + 2 * structural_dissimilarity(reconstruction, batch.images)
    )
    if independence:
        # Of what is swapped: codes beside the prior of their class.
        relative = (codes - p.loc) / p.scale
        expected = expected + independence * dependence(relative, labels)
    torch.testing.assert_close(loss, expected)


@pytest.fixture(scope="module")
def default_weights(data):
    return weights(ConditionalVAE(**TINY).fit(data, device="cpu"))


@pytest.mark.parametrize(
    "setting",
    [
        {"kl_weight": 0.1},
        {"kl_warmup": 0.9},
        {"free_bits": 0.5},
        {"independence": 1.0},
        {"l1": 0.0},
        {"mse": 3.0},
        {"bce": 1.0},
        {"ssim": 0.0},
    ],
    ids=str,
)
def test_each_option_changes_what_is_learned(data, default_weights, setting):
    changed = weights(ConditionalVAE(**TINY, **setting).fit(data, device="cpu"))
    assert (changed - default_weights).abs().max() > 1e-5


def test_what_is_free_however_much_it_is_does_not_count(data):
    free = ConditionalVAE(**TINY, kl_weight=3.0, free_bits=1e6).fit(data, device="cpu")
    without = ConditionalVAE(**TINY, kl_weight=0.0).fit(data, device="cpu")
    assert torch.equal(weights(free), weights(without))


def test_warmup_that_is_over_at_once_does_not_count(data, default_weights):
    generator = ConditionalVAE(**TINY, kl_warmup=0.3).fit(data, device="cpu")
    assert torch.equal(weights(generator), default_weights)


@pytest.mark.parametrize(
    "loss", [{"l1": 2.0}, {"mse": 10.0}, {"bce": 2.0}, {"ssim": 1.0}, {}], ids=str
)
def test_it_learns(data, loss):
    """By each of the reconstruction losses alone, and by those of the default."""
    alone = {"l1": 0.0, "ssim": 0.0, **loss} if loss else {}
    wrong = {}
    for steps in (1, 40):
        generator = ConditionalVAE(
            **{**SMALL, "steps": steps, "width": 4},
            **alone,
            kl_weight=0.0,
            learning_rate=5e-3,
            sampling="interpolate",
            strength=(0.0, 0.0),
        )
        generator.fit(data, device="cpu")
        image = plan_of(generator)["image"]
        samples = generator.sample(LABELS).images.astype(int)
        wrong[steps] = np.abs(samples - data.images[image]).mean()
    assert wrong[40] < 0.75 * wrong[1]


# What the code says of the class.


def test_card_says_how_well_the_class_is_read_from_codes(trained, per_class, data):
    codes = encode(trained, data, np.arange(len(data))).numpy()
    assert trained.metadata["class_from_code"] == class_from_codes(codes, data.labels)
    # A network that knows one class has nothing to tell apart.
    assert "class_from_code" not in per_class.metadata


def test_codes_that_the_card_speaks_of_are_relative_to_the_prior(of_class_priors, data):
    codes = of_class_priors._codes(data)
    mean, spread = priors(of_class_priors, data.labels)
    expected = (encode(of_class_priors, data, np.arange(len(data))) - mean) / spread
    np.testing.assert_allclose(codes, expected, rtol=1e-4, atol=1e-5)


def test_many_codes_are_those_of_each_image(per_class, trained, data):
    """More images than are encoded at once, in no order."""
    which = np.random.default_rng(0).integers(0, len(data), 600)
    for generator in (per_class, trained):
        few = generator._codes(data)
        generator._training_data = data.subset(which)
        many = generator._codes(generator._training_data)
        np.testing.assert_allclose(many, few[which], rtol=1e-4, atol=1e-5)


def test_independence_hides_the_class():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 12)
    brightness = (60 + 60 * labels)[:, None, None, None]
    images = (brightness + rng.integers(-59, 60, (36, 1, 8, 8))).astype(np.uint8)
    data = LabelledImages(images, labels, ["dark", "grey", "bright"])
    accuracy = {}
    for independence in (0.0, 3.0):
        generator = ConditionalVAE(
            steps=60,
            latent=2,
            width=2,
            batch_size=16,
            kl_weight=0.0,
            ssim=0.0,
            independence=independence,
        )
        generator.fit(data, seed=3, device="cpu")
        accuracy[independence] = generator.metadata["class_from_code"]
    # So for each of ten seeds; for this one 1.0 and 0.5.
    assert accuracy[3.0] < accuracy[0.0] - 0.2


# Settings.


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "sampling",
            "random",
            "expected 'nuisance-swap' or 'interpolate' or 'jitter' or 'mixture' or 'prior', "
            "got 'random'",
        ),
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
        ("kl_warmup", -0.1),
        ("kl_warmup", 1.1),
        ("free_bits", -1),
        ("free_bits", float("inf")),
        ("prior", "flat"),
        ("independence", -2.0),
        ("l1", -1),
        ("mse", "much"),
        ("bce", True),
        ("ssim", float("nan")),
        ("learning_rate", 0),
        ("learning_rate", "fast"),
    ],
)
def test_training_settings_are_checked(data, name, value):
    with pytest.raises(InputError, match=f"^{name}: expected .*, got "):
        ConditionalVAE(**{name: value}).fit(data)


def test_something_must_be_reconstructed(data):
    with pytest.raises(InputError, match=r"^l1, mse, bce, ssim: expected at least one above 0"):
        ConditionalVAE(l1=0.0, ssim=0).fit(data)


def test_independence_of_a_single_class_is_refused(data):
    with pytest.raises(InputError, match=r"^independence: .* expected 0 with scope='per-class'"):
        ConditionalVAE(independence=1.0, scope="per-class").fit(data)
