"""One contract for everything that mixes: Datasets, sampler, batch transform, albumentations."""

import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import pytest
import torch
from mixing_images import CLASSES, MADE, REAL, MixingCollate, Vision, make_pool, number, stored
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms import v2

import synthaug.integrations.albumentations
from synthaug.core import InputError
from synthaug.data import Samples
from synthaug.mixing import MixedDataset, MixSynthetic, RatioBatchSampler, SyntheticDataset
from synthaug.pool import SamplePool

LABELS = np.tile(REAL, 4)
RATIO = 0.25
Batches = list[tuple[torch.Tensor, torch.Tensor]]


class Arrays(Dataset[tuple[torch.Tensor, int]]):
    """As albumentations users have it: arrays, and the label handed to the pipeline."""

    def __init__(self, pipeline: Any) -> None:
        self.images, self.pipeline = stored(LABELS, 0, 1)[:, 0], pipeline

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        made = self.pipeline(image=self.images[index], label=int(LABELS[index]))
        return torch.as_tensor(made["image"])[None], made["label"]


def real() -> Vision:
    return Vision(stored(LABELS, 0, 1), LABELS, transform=v2.PILToTensor())


def load(dataset: Any, seed: int, epochs: int, options: dict[str, Any]) -> list[Batches]:
    """Epochs of a shuffled loader, the epoch set where the Dataset knows it."""
    torch.manual_seed(seed)
    # An order of its own: what a loader draws for its workers depends on how many there are.
    order = RandomSampler(dataset, generator=torch.Generator().manual_seed(seed))
    loader = DataLoader(dataset, batch_size=8, sampler=order, **options)
    found = []
    for epoch in range(epochs):
        if hasattr(dataset, "set_epoch"):
            dataset.set_epoch(epoch)
        found.append([(images, labels) for images, labels in loader])
    return found


def _mixed(mode: Any) -> Callable[..., list[Batches]]:
    def run(pool: SamplePool, seed: int, epochs: int, **options: Any) -> list[Batches]:
        ratio = None if mode == "balance" else RATIO
        return load(MixedDataset(real(), pool, ratio, mode, seed=seed), seed, epochs, options)

    return run


def _alone(pool: SamplePool, seed: int, epochs: int, **options: Any) -> list[Batches]:
    return load(SyntheticDataset(pool, v2.PILToTensor()), seed, epochs, options)


def _sampled(pool: SamplePool, seed: int, epochs: int, **options: Any) -> list[Batches]:
    dataset = MixedDataset(real(), pool, RATIO, "append", seed=seed)
    sampler = RatioBatchSampler(dataset, batch_size=8, ratio=RATIO, seed=seed)
    loader = DataLoader(dataset, batch_sampler=sampler, **options)
    found = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        found.append([(images, labels) for images, labels in loader])
    return found


def _after_the_loader(pool: SamplePool, seed: int, epochs: int, **options: Any) -> list[Batches]:
    mix = MixSynthetic(pool, RATIO)
    loaded = load(real(), seed, epochs, options)
    torch.manual_seed(seed)
    return [[mix(*batch) for batch in epoch] for epoch in loaded]


def _collated(pool: SamplePool, seed: int, epochs: int, **options: Any) -> list[Batches]:
    collate = MixingCollate(MixSynthetic(pool, RATIO))
    return load(real(), seed, epochs, {**options, "collate_fn": collate})


def _albumentations(pool: SamplePool, seed: int, epochs: int, **options: Any) -> list[Batches]:
    mix = synthaug.integrations.albumentations.MixSynthetic(pool, p=RATIO)
    return load(Arrays(A.Compose([mix], seed=seed)), seed, epochs, options)


@dataclass(frozen=True)
class Wrapper:
    """A way of mixing.

    run: epochs of batches. length: items of an epoch. share: of synthetic images, and whether each
    batch or epoch has it exactly. keeps: whether each real image is shown. in_order: whether the
    number of workers changes nothing.
    """

    run: Callable[..., list[Batches]]
    make: Callable[[SamplePool], Any]
    length: int = len(LABELS)
    share: float | None = RATIO
    exact: str = ""
    keeps: bool = False
    any_workers: bool = True


