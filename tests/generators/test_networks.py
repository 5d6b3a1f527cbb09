"""The networks of the conditional families: they fit any size of image and heed the class."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from synthaug.generators.networks.coders import (
    ConditionalDecoder,
    ConditionalEncoder,
    ResidualDecoder,
    pyramid,
)
from synthaug.generators.networks.discriminators import BACKBONES, CONDITIONINGS, Discriminator
from synthaug.generators.networks.layers import SelfAttention

SHAPES = [(1, 8, 8), (3, 28, 28), (1, 9, 31), (3, 20, 36), (1, 8, 128), (3, 128, 100)]
LABELS = torch.tensor([0, 1, 2, 0])
DECODERS = [ConditionalDecoder, ResidualDecoder]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def make_judge(shape=(1, 8, 8), classes=3, width=4, **options):
    return Discriminator(shape, classes, width, **options)


def layers(module, kind):
    return [layer for layer in module.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pyramid_halves_to_a_small_start(shape):
    levels = pyramid(*shape[1:])
    assert levels[0] == shape[1:]
    assert 4 <= min(levels[-1]) <= 7
    for larger, smaller in pairwise(levels):
        assert smaller == tuple(-(-side // 2) for side in larger)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_decoders_make_images_of_the_size(shape, decoder, attention):
    network = decoder(shape, 2, 5, 4, attention)
    images = network(torch.randn(2, 5), torch.tensor([0, 1]))
    assert images.shape == (2, *shape) and images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1
    assert len(layers(network, SelfAttention)) == attention


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_encoder_takes_images_of_the_size(shape):
    mean, log_variance = ConditionalEncoder(shape, 2, 5, 4)(
        torch.rand(2, *shape), torch.tensor([0, 1])
    )
    assert mean.shape == log_variance.shape == (2, 5)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_discriminators_take_images_of_the_size(shape, backbone, attention):
    network = make_judge(shape, 2, backbone=backbone, attention=attention, codes=3)
    judged = network(torch.rand(2, *shape), torch.tensor([0, 1]), torch.ones(2))
    assert judged["logits"].shape == (2,)
    assert judged["features"].shape == (2, 128)
    assert judged["codes"].shape == (2, 3)
    assert all(part.dtype == torch.float32 for part in judged.values())
    assert len(layers(network, SelfAttention)) == attention


def test_attention_is_over_a_grid_of_at_most_16_cells_a_side():
    sizes = []

    def note(module, inputs, output):
        sizes.append(tuple(inputs[0].shape[2:]))

    shape = (1, 48, 40)
    networks = [decoder(shape, 2, 5, 2, attention=True) for decoder in DECODERS]
    networks += [make_judge(shape, 2, 2, backbone=name, attention=True) for name in BACKBONES]
    for network in networks:
        layers(network, SelfAttention)[0].register_forward_hook(note)
    z, images, labels = torch.randn(2, 5), torch.rand(2, *shape), torch.tensor([0, 1])
    for network in networks[:2]:
        network(z, labels)
    for network in networks[2:]:
        network(images, labels, torch.ones(2))
    assert sizes == [(12, 10)] * 4


def networks_with_inputs():
    shape, z, images = (1, 8, 8), torch.randn(2, 5), torch.rand(2, 1, 8, 8)
    encoder = ConditionalEncoder(shape, 3, 5, 4).eval()
    yield lambda labels: encoder(images, labels)[0]
    for kind in DECODERS:
        decoder = kind(shape, 3, 5, 4).eval()
        yield lambda labels, decoder=decoder: decoder(z, labels)
    for name in ("projection", "concatenation"):
        judge = make_judge(conditioning=name).eval()
        yield lambda labels, judge=judge: judge(images, labels, torch.ones(2))["logits"]


def test_the_label_reaches_every_network():
    for network in networks_with_inputs():
        first, second = network(torch.tensor([0, 0])), network(torch.tensor([0, 1]))
        assert torch.equal(first[0], second[0])
        assert not torch.allclose(first[1], second[1])


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_class_without_a_say_changes_no_image(decoder):
    network, z = decoder((1, 8, 8), 3, 5, 4).eval(), torch.randn(4, 5)
    for embedding in layers(network, nn.Embedding):
        nn.init.normal_(embedding.weight)

    def images(labels, say):
        return network(z, labels, torch.full((4,), say))

    assert torch.equal(images(LABELS, 0.0), images(LABELS.flip(0), 0.0))
    assert torch.equal(images(LABELS, 1.0), network(z, LABELS))
    steps = [(images(LABELS, say) - images(LABELS, 0.0)).abs().mean() for say in (0.1, 0.5, 1.0)]
    assert 0 < steps[0] < steps[1] < steps[2]


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_class_without_a_say_changes_no_judgement(conditioning):
    judge, images = make_judge(conditioning=conditioning).eval(), torch.rand(4, 1, 8, 8)
    first = judge(images, LABELS, torch.zeros(4))
    second = judge(images, LABELS.flip(0), torch.zeros(4))
    assert torch.equal(first["logits"], second["logits"])
    if "classes" in first:
        assert not first["classes"].any()  # no class is likelier


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_every_weight_of_a_discriminator_has_spectral_norm_one(conditioning, backbone):
    options = {"conditioning": conditioning, "backbone": backbone, "attention": True, "codes": 2}
    judge = make_judge(**options)
    for _ in range(30):
        judge(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), torch.ones(2))
    judge.eval()
    weighted = layers(judge, (nn.Conv2d, nn.Linear, nn.Embedding))
    assert len(weighted) == {"plain": 2, "residual": 4}[backbone] + 4 + 1 + 1 + (
        3 if conditioning == "concatenation" else 2
    )
    for layer in weighted:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.03)


def judged_by(**options):
    judge, say = make_judge(width=8, **options).eval(), torch.tensor([1.0, 0.5, 0.0, 2.0])
    with torch.no_grad():
        judged = judge(torch.rand(4, 1, 8, 8), LABELS, say)
    return judge.head, judged, say[:, None]


@torch.no_grad()
def test_projection_is_the_inner_product_with_the_class():
    head, judged, say = judged_by(conditioning="projection")
    features, linear = judged["features"], head.unconditional
    expected = features @ linear.weight[0] + linear.bias
    expected += torch.einsum("bc,bc->b", head.embed.weight[LABELS] * say, features)
    torch.testing.assert_close(judged["logits"], expected)
    assert set(judged) == {"features", "logits"}


@torch.no_grad()
def test_concatenation_puts_the_class_beside_the_features():
    head, judged, say = judged_by(conditioning="concatenation")
    first, last = head.judge[0], head.judge[2]
    both = torch.cat([judged["features"], head.embed.weight[LABELS] * say], 1)
    hidden = F.leaky_relu(both @ first.weight.T + first.bias, 0.2)
    torch.testing.assert_close(judged["logits"], hidden @ last.weight[0] + last.bias)
    assert set(judged) == {"features", "logits"}


@torch.no_grad()
def test_auxiliary_reads_the_class_and_is_not_told_it():
    head, judged, say = judged_by(conditioning="auxiliary")
    features, linear, classify = judged["features"], head.unconditional, head.classify
    torch.testing.assert_close(judged["logits"], features @ linear.weight[0] + linear.bias)
    expected = 4 * say * (features @ classify.weight.T + classify.bias)
    torch.testing.assert_close(judged["classes"], expected)


@torch.no_grad()
def test_codes_are_read_from_the_features():
    judge = make_judge(codes=2).eval()
    judged = judge(torch.rand(4, 1, 8, 8), LABELS, torch.ones(4))
    expected = judged["features"] @ judge.codes.weight.T + judge.codes.bias
    torch.testing.assert_close(judged["codes"], expected)
