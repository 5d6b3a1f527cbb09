"""What training generators costs, as ratios taken in one run.

    pip install -e ".[test]"
    OMP_NUM_THREADS=1 pytest -n 0 benchmarks/speed/test_training_speed.py \
        --benchmark-json benchmarks/speed/training.json

All sides of a comparison train at the same time, some steps in turn, and each round's seconds give
one ratio; the JSON has their medians. On a processor seconds are those of the process, so that
other work on the machine is not among them; on a GPU they are those of the clock. What comes before
the first step and after the last is not counted.
"""

from typing import Any

import numpy as np
import pytest
import torch
from in_turn import (
    AfterStep,
    Paused,
    median_and_quartiles,
    name_of,
    seconds_per_step,
    smooth_images,
)
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.nn import functional as F

from synthaug import ConditionalGAN, ConditionalVAE, LabelledImages
from synthaug.generators.networks.coders import ConditionalDecoder, ConditionalEncoder

CLASSES, EACH = 10, 50
STEPS = 1200  # of a whole training, of which some are timed
SHAPE = (1, 28, 28)
FAMILIES = {"ConditionalVAE": ConditionalVAE, "ConditionalGAN": ConditionalGAN}
GPU = pytest.param(
    "cuda",
    marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here"),
)


def data_of(classes: int, first: int = 0) -> LabelledImages:
    images = np.concatenate([smooth_images(EACH, seed=first + i) for i in range(classes)])
    names = [str(first + i) for i in range(classes)]
    return LabelledImages(images, np.arange(classes).repeat(EACH), names)


def fit(
    after_step: AfterStep, family: str, batch_size: int, data: LabelledImages, device: str
) -> None:
    """A per-class generator that learns from `data`."""
    generator = FAMILIES[family](steps=STEPS, batch_size=batch_size, scope="per-class")
    generator.fit(data, device=device, progress=lambda done, total: after_step())


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("batch_size", [16, 64])
@pytest.mark.parametrize("family", FAMILIES)
def test_ten_together_against_one_after_another(
    benchmark: BenchmarkFixture, family: str, batch_size: int, device: str
) -> None:
    """Ten classes with scope="per-class" against ten fits of one class each."""
    warmup, rounds, steps = 5, 10, 5

    def fitting(data: LabelledImages) -> Paused:
        return Paused(device, fit, family, batch_size, data, device)

    sides = {
        "together": [fitting(data_of(CLASSES))],
        "apart": [fitting(data_of(1, first=index)) for index in range(CLASSES)],
    }
    seconds = benchmark.pedantic(seconds_per_step, args=(sides, warmup, rounds, steps), rounds=1)
    keep(
        benchmark,
        seconds,
        device,
        what="together",
        family=family,
        batch_size=batch_size,
        rounds=rounds,
        steps_a_round=steps,
        **median_and_quartiles(seconds["apart"] / seconds["together"]),
    )


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("batch_size", [16, 64])
def test_a_generator_against_a_loop_by_hand(
    benchmark: BenchmarkFixture, batch_size: int, device: str
) -> None:
    """One ConditionalVAE of one class against the loop below, in each precision."""
    warmup, rounds, steps = 10, 40, 5
    data = data_of(1)
    sides = {
        "generator": [Paused(device, fit, "ConditionalVAE", batch_size, data, device)],
        "float32": [Paused(device, loop_by_hand, batch_size, data.images, device, False)],
        "bfloat16": [Paused(device, loop_by_hand, batch_size, data.images, device, True)],
    }
    seconds = benchmark.pedantic(seconds_per_step, args=(sides, warmup, rounds, steps), rounds=1)
    best = min(("float32", "bfloat16"), key=lambda mode: float(np.median(seconds[mode])))
    keep(
        benchmark,
        seconds,
        device,
        what="by hand",
        family="ConditionalVAE",
        batch_size=batch_size,
        rounds=rounds,
        steps_a_round=steps,
        best=best,
        **median_and_quartiles(seconds["generator"] / seconds[best]),
    )


def keep(
    benchmark: BenchmarkFixture, seconds: dict[str, np.ndarray], device: str, **facts: Any
) -> None:
    benchmark.extra_info.update(
        facts,
        device=name_of(device),
        threads=torch.get_num_threads(),
        seconds_per_step={name: float(np.median(each)) for name, each in seconds.items()},
    )


def loop_by_hand(
    after_step: AfterStep, batch_size: int, pixels: np.ndarray, device: str, low_precision: bool
) -> None:
    """Network, batch, loss and optimiser of `ConditionalVAE`, and nothing around them."""
    images = (torch.as_tensor(pixels) / 255).to(device)
    encoder = ConditionalEncoder(SHAPE, 1, 32, 16).to(device)
    decoder = ConditionalDecoder(SHAPE, 1, 32, 16).to(device)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    labels = torch.zeros(batch_size, dtype=torch.int64, device=device)
    for _ in range(STEPS):
        chosen = torch.randint(len(images), (batch_size,), device=device)
        shown = jittered(images[chosen])
        with torch.autocast(device, torch.bfloat16, enabled=low_precision):
            mean, log_variance = encoder(shown, labels)
            code = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            loss = loss_of(decoder(code, labels), shown, mean, log_variance)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after_step()


def jittered(images: Tensor) -> Tensor:
    unit = torch.rand(len(images), 4, device=images.device) * 2 - 1
    angle, scale = unit[:, 0] * 0.09, 1 + unit[:, 1] * 0.05
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = [cos, -sin, unit[:, 2] * 0.1, sin, cos, unit[:, 3] * 0.1]
    matrices = torch.stack(rows, 1).view(-1, 2, 3)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def loss_of(made: Tensor, shown: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    x, y = F.avg_pool2d(made, 7, 1), F.avg_pool2d(shown, 7, 1)
    xx = F.avg_pool2d(made * made, 7, 1) - x * x
    yy = F.avg_pool2d(shown * shown, 7, 1) - y * y
    xy = F.avg_pool2d(made * shown, 7, 1) - x * y
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * x * y + c1) * (2 * xy + c2) / ((x * x + y * y + c1) * (xx + yy + c2))
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return 2 * F.l1_loss(made, shown) + 0.5 * (1 - similarity.mean()) + 8e-3 * kl
