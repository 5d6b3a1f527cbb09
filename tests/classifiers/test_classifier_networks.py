"""The small network in every size, and timm's by name."""

import pytest
import torch
from torch import nn

from synthaug.classifiers import build_classifier
from synthaug.classifiers.networks import Normalize, Standardize
from synthaug.errors import InputError


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width"),
    [(8, 8), (16, 16), (28, 28), (32, 32), (64, 64), (20, 36), (36, 20), (8, 200), (256, 256)],
)
def test_every_size_builds_and_learns(channels: int, height: int, width: int) -> None:
    network = build_classifier("resnet", (channels, height, width), 5, Standardize())
    images = torch.rand(2, channels, height, width)
    logits = network(images)
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert all(g is not None and g.abs().sum() > 0 for g in gradients[:2] + gradients[-2:])
    assert network.eval()(images[:1]).shape == (1, 5)


def test_standardized_images_have_no_contrast_and_no_level() -> None:
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    standard = Standardize()(images)
    assert torch.allclose(standard.mean((1, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(standard.std((1, 2, 3)), torch.ones(3), atol=0.05)
    assert torch.allclose(Standardize()(images * 0.5 + 0.2), standard, atol=0.15)
    flat = Standardize()(torch.full((1, 1, 8, 8), 0.7))
    assert torch.allclose(flat, torch.zeros(1, 1, 8, 8), atol=1e-3)


def test_normalized_images_keep_their_differences() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    normal = Normalize(0.25, 0.5)
    assert torch.allclose(normal(images), (images - 0.25) / 0.5)
    assert torch.isfinite(Normalize(0.0, 0.0)(images)).all()
    assert {"mean", "deviation"} == set(normal.state_dict())  # saved with the weights


@pytest.mark.parametrize("channels", [1, 3])
def test_timm_networks_work(channels: int) -> None:
    network = build_classifier("timm:resnet10t", (channels, 32, 32), 4, nn.Identity())
    assert network.eval()(torch.rand(2, channels, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet10x", r"timm knows no model 'resnet10x'; close to it: .*resnet10t"),
        ("timm:resnt18", r"timm knows no model 'resnt18'; close to it: .*resnet18"),
        ("timm:%%%", r"timm knows no model '%%%'$"),
        ("vgg", r"classifier: expected 'resnet' or 'timm:NAME', got 'vgg'"),
    ],
)
def test_unknown_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_classifier(name, (3, 32, 32), 4, nn.Identity())
