import numpy as np
import pytest
import torch

from synthaug.errors import InputError
from synthaug.generators import ConditionalGAN, conditional_gan, load_generator
from synthaug.training import optimize

TINY = {"steps": 3, "latent": 3, "width": 4, "batch_size": 6}


@pytest.fixture
def caught(monkeypatch):
    """What `ConditionalGAN` hands to the training loop."""
    calls = {}

    def catch(module, phases, batches, schedule, run, **options):
        calls.update(module=module, phases=phases, batches=batches, schedule=schedule, **options)
        return optimize(module, phases, batches, schedule, run, **options)

    monkeypatch.setattr(conditional_gan, "optimize", catch)
    return calls


def test_batches_are_pairs_of_different_images_of_one_class(caught, data):
    ConditionalGAN(**TINY).fit(data, device="cpu")
    torch.manual_seed(0)
    stored = [image.tobytes() for image in data.images]
    seen = set()
    for step in range(100):
        real, labels = caught["batches"](step)
        found = [stored.index((image * 255).round().byte().numpy().tobytes()) for image in real]
        assert data.labels[found].tolist() == labels.tolist()
        first, second = np.reshape(found, (2, -1))
        assert (first != second).all()
        assert torch.equal(*labels.chunk(2))
        seen |= set(found)
    assert seen == set(range(12))


def test_two_phases_at_two_rates_and_the_average_of_the_generator(caught, data):
    ConditionalGAN(**TINY, generator_rate=1e-3, discriminator_rate=4e-3).fit(data, device="cpu")
    assert [phase.name for phase in caught["phases"]] == ["discriminator", "generator"]
    for phase in caught["phases"]:
        network = caught["module"][phase.name]
        owned = {id(p) for group in phase.optimizer.param_groups for p in group["params"]}
        assert owned == {id(p) for p in network.parameters()}
        assert phase.optimizer.param_groups[0]["betas"] == (0.0, 0.99)
    assert caught["averaged"] is caught["module"]["generator"]


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

    def count(images, policies):
        shapes.append((len(images), tuple(policies)))
        assert images.min() >= -1
        assert images.min() < 0
        return images

    monkeypatch.setattr(conditional_gan, "diff_augment", count)
    ConditionalGAN(**{**TINY, "steps": 1}, augment=("cutout",)).fit(data, device="cpu")
    assert shapes == [(6, ("cutout",))] * 3  # real, synthetic; synthetic


def test_no_image_is_kept(data, tmp_path):
    ConditionalGAN(**TINY).fit(data, device="cpu").save(tmp_path / "generator")
    assert np.load(tmp_path / "generator" / "images.npy").shape == (0, 1, 8, 8)
    loaded = load_generator(tmp_path / "generator", device="cpu")
    assert loaded.card["holds_real_images"] is False
    assert loaded.sample(2).images.shape == (6, 1, 8, 8)


def test_noise_and_class_both_matter(data):
    generator = ConditionalGAN(**TINY).fit(data, device="cpu")
    same_class = generator.sample(np.zeros(5, np.int64)).images
    assert len(np.unique(same_class.reshape(5, -1), axis=0)) == 5
    other_class = generator.sample(np.ones(5, np.int64)).images
    assert (same_class != other_class).any()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("augment", ("flip",), "expected 'colour' or 'translation' or 'cutout', got 'flip'"),
        ("augment", "colour", r"expected a tuple .*, got 'colour'"),
        ("steps", 0, "expected an integer of at least 1, got 0"),
        ("batch_size", 7, "expected an even number of at least 4, got 7"),
        ("batch_size", 2, "expected an even number of at least 4, got 2"),
        ("generator_rate", -1.0, "expected a number above 0, got -1.0"),
        ("discriminator_rate", float("inf"), "expected a number above 0, got inf"),
    ],
)
def test_settings_are_checked(data, name, value, expected):
    with pytest.raises(InputError, match=f"^{name}: {expected}"):
        ConditionalGAN(**{name: value}).fit(data)
