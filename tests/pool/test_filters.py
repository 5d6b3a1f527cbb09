"""Filters: what they keep, in whose distances, and how a pool is filled through them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synthaug import LabelledImages, RandomField, SamplePool, Samples, StyleSwap, read_images
from synthaug.core import InputError
from synthaug.data import draw_subset, to_float
from synthaug.metrics import features, nearest_other
from synthaug.pool import ClassifierAgreement, DistanceFilter, MemorizationFilter, limit_filters


@pytest.fixture(scope="module")
def real() -> LabelledImages:
    data = read_images("digits", image_size=8)
    return data.subset(draw_subset(data, 12, seed=0))


def usual(real: LabelledImages, label: int) -> float:
    """The median distance to the nearest other image of the class, by all pairs."""
    points = real.images[real.labels == label].reshape(-1, 64) / 255
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float(np.median(apart.min(1)))


def distances(samples: Samples, real: LabelledImages) -> np.ndarray:
    found = []
    for image, label in zip(samples.images, samples.labels, strict=True):
        points = real.images[real.labels == label].reshape(-1, 64) / 255
        found.append(
            np.linalg.norm(points - image.reshape(64) / 255, axis=1).min() / usual(real, label)
        )
    return np.array(found)


def test_distances_are_multiples_of_the_usual_one_of_the_class(real: LabelledImages) -> None:
    samples = StyleSwap(cells=2).fit(real, device="cpu").sample(8)
    expected = distances(samples, real)
    for factor in (0.3, 0.6, 1.0):
        assert (
            MemorizationFilter(factor).keep(samples, real).tolist() == (expected >= factor).tolist()
        )
        assert DistanceFilter(factor).keep(samples, real).tolist() == (expected <= factor).tolist()
    assert 0 < (expected >= 0.6).mean() < 1


def test_what_is_usual_is_worked_out_once_for_the_same_images(
    real: LabelledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(images: np.ndarray, *given: Any) -> np.ndarray:
        asked.append(len(images))
        return nearest_other(images, *given)

    monkeypatch.setattr("synthaug.pool.filters.nearest_other", counted)
    rule, samples = DistanceFilter(), StyleSwap(cells=2).fit(real, device="cpu").sample(2)
    first = rule.keep(samples, real)
    assert rule.keep(samples, real).tolist() == first.tolist()
    assert len(asked) == 10
    others = LabelledImages(255 - real.images[::-1], real.labels[::-1], real.classes)
    found = rule.keep(samples, others).tolist()
    assert found == DistanceFilter().keep(samples, others).tolist()
    assert rule.keep(samples, real).tolist() == first.tolist()


def test_copies_are_dropped_and_noise_is_dropped(real: LabelledImages) -> None:
    copies = Samples(real.images, real.labels)
    assert not MemorizationFilter().keep(copies, real).any()
    assert DistanceFilter().keep(copies, real).all()
    noise = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8), dtype=np.uint8)
    odd = Samples(noise, np.arange(50) % 10)
    assert MemorizationFilter().keep(odd, real).all()
    assert not DistanceFilter(1.5).keep(odd, real).any()


def test_images_that_are_there_twice_change_nothing(real: LabelledImages) -> None:
    twice = real.subset(np.repeat(np.arange(len(real)), 2))
    samples = StyleSwap(cells=2).fit(real, device="cpu").sample(8)
    for each in (DistanceFilter(0.8), MemorizationFilter(0.8)):
        np.testing.assert_array_equal(each.keep(samples, twice), each.keep(samples, real))


def test_agreement_asks_a_network_where_its_weights_are() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)).to("meta")
    samples = Samples(np.zeros((2, 1, 8, 8), np.uint8), [0, 1])
    with pytest.raises(NotImplementedError, match="meta"):  # it went there, where nothing is
        ClassifierAgreement(network).keep(samples, None)


@pytest.mark.parametrize("rule", [DistanceFilter, MemorizationFilter])
def test_distances_are_taken_where_the_weights_of_a_network_are(
    real: LabelledImages, rule: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU, for instance, as far as a machine without one can show it."""
    places: list[str] = []

    def noted(images: np.ndarray, device: Any) -> torch.Tensor:
        places.append(str(device))
        return to_float(images)

    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    monkeypatch.setattr(features, "to_float", noted)
    monkeypatch.setattr(features, "device_of", lambda given: given is network and "its own")
    rule(features=network).keep(Samples(real.images, real.labels), real)
    assert set(places) == {"its own"}


def test_an_image_of_another_class_is_no_copy(real: LabelledImages) -> None:
    swapped = Samples(real.images, (real.labels + 1) % 10)
    assert MemorizationFilter().keep(swapped, real).mean() > 0.9


