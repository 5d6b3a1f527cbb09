"""The two things that flow, and the conversions between stored integers, floats and PIL."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthaug.classifiers import evaluate, train_classifier
from synthaug.core import InputError
from synthaug.data import (
    LabelledImages,
    Samples,
    read_images,
    to_float,
    to_pil,
    to_stored,
    to_tensor,
    white_of,
)
from synthaug.generators import StyleSwap
from synthaug.pool import SamplePool

IMAGES = np.arange(4 * 3 * 8 * 9, dtype=np.uint16).astype(np.uint8).reshape(4, 3, 8, 9)


def make(**changes: Any) -> LabelledImages:
    values = {"images": IMAGES, "labels": [0, 1, 1, 0], "classes": ["cat", "dog"]}
    return LabelledImages(**{**values, **changes})


class OnAnotherDevice(torch.Tensor):
    """Refuses, as a tensor on a GPU does, to be an array before it is on the CPU."""

    def cpu(self, *_: Any) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)

    def numpy(self, **_: Any) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_what_is_white_does_not_depend_on_torch_s_usual_floats(default: torch.dtype) -> None:
    wide = IMAGES.astype(np.uint16) * 257
    expected = to_float(IMAGES)
    torch.set_default_dtype(default)
    try:
        for floats in (to_float(IMAGES), to_float(wide)):
            assert floats.dtype == torch.float32
            assert torch.allclose(floats, expected, atol=1e-6)
        assert torch.allclose(to_float(IMAGES, white=51), 5 * expected, atol=1e-5)
    finally:
        torch.set_default_dtype(torch.float32)


def test_tensors_may_lie_on_a_gpu() -> None:
    images = torch.as_tensor(IMAGES).as_subclass(OnAnotherDevice)
    labels = torch.tensor([0, 1, 1, 0]).as_subclass(OnAnotherDevice)
    data = make(images=images, labels=labels, groups=labels)
    assert np.array_equal(data.images, IMAGES)
    assert data.groups is not None
    assert data.groups.tolist() == [0, 1, 1, 0]
    share: Any = torch.full((4, 2), 0.5, requires_grad=True)
    assert Samples(data.images, data.labels, share, share[:, 0]).weights is not None
    items: Any = [(images[i], labels[i]) for i in range(4)]
    read = read_images(items)
    assert np.array_equal(read.images, IMAGES)
    assert read.labels.tolist() == [0, 1, 1, 0]
    samples = StyleSwap().fit(data, device="cpu").sample(labels)
    assert samples.labels.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": IMAGES.astype(np.float32)}, r"images: expected uint8 or uint16, got float32"),
        ({"images": IMAGES.astype(">u2")}, r"images: expected uint8 or uint16, got >u2"),
        ({"images": IMAGES[0]}, r"images: expected shape \(N, 1 or 3, H, W\), got \(3, 8, 9\)"),
        ({"images": IMAGES[:, :2]}, r"expected shape .*, got \(4, 2, 8, 9\)"),
        (
            {"images": IMAGES[:, :, :7]},
            r"from 8 to 256 pixels, got 7x9; read_images\(data, image_size=64\)",
        ),
        ({"images": np.zeros((4, 1, 8, 257), np.uint8)}, r"from 8 to 256 pixels, got 8x257"),
        ({"labels": [0, 1, 1]}, r"labels: expected shape \(4,\), one per image, got \(3,\)"),
        ({"labels": [[0], [1], [1], [0]]}, r"labels: expected shape \(4,\).*got \(4, 1\)"),
        ({"labels": [0.0, 1.0, 1.0, 0.0]}, r"labels: expected integers, got float64"),
        ({"labels": [True, False, True, True]}, r"labels: expected integers, got bool"),
        ({"labels": [0, 1, 2, 5]}, r"expected 0 to 1 for 2 classes, got 2 at index 2"),
        ({"labels": [0, 1, 1, -1]}, r"expected 0 to 1 for 2 classes, got -1 at index 3"),
        ({"groups": [0, 1, 2]}, r"groups: expected shape \(4,\), one per image, got \(3,\)"),
        ({"groups": [0, 1, np.nan, 2]}, r"groups: .* each image, got nan at index 2; give each"),
        (
            {"groups": np.array(["a", None, "b", np.nan], object)},
            r"groups: expected one for each image, got None at index 1; give each image of an",
        ),
        (
            {"groups": np.array([7, "a", 7, "b"], object)},
            r"groups: expected all of one type, got Real and str; make all of them text",
        ),
        ({"classes": ["cat", "cat"]}, r"classes: expected distinct names, got \['cat', 'cat'\]"),
        ({"classes": {"cat", "dog"}}, r"classes: expected their names as a list, by whose"),
    ],
)
def test_wrong_labelled_images_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**changes)


def test_labelled_images_hold_what_they_were_given() -> None:
    data = make(
        images=torch.as_tensor(IMAGES), labels=torch.tensor([0, 1, 1, 1]), groups=list("aabc")
    )
    assert np.array_equal(data.images, IMAGES)
    assert data.labels.dtype == np.int64
    assert data.classes == ("cat", "dog")
    assert (len(data), data.counts.tolist(), data.image_shape) == (4, [1, 3], (3, 8, 9))
    with pytest.raises(AttributeError):
        data.labels = data.labels  # type: ignore[misc]


def test_a_class_without_images_is_counted() -> None:
    assert make(classes=["cat", "dog", "hen"]).counts.tolist() == [2, 2, 0]


@pytest.mark.parametrize(
    "groups",
    [[b"p", b"q", b"q", b"r"], [date(2020, 1, day) for day in (1, 2, 2, 3)], [1, 2.0, 2, 3]],
)
def test_groups_are_of_any_type(groups: list[Any]) -> None:
    """As files and tables have them."""
    data = make(groups=np.array(groups, object))
    assert data.groups is not None and data.groups.tolist() == groups
    assert len(np.unique(data.groups)) == 3


def test_a_subset_keeps_order_classes_and_groups() -> None:
    part = make(groups=np.array(["p", "q", "q", "r"])).subset(np.array([3, 1]))
    assert np.array_equal(part.images, IMAGES[[3, 1]])
    assert part.labels.tolist() == [0, 1]
    assert part.classes == ("cat", "dog")
    assert part.groups is not None and part.groups.tolist() == ["r", "q"]
    assert make().subset(np.array([0])).groups is None


def _one_pixel(data: LabelledImages) -> LabelledImages:
    images = data.images.copy()
    images[2, 1, 4, 4] ^= 1
    return make(images=images)


@pytest.mark.parametrize(
    "change",
    [
        _one_pixel,
        lambda data: make(labels=[0, 1, 0, 1]),
        lambda data: make(classes=["cat", "hen"]),
        lambda data: make(images=data.images.astype(np.uint16)),
        lambda data: make(images=data.images.reshape(4, 3, 9, 8)),
        lambda data: data.subset(np.array([1, 0, 2, 3])),
        lambda data: make(groups=np.arange(4)),
    ],
    ids=["pixel", "label", "name", "type", "shape", "order", "groups"],
)
def test_the_fingerprint_changes_with_the_data(
    change: Callable[[LabelledImages], LabelledImages],
) -> None:
    assert change(make()).fingerprint != make().fingerprint


def test_the_fingerprint_of_samples_changes_with_all_they_hold() -> None:
    half = np.full(2, 0.5, np.float32)
    kinds = [
        Samples(IMAGES[:2], [0, 1]),
        Samples(IMAGES[:2], [1, 0]),
        Samples(IMAGES[2:4], [0, 1]),
        Samples(IMAGES[:2], [0, 1], weights=half),
        Samples(IMAGES[:2], [0, 1], weights=2 * half),
        Samples(IMAGES[:2], [0, 1], soft_labels=np.eye(2)),
    ]
    assert len({samples.fingerprint for samples in kinds}) == len(kinds)
    assert Samples(IMAGES[:2].copy(), [0, 1]).fingerprint == kinds[0].fingerprint


def test_the_fingerprint_stays_for_the_same_data_in_another_form(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for images in (IMAGES.copy(), mapped, np.asfortranarray(IMAGES), torch.as_tensor(IMAGES)):
        assert make(images=images).fingerprint == make().fingerprint
    assert make(labels=np.array([0, 1, 1, 0], np.int8)).fingerprint == make().fingerprint
    assert len(make().fingerprint) == 16
    int(make().fingerprint, 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": IMAGES.astype(np.int32)}, r"images: expected uint8 or uint16, got int32"),
        ({"labels": [0]}, r"labels: expected shape \(4,\)"),
        ({"soft_labels": np.ones(4)}, r"soft_labels: expected shape \(4, K\), got \(4,\)"),
        ({"soft_labels": np.ones((3, 1))}, r"soft_labels: expected shape \(4, K\), got \(3, 1\)"),
        ({"soft_labels": np.full((4, 2), 0.6)}, r"soft_labels: expected rows .* that sum to 1"),
        ({"soft_labels": np.tile([1.5, -0.5], (4, 1))}, r"soft_labels: expected rows"),
        ({"soft_labels": np.full((4, 2), np.nan)}, r"soft_labels: expected rows"),
        ({"weights": [1, 2]}, r"weights: expected shape \(4,\), one per image, got \(2,\)"),
        ({"weights": [1, 2, -3, 4]}, r"weights: expected .* at least 0, got -3.0 at index 2"),
        ({"weights": [1, np.nan, 3, 4]}, r"weights: expected .*, got nan at index 1"),
        ({"weights": [1, 1, 3, np.inf]}, r"weights: expected finite .*, got inf at index 3"),
    ],
)
def test_wrong_samples_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Samples(**{"images": IMAGES, "labels": [0, 1, 1, 0], **changes})


@pytest.mark.parametrize("indices", [np.array([2, 0]), np.array([True, False, True, False])])
def test_a_subset_of_samples_takes_all_parts(indices: np.ndarray) -> None:
    soft = np.array([[1, 0], [0.25, 0.75], [0, 1], [0.5, 0.5]])
    samples = Samples(IMAGES, np.array([0, 1, 1, 0]), soft, np.array([1, 2, 3, 0]))
    part = samples.subset(indices)
    order = np.arange(4)[indices]
    assert part.soft_labels is not None and part.weights is not None
    assert part.soft_labels.dtype == part.weights.dtype == np.float32
    assert np.array_equal(part.images, IMAGES[order])
    assert part.labels.tolist() == [[0, 1, 1, 0][i] for i in order]
    assert np.array_equal(part.soft_labels, soft[order])
    assert part.weights.tolist() == [[1, 2, 3, 0][i] for i in order]
    bare = Samples(IMAGES, np.array([0, 1, 1, 0])).subset(indices)
    assert bare.soft_labels is None and bare.weights is None


@pytest.mark.parametrize("mirrored", [IMAGES[::-1], IMAGES[:, ::-1], IMAGES[..., ::-1]])
def test_mirrored_views_become_tensors(mirrored: np.ndarray) -> None:
    assert np.array_equal(to_tensor(mirrored).numpy(), mirrored)
    assert np.array_equal(to_stored(to_float(make(images=mirrored).images), np.uint8), mirrored)


def test_every_uint8_survives_the_round_trip() -> None:
    stored = np.arange(256, dtype=np.uint8)
    floats = to_float(stored)
    assert floats.dtype == torch.float32
    assert np.allclose(floats.numpy(), np.linspace(0, 1, 256), atol=1e-7)
    assert np.array_equal(to_stored(floats, np.uint8), stored)


@settings(max_examples=50)
@given(hnp.arrays(np.uint16, st.integers(1, 300)))
def test_uint16_survives_the_round_trip(stored: np.ndarray) -> None:
    floats = to_float(stored)
    assert np.allclose(floats.double().numpy(), stored / 65535, atol=1e-7)
    back = to_stored(floats, np.uint16)
    assert back.dtype == np.uint16
    assert np.array_equal(back, stored)


def test_the_ends_of_uint16_survive_the_round_trip() -> None:
    stored = np.array([0, 1, 32767, 32768, 65534, 65535], np.uint16)
    assert np.array_equal(to_stored(to_float(stored), np.uint16), stored)


@pytest.mark.parametrize(
    ("brightest", "white"),
    [(0, 1), (1, 1), (2, 3), (2048, 4095), (4095, 4095), (4096, 8191), (32768, 65535)],
)
def test_white_is_the_largest_of_the_bits_that_images_use(brightest: int, white: int) -> None:
    stored = np.array([0, brightest], np.uint16)
    assert white_of(stored) == white
    floats = to_float(stored, white=white)
    assert torch.equal(floats, torch.tensor([0, brightest / white]))
    assert np.array_equal(to_stored(floats, np.uint16, white), stored)
    assert to_stored(torch.tensor([2.0]), np.uint16, white).tolist() == [white]


def test_white_of_8_bits_and_of_no_images() -> None:
    assert white_of(np.array([0, 3], np.uint8)) == 255
    assert white_of(np.zeros((0, 1, 8, 8), np.uint16)) == 1


@settings(max_examples=50)
@given(
    hnp.arrays(np.float32, 20, elements=st.floats(-1e6, 1e6, width=32)),
    st.sampled_from([np.uint8, np.uint16]),
)
def test_stored_values_are_clipped_and_rounded(floats: np.ndarray, dtype: Any) -> None:
    stored = to_stored(torch.as_tensor(floats), dtype)
    top = np.iinfo(dtype).max
    assert stored.dtype == dtype
    assert np.abs(stored - floats.astype(float).clip(0, 1) * top).max() <= 0.5 + 1e-2


def test_floats_are_not_taken_for_stored_images() -> None:
    with pytest.raises(InputError, match=r"expected uint8 or uint16 images, got torch.float32"):
        to_float(np.zeros(3, np.float32))


def test_a_read_only_memory_map_is_copied_without_a_warning(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    tensor = to_tensor(mapped)  # torch warns about arrays that are not writeable
    tensor.zero_()
    assert np.array_equal(mapped, IMAGES)
    assert np.array_equal(to_stored(to_float(mapped), np.uint8), IMAGES)


@pytest.mark.parametrize(
    ("channels", "dtype", "mode"),
    [(1, np.uint8, "L"), (3, np.uint8, "RGB"), (1, np.uint16, "I;16")],
)
def test_pil_images_show_the_same_pixels(channels: int, dtype: Any, mode: str) -> None:
    image = np.random.default_rng(0).integers(
        0, np.iinfo(dtype).max, (channels, 8, 11), dtype, True
    )
    picture = to_pil(image)
    assert (picture.mode, picture.size) == (mode, (11, 8))
    pixels = np.asarray(picture)
    assert np.array_equal(pixels.reshape(8, 11, channels).transpose(2, 0, 1), image)


def test_pil_cannot_hold_16_bit_colour() -> None:
    with pytest.raises(InputError, match="PIL has no 16-bit colour images"):
        to_pil(np.zeros((3, 8, 8), np.uint16))


def test_what_is_no_labelled_images_is_named() -> None:
    data = read_images("digits")
    network = torch.nn.Flatten()
    for call in (
        lambda: train_classifier("data/xray", steps=1),  # type: ignore[arg-type]
        lambda: evaluate(network, "data/xray"),  # type: ignore[arg-type]
        lambda: evaluate(network, torch.utils.data.TensorDataset()),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match="expected LabelledImages, as read_images gives them"):
            call()
    with pytest.raises(InputError, match="data: expected images to score, got none"):
        evaluate(network, data.subset(np.arange(0)))
    with pytest.raises(InputError, match=r"generator: expected one that is fitted, .*got str"):
        SamplePool.create("nowhere", "generator", 3)  # type: ignore[arg-type]


def test_labelled_images_are_told_in_a_line() -> None:
    data = LabelledImages(np.zeros((4, 3, 8, 9), np.uint16), [0, 0, 1, 1], ["cat", "dog"])
    assert repr(data) == "LabelledImages(4 images of 2 classes, 3x8x9 uint16)"
    half = np.full((4, 2), 0.5)
    made = Samples(data.images, data.labels, soft_labels=half, weights=np.ones(4))
    assert repr(made) == "Samples(4 images, 3x8x9 uint16, soft labels, weights)"


def test_names_that_are_no_text_have_a_fingerprint() -> None:
    """As torchvision's ImageFolder has them of folders with names in Latin-1."""
    images = np.zeros((2, 1, 8, 8), np.uint8)
    prints = {
        LabelledImages(images, [0, 1], ["caf\udce9", b]).fingerprint for b in ("a", "b\ud800")
    }
    assert len(prints) == 2
