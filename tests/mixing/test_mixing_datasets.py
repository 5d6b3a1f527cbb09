"""The Datasets, over the forms that real ones take."""

import copy
import math
import pickle
import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from mixing_images import (
    CLASSES,
    MADE,
    REAL,
    Joint,
    Plain,
    Vision,
    collate,
    index_of,
    kind_of,
    make_pool,
    number,
    numbers,
    same,
    stored,
)
from PIL import Image
from timm.data.transforms import ToNumpy
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
)
from torchvision import transforms, tv_tensors
from torchvision.datasets import ImageFolder, VisionDataset, wrap_dataset_for_transforms_v2
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.data import Samples, read_images, to_pil
from synthaug.generators import StyleSwap
from synthaug.mixing import MixedDataset, RatioBatchSampler, SyntheticDataset
from synthaug.mixing.ratio import CosineRatio, LinearRatio, OffForLast
from synthaug.pool import SamplePool

# Of the many forms of real images here, most have none; see the test of that.
pytestmark = pytest.mark.filterwarnings("ignore:labels of .* have no names")


def both(image: Any, label: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return v2.functional.pil_to_tensor(image), torch.tensor(label)


def _tv_images(channels: int) -> list[tv_tensors.Image]:
    return [tv_tensors.Image(torch.as_tensor(image)) for image in stored(REAL, 0, channels)]


def _concat(channels: int) -> Dataset[Any]:
    images = stored(REAL, 0, channels)
    to_tensor = v2.Compose([v2.PILToTensor()])
    parts = [Vision(images[s], REAL[s], transform=to_tensor) for s in (slice(0, 7), slice(7, 20))]
    return ConcatDataset([Subset(parts[0], list(range(7))), parts[1]])


@dataclass(frozen=True)
class Form:
    """A way in which a real Dataset hands out its items."""

    make: Callable[[], Any]
    channels: int = 1
    dtype: Any = np.uint8


def _rows(channels: int, dtype: Any = np.uint8) -> list[np.ndarray]:
    return list(stored(REAL, 0, channels, dtype).transpose(0, 2, 3, 1))


FORMS: dict[str, Form] = {
    "pil gray": Form(lambda: Vision(stored(REAL, 0, 1), REAL)),
    "pil rgb": Form(lambda: Vision(stored(REAL, 0, 3), REAL), 3),
    "pil 16-bit": Form(lambda: Vision(stored(REAL, 0, 1, np.uint16), REAL), 1, np.uint16),
    "pil with transform": Form(
        lambda: Vision(stored(REAL, 0, 3), REAL, transform=v2.PILToTensor()), 3
    ),
    "pil with target transform": Form(
        lambda: Vision(stored(REAL, 0, 3), REAL, target_transform=torch.tensor), 3
    ),
    "joint transforms": Form(lambda: Joint(stored(REAL, 0, 3), REAL, transforms=both), 3),
    "array hwc": Form(lambda: Plain(_rows(3), REAL), 3),
    "array hw1": Form(lambda: Plain(_rows(1), REAL)),
    "array hw": Form(lambda: Plain(list(stored(REAL, 0, 1)[:, 0]), REAL.tolist())),
    "tensor uint8": Form(lambda: Plain(torch.as_tensor(stored(REAL, 0, 3)), REAL.tolist()), 3),
    "tensor hw": Form(lambda: Plain(torch.as_tensor(stored(REAL, 0, 1)[:, 0]), REAL)),
    "tensor float": Form(lambda: Plain(torch.as_tensor(stored(REAL, 0, 3) / 255).float(), REAL), 3),
    "tensor double": Form(lambda: Plain(torch.as_tensor(stored(REAL, 0, 1) / 255), REAL)),
    "tensor 16-bit": Form(
        lambda: Plain(torch.as_tensor(stored(REAL, 0, 1, np.uint16)), REAL), 1, np.uint16
    ),
    "tv image": Form(lambda: Plain(_tv_images(3), REAL.tolist()), 3),
    "labels (N, 1)": Form(lambda: Plain(_rows(3), REAL[:, None]), 3),
    "string labels": Form(lambda: Plain(_rows(3), [CLASSES[k] for k in REAL]), 3),
    "transform always called": Form(
        lambda: Plain([to_pil(image) for image in stored(REAL, 0, 3)], REAL, v2.PILToTensor()), 3
    ),
    "subset": Form(
        lambda: Subset(
            Vision(
                np.concatenate([stored(REAL[:3], 50, 3), stored(REAL, 0, 3)]),
                np.concatenate([REAL[:3], REAL]),
                transform=v2.PILToTensor(),
            ),
            range(3, 23),
        ),
        3,
    ),
    "concat of subsets": Form(lambda: _concat(3), 3),
    "tensor dataset": Form(
        lambda: TensorDataset(torch.as_tensor(stored(REAL, 0, 3)), torch.as_tensor(REAL)), 3
    ),
}
RATIO = 0.4


@pytest.fixture(params=FORMS, ids=lambda name: name.replace(" ", "-"))
def form(request: pytest.FixtureRequest) -> Form:
    return FORMS[request.param]


@pytest.fixture
def pool(form: Form, tmp_path: Path) -> SamplePool:
    return make_pool(tmp_path, form.channels, form.dtype)


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_items_are_alike_and_their_labels_right(form: Form, pool: SamplePool, mode: Any) -> None:
    real = form.make()
    mixed = MixedDataset(real, pool, RATIO, mode, seed=3)
    expected = len(REAL) if mode == "replace" else len(REAL) + round(20 * 0.4 / 0.6)
    assert len(mixed) == len(mixed.targets) == expected
    assert mixed.classes == CLASSES
    assert mixed.class_to_idx == {"ant": 0, "bee": 1, "cow": 2}
    assert {type(label) for label in mixed.targets} == {int}
    image_kind, label_kind = map(kind_of, real[0])
    sources = set()
    for index in range(len(mixed)):
        image, label = mixed[index]
        assert kind_of(image) == image_kind
        if label_kind[0] is not str:
            assert kind_of(label) == label_kind
        assert index_of(label) == mixed.targets[index]
        own = number(image)
        if own < 100:
            assert own == index
            assert index_of(label) == REAL[index]
        else:
            assert index_of(label) == MADE[own - 150]
        sources.add(own < 100)
    assert sources == {True, False}


def test_synthetic_pixels_are_not_changed(form: Form, pool: SamplePool) -> None:
    """Every pixel, and so the order of axes, is that of a real image with the same content."""
    real = form.make()
    mixed = MixedDataset(real, pool, 1.0)
    for index in range(len(REAL)):
        made, template = np.asarray(mixed[index][0]), np.asarray(real[index][0])
        steps = (made.astype(float) - made.reshape(-1)[0]).round(6)
        assert np.array_equal(steps, (template.astype(float) - template.reshape(-1)[0]).round(6))


def test_without_synthetic_images_it_is_the_real_dataset(form: Form, pool: SamplePool) -> None:
    real = form.make()
    for mode in ("replace", "append"):
        mixed = MixedDataset(real, pool, 0.0, mode)  # type: ignore[arg-type]
        assert len(mixed) == len(real)
        for epoch in (0, 1):
            mixed.set_epoch(epoch)
            for index in range(len(real)):
                image, label = mixed[index]
                assert same(image, real[index][0])
                assert same(label, real[index][1])


def test_with_synthetic_images_only_classes_stay(form: Form, pool: SamplePool) -> None:
    mixed = MixedDataset(form.make(), pool, 1.0, seed=1)
    drawn = []
    for epoch in range(6):
        mixed.set_epoch(epoch)
        drawn.append(numbers(mixed))
    assert np.min(drawn) >= 150
    assert (MADE[np.array(drawn) - 150] == REAL).all()
    assert set(np.unique(drawn)) == set(range(150, 162))  # each of the pool has its turn
    assert mixed.targets == REAL.tolist()


def test_append_keeps_every_real_image(form: Form, pool: SamplePool) -> None:
    mixed = MixedDataset(form.make(), pool, 0.6, "append", seed=1)
    assert len(mixed) == 50
    before = None
    for epoch in range(2):
        mixed.set_epoch(epoch)
        found = numbers(mixed)
        assert found[:20] == list(range(20))
        assert min(found[20:]) >= 150
        assert found != before
        before = found
    added = np.bincount(mixed.targets[20:], minlength=3) / 30
    assert np.abs(added - np.bincount(REAL) / 20).max() < 0.2


@pytest.mark.parametrize("epoch", [-1, 0.5, None])
def test_an_epoch_that_is_none_is_refused(gray: SamplePool, epoch: Any) -> None:
    """-1 stands for an epoch that was not set: items would count for themselves."""
    mixed = MixedDataset(vision(), gray, mode="append")
    for told in (mixed, RatioBatchSampler(mixed, 4, 0.5)):
        with pytest.raises(InputError, match="epoch: expected an integer of at least 0, got"):
            told.set_epoch(epoch)


def test_a_pickled_copy_is_the_same(form: Form, pool: SamplePool) -> None:
    mixed = MixedDataset(form.make(), pool, RATIO, seed=4)
    mixed.set_epoch(2)
    copies = [copy.deepcopy(mixed)]
    if form != FORMS["tensor 16-bit"]:  # torch cannot unpickle uint16 tensors
        copies.append(pickle.loads(pickle.dumps(mixed)))
    for again in copies:
        assert numbers(again) == numbers(mixed)
        again.set_epoch(3)
        assert numbers(again) != numbers(mixed)  # the copy has an epoch of its own
        assert again._epoch.is_shared()


@pytest.fixture
def gray(tmp_path: Path) -> SamplePool:
    return make_pool(tmp_path)


def vision(**transforms: Any) -> Vision:
    return Vision(stored(REAL, 0, 1), REAL, **transforms)


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.85])
def test_the_share_is_the_ratio(gray: SamplePool, ratio: float) -> None:
    mixed = MixedDataset(vision(), gray, ratio, seed=5)
    epochs, found = 60, []
    for epoch in range(epochs):
        mixed.set_epoch(epoch)
        found.append(numbers(mixed))
    synthetic = np.array(found) >= 150
    draws = synthetic.size
    bound = 4 * math.sqrt(ratio * (1 - ratio) / draws)
    assert abs(synthetic.mean() - ratio) < bound
    per_item = 4.5 * math.sqrt(ratio * (1 - ratio) / epochs)
    assert np.abs(synthetic.mean(0) - ratio).max() < per_item
    assert (MADE[np.where(synthetic, found, 150) - 150] == REAL)[synthetic].all()


