"""The pieces that the conditional families share fit any size of image."""

from itertools import pairwise

import pytest
import torch

from synthaug.generators.networks import (
    ConditionalDecoder,
    ConditionalEncoder,
    ProjectionDiscriminator,
    pyramid,
)

SHAPES = [(1, 8, 8), (3, 28, 28), (1, 9, 31), (3, 20, 36), (1, 8, 128), (3, 128, 100)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pyramid_halves_to_a_small_start(shape):
    levels = pyramid(*shape[1:])
    assert levels[0] == shape[1:]
    assert 4 <= min(levels[-1]) <= 7
    for larger, smaller in pairwise(levels):
        assert smaller == tuple(-(-side // 2) for side in larger)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_networks_take_and_make_images_of_the_size(shape):
    torch.manual_seed(0)
    labels = torch.tensor([0, 1])
    made = ConditionalDecoder(shape, 2, 5, 4)(torch.randn(2, 5), labels)
    assert made.shape == (2, *shape)
    assert 0 <= made.min() < made.max() <= 1
    mean, log_variance = ConditionalEncoder(shape, 2, 5, 4)(made, labels)
    assert mean.shape == log_variance.shape == (2, 5)
    assert ProjectionDiscriminator(shape, 2, 4)(made, labels).shape == (2,)


def test_the_label_reaches_every_network():
    torch.manual_seed(0)
    shape, one, other = (1, 8, 8), torch.tensor([0, 0]), torch.tensor([0, 1])
    z, images = torch.randn(2, 5), torch.rand(2, 1, 8, 8)
    encoder = ConditionalEncoder(shape, 2, 5, 4).eval()
    for network, given in (
        (ConditionalDecoder(shape, 2, 5, 4).eval(), z),
        (lambda x, y: encoder(x, y)[0], images),
        (ProjectionDiscriminator(shape, 2, 4).eval(), images),
    ):
        first, second = network(given, one), network(given, other)
        assert torch.equal(first[0], second[0])
        assert not torch.equal(first[1], second[1])


def test_discriminator_weights_have_spectral_norm_one():
    torch.manual_seed(0)
    judge = ProjectionDiscriminator((1, 8, 8), 3, 8)
    for _ in range(30):
        judge(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]))
    judge.eval()
    layers = [m for m in judge.modules() if hasattr(m, "parametrizations")]
    assert len(layers) == 5
    for layer in layers:
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
        assert largest.item() == pytest.approx(1, abs=0.02)


def test_projection_is_the_inner_product_with_the_class():
    torch.manual_seed(0)
    judge = ProjectionDiscriminator((1, 8, 8), 3, 8).eval()
    images, labels = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        features = judge.features(images)
        linear = judge.unconditional
        expected = features @ linear.weight[0] + linear.bias
        expected += torch.einsum("bc,bc->b", judge.embed.weight[labels], features)
        torch.testing.assert_close(judge(images, labels), expected)
