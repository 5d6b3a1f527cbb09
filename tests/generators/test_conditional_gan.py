"""ConditionalGAN: what it is shown, its options, and the sizes that it fits."""

import json

import numpy as np
import pytest
import torch

from synthaug.core import InputError, optimize
from synthaug.data import LabelledImages
from synthaug.generators import ConditionalGAN, conditional_gan, load_generator
from synthaug.generators.learning import adversary
from synthaug.generators.networks.discriminators import BACKBONES
from synthaug.generators.networks.layers import SelfAttention

# All images augmented from the first step on: adaptive augmentation begins with none.
TINY = {"steps": 3, "latent": 3, "width": 4, "batch_size": 6, "certainty": None}
OPTIONS = [
    {"backbone": "residual"},
    {"attention": True},
    {"backbone": "residual", "attention": True},
    {"conditioning": "concatenation"},
    {"conditioning": "auxiliary"},
    {"loss": "bce"},
    {"loss": "least-squares"},
    {"loss": "wasserstein"},
    {"pack": 1},
    {"augment": ()},
    {"certainty": 0.6},
    {"late": (0.25, 0.75)},
    {"diversity": 0.1},
    {"codes": 2},
    {"r1": 0.1},
    {"clip": 1e-3},
    {"ema": 0.1},
]
SIZES = [(8, 8), (9, 31), (8, 256), (256, 8), (100, 37), (64, 64), (256, 256)]


@pytest.fixture
def caught(monkeypatch):
    """What `ConditionalGAN` hands to the training loop."""
    calls = {}

    def catch(module, phases, batches, schedule, run, **options):
        calls.update(module=module, phases=phases, batches=batches, schedule=schedule, **options)
        return optimize(module, phases, batches, schedule, run, **options)

    monkeypatch.setattr(adversary, "optimize", catch)
    return calls


@pytest.fixture(scope="module")
def plain(data):
    """The default of either scope."""
    return {
        scope: ConditionalGAN(**TINY, scope=scope).fit(data, device="cpu")
        for scope in ("shared", "per-class")
    }


def weights(generator):
    return generator.networks.state_dict()


def differ(first, second):
    first, second = weights(first), weights(second)
    return first.keys() != second.keys() or any(
        not torch.equal(value, second[name]) for name, value in first.items()
    )


def test_batches_are_pairs_of_different_images_of_one_class(caught, data):
    ConditionalGAN(**TINY).fit(data, device="cpu")
    torch.manual_seed(0)
    stored = [image.tobytes() for image in data.images]
    union = set()
    for step in range(100):
        batch = caught["batches"](step)
        places = [
            stored.index((image * 255).round().byte().numpy().tobytes()) for image in batch.real
        ]
        assert data.labels[places].tolist() == batch.labels.tolist()
        pairs = np.reshape(places, (-1, 2))
        assert (pairs[:, 0] != pairs[:, 1]).all()
        assert (data.labels[pairs[:, 0]] == data.labels[pairs[:, 1]]).all()
        union |= set(places)
    assert union == set(range(12))


def test_classes_of_any_size_are_shown_equally_often(caught, data):
    rare, common = data.images[data.labels == 0][:2], data.images[data.labels == 1]
    images = np.concatenate([rare, *[common] * 5])
    uneven = LabelledImages(images, np.repeat([0, 1], [2, 20]), ["rare", "common"])
    ConditionalGAN(**TINY).fit(uneven, device="cpu")
    torch.manual_seed(0)
    labels = torch.cat([caught["batches"](step).labels for step in range(300)])
    # Pairs share a class: half as many draws as images.
    assert labels.float().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / 900**0.5)


def test_two_phases_at_two_rates_and_the_generators_average(caught, data):
    settings = {"generator_rate": 1e-3, "discriminator_rate": 4e-3, "clip": 2.0, "ema": 0.5}
    ConditionalGAN(**TINY | settings).fit(data, device="cpu")
    generator, discriminator = caught["module"]["generator"], caught["module"]["discriminator"]
    assert [phase.name for phase in caught["phases"]] == ["discriminator", "generator"]
    for phase, network, rate in zip(
        caught["phases"], (discriminator, generator), (4e-3, 1e-3), strict=True
    ):
        (group,) = phase.optimizer.param_groups
        assert {id(p) for p in group["params"]} == {id(p) for p in network.parameters()}
        assert phase.optimizer.defaults["lr"] == rate
        assert group["betas"] == (0.0, 0.99)
    assert caught["averaged"] is generator
    assert (caught["clip"], caught["ema_decay"], caught["networks"]) == (2.0, 0.5, 1)


def test_each_phase_moves_its_network_alone(caught, data):
    ConditionalGAN(**TINY).fit(data, device="cpu")
    networks = caught["module"]
    batch = caught["batches"](0)
    for phase, other in zip(caught["phases"], ["generator", "discriminator"], strict=True):
        networks.zero_grad(set_to_none=True)
        phase.loss(batch).backward()
        assert all(p.grad is None for p in networks[other].parameters())
        own = [p.grad for p in networks[phase.name].parameters()]
        assert any(grad is not None and grad.any() for grad in own)