def test_the_real_image_of_a_replaced_item_is_not_loaded(gray: SamplePool) -> None:
    real = vision()
    mixed = MixedDataset(real, gray, 1.0)
    real.loaded.clear()
    numbers(mixed)
    assert real.loaded == []


def test_the_seed_and_the_epoch_settle_the_draw(gray: SamplePool) -> None:
    def draw(seed: int, epoch: int) -> list[int]:
        mixed = MixedDataset(vision(), gray, 0.5, seed=seed)
        mixed.set_epoch(epoch)
        return numbers(mixed)

    assert draw(0, 0) == draw(0, 0)
    assert len({tuple(draw(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    mixed = MixedDataset(vision(), gray, 0.5)
    mixed.set_epoch(1)
    mixed.set_epoch(0)
    assert numbers(mixed) == numbers(mixed) == draw(0, 0)
    assert [number(mixed[index - 20][0]) for index in range(20)] == draw(0, 0)
    for integer in (np.int64(3), torch.tensor(3)):  # as samplers may hand out
        assert number(mixed[integer][0]) == draw(0, 0)[3]  # type: ignore[index]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_workers": 2},
        {"num_workers": 2, "persistent_workers": True},
        {"num_workers": 1, "persistent_workers": True, "multiprocessing_context": "forkserver"},
    ],
    ids=["0", "2", "persistent", "forkserver"],
)
def test_epochs_pass_by_themselves(gray: SamplePool, options: dict[str, Any]) -> None:
    """A training that never calls set_epoch sees the same as one that does."""
    expected = _epochs(MixedDataset(vision(), gray, 0.5, seed=2))
    mixed = pickle.loads(pickle.dumps(MixedDataset(vision(), gray, 0.5, seed=2)))
    loader = DataLoader(mixed, batch_size=6, collate_fn=collate, **options)
    assert [[item for batch in loader for item in batch] for _ in range(2)] == expected
    assert expected[0] != expected[1]
    assert "epoch: by visits" in repr(mixed)


def test_one_within_another_is_told_the_epoch(gray: SamplePool, tmp_path: Path) -> None:
    """As where there are two pools; a sampler tells both, too."""
    inner = MixedDataset(vision(), gray, 0.5, seed=2)
    outer = MixedDataset(inner, make_pool(tmp_path, 1), 0.3, seed=3)
    found = []
    for epoch in (4, 4, 5):
        outer.set_epoch(epoch)
        found.append(numbers(outer))
    assert found[0] == found[1] != found[2]
    assert _epochs(outer, num_workers=2) == _epochs(outer)
    inner = MixedDataset(vision(), gray, 0.5, seed=2, mode="append")
    appended = MixedDataset(inner, make_pool(tmp_path / "other", 1), 0.3, mode="append")
    RatioBatchSampler(appended, 4, 0.25).set_epoch(7)
    assert inner._now[0] == appended._now[0] == 7


def test_two_pools_of_one_seed_are_both_shown(gray: SamplePool, tmp_path: Path) -> None:
    """One within the other, they must not draw the same places: of the inner nothing was left."""
    labels = np.tile(REAL, 20)
    samples = Samples(stored(MADE, 120, 1), MADE)
    other = SamplePool.from_samples(tmp_path / "other", samples, CLASSES)
    real = Vision(np.tile(stored(REAL, 0, 1), (20, 1, 1, 1)), labels)
    mixed = MixedDataset(MixedDataset(Subset(real, range(400)), other, 0.5), gray, 0.25)
    third = MixedDataset(ConcatDataset([mixed]), gray, 0.0)
    found = []
    for dataset in (mixed, third):
        dataset.set_epoch(3)
        found.append(np.array(numbers(dataset)))
        shares = np.array([(found[-1] >= 150).mean(), (found[-1] // 30 == 4).mean()])
        assert np.abs(shares - [0.25, 0.5 * 0.75]).max() < 4 * math.sqrt(0.25 / 400)
    assert np.array_equal(*found)
    alone = MixedDataset(real, other, 0.5)
    alone.set_epoch(3)
    assert ((np.array(numbers(alone)) >= 100) == alone.synthetic).all()


def test_images_that_are_mixed_already_are_not_learned_from(gray: SamplePool) -> None:
    mixed = MixedDataset(vision(), gray, 0.5)
    for dataset in (mixed, Subset(mixed, [0, 1, 2]), ConcatDataset([vision(), mixed])):
        with pytest.raises(InputError, match=r"real images, got a MixedDataset, .* its \.real"):
            read_images(dataset)
    assert len(read_images(mixed.real)) == len(REAL)


def test_labels_without_names_beside_a_pool_with_some_are_warned_of(gray: SamplePool) -> None:
    real = TensorDataset(torch.as_tensor(stored(REAL, 0, 1)), torch.as_tensor(REAL))
    for make in (
        lambda: MixedDataset(real, gray, 0.5),
        lambda: RatioBatchSampler(ConcatDataset([real, SyntheticDataset(gray)]), 4, 0.5),
    ):
        with pytest.warns(UserWarning, match="0, 1 and so on are taken as ant, bee, cow, the pool"):
            make()
    real.classes = CLASSES  # type: ignore[attr-defined]
    with warnings.catch_warnings(action="error"):
        MixedDataset(real, gray, 0.5)
        RatioBatchSampler(ConcatDataset([real, SyntheticDataset(gray)]), 4, 0.5)


def test_items_that_are_asked_for_unevenly_keep_to_their_own_epochs(gray: SamplePool) -> None:
    """As where a sampler draws with replacement: each item goes through its epochs by itself."""
    expected = []
    for epoch in range(40):
        mixed = MixedDataset(vision(), gray, 0.5, seed=3)
        mixed.set_epoch(epoch)
        expected.append(numbers(mixed))
    mixed, times = MixedDataset(vision(), gray, 0.5, seed=3), np.zeros(20, int)
    for index in np.random.default_rng(0).integers(0, 20, 400).tolist():
        assert number(mixed[index][0]) == expected[times[index]][index]
        times[index] += 1
    assert times.max() > times.min() + 5
    assert len(mixed._drawn) <= 3


def test_a_higher_ratio_replaces_more_of_the_same(gray: SamplePool) -> None:
    some = np.array(numbers(MixedDataset(vision(), gray, 0.3))) >= 150
    more = np.array(numbers(MixedDataset(vision(), gray, 0.7))) >= 150
    assert (more | ~some).all() and more.sum() > some.sum()


def _epochs(mixed: MixedDataset, **options: Any) -> list[Any]:
    loader = DataLoader(mixed, batch_size=6, collate_fn=collate, **options)
    found = []
    for epoch in range(2):
        mixed.set_epoch(epoch)
        found.append([item for batch in loader for item in batch])
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 1},
        {"num_workers": 2},
        {"num_workers": 2, "persistent_workers": True},
        {"num_workers": 1, "persistent_workers": True, "multiprocessing_context": "forkserver"},
    ],
    ids=["1", "2", "persistent", "forkserver"],
)
def test_workers_change_nothing(gray: SamplePool, options: dict[str, Any]) -> None:
    mixed = MixedDataset(vision(), gray, 0.5, seed=2)
    expected = _epochs(mixed, num_workers=0)
    assert expected[0] != expected[1]
    assert _epochs(mixed, **options) == expected


def test_batches_can_be_collated(tmp_path: Path) -> None:
    images, labels = torch.as_tensor(stored(REAL, 0, 3)), torch.as_tensor(REAL)
    mixed = MixedDataset(TensorDataset(images, labels), make_pool(tmp_path, 3), 0.5)
    batch, targets = next(iter(DataLoader(mixed, batch_size=20)))
    assert batch.shape == (20, 3, 8, 9) and batch.dtype == torch.uint8
    assert torch.equal(targets, labels)
    assert set((batch[:, 0, 0, 0] >= 150).tolist()) == {True, False}


def test_epochs_reach_workers_of_an_unpickled_dataset(gray: SamplePool) -> None:
    mixed = pickle.loads(pickle.dumps(MixedDataset(vision(), gray, 0.5, seed=2)))
    expected = _epochs(mixed, num_workers=0)
    assert _epochs(mixed, num_workers=1, persistent_workers=True) == expected


def test_the_transform_is_for_all_images_and_can_be_set(gray: SamplePool) -> None:
    mixed = MixedDataset(vision(), gray, 0.5, transform=lambda image: ("first", image))
    items = [mixed[index][0] for index in range(len(mixed))]
    assert {name for name, _ in items} == {"first"}
    assert {number(image) >= 150 for _, image in items} == {True, False}
    mixed.transform = lambda image: ("second", image)  # as timm's create_loader does
    assert {mixed[index][0][0] for index in range(len(mixed))} == {"second"}
    mixed.transform = None
    assert isinstance(mixed[0][0], Image.Image)


def negative(image: Any) -> Any:
    return Image.fromarray(255 - np.asarray(image))


def minus(image: Any, label: Any) -> tuple[Any, Any]:
    return negative(image), label


@pytest.mark.parametrize(
    "make",
    [
        lambda: vision(transform=negative),
        lambda: Joint(stored(REAL, 0, 1), REAL, transforms=minus),
        lambda: Subset(Subset(vision(transform=negative), range(20)), range(20)),
        lambda: ConcatDataset([Subset(vision(transform=negative), range(20))]),
    ],
    ids=["transform", "transforms", "subset", "concat"],
)
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_the_real_datasets_own_transform_is_for_synthetic_images_too(
    gray: SamplePool, make: Callable[[], Any], mode: Any
) -> None:
    mixed = MixedDataset(make(), gray, 0.5, mode, transform=lambda image: np.asarray(image))
    found = [255 - value for value in numbers(mixed)]
    assert {value >= 150 for value in found} == {True, False}
    assert [int(MADE[v - 150] if v >= 150 else REAL[v]) for v in found] == mixed.targets


class Part(Subset[Any]):
    """A Subset by another name."""


class Pairs(Dataset[Any]):
    """Leaves out the third of three values."""

    def __init__(self, inner: Any, **attributes: Any) -> None:
        self.inner = inner
        vars(self).update(attributes)

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Any:
        return self.inner[index][:2]


def test_a_subclass_of_subset_is_seen_through(gray: SamplePool) -> None:
    mixed = MixedDataset(Part(vision(transform=negative_of_pil), range(5)), gray, 1.0)
    assert all(number(mixed[index][0]) <= 255 - 150 for index in range(5))


@pytest.mark.parametrize("attributes", [{}, {"transform": None}])
@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, range(6))])
def test_a_transform_that_is_out_of_reach_is_warned_of(
    gray: SamplePool, wrap: Any, attributes: Any
) -> None:
    with pytest.warns(UserWarning, match=r"Pairs: .*inner \(Vision\) has one.*self.transform of P"):
        MixedDataset(Pairs(wrap(vision(transform=negative_of_pil)), **attributes), gray)
    MixedDataset(Pairs(wrap(vision())), gray)
    MixedDataset(Pairs(wrap(vision(transform=v2.Identity())), transform=v2.Identity()), gray)


