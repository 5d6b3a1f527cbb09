"""Replace a real image by a synthetic one in an albumentations pipeline.

`import synthaug` does not import this module, since importing albumentations is slow. It also works
with the successor AlbumentationsX, which has the same import name.
"""

from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import torch
from albumentations import ImageOnlyTransform, __version__
from albumentations.core import transforms_interface

from synthaug.core import ClassDrawer, InputError, stream_seed
from synthaug.data import expect_scale, to_float
from synthaug.pool import SamplePool

# AlbumentationsX from 2.4.0 on refuses a class that defines the hook of albumentations.
_NEW_HOOK = hasattr(ImageOnlyTransform, "sample_parameters")
if _NEW_HOOK and not hasattr(transforms_interface, "SampledParams"):
    raise ImportError(
        f"albumentationsx {__version__}: 2.4.0 to 2.4.2 call custom transforms in a way of their "
        "own; install albumentationsx>=2.4.3, or albumentations==2.0.8 instead"
    )

_SLACK = 0.05  # by which interpolation may leave the range of values
# Targets that belong to the real image and to no other, and those of several images.
_BELONGING = ("mask", "masks", "mask3d", "masks3d", "bboxes", "keypoints")
_SEVERAL = ("images", "volume", "volumes")


class MixSynthetic(ImageOnlyTransform):  # type: ignore[misc]
    """A transform that replaces an image by a synthetic one of its class, passed with it.

    Images are uint8 or uint16 as in the pool, or float32 in [0, 1]; (H, W) or (H, W, C). Random
    numbers follow the pipeline's seed, `A.Compose(seed=...)`, and in a worker of a DataLoader that
    of the worker, which torch draws anew each epoch, or one set there. They are independent of
    those of other transforms. A replay, as of `A.ReplayCompose`, uses the same synthetic image, so
    it is for images of the same class.

    Args:
        pool: A `SamplePool`, or its directory.
        p: Probability that an image is replaced, 0 to 1.
        label_key: The keyword of the label, a class number or the class's name. It is declared to
            the pipeline, so that `A.Compose(strict=True)` knows it.
        interpolation: OpenCV's flag for resizing where the image has another size than the pool's.

    Raises:
        InputError: If pool and image do not match, or masks, boxes, keypoints or further images
            come with the image.

    Examples:
        >>> import albumentations as A, numpy as np, tempfile
        >>> from synthaug import SamplePool, StyleSwap, read_images
        >>> from synthaug.integrations.albumentations import MixSynthetic
        >>> generator = StyleSwap().fit(read_images("digits"), device="cpu")
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     pool = SamplePool.create(directory + "/pool", generator, 2)
        ...     pipeline = A.Compose([MixSynthetic(directory + "/pool", p=1.0)], seed=0)
        ...     item = pipeline(image=np.zeros((32, 32), np.uint8), label=7)
        >>> item["image"].shape, bool(item["image"].any()), item["label"]
        ((32, 32), True, 7)
    """

    class InitSchema(transforms_interface.BaseTransformInitSchema):  # type: ignore[misc]
        """The types that albumentations checks arguments against."""

        pool: str | Path | SamplePool
        label_key: str
        interpolation: int

    def __init__(
        self,
        pool: str | Path | SamplePool,
        p: float = 0.5,
        label_key: str = "label",
        interpolation: int = cv2.INTER_LINEAR,
    ) -> None:
        self._kinds: dict[str, str] = {}
        self._pool = SamplePool.of(pool)
        self._worker_seed: int | None = None
        super().__init__(p=p)
        self.pool = str(self._pool.directory)  # under the argument's name, for A.to_dict
        self.label_key, self.interpolation = label_key, interpolation
        samples = self._pool.samples
        self._drawer = ClassDrawer(samples.labels, len(self._pool.classes), samples.weights)

    def set_random_seed(self, seed: int | None) -> None:
        """Follow a pipeline's seed, with random numbers of its own.

        albumentations gives all transforms the same, which would flip all synthetic images or none.
        """
        super().set_random_seed(None if seed is None else stream_seed(seed, *self._stream()))
        self.seed = seed  # the pipeline's own
        worker = torch.utils.data.get_worker_info()
        if worker is not None and seed is not None:  # a seed that is set in the worker wins
            self._worker_seed = worker.seed

    def should_apply(self, force_apply: bool = False) -> bool:
        """Tell whether the image is replaced; called first for each image."""
        worker = torch.utils.data.get_worker_info()
        # albumentations copies its random state to the workers of every epoch, and to all alike.
        if worker is not None and self._worker_seed != worker.seed:
            seed = self.seed
            super().set_random_seed(stream_seed(worker.seed, *self._stream(), seed))
            self.seed, self._worker_seed = seed, worker.seed
        return bool(super().should_apply(force_apply))

    def _stream(self) -> tuple[object, ...]:
        """Name the stream of random numbers, so that two pools are drawn from independently."""
        return "albumentations", crc32(self._pool.samples.images[0].tobytes())

    def add_targets(self, additional_targets: dict[str, str]) -> None:
        """Note all targets: albumentations keeps only those that the transform is applied to."""
        super().add_targets(additional_targets)
        self._kinds.update(additional_targets)

    @property
    def targets_as_params(self) -> list[str]:
        """The keywords that are needed: the label."""
        return [self.label_key]

    if _NEW_HOOK:

        def sample_parameters(
            self, params: dict[str, Any], data: dict[str, Any], targets: Any, sampling: Any
        ) -> Any:
            """Draw the pool's image that is used."""
            values = self._draw(data, sampling.random_generator)
            return transforms_interface.SampledParams(params=values)

    else:

        def get_params_dependent_on_data(
            self, params: dict[str, Any], data: dict[str, Any]
        ) -> dict[str, Any]:
            """Draw the pool's image that is used."""
            return self._draw(data, self.random_generator)

    def _draw(self, data: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
        for key in (key for key, value in data.items() if value is not None):
            self._check_target(key)
        label = self._class_of(data[self.label_key])
        return {"index": int(self._drawer.draw(np.array([label]), generator)[0])}

    def apply(self, img: np.ndarray, index: int = 0, **params: Any) -> np.ndarray:
        """Return the pool's image `index` in the form of `img`."""
        pool_image = self._pool.samples.images[index]
        self._check_form(img, pool_image)
        image = np.array(pool_image.transpose(1, 2, 0))  # a copy: the pool is read-only
        if img.dtype == np.float32:
            image = to_float(image).numpy()
        if image.shape[:2] != img.shape[:2]:
            size = (img.shape[1], img.shape[0])
            image = cv2.resize(image, size, interpolation=self.interpolation)
        return image.reshape(img.shape)

    def _check_target(self, key: str) -> None:
        kind = self._kinds.get(key, key)
        if kind in _BELONGING:
            raise InputError(
                f"{key}: belongs to the real image and does not fit a synthetic one; MixSynthetic "
                "is for classification"
            )
        if kind in _SEVERAL or (kind == "image" and key != "image"):
            raise InputError(
                f"{key}: expected one image with its label, and several would all become the same "
                "synthetic one; give each to the pipeline by itself"
            )

    def _class_of(self, label: Any) -> int:
        classes = self._pool.classes
        if isinstance(label, str) and label in classes:
            return classes.index(label)
        value = np.asarray(label)
        whole = value.size == 1 and value.dtype.kind in "iu"
        if not whole or not 0 <= int(value.reshape(-1)[0]) < len(classes):
            raise InputError(
                f"{self.label_key}: the pool holds the classes 0 to {len(classes) - 1}, "
                f"{classes}, got {label!r}"
            )
        return int(value.reshape(-1)[0])

    def _check_form(self, image: np.ndarray, pool_image: np.ndarray) -> None:
        channels = 1 if image.ndim == 2 else image.shape[2]
        if channels != len(pool_image):
            raise InputError(
                f"channels: the pool holds {len(pool_image)}, the image has {channels}"
            )
        if image.dtype not in (pool_image.dtype, np.float32):
            raise InputError(
                f"dtype: the pool holds {pool_image.dtype}, the image is {image.dtype}"
            )
        if image.dtype == np.float32 and not -_SLACK <= image.min() <= image.max() <= 1 + _SLACK:
            raise InputError(
                f"the pool's images are in [0, 1], the image has floats from {image.min():.2f} to "
                f"{image.max():.2f}; place MixSynthetic before Normalize"
            )
        if image.dtype == np.float32:
            expect_scale("image", float(image.max()), self._pool.samples.images)
