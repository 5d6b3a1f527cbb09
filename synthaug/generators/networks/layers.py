"""Layers of both networks of a GAN.

Self-attention over the cells of a feature map (Zhang et al., arXiv:1805.08318).

Spectral normalisation: a layer's weight over its largest singular value (Miyato et al.,
arXiv:1802.05957).

torch's own draws other first vectors: trainings would end elsewhere than those that were measured.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import register_parametrization

LARGEST_SIDE = 16  # cells; attention compares every cell with every other


def attention_level(levels: Sequence[tuple[int, int]]) -> int:
    """Return the index of the finest level that is at most 16 cells a side.

    Args:
        levels: (height, width) of each, the finest first.

    >>> attention_level([(64, 40), (32, 20), (16, 10), (8, 5)])
    2
    """
    sides = [max(level) for level in levels]
    fits = [index for index, side in enumerate(sides) if side <= LARGEST_SIDE]
    return fits[0] if fits else len(levels) - 1


class SelfAttention(nn.Module):
    """A layer x + gamma * o(softmax(q(x)^T k(x)) v(x)), gamma 0 at the start (SAGAN).

    Args:
        normalise: What the convolutions are wrapped in, such as spectral normalisation.
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
        """Attend over (B, C, H, W), the shape unchanged."""
        pooled = F.max_pool2d(hidden, 2)
        query = self.query(hidden).flatten(2).transpose(1, 2)
        key, value = self.key(pooled).flatten(2), self.value(pooled).flatten(2)
        weights = (query @ key).softmax(-1)
        attended = (value @ weights.transpose(1, 2)).unflatten(2, hidden.shape[2:])
        summed: Tensor = hidden + self.gamma * self.output(attended)
        return summed


Layer = TypeVar("Layer", bound=nn.Module)
WARM_UP = 15  # power iterations at the start; one more at each call in training


def spectral_norm(layer: Layer) -> Layer:
    """Return `layer` with a `weight` that stays at spectral norm 1.

    >>> layer = spectral_norm(nn.Linear(4, 3)).eval()
    >>> round(torch.linalg.matrix_norm(layer.weight, 2).item(), 1)
    1.0
    """
    weight = layer.weight
    assert isinstance(weight, Tensor)
    register_parametrization(layer, "weight", _OverLargestSingularValue(weight))
    return layer


class _OverLargestSingularValue(nn.Module):
    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        for name, size in zip(("left", "right"), matrix.shape, strict=True):
            self.register_buffer(name, F.normalize(torch.randn(size), dim=0))
        for _ in range(WARM_UP):
            self._iterate(matrix)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        self.right.copy_(F.normalize(matrix.T @ self.left, dim=0))
        self.left.copy_(F.normalize(matrix @ self.right, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training:
                self._iterate(matrix)
            # Clones: the next call changes the buffers, and this one's gradient still needs them.
            left, right = self.left.clone(), self.right.clone()
            return weight / (left @ (matrix @ right))