def test_a_file_that_workers_open_stays_closed(gray: SamplePool, tmp_path: Path) -> None:
    """Workers that shared one file would read at each other's places."""
    rows = np.stack(_rows(1))
    (tmp_path / "rows").write_bytes(rows.tobytes())
    real = Lazily(tmp_path / "rows", rows.shape[1:])
    mixed = MixedDataset(real, gray, 0.5)
    assert real.file is None
    pickle.dumps(mixed)
    assert np.array_equal(real[3][0], rows[3])
    real.file.close()


class Lazily(Dataset[Any]):
    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape, self.file = path, shape, cast(Any, None)

    def __len__(self) -> int:
        return len(REAL)

    def __getitem__(self, index: int) -> Any:
        if self.file is None:
            self.file = self.path.open("rb")
        size = int(np.prod(self.shape))
        self.file.seek(index * size)
        return np.frombuffer(self.file.read(size), np.uint8).reshape(self.shape), int(REAL[index])


class Endless(IterableDataset[Any]):
    def __len__(self) -> int:
        return 20

    def __iter__(self) -> Any:
        yield from ()


def test_each_part_of_a_concatenation_has_its_own_transform(gray: SamplePool) -> None:
    parts = [
        Vision(stored(REAL[:8], 0, 1), REAL[:8], transform=negative),
        Vision(stored(REAL[8:], 8, 1), REAL[8:]),
    ]
    mixed = MixedDataset(ConcatDataset(parts), gray, 1.0)
    found = numbers(mixed)
    assert max(found[:8]) <= 255 - 150 and min(found[8:]) >= 150
    appended = MixedDataset(ConcatDataset(parts), gray, 0.5, "append")
    turned = [value < 150 for value in numbers(appended)[20:]]
    assert sum(turned) == 8  # one for each real image: 8 of the first part, 12 of the second


def test_a_transform_may_be_called_on_image_and_label(gray: SamplePool) -> None:
    class Own(Plain):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            return self.transform(self.images[index], self.labels[index])

    images = [to_pil(image) for image in stored(REAL, 0, 1)]
    mixed = MixedDataset(Own(images, REAL, minus), gray, 1.0)
    assert max(numbers(mixed)) <= 255 - 150


def test_a_transform_that_is_set_later_is_for_synthetic_images_too(gray: SamplePool) -> None:
    real = vision(transform=lambda image: image)
    mixed = MixedDataset(real, gray, 1.0)
    assert min(numbers(mixed)) >= 150
    real.transform = negative
    assert max(numbers(mixed)) <= 255 - 150


