"""albumentations' conventions: seeds, serialisation, replay, strictness, sizes and types."""

import importlib.util
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from mixing_images import CLASSES, MADE, make_pool, stored
from torch.utils.data import DataLoader, Dataset

from synthaug.core import InputError
from synthaug.data import Samples
from synthaug.integrations import albumentations as adapter
from synthaug.integrations.albumentations import MixSynthetic
from synthaug.mixing import MixedDataset
from synthaug.pool import SamplePool


@pytest.fixture
def pool(tmp_path: Path) -> SamplePool:
    return make_pool(tmp_path, 3)


def image(channels: int = 3, dtype: Any = np.uint8) -> np.ndarray:
    return np.zeros((8, 9, channels) if channels > 1 else (8, 9), dtype)


def draws(pipeline: Any, label: Any, count: int = 40) -> list[int]:
    """First pixel of each result; 0 is the real image."""
    return [int(pipeline(image=image(), label=label)["image"][0, 0, 0]) for _ in range(count)]


def test_classes_and_probability(pool: SamplePool) -> None:
    pipeline = A.Compose([MixSynthetic(pool.directory, p=0.3)], seed=1)
    for label in range(3):
        found = np.array(draws(pipeline, label, 200))
        assert abs((found > 0).mean() - 0.3) < 4 * np.sqrt(0.21 / 200)
        assert set(found[found > 0] - 150) == set(np.flatnonzero(label == MADE))


def test_the_pipelines_seed_settles_it(pool: SamplePool) -> None:
    def draw(seed: int) -> list[int]:
        return draws(A.Compose([A.HorizontalFlip(), MixSynthetic(pool.directory)], seed=seed), 0)

    assert draw(0) == draw(0) != draw(1)


def test_other_transforms_are_drawn_apart(pool: SamplePool) -> None:
    """albumentations gives all transforms of a pipeline the same random numbers."""
    pipeline = A.Compose([MixSynthetic(pool, p=0.5), A.HorizontalFlip(p=0.5)], seed=0)
    made = [pipeline(image=image(), label=0)["image"][0, :, 0] for _ in range(200)]
    flipped = np.array([row[0] > row[-1] for row in made if row.any()])
    assert abs(flipped.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(flipped))


def test_pools_are_drawn_from_apart(tmp_path: Path) -> None:
    def replaced(name: str, start: int) -> np.ndarray:
        samples = Samples(stored(MADE, start, 3), MADE)
        pool = SamplePool.from_samples(tmp_path / name / "pool", samples, CLASSES)
        return np.array(draws(A.Compose([MixSynthetic(pool, p=0.5)], seed=0), 0, 200)) > 0

    alike = (replaced("a", 150) == replaced("b", 100)).mean()
    assert abs(alike - 0.5) < 4 * 0.5 / np.sqrt(200)


