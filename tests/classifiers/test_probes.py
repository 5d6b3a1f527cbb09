"""Predictions of linear probes, whose features are worked out once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synthaug import InputError, LabelledImages
from synthaug.classifiers import Backbone, Standardize, predict, predict_probe
from synthaug.classifiers.networks import head_of


@pytest.fixture
def data() -> LabelledImages:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (150, 3, 32, 32), dtype=np.uint8)  # more than two batches
    return LabelledImages(images, np.arange(150) % 5, list("abcde"))


def built(name: str, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    network = Backbone(name).build((3, 32, 32), 5, Standardize())
    for layer in network.modules():  # as they are trained, not as they are made
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return network


def with_another_head(network: nn.Sequential) -> nn.Sequential:
    for weight in head_of(network).parameters():
        nn.init.normal_(weight)
    return network


@contextmanager
def bodies_asked(network: nn.Sequential) -> Iterator[list[int]]:
    """How many images the network is asked about, a batch at a time."""
    asked: list[int] = []
    with network.register_forward_hook(lambda _, given, __: asked.append(len(given[0]))):
        yield asked


@pytest.mark.parametrize("name", ["resnet", "timm:test_resnet", "timm:test_vit", "timm:resnet10t"])
def test_probes_with_one_body_ask_it_once_and_say_the_same(
    name: str, data: LabelledImages, tmp_path: Path
) -> None:
    network = built(name)
    with bodies_asked(network) as asked:
        first = predict_probe(network, data, tmp_path, device="cpu")
    assert asked == [64, 64, 22]
    assert np.array_equal(first, predict(network, data.images, device="cpu"))
    other = with_another_head(network)
    with bodies_asked(other) as asked:
        second = predict_probe(other, data, tmp_path, device="cpu")
    assert asked == []
    assert np.array_equal(second, predict(other, data.images, device="cpu"))
    assert not np.allclose(first, second)
    assert len(list(tmp_path.iterdir())) == 1
    assert network.training  # as it was


def test_another_body_and_other_images_have_features_of_their_own(
    data: LabelledImages, tmp_path: Path
) -> None:
    one, other = built("timm:test_resnet"), built("timm:test_resnet")
    # Not a weight, and no less part of what it makes of images.
    norm = next(layer for layer in other.modules() if isinstance(layer, nn.BatchNorm2d))
    norm.running_var *= 2
    few = data.subset(np.arange(7))
    for network, images in ((one, data), (other, data), (one, few)):
        found = predict_probe(network, images, tmp_path, device="cpu")
        assert np.array_equal(found, predict(network, images.images, device="cpu"))
    assert len(list(tmp_path.iterdir())) == 3


class Halved(nn.Module):
    """What its last layer answers is not what it does."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def get_classifier(self) -> Any:
        return self.network.get_classifier()

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.network(images)
        return answer / 2


class TwoHeads(Halved):
    """As networks that learn from a teacher have them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.beside = nn.Linear(5, 5)

    def get_classifier(self) -> Any:
        return self.network.get_classifier(), self.beside

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.network(images)
        return answer + self.beside(answer)


@pytest.mark.parametrize("kind", [Halved, TwoHeads])
def test_where_the_last_layer_is_not_all_that_follows_the_whole_is_asked(
    kind: type[Halved], data: LabelledImages, tmp_path: Path
) -> None:
    network = built("timm:test_resnet")
    network[1] = kind(network[1])
    found = predict_probe(network, data, tmp_path, device="cpu")
    assert np.array_equal(found, predict(network, data.images, device="cpu"))
    assert list(tmp_path.iterdir()) == []


def test_damaged_features_are_named(data: LabelledImages, tmp_path: Path) -> None:
    network = built("timm:test_resnet")
    predict_probe(network, data, tmp_path, device="cpu")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=f"{file.name}: damaged .* remove it"):
        predict_probe(network, data, tmp_path, device="cpu")
