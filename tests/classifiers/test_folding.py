"""Batch norms that convolutions take up, where the network no longer learns."""

import copy
from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn

from synthaug.classifiers.folding import fold_batch_norms
from synthaug.classifiers.timm_network import classifier_of


def settled(network: nn.Module) -> nn.Module:
    """With statistics and weights as a training leaves them, none of them the usual 0 and 1."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.3)
    return network


def norms(network: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def images(side: int = 64) -> Tensor:
    return torch.rand(4, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("efficientnet_lite0", 0),  # its batch norms bring activations along
        ("resnet10t", 0),
        ("mobilenetv3_small_050", 0),  # squeeze and excitation
        ("densenet121", 62),  # those before a block take what was joined
    ],
)
def test_the_same_with_fewer_layers(name: str, left: int) -> None:
    torch.manual_seed(0)
    network = settled(timm.create_model(name, num_classes=5))
    head = classifier_of(network)
    before = copy.deepcopy(network.state_dict())
    made = fold_batch_norms(network, head, images())
    assert (norms(made), made is network) == (left, False)
    others = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        expected = network.eval()(others)
        assert torch.allclose(made(others), expected, atol=1e-4 * float(expected.abs().max()))
    for key, tensor in network.state_dict().items():  # it is as it was
        assert torch.equal(tensor, before[key]), key
    assert classifier_of(made) is head and not made.training


def test_a_network_with_two_last_layers_shares_both() -> None:
    torch.manual_seed(0)
    network = settled(timm.create_model("levit_128s", num_classes=5))
    made = fold_batch_norms(network, classifier_of(network), images(224))
    assert norms(made) < norms(network)
    assert made.head is network.head and made.head_dist is network.head_dist


class Own(nn.Module):
    def __init__(self, join: Callable[["Own", Tensor], Tensor]) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.head, self.join = nn.Linear(8, 2), join

    def forward(self, given: Tensor) -> Tensor:
        answer: Tensor = self.head(self.join(self, given).mean((2, 3)))
        return answer


def test_a_bias_is_taken_along() -> None:
    network = settled(Own(lambda own, x: own.norm(own.convolution(x)).relu()))
    made = fold_batch_norms(network, network.head, images())
    assert norms(made) == 0
    assert torch.allclose(made(images()), network.eval()(images()), atol=1e-5)


@pytest.mark.parametrize(
    "join",
    [
        lambda own, x: own.norm(y := own.convolution(x)).relu() + y,  # put out twice
        lambda own, x: own.norm(own.convolution(x).relu_()),  # changed in place
        lambda own, x: own.norm(own.convolution(x)) + own.norm(own.convolution(x + 1)).relu(),
        lambda own, x: own.norm(own.convolution(x) + 1),
        lambda own, x: own.convolution(x),
    ],
)
def test_what_cannot_be_folded_stays(join: Callable[[Own, Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    network = settled(Own(join)).train()
    assert fold_batch_norms(network, network.head, images()) is network
    assert network.training and not network.norm._forward_pre_hooks


def test_statistics_that_are_not_kept_are_none_to_fold() -> None:
    network = Own(lambda own, x: own.norm(own.convolution(x)).relu())
    network.norm = nn.BatchNorm2d(8, track_running_stats=False)
    assert fold_batch_norms(network, network.head, images()) is network


def test_last_layers_go_on_learning() -> None:
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()))
    assert fold_batch_norms(network, network, images()) is network