@pytest.mark.parametrize(
    "make",
    [
        lambda pool: SyntheticDataset(pool),
        lambda pool: SyntheticDataset(pool, lambda image: image),
        lambda pool: SyntheticDataset(pool, transforms=lambda image, label: (image, label)),
        lambda pool: MixedDataset(vision(), pool, 0.5),
    ],
    ids=["none", "transform", "transforms", "mixed"],
)
def test_one_of_ours_may_be_the_real_one(gray: SamplePool, make: Any) -> None:
    real = make(gray)
    mixed = MixedDataset(real, gray, 1.0)
    assert min(numbers(mixed)) >= 150
    real.transforms, real.transform = None, negative
    assert max(numbers(mixed)) <= 255 - 150
    real.transforms = lambda image, label: (np.asarray(image) // 2, label)
    assert {75 <= value < 90 for value in numbers(mixed)} == {True}


class BadFirst(Vision):
    """Its first image, of another size, is for nobody."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index == 0:
            raise OSError("image file is truncated")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda real: Subset(real, range(1, 20)),
        lambda real: ConcatDataset([Subset(real, []), Subset(real, range(1, 20))]),
        lambda real: Subset(ConcatDataset([real]), range(-19, 0)),
    ],
    ids=["subset", "empty part", "from the end"],
)
def test_only_items_that_are_in_use_are_looked_at(gray: SamplePool, wrap: Any) -> None:
    mixed = MixedDataset(wrap(BadFirst(stored(REAL, 0, 1), REAL)), gray, 0.5)
    assert mixed.targets == REAL[1:].tolist()
    assert len(numbers(mixed)) == 19


class Kept(Vision):
    """Keeps items as they are after its transform."""

    def __init__(self, **transforms: Any) -> None:
        super().__init__(stored(REAL, 0, 1), REAL, **transforms)
        self.kept: dict[int, Any] = {}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index not in self.kept:
            self.kept[index] = super().__getitem__(index)
        image, label = self.kept[index]
        return image, label


def test_items_that_a_dataset_keeps_are_mixed_only_before_its_transform(gray: SamplePool) -> None:
    to_float = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, True), v2.Normalize([9], [1])])
    real = Kept(transform=to_float)
    assert MixedDataset(real, gray, 0.5).targets == REAL.tolist()
    assert real[0][0].dtype == torch.float32  # nothing that was seen without it was kept
    with pytest.raises(InputError, match=r"floats from -9.*seems to keep transformed items, so"):
        MixedDataset(real, gray, 0.5)


def test_a_transform_may_bring_images_to_one_size(tmp_path: Path) -> None:
    """A folder of photos of any size, resized as they are loaded."""
    rng = np.random.default_rng(0)
    for index, name in enumerate(CLASSES * 2):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 99, (20 + index, 30 - index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    to_size = v2.Compose([v2.Resize((8, 9)), v2.PILToTensor()])
    folder = ImageFolder(str(tmp_path / "photos"), transform=to_size)
    pool = make_pool(tmp_path, 3)
    for real in (folder, Subset(folder, range(6))):
        mixed = MixedDataset(real, pool, 0.5, seed=1)
        batch, labels = next(iter(DataLoader(mixed, batch_size=6)))
        assert batch.shape == (6, 3, 8, 9)
        assert labels.tolist() == folder.targets
    folder.transform = v2.Compose([v2.Resize((8, 8)), v2.PILToTensor()])
    pool = SamplePool.from_samples(
        tmp_path / "other", Samples(np.zeros((3, 3, 16, 18), np.uint8), [0, 1, 2]), CLASSES
    )
    assert MixedDataset(folder, pool, 1.0)[0][0].shape == (3, 8, 8)


def test_deep_files_that_torchvision_makes_white_are_refused(tmp_path: Path) -> None:
    for index, name in enumerate(CLASSES):
        (tmp_path / "folder" / name).mkdir(parents=True)
        pixels = stored(REAL, index, 1, np.uint16)[0, 0]
        Image.fromarray(pixels).save(tmp_path / "folder" / name / "a.png")
    white = ImageFolder(str(tmp_path / "folder"))
    with pytest.raises(InputError, match=r"a\.png has gray values above 255.*to white"):
        MixedDataset(white, make_pool(tmp_path, 3), 0.5)

    def opened(path: str) -> Image.Image:
        with Image.open(path) as image:
            return image.copy()

    real = ImageFolder(str(tmp_path / "folder"), loader=opened)
    mixed = MixedDataset(real, make_pool(tmp_path / "deep", 1, dtype=np.uint16), 1.0)
    assert np.asarray(mixed[0][0]).dtype == np.uint16


def test_relabelling_is_not_done_twice(gray: SamplePool) -> None:
    """Classes are those of the labels that come out, as `read_images` takes them."""
    real = vision(target_transform=lambda label: [1, 2, 0][label])
    mixed = MixedDataset(real, gray, 1.0)
    assert mixed.targets == [real[index][1] for index in range(20)]
    for index in range(20):
        image, label = mixed[index]
        assert label == mixed.targets[index] == MADE[number(image) - 150]


def test_labels_that_are_not_those_of_the_items_are_refused(gray: SamplePool) -> None:
    real = Items([(image, 0) for image in stored(REAL, 0, 1)[:, 0]], [0, 0, 1] + [0] * 17)
    mixed = MixedDataset(real, gray, 0.0)
    assert mixed[1][1] == 0
    with pytest.raises(InputError, match=r"Items: item 2: expected label 1 \(bee\), .* has 0"):
        mixed[2]


def test_transforms_of_image_and_label_may_change_labels(gray: SamplePool) -> None:
    real = Joint(stored(REAL, 0, 1), REAL, transforms=lambda image, label: (image, label + 5))
    mixed = MixedDataset(real, gray, 0.5)
    for index in range(20):
        assert mixed[index][1] == REAL[index] + 5


def test_making_one_leaves_the_random_state_alone(gray: SamplePool) -> None:
    def draw(image: Any) -> Any:
        random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        return image

    torch.manual_seed(0)
    states = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]  # noqa: NPY002
    MixedDataset(vision(transform=draw), gray)
    after = [random.getstate(), np.random.get_state()[2], torch.get_rng_state().tolist()]  # noqa: NPY002
    assert after == states


@pytest.mark.parametrize(
    ("real", "message"),
    [
        (
            lambda: Plain(_rows(1), ["ant", "bee", "dog"] * 6 + ["ant"] * 2),
            r"\['ant', 'bee', 'cow'\].*'dog'",
        ),
        (
            lambda: _renamed(["ant", "cow", "bee"]),
            r"pool holds \['ant', 'bee', 'cow'\].*'cow', 'bee'",
        ),
        (
            lambda: Subset(_renamed(["a", "b", "c"]), range(5)),
            r"pool holds \['ant'.*real images \['a'",
        ),
        (
            lambda: Vision(stored(REAL, 0, 3), REAL),
            "mode: the pool holds L, the real images are RGB",
        ),
        (
            lambda: Vision(stored(REAL, 0, 1, np.uint16), REAL),
            "mode: the pool holds L, the real images are I;16",
        ),
        (
            lambda: Vision(stored(REAL, 0, 1).repeat(2, 2), REAL),
            r"size: the pool holds \(9, 8\), the real images are \(9, 16\); bring .* Resize",
        ),
        (
            lambda: Vision(stored(REAL, 0, 1).repeat(2, 2), REAL, transform=v2.PILToTensor()),
            r"size: the pool holds \(1, 8, 9\), the real images are \(1, 16, 9\)",
        ),
        (
            lambda: TensorDataset(torch.zeros(20, 1, 9, 8), torch.as_tensor(REAL)),
            r"size: the pool holds \(1, 8, 9\), the real images are \(1, 9, 8\)",
        ),
        (
            lambda: TensorDataset(torch.zeros(20, 3, 8, 9), torch.as_tensor(REAL)),
            "channels: the pool holds 1, the real images are 3",
        ),
        (
            lambda: Plain(np.zeros((20, 1, 8, 9), np.uint8), REAL),
            r"expected array \(H, W, C\), as torchvision has it, got shape \(1, 8, 9\)",
        ),
        (
            lambda: Plain(torch.zeros((20, 8, 9, 1), dtype=torch.uint8), REAL),
            r"expected tensor \(C, H, W\), as torchvision has it, got shape \(8, 9, 1\)",
        ),
        (
            lambda: _relabelled(["not", "a", "b", "c"]),
            "real images .*'not'.*; its target_transform changes labels: set .classes",
        ),
        (
            lambda: Continued(lambda image: image[:, None]),
            "apart from its transform: what Continued does after it fails .* last step of",
        ),
        (
            lambda: Continued(lambda image: np.asarray(image) / np.float32(255)),
            "dtype: .*float32; the Dataset does more to images after its transform: make that",
        ),
        (
            lambda: Continued(lambda image: np.asarray(image)[..., None], negative_of_pil),
            "Continued: its transform cannot take synthetic .*; the Dataset does more to images",
        ),
        (  # into an image of the same type and size
            lambda: Scaled(torch.as_tensor(stored(REAL, 0, 1)).float(), REAL, v2.GaussianNoise()),
            "Scaled; the Dataset does more to images after its transform: make that the last step",
        ),
        (
            lambda: Vision(stored(REAL, 0, 1).repeat(2, 2), REAL, transform=v2.RandomCrop(9)),
            r"crop size .*; the pool holds 8x9, .* are 16x9 .*fit\(read_images\(train_set, image_s",
        ),
        (
            lambda: Plain(
                torch.zeros(20, 1, 16, 9), REAL, lambda image: image[:, :16].reshape(-1, 16, 9)
            ),
            r"RuntimeError: .*; the pool holds 8x9, the real images are 16x9",
        ),
        (
            lambda: OrTensor(stored(REAL, 0, 1), REAL),
            "real images come out as tensors of torch.uint8, synthetic ones as PIL images: OrT",
        ),
        (
            lambda: Plain(np.zeros((20, 8, 9, 3), np.uint8), REAL),
            "channels: the pool holds 1, the real images are 3",
        ),
        (
            lambda: TensorDataset(
                torch.zeros(20, 1, 8, 9, dtype=torch.int16), torch.as_tensor(REAL)
            ),
            r"dtype: the pool holds torch\.uint8, the real images are torch\.int16",
        ),
        (
            lambda: Plain(np.zeros((20, 8, 9, 1), np.float32), REAL),
            "dtype: the pool holds uint8, the real images are float32",
        ),
        (
            lambda: TensorDataset(torch.randn(20, 1, 8, 9) * 3, torch.as_tensor(REAL)),
            r"floats from -\d.*, expected 0 to 1: give the Dataset before it is normalised",
        ),
        (lambda: Plain(["a"] * 20, REAL), "PIL images, arrays or tensors, got str"),
        (
            lambda: Plain([to_pil(row).convert("P") for row in stored(REAL, 0, 3)], REAL),
            r"pool holds L, the real images are P; convert in the Dataset.*convert\('RGB'\)",
        ),
        (
            lambda: Vision(
                stored(REAL, 0, 1).repeat(2, 2), REAL, transform=lambda image: [image, image.crop()]
            ),
            r"size: the pool holds \[\(9, 8\), \(9, 8\)\], the real images are \[\(9, 16\)",
        ),
        (
            lambda: Items([(row, {"grade": 1}) for row in _rows(1)], REAL.tolist()),
            r"labels: expected a class number .*, got dict",
        ),
        (lambda: Endless(), r"expected a map-style Dataset .*, got Endless"),
        (
            lambda: Items([(row, np.eye(3)[0]) for row in _rows(1)], REAL.tolist()),
            r"labels: expected a class number .*, got ndarray of shape \(3,\); of one-hot",
        ),
        (
            lambda: Items([(row, torch.eye(3)[0]) for row in _rows(1)], REAL.tolist()),
            r"labels: expected a class number .*, got Tensor of shape",
        ),
        (
            lambda: Plain(_rows(1), np.append(REAL[:-1], 3)),
            r"classes: the pool holds \['ant', 'bee', 'cow'\], the real images \['0', .*'3'\]",
        ),
    ],
)
def test_what_does_not_match_is_refused(
    gray: SamplePool, real: Callable[[], Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        MixedDataset(real(), gray)


def test_synthetic_images_are_made_where_real_ones_lie(gray: SamplePool) -> None:
    images = torch.zeros(20, 1, 8, 9, dtype=torch.uint8, device="meta")
    mixed = MixedDataset(TensorDataset(images, torch.as_tensor(REAL)), gray, 1.0)
    assert mixed[0][0].device == images.device


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_torchs_default_device_changes_nothing(tmp_path: Path, dtype: torch.dtype) -> None:
    samples = Samples(stored(MADE, 150, 1), MADE, np.full((12, 3), 1 / 3))
    pool = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    images = torch.as_tensor(stored(REAL, 0, 1))
    images = images / 255 if dtype == torch.float32 else images
    real = TensorDataset(images, torch.as_tensor(REAL))
    with torch.device("meta"):  # as torch.set_default_device("cuda")
        mixed = MixedDataset(real, pool, 0.5, labels="soft")
        items = [mixed[index] for index in range(20)]
    assert {part.device.type for item in items for part in item} == {"cpu"}


@pytest.mark.parametrize("kind", [bool, float, np.bool_, np.float32])
def test_synthetic_labels_have_the_type_of_real_ones(tmp_path: Path, kind: Any) -> None:
    pool = make_pool(tmp_path)
    real = Items([(image, kind(0)) for image in stored(REAL, 0, 1)[:, 0]], [0] * 20)
    mixed = MixedDataset(real, pool, 0.5)
    assert {type(mixed[index][1]) for index in range(20)} == {kind}


class Continued(Plain):
    """Goes on after its transform."""

    def __init__(self, rest: Any, transform: Any = v2.PILToTensor()) -> None:  # noqa: B008
        super().__init__([to_pil(image) for image in stored(REAL, 0, 1)], REAL, transform)
        self.rest = rest

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return self.rest(image), label


class Scaled(Plain):
    """Scales images after its transform."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = super().__getitem__(index)
        return image / 255, label


class Called(Vision):
    """Hands its transform image and label, or goes on after it, in ways that change nothing."""

    def __init__(self, way: str, transform: Any) -> None:
        super().__init__(stored(REAL, 0, 1), REAL, transform=transform)
        self.way = way

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = to_pil(self.images[index]), self.targets[index]
        if self.way == "dictionary":
            item = self.transform({"image": image, "label": label})
            return item["image"], item["label"]
        if self.way == "tuple":
            return self.transform((image, label))
        made = self.transform(image)
        return v2.functional.pil_to_tensor(made) if self.way == "to tensor" else made.copy(), label


@pytest.mark.parametrize("way", ["dictionary", "tuple", "to tensor", "copy"])
def test_what_might_as_well_be_done_before_the_transform_is_accepted(
    gray: SamplePool, way: str
) -> None:
    mixed = MixedDataset(Called(way, v2.RandomInvert(1.0)), gray, 0.5)
    found = [255 - number(mixed[index][0]) for index in range(len(mixed))]
    assert {value >= 150 for value in found} == {True, False}
    assert [int(MADE[v - 150] if v >= 150 else REAL[v]) for v in found] == mixed.targets


def negative_of_pil(image: Image.Image) -> Image.Image:
    return image.point(lambda value: 255 - value)


class OrTensor(Vision):
    """Makes tensors where it has no transform."""

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, label = to_pil(self.images[index]), self.targets[index]
        return self.transform(image) if self.transform else v2.functional.to_image(image), label


def _relabelled(classes: list[str]) -> Vision:
    real = vision(target_transform=lambda label: label + 1)
    real.classes = classes
    return real


def _renamed(classes: list[str]) -> Vision:
    real = vision()
    real.classes = classes
    return real


def test_a_colour_pool_does_not_fit_flat_gray_images(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, 3)
    for images in (stored(REAL, 0, 1)[:, 0], torch.as_tensor(stored(REAL, 0, 1)[:, 0])):
        with pytest.raises(InputError, match="channels: the pool holds 3, the real images are 1"):
            MixedDataset(Plain(images, REAL), pool)


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_class_that_is_missing_in_the_pool_is_refused(tmp_path: Path, mode: Any) -> None:
    samples = Samples(stored(MADE, 150, 1)[MADE != 1], MADE[MADE != 1])
    pool = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    message = r"class 'bee': the pool holds no image of it, the real images 6"
    with pytest.raises(InputError, match=message):
        MixedDataset(vision(), pool, 0.1, mode)
    assert numbers(MixedDataset(vision(), pool, 0.0)) == list(range(20))
    without = np.flatnonzero(REAL != 1).tolist()
    assert len(MixedDataset(Subset(_renamed(CLASSES), without), pool, 0.5)) == 14


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1.1}, r"ratio: expected a share from 0 to 1, got 1\.1"),
        ({"ratio": -0.1}, r"ratio: expected a share .*, got -0\.1"),
        ({"ratio": math.nan}, "ratio: expected a share .*, got nan"),
        ({"ratio": 1.0, "mode": "append"}, r"below 1 to append, got 1\.0 for class 'ant'"),
        ({"mode": "shuffle"}, "mode: expected one of replace, append, balance, got 'shuffle'"),
        (
            {"ratio": [0.1, 0.2]},
            r"ratio: expected one number or 3, one a class, got \[0\.1, 0\.2\]",
        ),
        ({"ratio": {"ant": 0.1, "bee": 0.2}}, "ratio: 'cow' has no share"),
        (
            {"ratio": {"ant": 0.1, "bee": 0.2, "cow": 0, "dog": 0}},
            "ratio: 'dog' is no class; expected each of",
        ),
        ({"ratio": [0.1, 0.2, 1.2]}, r"ratio of class 'cow': expected a share .*, got 1\.2"),
        ({"ratio": lambda epoch: 2.0}, r"ratio in epoch 0: expected a share .*, got 2\.0"),
        ({"ratio": lambda epoch: 0.2, "mode": "append"}, "would change the length"),
        ({"ratio": 0.2, "mode": "balance"}, "ratio: the sizes of the classes settle it"),
        ({"per_class": 5}, "per_class: is for mode='balance', got mode='replace'"),
        ({"per_class": 0, "mode": "balance"}, "per_class: expected an integer .* 1, got 0"),
        ({"per_class": 10.5, "mode": "balance"}, "per_class: expected an integer .* got 10.5"),
        ({"per_class": True, "mode": "balance"}, "per_class: expected an integer .* got True"),
        ({"ratio": "0.5"}, "ratio: expected one number or 3, one a class, got '0.5'"),
        ({"ratio": True}, "ratio: expected one number or 3, one a class, got True"),
        ({"labels": "fuzzy"}, "labels: expected one of hard, soft, mixed, got 'fuzzy'"),
        ({"labels": "soft"}, "labels='soft': the pool holds no soft labels"),
    ],
)
def test_wrong_options_are_refused(gray: SamplePool, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MixedDataset(vision(), gray, **options)


@pytest.mark.parametrize(
    ("channels", "dtype", "mode"),
    [(1, np.uint8, "L"), (3, np.uint8, "RGB"), (1, np.uint16, "I;16")],
)
def test_the_pool_alone(tmp_path: Path, channels: int, dtype: Any, mode: str) -> None:
    pool = make_pool(tmp_path, channels, dtype)
    dataset = SyntheticDataset(pool)
    assert len(dataset) == 12
    assert dataset.classes == CLASSES
    assert dataset.class_to_idx == {"ant": 0, "bee": 1, "cow": 2}
    assert dataset.targets == MADE.tolist()
    for index in range(12):
        image, label = dataset[index]
        assert isinstance(image, Image.Image) and (image.mode, image.size) == (mode, (9, 8))
        assert (number(image), label) == (150 + index, MADE[index])
    again = pickle.loads(pickle.dumps(dataset))
    assert numbers(again) == numbers(dataset)
    dataset.transform = v2.PILToTensor()
    assert dataset[3][0].shape == (channels, 8, 9)
    assert SyntheticDataset(pool, transform=v2.PILToTensor())[3][1] == MADE[3]


def test_a_pool_that_pil_cannot_hold_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 16-bit colour images; use tensors"):
        SyntheticDataset(make_pool(tmp_path, 3, np.uint16))


def test_the_pool_alone_can_be_mixed_by_hand(gray: SamplePool) -> None:
    """ConcatDataset of real and synthetic images is a real Dataset again."""
    joined = ConcatDataset([vision(), SyntheticDataset(gray)])
    mixed = MixedDataset(joined, gray, 0.5)
    assert mixed.targets == REAL.tolist() + MADE.tolist()
    assert len(numbers(mixed)) == 32


@pytest.mark.parametrize("options", [{"num_workers": 0}, {"num_workers": 2}])
def test_the_pool_alone_in_a_loader(gray: SamplePool, options: dict[str, Any]) -> None:
    loader = DataLoader(SyntheticDataset(gray), batch_size=5, collate_fn=collate, **options)
    found = [item for batch in loader for item in batch]
    assert found == list(zip(range(150, 162), MADE.tolist(), strict=True))


def shares(mixed: MixedDataset, epochs: int = 60) -> np.ndarray:
    """Share of synthetic images of each class over epochs."""
    found = []
    for epoch in range(epochs):
        mixed.set_epoch(epoch)
        found.append(np.array(numbers(mixed)) >= 150)
    return np.array(
        [np.mean(found, 0)[np.array(mixed.targets) == label].mean() for label in range(3)]
    )


@pytest.mark.parametrize("ratio", [[0.1, 0.9, 0.0], {"cow": 0.0, "ant": 0.1, "bee": 0.9}])
def test_each_class_can_have_a_share_of_its_own(gray: SamplePool, ratio: Any) -> None:
    draws = 60 * np.bincount(REAL)
    bound = 4 * np.sqrt(np.array([0.1, 0.9, 0.0]) * [0.9, 0.1, 1.0] / draws)
    found = shares(MixedDataset(vision(), gray, ratio, seed=1))
    assert (np.abs(found - [0.1, 0.9, 0.0]) <= bound).all()
    appended = MixedDataset(vision(), gray, ratio, "append", seed=1)
    added = np.bincount(appended.targets, minlength=3) - np.bincount(REAL)
    quotas = np.bincount(REAL) * [1 / 9, 9, 0]
    assert (np.abs(added - quotas) < 1).all()
    assert added.sum() == round(quotas.sum())


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (lambda: LinearRatio("0.5", 0.0, 3), "start: expected a number from 0 to 1, got '0.5'"),
        (lambda: CosineRatio(0.5, 2.0, 3), "end: expected a number from 0 to 1, got 2.0"),
        (lambda: CosineRatio(0.5, 0.0, 0), "epochs: expected an integer of at least 1, got 0"),
        (lambda: OffForLast(0.5, last=-1, epochs=3), "last: expected an integer of at least 0"),
        (lambda: OffForLast(0.5, last=1, epochs=2.5), "epochs: expected an integer"),
    ],
)
def test_a_schedule_that_is_none_is_refused_when_it_is_made(
    schedule: Callable[[], Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        schedule()


def test_a_share_may_change_over_epochs(gray: SamplePool) -> None:
    ratio = OffForLast(LinearRatio(1.0, 0.5, 3), last=1, epochs=4)
    found = np.zeros((20, 5))
    for seed in range(20):
        mixed = MixedDataset(vision(), gray, ratio, seed=seed)
        for epoch in range(5):
            mixed.set_epoch(epoch)
            found[seed, epoch] = mixed.synthetic.mean()
    assert (found[:, 0] == 1).all() and (found[:, 3:] == 0).all()
    assert np.abs(found.mean(0) - [1, 0.75, 0.5, 0, 0]).max() < 4 * math.sqrt(0.25 / 400)
    assert _epochs(mixed, num_workers=2, persistent_workers=True) == _epochs(mixed)
    own = MixedDataset(vision(), gray, lambda epoch: {"ant": 0.0, "bee": epoch, "cow": 0.0})
    assert not own.synthetic.any()
    own.set_epoch(1)
    assert np.array_equal(own.synthetic, REAL == 1)
    own.set_epoch(2)
    with pytest.raises(InputError, match=r"ratio of class 'bee' in epoch 2: .*got 2\.0"):
        own[0]


def test_a_pool_of_one_class_serves_a_schedule_of_that_class(tmp_path: Path) -> None:
    samples = Samples(stored(MADE[MADE == 1], 150, 1), MADE[MADE == 1])
    pool = SamplePool.from_samples(tmp_path / "bees", samples, CLASSES)
    ratio = OffForLast({"ant": 0.0, "bee": 1.0, "cow": 0.0}, last=1, epochs=2)
    mixed = MixedDataset(vision(), pool, ratio)
    mixed.set_epoch(0)
    assert np.array_equal(np.array(numbers(mixed)) >= 150, REAL == 1)
    mixed.set_epoch(1)
    assert not mixed.synthetic.any()
    for rising in (
        LinearRatio(0.0, 1.0, 2),
        OffForLast({"ant": 0.1, "bee": 1.0, "cow": 0.0}, 1, 2),
    ):
        with pytest.raises(InputError, match="class 'ant': the pool holds no image of it"):
            MixedDataset(vision(), pool, rising)


@pytest.mark.parametrize(
    ("per_class", "sizes"), [(None, [9, 9, 9]), (7, [9, 7, 7]), (12, [12] * 3)]
)
def test_balance_tops_up_and_keeps_every_real_image(
    form: Form, pool: SamplePool, per_class: Any, sizes: list[int]
) -> None:
    mixed = MixedDataset(form.make(), pool, mode="balance", per_class=per_class)
    assert np.bincount(mixed.targets).tolist() == sizes
    found = numbers(mixed)
    assert found[:20] == list(range(20)) and min(found[20:]) >= 150
    assert (MADE[np.array(found[20:]) - 150] == mixed.targets[20:]).all()


def test_balance_fills_a_class_without_real_images(gray: SamplePool) -> None:
    without = np.flatnonzero(REAL != 1).tolist()
    mixed = MixedDataset(Subset(_renamed(CLASSES), without), gray, mode="balance", per_class=4)
    assert np.bincount(mixed.targets).tolist() == [9, 4, 5]
    assert set(MADE[np.array(numbers(mixed)[14:]) - 150]) == {1}


def test_balance_adds_no_class_that_unnamed_images_do_not_have(gray: SamplePool) -> None:
    two = np.flatnonzero(REAL != 2)
    real = TensorDataset(torch.as_tensor(stored(REAL, 0, 1)[two]), torch.as_tensor(REAL[two]))
    with pytest.raises(InputError, match=r"holds \['ant', 'bee', 'cow'\], .*\['0', '1'\]"):
        MixedDataset(real, gray, mode="balance")
    assert set(MixedDataset(real, gray, 0.5).targets) == {0, 1}


SOFT = np.random.default_rng(0).dirichlet(np.ones(3), 12).astype(np.float32)


@pytest.mark.parametrize("rule", ["soft", "mixed"])
@pytest.mark.parametrize("make", [vision, lambda: Joint(stored(REAL, 0, 1), REAL)])
def test_soft_labels(tmp_path: Path, rule: Any, make: Callable[[], Any]) -> None:
    samples = Samples(stored(MADE, 150, 1), MADE, SOFT)
    pool = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    mixed = MixedDataset(make(), pool, 0.5, labels=rule)
    for index in range(20):
        image, label = mixed[index]
        assert label.dtype == torch.float32 and label.shape == (3,)
        expected = np.eye(3, dtype=np.float32)[REAL[index]]
        if number(image) >= 150:
            soft = SOFT[number(image) - 150]
            expected = soft if rule == "soft" else (soft + expected) / 2
        np.testing.assert_allclose(label, expected, rtol=1e-6)
    assert mixed.targets == REAL.tolist()
    again = pickle.loads(pickle.dumps(mixed))
    assert torch.equal(again[0][1], mixed[0][1])


def test_soft_labels_may_be_written_to(tmp_path: Path) -> None:
    samples = Samples(stored(MADE, 150, 1), MADE, SOFT)
    pool = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    mixed = MixedDataset(vision(), pool, 0.5, labels="soft", target_transform=torch.Tensor.zero_)
    mixed.set_epoch(0)
    assert not any(mixed[index][1].any() for index in range(20))
    mixed.target_transform = None
    assert all(mixed[index][1].any() for index in range(20))


@pytest.mark.parametrize(
    "make",
    [
        lambda pool, **t: SyntheticDataset(pool, **t),
        lambda pool, **t: MixedDataset(vision(), pool, 0.5, **t),
    ],
    ids=["alone", "mixed"],
)
def test_the_contract_of_torchvisions_datasets(gray: SamplePool, make: Any) -> None:
    plain = make(gray)
    assert isinstance(plain, VisionDataset)
    assert (plain.transform, plain.target_transform, plain.transforms) == (None, None, None)
    apart = make(gray, transform=negative, target_transform=lambda label: label + 5)
    joint = make(gray, transforms=lambda image, label: (negative(image), label + 5))
    later = make(gray)
    later.transform, later.target_transform = negative, lambda label: label + 5
    for dataset in (plain, apart, joint, later):
        if isinstance(dataset, MixedDataset):
            dataset.set_epoch(0)
    for dataset in (apart, joint, later):
        for index in range(len(dataset)):
            assert number(dataset[index][0]) == 255 - number(plain[index][0])
            assert dataset[index][1] == plain[index][1] + 5
    assert plain.targets == apart.targets == joint.targets
    with pytest.raises(ValueError, match="Only transforms or transform/target_transform"):
        make(gray, transform=negative, transforms=minus)
    text = repr(apart)
    assert text.startswith(f"Dataset {type(plain).__name__}")
    assert f"Number of datapoints: {len(plain)}" in text
    assert str(gray.directory) in text and "Transform: <function negative" in text
    assert not hasattr(plain, "__getitems__")  # DataLoader would go past the wrapper
    for index in (len(plain), -len(plain) - 1):
        with pytest.raises(IndexError):
            plain[index]


def test_the_representation_says_what_is_mixed(gray: SamplePool) -> None:
    mixed = MixedDataset(vision(), gray, CosineRatio(0.5, 0.1, 9), seed=4)
    mixed.set_epoch(3)
    for part in (
        "Real: Vision, 20 items",
        "12 images of 3 classes",
        "Seed: 4, epoch: 3",
        "Mode: replace, ratio CosineRatio(start=0.5, end=0.1, epochs=9)",
    ):
        assert part in repr(mixed)
    assert "Mode: balance, per class 30" in repr(
        MixedDataset(vision(), gray, mode="balance", per_class=30)
    )


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: Subset(data, range(6))])
def test_datasets_wrapped_for_transforms_v2(tmp_path: Path, wrap: Any) -> None:
    """The wrapper moves transforms out of the Dataset that it wraps, and has them all as joint."""
    for index, name in enumerate(CLASSES * 2):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(stored(REAL, index, 1)[0, 0]).save(
            tmp_path / "photos" / name / f"{index}.png"
        )
    folder = ImageFolder(
        str(tmp_path / "photos"),
        transform=v2.Compose([v2.PILToTensor(), Negative()]),
        target_transform=lambda label: 2 - label,
    )
    labels = [2 - label for label in folder.targets]
    real = wrap(wrap_dataset_for_transforms_v2(folder))
    mixed = MixedDataset(real, make_pool(tmp_path, 3, classes=CLASSES[::-1]), 0.5, seed=1)
    mixed.set_epoch(0)
    found = np.array(numbers(mixed))
    assert mixed.targets == labels
    assert mixed.synthetic.any() and not mixed.synthetic.all()
    assert (found[mixed.synthetic] <= 255 - 150).all() and (found[~mixed.synthetic] > 155).all()
    for index in np.flatnonzero(mixed.synthetic):
        assert MADE[255 - found[index] - 150] == labels[index] == mixed[index][1]
    with pytest.raises(TypeError, match="No wrapper exists for dataset class MixedDataset"):
        wrap_dataset_for_transforms_v2(mixed)  # as for all classes that torchvision does not know