def test_real_and_synthetic_are_augmented_in_both_phases(data, monkeypatch):
    shapes = []

    def count(images, policies, draws):
        shapes.append((len(images), tuple(policies)))
        assert -1 <= images.min() < 0
        return images

    monkeypatch.setattr(adversary, "diff_augment", count)
    ConditionalGAN(**{**TINY, "steps": 1}, augment=("cutout",)).fit(data, device="cpu")
    assert shapes == [(6, ("cutout",))] * 3  # real, synthetic; synthetic


def test_no_image_is_kept(data, tmp_path):
    ConditionalGAN(**TINY).fit(data, device="cpu").save(tmp_path / "generator")
    assert np.load(tmp_path / "generator" / "images.npy").shape == (0, 1, 8, 8)
    loaded = load_generator(tmp_path / "generator", device="cpu")
    assert loaded.metadata["holds_real_images"] is False
    assert loaded.sample(2).images.shape == (6, 1, 8, 8)


def test_noise_and_class_both_matter(plain):
    for generator in plain.values():
        same_class = generator.sample(np.zeros(5, np.int64)).images
        assert len(np.unique(same_class.reshape(5, -1), axis=0)) == 5
        other_class = generator.sample(np.ones(5, np.int64)).images
        assert (same_class != other_class).any()


@pytest.mark.parametrize("scope", ["shared", "per-class"])
@pytest.mark.parametrize("option", OPTIONS, ids=str)
def test_every_option_changes_what_is_learned(data, plain, option, scope):
    generator = ConditionalGAN(**TINY | option, scope=scope).fit(data, device="cpu")
    assert differ(generator, plain[scope])
    assert all(value.isfinite().all() for value in weights(generator).values())
    assert generator.sample(1).images.shape == (3, 1, 8, 8)


def test_the_weight_of_codes_matters(data):
    first, second = (
        ConditionalGAN(**TINY, codes=2, code_weight=weight).fit(data, device="cpu")
        for weight in (0.1, 5.0)
    )
    assert differ(first, second)


@pytest.mark.parametrize("loss", ["hinge", "wasserstein"])
@pytest.mark.parametrize("scope", ["shared", "per-class"])
def test_the_card_says_how_certain_the_discriminator_was(data, loss, scope):
    generator = ConditionalGAN(**TINY, loss=loss, scope=scope).fit(data, device="cpu")
    certainty = json.loads(json.dumps(generator.metadata))["certainty"]
    if loss == "wasserstein":
        assert certainty is None
    else:
        assert -0.03 <= certainty <= 0.03 and certainty != 0  # after three steps


def test_diversity_is_of_pairs_of_one_class(caught, data, monkeypatch):
    calls = []

    def note(images, noise):
        calls.append((images, noise))
        return images.sum() * 0

    monkeypatch.setattr(conditional_gan, "mode_seeking", note)
    ConditionalGAN(**TINY, diversity=0.1).fit(data, device="cpu")
    batch = caught["batches"](0)
    network = caught["module"]["generator"].eval()
    caught["phases"][1].loss(batch)
    images, noise = calls[-1]
    assert len(calls) == 4 and images.requires_grad
    assert noise.shape == (6, 3) and len(noise.unique(dim=0)) == 6
    torch.testing.assert_close(images, network(noise, batch.labels))
    assert torch.equal(batch.labels[::2], batch.labels[1::2])


@pytest.mark.parametrize(
    ("late", "strengths"),
    [
        ((0.0, 0.0), [1, 1, 1, 1, 1]),
        ((0.25, 0.75), [0, 0, 0.5, 1, 1]),
        ((0.0, 1.0), [0, 0.25, 0.5, 0.75, 0.99]),
        ((0.5, 0.5), [0, 0, 1, 1, 1]),
        ((1.0, 1.0), [0, 0, 0, 0, 0]),
        ((0.2, 0.3), [0, 0.5, 1, 1, 1]),
    ],
)
def test_the_class_is_faded_in(late, strengths):
    generator = ConditionalGAN(steps=100, late=late)
    at = [generator._strength(step) for step in (0, 25, 50, 75, 99)]
    assert at == pytest.approx(strengths)


def test_both_networks_are_told_the_class_late(caught, data):
    generator = ConditionalGAN(**{**TINY, "steps": 8}, late=(0.25, 0.75)).fit(data, device="cpu")
    for step in range(8):
        batch = caught["batches"](step)
        assert batch.strength.shape == (6,)
        assert batch.strength.unique().tolist() == pytest.approx([generator._strength(step)])
    assert [generator._strength(step) for step in (0, 4, 7)] == [0, 0.5, 1]


