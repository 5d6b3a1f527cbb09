"""A network for each class: it learns what it would learn alone, from images of its class only."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import synthaug.core.training
from synthaug.core import Draws, InputError, Phase, Schedule, Session, optimize
from synthaug.core.training import clip_each
from synthaug.data import LabelledImages
from synthaug.generators import VAEGAN, CompositionGAN, ConditionalGAN, ConditionalVAE, TransferVAE
from synthaug.generators.learning.stacked import stack, unstack
from synthaug.generators.learning.training_set import TrainingSet

CPU = torch.device("cpu")
SIZES = (2, 5, 30)
SMALL = {"scope": "per-class", "steps": 3, "batch_size": 4}
WITH_CODES = {**SMALL, "latent": 3, "width": 4}
VARIANTS = {
    "TransferVAE": TransferVAE(**SMALL, latent=3),
    "ConditionalVAE": ConditionalVAE(**WITH_CODES),
    "class priors": ConditionalVAE(
        **WITH_CODES, prior="class", free_bits=0.05, kl_warmup=0.5, kl_weight=0.5
    ),
    "VAEGAN": VAEGAN(**WITH_CODES),
    "CompositionGAN": CompositionGAN(**SMALL, width=4),
    "ConditionalGAN": ConditionalGAN(**WITH_CODES),
    "wasserstein": ConditionalGAN(
        **WITH_CODES,
        loss="wasserstein",
        certainty=None,
        backbone="residual",
        attention=True,
        conditioning="concatenation",
        pack=1,
    ),
    "adaptive": ConditionalGAN(
        **WITH_CODES,
        loss="bce",
        conditioning="auxiliary",
        certainty=0.6,
        late=(0.25, 0.75),
        codes=2,
        diversity=0.1,
        r1=0.1,
    ),
}
LABELS = np.arange(40) % 3


@pytest.fixture(autouse=True, scope="module")
def exact():
    """bfloat16, where a processor has it, would hide more than rounding does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthaug.core.training, "mixed_precision", lambda _: contextlib.nullcontext())
        yield


@pytest.fixture
def plain_descent(monkeypatch):
    """Adam makes whole steps of the rounding of gradients that are zero, such as those of a bias
    before batch norm."""

    def descent(parameters, lr, betas=None, fused=None):
        return torch.optim.SGD(parameters, 100 * lr)

    monkeypatch.setattr(torch.optim, "Adam", descent)


@pytest.fixture(params=VARIANTS, scope="module")
def fit(request):
    """A function that fits a generator with a network for each class."""

    def fit(data, **changes):
        return replace(VARIANTS[request.param], **changes).fit(data, device="cpu")

    return fit


@pytest.fixture(scope="module")
def fitted(fit, data):
    return fit(data)


def only(data, *classes):
    """The images of some classes, in that order."""
    rows = [np.flatnonzero(data.labels == label) for label in classes]
    labels = np.repeat(np.arange(len(classes)), [len(own) for own in rows])
    names = [data.classes[label] for label in classes]
    return LabelledImages(data.images[np.concatenate(rows)], labels, names)


def unequal(data):
    """The same images in classes of 2, 5 and 30."""
    rows = [np.resize(np.flatnonzero(data.labels == label), n) for label, n in enumerate(SIZES)]
    return LabelledImages(
        data.images[np.concatenate(rows)], np.repeat(np.arange(3), SIZES), data.classes
    )


def close(network, other):
    torch.testing.assert_close(network.state_dict(), other.state_dict(), atol=1e-5, rtol=1e-4)


def apart(images, others):
    return np.abs(images.astype(int) - others).max()


@pytest.mark.usefixtures("plain_descent")
def test_a_network_learns_the_same_beside_others(data, fit):
    together, turned, alone = fit(data), fit(only(data, 2, 0)), fit(only(data, 1))
    close(together.networks[2], turned.networks[0])
    close(together.networks[0], turned.networks[1])
    close(together.networks[1], alone.networks[0])
    before = fit(only(data, 1), steps=1).networks[0].parameters()
    after = alone.networks[0].parameters()
    changes = [(old - new).abs().max() for old, new in zip(before, after, strict=True)]
    assert max(changes) > 1e-3


