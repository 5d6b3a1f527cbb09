"""Where images and labels are in a batch, by torchvision's rules, and what else may be there."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image
from torch import Tensor
from torchvision import tv_tensors

from synthaug.errors import InputError

_ONE_BY_ONE = "for images one by one use MixedDataset"
LabelsGetter = Callable[[Any], Tensor]
# What belongs to the real image and to no other; older versions of torchvision have no KeyPoints.
_BELONGING = tuple(
    getattr(tv_tensors, name)
    for name in ("Mask", "BoundingBoxes", "KeyPoints")
    if hasattr(tv_tensors, name)
)


def default_labels(batch: Any) -> Any:
    """torchvision's rule for where labels are."""
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
    """torchvision's rule: what is marked as images, else the first tensor that can be some."""
    if any(isinstance(item, Image.Image) for item in flat):
        raise InputError("expected a batch of tensors, got PIL images; use it after the DataLoader")
    marked = [item for item in flat if isinstance(item, tv_tensors.Image)]
    pure = [item for item in flat if isinstance(item, Tensor) and item is not labels]
    for item in [*marked, *(tensor for tensor in pure if tensor.ndim == 4)]:
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
