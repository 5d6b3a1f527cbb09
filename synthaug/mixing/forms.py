"""Bring stored images into the form in which a Dataset returns its items.

Transforms that would corrupt 16-bit images silently are refused.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import tv_tensors

from synthaug.core import InputError, global_stream
from synthaug.data import (
    Apart,
    Untransformed,
    expect_depth_kept,
    expect_scale,
    inner_of,
    is_map_style,
    source_of,
    to_array,
    to_float,
    to_pil,
)

_HIGH = 40_000.0  # more than int16 and uint8 can hold
_LOW = 300.0  # more than uint8 can hold


class DepthGuard:
    """A guard against transforms that silently corrupt 16-bit images.

    torchvision's v1 `ToTensor` makes negative numbers of them, timm's `ToNumpy` takes them modulo
    256, and a conversion to L or RGB cuts them off at 255. A transform is checked once.
    """

    def __init__(self) -> None:
        self._last_transform: Any = None

    def check(self, transform: Any, image: Any, *label: Any) -> None:
        """Raise `InputError` naming the step of a transform that would corrupt the image."""
        if transform is None or transform is self._last_transform or not _is_deep(image):
            return
        with global_stream(0, "look at a transform"):
            lossy = _lossy_step(transform, image, *label)
        if lossy is not None:
            raise InputError(
                f"{type(lossy).__name__} corrupts 16-bit images: values that do not fit are "
                "wrapped around or cut off; put v2.ToImage() and "
                "v2.ToDtype(torch.float32, scale=True) in its place"
            )
        self._last_transform = transform


def _is_deep(image: Any) -> bool:
    if isinstance(image, Image.Image):
        return image.mode == "I;16"
    return getattr(image, "dtype", None) in (np.uint16, torch.uint16)


def _lossy_step(transform: Any, image: Any, *label: Any) -> Any | None:
    """Return the first step that wraps around or cuts off values that do not fit.

    Each step gets the output of the one before, for an image in lines of two values. A step that
    scales, as by a window or by the image's largest value, keeps the two apart.
    """
    high = _HIGH
    for step in _steps(transform):
        low = min(_LOW, high)
        try:
            output = step(_lines(image, low, high), *label)
            output, label = (output[0], output[1:]) if label else (output, ())
        except Exception:  # it fails loudly, not silently
            continue
        if not isinstance(output, Image.Image | np.ndarray | torch.Tensor):
            return None
        pixels = _pixels(output)
        if pixels.dtype.kind in "iu" and high > np.iinfo(pixels.dtype).max:
            values = np.array([low, high]).astype(np.int64)
            wrapped_values = values.astype(pixels.dtype)
            cut_off = values.clip(max=np.iinfo(pixels.dtype).max)
            if any(
                np.isin(pixels, broken_values).all() for broken_values in (wrapped_values, cut_off)
            ):
                return step
        image, high = output, float(pixels.max())
    return None


def _steps(transform: Any) -> Iterator[Any]:
    """Yield the single transforms that a transform is composed of."""
    inner = inner_of(transform)
    if not inner:
        yield transform
    for step in inner:
        yield from _steps(step)


def _pixels(image: Any) -> np.ndarray:
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        image = image.double() if image.is_floating_point() else image
    return np.asarray(image)


def _lines(image: Any, low: float, high: float) -> Any:
    """Return an image like `image` whose rows or columns alternate between two values."""
    if isinstance(image, torch.Tensor):
        lines = image.clone()  # keeps a type such as tv_tensors.Image
        lines.fill_(high)
        lines[:, ::2] = low
        return lines
    pixels = np.full_like(image, high)
    pixels[:, ::2] = low
    return Image.fromarray(pixels) if isinstance(image, Image.Image) else pixels


_MODE_HINT = "; read the generator's images with mode='gray' or 'rgb' (--mode) to match"
# Synthetic images have one of these modes; Datasets may return others, such as P, RGBA or CMYK.
_MODES = ("L", "RGB", "I;16")
_CONVERT_HINT = "; convert in the Dataset, as torchvision's do: image.convert('RGB'), or 'L'"
_SIZE_HINT = (
    "; bring both to one size by a Resize in the Dataset's transform, or make the pool of images "
    "of the real ones' size"
)

# Errors of a transform for an image of another form or size than it was written for.
_FAILURES = (AttributeError, KeyError, TypeError, ValueError, RuntimeError)

# By way of I: straight from I;16B, Pillow cuts values off at 255.
_WIDE_HINT = "; bring them there as they are opened: image.convert('I').convert('I;16')"


COMPARED = 8  # draws of a transform that may do nothing to half of all images
ROUNDING = 0.1  # of an image's deviation, as where the one turns pixels and the other floats


class Form(NamedTuple):
    """The form in which a Dataset returns its items.

    Attributes:
        make: Turns a stored image (C, H, W) and its label into an item.
        joint: Whether the Dataset's transforms see labels, too, and may change them.
    """

    make: Callable[[np.ndarray, int], tuple[Any, Any]]
    joint: bool


def form_of(dataset: Any, first: int, pool_images: np.ndarray, classes: Sequence[str]) -> Form:
    """Find out how to turn stored images and labels into items of a Dataset.

    They are brought into the form that real items have before the Dataset's transforms, then
    transformed.

    Args:
        dataset: The Dataset.
        first: Index of an item to look at.
        pool_images: Stored images, (M, C, H, W).
        classes: Class names.

    Raises:
        InputError: If type, channels, value range or final size do not match.
    """
    untransformed, guard = Untransformed(dataset, first), DepthGuard()
    _warn_of_inner(dataset)
    with global_stream(0, "compare forms"):
        image, label = pair_of(untransformed.first)
    expect_depth_kept(dataset, first, image)
    hint, has_more_steps = untransformed.hint(image), untransformed.goes_on(image)
    _check_depth(guard, untransformed, image, label)
    with global_stream(0, "compare forms"):
        real, _ = pair_of(Apart(dataset)[first])
    try:
        to_image = _image_form(image, pool_images)
    except InputError as error:
        raise InputError(f"{error}{hint}") from error
    to_label = _label_form(label, classes)
    deep = pool_images.dtype == np.uint16

    def make(pixels: np.ndarray, index: int) -> tuple[Any, Any]:
        image, label = to_image(pixels), to_label(index)
        if deep:
            _check_depth(guard, untransformed, image, label)
        return untransformed.transform(image, label)

    try:
        with global_stream(0, "compare forms"):
            synthetic = make(pool_images[0], 0)[0]
    except InputError:
        raise
    except _FAILURES as error:  # none for the real image
        raise InputError(
            f"{type(dataset).__name__}: its transform cannot take synthetic images in the form "
            f"that real ones have without it ({type(error).__name__}: {error})"
            f"{_side_hint(pool_images, image)}{hint}"
        ) from error
    if _kind(synthetic) != _kind(real):
        raise InputError(
            f"the real images come out as {_kind(real)}, synthetic ones as {_kind(synthetic)}: "
            f"{type(dataset).__name__} does more to them than its transform; make that the only "
            "and last step of __getitem__"
        )
    if has_more_steps and not _order_is_free(dataset, first, untransformed, image, label):
        raise InputError(f"{type(dataset).__name__}{hint}")
    _match("size", _size(synthetic), _size(real), _SIZE_HINT)
    untransformed.close()
    return Form(make, untransformed.is_joint)


def _order_is_free(
    dataset: Any, first: int, untransformed: Untransformed, image: Any, label: Any
) -> bool:
    """Tell whether a Dataset's steps after its transform might as well come before it.

    As a conversion after a flip does: synthetic images get them first.
    """
    for stream in range(COMPARED):
        with global_stream(stream, "compare order"):
            real, _ = pair_of(Apart(dataset)[first])
        with global_stream(stream, "compare order"):
            try:
                other, _ = untransformed.transform(image, label)
            except _FAILURES:
                return False
        if _kind(other) != _kind(real) or not _look_alike(other, real):
            return False
    return True


def _look_alike(image: Any, other: Any) -> bool:
    """Tell whether two images, or lists of them, are the same but for rounding."""
    pairs = list(zip_longest(_views(image), _views(other)))
    arrays = [[np.asarray(to_array(each), float) for each in pair] for pair in pairs]
    return all(
        one.shape == two.shape and abs(one - two).mean() <= ROUNDING * two.std()
        for one, two in arrays
    )


def _warn_of_inner(dataset: Any) -> None:
    """Warn of a Dataset whose images come transformed from one within it.

    Those transforms cannot be found, and are not applied to synthetic images.
    """
    if _has_transform(dataset):
        return
    for name, value in getattr(dataset, "__dict__", {}).items():
        is_inner = isinstance(value, Dataset) and is_map_style(value)
        inner = source_of(value, 0)[0] if is_inner and len(value) else None
        if _has_transform(inner):
            kind = type(dataset).__name__
            warnings.warn(
                f"{kind}: has no transform, but {name} ({type(inner).__name__}) has one, which is "
                f"applied to real images alone; move it to self.transform of {kind}, which is for "
                "synthetic ones too",
                stacklevel=2,
            )


def _has_transform(dataset: Any) -> bool:
    return any(getattr(dataset, name, None) for name in ("transforms", "transform"))


def _check_depth(guard: DepthGuard, dataset: Untransformed, image: Any, label: Any) -> None:
    transform, targets = dataset.own
    guard.check(transform, image, *[label] * (targets == "both"))


def pair_of(item: Any) -> tuple[Any, Any]:
    """Return image and label of an item of a real Dataset.

    Raises:
        InputError: If the item has another form.
    """
    if not isinstance(item, tuple | list) or len(item) != 2:
        kind = f"{type(item).__name__} of {len(item)}" if hasattr(item, "__len__") else type(item)
        raise InputError(
            f"expected a Dataset of (image, label), got a {kind}; wrap it in a Dataset that "
            "returns the two and has its transform as self.transform"
        )
    return item[0], item[1]


def _image_form(image: Any, stored: np.ndarray) -> Callable[[np.ndarray], Any]:
    """Return the function that brings stored images into the form of `image`."""
    channels = stored.shape[1]
    if isinstance(image, Image.Image):
        mode = "I;16" if stored.dtype == np.uint16 else {1: "L", 3: "RGB"}[channels]
        wide = mode == "I;16" and image.mode in ("I", "I;16B")
        hint = _MODE_HINT if image.mode in _MODES else _CONVERT_HINT
        _match("mode", mode, image.mode, _WIDE_HINT if wide else hint)
        return to_pil
    if isinstance(image, torch.Tensor):
        _check_axes(image, 0, "tensor (C, H, W)")
        _match("channels", channels, 1 if image.ndim == 2 else len(image), _MODE_HINT)
        if image.is_floating_point() and not 0 <= float(image.min()) <= float(image.max()) <= 1:
            raise InputError(
                f"the real images are floats from {float(image.min()):.2f} to "
                f"{float(image.max()):.2f}, expected 0 to 1: give the Dataset before it is "
                "normalised, and normalise in transform="
            )
        if image.is_floating_point():
            expect_scale("the real images", float(image.max()), stored)
        if not image.is_floating_point():
            _match("dtype", torch.from_numpy(stored[:1].copy()).dtype, image.dtype)
        return _to_tensor(image)
    if isinstance(image, np.ndarray):
        _check_axes(image, -1, "array (H, W, C)")
        _match("channels", channels, 1 if image.ndim == 2 else image.shape[-1], _MODE_HINT)
        _match("dtype", stored.dtype, image.dtype)
        flat = image.ndim == 2
        return lambda pixels: pixels[0].copy() if flat else pixels.transpose(1, 2, 0).copy()
    raise InputError(
        f"expected a Dataset of (image, label) with PIL images, arrays or tensors, got "
        f"{type(image).__name__}"
    )


def _check_axes(image: Any, axis: int, expected: str) -> None:
    """Check that channels stand where torchvision has them: first in tensors, last in arrays."""
    other = -1 - axis
    if image.ndim == 3 and image.shape[axis] not in (1, 3) and image.shape[other] in (1, 3):
        raise InputError(
            f"the real images: expected {expected}, as torchvision has it, got shape "
            f"{tuple(image.shape)}; hand them out with the axis of channels there"
        )


def _to_tensor(like: torch.Tensor) -> Callable[[np.ndarray], torch.Tensor]:
    def convert(image: np.ndarray) -> torch.Tensor:
        floating = like.is_floating_point()
        tensor = to_float(image).to(like.dtype) if floating else torch.from_numpy(image.copy())
        tensor = (tensor[0] if like.ndim == 2 else tensor).to(like.device)
        return (
            tv_tensors.wrap(tensor, like=like) if isinstance(like, tv_tensors.TVTensor) else tensor
        )

    return convert


def _label_form(label: Any, classes: Sequence[str]) -> Callable[[int], Any]:
    """Return the function that brings a class index into the form of `label`."""
    value = to_array(label)
    if isinstance(label, list | tuple):
        raise InputError(
            f"labels: expected a class number or name for each image, got {label!r}; hand out "
            "what is in it"
        )
    if value.size != 1 or value.dtype.kind == "O":
        raise InputError(
            f"labels: expected a class number or name for each image, got {type(label).__name__} "
            f"of shape {np.shape(label)}; of one-hot labels give the class, as by .argmax(-1)"
        )
    if isinstance(label, torch.Tensor):
        return lambda index: torch.full_like(label, index)
    if isinstance(label, np.ndarray):
        return lambda index: np.full_like(label, index)
    if isinstance(label, str):
        return lambda index: str(classes[index])
    if isinstance(label, bytes):
        return lambda index: str(classes[index]).encode()
    if isinstance(label, np.generic):
        return lambda index: label.dtype.type(index)
    if isinstance(label, bool | float):
        return type(label)
    return int


def _kind(image: Any) -> str:
    """Return the kind of an image that all images of a batch must share."""
    if isinstance(image, torch.Tensor):
        return f"tensors of {image.dtype}"
    if isinstance(image, np.ndarray):
        return f"arrays of {image.dtype}"
    return "PIL images" if isinstance(image, Image.Image) else type(image).__name__


def _views(image: Any) -> list[Any]:
    """Return the views of an image, or the image alone."""
    if isinstance(image, Mapping):
        return list(image.values())
    return list(image) if isinstance(image, list | tuple) else [image]


def _size(image: Any) -> Any:
    if isinstance(image, list | tuple | Mapping):  # each of a size of its own
        return [_size(view) for view in _views(image)]
    return image.size if isinstance(image, Image.Image) else tuple(np.shape(image))


def _side_hint(stored: np.ndarray, image: Any) -> str:
    """Return a hint for pools whose images are smaller than the real ones.

    They may be too small for what a transform cuts out.
    """
    shape = image.size[::-1] if isinstance(image, Image.Image) else np.shape(image)
    sides = shape[:2] if isinstance(image, np.ndarray) else shape[-2:]
    height, width = stored.shape[2:]
    if height >= sides[0] and width >= sides[1]:
        return ""
    return (
        f"; the pool holds {height}x{width}, the real images are {sides[0]}x{sides[1]} (height x "
        "width): if these are cut to more than the pool holds, resize them first in the transform, "
        "or make a pool of larger images, by fit(read_images(train_set, image_size=...))"
    )


def _match(what: str, pool: object, real: object, hint: str = "") -> None:
    if pool != real:
        raise InputError(f"{what}: the pool holds {pool}, the real images are {real}{hint}")
