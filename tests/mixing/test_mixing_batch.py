"""MixSynthetic on batches: forms of images, labels and samples; chains; pairing; nothing waits."""

import copy
import math
import pickle
from collections import OrderedDict, UserDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixing_images import CLASSES, MADE, MixingCollate, make_pool, stored
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset, default_collate
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2._utils import _find_labels_default_heuristic

from synthaug.core import InputError
from synthaug.data import Samples
from synthaug.mixing import MixSynthetic
from synthaug.pool import SamplePool

SOFT = np.random.default_rng(0).dirichlet(np.ones(3), 12).astype(np.float32)
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]


@pytest.fixture
def pool(tmp_path: Path) -> SamplePool:
    return make_pool(tmp_path, 3)


@pytest.fixture
def soft_pool(tmp_path: Path) -> SamplePool:
    samples = Samples(stored(MADE, 150, 3), MADE, SOFT)
    return SamplePool.from_samples(tmp_path / "soft", samples, CLASSES)


def batch(size: int = 16, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Uint8 images (B, 3, 8, 9) below 100, each of its own number, and their labels."""
    images = torch.arange(size, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, 8, 9)
    labels = torch.randint(3, (size,), generator=torch.Generator().manual_seed(seed))
    return images, labels


def first(images: torch.Tensor) -> torch.Tensor:
    return images[:, 0, 0, 0]


def made_of(images: torch.Tensor) -> torch.Tensor:
    """Which images are synthetic, bool (B,)."""
    return first(images) >= (150 if not images.is_floating_point() else 150 / 255)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_floats_are_the_pools_images_scaled(pool: SamplePool, dtype: torch.dtype) -> None:
    images, labels = batch()
    mixed, after = MixSynthetic(pool, 0.5)((images / 255).to(dtype), labels)
    assert mixed.dtype == dtype
    made = made_of(mixed)
    assert int(made.sum()) == 8
    assert torch.equal(mixed[~made], (images / 255).to(dtype)[~made])
    numbers = (first(mixed)[made].float() * 255).round().long() - 150
    wanted = torch.as_tensor(pool.samples.images[numbers.numpy()]) / 255
    torch.testing.assert_close(mixed[made].float(), wanted, atol=0.004, rtol=0)
    assert torch.equal(after, labels)
    assert (torch.as_tensor(MADE)[numbers] == labels[made]).all()


def test_normalised_batches_get_normalised_images(pool: SamplePool) -> None:
    images, labels = batch()
    normalize = v2.Normalize(MEAN, STD)
    torch.manual_seed(1)
    after = MixSynthetic(pool, mean=MEAN, std=STD)(normalize(images / 255), labels)[0]
    torch.manual_seed(1)
    before = normalize(MixSynthetic(pool)(images / 255, labels)[0])
    torch.testing.assert_close(after, before)
    plain = MixSynthetic(pool, mean=0.0, std=1.0)(images / 255, labels)[0]  # changes nothing
    assert made_of(plain).sum() == 8
    single = MixSynthetic(pool, mean=0.5, std=0.25)(images / 255 * 4 - 2, labels)[0]
    assert made_of(single / 4 + 0.5).sum() == 8


def test_deep_images_keep_their_bits(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    images = torch.as_tensor(stored(np.zeros(10, int), 0, 1, np.uint16))
    labels = torch.arange(10) % 3
    mixed, _ = MixSynthetic(pool, 0.5)(images, labels)
    assert mixed.dtype == torch.uint16
    values = mixed.numpy().astype(int)
    made = values[:, 0, 0, 0] >= 150 * 257
    assert made.sum() == 5
    assert (values[made] == pool.samples.images[values[made, 0, 0, 0] // 257 - 150]).all()
    floats, _ = MixSynthetic(pool, 1.0)(images.float() / 65535, labels)
    assert (floats[:, 0, 0, 0] * 255).round().min() >= 150


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_the_share_is_right_on_average(pool: SamplePool, ratio: float) -> None:
    mix, size, turns = MixSynthetic(pool, ratio), 13, 200
    counts = np.array([int(made_of(mix(*batch(size))[0]).sum()) for _ in range(turns)])
    assert set(counts) <= {math.floor(ratio * size), math.ceil(ratio * size)}
    assert abs(counts.mean() / size - ratio) < 4 * 0.5 / size / math.sqrt(turns) + 1e-9
    mix.ratio = 1.0  # as a schedule would
    assert made_of(mix(*batch(size))[0]).all()


def test_a_batch_is_changed_with_probability_p(pool: SamplePool) -> None:
    mix = MixSynthetic(pool, 1.0, p=0.3)
    changed = [bool(made_of(mix(*batch())[0]).all()) for _ in range(300)]
    assert abs(np.mean(changed) - 0.3) < 4 * math.sqrt(0.21 / 300)
    never = MixSynthetic(pool, 1.0)
    never.p = 0.0  # as timm's loops switch Mixup off for the last epochs
    assert not made_of(never(*batch())[0]).any()


def test_the_batch_that_came_in_is_left_alone(pool: SamplePool) -> None:
    images, labels = batch()
    rows = torch.nn.functional.one_hot(labels, 3).float()
    MixSynthetic(pool, 1.0)(images, rows)
    assert torch.equal(first(images), torch.arange(16).byte())
    assert torch.equal(rows.argmax(1), labels)


@pytest.mark.parametrize("rule", ["hard", "soft", "mixed"])
@pytest.mark.parametrize("form", ["(B,)", "(B, 1)", "int32", "(B, K)"])
def test_labels(soft_pool: SamplePool, rule: Any, form: str) -> None:
    images, labels = batch()
    given = {
        "(B,)": labels,
        "(B, 1)": labels[:, None],
        "int32": labels.int(),
        "(B, K)": torch.nn.functional.one_hot(labels, 3).double(),
    }[form]
    mixed, after = MixSynthetic(soft_pool, 0.5, labels=rule)(images, given)
    made = made_of(mixed)
    if rule == "hard" and form != "(B, K)":
        assert torch.equal(after, given) and after.dtype == given.dtype
        return
    assert after.dtype == (torch.float64 if form == "(B, K)" else torch.float32)
    assert after.shape == (16, 3)
    one_hot = torch.nn.functional.one_hot(labels, 3).to(after.dtype)
    assert torch.equal(after[~made], one_hot[~made])
    soft = torch.as_tensor(SOFT)[first(mixed)[made].long() - 150].to(after.dtype)
    share = {"hard": 0.0, "soft": 1.0, "mixed": 0.5}[rule]
    torch.testing.assert_close(after[made], share * soft + (1 - share) * one_hot[made])
    skipped = MixSynthetic(soft_pool, 0.5, labels=rule, p=0.0)(images, given)[1]
    assert torch.equal(skipped, one_hot)  # one form, whether a batch is changed or not


def test_more_classes_than_the_pool_has(pool: SamplePool) -> None:
    mix = MixSynthetic(pool, 1.0, num_classes=5)
    images, labels = batch()
    _, rows = mix(images, torch.nn.functional.one_hot(labels, 5).float())
    assert rows.shape == (16, 5) and torch.equal(rows.argmax(1), labels)


def test_probabilities_choose_the_class(pool: SamplePool) -> None:
    """Where labels are mixed already, classes stay as frequent as they are."""
    images = batch(600)[0]
    rows = torch.tensor([0.6, 0.3, 0.1]).repeat(600, 1)
    torch.manual_seed(0)
    mixed, after = MixSynthetic(pool, 1.0)(images, rows)
    classes = torch.as_tensor(MADE)[first(mixed).long() - 150]
    assert torch.equal(after.argmax(1), classes)
    found = np.bincount(classes, minlength=3) / 600
    assert np.abs(found - [0.6, 0.3, 0.1]).max() < 4 * math.sqrt(0.25 / 600)


def test_weights_say_how_often_an_image_is_drawn(tmp_path: Path) -> None:
    weights = np.where(np.arange(12) == 1, 0.0, np.arange(12) + 1).astype(np.float32)
    samples = Samples(stored(MADE, 150, 3), MADE, weights=weights)
    pool = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    torch.manual_seed(0)
    mixed, _ = MixSynthetic(pool, 1.0)(batch(100)[0].repeat(40, 1, 1, 1), torch.zeros(4000).long())
    found = np.bincount(first(mixed) - 150, minlength=12) / 4000
    wanted = np.where(MADE == 0, weights, 0) / weights[MADE == 0].sum()
    assert np.abs(found - wanted).max() < 4 * math.sqrt(0.25 / 4000)


def test_samples_of_any_structure(pool: SamplePool) -> None:
    images, labels = batch()
    mix = MixSynthetic(pool, 0.5)
    for given in ((images, labels), [images, labels]):
        out = mix(given)
        assert type(out) is type(given) and made_of(out[0]).sum() == 8
    named = OrderedDict(index=torch.arange(16), image=images, fine_label=labels, name=["a"] * 16)
    out = mix(named)
    assert type(out) is OrderedDict and list(out) == list(named)
    assert made_of(out["image"]).sum() == 8
    assert out["index"] is named["index"] and out["name"] == named["name"]
    nested = {
        "view": {"pixels": tv_tensors.Image(images)},
        "meta": (torch.zeros(16, 1, 1, 1), labels),
    }
    getter = MixSynthetic(pool, 0.5, labels_getter=lambda sample: sample["meta"][1])
    out = getter(nested)
    assert type(out["view"]["pixels"]) is tv_tensors.Image
    assert made_of(out["view"]["pixels"]).sum() == 8
    assert out["meta"][0] is nested["meta"][0]  # type: ignore[index]


@pytest.mark.parametrize(
    "sample",
    [
        ("images", torch.zeros(2)),
        ("images", {"LABELS": torch.zeros(2), "labels2": torch.ones(2)}),
        {"a": 0, "fineLabel": torch.zeros(2), "other_label": torch.ones(2)},
        {"label": torch.zeros(2), "Labels": torch.ones(2)},
    ],
)
def test_labels_are_found_where_torchvision_finds_them(pool: SamplePool, sample: Any) -> None:
    mix = MixSynthetic(pool)
    found = mix._labels_getter(sample)  # type: ignore[operator]
    assert found is _find_labels_default_heuristic(sample)


def test_in_a_loader_and_in_compose(pool: SamplePool) -> None:
    images, labels = batch(32)
    torch.manual_seed(0)
    chain = v2.Compose([MixSynthetic(pool, 0.5), v2.ToDtype(torch.float32, scale=True)])
    data = TensorDataset(images, labels)
    loader = DataLoader(data, batch_size=8, collate_fn=lambda items: chain(*default_collate(items)))
    for mixed, after in loader:
        assert mixed.dtype == torch.float32 and after.shape == (8,)
        assert made_of(mixed).sum() == 4
    for mixed, _ in (chain(each) for each in DataLoader(data, batch_size=8)):
        assert made_of(mixed).sum() == 4


@pytest.mark.parametrize("other", [v2.CutMix(num_classes=3), v2.MixUp(num_classes=3)])
@pytest.mark.parametrize("before", [True, False])
def test_chains_with_cutmix_and_mixup(pool: SamplePool, other: Any, before: bool) -> None:
    images, labels = batch(32)
    mix = MixSynthetic(pool, 0.25)
    chain = v2.Compose([mix, other] if before else [other, mix])
    out, rows = chain(images / 255, labels)
    assert out.shape == images.shape and rows.shape == (32, 3)
    torch.testing.assert_close(rows.sum(1), torch.ones(32))
    if not before:  # whole synthetic images, with labels that are certain
        made = made_of(out)
        assert made.sum() == 8
        assert set(rows[made].max(1).values.tolist()) == {1.0}


@pytest.mark.parametrize(
    "pair", [lambda x: x.roll(1, 0), lambda x: x.flip(0)], ids=["roll", "flip"]
)
def test_no_more_synthetic_images_are_paired_than_chance_pairs(pool: SamplePool, pair: Any) -> None:
    """CutMix and MixUp pair neighbours, timm's the first with the last."""
    mix, size, turns, together = MixSynthetic(pool, 0.5), 16, 400, 0
    for _ in range(turns):
        made = made_of(mix(*batch(size))[0])
        together += int((made & pair(made)).sum())
    chance = 0.5 * (size / 2 - 1) / (size - 1)
    bound = 4 * math.sqrt(chance / (size * turns / 2))
    assert abs(together / (size * turns) - chance) < bound


def test_random_numbers_are_torchs(pool: SamplePool) -> None:
    def draw(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return first(MixSynthetic(pool, 0.5)(*batch())[0]).tolist()

    assert draw(0) == draw(0) != draw(1)


def test_copies_hold_nothing_of_a_device(pool: SamplePool) -> None:
    mix = MixSynthetic(pool, 0.5)
    mix(*batch())
    for again in (copy.deepcopy(mix), pickle.loads(pickle.dumps(mix))):
        assert again._banks == {} and mix._banks
        torch.manual_seed(0)
        one = again(*batch())[0]
        torch.manual_seed(0)
        assert torch.equal(one, mix(*batch())[0])
    assert "ratio=0.5" in repr(mix) and str(pool.directory) in repr(mix)


def test_memory_format_is_kept(pool: SamplePool) -> None:
    images, labels = batch()
    out = MixSynthetic(pool)(images.float().div(255).to(memory_format=torch.channels_last), labels)[
        0
    ]
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1.5}, "ratio: expected a number from 0 to 1, got 1.5"),
        ({"p": -1}, "p: expected a number from 0 to 1, got -1"),
        ({"labels": "odd"}, "labels: expected one of hard, soft, mixed, got 'odd'"),
        ({"labels": "soft"}, "labels='soft': the pool holds no soft .*SamplePool.create.*teacher="),
        ({"ratio": True}, "ratio: expected a number from 0 to 1, got True"),
        ({"num_classes": 2}, "num_classes: expected an integer of at least 3, got 2"),
        ({"num_classes": 4.5}, "num_classes: expected an integer of at least 3, got 4.5"),
        ({"mean": 0.5}, "mean, std: expected both or neither"),
        ({"mean": 0.5, "std": 0.0}, "mean, std: expected one number or 3, .* std above 0"),
        ({"mean": [0.5, 0.5], "std": 1}, "expected one number or 3, one a channel"),
        ({"mean": "half", "std": 1}, "expected one number or 3, .* got half and 1"),
        ({"mean": 0.5, "std": float("nan")}, "expected one number or 3, .* got 0.5 and nan"),
        ({"labels_getter": "second"}, 'labels_getter: expected "default" or a function'),
    ],
)
def test_wrong_options_are_refused(pool: SamplePool, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MixSynthetic(pool, **options)


@pytest.mark.parametrize("seed", range(10))
def test_some_of_a_normalised_batch_may_be_erased_with_noise(pool: SamplePool, seed: int) -> None:
    """As timm's loaders do after they normalised it."""
    normalized = (IMAGES / 255 - 0.5) / 0.2
    stream = torch.Generator().manual_seed(seed)
    for index in torch.randperm(len(IMAGES), generator=stream)[:4]:
        normalized[index, :, 2:6, 3:7] = 3 * torch.randn(3, 4, 4, generator=stream)
    MixSynthetic(pool, mean=0.5, std=0.2)(normalized, LABELS)
    with pytest.raises(InputError, match="do not bring there; if these are right, place Mix"):
        MixSynthetic(pool, mean=0.5, std=0.9)(normalized, LABELS)


IMAGES, LABELS = batch()
ROWS = torch.nn.functional.one_hot(LABELS, 3).float()
BOXES = tv_tensors.BoundingBoxes(torch.ones(16, 4), format="XYXY", canvas_size=(8, 9))


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        ({}, (IMAGES[:, :1], LABELS), r"pool holds \(3, 8, 9\), the batch \(1, 8, 9\); make"),
        ({}, (IMAGES.int(), LABELS), "pool holds uint8, the batch torch.int32"),
        ({}, (IMAGES.float() - 50, LABELS), r"floats from -50\.00 to -35\.00; place MixSynthetic"),
        (
            {"mean": 0.5, "std": 0.2},
            (IMAGES.float() - 50, LABELS),
            r"floats from -50\.00 to -35\.00, which mean=0\.5 and std=0\.2 do not bring there",
        ),
        ({"mean": 0.5, "std": 0.2}, (IMAGES / 255, LABELS), "as if it were not normalised; leave"),
        ({}, (IMAGES, LABELS + 1), "holds the classes 0 to 2, the batch has labels from 1 to 3"),
        ({}, (IMAGES, LABELS - 1), "holds the classes 0 to 2, the batch has labels from -1 to 1"),
        (
            {"num_classes": 5},
            (IMAGES, torch.full((16, 5), 0.2)),
            "the classes 0 to 2, the batch has probabilities of others, up to 4",
        ),
        ({}, (IMAGES, ROWS * 2), r"sum to 1 in each row, got a sum of 2\.00; of several labels"),
        ({}, (IMAGES, ROWS * 0), r"sum to 1 in each row, got a sum of 0\.00"),
        (
            {},
            {"image": IMAGES, "mask": tv_tensors.Mask(IMAGES[:, 0]), "label": LABELS},
            r"Mask \(16, 8, 9\): belongs to the real images .* so leave it out of the batch",
        ),
        (
            {},
            {"image": IMAGES, "boxes": BOXES, "label": LABELS},
            r"BoundingBoxes \(16, 4\): belongs to the real images",
        ),
        ({}, ([IMAGES, IMAGES.clone()], LABELS), r"got \(16, 3, 8, 9\) and .*use MixedDataset"),
        (
            {},
            ([IMAGES, IMAGES[..., :4]], LABELS),
            r"got \(16, 3, 8, 9\) and \(16, 3, 8, 4\): views",
        ),
        ({}, (IMAGES, LABELS, IMAGES[:, 0]), r"^\(16, 8, 9\): looks like masks of the images"),
        ({}, (IMAGES, LABELS, IMAGES[:, :1]), r"\(16, 1, 8, 9\): views and masks would no longer"),
        ({}, (IMAGES[:0], LABELS[:0]), "images: expected at least one, got an empty batch"),
        ({}, ((IMAGES / 255).requires_grad_(), LABELS), "got ones that require a gradient"),
        (
            {"labels_getter": lambda batch: batch[1].double()},
            (IMAGES, torch.nn.functional.one_hot(LABELS, 3)),
            "labels_getter: expected an item of the batch, .* got another tensor",
        ),
        ({}, (IMAGES, LABELS[:9]), "a label for each image, got 16 and 9"),
        ({}, (IMAGES, LABELS.to("meta")), "where the images are, on cpu, got them on meta"),
        ({}, (IMAGES, LABELS.float()), r"integers \(B,\) or .* got torch.float32 \(16,\)"),
        ({}, (IMAGES, torch.zeros(16, 4)), r"probabilities \(B, 3\), got torch.float32 \(16, 4\)"),
        ({}, (IMAGES, LABELS.tolist()), "no labels found: expected"),
        ({}, (IMAGES[0], 1), "no labels found: .* for images one by one use MixedDataset"),
        ({}, IMAGES[0], r"got a tensor \(.*\) alone; .* collate_fn; for images one by one use Mix"),
        (
            {},
            {"image": IMAGES, "target": LABELS},
            "a key that contains 'label'; give labels_getter",
        ),
        ({}, {"image": IMAGES, "label": [1, 2]}, "labels: expected a tensor, got list"),
        ({}, UserDict(image=IMAGES, label=LABELS), r"UserDict cannot be .*; give dict\(batch\)"),
        ({}, (Image.new("L", (9, 8)), LABELS), "got PIL images; use it after the DataLoader"),
        ({}, (IMAGES[0], LABELS), r"expected a tensor \(B, C, H, W\), got shapes \[\(3, 8, 9\)\]"),
    ],
)
def test_what_does_not_match_is_refused(
    pool: SamplePool, options: dict[str, Any], given: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        MixSynthetic(pool, **options)(given)


@pytest.mark.parametrize(("name", "value"), [("ratio", -0.1), ("ratio", 1.7), ("p", 7)])
def test_what_is_set_later_is_checked(pool: SamplePool, name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name}: expected a number from 0 to 1, got {value}"):
        setattr(MixSynthetic(pool), name, value)


@pytest.mark.parametrize(
    ("good", "wrong", "message"),
    [
        (LABELS, -1, "the pool holds the classes 0 to 2, the batch has"),
        (LABELS, 3, "the pool holds the classes 0 to 2, the batch has"),
        (ROWS, 1.0, "expected probabilities that sum to 1 in each row, got a sum of 3"),
    ],
)
def test_labels_of_later_batches_are_looked_at_too(
    pool: SamplePool, good: torch.Tensor, wrong: float, message: str
) -> None:
    mix, labels = MixSynthetic(pool), good.clone()
    mix(IMAGES, labels)
    labels[5] = wrong
    with pytest.raises(InputError, match=message):
        mix(IMAGES, labels)


def test_labels_that_stay_as_they_are_may_be_derived(pool: SamplePool) -> None:
    images, labels = batch()
    mix = MixSynthetic(pool, 0.5, labels_getter=lambda given: given[1].argmax(1))
    mixed, rows = mix(images, torch.nn.functional.one_hot(labels, 3))
    made = made_of(mixed)
    assert made.sum() == 8
    assert (torch.as_tensor(MADE)[first(mixed)[made].long() - 150] == rows.argmax(1)[made]).all()


@pytest.mark.parametrize("how", ["fork", "forkserver"])
def test_workers_that_stay_alive_follow_the_ratio(pool: SamplePool, how: str) -> None:
    mix = pickle.loads(pickle.dumps(MixSynthetic(pool, 1.0)))
    loader = DataLoader(
        TensorDataset(*batch()),
        batch_size=16,
        collate_fn=MixingCollate(mix),
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context=how,
    )
    for ratio in (1.0, 0.0):
        mix.ratio = ratio
        [(images, _)] = loader
        assert made_of(images).all() == made_of(images).any() == (ratio == 1.0)


@pytest.mark.parametrize("options", [{}, {"mean": MEAN, "std": STD}], ids=["plain", "normalised"])
def test_torchs_default_device_changes_nothing_for_batches_on_the_cpu(
    pool: SamplePool, options: dict[str, Any]
) -> None:
    """A worker, where such batches are made, could not use a GPU that its parent uses."""
    images, labels = batch()
    for given in (images, v2.Normalize(MEAN, STD)(images / 255) if options else images / 255):
        torch.manual_seed(1)
        expected, _ = MixSynthetic(pool, 0.5, **options)(given, labels)
        torch.manual_seed(1)
        with torch.device("meta"):  # as torch.set_default_device("cuda")
            mixed, _ = MixSynthetic(pool, 0.5, **options)(given, labels)
        assert torch.equal(mixed, expected)


@pytest.mark.usefixtures("gpu")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rule", ["hard", "soft", "mixed"])
def test_on_cuda_nothing_waits_for_the_device(
    soft_pool: SamplePool, dtype: torch.dtype, rule: Any
) -> None:
    images, labels = batch()
    images = images if dtype == torch.uint8 else (images / 255).to(dtype)
    images, labels = images.cuda(), labels.cuda()
    mix = MixSynthetic(soft_pool, 0.5, labels=rule)
    mix(images, labels)  # looks at values, and puts the pool on the device
    torch.cuda.set_sync_debug_mode("error")
    try:
        mixed, after = mix(images, labels)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    made = made_of(mixed)
    assert mixed.is_cuda and after.is_cuda and int(made.sum()) == 8
    classes = after if after.ndim == 1 else None
    numbers = (first(mixed)[made].float() * (1 if dtype == torch.uint8 else 255)).round().long()
    if classes is not None:
        assert (torch.as_tensor(MADE)[numbers.cpu() - 150] == classes[made].cpu()).all()


@pytest.mark.usefixtures("gpu")
def test_on_cuda_deep_images_keep_their_bits(tmp_path: Path) -> None:
    pool = make_pool(tmp_path, 1, np.uint16)
    images = torch.as_tensor(stored(np.zeros(10, int), 0, 1, np.uint16)).cuda()
    labels = (torch.arange(10) % 3).cuda()
    mixed, _ = MixSynthetic(pool, 1.0)(images, labels)
    values = mixed.cpu().numpy().astype(int)
    assert (values == pool.samples.images[values[:, 0, 0, 0] // 257 - 150]).all()


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64, torch.uint8])
def test_unsigned_labels_are_labels(pool: SamplePool, dtype: torch.dtype) -> None:
    images, labels = batch()
    mixed, after = MixSynthetic(pool, 0.5)(images, labels.to(dtype))
    assert after.dtype == dtype and int(made_of(mixed).sum()) == 8


def test_what_is_settled_at_the_start_is_not_changed_in_vain(soft_pool: SamplePool) -> None:
    mix = MixSynthetic(soft_pool, labels="soft")
    for name, value in (("labels", "hard"), ("num_classes", 7), ("pool", soft_pool)):
        with pytest.raises(AttributeError):
            setattr(mix, name, value)
    torch.set_default_dtype(torch.float64)
    try:
        rows = mix(*batch())[1]
    finally:
        torch.set_default_dtype(torch.float32)
    assert rows.dtype == torch.float32


def test_12_of_16_bits_are_not_mixed_in_far_too_dark(tmp_path: Path) -> None:
    samples = Samples(stored(MADE, 150, 1).astype(np.uint16) * 16, MADE)
    pool = SamplePool.from_samples(tmp_path / "deep", samples, CLASSES)
    images, labels = batch()
    floats = images[:, :1].float() * 100 / 4095
    with pytest.raises(InputError, match=r"too dark.*mean=0\.0, std=0\.06249"):
        MixSynthetic(pool)(floats, labels)
    made = MixSynthetic(pool, 1.0, mean=0.0, std=4095 / 65535)(floats, labels)[0]
    assert float(made.min()) >= 150 * 16 / 4095 and float(made.max()) < 1