class Negative(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return 255 - image


def test_items_that_are_no_pairs_are_refused(gray: SamplePool) -> None:
    for item, kind in (
        ({"image": np.zeros((8, 9), np.uint8), "label": 0}, "dict of 2"),
        ((np.zeros((8, 9), np.uint8), 0, "patient"), "tuple of 3"),
    ):
        with pytest.raises(InputError, match=f"expected a Dataset of .*, got a {kind}"):
            MixedDataset(Items([item] * 3, [0, 1, 2]), gray)


class Items:
    def __init__(self, items: list[Any], targets: list[int]) -> None:
        self.items, self.targets, self.classes = items, targets, CLASSES

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def deep(**transforms: Any) -> Vision:
    return Vision(stored(REAL, 0, 1, np.uint16), REAL, **transforms)


LOSSY = [
    transforms.ToTensor(),
    transforms.Compose([transforms.RandomCrop(8), transforms.ToTensor()]),
    ToNumpy(),
    v2.Lambda(lambda image: image.convert("L")),
    v2.RandomApply([v2.Lambda(lambda image: np.asarray(image).astype(np.uint8))]),
    v2.Compose([v2.RandomCrop(8, padding=4), v2.ToImage(), v2.ToDtype(torch.uint8)]),
    v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float32), lambda made: made.to(torch.uint8)]),
    torch.nn.Sequential(v2.ToImage(), v2.ToDtype(torch.uint8), v2.ToDtype(torch.float32)),
]


