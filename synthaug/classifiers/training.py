"""Train classifiers, by one function for real and synthetic images."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from synthaug.classifiers.batches import Batches
from synthaug.classifiers.folding import fold_batch_norms
from synthaug.classifiers.networks import (
    Backbone,
    Normalize,
    Standardize,
    has_depthwise,
    head_of,
    is_cramped,
    layout_for,
)
from synthaug.classifiers.train_config import TrainConfig, expect_train_config
from synthaug.core import (
    InputError,
    Phase,
    Progress,
    Schedule,
    Session,
    as_share,
    expand_path,
    expect_count,
    expect_labels,
    expect_progress,
    mixed_precision,
    optimize,
    plain_torch,
    resolve_device,
    torch_stream,
    until_saved,
)
from synthaug.data import LabelledImages, Samples, expect_labelled, soft_rows, span_of, to_float

NORM_IMAGES = 256  # images at a time for the sums of mean and deviation
NORM_BATCHES = 32  # batches for the batch-norm statistics of the averaged network


@plain_torch()
def train_classifier(
    train: LabelledImages,
    *,
    config: TrainConfig | None = None,
    synthetic: Samples | None = None,
    ratio: float = 0.5,
    soft_labels: np.ndarray | None = None,
    classifier: str | Backbone = "resnet",
    steps: int = 1000,
    batch_size: int = 64,
    seed: int = 0,
    device: str = "auto",
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> nn.Module:
    """Train a classifier for a fixed number of optimiser steps.

    Initial weights and the order of real images depend on `seed` alone, so that trainings with one
    seed are paired whatever is mixed in.

    Args:
        train: Real images, N of K classes.
        config: How to augment and regularise; default `TrainConfig()`.
        synthetic: Images to mix in: in every batch `round(ratio * batch_size)` images, at random
            places, are replaced by synthetic ones of the same class. Their soft labels are learned
            where they have any.
        ratio: Share of synthetic images in each batch, 0 to 1.
        soft_labels: float32 (N, K), in place of the labels of `train`.
        classifier: "resnet", "timm:NAME", or a `Backbone` with weights to start from.
        steps: Optimiser steps, each on `batch_size` images.
        batch_size: Real and synthetic images of a step together.
        seed: Settles weights, order and augmentation.
        device: "auto" (a GPU where there is one), "cpu", "cuda:0".
        checkpoint: A file that training resumes from, if it is there, and saves its state to.
        progress: Called with (steps done, steps in all).

    Returns:
        The network with averaged weights, from float32 (B, C, H, W) in [0, 1] to logits (B, K).

    Raises:
        InputError: If inputs do not fit together.
        TrainingError: If the loss is not a number.

    References:
        Averaging Weights Leads to Wider Optima and Better Generalization, arXiv 1803.05407.

    Examples:
        >>> from synthaug import TrainConfig, read_images, train_classifier
        >>> from synthaug.classifiers import evaluate
        >>> network = train_classifier(
        ...     read_images("digits"), config=TrainConfig(mix="mixup"), steps=2, device="cpu")
        >>> 0 <= evaluate(network, read_images("digits", split="test")).accuracy <= 1
        True
    """
    config = TrainConfig() if config is None else config
    backbone = Backbone.of(classifier)
    pretrained = backbone.pretrained
    expect_train_config(config, pretrained=pretrained)
    expect_labelled("train", train)
    expect_count("steps", steps)
    expect_count("batch_size", batch_size)
    expect_progress(progress)
    _check(train, synthetic, ratio, batch_size)
    soft = None if soft_labels is None else soft_rows(soft_labels, len(train), len(train.classes))
    target = resolve_device(device)
    classes = len(train.classes)
    with torch_stream(seed, "build"):
        span = span_of(train.images)
        normalization = nn.Identity() if pretrained else _normalization(train, config, span)
        network = backbone.build(train.image_shape, classes, normalization, span=span)
        backbone.try_out(network, train.image_shape)
    learning: nn.Module = network
    forward: nn.Module = network  # gives the logits of a step
    if config.frozen:
        learning = head_of(network)
        network.requires_grad_(False)
        learning.requires_grad_(True)
        forward = fold_batch_norms(network, learning, to_float(train.images[:4]))
    layout = layout_for(network, target)
    network = network.to(memory_format=layout).to(target)
    forward = forward.to(memory_format=layout).to(target)
    batches = Batches(train, soft, synthetic, ratio, config, batch_size, seed, target)

    counts = torch.as_tensor(train.counts, dtype=torch.float32, device=target).clamp(min=1)
    margins = config.logit_adjustment * (counts / counts.sum()).log()

    # In 16 bits a processor is three times slower at a depthwise convolution's gradient, and leaves
    # it unset for weights of a kernel that see nothing but padding.
    full_precision = target.type == "cpu" and (
        has_depthwise(network) or is_cramped(network, train.image_shape)
    )

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        images, labels = batch
        if config.frozen and learning.training:
            forward.eval()  # its statistics are those of the images it was trained on
        with torch.autocast("cpu", enabled=False) if full_precision else nullcontext():
            logits = forward(images.contiguous(memory_format=layout)).float()
        return F.cross_entropy(logits + margins, labels, label_smoothing=config.label_smoothing)

    optimizer = torch.optim.SGD(
        learning.parameters(),
        lr=config.learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=config.weight_decay,
    )
    identity, file = "", None
    if checkpoint is not None:  # the digest reads the weights and all images
        samples = (None,) * 4 if synthetic is None else tuple(vars(synthetic).values())
        settings = (backbone.identity, config, train.fingerprint, seed, ratio, steps, batch_size)
        identity, file = (
            f"classifier {_identity(*settings, soft, *samples)}",
            expand_path(checkpoint),
        )
    with until_saved():  # the work after the last step may take minutes, too
        average = optimize(
            network,
            [Phase("classifier", optimizer, loss)],
            batches,
            Schedule(steps, warmup=min(50, steps // 10)),
            Session(seed, target, identity, file, progress),
            averaged=learning,
        )
        if config.frozen:
            learning.load_state_dict(average.state_dict())
            return network.requires_grad_(True).eval()  # may be trained further like any other
        # Batch-norm statistics of averaged weights are no average of statistics: compute them anew.
        with torch.no_grad(), mixed_precision(target):
            update_bn(_last(batches, steps, seed, target, layout), average)
    return average.eval()


def expect_share(ratio: float, batch_size: int) -> None:
    """Raise `InputError` where a share of a batch that is not 0 comes to no image."""
    if ratio and not round(ratio * batch_size):
        raise InputError(
            f"ratio: a share of {ratio:g} of {batch_size} images is not one image; raise it, or "
            "batch_size"
        )


def _check(
    train: LabelledImages,
    synthetic: Samples | None,
    ratio: float,
    batch_size: int,
) -> None:
    as_share("ratio", ratio)
    if not len(train):
        raise InputError("train: expected real images, got none")
    if synthetic is None:
        return
    expect_share(ratio, batch_size)
    if not isinstance(synthetic, Samples):
        raise InputError(
            "synthetic: expected Samples, as a generator's sample or a pool's samples are, got "
            f"{type(synthetic).__name__}"
        )
    real, images = train.images, synthetic.images
    if (real.shape[1:], real.dtype) != (images.shape[1:], images.dtype):
        raise InputError(
            f"synthetic images: expected {real.dtype} {real.shape[1:]} like the real ones, got "
            f"{images.dtype} {images.shape[1:]}"
        )
    classes, count = len(train.classes), len(synthetic)
    expect_labels("synthetic labels", synthetic.labels, classes)
    if synthetic.soft_labels is not None and synthetic.soft_labels.shape != (count, classes):
        raise InputError(
            f"synthetic soft_labels: expected shape ({count}, {classes}), got "
            f"{synthetic.soft_labels.shape}"
        )


def _identity(*parts: object) -> str:
    """Return a digest of all that settles the result of a training, arrays included."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(f"\x1f{type(part).__name__}".encode())
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(str(part).encode())
    return digest.hexdigest()


def _normalization(train: LabelledImages, config: TrainConfig, span: float) -> nn.Module:
    if config.standardize:
        return Standardize(None if train.images.dtype == np.uint8 else span)
    # In parts: as floats, all of them would fill the memory of every process.
    parts = np.array_split(train.images, -(-len(train) // NORM_IMAGES))
    count = train.images.size
    mean = sum(float(to_float(part).sum(dtype=torch.float64)) for part in parts) / count
    squares = sum(float(((to_float(part).double() - mean) ** 2).sum()) for part in parts)
    return Normalize(mean / span, math.sqrt(squares / (count - 1)) / span, span)


def _last(
    batches: Batches, steps: int, seed: int, device: torch.device, layout: torch.memory_format
) -> Iterator[Tensor]:
    for step in range(max(0, steps - NORM_BATCHES), steps):
        with torch_stream(seed, "step", step, device=device):
            yield batches(step)[0].contiguous(memory_format=layout)
