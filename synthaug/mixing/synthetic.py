"""A pool as a Dataset, and the base of all our Datasets, which keep torchvision's contract."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchvision.datasets import VisionDataset
from torchvision.datasets.vision import StandardTransform

from synthaug.data import sources_of, to_pil
from synthaug.mixing.forms import DepthGuard
from synthaug.pool import SamplePool


def tell_epoch(dataset: Any, epoch: int) -> None:
    """Tell the epoch to each `MixedDataset` that items of `dataset` come from."""
    for source, _ in sources_of(dataset):
        if hasattr(source, "set_epoch"):
            source.set_epoch(epoch)


Transform = Callable[[Any], Any]


class LabelledDataset(VisionDataset):  # type: ignore[misc]
    """A Dataset of torchvision's contract: labels in sight, transforms to be set at any time."""

    classes: list[str]
    targets: list[int]

    def __init__(
        self,
        transform: Transform | None,
        target_transform: Transform | None,
        transforms: Callable[[Any, Any], Any] | None,
    ) -> None:
        super().__init__(None, transforms, transform, target_transform)
        self._guard = DepthGuard()

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The class names with their labels."""
        return {name: index for index, name in enumerate(self.classes)}

    def _transform_pair(self, image: Any, label: Any) -> tuple[Any, Any]:
        joint = self.transforms
        if joint is not None and type(joint) is not StandardTransform:
            self._guard.check(joint, image, label)
            return joint(image, label)  # type: ignore[no-any-return]
        if self.transform is not None:
            self._guard.check(self.transform, image)
            image = self.transform(image)
        if self.target_transform is not None:
            label = self.target_transform(label)
        return image, label


class SyntheticDataset(LabelledDataset):
    """A pool alone, as PIL images with their labels.

    Args:
        pool: The pool, or its directory.
        transform: Applied to each image.
        target_transform: Applied to each label.
        transforms: Applied to both together, `transforms(image, label)`, in place of the others.

    Attributes:
        classes: Class names, list of str (K,).
        targets: Label of each item, list of int (N,).

    Raises:
        InputError: If the directory holds no pool, or a pool of 16-bit colour images, which PIL
            does not know.

    Examples:
        >>> import tempfile
        >>> from synthaug import SamplePool, StyleSwap, SyntheticDataset, read_images
        >>> generator = StyleSwap().fit(read_images("digits"), device="cpu")
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     dataset = SyntheticDataset(SamplePool.create(directory + "/pool", generator, 2))
        ...     len(dataset), dataset[0][0].size, dataset[0][1]
        (20, (16, 16), 0)
    """

    def __init__(
        self,
        pool: SamplePool | str | Path,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        transforms: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        super().__init__(transform, target_transform, transforms)
        self.pool = SamplePool.of(pool)
        self.classes = list(self.pool.classes)
        self.targets = self.pool.targets
        to_pil(self.pool[0][0])  # now, not in the middle of an epoch

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = self.pool[index]
        return self._transform_pair(to_pil(image), label)

    def extra_repr(self) -> str:
        """Describe the pool."""
        return repr(self.pool)
