"""Pools on disk: what is written comes back, and nothing but a whole pool is opened."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import synthaug.pool.sample_pool as sample_pool
from synthaug.classifiers import train_classifier
from synthaug.core import MANIFEST, InputError
from synthaug.data import LabelledImages, Samples, to_float
from synthaug.generators import Blend, ConditionalVAE, RandomField, StyleSwap, load_generator
from synthaug.pool import ClassifierAgreement, DistanceFilter, SamplePool

CLASSES = ["ant", "bee", "cow"]


def make_samples(
    counts: tuple[int, ...] = (3, 1, 2),
    shape: tuple[int, int, int] = (1, 8, 9),
    dtype: Any = np.uint8,
    **changes: Any,
) -> Samples:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    top = np.iinfo(dtype).max
    images = np.random.default_rng(0).integers(0, top, (len(labels), *shape), dtype, True)
    return Samples(**{"images": images, "labels": labels, **changes})


def make_data(dtype: Any = np.uint8) -> LabelledImages:
    samples = make_samples((4, 4, 4), dtype=dtype)
    return LabelledImages(samples.images, samples.labels, CLASSES)


def base_of(array: np.ndarray) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_come_back(tmp_path: Path, dtype: Any, channels: int) -> None:
    samples = make_samples(shape=(channels, 8, 9), dtype=dtype)
    made = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES, source="a simulator")
    for pool in (made, SamplePool(tmp_path / "pool"), SamplePool(str(tmp_path / "pool"))):
        assert len(pool) == 6
        assert pool.classes == CLASSES
        assert pool.targets == samples.labels.tolist()
        assert pool.manifest["source"] == "a simulator"
        assert pool.manifest["per_class"] == [3, 1, 2]
        assert pool.samples.images.dtype == dtype
        assert np.array_equal(pool.samples.images, samples.images)
        assert pool.samples.soft_labels is None and pool.samples.weights is None
        for index in (0, 5, -1):
            image, label = pool[index]
            assert np.array_equal(image, samples.images[index])
            assert (label, type(label)) == (samples.labels[index], int)
        with pytest.raises(IndexError):
            pool[6]
        assert "6 images of 3 classes" in repr(pool)


def test_images_are_mapped_and_items_are_copies(tmp_path: Path) -> None:
    samples = make_samples()
    pool = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    assert isinstance(base_of(pool.samples.images), np.memmap)
    assert not pool.samples.images.flags.writeable
    pool[0][0][:] = 0
    assert np.array_equal(pool[0][0], samples.images[0])


def test_soft_labels_and_weights_come_back(tmp_path: Path) -> None:
    soft = np.random.default_rng(0).dirichlet(np.ones(3), 6).astype(np.float32)
    weights = np.array([0, 1, 2, 0.5, 3, 1], np.float32)
    samples = make_samples(soft_labels=soft, weights=weights)
    SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    read = SamplePool(tmp_path / "pool").samples
    assert read.soft_labels is not None and read.weights is not None
    assert np.array_equal(read.soft_labels, soft)
    assert np.array_equal(read.weights, weights)


@pytest.mark.parametrize(
    ("samples", "classes", "message"),
    [
        (make_samples(), CLASSES[:2], r"labels: expected 0 to 1 for 2 classes, got 2 at index \d"),
        (make_samples(), ["a", "b", "a"], r"classes: expected distinct names"),
        (
            make_samples(soft_labels=np.full((6, 2), 0.5)),
            CLASSES,
            r"soft_labels: expected shape \(6, 3\), a column per class, got \(6, 2\)",
        ),
        (make_samples((0, 0, 0)), CLASSES, "samples: expected at least one image, got none"),
        (make_data(), CLASSES, "samples: expected Samples, as .* got LabelledImages"),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    tmp_path: Path, samples: Samples, classes: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        SamplePool.from_samples(tmp_path / "pool", samples, classes)
    assert not list(tmp_path.iterdir())


def test_a_pool_of_a_generator(tmp_path: Path) -> None:
    generator = StyleSwap().fit(make_data(np.uint16), device="cpu")
    pool = SamplePool.create(tmp_path / "pool", generator, 5, seed=3)
    assert pool.targets == [0] * 5 + [1] * 5 + [2] * 5
    assert pool.classes == CLASSES
    assert pool.manifest["seed"] == 3
    assert pool.manifest["drawn"] == 15
    assert pool.manifest["source"] == generator.name
    assert pool.manifest["generator"] == json.loads(json.dumps(generator.metadata))
    assert np.array_equal(pool.samples.images, generator.sample(5, seed=3).images)
    other = SamplePool.create(tmp_path / "other", generator, 5, seed=4)
    assert not np.array_equal(other.samples.images, pool.samples.images)


def test_a_place_that_nothing_can_be_written_in_is_refused_before_sampling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = StyleSwap().fit(make_data(), device="cpu")
    monkeypatch.setattr(StyleSwap, "sample", lambda *_, **__: pytest.fail("sampled"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"pool: cannot write in .*file .*; name another place"):
        SamplePool.create(tmp_path / "file" / "pool", generator, 2)


def test_numbers_of_numpy_make_the_same_pool(tmp_path: Path) -> None:
    data = make_data()
    generator = StyleSwap().fit(data, device="cpu")
    one = SamplePool.create(tmp_path / "one", generator, data.counts.max(), seed=np.int64(3))  # type: ignore[arg-type]
    other = SamplePool.create(tmp_path / "other", generator, 4, seed=3)
    assert one.manifest == other.manifest
    with pytest.raises(InputError, match=r"seed: expected an integer, got 3\.0"):
        SamplePool.create(tmp_path / "one", generator, 4, seed=3.0)  # type: ignore[arg-type]


def test_the_source_is_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source: expected words for the card, got .*Path"):
        SamplePool.from_samples(tmp_path / "p", make_samples(), CLASSES, source=tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


class EvenSum:
    """Keeps images with an even sum of pixels, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.references: list[LabelledImages] = []

    def keep(self, samples: Samples, reference: LabelledImages) -> np.ndarray:
        self.seen.append(len(samples))
        self.references.append(reference)
        return samples.images.astype(int).sum((1, 2, 3)) % 2 == 0