@pytest.mark.parametrize(
    "transform",
    LOSSY,
    ids=["ToTensor", "nested", "ToNumpy", "L", "uint8", "ToDtype", "to", "Sequential"],
)
def test_transforms_that_corrupt_16_bits_are_refused(tmp_path: Path, transform: Any) -> None:
    """v1's ToTensor makes negative numbers of them, timm's ToNumpy takes them modulo 256."""
    pool = make_pool(tmp_path, 1, np.uint16)
    state = torch.get_rng_state()
    with pytest.raises(InputError, match=r"corrupts 16-bit images.*put v2\.ToImage"):
        MixedDataset(deep(transform=transform), pool)
    for dataset in (MixedDataset(deep(), pool), SyntheticDataset(pool)):
        dataset.transform = transform  # as timm's create_loader does
        with pytest.raises(InputError, match="corrupts 16-bit images"):
            dataset[0]
    real = deep()
    mixed = MixedDataset(real, pool, 1.0)
    real.transform = transform
    with pytest.raises(InputError, match="corrupts 16-bit images"):
        mixed[0]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "joint",
    [
        lambda image, label: (transforms.functional.to_tensor(image), label),
        v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.uint8)]),
    ],
)
def test_transforms_of_image_and_label_are_guarded_too(tmp_path: Path, joint: Any) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    with pytest.raises(InputError, match="corrupts 16-bit images"):
        MixedDataset(Joint(stored(REAL, 0, 1, np.uint16), REAL, transforms=joint), pool)
    for dataset in (SyntheticDataset(pool, transforms=joint), MixedDataset(deep(), pool)):
        dataset.transforms = joint
        with pytest.raises(InputError, match="corrupts 16-bit images"):
            dataset[0]
    SyntheticDataset(pool, transforms=both)[0]


