"""Every batch has its share of synthetic images, however an epoch is shared out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixing_images import MADE, REAL, Vision, make_pool, stored
from torch.utils.data import ConcatDataset, DataLoader, DistributedSampler, Subset, TensorDataset
from torchvision.transforms import v2

from synthaug.core import InputError
from synthaug.mixing import MixedDataset, RatioBatchSampler, SyntheticDataset
from synthaug.pool import SamplePool

# Real images here are of tensors alone, whose labels have none.
pytestmark = pytest.mark.filterwarnings("ignore:labels of .* have no names")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> SamplePool:
    return make_pool(tmp_path_factory.mktemp("pool"))


def joined(pool: SamplePool, real: int) -> Any:
    """`real` real items, then the 12 synthetic ones."""
    return ConcatDataset(
        [TensorDataset(torch.zeros(real), torch.zeros(real)), SyntheticDataset(pool)]
    )


@settings(max_examples=150)
@given(
    real=st.integers(1, 60),
    batch=st.integers(1, 16),
    ratio=st.floats(0, 0.95),
    world=st.integers(1, 4),
    drop=st.booleans(),
    shuffle=st.booleans(),
)
def test_what_an_epoch_shows(
    pool: SamplePool, real: int, batch: int, ratio: float, world: int, drop: bool, shuffle: bool
) -> None:
    dataset = joined(pool, real)
    samplers = [
        RatioBatchSampler(
            dataset, batch, ratio, drop_last=drop, shuffle=shuffle, rank=rank, world_size=world
        )
        for rank in range(world)
    ]
    epochs = [list(sampler) for sampler in samplers]
    # All processes take as many steps, or they would wait for each other.
    assert {len(epoch) for epoch in epochs} == {len(samplers[0])}
    shown = [index for epoch in epochs for each in epoch for index in each]
    assert all(0 <= index < real + 12 for index in shown)
    found = sorted(index for index in shown if index < real)
    if drop:
        assert len(set(found)) == len(found)
    else:
        assert set(found) == set(range(real)) and len(found) - real < world
    for epoch in epochs:
        synthetic = [sum(index >= real for index in each) for each in epoch]
        full = [len(each) == batch for each in epoch]
        assert all(full[:-1]) and (all(full) or not drop)
        so_far = np.cumsum(synthetic)[: len(full) - 1 + all(full)]
        wanted = ratio * batch * np.arange(1, len(so_far) + 1)
        assert (np.abs(so_far - wanted) < 1).all()
        if not shuffle:
            own = [index for each in epoch for index in each if index < real]
            assert own[:-1] == sorted(own[:-1])  # the last may be the first again


def test_synthetic_images_come_each_in_turn(pool: SamplePool) -> None:
    sampler = RatioBatchSampler(joined(pool, 36), 8, 0.5)
    made = [index for batch in sampler for index in batch if index >= 36]
    assert np.bincount(np.array(made) - 36).tolist() == [3] * 12
    shared = [
        RatioBatchSampler(joined(pool, 24), 4, 0.5, rank=rank, world_size=2) for rank in (0, 1)
    ]
    made = [index for each in shared for batch in each for index in batch if index >= 24]
    assert np.bincount(np.array(made) - 24).tolist() == [2] * 12


def test_places_within_batches_are_random(pool: SamplePool) -> None:
    sampler = RatioBatchSampler(joined(pool, 300), 10, 0.4)
    places = np.zeros(10)
    for epoch in range(20):
        sampler.set_epoch(epoch)
        for batch in sampler:
            places += np.array(batch) >= 300
    batches = 20 * len(sampler)
    assert np.abs(places / batches - 0.4).max() < 4 * np.sqrt(0.24 / batches)


def test_epochs_differ_and_the_dataset_follows(pool: SamplePool) -> None:
    dataset = MixedDataset(Vision(stored(REAL, 0, 1), REAL), pool, 0.5, "append")
    sampler = RatioBatchSampler(dataset, 4, 0.5)
    found = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        assert int(dataset._epoch) == epoch
        found.append(list(sampler))
    assert found[0] == found[2] != found[1]
    assert (
        found[0]
        == list(RatioBatchSampler(dataset, 4, 0.5))
        != list(RatioBatchSampler(dataset, 4, 0.5, seed=1))
    )


def test_epochs_pass_by_themselves_until_one_is_set(pool: SamplePool) -> None:
    sampler, told = (RatioBatchSampler(joined(pool, 20), 4, 0.5) for _ in range(2))
    expected = []
    for epoch in range(3):
        told.set_epoch(epoch)
        expected.append(list(told))
    assert [list(sampler) for _ in range(3)] == expected
    assert expected[0] != expected[1]
    sampler.set_epoch(1)
    assert [list(sampler) for _ in range(2)] == [expected[1]] * 2


@pytest.mark.parametrize(
    "wrap",
    [
        lambda mixed, pool: Subset(mixed, range(len(mixed))),
        lambda mixed, pool: ConcatDataset([Subset(mixed, [0, 1, 2]), SyntheticDataset(pool)]),
    ],
    ids=["subset", "concat"],
)
def test_a_mixed_dataset_within_others_follows(pool: SamplePool, wrap: Any) -> None:
    mixed = MixedDataset(Vision(stored(REAL, 0, 1), REAL), pool, 0.5, "append")
    RatioBatchSampler(wrap(mixed, pool), 4, 0.25).set_epoch(7)
    assert int(mixed._epoch) == 7


@pytest.mark.filterwarnings("ignore")  # Lightning's own
def test_lightning_tells_it_the_epoch(pool: SamplePool, tmp_path: Path) -> None:
    L = pytest.importorskip("lightning")

    class Module(L.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(72, 3)

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            images, labels = batch
            output = self.layer(images.flatten(1) / 255)
            return torch.nn.functional.cross_entropy(output, labels)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    real = Vision(stored(REAL, 0, 1), REAL, transform=v2.PILToTensor())
    mixed = MixedDataset(real, pool, 0.5, "append")
    sampler = RatioBatchSampler(mixed, 8, 0.5)
    trainer = L.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Module(), DataLoader(mixed, batch_sampler=sampler))
    assert sampler.epoch == int(mixed._epoch) == 2


def test_real_images_are_shared_out_as_distributed_sampler_does(pool: SamplePool) -> None:
    real = TensorDataset(torch.zeros(11), torch.zeros(11))
    for rank in range(3):
        theirs = list(DistributedSampler(real, 3, rank, shuffle=False))
        sampler = RatioBatchSampler(
            joined(pool, 11), 4, 0.25, shuffle=False, rank=rank, world_size=3
        )
        assert [index for batch in sampler for index in batch if index < 11] == theirs


def test_rank_and_world_size_come_from_torch(
    pool: SamplePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (RatioBatchSampler(joined(pool, 8), 4, 0.5).world_size) == 1
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )
    try:
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
        sampler = RatioBatchSampler(joined(pool, 9), 2, 0.5)
        assert (sampler.rank, sampler.world_size, len(sampler)) == (2, 3, 3)
    finally:
        torch.distributed.destroy_process_group()


def test_what_is_synthetic_is_found_through_wrappers(pool: SamplePool) -> None:
    real = Vision(stored(REAL, 0, 1), REAL, transform=v2.PILToTensor())
    made = SyntheticDataset(pool, v2.PILToTensor())
    order = np.random.default_rng(0).permutation(32).tolist()
    dataset = ConcatDataset([Subset(ConcatDataset([real, made]), order), made])
    loader = DataLoader(dataset, batch_sampler=RatioBatchSampler(dataset, 10, 0.3))
    for images, labels in loader:
        values = images[:, 0, 0, 0]
        assert (values >= 150).sum() == round(0.3 * len(values))
        expected = [MADE[v - 150] if v >= 150 else REAL[v] for v in values.tolist()]
        assert labels.tolist() == expected
    balanced = MixedDataset(real, pool, mode="balance", per_class=12)
    assert len(list(RatioBatchSampler(balanced, 8, 0.5))) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1.0}, "ratio: expected a share below 1, got 1.0"),
        ({"ratio": -0.1}, "ratio: expected a number from 0 to 1, got -0.1"),
        ({"ratio": "0.5"}, "ratio: expected a number from 0 to 1, got '0.5'"),
        ({"batch_size": 0}, "batch_size: expected an integer of at least 1, got 0"),
        ({"batch_size": 10.5}, "batch_size: expected an integer of at least 1, got 10.5"),
        ({"rank": 2, "world_size": 2}, "rank: expected 0 to 1 of 2, got 2"),
        ({"rank": 0.5, "world_size": 2}, "rank: expected an integer of at least 0, got 0.5"),
        ({"rank": 0, "world_size": "2"}, "world_size: expected an integer of at least 1, got '2'"),
    ],
)
def test_wrong_options_are_refused(pool: SamplePool, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RatioBatchSampler(joined(pool, 9), **{"batch_size": 4, "ratio": 0.5, **options})


def test_datasets_without_fixed_synthetic_items_are_refused(pool: SamplePool) -> None:
    real = Vision(stored(REAL, 0, 1), REAL)
    with pytest.raises(InputError, match="changes with the epoch in mode='replace'; use"):
        RatioBatchSampler(MixedDataset(real, pool), 4, 0.5)
    with pytest.raises(InputError, match="expected synthetic images among its items"):
        RatioBatchSampler(real, 4, 0.5)
    with pytest.raises(InputError, match="expected real images among its items"):
        RatioBatchSampler(SyntheticDataset(pool), 4, 0.5)


def test_synthetic_images_of_two_pools_are_synthetic(pool: SamplePool) -> None:
    real = Vision(stored(REAL, 0, 1), REAL)
    inner = MixedDataset(real, pool, 0.5, "append")
    outer = MixedDataset(ConcatDataset([inner]), pool, 0.25, "append")
    for batch in RatioBatchSampler(outer, 8, 0.25, drop_last=True):
        assert sum(index >= 20 for index in batch) == 2
    shown = [index for batch in RatioBatchSampler(outer, 8, 0.25) for index in batch]
    assert sorted(index for index in shown if index < 20) == list(range(20))
    with pytest.raises(InputError, match="changes with the epoch in mode='replace'; use"):
        RatioBatchSampler(MixedDataset(MixedDataset(real, pool), pool, mode="append"), 4, 0.5)


def test_share_and_batch_size_may_be_set_at_any_time(pool: SamplePool) -> None:
    """As for the last epochs, without synthetic images."""
    sampler = RatioBatchSampler(joined(pool, 20), 4, 0.5)
    list(sampler)
    sampler.ratio, sampler.batch_size = 0.0, 5
    assert len(sampler) == 4
    batches = list(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(20))
    assert [len(batch) for batch in batches] == [5] * 4
    sampler.ratio = 1.0
    with pytest.raises(InputError, match=r"ratio: expected a share below 1, got 1\.0"):
        next(iter(sampler))
    sampler.ratio, sampler.batch_size = 0.5, 0
    with pytest.raises(InputError, match="batch_size: expected an integer of at least 1, got 0"):
        len(sampler)


def test_what_is_no_dataset_is_refused(pool: SamplePool) -> None:
    for wrong in (None, 3, DataLoader(joined(pool, 9))):
        kind = type(wrong).__name__
        with pytest.raises(InputError, match=rf"SyntheticDataset, got {kind}; .* its \.dataset"):
            RatioBatchSampler(wrong, 4, 0.5)


def test_without_synthetic_images_real_ones_are_shown(pool: SamplePool) -> None:
    mixed = MixedDataset(Vision(stored(REAL, 0, 1), REAL), pool, 0.0, "append")
    shown = [index for batch in RatioBatchSampler(mixed, 8, 0.0) for index in batch]
    assert sorted(shown) == list(range(20))


def test_parts_with_other_classes_are_refused(pool: SamplePool) -> None:
    real = Vision(stored(REAL, 0, 1), REAL)
    real.classes = real.classes[::-1]
    with pytest.raises(InputError, match=r"same classes, got \('cow', 'bee', .*'ant', 'bee', 'c"):
        RatioBatchSampler(ConcatDataset([Subset(real, [3]), SyntheticDataset(pool)]), 4, 0.5)
    other = Vision(stored(REAL, 0, 1), REAL)  # of one type, the last of which fits
    with pytest.raises(InputError, match="same classes, got"):
        RatioBatchSampler(ConcatDataset([real, other, SyntheticDataset(pool)]), 4, 0.5)
