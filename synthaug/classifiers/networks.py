"""Networks to classify with: a small residual network, or any of timm's.

All take float32 (B, C, H, W) in [0, 1] and return logits (B, K): how pixels are normalised is
part of the network, so that a trained one can be used anywhere.
"""

from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.errors import InputError

TIMM = "timm:"
WIDTHS = (32, 64, 128)


class Standardize(nn.Module):
    """Each image to zero mean and unit deviation, over all its channels and pixels."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3), keepdim=True)
        deviation = images.std((1, 2, 3), keepdim=True)
        return (images - mean) / (deviation + 0.01)


class Normalize(nn.Module):
    """All images shifted and scaled by the same two numbers, taken from the training images."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: float, deviation: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(max(deviation, 0.01)))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.deviation


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut (He et al. 2016)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if channels != width or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.norm1(self.first(x)))
        return F.relu(self.norm2(self.second(hidden)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """A residual network for images of 8 to 256 pixels and few training images.

    A thin stem keeps the full resolution of images up to 40 pixels (larger ones are halved first),
    and the wide blocks work on a half, a quarter and an eighth of it (images up to 20 pixels have
    no third block): at 32 pixels a step takes a third of the time of a network that is as wide at
    full resolution.
    """

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        side, layers = min(height, width), []
        stem = 16
        while side > 40:
            layers += _convolution(channels, stem, stride=2)
            channels, stem, side = stem, 32, (side + 1) // 2
        if not layers:
            layers += _convolution(channels, stem, stride=1)
            channels = stem
        for block_width in WIDTHS[: 3 if side > 20 else 2]:
            stride = 2 if side > 4 else 1
            layers.append(ResidualBlock(channels, block_width, stride))
            channels, side = block_width, (side + stride - 1) // stride
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits


def _convolution(channels: int, width: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]


def build_classifier(
    name: str, image_shape: tuple[int, int, int], classes: int, normalization: nn.Module
) -> nn.Module:
    """An untrained network: "resnet" (`SmallResNet`) or "timm:NAME".

    image_shape: (C, H, W) of the images that it will see.

    Raises `InputError` for a name that neither knows.
    """
    if name.startswith(TIMM):
        network = _timm_network(name.removeprefix(TIMM), image_shape[0], classes)
    elif name == "resnet":
        network = SmallResNet(image_shape, classes)
    else:
        raise InputError(f"classifier: expected 'resnet' or 'timm:NAME', got {name!r}")
    return nn.Sequential(normalization, network)


def _timm_network(name: str, channels: int, classes: int) -> nn.Module:
    import timm

    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=5)
        hint = f"; close to it: {', '.join(close)}" if close else ""
        raise InputError(f"classifier: timm knows no model {name!r}{hint}")
    network: nn.Module = timm.create_model(name, num_classes=classes, in_chans=channels)
    return network