class Mixed(Dataset):
    """Items that say which image of the pool they are, or 0."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> int:
        return int(self.pipeline(image=image(), label=0)["image"][0, 0, 0])


@pytest.mark.parametrize("seed", [None, 0])
def test_workers_and_epochs_are_drawn_apart(pool: SamplePool, seed: int | None) -> None:
    """albumentations copies its random state to the workers of each epoch."""

    def epochs(torch_seed: int) -> list[list[int]]:
        torch.manual_seed(torch_seed)
        mixed = Mixed(A.Compose([MixSynthetic(pool, p=0.5)], seed=seed))
        loader = DataLoader(mixed, batch_size=30, num_workers=2)
        return [batch.tolist() for _ in range(4) for batch in loader]

    found = epochs(0)
    assert len({tuple(batch) for batch in found}) == 8  # no worker as another, no epoch either
    share = (np.array(found) > 0).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(240)
    assert epochs(0) == found != epochs(1)


class Numbered(Mixed):
    """Each item with random numbers of its own."""

    def __getitem__(self, index: int) -> int:
        self.pipeline.set_random_seed(index)
        return super().__getitem__(index)


def test_a_seed_that_is_set_in_a_worker_holds(pool: SamplePool) -> None:
    mixed = Numbered(A.Compose([MixSynthetic(pool, p=0.5)]))
    found = [
        [value for batch in DataLoader(mixed, batch_size=5, num_workers=workers) for value in batch]
        for workers in (0, 2)
    ]
    assert found[0] == found[1] and len(set(found[0])) > 2


@pytest.mark.parametrize(
    "label", [1, np.int64(1), np.array([1]), np.array(1), torch.tensor(1), "bee"]
)
def test_labels_of_any_form(pool: SamplePool, label: Any) -> None:
    pipeline = A.Compose([MixSynthetic(pool, p=1.0)], seed=0, strict=True)
    made = pipeline(image=image(), label=label)
    assert MADE[made["image"][0, 0, 0] - 150] == 1
    assert made["label"] is label


def test_another_key_for_the_label(pool: SamplePool) -> None:
    pipeline = A.Compose([MixSynthetic(pool, p=1.0, label_key="target")], seed=0, strict=True)
    assert pipeline(image=image(), target=2)["target"] == 2
    with pytest.raises(ValueError, match="Key label is not in available keys"):
        pipeline(image=image(), label=2)


def test_round_trip_through_json(pool: SamplePool) -> None:
    made = MixSynthetic(pool, p=0.7, label_key="target", interpolation=cv2.INTER_AREA)
    text = json.dumps(A.to_dict(A.Compose([made, A.HorizontalFlip()], seed=3)))
    again = A.from_dict(json.loads(text))
    [mix, _] = again.transforms
    assert isinstance(mix, MixSynthetic)
    assert (mix.pool, mix.p, mix.label_key, mix.interpolation) == (
        str(pool.directory),
        0.7,
        "target",
        cv2.INTER_AREA,
    )
    assert repr(mix) == repr(made) and str(pool.directory) in repr(made)


def test_replay_puts_the_same_image_in(pool: SamplePool) -> None:
    with warnings.catch_warnings():
        # albumentations says that a replay may not suit other data: it is for images of one class.
        warnings.filterwarnings("ignore", message=".*could work incorrectly in ReplayMode")
        pipeline = A.ReplayCompose([MixSynthetic(pool, p=0.5)])
        for _ in range(20):
            made = pipeline(image=image(), label=0)
            again = A.ReplayCompose.replay(made["replay"], image=image(), label=0)
            assert np.array_equal(made["image"], again["image"])


@pytest.mark.parametrize(
    ("channels", "stored_as", "shape", "dtype"),
    [
        (1, np.uint8, (8, 9), np.uint8),
        (1, np.uint8, (8, 9, 1), np.uint8),
        (1, np.uint8, (8, 9), np.float32),
        (1, np.uint16, (8, 9), np.uint16),
        (1, np.uint16, (8, 9, 1), np.float32),
        (3, np.uint8, (8, 9, 3), np.float32),
        (3, np.uint8, (16, 27, 3), np.uint8),
        (1, np.uint16, (5, 4, 1), np.uint16),
    ],
)
def test_images_come_out_as_they_go_in(
    tmp_path: Path, channels: int, stored_as: Any, shape: tuple[int, ...], dtype: Any
) -> None:
    pool = make_pool(tmp_path, channels, stored_as)
    made = MixSynthetic(pool, p=1.0)(image=np.zeros(shape, dtype), label=0)["image"]
    assert made.shape == shape and made.dtype == dtype
    scale = 1 if dtype == stored_as else 1 / np.iinfo(stored_as).max
    values = pool.samples.images[MADE == 0, 0, 0, 0] * scale
    assert np.isclose(values, made.reshape(-1)[0], atol=1e-6).any()
    made[:] = 0  # a copy, that later transforms may write to
    assert pool.samples.images.min() > 0


def test_sizes_are_resized_with_the_interpolation(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 9), dtype=np.uint8)
    pool = SamplePool.from_samples(tmp_path / "pool", Samples(pixels, [0]), ["a"])
    for flag in (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC):
        made = MixSynthetic(pool, p=1.0, interpolation=flag)(
            image=np.zeros((20, 30, 3), np.uint8), label=0
        )
        expected = cv2.resize(pixels[0].transpose(1, 2, 0), (30, 20), interpolation=flag)
        assert np.array_equal(made["image"], expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label": 3}, r"label: the pool holds the classes 0 to 2, \['ant', 'bee', 'cow'\], got 3"),
        ({"label": "dog"}, "label: the pool holds .*got 'dog'"),
        ({"label": 0.5}, "label: the pool holds .*got 0.5"),
        ({"label": np.eye(3)[0]}, "label: the pool holds"),
        ({"image": image(1)}, "channels: the pool holds 3, the image has 1"),
        ({"image": image(dtype=np.uint16)}, "dtype: the pool holds uint8, the image is uint16"),
        (
            {"image": image(dtype=np.float32) - 2},
            r"floats from -2\.00 to -2\.00; place MixSynthetic",
        ),
        ({"mask": image(1)}, "mask: belongs to the real image"),
    ],
)
def test_what_does_not_match_is_refused(pool: SamplePool, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MixSynthetic(pool, p=1.0)(**{"image": image(), "label": 0, **given})


@pytest.mark.parametrize(
    ("kind", "message"),
    [("mask", "other: belongs to the real image"), ("image", "other: expected one image")],
)
def test_targets_are_told_by_their_type(pool: SamplePool, kind: str, message: str) -> None:
    mix = MixSynthetic(pool, p=1.0)
    pipeline = A.Compose([A.OneOf([mix], p=1.0)], additional_targets={"other": kind})
    with pytest.raises(InputError, match=message):
        pipeline(image=image(), other=image(), label=0)
    assert pipeline(image=image(), label=0)["image"].any()


def test_several_images_are_refused(pool: SamplePool) -> None:
    for name in ("images", "volume"):
        with pytest.raises(InputError, match=f"{name}: expected one image with its label"):
            A.Compose([MixSynthetic(pool, p=1.0)])(**{name: np.stack([image()] * 3)}, label=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 1.5}, "p\n.*less than or equal to 1"),
        ({"label_key": 3}, "label_key\n.*valid string"),
        ({"interpolation": "linear"}, "interpolation\n.*valid integer"),
    ],
)
def test_arguments_are_checked(pool: SamplePool, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixSynthetic(pool, **options)


def test_a_missing_label_and_a_missing_pool_are_named(pool: SamplePool, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"requires \['label'\] missing keys: \{'label'\}"):
        MixSynthetic(pool, p=1.0)(image=image())
    with pytest.raises(InputError, match="nowhere"):
        MixSynthetic(tmp_path / "nowhere")
    lacking = Samples(stored(MADE[MADE > 0], 150, 3), MADE[MADE > 0])
    other = SamplePool.from_samples(tmp_path / "other", lacking, CLASSES)
    with pytest.raises(InputError, match="no synthetic image of class 0"):
        MixSynthetic(other, p=1.0)(image=image(), label=0)


class Photos(Dataset):
    """As albumentations' documentation has it."""

    def __init__(self, transform: Any) -> None:
        self.labels, self.classes, self.transform = [0, 1, 2] * 4, CLASSES, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        shown = image()
        if self.transform:
            shown = self.transform(image=shown)["image"]
        return shown, self.labels[index]