def test_distances_can_be_taken_in_other_features(real: LabelledImages) -> None:
    brighter = Samples((real.images // 2 + 100).astype(np.uint8), real.labels)

    def shape(images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        flat = flat - flat.mean(1, keepdim=True)
        return flat / flat.norm(dim=1, keepdim=True)

    assert MemorizationFilter().keep(brighter, real).all()
    assert not MemorizationFilter(features=shape).keep(brighter, real).any()


def test_agreement_wants_the_class_and_the_confidence() -> None:
    samples = Samples(np.zeros((600, 1, 8, 8), np.uint8), np.arange(600) % 3)
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.5, 0.0], [9.0, 0.0, 0.0]])
    place = iter(range(0, 10_000, 256))

    def network(images: torch.Tensor) -> torch.Tensor:
        start = next(place)
        return logits[(torch.arange(len(images)) + start) % 3]

    kept = ClassifierAgreement(network).keep(samples, None)
    assert kept.tolist() == [True, True, False] * 200
    place = iter(range(0, 10_000, 256))
    assert (
        ClassifierAgreement(network, 0.6).keep(samples, None).tolist() == [True, False, False] * 200
    )


def test_agreement_of_a_network_in_training_mode_does_not_change(real: LabelledImages) -> None:
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.BatchNorm1d(64), torch.nn.Dropout(), torch.nn.Linear(64, 10)
    )
    mean = network[1].running_mean.clone()
    samples = Samples(real.images, real.labels)
    kept = [ClassifierAgreement(network).keep(samples, real).tolist() for _ in range(2)]
    assert kept[0] == kept[1]
    assert network.training and torch.equal(network[1].running_mean, mean)
    features = [DistanceFilter(1.0, network).keep(samples, real).tolist() for _ in range(2)]
    assert features[0] == features[1]
    assert network.training and torch.equal(network[1].running_mean, mean)


def test_agreement_with_a_network_of_other_classes_is_refused(real: LabelledImages) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 12))
    with pytest.raises(InputError, match="network: expected 10 columns, one a class, got 12"):
        ClassifierAgreement(network).keep(Samples(real.images, real.labels), real)


@pytest.mark.parametrize(
    ("answer", "got"),
    [(lambda x: x.mean((1, 2, 3)), r"\(64,\)"), (lambda x: (x,), "tuple"), (lambda x: x, "8, 8")],
)
def test_what_is_no_row_for_each_image_is_refused(
    real: LabelledImages, answer: Any, got: str
) -> None:
    samples = Samples(real.images, real.labels)
    with pytest.raises(InputError, match=rf"network: expected shape \(64, D\), got .*{got}"):
        ClassifierAgreement(answer).keep(samples, real)
    with pytest.raises(InputError, match=r"features: expected shape \(12, D\), got "):
        DistanceFilter(features=answer).keep(samples, real)


def test_what_a_filter_cannot_compare_with_is_refused(real: LabelledImages) -> None:
    samples = Samples(real.images, real.labels)
    with pytest.raises(InputError, match=r"reference: expected LabelledImages, .* got NoneType"):
        DistanceFilter().keep(samples, None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="labels: expected 0 to 9 for 10 classes, got 10"):
        MemorizationFilter().keep(Samples(real.images, real.labels + 1), real)
    with pytest.raises(InputError, match="network: expected a function of images, got 'resnet'"):
        ClassifierAgreement("resnet").keep(samples, real)  # type: ignore[arg-type]


def test_a_pool_is_filled_through_filters(real: LabelledImages, tmp_path: Path) -> None:
    generator = RandomField().fit(real, device="cpu")
    filters = [MemorizationFilter(0.5), DistanceFilter(1.5)]
    pool = SamplePool.create(tmp_path / "pool", generator, 6, filters=filters, reference=real)
    assert np.bincount(pool.targets).tolist() == [6] * 10
    found = distances(pool.samples, real)
    assert found.min() >= 0.5 and found.max() <= 1.5
    assert pool.manifest["drawn"] > 60


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ClassifierAgreement(torch.nn.Identity(), 2),
            "confidence: expected a number from 0",
        ),
        (
            lambda: ClassifierAgreement(torch.nn.Identity(), "half"),
            "confidence: expected a number from 0 to 1, got 'half'",
        ),
        (lambda: DistanceFilter("2"), "at_most: expected a number above 0, got '2'"),
        (lambda: limit_filters({"memorization": None}), "at_least: expected a number above 0"),
        (lambda: DistanceFilter(0), "at_most: expected a number above 0, got 0"),
        (lambda: MemorizationFilter(float("inf")), "at_least: expected a number above 0, got inf"),
    ],
)
def test_wrong_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_class_of_one_image_says_nothing_of_distances(real: LabelledImages) -> None:
    one = real.subset(np.flatnonzero(real.labels != 3)[:1])
    samples = Samples(one.images, one.labels)
    with pytest.raises(InputError, match="class '9' has 1 different images, expected at least 2"):
        DistanceFilter().keep(samples, one)


