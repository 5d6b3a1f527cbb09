"""Build networks to classify with: a small residual network, or any of timm's.

All take float32 (B, C, H, W) in [0, 1] and return logits (B, K): how pixels are normalised is
part of the network, so that a trained one can be used anywhere.
"""

import hashlib
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from synthaug.classifiers.timm_network import PRETRAINED, classifier_of, timm_network
from synthaug.core import InputError, as_count, evaluating, expand_path, first_line

TIMM = "timm:"
WIDTHS = (32, 64, 128)


class Standardize(nn.Module):
    """A layer that brings each image to zero mean and unit deviation over channels and pixels.

    Args:
        span: As for `Normalize`, for images of a type that they need not fill; kept with the
            weights.
    """

    floor: Tensor

    def __init__(self, span: float | None = None) -> None:
        super().__init__()
        floor = torch.tensor(0.01 if span is None else 0.01 * span)
        self.register_buffer("floor", floor, persistent=span is not None)

    def forward(self, images: Tensor) -> Tensor:
        """Standardise float32 (B, C, H, W)."""
        centred = images - images.mean((1, 2, 3), keepdim=True)
        # The same as `std`, which is ten times slower for channels that come last.
        size = torch.linalg.vector_norm(centred, dim=(1, 2, 3), keepdim=True)
        deviation = size / math.sqrt(images[0].numel() - 1)
        standard: Tensor = centred / (deviation + self.floor)
        return standard


class Normalize(nn.Module):
    """A layer that shifts and scales all images by the same numbers.

    Args:
        mean: One number, or one a channel.
        deviation: The same.
        span: Share of the range of their type that images use; `mean` and `deviation` are those of
            images that use all of it.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, mean: float | Sequence[float], deviation: float | Sequence[float], span: float = 1.0
    ) -> None:
        super().__init__()
        self.register_buffer("mean", _of_channels(mean) * span)
        self.register_buffer("deviation", _of_channels(deviation).clamp(min=0.01) * span)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise float32 (B, C, H, W)."""
        return (images - self.mean) / self.deviation


def _of_channels(numbers: float | Sequence[float]) -> Tensor:
    tensor = torch.tensor(numbers)
    return tensor.view(-1, 1, 1) if tensor.ndim else tensor


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut (He et al., arXiv 1512.03385)."""

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
        """Map (B, C, H, W) to (B, width, H / stride, W / stride)."""
        hidden = F.relu(self.norm1(self.first(x)))
        return F.relu(self.norm2(self.second(hidden)) + self.shortcut(x))


class SmallResNet(nn.Module):
    """A residual network for images of 8 to 256 pixels and few training images.

    A thin stem keeps the full resolution of images up to 40 pixels (larger ones are halved first).
    The wide blocks work on a half, a quarter and an eighth of it (images up to 20 pixels have no
    third block). At 32 pixels a step takes a third of the time of a network that is as wide at full
    resolution.
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
        """Return logits (B, K) of normalised images (B, C, H, W)."""
        logits: Tensor = self.head(self.features(images))
        return logits


def _convolution(channels: int, width: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]


