"""Datasets that hand out synthetic images, alone or among real ones."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from synthaug.errors import InputError
from synthaug.images import to_pil
from synthaug.mixing.drawing import ClassDrawer
from synthaug.mixing.forms import form_of, source_of, sources_of
from synthaug.pool import SamplePool
from synthaug.reading import classes_of, labels_of
from synthaug.seeding import numpy_stream

Transform = Callable[[Any], Any]


class SyntheticDataset(Dataset[tuple[Any, int]]):
    """The pool alone, as PIL images with their labels.

    transform: applied to each image.

    >>> import tempfile
    >>> from synthaug import SamplePool, StyleSwap, SyntheticDataset, read_images
    >>> generator = StyleSwap().fit(read_images("digits"), device="cpu")
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     dataset = SyntheticDataset(SamplePool.create(directory + "/pool", generator, 2))
    ...     len(dataset), dataset[0][0].size, dataset[0][1]
    (20, (16, 16), 0)
    """

    def __init__(self, pool: SamplePool, transform: Transform | None = None) -> None:
        self.pool = pool
        self.transform = transform
        self.classes = list(pool.classes)
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        self.targets = pool.targets

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        stored, label = self.pool[index]
        image = to_pil(stored)
        return (image if self.transform is None else self.transform(image)), label


class MixedDataset(Dataset[tuple[Any, Any]]):
    """A real Dataset with synthetic images of the same classes among its own.

    real: any map-style Dataset of (image, label). Its own transforms are applied to the synthetic
        images too, so that both come out alike; so are those of a Dataset within a Subset or
        ConcatDataset.
    pool: the synthetic images; classes and type must be those of `real`, and what comes out of its
        transforms must have one size.
    ratio: share of synthetic images, from 0 to 1.
    mode: "replace" keeps the length: in each epoch item *i* is a synthetic image of the same class
        with probability `ratio`. "append" keeps every real image and adds as many synthetic ones
        as make up the share.
    transform: applied to every image, real or synthetic, after `real`'s own.
    seed: with the epoch (`set_epoch`) and *i* it settles which image item *i* is, whatever the
        number of workers.

    Raises `InputError` naming both sides where pool and real images do not match.
    """

    def __init__(
        self,
        real: Any,
        pool: SamplePool,
        ratio: float = 0.5,
        mode: Literal["replace", "append"] = "replace",
        transform: Transform | None = None,
        seed: int = 0,
    ) -> None:
        if not 0 <= ratio <= 1 or (mode == "append" and ratio == 1):
            raise InputError(
                f"ratio: expected a share from 0 to 1 (below 1 to append), got {ratio}"
            )
        if mode not in ("replace", "append"):
            raise InputError(f"mode: expected 'replace' or 'append', got {mode!r}")
        self.real, self.pool, self.ratio, self.mode = real, pool, ratio, mode
        self.transform, self.seed = transform, seed
        self.classes = _shared_classes(real, pool)
        self.class_to_idx = {name: index for index, name in enumerate(self.classes)}
        labels = labels_of(real)  # as positions in the list of classes
        added = round(len(labels) * ratio / (1 - ratio)) if mode == "append" else 0
        order = numpy_stream(seed, "append").permutation(len(labels))
        # The real item that each item is, or whose class and transforms it has.
        self._places = np.concatenate([np.arange(len(labels)), np.resize(order, added)])
        self._labels = labels[self._places].astype(np.int64)
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._prepare()

    def _prepare(self) -> None:
        samples = self.pool.samples
        # Shared memory: workers that stay alive between epochs see the new number.
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]
        self._forms = {
            id(source): form_of(source, samples.images, self.classes)
            for source in sources_of(self.real)
        }
        self._drawer = ClassDrawer(samples.labels, len(self.classes), samples.weights)
        self._picks = lru_cache(maxsize=2)(self._draw_epoch)
        absent = np.setdiff1d(self._labels, self._drawer.present)
        if self.ratio and len(absent):
            count = int((self._labels == absent[0]).sum())
            raise InputError(
                f"class {self.classes[absent[0]]!r}: the pool holds no image of it, the real "
                f"images {count}; add some to the pool"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_forms", "_drawer", "_picks")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

    def set_epoch(self, epoch: int) -> None:
        """Draw anew which items are synthetic and which images they are; call it every epoch."""
        self._epoch.fill_(epoch)

    @property
    def targets(self) -> list[int]:
        """The label of each item; it does not change with the epoch."""
        return [int(label) for label in self._labels]

    def _draw_epoch(self, epoch: int) -> np.ndarray:
        """For each item the index of a synthetic image, or -1 for the real one."""
        rng = numpy_stream(self.seed, "mixed", epoch)
        chance = rng.random(len(self._labels))
        if self.mode == "append":
            synthetic = np.arange(len(self._labels)) >= len(self.real)
        else:
            synthetic = chance < self.ratio
        picks = np.full(len(self._labels), -1)
        picks[synthetic] = self._drawer.draw(self._labels[synthetic], rng)
        return picks

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        pick = int(self._picks(int(self._epoch))[index])
        image, label = self.real[index] if pick < 0 else self._synthetic(pick, index)
        return (image if self.transform is None else self.transform(image)), label

    def _synthetic(self, pick: int, index: int) -> tuple[Any, Any]:
        make = self._forms[id(source_of(self.real, int(self._places[index])))]
        return make(*self.pool[pick])


def _shared_classes(real: Any, pool: SamplePool) -> list[str]:
    names = list(classes_of(real))
    unnamed = [str(index) for index in range(len(names))]
    if names != pool.classes and not (names == unnamed and len(names) <= len(pool.classes)):
        raise InputError(
            f"classes: the pool holds {pool.classes}, the real images {names}; they must be the "
            "same in the same order"
        )
    return list(pool.classes)