def test_a_class_that_is_never_told_is_never_learned(data):
    def embedding(steps, late):
        generator = ConditionalGAN(**{**TINY, "steps": steps}, late=late).fit(data, device="cpu")
        return generator.networks[0].start.embed.weight

    assert torch.equal(embedding(1, (1.0, 1.0)), embedding(3, (1.0, 1.0)))
    assert not torch.equal(embedding(1, (0.0, 0.0)), embedding(3, (0.0, 0.0)))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_networks_for_all_sizes(size, backbone):
    torch.manual_seed(0)
    shape, labels = (3, *size), torch.tensor([0, 1])
    settings = {"latent": 3, "width": 2, "backbone": backbone, "attention": True, "codes": 1}
    generator = ConditionalGAN(**settings)
    network, judge = generator._network(shape, 2), generator._discriminator(shape, 2)
    with torch.no_grad():
        images = network(torch.randn(2, 3), labels)
        judged = judge(torch.rand(2, 2 * 3, *size), labels, torch.ones(2))
    assert images.shape == (2, *shape)
    assert judged["logits"].shape == (2,)
    assert judged["codes"].shape == (2, 2)  # of each image of a pack
    for part in (network, judge):
        layers = [layer for layer in part.modules() if isinstance(layer, SelfAttention)]
        assert len(layers) == 1


@pytest.mark.parametrize("backbone", BACKBONES)
def test_residual_and_attended_networks_fit_odd_sizes(fit_tiny, backbone):
    generator = fit_tiny("ConditionalGAN", (3, 11, 37), backbone=backbone, attention=True, steps=1)
    assert generator.sample(1).images.shape == (3, 3, 11, 37)


BETWEEN = "expected a number below 1, an augmentation to adapt, and a loss other than wasserstein"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"augment": ("flip",)},
            "augment: expected 'colour' or 'translation' or 'cutout', got 'flip'",
        ),
        ({"augment": "colour"}, "augment: expected a tuple of names, got 'colour'"),
        ({"steps": 0}, "steps: expected an integer of at least 1, got 0"),
        ({"latent": 0}, "latent: expected an integer of at least 1, got 0"),
        ({"width": 1.5}, "width: expected an integer of at least 1, got 1.5"),
        ({"batch_size": 7}, "batch_size: expected an even number of at least 4, got 7"),
        ({"batch_size": 2}, "batch_size: expected an even number of at least 4, got 2"),
        ({"generator_rate": -1.0}, "generator_rate: expected a number above 0, got -1.0"),
        (
            {"discriminator_rate": float("inf")},
            "discriminator_rate: expected a number above 0, got inf",
        ),
        ({"backbone": "deep"}, "backbone: expected 'plain' or 'residual', got 'deep'"),
        (
            {"conditioning": "none"},
            "conditioning: expected 'projection' or 'concatenation' or 'auxiliary', got 'none'",
        ),
        (
            {"loss": "mse"},
            "loss: expected 'hinge' or 'bce' or 'least-squares' or 'wasserstein', got 'mse'",
        ),
        ({"pack": 3}, "pack: expected 1 or 2, got 3"),
        ({"pack": 0}, "pack: expected 1 or 2, got 0"),
        ({"certainty": 0.0}, "certainty: expected a number above 0, got 0.0"),
        ({"certainty": "sure"}, "certainty: expected a number above 0, got 'sure'"),
        ({"certainty": 1.0}, f"certainty: {BETWEEN}"),
        ({"certainty": 0.6, "augment": ()}, f"certainty: {BETWEEN}"),
        ({"certainty": 0.6, "loss": "wasserstein"}, f"certainty: {BETWEEN}"),
        ({"late": (0.5, 0.2)}, "late: expected (low, high) with 0 <= low <= high"),
        ({"late": 0.5}, "late: expected (low, high) with 0 <= low <= high, got 0.5"),
        ({"late": (0.2, 1.5)}, "late: expected shares of the run, at most 1, got (0.2, 1.5)"),
        ({"diversity": -1}, "diversity: expected a number of at least 0, got -1"),
        ({"diversity": "much"}, "diversity: expected a number of at least 0, got 'much'"),
        ({"codes": -1}, "codes: expected an integer of at least 0, got -1"),
        ({"codes": 65}, "codes: expected at most latent, 64, got 65"),
        ({"code_weight": -1}, "code_weight: expected a number of at least 0, got -1"),
        ({"r1": float("nan")}, "r1: expected a number of at least 0, got nan"),
        ({"clip": 0}, "clip: expected a number above 0, got 0"),
        ({"ema": 1.0}, "ema: expected a number below 1, got 1.0"),
        ({"ema": -0.1}, "ema: expected a number of at least 0, got -0.1"),
    ],
    ids=str,
)
def test_settings_are_checked(data, settings, message):
    with pytest.raises(InputError) as error:
        ConditionalGAN(**settings).fit(data)
    assert str(error.value).startswith(message)
