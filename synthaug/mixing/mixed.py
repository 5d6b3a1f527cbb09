"""Mix synthetic images into a real Dataset.

Item *i* of an epoch is drawn from the stream (seed, epoch, *i*) alone, so that it does not depend
on the number of workers. A synthetic item goes through the transforms of a real one, its host.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthaug.core import (
    ClassDrawer,
    InputError,
    Progress,
    expect_count,
    numpy_stream,
    one_hot,
    stream_seed,
    uniform_at,
)
from synthaug.data import (
    check_label,
    labels_and_classes,
    read_images,
    relabelling,
    source_of,
    sources_of,
)
from synthaug.mixing.bank import Labels, check_labels, label_rows
from synthaug.mixing.forms import form_of, pair_of
from synthaug.mixing.mix_config import MixConfig
from synthaug.mixing.options import Mode, check_options, shared_classes
from synthaug.mixing.ratio import Ratio, share_per_class
from synthaug.mixing.synthetic import LabelledDataset, Transform, tell_epoch
from synthaug.pool import Network, SamplePool


def round_quotas(quotas: np.ndarray, seed: int) -> np.ndarray:
    """Round to whole numbers that add up to the rounded sum: the largest remainders go up."""
    whole: np.ndarray = np.floor(quotas).astype(np.int64)
    rest = round(float(quotas.sum())) - int(whole.sum())
    ties = numpy_stream(seed, "append", "rounding").random(len(quotas))
    order = np.lexsort((ties, -(quotas - whole)))
    whole[order[:rest]] += 1
    return whole


def hosts_of(labels: np.ndarray, new_labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the real item whose transforms each added one goes through, int64 (A,).

    It is of the same class, each in turn; of any, where the class has none.
    """
    order = numpy_stream(seed, "append").permutation(len(labels))
    hosts: np.ndarray = np.resize(order, len(new_labels))
    for label in np.intersect1d(new_labels, labels):
        of_class = new_labels == label
        hosts[of_class] = np.resize(order[labels[order] == label], of_class.sum())
    return hosts


