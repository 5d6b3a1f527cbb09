"""Replace images of a batch by synthetic ones, as a torchvision v2 transform.

Images and labels of a batch are found by torchvision's rules. What else belongs to the real images,
such as masks, is refused.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten
from torchvision import tv_tensors
from torchvision.transforms import v2

from synthaug.core import InputError, as_share, expect_count
from synthaug.data import expect_scale, span_of
from synthaug.mixing.bank import DevicePool, Labels, label_rows
from synthaug.pool import SamplePool

_ONE_BY_ONE = "for images one by one use MixedDataset"
LabelsGetter = Callable[[Any], Tensor]
# They belong to the real image and to no other; older versions of torchvision have no KeyPoints.
_BELONGING = tuple(
    getattr(tv_tensors, name)
    for name in ("Mask", "BoundingBoxes", "KeyPoints")
    if hasattr(tv_tensors, name)
)


def default_labels(batch: Any) -> Any:
    """Find the labels of a batch by torchvision's rule."""
    if isinstance(batch, Tensor):
        raise InputError(
            f"expected a batch (images, labels), got a tensor {tuple(batch.shape)} alone; place "
            f"MixSynthetic after the DataLoader, or in its collate_fn; {_ONE_BY_ONE}"
        )
    if isinstance(batch, (tuple, list)) and len(batch) > 1:
        batch = batch[1]
    if isinstance(batch, Tensor):
        return batch
    if isinstance(batch, Mapping):
        names = [key for key in batch if isinstance(key, str)]
        exact = [key for key in names if key.lower() == "labels"]
        for key in [*exact, *(key for key in names if "label" in key.lower())]:
            return batch[key]
    raise InputError(
        "no labels found: expected a batch (images, labels), or a dict with a key that contains "
        "'label'; give labels_getter=, a function from the batch to its labels; "
        f"{_ONE_BY_ONE}"
    )


def find_images(flat: Sequence[Any], labels: Tensor) -> Tensor:
    """Find the images by torchvision's rule: those marked as such, else the first that fits."""
    if any(isinstance(item, Image.Image) for item in flat):
        raise InputError("expected a batch of tensors, got PIL images; use it after the DataLoader")
    tv_images = [item for item in flat if isinstance(item, tv_tensors.Image)]
    pure = [item for item in flat if isinstance(item, Tensor) and item is not labels]
    for item in [*tv_images, *(tensor for tensor in pure if tensor.ndim == 4)]:
        if item.ndim == 4:
            return item  # type: ignore[no-any-return]
    shapes = [tuple(item.shape) for item in pure]
    unknown = next((item for item in flat if isinstance(item, Mapping)), None)
    if unknown is not None:
        kind = type(unknown).__name__
        raise InputError(f"a batch of type {kind} cannot be taken apart; give dict(batch)")
    raise InputError(f"images: expected a tensor (B, C, H, W), got shapes {shapes}")


def check_rest(flat: Sequence[Any], images: Tensor, labels: Tensor) -> None:
    """Raise `InputError` for parts of a batch that belong to the real images alone."""
    for item in flat:
        if item is images or item is labels or not isinstance(item, Tensor):
            continue
        kind, shape = type(item).__name__, tuple(item.shape)
        if isinstance(item, _BELONGING):
            raise InputError(
                f"{kind} {shape}: belongs to the real images and does not fit synthetic ones; "
                "MixSynthetic is for classification, so leave it out of the batch"
            )
        if shape == (len(images), *images.shape[2:]):
            raise InputError(
                f"{shape}: looks like masks of the images {tuple(images.shape)}, which do not fit "
                "synthetic ones; MixSynthetic is for classification, so leave them out of the batch"
            )
        if item.ndim == 4 and len(item) == len(images) and min(shape[2:]) > 1:
            raise InputError(
                f"images: expected one tensor (B, C, H, W), got {tuple(images.shape)} and {shape}: "
                "views and masks would no longer be of one image; leave them out of the batch, or "
                "use MixedDataset, whose synthetic images go through the transform that makes views"
            )


_SLACK = 0.05  # by which interpolation may leave the range of values
_SUM_SLACK = 0.05  # by which the sum of probabilities may miss 1, in half precision for instance


