"""Fold batch norms into convolutions where a network no longer learns.

Batch norm with fixed statistics is a linear map, which the convolution before it can do as well.
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

TOLERANCE = 1e-3  # of the largest output; rounding alone is a hundredth of it


def fold_batch_norms(network: nn.Module, head: nn.Module, images: Tensor) -> nn.Module:
    """Return a copy in evaluation mode that computes the same with fewer layers.

    Each batch norm that follows a convolution becomes part of it, which leaves two thirds of
    EfficientNet's time on a processor.

    Args:
        network: The network.
        head: Its last layers, which the copy shares, to be trained in either.
        images: Some that the network sees, float32 (B, C, H, W), on its device.

    Returns:
        The copy; the network itself where nothing can be folded, or the copy would differ since the
        output of a convolution is used twice.

    References:
        Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference, section 3.2, arXiv 1712.05877.
    """
    with torch.no_grad(), evaluating(network):
        expected, pairs = _pairs(network, head, images)
        if not pairs:
            return network
        copied_network = copy.deepcopy(network, {id(part): part for part in head.modules()})
        for convolution, norm in pairs:
            _fold(copied_network, convolution, norm)
        error = (copied_network(images) - expected).abs().max()
    return copied_network.eval() if error <= TOLERANCE * expected.abs().max() else network


def _pairs(
    network: nn.Module, head: nn.Module, images: Tensor
) -> tuple[Tensor, list[tuple[str, str]]]:
    """Return the output, and the names of convolutions, each with the batch norm after it.

    Layers that are used more than once are left out.
    """
    # Tensors are kept, so that no later one has the identity of an earlier one.
    outputs: list[tuple[str, Tensor]] = []
    norm_inputs: list[tuple[str, Tensor]] = []

    def note_output(name: str, _: Any, __: Any, output: Tensor) -> None:
        outputs.append((name, output))

    def note_input(name: str, _: Any, inputs: tuple[Tensor, ...]) -> None:
        norm_inputs.append((name, inputs[0]))

    learning = set(head.modules())
    with ExitStack() as hooks:
        for name, layer in network.named_modules():
            if layer in learning:
                continue
            if isinstance(layer, nn.Conv2d):
                hooks.enter_context(layer.register_forward_hook(partial(note_output, name)))
            elif isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
                hooks.enter_context(layer.register_forward_pre_hook(partial(note_input, name)))
        result = network(images)
    uses = Counter(name for name, _ in outputs + norm_inputs)
    return result, [
        (convolution, norm)
        for convolution, output in outputs
        for norm, norm_input in norm_inputs
        if norm_input is output and uses[convolution] == uses[norm] == 1
    ]


def _fold(network: nn.Module, convolution: str, norm: str) -> None:
    before: Any = network.get_submodule(convolution)
    after: Any = network.get_submodule(norm)
    statistics = (after.running_mean, after.running_var, after.eps, after.weight, after.bias)
    before.weight, before.bias = fuse_conv_bn_weights(before.weight, before.bias, *statistics)
    # timm's batch norms hold the layers that follow them.
    rest = [getattr(after, name) for name in ("drop", "act") if hasattr(after, name)]
    network.set_submodule(norm, nn.Sequential(*rest))