@pytest.mark.parametrize("mode", ["I", "I;16B"])
def test_other_modes_of_16_bits_are_told_the_way(tmp_path: Path, mode: str) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    values = np.full((8, 9), 40_000, ">u2" if mode == "I;16B" else np.int32)
    image = Image.frombytes(mode, (9, 8), values.tobytes())
    with pytest.raises(InputError, match=r"are I.*: image\.convert\('I'\)\.convert\('I;16'\)"):
        MixedDataset(Plain([image] * 20, REAL), pool)
    brought = image.convert("I").convert("I;16")
    assert number(brought) == round(40_000 / 257)
    MixedDataset(Plain([brought] * 20, REAL), pool)


def in_window(image: Any) -> np.ndarray:
    """As CT slices are shown: what lies beyond it is black or white."""
    return ((np.asarray(image, dtype=np.float32) / 4095).clip(0, 1) * 255).astype(np.uint8)


def by_largest(image: Any) -> np.ndarray:
    pixels = np.asarray(image, dtype=np.float32)
    return (pixels / pixels.max() * 255).astype(np.uint8)


@pytest.mark.parametrize("scaled", [in_window, by_largest])
@pytest.mark.parametrize("form", [Image.fromarray, np.asarray, torch.as_tensor])
def test_scaling_to_8_bits_is_no_corruption(tmp_path: Path, scaled: Any, form: Any) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    images = [form(image) for image in stored(REAL, 0, 1, np.uint16)[:, 0]]
    mixed = MixedDataset(Plain(images, REAL, scaled), pool, 1.0)
    image, label = mixed[0]
    made = {index for index in range(len(pool)) if pool.samples.labels[index] == label}
    assert any((image == scaled(pool.samples.images[index, 0])).all() for index in made)


