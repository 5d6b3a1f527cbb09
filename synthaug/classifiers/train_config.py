"""How a classifier is trained: augmentation of each image, mixing of images, regularisation."""

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

    shift: largest move, in shares of the image's side. angle: largest rotation, in radians.
    zoom: largest change of size. flip: whether to mirror left and right.
    light: largest change of contrast, and half of it of brightness.
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
ALIKE = 4  # images that one of their draws changes: a third of the time of a draw for each
MIXES: dict[str, Callable[[int], v2.Transform]] = {
    "mixup": lambda classes: v2.MixUp(num_classes=classes),  # Zhang et al. 2018
    "cutmix": lambda classes: v2.CutMix(num_classes=classes),  # Yun et al. 2019
}


@dataclass(frozen=True)
class TrainConfig:
    """One way of training a classifier without synthetic images.

    policy: label-preserving geometry and light, a key of `POLICIES`.
    automatic: None, "randaugment" or "trivialaugment", applied first, drawn anew for every four
        images.
    mix: None, "mixup" or "cutmix", applied to each batch last.
    standardize: whether each image is brought to zero mean and unit deviation; otherwise all are
        shifted and scaled alike. A network that starts from weights takes images as those were
        learned from, whatever stands here.
    class_balanced: whether each class is drawn equally often.
    learning_rate, weight_decay: of SGD with Nesterov momentum 0.9 on a half cosine.
    label_smoothing: share of each label that is spread over all classes.
    logit_adjustment: how many times the logarithm of a class's share of the real images is added
        to its logit in the loss, which asks for larger margins of rare classes (Menon et al. 2021).
    frozen: whether the last layer alone learns, from the features of a pretrained network.

    Raises `InputError` for a name that is none, and for numbers that are none or out of range.

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
        for field in fields(self):  # kept as JSON
            object.__setattr__(self, field.name, plain_values(getattr(self, field.name)))
        for name, known in (("policy", POLICIES), ("automatic", AUTOMATIC), ("mix", MIXES)):
            value = getattr(self, name)
            if value not in list(known) and not (value is None and name != "policy"):
                raise InputError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
        for name in ("standardize", "class_balanced", "frozen"):
            expect_flag(name, getattr(self, name))
        expect_number("learning_rate", self.learning_rate)
        for name in ("weight_decay", "label_smoothing", "logit_adjustment"):
            expect_number(name, getattr(self, name), zero=True)
        if self.label_smoothing > 1:
            raise InputError(f"label_smoothing: expected at most 1, got {self.label_smoothing}")


def expect_train_config(given: object, *, pretrained: bool) -> None:
    """Raise `InputError` for no `TrainConfig`, or for one that leaves random layers as they are."""
    if not isinstance(given, TrainConfig):
        raise InputError(f"config: expected a TrainConfig, got {given!r}")
    if given.frozen and not pretrained:
        raise InputError(
            "config: frozen=True trains the last layer alone, and all before it would stay random; "
            "give a Backbone with weights as classifier, or leave frozen out"
        )


class Augmentation:
    """A recipe's image side: stored images in, augmented floats and mixed labels out.

    span: the share of the range of values that 16-bit images use, such as 1/16 where they have 12
        bits: light is changed within it, or dark images would be cut off.
    """

    def __init__(self, config: TrainConfig, classes: int, span: float = 1.0) -> None:
        self._span = span
        self._policy = POLICIES[config.policy]
        self._automatic = AUTOMATIC[config.automatic]() if config.automatic else None
        self._mix = MIXES[config.mix](classes) if config.mix else None

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Augment one batch.

        images: uint8 or uint16 (B, C, H, W). labels: float32 (B, K), rows that sum to 1.
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
        changed = torch.cat([self._automatic(few) for few in torch.split(images, ALIKE)])
        return changed.float() / top
