"""Self-attention over the cells of a feature map."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LARGEST_SIDE = 16  # cells; attention compares every cell with every other


def attention_level(levels: Sequence[tuple[int, int]]) -> int:
    """The finest of `levels` (height, width), the finest first, that is at most 16 cells a side.

    >>> attention_level([(64, 40), (32, 20), (16, 10), (8, 5)])
    2
    """
    sides = [max(level) for level in levels]
    fits = [index for index, side in enumerate(sides) if side <= LARGEST_SIDE]
    return fits[0] if fits else len(levels) - 1


class SelfAttention(nn.Module):
    """x + gamma * o(softmax(q(x)^T k(x)) v(x)), gamma 0 at the start (Zhang et al., SAGAN, 2019).

    normalise: what the convolutions are wrapped in, such as spectral normalisation.
    """

    def __init__(
        self, channels: int, normalise: Callable[[nn.Module], nn.Module] = lambda layer: layer
    ) -> None:
        super().__init__()
        inner, values = max(1, channels // 8), max(1, channels // 2)
        self.query = normalise(nn.Conv2d(channels, inner, 1, bias=False))
        self.key = normalise(nn.Conv2d(channels, inner, 1, bias=False))
        self.value = normalise(nn.Conv2d(channels, values, 1, bias=False))
        self.output = normalise(nn.Conv2d(values, channels, 1, bias=False))
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        pooled = F.max_pool2d(hidden, 2)
        query = self.query(hidden).flatten(2).transpose(1, 2)
        key, value = self.key(pooled).flatten(2), self.value(pooled).flatten(2)
        weights = (query @ key).softmax(-1)
        attended = (value @ weights.transpose(1, 2)).unflatten(2, hidden.shape[2:])
        summed: Tensor = hidden + self.gamma * self.output(attended)
        return summed
