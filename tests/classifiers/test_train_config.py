"""Augmentation policies, automatic augmentation and mixing of batches."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthaug.classifiers import MIXES, POLICIES, TrainConfig
from synthaug.classifiers.batches import Batches
from synthaug.classifiers.train_config import AUTOMATIC, Augmentation
from synthaug.core import InputError
from synthaug.data import LabelledImages


def stored(
    count: int, shape: tuple[int, int, int] = (1, 16, 16), dtype: Any = np.uint8, seed: int = 0
) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    return torch.as_tensor(rng.integers(0, top, (count, *shape), dtype, endpoint=True))


def augment(
    images: torch.Tensor, config: TrainConfig, classes: int = 3
) -> tuple[Any, torch.Tensor]:
    labels = torch.eye(classes)[torch.arange(len(images)) % classes]
    return Augmentation(config, classes)(images, labels)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 36), (1, 17, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_keeps_shape_and_range(
    policy: str, dtype: Any, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    images = stored(30, shape, dtype)
    images[0], images[1] = 0, int(np.iinfo(dtype).max)
    floats, labels = augment(images, TrainConfig(policy=policy))
    assert floats.shape == images.shape
    assert floats.dtype == torch.float32
    assert float(floats.min()) >= 0 and float(floats.max()) <= 1
    assert torch.equal(labels, torch.eye(3)[torch.arange(30) % 3])
    exact = torch.as_tensor(images.numpy() / np.iinfo(dtype).max, dtype=torch.float32)
    assert torch.allclose(floats, exact, atol=1e-6) == (policy == "none")


def halves(count: int) -> torch.Tensor:
    """Images with a bright left half and a dark right one."""
    images = torch.full((count, 1, 16, 16), 40, dtype=torch.uint8)
    images[..., :8] = 210
    return images


@pytest.mark.parametrize("policy", POLICIES)
def test_only_policies_with_flips_mirror(policy: str) -> None:
    torch.manual_seed(1)
    floats, _ = augment(halves(400), TrainConfig(policy=policy))
    bright_left = (floats[..., :8].mean((1, 2, 3)) > floats[..., 8:].mean((1, 2, 3))).float().mean()
    expected = pytest.approx(0.5, abs=0.11) if policy.endswith("-flip") else 1.0
    assert float(bright_left) == expected


@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_turns_upside_down(policy: str) -> None:
    torch.manual_seed(2)
    floats, _ = augment(halves(200).transpose(2, 3).contiguous(), TrainConfig(policy=policy))
    assert (floats[:, :, :8].mean((1, 2, 3)) > floats[:, :, 8:].mean((1, 2, 3))).all()


def test_a_shift_moves_by_at_most_a_tenth_both_ways() -> None:
    torch.manual_seed(3)
    spot = torch.zeros(600, 1, 40, 40, dtype=torch.uint8)
    spot[:, :, 20, 20] = 255
    floats, _ = augment(spot, TrainConfig(policy="shift"))
    floats = (floats - floats.amin((2, 3), keepdim=True)).square()
    mass = floats.sum((1, 2, 3))
    at = torch.arange(40.0) - 20
    dx = (floats.sum((1, 2)) * at).sum(1) / mass
    dy = (floats.sum((1, 3)) * at).sum(1) / mass
    for moved in (dx, dy):
        assert float(moved.abs().max()) <= 4.6  # a tenth of 40 pixels, and what interpolation adds
        assert float(moved.min()) < -3 and float(moved.max()) > 3
    assert abs(float(torch.corrcoef(torch.stack([dx, dy]))[0, 1])) < 0.2


def test_each_image_is_augmented_on_its_own() -> None:
    torch.manual_seed(4)
    one = stored(1).expand(20, -1, -1, -1)
    for policy in set(POLICIES) - {"none"}:
        floats, _ = augment(one, TrainConfig(policy=policy))
        assert len(torch.unique(floats.flatten(1), dim=0)) == 20


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 12, 20)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("automatic", AUTOMATIC)
def test_automatic_augmentation_keeps_shape_and_range(
    automatic: str, dtype: Any, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(5)
    images = stored(1, shape, dtype).expand(160, -1, -1, -1)
    floats, _ = augment(images, TrainConfig(policy="none", automatic=automatic))
    assert floats.shape == images.shape
    assert floats.dtype == torch.float32
    assert torch.isfinite(floats).all()
    assert float(floats.min()) >= 0 and float(floats.max()) <= 1
    assert len(torch.unique(floats.flatten(1), dim=0)) > 10


@pytest.mark.parametrize("automatic", [None, "randaugment"])
def test_dark_16_bit_images_are_augmented_as_bright_ones(automatic: str | None) -> None:
    """12 bits of 16 have a sixteenth of the range: light must not change by shares of all of it."""
    config, labels = TrainConfig(policy="shift", automatic=automatic), torch.eye(2).repeat(32, 1)
    bright = stored(64, dtype=np.uint16)
    bright[0] = 65535
    dark = torch.as_tensor(bright.numpy() >> 4)
    made = []
    for images in (bright, dark):
        torch.manual_seed(0)
        span = int(images.numpy().max()) / 65535
        floats, _ = Augmentation(config, 2, span)(images, labels)
        made.append(floats / span)
    torch.testing.assert_close(made[1], made[0], atol=1e-3, rtol=0)
    data = LabelledImages(dark.numpy(), np.arange(64) % 2, ["a", "b"])
    batches = Batches(data, None, None, 0.0, config, 64, 0, torch.device("cpu"))
    brightest = batches(0)[0].amax((1, 2, 3))
    assert 0.5 * span < brightest.min() and brightest.max() <= span


def test_light_may_go_beyond_the_brightest_image_but_not_beyond_its_bits() -> None:
    """As with 8 bits; synthetic images, too, may be brighter than the few real ones."""
    images = np.zeros((2, 1, 8, 8), np.uint16)
    images[:, :, :, 4:] = 3000  # of 12 bits
    data = LabelledImages(images, [0, 1], ["a", "b"])
    lit = Batches(data, None, None, 0.0, TrainConfig("shift"), 256, 0, torch.device("cpu"))
    torch.manual_seed(0)
    brightest = lit(0)[0].amax() * 65535
    assert 3000 < brightest.item() <= 4095.1


@pytest.mark.parametrize("automatic", AUTOMATIC)
def test_images_that_share_a_draw_are_changed_as_each_would_be_alone(automatic: str) -> None:
    images = torch.randint(0, 256, (8, 3, 16, 12), dtype=torch.uint8)
    config = TrainConfig(policy="none", automatic=automatic)
    apart: set[int] = set()
    for seed in range(40):
        torch.manual_seed(seed)
        floats, _ = Augmentation(config, 2)(images, torch.eye(2).repeat(4, 1))
        draw = AUTOMATIC[automatic]()
        torch.manual_seed(seed)
        first = draw(images[:4])
        middle = torch.get_rng_state()
        for index, image in enumerate(images):
            torch.manual_seed(seed) if index < 4 else torch.set_rng_state(middle)
            assert torch.equal((floats[index] * 255).round().to(torch.uint8), draw(image))
        assert torch.equal((floats[:4] * 255).round().to(torch.uint8), first)
        torch.set_rng_state(middle)
        apart.add(int(torch.equal(draw(images[:4]), first)))
    assert 0 in apart  # the next four get a draw of their own


def test_automatic_augmentation_of_16_bit_images_keeps_their_depth() -> None:
    """An image that uses a few of the 65536 levels near the bottom is not flattened to 8 bits."""
    torch.manual_seed(6)
    images = (stored(30) // 2).to(torch.int32).to(torch.uint16)
    floats, _ = augment(images, TrainConfig(policy="none", automatic="randaugment"))
    levels = [len(torch.unique(image)) for image in floats]
    assert np.median(levels) > 50


@settings(max_examples=25)
@given(st.sampled_from(sorted(MIXES)), st.integers(2, 9), st.integers(2, 6), st.integers(0, 2**30))
def test_mixed_labels_say_what_the_images_are(
    mix: str, count: int, classes: int, seed: int
) -> None:
    """Image k has the value k everywhere: its mean says how much of which two it is made of."""
    torch.manual_seed(seed)
    values = torch.arange(count, dtype=torch.uint8)
    images = values[:, None, None, None].expand(count, 1, 8, 8).contiguous()
    labels = torch.as_tensor(np.random.default_rng(seed).dirichlet(np.ones(classes), count)).float()
    floats, mixed = Augmentation(TrainConfig(policy="none", mix=mix), classes)(images, labels)
    assert mixed.shape == (count, classes)
    assert torch.allclose(mixed.sum(1), torch.ones(count), atol=1e-5)
    means = floats.mean((1, 2, 3)) * 255
    for index in range(count):
        partner = (index - 1) % count
        share = float(means[index] - partner) / (index - partner)
        assert -1e-3 <= share <= 1 + 1e-3
        expected = share * labels[index] + (1 - share) * labels[partner]
        assert torch.allclose(mixed[index], expected, atol=1e-3)


def test_numbers_of_numpy_are_those_of_python() -> None:
    assert repr(TrainConfig(weight_decay=np.float64(0.5))) == repr(TrainConfig(weight_decay=0.5))
    assert type(TrainConfig(weight_decay=np.float32(0.5)).weight_decay) is float
    assert TrainConfig(standardize=np.bool_(False)).standardize is False  # type: ignore[arg-type]


def test_mixing_comes_after_the_policy() -> None:
    torch.manual_seed(7)
    config = TrainConfig(policy="rotate-scale-flip", automatic="randaugment", mix="cutmix")
    floats, labels = augment(stored(12, (3, 16, 16)), config)
    assert floats.shape == (12, 3, 16, 16)
    assert float(floats.min()) >= 0 and float(floats.max()) <= 1
    assert torch.allclose(labels.sum(1), torch.ones(12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": "spin"}, "policy: expected one of none, shift, .*, got 'spin'"),
        ({"policy": None}, "policy: expected one of none, shift, .*, got None"),
        ({"automatic": "auto"}, "automatic: expected one of randaugment, .*, got 'auto'"),
        ({"mix": "blend"}, "mix: expected one of mixup, cutmix, got 'blend'"),
        ({"mix": ["mixup", "cutmix"]}, r"mix: expected one of mixup, cutmix, got \['mixup'"),
        ({"standardize": 1}, "standardize: expected True or False, got 1"),
        ({"learning_rate": "0.1"}, "learning_rate: expected a number above 0, got '0.1'"),
        ({"weight_decay": -1e-3}, "weight_decay: expected a number of at least 0, got -0.001"),
        ({"label_smoothing": 1.5}, "label_smoothing: expected at most 1, got 1.5"),
    ],
)
def test_wrong_recipes_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainConfig(**options)