def test_it_makes_the_same_alone(data, fit, fitted):
    labels = np.full(64, 1)
    alone = fit(only(data, 1)).sample(labels * 0).images
    assert apart(fitted.sample(labels).images, alone) <= 2


def test_the_images_of_other_classes_change_nothing(data, fit, fitted):
    images = data.images.copy()
    images[data.labels != 1] = 255 - images[data.labels != 1]
    other = fit(LabelledImages(images, data.labels, data.classes))
    for label in range(3):
        old, new = (generator.networks[label].state_dict() for generator in (fitted, other))
        same = all(torch.equal(value, new[name]) for name, value in old.items())
        assert same is (label == 1)


@pytest.mark.parametrize("family", ["TransferVAE", "ConditionalGAN"])
def test_networks_of_equal_images_differ_by_class_name(data, tiny, family):
    images = data.images[data.labels == 0]
    twins = LabelledImages(np.concatenate([images, images]), np.repeat([0, 1], 4), ["a", "b"])
    first, second = tiny(f"{family} per-class").fit(twins, device="cpu").networks
    assert not any(
        torch.equal(a, b)
        for a, b in zip(first.parameters(), second.parameters(), strict=True)
        if a.numel() > 1 and a.std() > 0
    )


def test_each_network_is_shown_its_own_images_and_as_many(data, fit, monkeypatch):
    blocks = []
    images = TrainingSet.images

    def noted(self, places):
        blocks.append(places.view(3, -1))
        return images(self, places)

    monkeypatch.setattr(TrainingSet, "images", noted)
    some = unequal(data)
    generator = fit(some)
    assert len(blocks) >= 3
    for block in blocks:
        assert (some.labels[block] == np.arange(3)[:, None]).all()
    samples = generator.sample(3)
    assert samples.images.shape == (9, 1, 8, 8)
    assert generator.metadata["data"]["per_class"] == list(SIZES)


@pytest.mark.parametrize("method", ["any", "draw_balanced"])
def test_images_of_classes_of_unequal_size_are_drawn_evenly(data, method):
    some = unequal(data)
    lessons = TrainingSet(some, "per-class", Session(0, CPU), {})
    places = torch.cat(
        [getattr(lessons, method)(lessons.draws(step), 8).view(3, 8) for step in range(300)], 1
    )
    for label, size in enumerate(SIZES):
        counts = np.bincount(places[label], minlength=len(some))[some.labels == label]
        assert counts.sum() == 2400
        deviation = np.sqrt(2400 * (1 / size) * (1 - 1 / size))
        assert np.abs(counts - 2400 / size).max() < 4 * deviation


@pytest.mark.parametrize("donors", ["any", "within"])
@pytest.mark.parametrize("family", ["ConditionalVAE", "TransferVAE", "VAEGAN"])
def test_what_is_borrowed_is_the_classes_own(data, tiny, family, donors):
    generator = tiny(f"{family} per-class", donors=donors).fit(data, device="cpu")
    labels = np.arange(300) % 3
    plan = generator.plan(labels, Draws(0, 300))
    borrowed = [plan[name] for name in ("image", "donor", "from", "to") if name in plan]
    assert len(borrowed) >= 2
    for places in borrowed:
        assert (data.labels[places] == labels).all()


