"""Convolutional pieces that the conditional families share, for images of any size.

Sizes follow a pyramid: each level has half the height and width of the one before, rounded up,
down to a start grid whose shorter side is 4 to 7 cells. A decoder walks it upwards and interpolates
to each level's exact size, so heights and widths need not be powers of two, nor equal.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.generators.networks.layers import SelfAttention, attention_level

LARGEST_START = 7
EMBEDDING = 32  # numbers that a class is embedded in


def pyramid(height: int, width: int) -> list[tuple[int, int]]:
    """Return (height, width) of each level, the image first and the start grid last.

    >>> pyramid(28, 28)
    [(28, 28), (14, 14), (7, 7)]
    >>> pyramid(20, 36)
    [(20, 36), (10, 18), (5, 9)]
    """
    levels = [(height, width)]
    while min(levels[-1]) > LARGEST_START:
        levels.append(((levels[-1][0] + 1) // 2, (levels[-1][1] + 1) // 2))
    return levels


def level_width(width: int, level: int) -> int:
    """Return channels at a level: `width` at full size, doubled per level, four times at most."""
    return width * min(4, 1 << level)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose gain and bias follow the class (arXiv:1610.07629)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(EMBEDDING, 2 * channels)
        nn.init.zeros_(self.affine.bias)

    def forward(self, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Normalise hidden (B, C, H, W) of classes embedded (B, E), the shape unchanged."""
        gain, bias = self.affine(embedded)[:, :, None, None].chunk(2, 1)
        normalised: Tensor = self.normalise(hidden)
        shifted: Tensor = normalised * (1 + gain) + bias
        return shifted


