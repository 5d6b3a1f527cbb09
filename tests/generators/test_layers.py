"""Self-attention and spectral normalisation against torch's own, and singular values."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

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
    output = layer(hidden)
    torch.testing.assert_close(output, reference(layer, hidden), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(output, hidden)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_at_the_start_it_is_the_identity_that_learns_to_be_none(shape):
    layer, hidden = SelfAttention(shape[1]), torch.randn(shape)
    output = layer(hidden)
    assert torch.equal(output, hidden)
    (output * torch.randn(shape)).sum().backward()
    assert layer.gamma.grad.abs() > 0


def test_gradients():
    layer = make_layer(8).double()
    hidden = torch.randn(1, 8, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (hidden,))


def test_a_cell_sees_the_whole_image():
    layer, hidden = make_layer(8), torch.randn(1, 8, 6, 6, requires_grad=True)
    layer(hidden)[0, :, 0, 0].sum().backward()
    gradients = hidden.grad[0].abs().sum(0).unfold(0, 2, 2).unfold(1, 2, 2).sum((2, 3))
    assert (gradients > 0).all()  # of each pool of 2 by 2 cells the largest


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


LAYERS = {
    "linear": lambda: nn.Linear(7, 5),
    "convolution": lambda: nn.Conv2d(3, 6, 4, 2, 1),
    "embedding": lambda: nn.Embedding(4, 9),
    "one row": lambda: nn.Linear(7, 1),
    "one class": lambda: nn.Embedding(1, 9),
}
INPUTS = {
    "linear": lambda: torch.randn(2, 7),
    "convolution": lambda: torch.randn(2, 3, 8, 8),
    "embedding": lambda: torch.tensor([3, 0]),
    "one row": lambda: torch.randn(2, 7),
    "one class": lambda: torch.tensor([0, 0]),
}


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


def vectors(layer):
    own = layer.parametrizations.weight[0]
    return own.left, own.right


def buffers(layer):
    return {key: value.clone() for key, value in layer.named_buffers()}


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_largest_singular_value_is_one(name, scale):
    layer = LAYERS[name]()
    with torch.no_grad():
        layer.weight *= scale
    original = layer.weight.detach().flatten(1).clone()
    spectral_norm(layer)
    for _ in range(40):
        layer(INPUTS[name]())
    weight = layer.eval().weight.detach().flatten(1)
    assert torch.linalg.svdvals(weight)[0].item() == pytest.approx(1, abs=2e-3)
    # Nothing but the scale of it changes.
    torch.testing.assert_close(weight * (original.norm() / weight.norm()), original)


def test_it_is_nearly_one_from_the_start(name):
    for _ in range(5):
        weight = spectral_norm(LAYERS[name]()).eval().weight.detach().flatten(1)
        assert torch.linalg.svdvals(weight)[0].item() == pytest.approx(1, abs=0.1)


def test_a_training_step_is_one_power_iteration(name):
    layer = spectral_norm(LAYERS[name]())
    matrix = layer.parametrizations.weight.original.detach().flatten(1).double().numpy()
    left = vectors(layer)[0].double().numpy()
    right = matrix.T @ left
    right /= np.linalg.norm(right)
    left = matrix @ right
    left /= np.linalg.norm(left)
    used = layer.weight.detach().flatten(1)
    np.testing.assert_allclose(used, matrix / (left @ matrix @ right), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vectors(layer)[0], left, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vectors(layer)[1], right, rtol=1e-4, atol=1e-6)


def test_weight_and_gradient_are_those_of_torch(name):
    layer = LAYERS[name]()
    target = torch.randn(layer.weight.shape)
    ours, theirs = spectral_norm(copy.deepcopy(layer)), parametrizations.spectral_norm(layer)
    own = theirs.parametrizations.weight[0]
    with torch.no_grad():
        own._u.copy_(vectors(ours)[0])
        own._v.copy_(vectors(ours)[1])
    for each in (ours, theirs):
        (each.eval().weight * target).sum().backward()
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(
        ours.parametrizations.weight.original.grad, theirs.parametrizations.weight.original.grad
    )


def test_evaluation_changes_no_buffers(name):
    layer = spectral_norm(LAYERS[name]()).eval()
    before = buffers(layer)
    first, second = layer.weight, layer.weight
    assert torch.equal(first, second)
    assert all(torch.equal(value, before[key]) for key, value in buffers(layer).items())


def test_two_passes_before_a_gradient():
    """Real and synthetic images are judged before the loss goes back through both."""
    layer = spectral_norm(nn.Linear(7, 5))
    (layer(torch.randn(2, 7)).sum() + layer(torch.randn(2, 7)).sum()).backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_state_goes_into_a_layer_built_anew(name):
    layer, other = spectral_norm(LAYERS[name]()), spectral_norm(LAYERS[name]())
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.eval().weight, layer.eval().weight)


def test_autocast_leaves_it_exact():
    layer = spectral_norm(nn.Linear(64, 64)).eval()
    expected = layer.weight
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer.weight, expected)
