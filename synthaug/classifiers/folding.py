"""A network that no longer learns, with fewer layers: batch norm with settled statistics is a
linear map, which the convolution before it can do as well.
"""

import copy
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from synthaug.core import evaluating

TOLERANCE = 1e-3  # of the largest output; rounding makes a hundredth of it


def folded(network: nn.Module, head: nn.Module, images: Tensor) -> nn.Module:
    """A copy in evaluation mode that does the same with fewer layers: each batch norm that follows
    a convolution is part of it (Jacob et al. 2018, section 3.2), which leaves two thirds of
    EfficientNet's time on a processor. The network itself where there is none, or where the copy
    does something else, since what a convolution puts out is used twice.

    head: its last layers, which the copy shares, to be trained in either.
    images: some that the network sees, float32 (B, C, H, W), on its device.
    """
    with torch.no_grad(), evaluating(network):
        expected, pairs = _pairs(network, head, images)
        if not pairs:
            return network
        made = copy.deepcopy(network, {id(part): part for part in head.modules()})
        for convolution, norm in pairs:
            _fold(made, convolution, norm)
        off = (made(images) - expected).abs().max()
    return made.eval() if off <= TOLERANCE * expected.abs().max() else network


def _pairs(
    network: nn.Module, head: nn.Module, images: Tensor
) -> tuple[Tensor, list[tuple[str, str]]]:
    """What it makes of the images; names of convolutions, each with the batch norm after it. Layers
    that are used more than once are left out."""
    made: list[tuple[str, Tensor]] = []  # held, so that no later tensor passes for one of them
    taken: list[tuple[str, Tensor]] = []

    def note(name: str, _: Any, __: Any, output: Tensor) -> None:
        made.append((name, output))

    def look(name: str, _: Any, inputs: tuple[Tensor, ...]) -> None:
        taken.append((name, inputs[0]))

    learning = set(head.modules())
    with ExitStack() as hooks:
        for name, layer in network.named_modules():
            if layer in learning:
                continue
            if isinstance(layer, nn.Conv2d):
                hooks.enter_context(layer.register_forward_hook(partial(note, name)))
            elif isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
                hooks.enter_context(layer.register_forward_pre_hook(partial(look, name)))
        answer = network(images)
    uses = Counter(name for name, _ in made + taken)
    return answer, [
        (convolution, norm)
        for convolution, output in made
        for norm, given in taken
        if given is output and uses[convolution] == uses[norm] == 1
    ]


def _fold(network: nn.Module, convolution: str, norm: str) -> None:
    before: Any = network.get_submodule(convolution)
    after: Any = network.get_submodule(norm)
    statistics = (after.running_mean, after.running_var, after.eps, after.weight, after.bias)
    before.weight, before.bias = fuse_conv_bn_weights(before.weight, before.bias, *statistics)
    # timm's batch norms bring along what follows them.
    rest = [getattr(after, name) for name in ("drop", "act") if hasattr(after, name)]
    network.set_submodule(norm, nn.Sequential(*rest))