APPENDED = round(len(LABELS) * RATIO / (1 - RATIO))
TOPPED_UP = int((np.bincount(LABELS).max() - np.bincount(LABELS)).sum())
WRAPPERS = {
    "replace": Wrapper(_mixed("replace"), lambda pool: MixedDataset(real(), pool, RATIO)),
    "append": Wrapper(
        _mixed("append"),
        lambda pool: MixedDataset(real(), pool, RATIO, "append"),
        length=len(LABELS) + APPENDED,
        share=APPENDED / (len(LABELS) + APPENDED),
        exact="epoch",
        keeps=True,
    ),
    "balance": Wrapper(
        _mixed("balance"),
        lambda pool: MixedDataset(real(), pool, mode="balance"),
        length=len(LABELS) + TOPPED_UP,
        share=TOPPED_UP / (len(LABELS) + TOPPED_UP),
        exact="epoch",
        keeps=True,
    ),
    "alone": Wrapper(_alone, SyntheticDataset, length=len(MADE), share=1.0, exact="batch"),
    "sampler": Wrapper(
        _sampled,
        lambda pool: RatioBatchSampler(MixedDataset(real(), pool, RATIO, "append"), 8, RATIO),
        length=len(LABELS) + APPENDED,
        exact="batch",
        keeps=True,
    ),
    "batch transform": Wrapper(_after_the_loader, lambda pool: MixSynthetic(pool, RATIO)),
    "collate": Wrapper(_collated, lambda pool: MixSynthetic(pool, RATIO), any_workers=False),
    "albumentations": Wrapper(
        _albumentations,
        lambda pool: synthaug.integrations.albumentations.MixSynthetic(pool, p=RATIO),
        any_workers=False,
    ),
}


@pytest.fixture(params=WRAPPERS, ids=lambda name: name.replace(" ", "-"))
def wrapper(request: pytest.FixtureRequest) -> Wrapper:
    return WRAPPERS[request.param]


@pytest.fixture
def pool(tmp_path: Path) -> SamplePool:
    return make_pool(tmp_path)


def flat(epoch: Batches) -> tuple[list[int], list[int]]:
    """Numbers and labels of all images."""
    images = [number(image) for batch, _ in epoch for image in batch]
    return images, [int(label) for _, labels in epoch for label in labels]


def test_batches_are_as_the_real_loader_makes_them(wrapper: Wrapper, pool: SamplePool) -> None:
    [epoch] = wrapper.run(pool, 0, 1)
    assert sum(len(labels) for _, labels in epoch) == wrapper.length
    for images, labels in epoch:
        assert images.dtype == torch.uint8 and images.shape[1:] == (1, 8, 9)
        assert labels.dtype == torch.int64 and labels.shape == (len(images),)


def test_a_pool_may_be_named_by_its_directory(wrapper: Wrapper, pool: SamplePool) -> None:
    named: Any = str(pool.directory)
    first, second = (wrapper.run(each, 1, 1)[0] for each in (pool, named))
    assert flat(first) == flat(second)


def test_each_image_has_its_label(wrapper: Wrapper, pool: SamplePool) -> None:
    for epoch in wrapper.run(pool, 1, 3):
        images, labels = map(np.array, flat(epoch))
        made = images >= 150
        assert (LABELS[images[~made]] == labels[~made]).all()
        assert (MADE[images[made] - 150] == labels[made]).all()
        assert made.any()


def test_the_same_seed_gives_the_same_epochs(wrapper: Wrapper, pool: SamplePool) -> None:
    found = [[flat(epoch) for epoch in wrapper.run(pool, seed, 2)] for seed in (3, 3, 4)]
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0][0] != found[0][1]


def test_workers_change_nothing(wrapper: Wrapper, pool: SamplePool) -> None:
    """But for what draws in a worker, as all transforms there: it is the same for the same number
    of workers."""
    pin = torch.cuda.is_available()
    options: dict[str, Any] = {"num_workers": 2, "persistent_workers": True, "pin_memory": pin}
    first = [flat(epoch) for epoch in wrapper.run(pool, 5, 2, **options)]
    other = {} if wrapper.any_workers else options
    assert first == [flat(epoch) for epoch in wrapper.run(pool, 5, 2, **other)]
    assert first[0] != first[1]


