"""What is given in other types is named before any work is done."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthaug import (
    LabelledImages,
    Samples,
    StyleSwap,
    TransferVAE,
    measure_gain,
    read_images,
    train_classifier,
)
from synthaug.core import InputError
from synthaug.gain import Execution
from synthaug.metrics import extract_features
from synthaug.pool import SamplePool
from synthaug.search import Budget, search_mix

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 1, 8, 8), np.uint8)
REAL = LabelledImages(IMAGES, np.arange(12) % 2, ["a", "b"])


@pytest.mark.parametrize(
    "begin",
    [
        lambda progress, _: read_images("digits", progress=progress),
        lambda progress, _: TransferVAE().fit(REAL, progress=progress),
        lambda progress, _: StyleSwap().fit(REAL, device="cpu").sample(1, progress=progress),
        lambda progress, place: SamplePool.create(
            place, StyleSwap().fit(REAL, device="cpu"), 1, progress=progress
        ),
        lambda progress, _: train_classifier(REAL, progress=progress),
        lambda progress, _: measure_gain(REAL, REAL, execution=Execution(progress=progress)),
        lambda progress, _: search_mix(
            REAL, Budget(trials=1), execution=Execution(progress=progress)
        ),
    ],
    ids=["read", "fit", "sample", "pool", "train", "gain", "search"],
)
def test_progress_is_told_to_a_function(begin: Callable[[Any, Path], Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="progress: expected a function, as print, or None, got T"):
        begin(True, tmp_path / "pool")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["soft_labels", "weights"])
def test_what_are_no_numbers(name: str) -> None:
    given: dict[str, Any] = {name: ["many"] * 12}
    with pytest.raises(InputError, match=f"{name}: expected numbers, got .'many', 'many'"):
        Samples(IMAGES, REAL.labels, **given)


def test_features_are_of_stored_images_by_a_function() -> None:
    with pytest.raises(InputError, match="features: expected a function of images, got 'pixels'"):
        extract_features(IMAGES, "pixels")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="images: expected uint8 or uint16, got float32"):
        extract_features(torch.rand(2, 1, 8, 8))  # type: ignore[arg-type]
