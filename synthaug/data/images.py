"""The two things that flow through the package: labelled images, and samples of a generator.

Images are stored as integers, `(N, C, H, W)`, uint8 or uint16.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, Self

import numpy as np

from synthaug.core import InputError, expect_labels
from synthaug.data.conversion import form_of, span_of, to_array

SMALLEST, LARGEST = 8, 256
RESIZING = (
    "read_images(data, image_size=64) brings images to one size, as --image-size 64 does on the "
    "command line"
)


def expect_images(images: Any) -> np.ndarray:
    """Return stored images as an array; `InputError` for other objects."""
    array = to_array(images)
    if array.dtype not in (np.uint8, np.uint16):
        raise InputError(f"images: expected uint8 or uint16, got {array.dtype}")
    if array.ndim != 4 or array.shape[1] not in (1, 3):
        raise InputError(f"images: expected shape (N, 1 or 3, H, W), got {array.shape}")
    if not all(SMALLEST <= side <= LARGEST for side in array.shape[2:]):
        raise InputError(
            f"images: expected a height and width from {SMALLEST} to {LARGEST} pixels, got "
            f"{array.shape[2]}x{array.shape[3]}; {RESIZING}"
        )
    return array


def holds_integers(array: np.ndarray) -> bool:
    """Tell whether an array holds integers alone; an empty list is one of floats for NumPy."""
    return array.dtype.kind in "iu" or not array.size


def _check_labels(labels: Any, count: int) -> np.ndarray:
    array = to_array(labels)
    if array.shape != (count,):
        raise InputError(f"labels: expected shape ({count},), one per image, got {array.shape}")
    if not holds_integers(array):
        raise InputError(f"labels: expected integers, got {array.dtype}")
    return array.astype(np.int64)


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(to_array(values), dtype=np.float32)
    except (TypeError, ValueError):
        raise InputError(f"{name}: expected numbers, got {values!r:.60}") from None


def _fingerprint(arrays: Iterable[np.ndarray], names: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    # Names of folders may hold bytes that are no UTF-8.
    digest.update("\x1f".join(names).encode(errors="surrogatepass"))
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Real images with their labels.

    Args:
        images: uint8 or uint16 (N, C, H, W), C 1 or 3, height and width 8 to 256.
        labels: int64 (N,), each in [0, K).
        classes: The K class names.
        groups: (N,) or None, numbers or text. Images of one group (a patient, a track) stay
            together.
        left_out: Names of images of their source that could not be read, which results mention.

    Raises:
        InputError: Naming the first value that does not fit.

    Examples:
        >>> import numpy as np
        >>> from synthaug import LabelledImages
        >>> data = LabelledImages(np.zeros((4, 1, 8, 8), np.uint8), [0, 0, 1, 1], ["cat", "dog"])
        >>> len(data), data.counts.tolist(), data.image_shape
        (4, [2, 2], (1, 8, 8))
    """

    images: np.ndarray
    labels: np.ndarray
    classes: Sequence[str]
    groups: np.ndarray | None = None
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images = expect_images(self.images)
        labels = _check_labels(self.labels, len(images))
        classes = tuple(distinct_names(self.classes))
        expect_labels("labels", labels, len(classes))
        groups = None if self.groups is None else _check_groups(self.groups, len(images))
        for name, value in (("images", images), ("labels", labels), ("groups", groups)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "left_out", tuple(self.left_out))

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        form = form_of(self.images)
        return f"LabelledImages({len(self)} images of {len(self.classes)} classes, {form})"

    @property
    def counts(self) -> np.ndarray:
        """Images per class, int64 (K,)."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def subset(self, indices: np.ndarray) -> Self:
        """Return the images at `indices`, in that order, with the same classes.

        Args:
            indices: Integers (M,), or a boolean mask (N,).
        """
        groups = None if self.groups is None else self.groups[indices]
        return replace(
            self, images=self.images[indices], labels=self.labels[indices], groups=groups
        )

    @property
    def fingerprint(self) -> str:
        """A text of 16 hexadecimal digits that changes with any image, label, class or group."""
        groups = [] if self.groups is None else ["groups", *map(str, self.groups)]
        return _fingerprint((self.images, self.labels), [*self.classes, *groups])


def _check_groups(values: Any, count: int) -> np.ndarray:
    groups = to_array(values)
    if groups.shape != (count,):
        raise InputError(f"groups: expected shape ({count},), one per image, got {groups.shape}")
    # Only of objects each has to be looked at by itself, which takes a while for many.
    each = groups.tolist() if groups.dtype.kind == "O" else []
    missing = [_is_missing(group) for group in each] if each else groups != groups
    unknown = np.flatnonzero(missing)
    if len(unknown):
        raise InputError(
            f"groups: expected one for each image, got {groups[unknown[0]]} at index {unknown[0]}; "
            "give each image of an unknown group one of its own"
        )
    kinds = {Real if isinstance(group, Real) else type(group) for group in each}
    if len(kinds) > 1:
        raise InputError(
            "groups: expected all of one type, got "
            f"{' and '.join(sorted(each.__name__ for each in kinds))}; make all of them text"
        )
    return groups


def _is_missing(value: Any) -> bool:
    """Tell whether it is None, NaN, or pandas' value for them, which is not equal to itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def distinct_names(classes: Any) -> list[str]:
    """Return names of classes as text; raise `InputError` unless all are names, and different."""
    if not isinstance(classes, Iterable):
        raise InputError(f"classes: expected their names, got {classes!r}")
    if isinstance(classes, set | frozenset):
        raise InputError(
            "classes: expected their names as a list, by whose order labels count, got a "
            f"{type(classes).__name__}"
        )
    names = [str(name) for name in classes]
    if len(set(names)) != len(names):
        raise InputError(f"classes: expected distinct names, got {names}")
    return names


