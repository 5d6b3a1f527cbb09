"""How real an image of a class looks: the discriminators, and what conditions them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.generators.networks.coders import EMBEDDING, level_width, pyramid
from synthaug.generators.networks.layers import SelfAttention, attention_level, spectral_norm

FEATURES = 128  # numbers that a discriminator judges


class Discriminator(nn.Module):
    """A backbone, a dense layer of features h, and a head, every weight under spectral
    normalisation. The features are a dense layer of the last grid, not its sum: where a part lies
    matters to the shape of small images.

    conditioning: a name of `CONDITIONINGS`.
    backbone: a name of `BACKBONES`.
    attention: whether a self-attention layer looks at a grid of at most 16 cells a side.
    codes: how many numbers of an image's noise are read back from its features.
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
        """images (B, C, H, W) in [-1, 1], labels int64 (B,), strength (B,) of the conditioning, 0
        to 1 -> "logits" (B,), "features" (B, D), and "classes" (B, K) or "codes" (B, Z) of those
        that have them; all float32."""
        features = self.features(images).float()
        judged: dict[str, Tensor] = {"features": features}
        judged |= self.head(features, labels, strength[:, None])
        if self.codes is not None:
            judged["codes"] = self.codes(features).float()
        return judged


class Projection(nn.Module):
    """psi(h) + <v_y, h> (Miyato and Koyama 2018)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.unconditional = spectral_norm(nn.Linear(FEATURES, 1))
        self.embed = spectral_norm(nn.Embedding(classes, FEATURES))

    def forward(self, features: Tensor, labels: Tensor, strength: Tensor) -> dict[str, Tensor]:
        conditional = (strength * self.embed(labels) * features).sum(1)
        return {"logits": self.unconditional(features).squeeze(1).float() + conditional.float()}


class Concatenation(nn.Module):
    """psi(h, v_y): the class's embedding beside the features (Mirza and Osindero 2014)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.embed = spectral_norm(nn.Embedding(classes, EMBEDDING))
        self.judge = nn.Sequential(
            spectral_norm(nn.Linear(FEATURES + EMBEDDING, FEATURES)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(FEATURES, 1)),
        )

    def forward(self, features: Tensor, labels: Tensor, strength: Tensor) -> dict[str, Tensor]:
        both = torch.cat([features, strength * self.embed(labels)], 1)
        return {"logits": self.judge(both).squeeze(1).float()}


class Auxiliary(nn.Module):
    """psi(h), and the class read from h (Odena et al. 2017)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.unconditional = spectral_norm(nn.Linear(FEATURES, 1))
        self.classify = spectral_norm(nn.Linear(FEATURES, classes))

    def forward(self, features: Tensor, labels: Tensor, strength: Tensor) -> dict[str, Tensor]:
        # Spectral normalisation bounds the logits, so a fixed scale lets them be sure.
        classes = 4 * strength * self.classify(features).float()
        return {"logits": self.unconditional(features).squeeze(1).float(), "classes": classes}


CONDITIONINGS: dict[str, Callable[[int], nn.Module]] = {
    "projection": Projection,
    "concatenation": Concatenation,
    "auxiliary": Auxiliary,
}


def strided(channels: int, above: int) -> nn.Module:
    """Half the height and width by a strided convolution, as DCGAN's (Radford 2016)."""
    return nn.Sequential(spectral_norm(nn.Conv2d(channels, above, 4, 2, 1)), nn.LeakyReLU(0.2))


class ResidualDown(nn.Module):
    """Half the height and width by two convolutions, average pooling and a shortcut (as in Miyato
    2018, after He 2016)."""

    def __init__(self, channels: int, above: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(channels, above, 3, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(above, above, 3, padding=1)),
        )
        self.shortcut = spectral_norm(nn.Conv2d(channels, above, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        added = F.avg_pool2d(self.layers(hidden), 2) + self.shortcut(F.avg_pool2d(hidden, 2))
        return F.leaky_relu(added, 0.2)


BACKBONES: dict[str, Callable[[int, int], nn.Module]] = {
    "plain": strided,
    "residual": ResidualDown,
}
