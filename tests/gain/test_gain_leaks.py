import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from synthaug import LabelledImages, RandomField, Samples, StyleSwap, TransferVAE, read_images
from synthaug.core import InputError
from synthaug.data import draw_subset, matching_images
from synthaug.data import splits as copies
from synthaug.gain import check_splits
from synthaug.gain.leaks import copies_of, refuse_copies, shared_images, without_copies


@pytest.fixture(scope="module")
def digits() -> tuple[LabelledImages, LabelledImages]:
    train, test = read_images("digits"), read_images("digits", split="test")
    return train.subset(draw_subset(train, 40, seed=0)), test.subset(np.arange(300))


def pool(data: LabelledImages, images: np.ndarray) -> Samples:
    return Samples(images, data.labels[: len(images)])


def test_copies_of_test_images_are_refused_and_named(
    digits: tuple[LabelledImages, LabelledImages],
) -> None:
    train, test = digits
    images = np.concatenate([train.images[:50], test.images[7:9]])
    with pytest.raises(
        InputError, match=r"2 near-copies .*: 50 \(test image 7\), 51 \(test image 8"
    ):
        refuse_copies(Samples(images, np.zeros(52, np.int64)), train, test)


def test_a_copy_of_the_first_image_is_one(digits: tuple[LabelledImages, LabelledImages]) -> None:
    train, held = digits
    samples = pool(held, np.concatenate([train.images[:1], held.images[:1], train.images[1:2]]))
    assert without_copies(samples, train, held).tolist() == [0, 2]
    with pytest.raises(InputError, match=r"1 near-copies of test images: 1 \(test image 0\)"):
        refuse_copies(samples, train, held)


def test_what_is_nearly_as_near_to_a_training_image_is_no_copy() -> None:
    """Held images are training images mirrored and a little different; samples are darker."""
    rng = np.random.default_rng(0)
    train = rng.uniform(60, 200, (8, 1, 16, 16))
    differing = rng.uniform(-10, 10, train.shape)
    mirrored = train[..., ::-1]
    sets = [
        *(train, mirrored + differing),
        *((mirrored + share * differing) * 0.5 for share in (0.6, 0.8)),
    ]
    real, held, between, near = (
        LabelledImages(each.round().astype(np.uint8), np.zeros(8, np.int64), ["a"]) for each in sets
    )
    assert (copies_of(pool(between, between.images), real, held) == -1).all()
    assert (copies_of(pool(near, near.images), real, held) == np.arange(8)).all()


def test_copies_that_were_compressed_or_rescaled_are_refused(
    digits: tuple[LabelledImages, LabelledImages],
) -> None:
    train, test = (read_images(part, image_size=32) for part in digits)
    image = Image.fromarray(test.images[3, 0])
    rescaled = np.array(image.resize((40, 40), 2).resize((32, 32), 2))[None, None]
    stream = io.BytesIO()
    image.save(stream, "jpeg", quality=75)
    compressed = np.array(Image.open(stream))[None, None]
    for copy in (rescaled, compressed):
        with pytest.raises(InputError, match="1 near-copies"):
            refuse_copies(Samples(copy, np.zeros(1, np.int64)), train, test)


def changed(images: np.ndarray, change: str) -> np.ndarray:
    if change == "mirrored":
        return images[..., ::-1].copy()
    if change == "moved":
        return np.roll(images, 1, axis=3)
    if change == "moved and darker":
        return (np.roll(images, (1, -1), axis=(2, 3)) * 0.7).astype(np.uint8)
    return np.clip(images * 0.8 + 30, 0, 255).astype(np.uint8)  # less contrast, more light


@pytest.mark.parametrize("change", ["mirrored", "moved", "moved and darker", "another light"])
def test_copies_that_were_augmented_are_refused(
    digits: tuple[LabelledImages, LabelledImages], change: str
) -> None:
    train, test = (read_images(part, image_size=24) for part in digits)
    copies = changed(test.images[:40], change)
    assert (copies_of(pool(test, copies), train, test) == np.arange(40)).mean() > 0.9
    ours = changed(train.images[:200], change)
    assert (copies_of(pool(train, ours), train, test) == -1).all()