def test_images_of_another_type_or_size_are_not_compared(real: LabelledImages) -> None:
    """12 bits in 16 look far from 8, so that copies would pass."""
    copies = Samples(real.images, real.labels)
    deep = LabelledImages(real.images.astype(np.uint16) * 16, real.labels, real.classes)
    wide = LabelledImages(real.images.repeat(2, 3), real.labels, real.classes)
    for other in (deep, wide):
        with pytest.raises(InputError, match="reference: expected uint8 images"):
            MemorizationFilter().keep(copies, other)
        with pytest.raises(InputError, match="reference: expected uint8 images"):
            generator = StyleSwap().fit(real, device="cpu")
            SamplePool.create("unused", generator, 1, filters=[DistanceFilter()], reference=other)
    with pytest.raises(InputError, match="samples: expected Samples, got LabelledImages"):
        DistanceFilter().keep(real, real)  # type: ignore[arg-type]


def test_one_image_many_times_says_nothing_of_distances(real: LabelledImages) -> None:
    same = LabelledImages(real.images[:1].repeat(6, 0), np.zeros(6, np.int64), ["a"])
    with pytest.raises(InputError, match="'a' has 1 different images, expected at least 2"):
        MemorizationFilter().keep(Samples(same.images, same.labels), same)


def test_limits_of_numpy_are_on_the_card(real: LabelledImages, tmp_path: Path) -> None:
    generator = StyleSwap().fit(real, device="cpu")
    filters = [DistanceFilter(np.float32(8)), MemorizationFilter(np.float32(0.5))]
    pool = SamplePool.create(tmp_path / "pool", generator, 1, filters=filters, reference=real)
    assert pool.manifest["limits"] == [{"at_most": 8.0}, {"at_least": 0.5}]
    assert type(ClassifierAgreement(by_label, np.float32(0.5)).confidence) is float


def by_label(images: torch.Tensor) -> torch.Tensor:
    """Classes in equal parts, one after the other, as `sample` gives them."""
    return torch.eye(10).repeat_interleave(len(images) // 10, 0)


def test_filters_say_what_they_keep() -> None:
    shown = [
        repr(each)
        for each in (DistanceFilter(3), MemorizationFilter(), ClassifierAgreement(by_label))
    ]
    assert shown == [
        "DistanceFilter(at_most=3.0)",
        "MemorizationFilter(at_least=0.25)",
        "ClassifierAgreement(confidence=0.0)",
    ]


def test_a_classifier_is_asked_where_devices_are_named_as_elsewhere(real: LabelledImages) -> None:
    samples = Samples(real.images, real.labels)
    order = np.argsort(samples.labels, kind="stable")[::2]  # few enough for one batch
    kept = ClassifierAgreement(by_label, device="auto" if not torch.cuda.is_available() else "cpu")
    assert kept.keep(samples.subset(order), real).all()
    with pytest.raises(InputError, match="device: expected auto, cpu, cuda"):
        ClassifierAgreement(by_label, device="tpu").keep(samples, real)
    with pytest.raises(InputError, match="network: labels: expected 0 to 1 for 2 classes, got"):
        ClassifierAgreement(lambda x: torch.zeros(len(x), 2)).keep(samples, None)
    with pytest.raises(InputError, match=r"network: cannot take floats \(64, 1, 8, 8\) on cpu"):
        ClassifierAgreement(torch.nn.Conv2d(3, 1, 1)).keep(samples, real)
    with pytest.raises(InputError, match=r"^network: expected shape \(64, D\), got ndarray"):
        ClassifierAgreement(lambda x: x.flatten(1).numpy()).keep(samples, real)


def test_what_a_filter_says_may_be_a_tensor(real: LabelledImages, tmp_path: Path) -> None:
    class Learned:
        def keep(self, samples: Samples, reference: LabelledImages) -> Any:
            return torch.ones(len(samples), dtype=torch.bool)

    generator = StyleSwap().fit(real, device="cpu")
    pool = SamplePool.create(tmp_path / "p", generator, 1, filters=[Learned()], reference=real)
    assert len(pool) == 10