@pytest.mark.parametrize("family", ["ConditionalVAE", "TransferVAE", "VAEGAN"])
def test_samples_have_the_grey_of_their_class(tiny, family):
    rng = np.random.default_rng(0)
    levels = np.repeat([30, 128, 225], 6)
    images = levels[:, None, None, None] + rng.integers(-9, 10, (18, 1, 8, 8))
    grey = LabelledImages(images.astype(np.uint8), np.arange(18) // 6, ["dark", "grey", "light"])
    samples = tiny(f"{family} per-class").fit(grey, device="cpu").sample(LABELS)
    means = samples.images.mean((1, 2, 3))
    nearest = np.abs(means[:, None] - [30, 128, 225]).argmin(1)
    np.testing.assert_array_equal(nearest, LABELS)


def test_a_sample_depends_on_its_own_label_alone(fitted):
    order = np.sort(LABELS)
    mixed, ordered = (fitted.sample(labels, seed=3).images for labels in (LABELS, order))
    agree = order == LABELS
    assert 5 < agree.sum() < 35
    np.testing.assert_array_equal(mixed[agree], ordered[agree])
    for label in range(3):
        same = fitted.sample(np.full(len(LABELS), label), seed=3).images
        np.testing.assert_array_equal(mixed[label == LABELS], same[label == LABELS])


def test_each_class_is_rendered_by_its_own_network(fitted, monkeypatch):
    def render(self, network, plan):
        number = [own is network for own in self.networks].index(True)
        return torch.full((len(next(iter(plan.values()))), 1, 8, 8), number / 255)

    monkeypatch.setattr(type(fitted), "render", render)
    for labels in (LABELS, np.full(70, 2), np.repeat([1, 0], 64)):
        numbers = fitted.sample(labels).images[:, 0, 0, 0]
        np.testing.assert_array_equal(numbers, labels)


@pytest.mark.parametrize(("scope", "classes"), [("shared", [3]), ("per-class", [1, 1, 1])])
def test_a_network_knows_its_classes(data, tiny, scope, classes):
    networks = tiny("gan", scope=scope).fit(data, device="cpu").networks
    assert [len(network.start.embed.weight) for network in networks] == classes


def test_scope_is_checked(trained_family, data, tiny):
    generator = tiny(trained_family, scope="per-image")
    with pytest.raises(InputError, match=r"^scope: expected 'shared' or 'per-class', got"):
        generator.fit(data, device="cpu")


def gradients(seed=0, networks=3):
    """Of a few layers of each of some networks; the first network's are small."""
    torch.manual_seed(seed)
    shapes = [(4, 5), (2, 3, 3, 3), (6,), (1,)]
    scale = torch.tensor([1e-3, 1.0, 40.0])[:networks]
    return [torch.randn(networks, *shape) * scale.view(-1, *[1] * len(shape)) for shape in shapes]


def with_gradients(values):
    parameters = [nn.Parameter(torch.zeros_like(value)) for value in values]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = value.clone()
    return parameters


@pytest.mark.parametrize("clip", [0.5, 5.0, 1000.0])
def test_clipping_side_by_side_is_clipping_alone(clip):
    values = gradients()
    together = with_gradients(values)
    unused = nn.Parameter(torch.zeros(3, 2))
    clip_each([*together, unused], clip)
    assert unused.grad is None
    for network in range(3):
        alone = with_gradients([value[network] for value in values])
        nn.utils.clip_grad_norm_(alone, clip)
        for parameter, own in zip(together, alone, strict=True):
            torch.testing.assert_close(parameter.grad[network], own.grad)
    norms = torch.cat([p.grad.flatten(1) for p in together], 1).norm(dim=1)
    assert (norms <= clip * (1 + 1e-5)).all()
    assert torch.equal(together[0].grad[0], values[0][0])  # too small to be clipped


def linear_networks():
    networks = []
    for seed in range(3):
        torch.manual_seed(seed)
        networks.append(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)))
    return networks


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("clip", [0.05, 100.0])
def test_networks_optimised_together_learn_as_if_alone(make, clip):
    torch.manual_seed(7)
    inputs, targets = torch.randn(6, 3, 5, 4), 3 * torch.randn(6, 3, 5, 1)

    def learned(module, blocks, networks):
        def loss(step):
            expected = targets[step, blocks].flatten(0, 1)
            return (module(inputs[step, blocks].flatten(0, 1)) - expected).pow(2).mean()

        phases = [Phase("it", make(module.parameters(), lr=0.1), loss)]
        return optimize(
            module,
            phases,
            lambda step: step,
            Schedule(6),
            Session(0, CPU),
            clip=clip,
            networks=networks,
        )

    together = unstack(learned(stack(linear_networks()), slice(None), 3), 3)
    for index, network in enumerate(linear_networks()):
        before = nn.utils.parameters_to_vector(network.parameters()).detach()
        alone = learned(network, slice(index, index + 1), 1)
        torch.testing.assert_close(
            together[index].state_dict(), alone.state_dict(), atol=1e-5, rtol=1e-4
        )
        after = nn.utils.parameters_to_vector(alone.parameters())
        assert (after - before).abs().max() > 1e-3
