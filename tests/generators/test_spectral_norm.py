"""Spectral normalisation against singular values and against torch's own."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from synthaug.generators.networks.layers import spectral_norm

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


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


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
