"""The pool alone, and shares of classes and epochs."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixing_images import (
    CLASSES,
    MADE,
    REAL,
    Form,
    Joint,
    collate,
    epochs,
    make_pool,
    number,
    numbers,
    renamed,
    shares,
    stored,
    vision,
)
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Subset, TensorDataset
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.data import Samples
from synthaug.mixing import MixedDataset, SyntheticDataset
from synthaug.mixing.ratio import CosineRatio, LinearRatio, OffForLast
from synthaug.pool import SamplePool

# Of the many forms of real images here, most have none; see the test of that.
pytestmark = pytest.mark.filterwarnings("ignore:labels of .* have no names")


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
    assert epochs(mixed, num_workers=2, persistent_workers=True) == epochs(mixed)
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
    mixed = MixedDataset(Subset(renamed(CLASSES), without), gray, mode="balance", per_class=4)
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