def ascent(
    image_shape: tuple[int, int, int], width: int
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return sizes and channels of a decoder's levels, the start grid first.

    >>> ascent((1, 28, 28), 16)
    ([(7, 7), (14, 14), (28, 28)], [64, 32, 16])
    """
    sizes = pyramid(*image_shape[1:])[::-1]
    return sizes, [level_width(width, level) for level in range(len(sizes))][::-1]


class _Start(nn.Module):
    """A map from a code and a class to a start grid and the class's embedding."""

    def __init__(self, size: tuple[int, int], channels: int, classes: int, latent: int) -> None:
        super().__init__()
        self.size = size
        self.embed = nn.Embedding(classes, EMBEDDING)
        self.dense = nn.Linear(latent + EMBEDDING, channels * size[0] * size[1])

    def forward(self, z: Tensor, labels: Tensor, strength: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the start grid (B, D, h, w) and the embedding (B, E)."""
        embedded = self.embed(labels)
        if strength is not None:
            embedded = embedded * strength[:, None]
        return self.dense(torch.cat([z, embedded], 1)).view(len(z), -1, *self.size), embedded


def _attentions(sizes: list[tuple[int, int]], widths: list[int], attention: bool) -> nn.ModuleList:
    """Return a layer for each grid of a decoder, self-attention for one of them if there is any."""
    attended = len(sizes) - 1 - attention_level(sizes[::-1]) if attention else -1
    return nn.ModuleList(
        SelfAttention(channels) if index == attended else nn.Identity()
        for index, channels in enumerate(widths)
    )


class ConditionalDecoder(nn.Module):
    """A decoder of a code and a class to an image.

    After a start grid follow, for each level, conditional batch norm, ReLU, interpolation to the
    level's exact size and a 3×3 convolution.

    Args:
        image_shape: (C, H, W).
        classes: How many classes there are.
        latent: Length of the code.
        width: Channels at full size.
        attention: Whether a self-attention layer follows a grid of at most 16 cells a side.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        latent: int,
        width: int,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.sizes, widths = ascent(image_shape, width)
        self.start = _Start(self.sizes[0], widths[0], classes, latent)
        self.norms = nn.ModuleList(ConditionalBatchNorm(count) for count in widths)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(below, above, 3, padding=1)
            for below, above in zip(widths, [*widths[1:], image_shape[0]], strict=True)
        )
        self.attentions = _attentions(self.sizes, widths, attention)

    def forward(self, z: Tensor, labels: Tensor, strength: Tensor | None = None) -> Tensor:
        """Decode codes.

        Args:
            z: Codes (B, Z).
            labels: Classes, int64 (B,).
            strength: Of the conditioning on the class, 0 to 1, (B,); by default 1.

        Returns:
            Images, float32 (B, C, H, W) in [0, 1].
        """
        hidden, embedded = self.start(z, labels, strength)
        # The last convolution keeps the size: it turns features into channels.
        targets = [*self.sizes[1:], self.sizes[-1]]
        layers = zip(self.attentions, self.norms, self.convolutions, targets, strict=True)
        for attention, norm, convolution, size in layers:
            hidden = norm(attention(hidden), embedded).relu()
            if hidden.shape[2:] != size:
                hidden = F.interpolate(hidden, size, mode="nearest")
            hidden = convolution(hidden)
        images: Tensor = hidden.float().sigmoid()
        return images


class ResidualDecoder(nn.Module):
    """A decoder with a residual block of two convolutions for each level.

    As in Miyato and Koyama (arXiv:1802.05637), after He et al. (arXiv:1512.03385).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        latent: int,
        width: int,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.sizes, widths = ascent(image_shape, width)
        self.start = _Start(self.sizes[0], widths[0], classes, latent)
        self.blocks = nn.ModuleList(_ResidualUp(below, above) for below, above in pairwise(widths))
        self.attentions = _attentions(self.sizes, widths, attention)
        self.norm = ConditionalBatchNorm(width)
        self.last = nn.Conv2d(width, image_shape[0], 3, padding=1)

    def forward(self, z: Tensor, labels: Tensor, strength: Tensor | None = None) -> Tensor:
        """Decode as `ConditionalDecoder` does."""
        hidden, embedded = self.start(z, labels, strength)
        hidden = self.attentions[0](hidden)
        layers = zip(self.blocks, self.attentions[1:], self.sizes[1:], strict=True)
        for block, attention, size in layers:
            hidden = attention(block(hidden, embedded, size))
        images: Tensor = self.last(self.norm(hidden, embedded).relu()).float().sigmoid()
        return images


class _ResidualUp(nn.Module):
    def __init__(self, below: int, above: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([ConditionalBatchNorm(below), ConditionalBatchNorm(above)])
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(below, above, 3, padding=1), nn.Conv2d(above, above, 3, padding=1)]
        )
        self.shortcut = nn.Conv2d(below, above, 1)

    def forward(self, hidden: Tensor, embedded: Tensor, size: tuple[int, int]) -> Tensor:
        added = F.interpolate(self.norms[0](hidden, embedded).relu(), size, mode="nearest")
        added = self.norms[1](self.convolutions[0](added), embedded).relu()
        shortcut = F.interpolate(self.shortcut(hidden), size, mode="nearest")
        up: Tensor = self.convolutions[1](added) + shortcut
        return up


class ConditionalEncoder(nn.Module):
    """An encoder of an image and its class to mean and log-variance of a code."""

    def __init__(
        self, image_shape: tuple[int, int, int], classes: int, latent: int, width: int
    ) -> None:
        super().__init__()
        channels, *size = image_shape
        layers: list[nn.Module] = []
        for level in range(1, len(pyramid(*size))):
            above = level_width(width, level)
            layers += [
                nn.Conv2d(channels, above, 4, 2, 1),
                nn.BatchNorm2d(above),
                nn.LeakyReLU(0.2),
            ]
            channels = above
            size = [side // 2 for side in size]  # these convolutions round an odd size down
        self.image = nn.Sequential(*layers, nn.Flatten())
        self.embed = nn.Embedding(classes, EMBEDDING)
        cells = channels * size[0] * size[1]
        self.code = nn.Sequential(nn.Linear(cells + EMBEDDING, 128), nn.LeakyReLU(0.2))
        self.mean, self.log_variance = nn.Linear(128, latent), nn.Linear(128, latent)

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images (B, C, H, W) in [0, 1] of labels int64 (B,).

        Returns:
            Mean and log-variance, both (B, Z).
        """
        features = self.image(images - 0.5)
        hidden = self.code(torch.cat([features, self.embed(labels)], 1))
        return self.mean(hidden).float(), self.log_variance(hidden).float().clamp(-10, 5)


def encoder_and_decoder(module: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder of a family that has both."""
    assert isinstance(module, nn.ModuleDict)
    return module["encoder"], module["decoder"]