class NoThirds:
    """Keeps images whose sum of pixels is no multiple of three."""

    def keep(self, samples: Samples, reference: LabelledImages) -> np.ndarray:
        return samples.images.astype(int).sum((1, 2, 3)) % 3 != 0


class NoBees:
    def keep(self, samples: Samples, reference: LabelledImages) -> np.ndarray:
        return samples.labels != 1


def test_filters_drop_some_and_every_class_is_full(tmp_path: Path) -> None:
    data = make_data()
    generator = StyleSwap().fit(data, device="cpu")
    rule = EvenSum()

    told: list[tuple[int, int]] = []

    def create(name: str) -> SamplePool:
        told.clear()
        return SamplePool.create(
            tmp_path / name,
            generator,
            12,
            filters=[rule, NoThirds()],
            reference=data,
            seed=1,
            progress=lambda done, known: told.append((done, known)),
        )

    pool = create("pool")
    sums = pool.samples.images.astype(int).sum((1, 2, 3))
    assert ((sums % 2 == 0) & (sums % 3 != 0)).all()
    assert pool.targets == [0] * 12 + [1] * 12 + [2] * 12
    assert all(reference is data for reference in rule.references)
    assert pool.manifest["drawn"] == sum(rule.seen) > 36
    assert len(np.unique(pool.samples.images, axis=0)) > 20  # the rounds differ
    assert told[-1] == (36, 36) and told == sorted(told) and len(told) > 1
    assert np.array_equal(create("again").samples.images, pool.samples.images)


class SoftGenerator(RandomField):
    """A generator whose samples have soft labels and weights."""

    def sample(self, labels: Any, **options: Any) -> Samples:
        samples = super().sample(labels, **options)
        soft = np.eye(3)[samples.labels] * 0.7 + 0.1
        weights = samples.images[:, 0, 0, 0] + 1.0
        return Samples(samples.images, samples.labels, soft, weights)


def test_filters_keep_soft_labels_and_weights(tmp_path: Path) -> None:
    data = make_data()
    generator = SoftGenerator().fit(data, device="cpu")
    pool = SamplePool.create(tmp_path / "p", generator, 6, filters=[EvenSum()], reference=data)
    samples = pool.samples
    assert samples.soft_labels is not None and samples.weights is not None
    assert np.array_equal(samples.soft_labels.argmax(1), samples.labels)
    assert np.array_equal(samples.weights, samples.images[:, 0, 0, 0] + 1.0)


