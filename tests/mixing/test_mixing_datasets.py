"""The Datasets, over the forms that real ones take."""

import copy
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixing_images import (
    CLASSES,
    FORMS,
    MADE,
    REAL,
    Form,
    Items,
    Plain,
    Vision,
    collate,
    epochs,
    index_of,
    kind_of,
    make_pool,
    minus,
    negative,
    number,
    numbers,
    same,
    stored,
    vision,
)
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset
from torchvision.datasets import VisionDataset

from synthaug.core import InputError
from synthaug.data import Samples, read_images
from synthaug.mixing import MixedDataset, RatioBatchSampler, SyntheticDataset
from synthaug.mixing.ratio import CosineRatio
from synthaug.pool import SamplePool

# Of the many forms of real images here, most have none; see the test of that.
pytestmark = pytest.mark.filterwarnings("ignore:labels of .* have no names")


RATIO = 0.4


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
    expected = epochs(MixedDataset(vision(), gray, 0.5, seed=2))
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
    assert epochs(outer, num_workers=2) == epochs(outer)
    inner = MixedDataset(vision(), gray, 0.5, seed=2, mode="append")
    appended = MixedDataset(inner, make_pool(tmp_path / "other", 1), 0.3, mode="append")
    RatioBatchSampler(appended, 4, 0.25).set_epoch(7)
    assert inner._current_epoch[0] == appended._current_epoch[0] == 7


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
    assert len(mixed._epoch_picks) <= 3


def test_a_higher_ratio_replaces_more_of_the_same(gray: SamplePool) -> None:
    some = np.array(numbers(MixedDataset(vision(), gray, 0.3))) >= 150
    more = np.array(numbers(MixedDataset(vision(), gray, 0.7))) >= 150
    assert (more | ~some).all() and more.sum() > some.sum()


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
    expected = epochs(mixed, num_workers=0)
    assert expected[0] != expected[1]
    assert epochs(mixed, **options) == expected


def test_batches_can_be_collated(tmp_path: Path) -> None:
    images, labels = torch.as_tensor(stored(REAL, 0, 3)), torch.as_tensor(REAL)
    mixed = MixedDataset(TensorDataset(images, labels), make_pool(tmp_path, 3), 0.5)
    batch, targets = next(iter(DataLoader(mixed, batch_size=20)))
    assert batch.shape == (20, 3, 8, 9) and batch.dtype == torch.uint8
    assert torch.equal(targets, labels)
    assert set((batch[:, 0, 0, 0] >= 150).tolist()) == {True, False}


def test_epochs_reach_workers_of_an_unpickled_dataset(gray: SamplePool) -> None:
    mixed = pickle.loads(pickle.dumps(MixedDataset(vision(), gray, 0.5, seed=2)))
    expected = epochs(mixed, num_workers=0)
    assert epochs(mixed, num_workers=1, persistent_workers=True) == expected


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