@dataclass(frozen=True)
class Backbone:
    """The network of a classifier, and the weights that it starts from.

    Args:
        name: "resnet" for a small residual network, or "timm:NAME".
        weights: None for random ones; "pretrained" for those that timm downloads; or a file of
            them, .safetensors or .pth, under timm's names, for all layers but the last. Images are
            then normalised with timm's mean and deviation, those of 12 bits in 16 as those of 8.
        size: Side that images are brought to within the network, 8 to 512 pixels; None leaves them
            as they are.

    Raises:
        InputError: If the weights are no file, or the size is out of range.

    References:
        Deep Residual Learning for Image Recognition, arXiv 1512.03385. PyTorch Image Models,
        doi 10.5281/zenodo.4414861.

    Examples:
        >>> from synthaug import Backbone
        >>> Backbone("timm:resnet10t", size=64)
        Backbone(name='timm:resnet10t', weights=None, size=64)
    """

    name: str = "resnet"
    weights: str | Path | None = None
    size: int | None = None
    # Absolute: another process may be in another directory.
    _file: Path | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, network: "str | Backbone") -> "Backbone":
        """Return a backbone as it is, or one of a name with random weights.

        Args:
            network: A backbone, "resnet" or "timm:NAME".

        Raises:
            InputError: If it is neither text nor a backbone.
        """
        backbone = cls(network) if isinstance(network, str) else network
        if not isinstance(backbone, cls):
            raise InputError(
                f"classifier: expected 'resnet', 'timm:NAME' or a Backbone, got {network!r}"
            )
        return backbone

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"classifier: expected 'resnet' or 'timm:NAME', got {self.name!r}")
        if self.size is not None:
            size = as_count("classifier size", self.size)
            if not 8 <= size <= 512:
                raise InputError(f"classifier size: expected 8 to 512 pixels, got {size}")
            object.__setattr__(self, "size", size)
        if self.weights is None:
            return
        if not isinstance(self.weights, str | Path):
            raise InputError(
                f"classifier weights: expected a file or {PRETRAINED!r}, got {self.weights!r}"
            )
        object.__setattr__(self, "weights", str(self.weights))  # as JSON has it
        if not self.name.startswith(TIMM):
            raise InputError(
                f"classifier weights: are for timm's networks; expected 'timm:NAME', got "
                f"{self.name!r}"
            )
        if self.weights == PRETRAINED:
            return
        file = expand_path(self.weights).absolute()
        if not file.is_file():
            problem = "is a directory" if file.is_dir() else "no such file"
            raise InputError(f"classifier weights: {problem}: {self.weights}")
        object.__setattr__(self, "_file", file)

    @property
    def pretrained(self) -> bool:
        """Tell whether it starts from weights, which bring a normalisation of their own."""
        return self.weights is not None

    @property
    def facts(self) -> dict[str, Any]:
        """The backbone's description in a result; weights and size only where they are set."""
        options = {"classifier_weights": self.weights, "classifier_size": self.size}
        return {"classifier": self.name, **{k: v for k, v in options.items() if v is not None}}

    @property
    def identity(self) -> str:
        """A text that differs for every other network, the content of a file included."""
        settings = repr((self.name, self.size))
        if self._file is None:
            return f"{settings} {self.weights}"
        content = self._file.read_bytes()
        return f"{settings} {hashlib.blake2b(content, digest_size=8).hexdigest()}"

    def build(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        normalization: nn.Module,
        *,
        span: float = 1.0,
        empty: bool = False,
    ) -> nn.Sequential:
        """Build the network behind its normalisation.

        Args:
            image_shape: (C, H, W) of the images that it will see.
            classes: Number of classes, K.
            normalization: Normalisation of a network with random weights.
            span: Share of the range of their type that images use, as `span_of` finds it.
            empty: Whether to leave out weights, to load others.

        Raises:
            InputError: If timm does not know the name or the weights.
        """
        channels, height, width = image_shape
        if self.name.startswith(TIMM):
            weights = None if empty or self.weights is None else str(self._file or self.weights)
            network = timm_network(self.name.removeprefix(TIMM), channels, classes, weights)
        elif self.name == "resnet":
            shape = (channels, self.size or height, self.size or width)
            network = SmallResNet(shape, classes)
        else:
            raise InputError(f"classifier: expected 'resnet' or 'timm:NAME', got {self.name!r}")
        if self.pretrained:
            normalization = _as_pretrained(network, channels, span)
        if self.size is not None:
            normalization = nn.Sequential(v2.Resize((self.size, self.size)), normalization)
        return nn.Sequential(normalization, network)

    def check(self, image_shape: tuple[int, int, int], classes: int) -> None:
        """Check that the network, with its weights, can take images; one of timm's is built to try.

        Args:
            image_shape: (C, H, W).
            classes: Number of classes, K.

        Raises:
            InputError: If it cannot take them, or timm does not know the name or the weights.
        """
        if self.name.startswith(TIMM):
            self.try_out(self.build(image_shape, classes, nn.Identity()), image_shape)

    def try_out(self, network: nn.Sequential, image_shape: tuple[int, int, int]) -> None:
        """Check that a built network can take images, by two black ones.

        Args:
            network: What `build` returned.
            image_shape: (C, H, W).

        Raises:
            InputError: If it cannot.
        """
        try:
            with torch.no_grad(), evaluating(network):
                network(torch.zeros(2, *image_shape))
        except Exception as error:  # networks raise errors of any kind
            default_size = getattr(network[1], "pretrained_cfg", {}).get("input_size", (224,))[-1]
            raise InputError(
                f"classifier size: {self.name} cannot take images of "
                f"{self.size or image_shape[1]} x {self.size or image_shape[2]} pixels "
                f"({first_line(error)}); its own size is {default_size} (--classifier-size)"
            ) from None


def head_of(network: nn.Module) -> nn.Module:
    """Return the last layer of a built network, or its last layers side by side."""
    inner: Any = network[1]  # type: ignore[index]
    head: nn.Module = inner.head if isinstance(inner, SmallResNet) else classifier_of(inner)
    return head


def has_depthwise(network: nn.Module) -> bool:
    """Tell whether any convolution works on each channel by itself."""
    return any(
        isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1
        for layer in network.modules()
    )


def layout_for(network: nn.Module, device: torch.device) -> torch.memory_format:
    """Return the fastest layout in memory of a network and its images.

    Channels last is up to a third faster on a processor, and on a GPU in 16 bits, but not with
    depthwise convolutions on a GPU: cuDNN launches a kernel for each of their channels then, 3,500
    in a step of EfficientNet, which took 41 ms in place of 27.
    """
    is_slower = device.type == "cuda" and has_depthwise(network)
    return torch.contiguous_format if is_slower else torch.channels_last


def is_cramped(network: nn.Module, image_shape: tuple[int, int, int]) -> bool:
    """Tell whether any convolution sees images that are smaller than its kernel."""
    is_smaller: list[bool] = []

    def compare(layer: nn.Conv2d, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        sides = inputs[0].shape[2:]
        is_smaller.append(any(s < k for s, k in zip(sides, layer.kernel_size, strict=True)))

    with ExitStack() as hooks, torch.no_grad(), evaluating(network):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                hooks.enter_context(layer.register_forward_hook(compare))
        network(torch.zeros(1, *image_shape, device=next(network.parameters()).device))
    return any(is_smaller)


def _as_pretrained(network: nn.Module, channels: int, span: float) -> Normalize:
    facts: Any = network.pretrained_cfg
    mean, deviation = torch.tensor(facts["mean"]), torch.tensor(facts["std"])
    if channels != len(mean):
        return Normalize(float(mean.mean()), float(deviation.mean()), span)
    return Normalize(mean.tolist(), deviation.tolist(), span)
