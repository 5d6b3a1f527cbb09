"""Describe how a classifier is trained: augmentation, mixing of images, regularisation."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from synthaug.core import (
    InputError,
    affine,
    expect_flag,
    expect_number,
    plain_values,
    similarity_matrices,
)


@dataclass(frozen=True)
class Policy:
    """Geometry and light that leave the label as it is, drawn anew for each image.

    Args:
        shift: Largest move, in shares of the image's side.
        angle: Largest rotation, in radians.
        zoom: Largest change of size, as a share.
        flip: Whether to mirror left and right.
        light: Largest change of contrast, and half of it of brightness, as a share.
    """

    shift: float = 0.0
    angle: float = 0.0
    zoom: float = 0.0
    flip: bool = False
    light: float = 0.0

    def __call__(self, images: Tensor) -> Tensor:
        """Augment float32 (B, C, H, W) in [0, 1]."""
        if self == Policy():
            return images
        count, device = len(images), images.device
        unit = torch.rand(6, count, device=device) * 2 - 1
        shift = 2 * self.shift * unit[2:4].T  # the coordinates of a side run from -1 to 1
        changes = unit[0] * self.angle, 1 + unit[1] * self.zoom, shift
        matrices = similarity_matrices(images, *changes)
        if self.flip:
            matrices[:, :, 0] *= torch.randint(0, 2, (count, 1), device=device) * 2 - 1
        images = affine(images, matrices)
        contrast, brightness = (self.light * unit[4:6])[:, :, None, None, None]
        lit: Tensor = (images - 0.5) * (1 + contrast) + 0.5 + brightness / 2
        return lit.clamp(0, 1)


POLICIES: dict[str, Policy] = {
    "none": Policy(),
    "shift": Policy(shift=0.1, light=0.2),
    "shift-flip": Policy(shift=0.1, flip=True, light=0.2),
    "rotate-scale": Policy(shift=0.1, angle=0.2, zoom=0.1, light=0.2),
    "rotate-scale-flip": Policy(shift=0.1, angle=0.2, zoom=0.1, flip=True, light=0.2),
}
AUTOMATIC: dict[str, Callable[[], v2.Transform]] = {
    "randaugment": v2.RandAugment,  # Cubuk et al. 2020
    "trivialaugment": v2.TrivialAugmentWide,  # Müller and Hutter 2021
}
DRAW_SIZE = 4  # images that share a draw, which takes a third of the time of one for each
MIXES: dict[str, Callable[[int], v2.Transform]] = {
    "mixup": lambda classes: v2.MixUp(num_classes=classes),  # Zhang et al. 2018
    "cutmix": lambda classes: v2.CutMix(num_classes=classes),  # Yun et al. 2019
}


@dataclass(frozen=True)
class TrainConfig:
    """The settings by which a classifier is trained, beside its number of steps.

    Args:
        policy: Label-preserving geometry and light: "none", "shift", "shift-flip", "rotate-scale"
            or "rotate-scale-flip".
        automatic: None, "randaugment" or "trivialaugment", applied first, drawn anew for every four
            images.
        mix: None, "mixup" or "cutmix", applied to each batch last.
        standardize: Whether each image is brought to zero mean and unit deviation; otherwise all
            are shifted and scaled alike. A network that starts from weights normalises images as
            those that it learned from, whatever is set here.
        class_balanced: Whether each class is drawn equally often.
        learning_rate: Of SGD with Nesterov momentum 0.9 on a half cosine.
        weight_decay: Of the same.
        label_smoothing: Share of each label that is spread over all classes, 0 to 1.
        logit_adjustment: How many times the logarithm of a class's share of the real images is
            added to its logit in the loss, which asks for larger margins of rare classes.
        frozen: Whether the last layer alone learns, from the features of a pretrained network.

    Raises:
        InputError: If a name is unknown, or a number out of range.

    References:
        RandAugment, arXiv 1909.13719. TrivialAugment, arXiv 2103.10158. mixup, arXiv 1710.09412.
        CutMix, arXiv 1905.04899. Long-tail Learning via Logit Adjustment, arXiv 2007.07314.

    Examples:
        >>> TrainConfig("shift-flip", automatic="randaugment", mix="cutmix").weight_decay
        0.002
    """

    policy: str = "shift"
    automatic: str | None = None
    mix: str | None = None
    standardize: bool = True
    class_balanced: bool = False
    learning_rate: float = 0.1
    weight_decay: float = 2e-3
    label_smoothing: float = 0.0
    logit_adjustment: float = 0.0
    frozen: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):  # as JSON has them
            object.__setattr__(self, field.name, plain_values(getattr(self, field.name)))
        for name, choices in (("policy", POLICIES), ("automatic", AUTOMATIC), ("mix", MIXES)):
            value = getattr(self, name)
            if value not in list(choices) and not (value is None and name != "policy"):
                raise InputError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
        for name in ("standardize", "class_balanced", "frozen"):
            expect_flag(name, getattr(self, name))
        expect_number("learning_rate", self.learning_rate)
        for name in ("weight_decay", "label_smoothing", "logit_adjustment"):
            expect_number(name, getattr(self, name), zero=True)
        if self.label_smoothing > 1:
            raise InputError(f"label_smoothing: expected at most 1, got {self.label_smoothing}")


def expect_train_config(config: object, *, pretrained: bool) -> None:
    """Raise `InputError` for no `TrainConfig`, or for one that leaves random layers as they are."""
    if not isinstance(config, TrainConfig):
        raise InputError(f"config: expected a TrainConfig, got {config!r}")
    if config.frozen and not pretrained:
        raise InputError(
            "config: frozen=True trains the last layer alone, and all before it would stay random; "
            "give a Backbone with weights as classifier, or leave frozen out"
        )


class Augmentation:
    """Turn stored images into augmented floats, and mix labels, as a configuration says.

    Args:
        config: The training configuration.
        classes: Number of classes, K.
        span: Share of the range of values that 16-bit images use, such as 1/16 where they have 12
            bits. Light is changed within it, or dark images would be cut off.
    """

    def __init__(self, config: TrainConfig, classes: int, span: float = 1.0) -> None:
        self._span = span
        self._policy = POLICIES[config.policy]
        self._automatic = AUTOMATIC[config.automatic]() if config.automatic else None
        self._mix = MIXES[config.mix](classes) if config.mix else None

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Augment one batch.

        Args:
            images: uint8 or uint16 (B, C, H, W).
            labels: float32 (B, K), rows that sum to 1.

        Returns:
            Images, float32 (B, C, H, W), and labels, float32 (B, K).
        """
        floats = self._policy(self._augment_each(images)) * self._span
        if self._mix is None:
            return floats, labels
        mixed_images, mixed_labels = self._mix(floats, labels)
        return mixed_images, mixed_labels

    def _augment_each(self, images: Tensor) -> Tensor:
        top = int(np.iinfo(str(images.dtype).removeprefix("torch.")).max)
        if images.dtype != torch.uint8:
            # torchvision's operations know no uint16: they work on floats instead.
            images, top = (images.float() / (top * self._span)).clamp(max=1), 1
        if self._automatic is None:
            return images.float() / top
        outputs = torch.cat([self._automatic(few) for few in torch.split(images, DRAW_SIZE)])
        return outputs.float() / top
