"""Discriminators: how real an image of a class looks, and how they are conditioned on it."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.generators.networks.coders import EMBEDDING, level_width, pyramid
from synthaug.generators.networks.layers import SelfAttention, attention_level, spectral_norm

FEATURES = 128  # numbers that a discriminator judges


class Discriminator(nn.Module):
    """A backbone, a dense layer of features h, and a head.

    Every weight is under spectral normalisation. The features are a dense layer of the last grid,
    not its sum: where a part lies matters to the shape of small images.

    Args:
        image_shape: (C, H, W).
        classes: How many classes there are.
        width: Channels at full size.
        conditioning: A name of `CONDITIONINGS`.
        backbone: A name of `BACKBONES`.
        attention: Whether a self-attention layer looks at a grid of at most 16 cells a side.
        codes: How many numbers of an image's noise are read back from its features.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        width: int,
        *,
        conditioning: str = "projection",
        backbone: str = "plain",
        attention: bool = False,
        codes: int = 0,
    ) -> None:
        super().__init__()
        channels, *size = image_shape
        down = BACKBONES[backbone]
        layers: list[nn.Module] = [
            spectral_norm(nn.Conv2d(channels, width, 3, padding=1)),
            nn.LeakyReLU(0.2),
        ]
        channels, levels = width, pyramid(*size)
        for level in range(len(levels)):
            if level:
                above = level_width(width, level + 1)
                layers.append(down(channels, above))
                channels = above
                size = [side // 2 for side in size]  # these layers round an odd size down
            if attention and level == attention_level(levels):
                layers.append(SelfAttention(channels, spectral_norm))
        dense = spectral_norm(nn.Linear(channels * size[0] * size[1], FEATURES))
        self.features = nn.Sequential(*layers, nn.Flatten(), dense, nn.LeakyReLU(0.2))
        self.head = CONDITIONINGS[conditioning](classes)
        self.codes = spectral_norm(nn.Linear(FEATURES, codes)) if codes else None

    def forward(self, images: Tensor, labels: Tensor, strength: Tensor) -> dict[str, Tensor]:
        """Judge images.

        Args:
            images: (B, C, H, W) in [-1, 1].
            labels: Classes that they are to be of, int64 (B,).
            strength: Of the conditioning on the class, 0 to 1, (B,).

        Returns:
            "logits" (B,), "features" (B, D), and "classes" (B, K) or "codes" (B, Z) of
            discriminators that have them; all float32.
        """
        features = self.features(images).float()
        outputs: dict[str, Tensor] = {"features": features}
        outputs |= self.head(features, labels, strength[:, None])
        if self.codes is not None:
            outputs["codes"] = self.codes(features).float()
        return outputs


class Projection(nn.Module):
    """A head psi(h) + <v_y, h> (Miyato and Koyama, arXiv:1802.05637)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.unconditional = spectral_norm(nn.Linear(FEATURES, 1))
        self.embed = spectral_norm(nn.Embedding(classes, FEATURES))

    def forward(self, features: Tensor, labels: Tensor, strength: Tensor) -> dict[str, Tensor]:
        """Return "logits" (B,) of features (B, D), labels (B,) and strength (B, 1)."""
        conditional = (strength * self.embed(labels) * features).sum(1)
        return {"logits": self.unconditional(features).squeeze(1).float() + conditional.float()}


class Concatenation(nn.Module):
    """A head psi(h, v_y): the class's embedding beside the features (arXiv:1411.1784)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embed = spectral_norm(nn.Embedding(classes, EMBEDDING))
        self.judge = nn.Sequential(
            spectral_norm(nn.Linear(FEATURES + EMBEDDING, FEATURES)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(FEATURES, 1)),
        )

    def forward(self, features: Tensor, labels: Tensor, strength: Tensor) -> dict[str, Tensor]:
        """Return "logits" (B,) of features (B, D), labels (B,) and strength (B, 1)."""
        both = torch.cat([features, strength * self.embed(labels)], 1)
        return {"logits": self.judge(both).squeeze(1).float()}


class Auxiliary(nn.Module):
    """A head psi(h), and the class read from h (Odena et al., arXiv:1610.09585)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.unconditional = spectral_norm(nn.Linear(FEATURES, 1))
        self.classify = spectral_norm(nn.Linear(FEATURES, classes))

    def forward(self, features: Tensor, labels: Tensor, strength: Tensor) -> dict[str, Tensor]:
        """Return "logits" (B,) and "classes" (B, K) of features (B, D) and strength (B, 1)."""
        # Spectral normalisation bounds the logits, so a fixed scale lets them be sure.
        classes = 4 * strength * self.classify(features).float()
        return {"logits": self.unconditional(features).squeeze(1).float(), "classes": classes}


CONDITIONINGS: dict[str, Callable[[int], nn.Module]] = {
    "projection": Projection,
    "concatenation": Concatenation,
    "auxiliary": Auxiliary,
}


def strided(channels: int, above: int) -> nn.Module:
    """Halve the height and width by a strided convolution, as DCGAN's (arXiv:1511.06434)."""
    return nn.Sequential(spectral_norm(nn.Conv2d(channels, above, 4, 2, 1)), nn.LeakyReLU(0.2))


class ResidualDown(nn.Module):
    """Two convolutions, average pooling and a shortcut, which halve the height and width.

    As in Miyato and Koyama (arXiv:1802.05637), after He et al. (arXiv:1512.03385).
    """

    def __init__(self, channels: int, above: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(channels, above, 3, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(above, above, 3, padding=1)),
        )
        self.shortcut = spectral_norm(nn.Conv2d(channels, above, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        """Halve height and width of (B, C, H, W)."""
        added = F.avg_pool2d(self.layers(hidden), 2) + self.shortcut(F.avg_pool2d(hidden, 2))
        return F.leaky_relu(added, 0.2)


BACKBONES: dict[str, Callable[[int, int], nn.Module]] = {
    "plain": strided,
    "residual": ResidualDown,
}
