"""Spectral normalisation: a layer's weight over its largest singular value (Miyato et al. 2018).

torch's own draws other first vectors: trainings would end elsewhere than those that were measured.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import register_parametrization

Layer = TypeVar("Layer", bound=nn.Module)
WARM_UP = 15  # power iterations at the start; one more at each call in training


def spectral_norm(layer: Layer) -> Layer:
    """`layer` with its `weight` kept at spectral norm 1.

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