def test_a_pool_knows_all_that_its_generator_learned_from(tmp_path: Path) -> None:
    data = make_data()
    other = replace(data, images=255 - data.images)
    small: dict[str, Any] = {"steps": 1, "width": 8, "batch_size": 4}
    ConditionalVAE(**small).fit(other, device="cpu").save(tmp_path / "start")
    warm = ConditionalVAE(**small).fit(data, device="cpu", start=tmp_path / "start")
    watched = ConditionalVAE(**small).fit(data, device="cpu", validation=other)
    warm.save(tmp_path / "warm start")
    again = ConditionalVAE(**small).fit(data, device="cpu", start=tmp_path / "warm start")
    watched.save(tmp_path / "watched start")
    after = ConditionalVAE(**small).fit(data, device="cpu", start=tmp_path / "watched start")
    mixed = Blend((ConditionalVAE(**small), StyleSwap()))
    both = Blend.of([warm, StyleSwap().fit(data, device="cpu")])
    both.save(tmp_path / "both start")
    blend = Blend((ConditionalVAE(**small), StyleSwap())).fit(data, device="cpu")
    expected = {
        "style": (StyleSwap().fit(data, device="cpu"), {data.fingerprint}),
        "warm": (warm, {data.fingerprint, other.fingerprint}),
        "both": (both, {data.fingerprint, other.fingerprint}),
        "blend": (blend, {data.fingerprint}),
        "watched": (watched, {data.fingerprint, "validation images"}),
        "again": (again, {data.fingerprint, other.fingerprint}),
        "after": (after, {data.fingerprint, "validation images"}),
        "mixed": (
            mixed.fit(data, device="cpu", start=tmp_path / "both start"),
            {data.fingerprint, other.fingerprint},
        ),
    }
    for name, (generator, origins) in expected.items():
        assert SamplePool.create(tmp_path / name, generator, 1).origins == origins
    rules: dict[str, Any] = {
        "": DistanceFilter(9.0),  # goes by pixels alone
        "DistanceFilter": DistanceFilter(9.0, lambda images: images.flatten(1)),
        "EvenSum": EvenSum(),
    }
    for name, rule in rules.items():
        style = StyleSwap().fit(data, device="cpu")
        chosen = SamplePool.create(tmp_path / "c", style, 1, filters=[rule], reference=other)
        assert chosen.origins == {data.fingerprint, other.fingerprint, name} - {""}
    elsewhere = SamplePool.from_samples(tmp_path / "elsewhere", make_samples(), CLASSES)
    assert elsewhere.origins == set()


def test_a_teacher_is_asked_where_the_generator_is_now(tmp_path: Path) -> None:
    """Not where it was fitted, which may be a machine with another device."""
    StyleSwap().fit(make_data(), device="cpu").save(tmp_path / "generator")
    manifest = tmp_path / "generator" / MANIFEST
    metadata = json.loads(manifest.read_text())
    assert metadata["device"] == "cpu"
    manifest.write_text(json.dumps({**metadata, "device": "cuda"}))
    generator = load_generator(tmp_path / "generator", device="cpu")
    assert (generator.metadata["device"], generator.device.type) == ("cuda", "cpu")

    def teacher(images: torch.Tensor) -> torch.Tensor:
        return images.new_tensor([[0.0, 0.0, np.log(2)]]).repeat(len(images), 1)

    pool = SamplePool.create(tmp_path / "pool", generator, 2, teacher=teacher)
    assert pool.samples.soft_labels == pytest.approx(np.tile([0.25, 0.25, 0.5], (6, 1)))


def test_a_teacher_of_other_classes_is_refused_and_the_old_pool_stays(tmp_path: Path) -> None:
    generator = StyleSwap().fit(make_data(), device="cpu")
    good = SamplePool.create(tmp_path / "pool", generator, 2)
    with pytest.raises(InputError, match="teacher: expected 3 columns, one a class, got 7"):
        SamplePool.create(
            tmp_path / "pool", generator, 2, teacher=lambda images: torch.zeros(len(images), 7)
        )
    assert SamplePool(tmp_path / "pool").samples.fingerprint == good.samples.fingerprint