class MixSynthetic(v2.Transform):  # type: ignore[misc]
    """A transform that replaces a share of a batch by synthetic images of the same classes.

    Places are random. For whole batches, as torchvision's CutMix and MixUp: after the DataLoader or
    in its `collate_fn`, on the CPU or a GPU, before or after those two.

    Images are (B, C, H, W), uint8 or uint16 as in the pool, or floats in [0, 1] before `mean` and
    `std`. The pool is kept on the device of the batch, and after the first batch nothing waits for
    the device. Random numbers are torch's own, of the device of the batch.

    Args:
        pool: The synthetic images, of the size of the batch's; all its classes need some.
        ratio: Share of each batch, 0 to 1; where it is no whole number of images, right on average.
            It can be set at any time, as `p` can; worker processes that stay alive follow.
        labels: "hard" leaves labels in their form: class numbers (B,) or (B, 1), or probabilities
            (B, K), which become one-hot where an image is replaced. "soft" makes all labels
            probabilities, float32 (B, K), and gives synthetic images the pool's soft labels;
            "mixed" half of those.
        num_classes: K, where labels have more classes than the pool.
        p: Probability that a batch is changed at all, 0 to 1.
        mean: One number or one a channel, where the batch is normalised already.
        std: The same.
        labels_getter: A function from the batch to its item that holds the labels. By default the
            second of (images, labels), or of a dict the key "labels", or the first key that
            contains "label".

    Raises:
        InputError: If pool and batch do not match, or the batch holds what belongs to the real
            images alone: masks, boxes, keypoints, second views. Values are looked at in the first
            batch only, labels on the CPU in each.

    Examples:
        >>> import tempfile
        >>> from synthaug import MixSynthetic, SamplePool, StyleSwap, read_images
        >>> generator = StyleSwap().fit(read_images("digits"), device="cpu")
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     mix = MixSynthetic(SamplePool.create(directory + "/pool", generator, 2), ratio=0.25)
        ...     images, labels = mix(torch.zeros(8, 1, 16, 16), torch.arange(8))
        >>> int(images.flatten(1).any(1).sum()), labels.tolist()
        (2, [0, 1, 2, 3, 4, 5, 6, 7])
    """

    def __init__(
        self,
        pool: SamplePool | str | Path,
        ratio: float = 0.5,
        labels: Labels = "hard",
        num_classes: int | None = None,
        p: float = 1.0,
        *,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        labels_getter: LabelsGetter | str = "default",
    ) -> None:
        super().__init__()
        pool = SamplePool.of(pool)
        if num_classes is not None:
            expect_count("num_classes", num_classes, least=len(pool.classes))
        if not callable(labels_getter) and labels_getter != "default":
            raise InputError(
                f'labels_getter: expected "default" or a function, got {labels_getter!r}'
            )
        self._shares = torch.zeros(2, dtype=torch.float64, device="cpu")
        self._shares.share_memory_()  # type: ignore[no-untyped-call]
        self._pool, self.ratio, self._labels, self.p = pool, ratio, labels, p
        self._num_classes = num_classes or len(pool.classes)
        self.mean, self.std = mean, std
        self._normalization = _normalization(mean, std, pool.samples.images.shape[1])
        self._rows()  # refuses missing soft labels early
        self._labels_getter = default_labels if labels_getter == "default" else labels_getter
        self._banks: dict[torch.device, DevicePool] = {}

    @property
    def ratio(self) -> float:
        """The share of each batch; worker processes follow when it is set."""
        return float(self._shares[0])

    @ratio.setter
    def ratio(self, ratio: float) -> None:
        self._shares[0] = as_share("ratio", ratio)

    @property
    def p(self) -> float:
        """The probability that a batch is changed; worker processes follow when it is set."""
        return float(self._shares[1])

    @p.setter
    def p(self, p: float) -> None:
        self._shares[1] = as_share("p", p)

    @property
    def pool(self) -> SamplePool:
        """The synthetic images."""
        return self._pool

    @property
    def labels(self) -> Labels:
        """The rule for the labels of synthetic images."""
        return self._labels

    @property
    def num_classes(self) -> int:
        """The number of columns of soft labels."""
        return self._num_classes

    def forward(self, *inputs: Any) -> Any:
        """Return the batch with some images replaced, in the structure that it came in.

        Args:
            *inputs: The batch: images (B, C, H, W) and labels, as several arguments or as one
                tuple, list or dict.

        Returns:
            Images of the type that they had, and labels in the form that `labels` stands for.

        Raises:
            InputError: If the batch does not match the pool.
        """
        batch = inputs if len(inputs) > 1 else inputs[0]
        flat, structure = tree_flatten(batch)
        labels = self._labels_getter(batch)  # type: ignore[operator]
        self._check_label_form(labels)
        images = find_images(flat, labels)
        check_rest(flat, images, labels)
        mixed_images, mixed_labels = self._mix(images, labels)
        if mixed_labels is not labels and not any(item is labels for item in flat):
            raise InputError(
                "labels_getter: expected an item of the batch, in whose place the new labels go, "
                "got another tensor; bring labels into their form before MixSynthetic"
            )
        replacements = {id(images): mixed_images, id(labels): mixed_labels}
        return tree_unflatten([replacements.get(id(item), item) for item in flat], structure)

    def _mix(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        bank = self._bank(images, labels)
        size, is_skipped = len(images), torch.rand(1, device="cpu") >= self.p
        # Drawn on the CPU: the count must be known without asking the device.
        count = 0 if is_skipped else min(size, int(self.ratio * size + torch.rand(1, device="cpu")))
        # Anywhere in the batch: MixUp and CutMix pair neighbours, which must not be all synthetic.
        places = torch.rand(size, device=images.device).argsort()[:count]
        # Rows of unsigned integers torch 2.6 cannot take.
        classes = _classes_of((labels if labels.is_floating_point() else labels.long())[places])
        picks = bank.draw(classes)
        if not count:
            return images, self._labels_after(labels, places, picks, bank)
        new_images = images.clone()
        bank.put(new_images, places, picks)
        if isinstance(images, tv_tensors.TVTensor):
            new_images = tv_tensors.wrap(new_images, like=images)
        return new_images, self._labels_after(labels, places, picks, bank)

    def _labels_after(
        self, labels: Tensor, places: Tensor, picks: Tensor, bank: DevicePool
    ) -> Tensor:
        if labels.is_floating_point():
            rows = labels.clone()
        elif self.labels == "hard":
            return labels  # a synthetic image has the class of the one whose place it takes
        else:
            shape = len(labels), self.num_classes
            rows = torch.zeros(shape, dtype=torch.float32, device=labels.device)
            rows.scatter_(1, labels.reshape(-1, 1).long(), 1.0)  # one_hot could make a GPU wait
        return rows.index_copy_(0, places, bank.rows[picks].to(rows.dtype))

    def _bank(self, images: Tensor, labels: Tensor) -> DevicePool:
        """Return the pool on the device of the batch; check the batch the first time."""
        self._check_image_form(images, labels)
        if images.device not in self._banks:
            bank = DevicePool(self.pool, self._rows(), *self._normalization, images.device)
            self._check_pixels(images)
            self._check_classes(labels)
            self._banks[images.device] = bank
        elif labels.device.type == "cpu":  # on others each look makes the device wait
            self._check_classes(labels)
        return self._banks[images.device]

    def _rows(self) -> np.ndarray:
        """Return the pool's labels as probabilities, float32 (M, K)."""
        rows = label_rows(self.pool.samples, len(self.pool.classes), self.labels)
        return np.pad(rows, ((0, 0), (0, self.num_classes - rows.shape[1])))

    def _check_label_form(self, labels: Any) -> None:
        if not isinstance(labels, Tensor):
            raise InputError(f"labels: expected a tensor, got {type(labels).__name__}")
        width = self.num_classes if labels.is_floating_point() else 1
        fits = labels.ndim == 2 and labels.shape[1] == width
        if not fits and (labels.is_floating_point() or labels.ndim != 1):
            raise InputError(
                f"labels: expected integers (B,) or (B, 1), or probabilities (B, "
                f"{self.num_classes}), got {labels.dtype} {tuple(labels.shape)}"
            )

    def _check_image_form(self, images: Tensor, labels: Tensor) -> None:
        pool_images = self.pool.samples.images
        if tuple(images.shape[1:]) != pool_images.shape[1:]:
            raise InputError(
                f"images: the pool holds {pool_images.shape[1:]}, the batch "
                f"{tuple(images.shape[1:])}; make the pool at that size, or use MixedDataset, "
                "which puts synthetic images through the transforms of the real ones"
            )
        if not images.is_floating_point() and str(images.dtype) != f"torch.{pool_images.dtype}":
            raise InputError(
                f"images: the pool holds {pool_images.dtype}, the batch {images.dtype}"
            )
        if len(images) != len(labels):
            raise InputError(
                f"expected a label for each image, got {len(images)} and {len(labels)}"
            )
        if labels.device != images.device:
            raise InputError(
                f"labels: expected them where the images are, on {images.device}, got them on "
                f"{labels.device}; move both before MixSynthetic, or neither"
            )
        if not len(images):
            raise InputError("images: expected at least one, got an empty batch")
        if images.requires_grad:
            raise InputError("images: expected images alone, got ones that require a gradient")

    def _check_classes(self, labels: Tensor) -> None:
        classes = len(self.pool.classes)
        if not labels.is_floating_point():
            labels = labels.long()  # of unsigned ones torch knows no least
        if not labels.is_floating_point() and not 0 <= labels.min() <= labels.max() < classes:
            raise InputError(
                f"labels: the pool holds the classes 0 to {classes - 1}, the batch has labels "
                f"from {int(labels.min())} to {int(labels.max())}"
            )
        if labels.is_floating_point() and bool(labels[:, classes:].any()):
            raise InputError(
                f"labels: the pool holds the classes 0 to {classes - 1}, the batch has "
                f"probabilities of others, up to {self.num_classes - 1}"
            )
        if labels.is_floating_point():
            sums = labels.float().sum(1)
            far = (sums - 1).abs()
            if not bool((far <= _SUM_SLACK).all()):
                raise InputError(
                    "labels: expected probabilities that sum to 1 in each row, got a sum of "
                    f"{float(sums[far.argmax()]):.2f}; of several labels an image no one class "
                    "can be drawn"
                )

    def _check_pixels(self, images: Tensor) -> None:
        if not images.is_floating_point():
            return
        low, high = images.amin((0, 2, 3)).float().cpu(), images.amax((0, 2, 3)).float().cpu()
        batch_range = f"the batch has floats from {float(low.min()):.2f} to {float(high.max()):.2f}"
        if self.mean is None:
            if low.min() < -_SLACK or high.max() > 1 + _SLACK:
                raise InputError(
                    f"images: the pool's are in [0, 1], {batch_range}; place MixSynthetic before "
                    "Normalize, or tell it the same mean= and std="
                )
            expect_scale("images", float(high.max()), self.pool.samples.images)
            return
        mean, std = (torch.tensor(each, device="cpu") for each in self._normalization)
        # Of most images: some may have been erased with noise since.
        plain_low = (images.amin((2, 3)).float().cpu() * std + mean).amin(1).median()
        plain_high = (images.amax((2, 3)).float().cpu() * std + mean).amax(1).median()
        if plain_low < -_SLACK or plain_high > 1 + _SLACK:
            raise InputError(
                f"images: the pool's are in [0, 1], {batch_range}, which mean={self.mean} and "
                f"std={self.std} do not bring there; if these are right, place MixSynthetic before "
                "what else changes the images, such as RandomErasing with noise"
            )
        changes = any(mean) or not self._is_scale(std)
        if changes and low.min() >= 0 and high.max() <= 1:
            raise InputError(
                f"images: {batch_range}, as if it were not normalised; leave out mean= and std=, "
                "or place MixSynthetic after Normalize"
            )

    def _is_scale(self, std: Tensor) -> bool:
        """Tell whether `std` only says which number 1 stands for.

        That is the largest of the type, or of the bits that the pool's images use.
        """
        ones = (1.0, span_of(self.pool.samples.images))
        return any(all(math.isclose(s, one, rel_tol=0.01) for s in std.tolist()) for one in ones)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_banks": {}}  # a copy puts its pool on the device anew

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._shares.share_memory_()  # type: ignore[no-untyped-call]

    def extra_repr(self) -> str:
        """Describe the pool and the settings."""
        return (
            f"{self.pool!r}, ratio={self.ratio}, labels={self.labels!r}, "
            f"num_classes={self.num_classes}, p={self.p}, mean={self.mean}, std={self.std}"
        )


def _normalization(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, channels: int
) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation, one of each or one a channel."""
    if (mean is None) != (std is None):
        raise InputError("mean, std: expected both or neither")
    if mean is None or std is None:
        return [0.0], [1.0]
    try:
        means, stds = (list(np.atleast_1d(np.asarray(v, dtype=float))) for v in (mean, std))
        fits = all(len(each) in (1, channels) and np.isfinite(each).all() for each in (means, stds))
    except (TypeError, ValueError):
        fits = False
    if not fits or min(stds) <= 0:
        raise InputError(
            f"mean, std: expected one number or {channels}, one a channel, std above 0, got {mean} "
            f"and {std}"
        )
    return means, stds


def _classes_of(labels: Tensor) -> Tensor:
    """Return the class to draw for each label, int64 (B,).

    Of probabilities a random one, so that the classes stay as frequent as they are.
    """
    if not labels.is_floating_point():
        return labels.flatten().long()
    uniform = torch.rand_like(labels.float()).clamp(1e-12, 1 - 1e-7)
    gumbel = -(-uniform.log()).log()
    return (labels.float().clamp_min(1e-12).log() + gumbel).argmax(1)