def expect_labelled(name: str, data: object) -> None:
    """Raise `InputError` for what is no `LabelledImages`: a path, a Dataset."""
    if not isinstance(data, LabelledImages):
        raise InputError(
            f"{name}: expected LabelledImages, as read_images gives them, got {type(data).__name__}"
        )


def expect_alike(
    name: str,
    data: LabelledImages,
    classes: Sequence[str],
    image_shape: tuple[int, int, int],
    dtype: np.dtype[Any],
) -> None:
    """Raise `InputError` for images of another shape, dtype, classes or order of classes."""
    form = (tuple(data.classes), data.image_shape, data.images.dtype)
    if form != (tuple(classes), image_shape, dtype):
        raise InputError(
            f"{name}: expected {dtype} images {image_shape} of the classes {', '.join(classes)}, "
            f"got {data.images.dtype} {data.image_shape} and classes {', '.join(data.classes)}"
        )


def expect_scale(name: str, largest: float, pool_images: np.ndarray) -> None:
    """Raise `InputError` where floats up to `largest` are on another scale than stored images.

    Stored images are divided by the largest integer of their type: 12 bits in 16 come to 0.06,
    where others scale them to 1.
    """
    top = 0.0
    for part in (pool_images[:64], pool_images):  # to read all of a large pool takes long
        top = span_of(part)
        if largest <= 2 * top:
            return
    raise InputError(
        f"{name}: floats up to {largest:.2f}, while the pool's {pool_images.dtype} images divided "
        f"by {np.iinfo(pool_images.dtype).max} come to {top:.2g} at most, which would be far too "
        "dark beside them; hand out integers, and scale real and synthetic ones alike in a "
        f"transform that follows (for MixSynthetic: mean=0.0, std={top:.4g})"
    )


def soft_rows(values: Any, count: int, classes: int | None = None) -> np.ndarray:
    """Return soft labels as float32 (count, classes); any number of classes where None is given.

    Raises:
        InputError: If they are no soft labels.
    """
    soft = _numbers("soft_labels", values)
    if soft.ndim != 2 or soft.shape != (count, classes or soft.shape[1]):
        raise InputError(
            f"soft_labels: expected shape ({count}, {classes or 'K'}), got {soft.shape}"
        )
    if not np.allclose(soft.sum(1), 1, atol=1e-3) or (soft < 0).any():
        raise InputError("soft_labels: expected rows of probabilities that sum to 1")
    return soft


@dataclass(frozen=True, eq=False)
class Samples:
    """Synthetic images with their labels.

    Args:
        images: uint8 or uint16 (M, C, H, W).
        labels: int64 (M,).
        soft_labels: float32 (M, K), rows that sum to 1, or None.
        weights: float32 (M,), how often each is drawn relative to others of its class, or None.

    Raises:
        InputError: Naming the first value that does not fit.

    Examples:
        >>> import numpy as np
        >>> from synthaug import Samples
        >>> samples = Samples(np.zeros((4, 1, 8, 8), np.uint8), [0, 0, 1, 1])
        >>> samples.subset(samples.labels == 1)
        Samples(2 images, 1x8x8 uint8)
    """

    images: np.ndarray
    labels: np.ndarray
    soft_labels: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        images = expect_images(self.images)
        labels = _check_labels(self.labels, len(images))
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)
        if self.soft_labels is not None:
            object.__setattr__(self, "soft_labels", soft_rows(self.soft_labels, len(images)))
        if self.weights is not None:
            weights = _numbers("weights", self.weights)
            if weights.shape != labels.shape:
                raise InputError(
                    f"weights: expected shape ({len(images)},), one per image, got {weights.shape}"
                )
            wrong = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
            if len(wrong):
                raise InputError(
                    f"weights: expected finite numbers of at least 0, got {weights[wrong[0]]} at "
                    f"index {wrong[0]}"
                )
            object.__setattr__(self, "weights", weights)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        soft = ", soft labels" if self.soft_labels is not None else ""
        weights = ", weights" if self.weights is not None else ""
        return f"Samples({len(self)} images, {form_of(self.images)}{soft}{weights})"

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any image, label, soft label or weight."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        present = {name: array for name, array in arrays.items() if array is not None}
        return _fingerprint(present.values(), present)

    def subset(self, indices: np.ndarray) -> Self:
        """Return the samples at `indices`.

        Args:
            indices: Integers (M,), or a boolean mask (N,).
        """
        return replace(
            self,
            images=self.images[indices],
            labels=self.labels[indices],
            soft_labels=None if self.soft_labels is None else self.soft_labels[indices],
            weights=None if self.weights is None else self.weights[indices],
        )