def test_a_teacher_in_training_mode_is_asked_in_evaluation_mode(tmp_path: Path) -> None:
    generator = StyleSwap().fit(make_data(), device="cpu")
    teacher = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.BatchNorm1d(72), torch.nn.Dropout(), torch.nn.Linear(72, 3)
    )
    teacher[1].eval()  # frozen by its owner
    before = [module.training for module in teacher.modules()]
    state = {name: value.clone() for name, value in teacher.state_dict().items()}
    pool = SamplePool.create(tmp_path / "pool", generator, 4, teacher=teacher)
    assert [module.training for module in teacher.modules()] == before
    assert all(torch.equal(value, state[name]) for name, value in teacher.state_dict().items())
    expected = teacher.eval()(to_float(pool.samples.images)).softmax(1).detach()
    assert pool.samples.soft_labels == pytest.approx(expected.numpy())


def test_a_filter_that_nothing_passes_names_the_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data()
    generator = StyleSwap().fit(data, device="cpu")
    message = r"class 'bee': the filters left 0 of 2 images after \d+ rounds; loosen them"
    with pytest.raises(InputError, match=message):
        SamplePool.create(tmp_path / "p", generator, 2, filters=[NoBees()], reference=data)
    # What a filter leaves none of is not shown to the next.
    monkeypatch.setattr(EvenSum, "keep", lambda _, samples, __: np.zeros(len(samples), bool))
    agreeing = ClassifierAgreement(train_classifier(data, steps=1, device="cpu"))
    with pytest.raises(InputError, match=r"'ant': the filters left 0 of 2 images .* loosen them"):
        SamplePool.create(
            tmp_path / "p", generator, 2, filters=[EvenSum(), agreeing], reference=data
        )
    assert not list(tmp_path.iterdir())


def test_filters_need_a_reference(tmp_path: Path) -> None:
    generator = StyleSwap().fit(make_data(), device="cpu")
    with pytest.raises(InputError, match="filters: give reference="):
        SamplePool.create(tmp_path / "p", generator, 2, filters=[NoBees()])


def _of_size(side: int) -> LabelledImages:
    samples = make_samples((4, 4, 4), (1, side, side))
    return LabelledImages(samples.images, samples.labels, CLASSES)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("data/xray", "expected LabelledImages, as read_images gives them, got str"),
        (_of_size(12), r"expected uint8 images \(1, 8, 9\) of the .* got uint8 \(1, 12, 12\)"),
        (
            LabelledImages(make_data().images, make_data().labels, CLASSES[::-1]),
            "expected .* of the classes ant, bee, cow, got .* and classes cow, bee, ant",
        ),
    ],
)
def test_a_reference_that_samples_cannot_be_compared_with_is_refused(
    tmp_path: Path, reference: Any, message: str
) -> None:
    generator = StyleSwap().fit(make_data(), device="cpu")
    with pytest.raises(InputError, match=f"reference: {message}"):
        SamplePool.create(tmp_path / "p", generator, 2, filters=[EvenSum()], reference=reference)