def test_copies_of_training_images_are_no_leak(
    digits: tuple[LabelledImages, LabelledImages],
) -> None:
    train, test = digits
    refuse_copies(pool(train, train.images), train, test)


def test_a_training_image_that_is_also_a_test_image_is_no_leak_of_the_pool(
    digits: tuple[LabelledImages, LabelledImages],
) -> None:
    train, test = digits
    shared = LabelledImages(
        np.concatenate([train.images, test.images[:1]]),
        np.append(train.labels, test.labels[0]),
        train.classes,
    )
    refuse_copies(pool(test, test.images[:1]), shared, test)


@pytest.mark.parametrize("generator", [TransferVAE(steps=20), StyleSwap(), RandomField()])
def test_what_generators_make_of_training_images_is_no_leak(
    digits: tuple[LabelledImages, LabelledImages],
    generator: TransferVAE | StyleSwap | RandomField,
) -> None:
    train, test = digits
    refuse_copies(generator.fit(train, device="cpu").sample(30), train, test)


def test_images_of_one_digest_are_told_apart_by_their_pixels(
    digits: tuple[LabelledImages, LabelledImages], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = digits
    monkeypatch.setattr(copies, "digest_of", lambda image: int(image[0, 4].sum()))
    assert matching_images(train, test) == {}


def test_finding_images_again_keeps_no_copy_of_them() -> None:
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 64, 64), np.uint8)
    data = LabelledImages(images, np.zeros(100, np.int64), ["a"])
    tracemalloc.start()
    assert matching_images(data, data) == {index: index for index in range(100)}
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < images.nbytes / 10


def test_images_that_splits_share_are_told_and_many_refused(
    digits: tuple[LabelledImages, LabelledImages],
) -> None:
    train, test = digits
    apart = {"train": train, "test": test}
    assert shared_images(apart) == []

    def beside(count: int) -> LabelledImages:
        """The test images, with the first of the training images in the places of the last."""
        images = np.concatenate([test.images[: len(test) - count], train.images[:count]])
        return LabelledImages(images, test.labels, test.classes)

    few = shared_images({"train": train, "test": beside(15)})
    assert few == ["15 of the 300 test images are train images, too"]
    with pytest.raises(InputError, match=r"16 of the 300 .* \(test image 284 is train image 0\)"):
        shared_images({"train": train, "test": beside(16)})
    with pytest.raises(InputError, match="300 of the 300 test images are validation images"):
        shared_images({"train": train, "validation": test, "test": test})
    # Few of many validation images may be many of few test images, or the other way round.
    some = test.subset(np.arange(40))
    for apart in ({"test": some, "validation": beside(0)}, {"validation": some, "test": beside(0)}):
        with pytest.raises(InputError, match=r"40 of the 300 .* images are .* images, too"):
            shared_images({"train": train, **apart})
    half = LabelledImages(
        np.concatenate([train.images[:20], some.images[:20]]), some.labels, some.classes
    )
    many = beside(0)
    with pytest.raises(InputError, match="20 of the 300 validation images are test images, too"):
        shared_images({"test": half, "validation": many})
    # Of training images all may be known, as long as few test images are.
    assert len(shared_images({"train": train.subset(np.arange(10)), "test": beside(10)})) == 1


def test_copies_among_training_images_are_told(
    digits: tuple[LabelledImages, LabelledImages],
) -> None:
    train, test = digits
    assert check_splits({"train": train, "test": test}) == []
    twice = train.subset(np.concatenate([np.arange(len(train)), [0, 1, 1]]))
    [told] = check_splits({"train": twice, "test": test})
    assert told.startswith(f"3 of the {len(twice):,} train images are copies of others")