class Unmixed(LabelledDataset):
    """A real Dataset alone, behind the methods of a `MixedDataset`.

    `MixedDataset.from_config` returns it where a configuration recommends to mix nothing in.
    """

    ratio = 0.0

    def __init__(self, real: Any, transform: Transform | None) -> None:
        super().__init__(transform, None, None)
        self.real = real
        labels, names = labels_and_classes(real)
        self.targets, self.classes = labels.tolist(), list(names)

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to a `MixedDataset` within."""
        tell_epoch(self.real, epoch)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Any:
        item = self.real[index]
        return item if self.transform is None else self._transform_pair(*pair_of(item))

    def extra_repr(self) -> str:
        """Describe the real Dataset."""
        return f"Real: {type(self.real).__name__}, {len(self.real)} items, nothing mixed in"


DEFAULT_RATIO = 0.5
KEPT_EPOCHS = 3  # as many as can be under way at once: workers run ahead of each other


class MixedDataset(LabelledDataset):
    """A real Dataset with synthetic images of the same classes among its own.

    Args:
        real: Any map-style Dataset of (image, label). Its own transforms, and those of a Dataset
            within a Subset or ConcatDataset, are applied to the synthetic images, too.
        pool: The synthetic images, or their directory. Their classes and dtype must be those of
            `real`; images must have one size after its transforms.
        ratio: Share of synthetic images, 0 to 1, default 0.5. One number; one a class, by name or
            in the order of classes; or a function of the epoch that returns those, such as
            `LinearRatio`, `CosineRatio` and `OffForLast` of `synthaug.mixing`. Not for "balance".
        mode: "replace" keeps the length: in each epoch item *i* is a synthetic image of the same
            class with probability `ratio`. "append" keeps every real image and adds as many
            synthetic ones as make up the share. "balance" keeps every real image and tops each
            class up with synthetic ones to `per_class`, or to the size of the largest class.
        transform: Applied to every image, real or synthetic, after `real`'s own.
        seed: With the epoch and *i* it settles which image item *i* is, whatever the number of
            workers. Until `set_epoch` is called, the epoch of an item is how often it was asked
            for before. Call `set_epoch` each epoch where items are drawn with replacement, several
            processes share an epoch, epochs are left early, or `ratio` changes with the epoch.
        target_transform: Applied to every label.
        transforms: Applied to image and label together, in place of the other two.
        labels: "hard" returns labels as `real` does. "soft" returns float32 tensors (K,), one-hot
            for real images and the pool's soft labels for synthetic ones; "mixed" half of each for
            those.
        per_class: For "balance", the number of images to top each class up to.

    Raises:
        InputError: If pool and real images do not match, or options do not go together.

    Examples:
        >>> import tempfile
        >>> from synthaug import MixedDataset, SamplePool, StyleSwap, SyntheticDataset, read_images
        >>> generator = StyleSwap().fit(read_images("digits"), device="cpu")
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     pool = SamplePool.create(directory + "/pool", generator, 2)
        ...     real = SyntheticDataset(pool)  # stands for yours
        ...     mixed = MixedDataset(real, pool, mode="balance", per_class=3)
        ...     len(mixed), mixed[29][1]
        (30, 9)
    """

    holds_synthetic = True  # tells it from images to learn from

    def __init__(
        self,
        real: Any,
        pool: SamplePool | str | Path,
        ratio: Ratio | None = None,
        mode: Mode = "replace",
        transform: Transform | None = None,
        seed: int = 0,
        *,
        target_transform: Transform | None = None,
        transforms: Callable[[Any, Any], Any] | None = None,
        labels: Labels = "hard",
        per_class: int | None = None,
    ) -> None:
        super().__init__(transform, target_transform, transforms)
        check_options(ratio, mode, per_class)
        check_labels(labels)
        pool = SamplePool.of(pool)
        self.real, self.pool, self.mode, self.seed, self.labels = real, pool, mode, seed, labels
        self._ratio: Ratio = DEFAULT_RATIO if ratio is None else ratio
        self.per_class = per_class
        real_labels, names = labels_and_classes(real)
        # How many lie within each other below this one. With one seed they must not draw alike, or
        # this one would replace the very synthetic images of the other.
        inner = [each for each, _ in sources_of(real) if isinstance(each, MixedDataset)]
        self._depth: int = max((each._depth + 1 for each in inner), default=0)
        try:
            self.classes = shared_classes(names, pool, mode)
        except InputError as error:
            raise InputError(f"{error}{relabelling(real)}") from error
        added_labels = np.repeat(np.arange(len(self.classes)), self._added_counts(real_labels))
        self._real_items = len(real_labels)
        self._label_array = np.concatenate([real_labels, added_labels])
        self._labels: list[int] = self._label_array.tolist()  # quicker for one at a time
        # The real item that each item is, or whose transforms it has.
        self._places = np.concatenate(
            [np.arange(len(real_labels)), hosts_of(real_labels, added_labels, seed)]
        )
        # -1 until it is set: until then items count how often they were asked for.
        self._epoch = torch.full((1,), -1, dtype=torch.int64, device="cpu")
        self._visits = torch.zeros(len(self._labels), dtype=torch.int32, device="cpu")
        self._prepare()

    @classmethod
    def from_config(
        cls,
        real: Any,
        config: MixConfig | str | Path,
        pool: str | Path,
        *,
        teacher: Network | None = None,
        seed: int = 0,
        device: str = "auto",
        transform: Transform | None = None,
        progress: Progress | None = None,
    ) -> "MixedDataset | Unmixed":
        """Mix as a configuration of `synthaug tune` says; nothing where it recommends nothing.

        Warns where the images have another size, other channels or another number of classes than
        those that the configuration was found on.

        Args:
            real: As for `MixedDataset`.
            config: The configuration, or its file.
            pool: A directory for the synthetic images. The first call fits the generator to the
                images of `real`, without its transforms, and fills it; later ones use it. A call
                that is interrupted goes on from the checkpoint beside it.
            teacher: A classifier, needed where the configuration mixes labels: see
                `SamplePool.create`.
            seed: Settles the generator, the pool and which item is which.
            device: Where the generator is fitted: "auto" (a GPU where there is one), "cpu",
                "cuda:0".
            transform: As for `MixedDataset`.
            progress: Called with (steps done, total) of the fit, then with images of the pool.

        Returns:
            The mixed Dataset; the real one alone where nothing is recommended.

        Raises:
            InputError: If the configuration, the pool or the teacher does not fit, before anything
                is trained.

        Examples:
            >>> import tempfile
            >>> from synthaug import MixConfig, MixedDataset, StyleSwap, SyntheticDataset
            >>> from synthaug import read_images
            >>> config = MixConfig(StyleSwap(), ratio=0.25)
            >>> with tempfile.TemporaryDirectory() as directory:
            ...     pool = config.make_pool(directory + "/a", read_images("digits"), device="cpu")
            ...     real = SyntheticDataset(pool)  # stands for yours
            ...     mixed = MixedDataset.from_config(real, config, directory + "/b", device="cpu")
            ...     len(mixed) == len(real), mixed.ratio
            (True, 0.25)
        """
        mix = config if isinstance(config, MixConfig) else MixConfig.load(config)
        if not mix.recommended:
            return Unmixed(real, transform)
        images = read_images(_real_dataset(real))
        for source, first in sources_of(real):  # refuse what cannot be mixed before a long fit
            form_of(source, first, images.images[:1], images.classes)
        samples = mix.make_pool(
            pool, images, teacher=teacher, seed=seed, device=device, progress=progress
        )
        return cls(real, samples, mix.ratio, transform=transform, seed=seed, labels=mix.labels)

    def _added_counts(self, labels: np.ndarray) -> np.ndarray:
        """Return how many synthetic images of each class stand after the real ones, int64 (K,)."""
        counts = np.bincount(labels, minlength=len(self.classes))
        if self.mode == "balance":
            return np.maximum((self.per_class or counts.max()) - counts, 0)
        shares = share_per_class(self.ratio, self.classes, 0)
        if self.mode == "replace":
            return np.zeros_like(counts)
        full = np.flatnonzero(shares == 1)
        if len(full):
            raise InputError(
                f"ratio: expected a share below 1 to append, got 1.0 for class "
                f"{self.classes[full[0]]!r}"
            )
        return round_quotas(counts * shares / (1 - shares), self.seed)

    def _prepare(self) -> None:
        samples = self.pool.samples
        self._pool_images = samples.images
        self._current_epoch, self._visit_counts = (
            _shared_memory(self._epoch),
            _shared_memory(self._visits),
        )
        self._epoch_picks: dict[int, list[int]] = {}
        self._forms = {
            id(source): form_of(source, first, samples.images, self.classes)
            for source, first in sources_of(self.real)
        }
        self._only_form = next(iter(self._forms.values())) if len(self._forms) == 1 else None
        self._labels_stay = not any(form.joint for form in self._forms.values())
        self._drawer = ClassDrawer(samples.labels, len(self.classes), samples.weights)
        self._rows = None
        if self.labels != "hard":
            count = len(self.classes)
            self._rows = torch.tensor(label_rows(samples, count, self.labels), device="cpu")
            self._own_rows = torch.from_numpy(one_hot(np.arange(count), count))
        self._check_present()

    def _check_present(self) -> None:
        needed_labels = self._label_array
        if self.mode == "replace":
            shares = share_per_class(self.ratio, self.classes, 0)
            if shares.any() or not callable(self.ratio):  # a schedule may begin with none at all
                needed_labels = needed_labels[shares[needed_labels] > 0]
        else:
            needed_labels = needed_labels[self._real_items :]
        absent = np.setdiff1d(needed_labels, self._drawer.present)
        if len(absent):
            count = self._labels[: self._real_items].count(absent[0])
            raise InputError(
                f"class {self.classes[absent[0]]!r}: the pool holds no image of it, the real "
                f"images {count}; add some to the pool"
            )

    def __getstate__(self) -> dict[str, Any]:
        derived_names = (
            "_pool_images",
            "_current_epoch",
            "_visit_counts",
            "_epoch_picks",
            "_forms",
            "_only_form",
            "_labels_stay",
            "_drawer",
            "_rows",
            "_own_rows",
        )
        return {k: v for k, v in vars(self).items() if k not in derived_names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def set_epoch(self, epoch: int) -> None:
        """Settle which items are synthetic and which images they are, until the next call.

        Call it each epoch, at least where `seed` asks for it and in trainings that resume. Worker
        processes that stay alive between epochs follow, and so does another `MixedDataset` within,
        as where there are two pools.

        Args:
            epoch: The epoch, from 0.
        """
        expect_count("epoch", epoch, least=0)
        self._epoch.fill_(epoch)
        tell_epoch(self.real, epoch)

    @property
    def ratio(self) -> Ratio:
        """The share of synthetic images.

        It cannot be set anew, since worker processes that stay alive would not follow. They do
        follow a schedule, such as `OffForLast`.
        """
        return self._ratio

    @property
    def targets(self) -> list[int]:  # type: ignore[override]
        """The class of each item; it does not change with the epoch."""
        return list(self._labels)

    @property
    def synthetic(self) -> np.ndarray:
        """The mask of synthetic items in this epoch, or when they are next asked for, bool (N,)."""
        epoch = self._current_epoch[0]
        epochs = np.asarray(self._visit_counts) if epoch < 0 else np.full(len(self), epoch)
        picks = np.empty(len(self), dtype=np.int64)
        for each in np.unique(epochs):
            items = np.flatnonzero(epochs == each)
            picks[items] = self._picks(int(each), items)
        return picks >= 0

    def _draw(self, epoch: int, index: int) -> int:
        """Return the index of the synthetic image that an item is in an epoch; -1 for a real one.

        A whole epoch is drawn at once, which is the quickest where all of it is asked for.
        """
        if self._current_epoch[0] < 0 and self._epoch_picks and epoch < max(self._epoch_picks):
            # A straggler, as where a sampler draws with replacement.
            return int(self._picks(epoch, np.array([index]))[0])
        if len(self._epoch_picks) == KEPT_EPOCHS:
            del self._epoch_picks[min(self._epoch_picks)]
        self._epoch_picks[epoch] = self._picks(epoch, np.arange(len(self._labels))).tolist()
        return self._epoch_picks[epoch][index]

    def _picks(self, epoch: int, items: np.ndarray) -> np.ndarray:
        within = ["within", self._depth] if self._depth else []
        stream = stream_seed(self.seed, "mixed", epoch, *within)
        labels = self._label_array[items]
        if self.mode == "replace":
            shares = share_per_class(self.ratio, self.classes, epoch)
            synthetic = uniform_at(stream, 2 * items) < shares[labels]
        else:
            synthetic = items >= self._real_items
        picks = np.full(len(items), -1)
        unit = uniform_at(stream, 2 * items[synthetic] + 1)
        picks[synthetic] = self._drawer.at(labels[synthetic], unit)
        return picks

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        # This runs for every image of a training.
        if index < 0:
            index += len(self._labels)
            if index < 0:
                raise IndexError(f"expected an index of {len(self._labels)} items")
        epoch: int = self._current_epoch[0]
        if epoch < 0:
            epoch = self._visit_counts[index]
            self._visit_counts[index] = epoch + 1
        picks = self._epoch_picks.get(epoch)
        pick = self._draw(epoch, index) if picks is None else picks[index]
        item = self._synthetic_item(pick, index) if pick >= 0 else self.real[index]
        image, label = item if type(item) is tuple and len(item) == 2 else pair_of(item)
        if pick < 0 and self._labels_stay:
            self._check_label(label, index)
        if self._rows is not None:
            row = self._own_rows[self._labels[index]] if pick < 0 else self._rows[pick]
            label = row.clone()  # a target_transform may write to it
        if self.transform is None and self.transforms is None and self.target_transform is None:
            return image, label
        return self._transform_pair(image, label)

    def _check_label(self, label: Any, index: int) -> None:
        expected = self._labels[index]
        to_number = getattr(label, "tolist", None)
        if (label if to_number is None else to_number()) != expected:  # the full check is slower
            try:
                check_label(label, expected, self.classes)
            except InputError as error:
                raise InputError(f"{type(self.real).__name__}: item {index}: {error}") from error

    def _synthetic_item(self, pick: int, index: int) -> tuple[Any, Any]:
        form = self._only_form
        if form is None:
            source, _ = source_of(self.real, int(self._places[index]))
            form = self._forms[id(source)]
        return form.make(self._pool_images[pick], self._labels[index])

    def extra_repr(self) -> str:
        """Describe what is mixed, and how."""
        epoch = "by visits" if self._current_epoch[0] < 0 else self._current_epoch[0]
        target = f"per class {self.per_class or 'as the largest'}"
        return "\n".join(
            [
                f"Real: {type(self.real).__name__}, {len(self.real)} items",
                f"Synthetic: {self.pool!r}",
                f"Mode: {self.mode}, {target if self.mode == 'balance' else f'ratio {self.ratio}'}",
                f"Seed: {self.seed}, epoch: {epoch}, labels: {self.labels}",
            ]
        )


def _real_dataset(dataset: Any) -> Any:
    """Return the real Dataset of a `MixedDataset`, also of one within another."""
    return _real_dataset(dataset.real) if isinstance(dataset, MixedDataset) else dataset


def _shared_memory(numbers: torch.Tensor) -> memoryview:
    """Put a tensor into shared memory, where workers see each other's writes; return a view."""
    numbers.share_memory_()  # type: ignore[no-untyped-call]
    return memoryview(numbers.numpy())  # type: ignore[arg-type]