class Keeps:
    """A filter that answers what it is told to."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def keep(self, samples: Samples, reference: LabelledImages) -> Any:
        return self.answer(len(samples))


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (EvenSum(), "expected a list, got EvenSum"),
        ([EvenSum], "expected objects with a method keep, got <class"),
        (["distance"], "expected objects with a method keep, got 'distance'"),
        ([Keeps(np.arange)], r"expected bool \(96,\) from Keeps.keep, got int64 \(96,\)"),
        ([Keeps(lambda _: np.ones(3, bool))], r"expected bool \(96,\) .* got bool \(3,\)"),
        ([Keeps(lambda _: None)], r"expected bool \(96,\) from Keeps.keep, got object"),
    ],
)
def test_filters_that_are_none_are_refused(tmp_path: Path, filters: Any, message: str) -> None:
    data = make_data()
    generator = StyleSwap().fit(data, device="cpu")
    with pytest.raises(InputError, match=f"filters: {message}"):
        SamplePool.create(tmp_path / "p", generator, 2, filters=filters, reference=data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("per_class", [0, -1, 2.5])
@pytest.mark.parametrize("filters", [(), (EvenSum(),)])
def test_a_pool_holds_at_least_one_image_a_class(
    tmp_path: Path, per_class: Any, filters: tuple[Any, ...]
) -> None:
    data = make_data()
    generator = StyleSwap().fit(data, device="cpu")
    with pytest.raises(InputError, match=f"per_class: expected .* at least 1, got {per_class}"):
        SamplePool.create(tmp_path / "p", generator, per_class, filters=filters, reference=data)


def test_a_pool_is_replaced_while_it_is_open(tmp_path: Path) -> None:
    old = SamplePool.from_samples(tmp_path / "pool", make_samples(), CLASSES)
    content = np.array(old.samples.images)
    new = SamplePool.from_samples(tmp_path / "pool", make_samples((1, 1, 1)), CLASSES)
    assert (len(old), len(new)) == (6, 3)
    assert np.array_equal(old.samples.images, content)
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


@pytest.mark.parametrize("when", [(1,), (2,), (1, 4), (2, 3), (2, 3, 4, 6)], ids=str)
def test_a_pool_replaced_while_it_is_opened_is_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: tuple[int, ...]
) -> None:
    """Whatever file is read when it happens, and however many times."""
    one = make_samples()
    pools = [one, Samples(one.images[::-1], (one.labels + 1) % 3)]
    SamplePool.from_samples(tmp_path / "pool", pools[0], CLASSES)
    load, opened = np.load, 0

    def replace_and_load(path: Path, **options: Any) -> np.ndarray:
        nonlocal opened
        opened += 1
        if opened in when:
            write(tmp_path / "pool", pools[opened % 2])
        return load(path, **options)

    def write(directory: Path, samples: Samples) -> None:
        with monkeypatch.context() as patch:  # it opens what it wrote
            patch.setattr(sample_pool.np, "load", load)
            SamplePool.from_samples(directory, samples, CLASSES)

    monkeypatch.setattr(sample_pool.np, "load", replace_and_load)
    pool = SamplePool(tmp_path / "pool")
    assert pool.samples.fingerprint == pool.manifest["fingerprint"]
    assert pool.samples.fingerprint in [samples.fingerprint for samples in pools]


def test_a_pool_that_was_replaced_is_not_unpickled(tmp_path: Path) -> None:
    data = pickle.dumps(SamplePool.from_samples(tmp_path / "pool", make_samples(), CLASSES))
    SamplePool.from_samples(tmp_path / "pool", make_samples((1, 1, 1)), CLASSES)
    with pytest.raises(InputError, match="pool: replaced by another pool since it was opened"):
        pickle.loads(data)


def test_a_pickled_pool_is_found_from_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pool = SamplePool.from_samples("pool", make_samples(), CLASSES)
    assert str(pool.directory) == "pool"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert pickle.loads(pickle.dumps(pool)).samples.fingerprint == pool.samples.fingerprint


def test_a_users_directory_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "images.npy").write_bytes(b"mine")
    with pytest.raises(InputError, match="photos: cannot replace it"):
        SamplePool.from_samples(tmp_path / "photos", make_samples(), CLASSES)
    assert (tmp_path / "photos" / "images.npy").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "images.npy"]


def test_a_generator_is_not_replaced_by_a_pool(tmp_path: Path) -> None:
    StyleSwap().fit(make_data(), device="cpu").save(tmp_path / "generator")
    with pytest.raises(InputError, match="expected a sample pool, got a 'generator'"):
        SamplePool.from_samples(tmp_path / "generator", make_samples(), CLASSES)
    with pytest.raises(InputError, match="expected a sample pool, got a 'generator'"):
        SamplePool(tmp_path / "generator")


def _cut(name: str, keep: int) -> Callable[[Path], object]:
    return lambda pool: (pool / name).write_bytes((pool / name).read_bytes()[:keep])


def _metadata(**changes: Any) -> Callable[[Path], object]:
    def change(pool: Path) -> None:
        manifest = {**json.loads((pool / MANIFEST).read_text()), **changes}
        kept = {key: value for key, value in manifest.items() if value is not ...}
        (pool / MANIFEST).write_text(json.dumps(kept))

    return change


def _save(name: str, array: np.ndarray) -> Callable[[Path], object]:
    return lambda pool: np.save(pool / name, array, allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "pool: no such directory; expected a sample pool"),
        (lambda pool: (pool / MANIFEST).unlink(), "not a complete sample pool"),
        (_cut(MANIFEST, 30), r"manifest\.json: expected JSON"),
        (
            _metadata(classes=...),
            r"pool: damaged, expected a list as 'classes' in its manifest.*None",
        ),
        (
            _metadata(classes=5),
            r"pool: damaged, expected a list as 'classes' in its manifest.*got 5",
        ),
        (_metadata(weights=...), r"pool: damaged, expected a bool as 'weights' in its manifest"),
        (_metadata(images=7), "its manifest says 7 images and images.npy holds 6"),
        (
            _metadata(classes=["a", "b"]),
            r"pool: damaged \(labels: expected 0 to 1 for 2 classes, got 2",
        ),
        (_metadata(soft_labels=True), r"soft_labels\.npy: damaged or missing"),
        (lambda pool: (pool / "labels.npy").unlink(), r"labels\.npy: damaged or missing"),
        (_cut("images.npy", 200), r"images\.npy: damaged or missing"),
        (_cut("images.npy", 20), r"images\.npy: damaged or missing"),
        (_cut("images.npy", 0), r"images\.npy: damaged or missing"),
        (_save("labels.npy", np.array([0, 1])), r"pool: damaged \(labels: expected shape \(6,\)"),
        (_save("labels.npy", np.array([{}] * 6)), r"labels\.npy: damaged or missing"),
        (_save("images.npy", np.zeros((6, 8, 8))), r"pool: damaged \(images: expected uint8"),
    ],
)
def test_a_damaged_pool_is_an_input_error(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    SamplePool.from_samples(tmp_path / "pool", make_samples(), CLASSES)
    damage(tmp_path / "pool")
    with pytest.raises(InputError, match=message):
        SamplePool(tmp_path / "pool")


@pytest.mark.parametrize("metadata", ["x", {"data": 3}, {"parts": [{"start": {}}]}, {"parts": 1}])
def test_a_damaged_card_of_the_generator_is_an_input_error(tmp_path: Path, metadata: Any) -> None:
    SamplePool.from_samples(tmp_path / "pool", make_samples(), CLASSES)
    _metadata(generator=metadata)(tmp_path / "pool")
    with pytest.raises(InputError, match=r"pool: damaged, expected a generator's card.*make the"):
        _ = SamplePool(tmp_path / "pool").origins


def test_a_pool_whose_writing_failed_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, array: np.ndarray) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(sample_pool, "write_array", fail)
    with pytest.raises(OSError, match="no space left"):
        SamplePool.from_samples(tmp_path / "pool", make_samples(), CLASSES)
    assert not list(tmp_path.iterdir())


def test_a_pickled_pool_names_its_directory_only(tmp_path: Path) -> None:
    samples = make_samples(shape=(3, 64, 64))
    pool = SamplePool.from_samples(tmp_path / "pool", samples, CLASSES)
    data = pickle.dumps(pool)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert isinstance(base_of(again.samples.images), np.memmap)
    assert np.array_equal(again.samples.images, samples.images)
    shutil.rmtree(tmp_path / "pool")
    with pytest.raises(InputError, match="no such directory"):
        pickle.loads(data)


class Rare:
    """Keeps an image in twenty."""

    def keep(self, samples: Samples, reference: LabelledImages) -> np.ndarray:
        return samples.images.astype(int).sum((1, 2, 3)) % 20 == 0


@pytest.mark.parametrize("per_class", [40, 200])
def test_a_pool_of_any_size_is_filled_by_what_passes_rarely(tmp_path: Path, per_class: int) -> None:
    data = make_data()
    generator = RandomField().fit(data, device="cpu")
    pool = SamplePool.create(
        tmp_path / "pool", generator, per_class, filters=[Rare()], reference=data
    )
    assert pool.manifest["per_class"] == [per_class] * 3


def test_class_names_in_any_order_are_refused(tmp_path: Path) -> None:
    samples = Samples(np.zeros((2, 1, 8, 8), np.uint8), [0, 1])
    given = {"cat": 0, "dog": 1}
    pool = SamplePool.from_samples(tmp_path / "pool", samples, iter(given))  # type: ignore[arg-type]
    assert pool.classes == ["cat", "dog"]
    for wrong in ({"cat", "dog"}, frozenset(given)):
        with pytest.raises(InputError, match="classes: expected their names as a list"):
            SamplePool.from_samples(tmp_path / "pool", samples, wrong)  # type: ignore[arg-type]


def test_a_teacher_answers_alike_within_autocast(tmp_path: Path) -> None:
    data = make_data()
    generator, teacher = StyleSwap().fit(data, device="cpu"), torch.nn.Linear(72, 3)
    made = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            network = torch.nn.Sequential(torch.nn.Flatten(), teacher)
            made.append(SamplePool.create(tmp_path / "pool", generator, 9, teacher=network))
    assert made[0].manifest["fingerprint"] == made[1].manifest["fingerprint"]
