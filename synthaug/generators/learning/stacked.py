"""Networks of one architecture side by side, as one module.

Their parameters are stacked along a first axis, so that one optimiser and one moving average serve
all of them. A batch is one block of equal length for each network, (G * B, ...). A loss that is a
mean over such a batch is the mean of the networks' losses, so families need not know how many
networks they train.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.utils._pytree import tree_map


def stack(networks: Sequence[nn.Module]) -> nn.Module:
    """Return one module for all of `networks`, which may be dictionaries of networks.

    One alone is stacked, too: it learns, but for rounding, what it would have learned beside
    others.
    """
    first = networks[0]
    if isinstance(first, nn.ModuleDict):
        return nn.ModuleDict({key: stack([each[key] for each in networks]) for key in first})  # type: ignore[index]
    return Stacked(networks)


def unstack(module: nn.Module, count: int) -> list[nn.Module]:
    """Return the `count` networks of which `stack` made `module`."""
    if isinstance(module, nn.ModuleDict):
        parts = {key: unstack(part, count) for key, part in module.items()}
        return [nn.ModuleDict({key: parts[key][i] for key in parts}) for i in range(count)]
    if isinstance(module, Stacked):
        return [module.network(index) for index in range(count)]
    return [module]


class Stacked(nn.Module):
    """G networks of one architecture; called with (G * B, ...) tensors, it gives each its block.

    Examples:
        >>> layers = [nn.Linear(2, 3), nn.Linear(2, 3)]
        >>> both, x = Stacked(layers), torch.rand(8, 2)
        >>> bool(torch.allclose(both(x)[4:], layers[1](x[4:])))
        True
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.count = len(networks)
        # In a tuple, so that it is no submodule: it lends its structure and has no values.
        self._structure = (copy.deepcopy(networks[0]).to("meta"),)
        parameters, buffers = stack_module_state(list(networks))
        for name, value in parameters.items():
            laid_out = _laid_out(value.detach(), networks[0].get_parameter(name))
            self.register_parameter(_attribute(name), nn.Parameter(laid_out))
        for name, value in buffers.items():
            self.register_buffer(_attribute(name), value)

    def forward(self, *batches: Tensor) -> Any:
        """Give each network its block of tensors (G * B, ...), and put the results together."""
        structure = self._structure[0].train(self.training)
        blocks = [batch.view(self.count, -1, *batch.shape[1:]) for batch in batches]
        state = self.state_dict(keep_vars=True).items()
        apart = {_name(name): value.unbind() for name, value in state}
        # One after another: all at once, under vmap, is slower on a processor, where convolutions
        # of many groups are, and no batch norm of cuDNN's runs there.
        each = [
            functional_call(
                structure,
                {name: values[index] for name, values in apart.items()},
                tuple(block[index] for block in blocks),
            )
            for index in range(self.count)
        ]
        return tree_map(lambda *parts: torch.cat(parts), *each)

    def network(self, index: int) -> nn.Module:
        """Return one of the networks, by itself."""
        alone = copy.deepcopy(self._structure[0])
        values = {_name(name): value[index].clone() for name, value in self.state_dict().items()}
        alone.load_state_dict(values, assign=True)
        return alone.train(self.training)


def _laid_out(stacked: Tensor, alone: Tensor) -> Tensor:
    """Lay out each network's part as it lies in memory alone: kernels differ in the last bits."""
    strides = (alone.numel(), *alone.stride())
    return stacked.new_empty_strided(stacked.shape, strides).copy_(stacked)


def _attribute(name: str) -> str:
    return name.replace(".", "/")  # an attribute's name has no dot


def _name(attribute: str) -> str:
    return attribute.replace("/", ".")