@pytest.mark.parametrize("form", [np.asarray, torch.as_tensor])
def test_arrays_and_tensors_of_16_bits_are_guarded_too(tmp_path: Path, form: Any) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    images = form(stored(REAL, 0, 1, np.uint16)[:, 0])
    with pytest.raises(InputError, match="corrupts 16-bit images"):
        MixedDataset(Plain(images, REAL, lambda image: np.asarray(image).astype(np.uint8)), pool)
    MixedDataset(Plain(images, REAL, lambda image: np.asarray(image).astype(np.int64)), pool)


@pytest.mark.parametrize(
    "transform",
    [
        v2.Compose([v2.ToImage(), v2.ToDtype(torch.uint8, scale=True), v2.ToDtype(torch.float32)]),
        v2.Compose([v2.ToImage(), v2.CenterCrop(8), v2.ToDtype(torch.float32, scale=True)]),
        v2.PILToTensor(),
        lambda image: (np.asarray(image) // 256).astype(np.uint8),
        lambda image: torch.as_tensor(np.asarray(image) / 65535 - 0.5),
    ],
)
def test_transforms_that_keep_16_bits_are_not(tmp_path: Path, transform: Any) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    mixed = MixedDataset(deep(transform=transform), pool, 0.5)
    assert len([mixed[index] for index in range(20)]) == 20
    SyntheticDataset(pool, transform)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MixedDataset(vision(), make_pool(tmp_path / "eight"), transform=transforms.ToTensor())[0]


@pytest.mark.parametrize("wrap", [DataLoader, lambda _: "data/train", lambda _: None])
def test_what_is_no_dataset_is_named(gray: SamplePool, wrap: Any) -> None:
    with pytest.raises(InputError, match="expected a map-style Dataset of"):
        MixedDataset(wrap(SyntheticDataset(gray)), gray)


def test_what_read_images_reads_is_mixed_as_the_message_says(gray: SamplePool) -> None:
    data = read_images(vision())
    with pytest.raises(InputError, match=r"of what read_images read TensorDataset\(torch\.tensor"):
        MixedDataset(data, gray)
    real = TensorDataset(torch.tensor(data.images), torch.tensor(data.labels))
    assert MixedDataset(real, gray, 0.5).targets == REAL.tolist()


def test_class_numbers_in_another_order_are_refused(tmp_path: Path) -> None:
    """As of class folders, which stand in the order of text."""
    names = sorted(str(number) for number in range(11))
    labels = np.arange(11)
    pool = SamplePool.from_samples(tmp_path / "pool", Samples(stored(labels, 0, 1), labels), names)
    for count in (11, 3):  # the last may have no image
        real = Plain(stored(labels, 0, 1)[:count, 0], labels[:count])
        with pytest.raises(InputError, match=r"pool holds \['0', '1', '10'.*real .* '1', '2'"):
            MixedDataset(real, pool, 0.5)
    MixedDataset(Plain(stored(labels, 0, 1)[:2, 0], labels[:2]), pool, 0.5)


def test_class_numbers_that_may_be_in_another_order_are_refused(tmp_path: Path) -> None:
    """Labels without names, where the pool's have numbers in them."""
    labels = np.arange(12)
    samples = Samples(stored(labels, 0, 1), labels)
    for form in ("{}", "{}.0", "grade {}"):
        names = sorted(form.format(grade) for grade in range(1, 13))
        pool = SamplePool.from_samples(tmp_path / form, samples, names)
        real = Plain(stored(labels, 0, 1)[:, 0], labels)
        with pytest.raises(InputError, match=r"before 2; .*0 to 11 without names, .*set .classes"):
            MixedDataset(real, pool, 0.5)
        MixedDataset(Plain(stored(labels, 0, 1)[:1, 0], labels[:1]), pool, 0.5)
        real.classes = names  # type: ignore[attr-defined]
        MixedDataset(real, pool, 0.5)
    names = [f"{name}10" for name in "zyxwvutsrqpo"]  # in an order of their own
    pool = SamplePool.from_samples(tmp_path / "own", samples, names)
    MixedDataset(Plain(stored(labels, 0, 1)[:, 0], labels), pool, 0.5)


@pytest.mark.parametrize("pool", [StyleSwap(), vision()], ids=["generator", "dataset"])
def test_what_is_no_pool_is_named(pool: Any) -> None:
    for make in (lambda: MixedDataset(vision(), pool), lambda: SyntheticDataset(pool)):
        with pytest.raises(
            InputError, match=f"pool: expected a SamplePool .*{type(pool).__name__}"
        ):
            make()


def scaled(largest: int) -> Plain:
    """16-bit images as floats, `largest` becoming 1."""
    floats = torch.tensor(stored(REAL, 90, 1).astype(np.float32)) * 16 / largest
    return Plain([*floats], REAL)


def test_12_of_16_bits_are_not_mixed_in_far_too_dark(tmp_path: Path) -> None:
    """Scaled by what an instrument can say, not by what the type can hold."""
    samples = Samples(stored(MADE, 150, 1).astype(np.uint16) * 16, MADE)
    pool = SamplePool.from_samples(tmp_path / "deep", samples, CLASSES)
    MixedDataset(scaled(65535), pool)[0]
    with pytest.raises(InputError, match=r"floats up to 0\.7.*come to 0\.062 at most.*too dark"):
        MixedDataset(ConcatDataset([scaled(2000)]), pool)


@pytest.mark.parametrize("labels", [[name.encode() for name in CLASSES], None])
def test_labels_in_bytes_stay_bytes_and_lists_are_refused(tmp_path: Path, labels: Any) -> None:
    pool = make_pool(tmp_path, 1)
    images = [*stored(REAL, 0, 1)]
    if labels is None:
        with pytest.raises(InputError, match=r"labels: expected a class number or name.*\[0\]"):
            MixedDataset(Plain([torch.tensor(i) for i in images], [[int(k)] for k in REAL]), pool)
        return
    named = Plain([torch.tensor(image) for image in images], [labels[k] for k in REAL])
    mixed = MixedDataset(named, pool, 0.5)
    assert {type(mixed[index][1]) for index in range(len(mixed))} == {bytes}
    assert [mixed[index][1] for index in range(len(mixed))] == [labels[k] for k in REAL]


def test_the_share_of_a_dataset_is_not_set_anew(tmp_path: Path) -> None:
    """Workers that stay alive would not follow, and nobody would be told."""
    mixed = MixedDataset(Vision(stored(REAL, 0, 1), REAL), make_pool(tmp_path), 0.25)
    with pytest.raises(AttributeError, match="'ratio'"):
        mixed.ratio = 0.0  # type: ignore[misc]
    assert mixed.ratio == 0.25