@pytest.mark.parametrize("name", ["replace", "alone", "sampler", "collate", "albumentations"])
def test_workers_that_are_started_anew(name: str, pool: SamplePool) -> None:
    options: dict[str, Any] = {"num_workers": 1, "persistent_workers": True}
    forked, anew = (
        [
            flat(epoch)
            for epoch in WRAPPERS[name].run(pool, 5, 2, **options, multiprocessing_context=how)
        ]
        for how in ("fork", "forkserver")
    )
    assert forked == anew


def test_the_share_is_the_ratio(wrapper: Wrapper, pool: SamplePool) -> None:
    epochs = wrapper.run(pool, 6, 30)
    made = np.array([value >= 150 for epoch in epochs for value in flat(epoch)[0]])
    assert wrapper.share is not None
    if wrapper.exact:
        per_epoch = made.reshape(len(epochs), -1).mean(1)
        assert per_epoch == pytest.approx([wrapper.share] * len(epochs), abs=0.01)
    if wrapper.exact == "batch":
        for images, _ in (batch for epoch in epochs for batch in epoch[:-1]):
            count = sum(number(image) >= 150 for image in images)
            assert count == wrapper.share * len(images)
    bound = 4 * math.sqrt(wrapper.share * (1 - wrapper.share) / len(made)) + 1e-3
    assert abs(made.mean() - wrapper.share) < bound


def test_no_real_image_is_lost_or_repeated(wrapper: Wrapper, pool: SamplePool) -> None:
    for epoch in wrapper.run(pool, 7, 3):
        shown = sorted(value for value in flat(epoch)[0] if value < 150)
        assert shown == sorted(set(shown))
        if wrapper.keeps:
            assert shown == list(range(len(LABELS)))


def test_it_can_be_pickled_and_says_what_it_holds(wrapper: Wrapper, pool: SamplePool) -> None:
    made = wrapper.make(pool)
    again = pickle.loads(pickle.dumps(made))
    if not isinstance(made, RatioBatchSampler):
        assert repr(again) == repr(made)
        assert str(pool.directory) in repr(made)
    else:
        assert list(again) == list(made)


def _pool_of(directory: Path, images: np.ndarray, labels: Any, classes: Any) -> SamplePool:
    return SamplePool.from_samples(directory / "other", Samples(images, labels), classes)


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name != "alone"])
@pytest.mark.parametrize(
    ("images", "labels", "classes", "message"),
    [
        (
            stored(MADE, 150, 3),
            MADE,
            CLASSES,
            r"pool holds (RGB|3|\(3, 8, 9\)).* (L|1|\(1, 8, 9\))",
        ),
        (
            stored(MADE, 150, 1, np.uint16),
            MADE,
            CLASSES,
            r"pool holds (I;16|uint16).* (L|torch\.uint8|uint8)",
        ),
        (
            stored(MADE % 2, 150, 1),
            MADE % 2,
            CLASSES[:2],
            r"pool holds (\['ant', 'bee'\]|the classes 0 to 1).*(cow|to 2|got 2)",
        ),
        (stored(MADE % 2, 150, 1), MADE % 2, CLASSES, "no (synthetic )?image of"),
    ],
    ids=["channels", "depth", "classes", "missing class"],
)
def test_a_pool_that_does_not_match_is_refused(
    name: str, images: np.ndarray, labels: Any, classes: Any, message: str, tmp_path: Path
) -> None:
    pool = _pool_of(tmp_path, images, labels, classes)
    with pytest.raises(InputError, match=message):
        WRAPPERS[name].run(pool, 0, 1)


@pytest.mark.parametrize(
    "name", [name for name in WRAPPERS if name not in ("alone", "albumentations")]
)
def test_a_pool_of_another_size_is_refused_where_nothing_resizes(name: str, tmp_path: Path) -> None:
    pool = _pool_of(tmp_path, stored(MADE, 150, 1).repeat(2, 3), MADE, CLASSES)
    with pytest.raises(InputError, match=r"pool holds \(1, 8, 18\).* \(1, 8, 9\)"):
        WRAPPERS[name].run(pool, 0, 1)
