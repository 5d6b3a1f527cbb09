"""Self-attention against torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from synthaug.generators.networks.coders import pyramid
from synthaug.generators.networks.layers import SelfAttention, attention_level, spectral_norm

SHAPES = [(2, 16, 8, 8), (3, 12, 5, 9), (1, 4, 4, 16), (2, 1, 7, 4)]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def make_layer(channels, gamma=0.7):
    layer = SelfAttention(channels)
    nn.init.constant_(layer.gamma, gamma)
    return layer


def reference(layer, hidden):
    def cells(convolution, images):
        return torch.einsum("oc,bcn->bno", convolution.weight[:, :, 0, 0], images.flatten(2))

    pooled = F.max_pool2d(hidden, 2)
    attended = F.scaled_dot_product_attention(
        cells(layer.query, hidden), cells(layer.key, pooled), cells(layer.value, pooled), scale=1.0
    )
    back = attended @ layer.output.weight[:, :, 0, 0].T
    return hidden + layer.gamma * back.transpose(1, 2).reshape(hidden.shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_scaled_dot_product_attention(shape):
    layer, hidden = make_layer(shape[1]), torch.randn(shape)
    made = layer(hidden)
    torch.testing.assert_close(made, reference(layer, hidden), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(made, hidden)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_at_the_start_it_is_the_identity_that_learns_to_be_none(shape):
    layer, hidden = SelfAttention(shape[1]), torch.randn(shape)
    made = layer(hidden)
    assert torch.equal(made, hidden)
    (made * torch.randn(shape)).sum().backward()
    assert layer.gamma.grad.abs() > 0


def test_gradients():
    layer = make_layer(8).double()
    hidden = torch.randn(1, 8, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (hidden,))


def test_a_cell_sees_the_whole_image():
    layer, hidden = make_layer(8), torch.randn(1, 8, 6, 6, requires_grad=True)
    layer(hidden)[0, :, 0, 0].sum().backward()
    seen = hidden.grad[0].abs().sum(0).unfold(0, 2, 2).unfold(1, 2, 2).sum((2, 3))
    assert (seen > 0).all()  # of each pool of 2 by 2 cells the largest


def test_every_convolution_is_normalised_where_asked():
    layer = SelfAttention(16, spectral_norm).eval()
    for convolution in (layer.query, layer.key, layer.value, layer.output):
        largest = torch.linalg.svdvals(convolution.weight.flatten(1))[0]
        assert largest.item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (17, 9), (28, 28), (256, 256), (64, 200)])
def test_level_is_the_finest_of_at_most_16_cells_a_side(size):
    levels = pyramid(*size)
    level = attention_level(levels)
    assert max(levels[level]) <= 16
    assert level == 0 or max(levels[level - 1]) > 16


def test_level_of_a_strip_is_the_coarsest():
    assert attention_level([(8, 256), (4, 128)]) == 1
