"""Draw batches with a fixed share of synthetic images."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from torch import distributed
from torch.utils.data import ConcatDataset, Sampler, Subset

from synthaug.core import InputError, as_share, expect_count, numpy_stream, replaced_positions
from synthaug.data import is_map_style, named_classes, same_classes, sources_of
from synthaug.mixing.mixed import MixedDataset
from synthaug.mixing.options import warn_unnamed
from synthaug.mixing.synthetic import SyntheticDataset, tell_epoch


class RatioBatchSampler(Sampler[list[int]]):
    """Batches that all hold the same share of synthetic images, for `DataLoader(batch_sampler=)`.

    An epoch shows each real image once, and synthetic ones, each in turn, at random places of the
    batches.

    Args:
        dataset: A `MixedDataset` in mode "append" or "balance", or a ConcatDataset of real Datasets
            and `SyntheticDataset`s.
        batch_size: Real and synthetic images together. It can be set at any time, for the epochs to
            come.
        ratio: Share of synthetic images, from 0 to below 1. Where `batch_size * ratio` is no whole
            number, batches hold one more or one less, so that the share is right over the epoch. It
            can be set at any time, for the epochs to come.
        shuffle: Draw a new order each epoch; False keeps the order of real images.
        drop_last: Leave out the last batch where it is not full.
        seed: With the epoch it settles the order. Until `set_epoch` is called, the epoch is how
            often the sampler was gone through before.
        rank: This process among those that share an epoch; default from torch.distributed.
        world_size: How many share it; default from torch.distributed. All get as many batches: as
            with DistributedSampler, the first real images are shown again to fill up, or with
            `drop_last` the last ones are left out.

    Raises:
        InputError: If it cannot tell which items are synthetic, or the parts of `dataset` name
            other classes, or the same in another order.

    Examples:
        >>> import tempfile, torch
        >>> from synthaug import RatioBatchSampler, SamplePool, StyleSwap, SyntheticDataset
        >>> from synthaug import read_images
        >>> from torch.utils.data import ConcatDataset, TensorDataset
        >>> generator = StyleSwap().fit(read_images("digits"), device="cpu")
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     synthetic = SyntheticDataset(SamplePool.create(directory + "/pool", generator, 2))
        ...     dataset = ConcatDataset([TensorDataset(*[torch.zeros(30)] * 2), synthetic])
        ...     batches = list(RatioBatchSampler(dataset, batch_size=8, ratio=0.25))
        >>> [sum(index >= 30 for index in batch) for batch in batches]
        [2, 2, 2, 2, 2]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        ratio: float,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        if not is_map_style(dataset):
            raise InputError(
                "dataset: expected a MixedDataset, or a ConcatDataset with a SyntheticDataset, got "
                f"{type(dataset).__name__}; of a DataLoader give its .dataset"
            )
        self.rank, self.world_size = _place(rank, world_size)
        self.dataset, self.batch_size, self.ratio = dataset, batch_size, ratio
        self.shuffle, self.drop_last, self.seed = shuffle, drop_last, seed
        self.epoch, self._counts = 0, True  # it counts epochs itself until one is set
        _check_classes(dataset)
        synthetic = _synthetic_items(dataset)
        self._real, self._synthetic = np.flatnonzero(~synthetic), np.flatnonzero(synthetic)
        self._check()

    def _check(self) -> None:
        """Raise `InputError` for attributes, which may be set at any time, that make no batches."""
        expect_count("batch_size", self.batch_size)
        if as_share("ratio", self.ratio) == 1:
            raise InputError(f"ratio: expected a share below 1, got {self.ratio}")
        for items, kind in ((self._real, "real"), (self._synthetic, "synthetic")):
            if not len(items) and (kind == "real" or self.ratio):
                raise InputError(f"dataset: expected {kind} images among its items, got none")

    @property
    def _own(self) -> int:
        """Number of real images that this process shows in an epoch."""
        share, rest = divmod(len(self._real), self.world_size)
        return share if self.drop_last or not rest else share + 1

    def _plan(self) -> Iterator[tuple[int, int]]:
        """Yield the numbers of real and synthetic images of each batch of an epoch."""
        self._check()
        rest, so_far = self._own, 0
        for batch in count(1):
            if not rest:
                return
            # Of the sum so far, so that no rounding adds up; for 0.3 * 10 is not quite 3.
            synthetic = int(batch * self.batch_size * self.ratio + 1e-9) - so_far
            real = self.batch_size - synthetic
            if rest < real:
                break
            yield real, synthetic
            rest, so_far = rest - real, so_far + synthetic
        if not self.drop_last:
            yield rest, round(rest * self.ratio / (1 - self.ratio))

    def set_epoch(self, epoch: int) -> None:
        """Draw a new order, and new synthetic images where a `MixedDataset` is in `dataset`.

        Args:
            epoch: The epoch, from 0.
        """
        expect_count("epoch", epoch, least=0)
        self.epoch, self._counts = epoch, False
        tell_epoch(self.dataset, epoch)

    @property
    def sampler(self) -> "RatioBatchSampler":
        """Itself: Lightning passes the epoch only to the sampler within a batch sampler."""
        return self

    def __len__(self) -> int:
        return sum(1 for _ in self._plan())

    def __iter__(self) -> Iterator[list[int]]:
        epoch = self.epoch
        self.epoch += self._counts
        sizes = list(self._plan())
        rng = numpy_stream(self.seed, "batches", epoch)
        real = self._real_order(rng)
        synthetic = self._synthetic_order(rng, sum(size for _, size in sizes))
        places = numpy_stream(self.seed, "places", epoch, self.rank)
        for of_real, of_synthetic in sizes:
            batch = np.empty(of_real + of_synthetic, dtype=np.int64)
            positions = replaced_positions(len(batch), of_synthetic, places)
            at = np.zeros(len(batch), dtype=bool)
            at[positions] = True
            batch[at], synthetic = synthetic[:of_synthetic], synthetic[of_synthetic:]
            batch[~at], real = real[:of_real], real[of_real:]
            yield batch.tolist()

    def _real_order(self, rng: np.random.Generator) -> np.ndarray:
        order = rng.permutation(self._real) if self.shuffle else self._real
        return np.resize(order, self._own * self.world_size)[self.rank :: self.world_size]

    def _synthetic_order(self, rng: np.random.Generator, own: int) -> np.ndarray:
        """Return as many as this process needs; all processes together show each in turn."""
        count = own * self.world_size
        rounds = -(-count // len(self._synthetic)) if count else 0
        orders = [rng.permutation(self._synthetic) for _ in range(rounds)]
        return np.concatenate([self._synthetic[:0], *orders])[:count][self.rank :: self.world_size]


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    is_distributed = distributed.is_available() and distributed.is_initialized()
    if world_size is None:
        world_size = distributed.get_world_size() if is_distributed else 1
    if rank is None:
        rank = distributed.get_rank() if is_distributed else 0
    expect_count("world_size", world_size)
    expect_count("rank", rank, least=0)
    if rank >= world_size:
        raise InputError(f"rank: expected 0 to {world_size - 1} of {world_size}, got {rank}")
    return rank, world_size


def _check_classes(dataset: Any) -> None:
    class_names = [(source, named_classes(source)) for source, _ in sources_of(dataset)]
    try:
        classes = same_classes([names for _, names in class_names if names is not None])
    except InputError as error:
        raise InputError(f"dataset: {error}") from error
    if classes and classes != tuple(map(str, range(len(classes)))):
        for source in (source for source, names in class_names if names is None):
            warn_unnamed(type(source).__name__, classes)


def _synthetic_items(dataset: Any) -> np.ndarray:
    """Tell which items are synthetic, bool (N,)."""
    if isinstance(dataset, MixedDataset):
        if dataset.mode == "replace":
            raise InputError(
                "dataset: which items are synthetic changes with the epoch in mode='replace'; use "
                "mode='append'"
            )
        within = _synthetic_items(dataset.real)  # of another pool
        return np.concatenate([within, np.full(len(dataset) - len(within), True)])
    if isinstance(dataset, ConcatDataset):
        return np.concatenate([_synthetic_items(part) for part in dataset.datasets])
    if isinstance(dataset, Subset):
        return _synthetic_items(dataset.dataset)[np.asarray(dataset.indices, dtype=np.int64)]
    return np.full(len(dataset), isinstance(dataset, SyntheticDataset))