@pytest.mark.parametrize("pipeline", [None, A.Compose([A.InvertImg(p=1.0), A.ToTensorV2()])])
def test_a_dataset_with_such_a_pipeline_is_mixed(pool: SamplePool, pipeline: Any) -> None:
    real = Photos(pipeline)
    mixed = MixedDataset(real, pool, ratio=1.0)
    for index in range(12):
        shown, label = mixed[index]
        value = int(shown[0, 0, 0])
        assert type(shown) is type(real[0][0]) and shown.shape == real[0][0].shape
        assert MADE[(value if pipeline is None else 255 - value) - 150] == label == index % 3


def test_12_of_16_bits_are_not_mixed_in_far_too_dark(tmp_path: Path) -> None:
    samples = Samples(stored(MADE, 150, 1).astype(np.uint16) * 16, MADE)
    pool = SamplePool.from_samples(tmp_path / "deep", samples, CLASSES)
    bright = np.full((8, 9, 1), 0.9, np.float32)
    with pytest.raises(InputError, match=r"image: floats up to 0\.90.*far too dark"):
        MixSynthetic(pool, p=1.0)(image=bright, label=0)
    assert MixSynthetic(pool, p=1.0)(image=bright / 20, label=0)["image"].max() < 0.0625


old_hook = pytest.mark.skipif(
    hasattr(A.ImageOnlyTransform, "sample_parameters"), reason="the successor itself is installed"
)


@dataclass
class SampledParams:
    params: dict[str, Any]


def successors_transform() -> type:
    """A base class with the one hook of AlbumentationsX 2.4.0 and later."""

    class Successor(A.ImageOnlyTransform):
        def __init_subclass__(cls, **options: Any) -> None:
            super().__init_subclass__(**options)
            if "get_params_dependent_on_data" in vars(cls):
                raise TypeError(f"{cls.__name__} defines removed sampling hook(s)")

        def sample_parameters(
            self, params: dict[str, Any], data: dict[str, Any], targets: Any, sampling: Any
        ) -> SampledParams:
            return SampledParams({})

    def draw(self: Any, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        sampling = SimpleNamespace(random_generator=self.random_generator)
        sampled: SampledParams = self.sample_parameters(params, data, None, sampling)
        return sampled.params

    Successor.get_params_dependent_on_data = draw  # by which 2.0.8 calls the other hook
    return Successor


def adapter_under(name: str) -> Any:
    """The adapter, imported once more for the base class that is there now."""
    spec = importlib.util.spec_from_file_location(name, adapter.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@old_hook
def test_the_successors_hook_draws_the_same(
    pool: SamplePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(A, "ImageOnlyTransform", successors_transform())
    monkeypatch.setattr(A.core.transforms_interface, "SampledParams", SampledParams, raising=False)
    pipelines = [
        A.Compose([transform(pool, p=0.5)], seed=0)
        for transform in (MixSynthetic, adapter_under("successors_adapter").MixSynthetic)
    ]
    first, second = (draws(pipeline, 0) for pipeline in pipelines)
    assert first == second and len(set(first)) > 2


@old_hook
def test_the_successors_first_hook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(A, "ImageOnlyTransform", successors_transform())
    with pytest.raises(ImportError, match=r"albumentationsx 2\..*install albumentationsx>=2\.4\.3"):
        adapter_under("refused_adapter")
