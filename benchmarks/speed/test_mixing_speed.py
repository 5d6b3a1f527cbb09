"""What mixing costs beside what it is put into, as ratios taken in one run.

    pip install -e ".[test]"
    pytest -n 0 benchmarks/speed --benchmark-json benchmarks/speed/mixing.json

Each round times both sides one after the other, so that whatever else the machine does meets both.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture
from torch.utils.data import DataLoader
from torchvision.datasets import VisionDataset
from torchvision.transforms import v2

from synthaug import MixedDataset, MixSynthetic, SamplePool, Samples

CLASSES = [str(number) for number in range(10)]
IMAGES = 2000


class InMemory(VisionDataset):
    """As torchvision's CIFAR10: arrays in memory, handed out as PIL images."""

    def __init__(self, side: int, transform: Any) -> None:
        super().__init__(None, transform=transform)
        self.data = pixels(IMAGES, side)
        self.targets = [index % 10 for index in range(IMAGES)]
        self.classes = CLASSES

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = Image.fromarray(self.data[index])
        return (image if self.transform is None else self.transform(image)), self.targets[index]


def pixels(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def make_pool(directory: Path, side: int) -> SamplePool:
    images = np.ascontiguousarray(pixels(IMAGES, side).transpose(0, 3, 1, 2))
    return SamplePool.from_samples(
        directory / "pool", Samples(images, np.arange(IMAGES) % 10), CLASSES
    )


def compare(
    benchmark: BenchmarkFixture,
    with_it: Callable[[], object],
    without: Callable[[], object],
    rounds: int,
    in_turn: bool = True,
    **facts: Any,
) -> None:
    """Time `without` before each round of `with_it`, or all of its rounds before; keep the ratio of
    their speeds."""
    before: list[float] = []

    def reference() -> None:
        start = time.perf_counter()
        without()
        before.append(time.perf_counter() - start)

    for function in (with_it, without):
        function()  # caches and workers
    if in_turn:
        benchmark.pedantic(with_it, setup=reference, rounds=rounds)
    else:
        for _ in range(rounds):
            reference()
        benchmark.pedantic(with_it, rounds=rounds)
    pairs = np.array(before) / np.array(benchmark.stats.stats.data)
    benchmark.extra_info.update(
        facts,
        threads=torch.get_num_threads(),
        without_seconds=float(np.median(before)),
        with_seconds=float(np.median(benchmark.stats.stats.data)),
        ratio=float(np.median(pairs)),
        quartiles=[float(value) for value in np.quantile(pairs, (0.25, 0.75))],
    )


@pytest.fixture(params=[1, 2], ids=lambda count: f"{count}-threads")
def threads(request: pytest.FixtureRequest) -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("side", [28, 64])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_loader_of_mixed_dataset(
    benchmark: BenchmarkFixture, tmp_path: Path, side: int, workers: int
) -> None:
    """An epoch of MixedDataset at ratio 0.5 against the same Dataset without it."""
    torch.set_num_threads(1)
    train = v2.Compose(
        [
            v2.RandomCrop(side, padding=4),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    real = InMemory(side, train)
    options: dict[str, Any] = {"batch_size": 64, "shuffle": True, "num_workers": workers}
    if workers:
        options["persistent_workers"] = True
    mixed = DataLoader(MixedDataset(real, make_pool(tmp_path, side), ratio=0.5), **options)
    plain = DataLoader(real, **options)

    def epoch(loader: DataLoader[Any]) -> int:
        return sum(len(labels) for _, labels in loader)

    compare(
        benchmark,
        lambda: epoch(mixed),
        lambda: epoch(plain),
        rounds=25,
        what="MixedDataset",
        side=side,
        workers=workers,
    )


@pytest.mark.parametrize("ratio", [0.25, 0.5])
@pytest.mark.parametrize("in_turn", [True, False], ids=["in-turn", "apart"])
def test_mix_synthetic_on_a_batch(
    benchmark: BenchmarkFixture, tmp_path: Path, threads: int, ratio: float, in_turn: bool
) -> None:
    """MixSynthetic on a batch of 128x3x64x64 floats against v2.CutMix on the same batch."""
    images, labels = torch.rand(128, 3, 64, 64), torch.arange(128) % 10
    mix = MixSynthetic(make_pool(tmp_path, 64), ratio)
    cutmix = v2.CutMix(num_classes=10)
    compare(
        benchmark,
        lambda: mix(images, labels),
        lambda: cutmix(images, labels),
        rounds=400,
        in_turn=in_turn,
        order="in turn" if in_turn else "one after the other",
        what="MixSynthetic",
        ratio_of_synthetic=ratio,
    )
