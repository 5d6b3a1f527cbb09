"""What is looked at while a generator trains, and what comes of it."""

import copy
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.utils.data import TensorDataset

from synthaug.core import InputError, training
from synthaug.data import LabelledImages, Samples, draw_subset, read_images
from synthaug.generators import ConditionalGAN, ConditionalVAE, StyleSwap
from synthaug.generators.learning import watching as module
from synthaug.generators.learning.watching import (
    FLOOR,
    CollapseWarning,
    Watcher,
    diversity,
    usefulness,
    variety,
)


def images_of(levels, labels, noise=0, seed=0):
    """Images of one grey level each, with noise."""
    spread = np.random.default_rng(seed).integers(-noise, noise + 1, (len(levels), 1, 8, 8))
    return (np.array(levels)[:, None, None, None] + spread).astype(np.uint8), np.array(labels)


def sloped(contrast, labels, noise, seed=0):
    """Images that are brighter on the left, or for class 1 on the right, with noise."""
    side = np.where(np.arange(8) < 4, contrast, -contrast) * np.where(labels, -1, 1)[:, None]
    spread = np.random.default_rng(seed).integers(-noise, noise + 1, (len(labels), 1, 8, 8))
    return (125 + side[:, None, None] + spread).astype(np.uint8), np.array(labels)


def labelled(images, labels):
    return LabelledImages(images, labels, [str(k) for k in range(labels.max() + 1)])


def others():
    """Of the same classes as `data`, and none of them."""
    images = np.random.default_rng(1).integers(0, 256, (12, 1, 8, 8), np.uint8)
    return LabelledImages(images, np.arange(12) // 4, [f"class {k}" for k in range(3)])


def watcher(data, samples, *, steps=200, validation=None, log=None):
    return Watcher("ConditionalGAN", steps, data, lambda _, __: samples, validation, log)


def test_variety_is_the_mean_distance_of_pairs():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (30, 3, 4, 4), dtype=np.uint8), np.arange(30) % 3
    distances = variety(images, labels, 4)
    for label in range(3):
        own = images[labels == label].reshape(10, -1).astype(float)
        apart = [np.linalg.norm(own[i] - own[j]) for i in range(10) for j in range(i)]
        assert distances[label] == pytest.approx(np.mean(apart))
    assert distances[3] == 0


def test_the_order_of_images_says_little_of_their_variety():
    """Four tracks of sixteen frames, one after another, and all samples of one track."""
    images, labels = images_of(np.repeat([10, 80, 160, 240], 16), [0] * 64, noise=2)
    real, order = labelled(images, labels), np.random.default_rng(0).permutation(64)
    shuffled = labelled(images[order], labels[order])
    samples = Samples(images[:16], labels[:16])
    assert max(diversity(samples, real)[0], diversity(samples, shuffled)[0]) < 0.1


def test_diversity_compares_each_class_with_its_real_images():
    real, labels = images_of([0, 200, 0, 100], [0, 0, 1, 1])
    images, _ = images_of([0, 100, 0, 100], [0, 0, 1, 1])
    np.testing.assert_allclose(
        diversity(Samples(images, labels), labelled(real, labels)), [0.5, 1.0]
    )
    same, _ = images_of([7, 7, 7, 7], labels)
    assert diversity(Samples(images, labels), labelled(same, labels)).tolist() == [1.0, 1.0]


def test_useful_images_teach_the_probe_and_cover_the_real_ones():
    labels = [0, 1] * 20
    real = labelled(*sloped(75, labels, noise=30))
    like = Samples(*sloped(75, labels, noise=30, seed=1))
    assert usefulness(like, real).accuracy > 0.95
    assert usefulness(like, real).coverage > 0.8
    swapped = Samples(like.images, 1 - like.labels)
    assert usefulness(swapped, real).accuracy < 0.05
    elsewhere = Samples(*sloped(15, labels, noise=30, seed=1))
    assert usefulness(elsewhere, real).coverage == 0


def test_real_images_are_useful_however_few_they_are():
    """Directions in which a few images hardly vary say nothing of others, which lie far off."""
    data, test = read_images("digits"), read_images("digits", split="test")
    for count in (5, 20):
        few = data.subset(draw_subset(data, count, seed=0))
        points = few.images.reshape(len(few), -1)
        plain = KNeighborsClassifier(1).fit(points, few.labels)
        expected = plain.score(test.images.reshape(len(test), -1), test.labels)
        accuracy = usefulness(Samples(few.images, few.labels), test).accuracy
        assert accuracy > expected - 0.15


def test_what_differs_in_light_alone_is_useful():
    real = read_images("digits", split="test")
    data = read_images("digits")
    few = data.subset(draw_subset(data, 20, seed=0))
    dim = Samples(few.images // 2 + 60, few.labels)
    assert usefulness(dim, real).accuracy > 0.8


def test_images_that_are_all_alike_are_judged_without_a_word():
    real = labelled(*images_of([50, 200] * 4, [0, 1] * 4, noise=30))
    alike = Samples(*images_of([90] * 8, [0, 1] * 4))
    assert usefulness(alike, real).accuracy == 0.5


def test_large_images_are_judged_by_what_is_seen_from_afar():
    """A pattern that is finer than 64 pixels a side show is neither here nor there."""
    labels = [0, 1] * 20
    (small, classes), (validation, _) = (sloped(65, labels, noise=8, seed=s) for s in (0, 1))
    expected = usefulness(Samples(small, classes), labelled(validation, classes))
    small, validation = (each.repeat(16, 2).repeat(16, 3) for each in (small, validation))
    chequered = small + 40 * (-1) ** np.indices((128, 128)).sum(0)
    score = usefulness(Samples(chequered.astype(np.uint8), classes), labelled(validation, classes))
    assert score == pytest.approx(expected, abs=1e-6) and expected.coverage > 0.8
    assert module._pixels(torch.rand(2, 3, 100, 40)).shape == (2, 3 * 64 * 40)


def test_collapse_is_told_once_and_in_the_second_half_only():
    real, labels = images_of([0, 200, 0, 100], [0, 0, 1, 1])
    poor = Samples(images_of([10, 11, 0, 100], labels)[0], labels)
    looking = watcher(labelled(real, labels), poor)
    looking.look(99, nn.Module())
    with pytest.warns(
        CollapseWarning, match=r"step 100: images of 1 of 2 classes .*those of '0'"
    ) as records:
        looking.look(100, nn.Module())
    looking.look(200, nn.Module())
    # What it advises is not what the settings are anyway.
    advised = re.findall(r"(\w+)=([\d.]+)", str(records[0].message))
    assert advised
    assert all(float(value) != getattr(ConditionalGAN(), name) for name, value in advised)


def test_what_is_varied_enough_is_no_collapse():
    real, labels = images_of([0, 200, 0, 100], [0, 0, 1, 1])
    samples = Samples(images_of([0, int(200 * FLOOR) + 1, 0, 100], labels)[0], labels)
    watcher(labelled(real, labels), samples).look(200, nn.Module())


def test_a_generator_that_collapses_says_so(data, monkeypatch, tiny):
    monkeypatch.setattr(module, "FLOOR", 1e9)
    monkeypatch.setattr(training, "APART", 2)
    with pytest.warns(CollapseWarning, match="gan, step 2: images of 3 of 3 classes"):
        tiny("ConditionalGAN", steps=4).fit(data, device="cpu")


@pytest.mark.parametrize("scope", ["shared", "per-class"])
def test_the_card_says_how_varied_samples_are(data, tiny, scope):
    generator = tiny("ConditionalVAE", scope=scope).fit(data, device="cpu")
    expected = diversity(generator.sample(16), data)
    assert generator.metadata["diversity"] == pytest.approx(expected, abs=1e-4)


def test_the_card_says_how_often_a_class_was_seen():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [2, 10])
    data = labelled(rng.integers(0, 256, (12, 1, 8, 8), dtype=np.uint8), labels)
    generator = ConditionalVAE(steps=5, batch_size=4, width=4, scope="per-class").fit(
        data, device="cpu"
    )
    assert generator.metadata["passes"] == [10.0, 2.0]  # 5 steps of 4 images, of 2 and of 10
    assert generator.metadata["steps"] == 5


@pytest.fixture
def scores(monkeypatch):
    """Lets a training of 20 steps, looked at every second one, believe a series of scores."""
    scores = []
    monkeypatch.setattr(training, "APART", 2)

    def useful(samples, real):
        return module.Usefulness(scores.pop(0) if scores else 0.0, 0.0)

    monkeypatch.setattr(module, "usefulness", useful)
    monkeypatch.setattr("synthaug.generators.learning.trained.usefulness", useful)
    return scores


SMALL = {"steps": 20, "batch_size": 2, "width": 2, "latent": 2}


def fit(data, seen, **settings):
    generator = ConditionalVAE(**{**SMALL, **settings})
    return generator.fit(
        data, device="cpu", validation=others(), progress=lambda done, _: seen.append(done)
    )


def test_training_ends_when_three_looks_found_nothing_better(data, scores):
    scores += [0.5, 0.7, 0.6, 0.7, 0.1]
    steps = []
    fit(data, steps)
    assert steps[-1] == 10  # the second look was the best, and three came after it


def test_the_card_says_of_how_many_steps_a_run_was(data, scores):
    scores += [0.5, 0.7, 0.6, 0.7, 0.1]
    generator = fit(data, [], scope="per-class")
    assert generator.metadata["steps"] == 10
    assert generator.metadata["passes"] == [5.0] * 3  # 10 steps of 2 images, of 4


def test_the_end_of_a_run_is_judged(data, scores):
    scores += [0.5, 0.6, 0.7]
    at_end = fit(data, [], steps=5)  # after the second step, the fourth, and the last
    assert not scores
    unjudged = ConditionalVAE(**{**SMALL, "steps": 5}).fit(data, device="cpu")
    (one,), (other,) = at_end.networks, unjudged.networks
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.filterwarnings("ignore::synthaug.generators.learning.watching.CollapseWarning")
def test_a_gan_is_not_judged_before_it_is_told_the_class(data, scores):
    scores += [0.9, 0.5, 0.4]
    settings = {**SMALL, "batch_size": 4, "late": (0.6, 0.8)}
    ended = []
    ConditionalGAN(**settings).fit(
        data, device="cpu", validation=others(), progress=lambda done, _: ended.append(done)
    )
    assert ended[-1] == 20  # looks before the sixteenth step judge nothing
    assert not scores


def test_validation_of_one_image_is_refused(data, tiny):
    with pytest.raises(InputError, match="validation: expected at least 2 images"):
        tiny("ConditionalVAE").fit(data, device="cpu", validation=others().subset(np.arange(1)))


def test_the_most_useful_moment_is_kept(data, scores, monkeypatch):
    scores += [0.5, 0.7, 0.6, 0.7, 0.1]
    averages = {}
    look = Watcher.look

    def remember(self, step, average):
        averages[step] = copy.deepcopy(average.state_dict())
        return look(self, step, average)

    monkeypatch.setattr(Watcher, "look", remember)
    weights = fit(data, []).networks[0].state_dict()
    assert list(averages) == [2, 4, 6, 8, 10]
    assert weights.keys() == averages[4].keys()
    assert all(torch.equal(averages[4][name], weights[name]) for name in weights)


def test_looks_change_nothing_where_there_is_no_validation(data, monkeypatch):
    monkeypatch.setattr(training, "APART", 2)
    steps = []
    looked = ConditionalVAE(**SMALL).fit(
        data, device="cpu", progress=lambda done, _: steps.append(done)
    )
    assert steps[-1] == 20
    monkeypatch.setattr(training, "APART", 100)
    alone = ConditionalVAE(**SMALL).fit(data, device="cpu")
    pairs = zip(looked.networks.parameters(), alone.networks.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_card_says_how_useful_the_kept_one_is(data):
    generator = fit(data, [])
    assert set(generator.metadata["validation"]) == {"accuracy", "coverage"}


def test_a_stopped_training_resumes_to_the_same_end(data, tmp_path, scores, monkeypatch):
    def cut(done, _):
        if done == 9:
            raise KeyboardInterrupt

    series = [0.5, 0.7, 0.6, 0.65, 0.1, 0.0]
    scores += series
    whole = fit(data, [])
    monkeypatch.setitem(training.optimize.__kwdefaults__, "checkpoint_every", 8)
    path = tmp_path / "checkpoint"
    scores[:] = series
    with pytest.raises(KeyboardInterrupt):
        ConditionalVAE(**SMALL).fit(
            data, device="cpu", validation=others(), checkpoint=path, progress=cut
        )
    scores[:] = series[4:]  # resumed at step 8, after the fourth look
    steps = []
    resumed = ConditionalVAE(**SMALL).fit(
        data,
        device="cpu",
        validation=others(),
        checkpoint=path,
        progress=lambda done, _: steps.append(done),
    )
    assert (steps[0], steps[-1]) == (9, 10)
    expected, got = whole.networks.state_dict(), resumed.networks.state_dict()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_one_class_is_watched_too(data, tiny):
    one, other = (
        LabelledImages(each.images, np.zeros_like(each.labels), ["a"]) for each in (data, others())
    )
    generator = tiny("ConditionalVAE").fit(one, device="cpu", validation=other)
    assert generator.metadata["validation"]["accuracy"] == 1.0


@pytest.mark.parametrize("split", ["train", "val"])
def test_validation_is_given_as_data_are(data, tiny, tmp_path, split):
    """Of a source with images for that those are taken, and nothing that is trained on."""
    validation = others()
    path, other = tmp_path / "images.npz", {"train": data, "val": validation}
    if split == "train":
        np.savez(path, images=validation.images[:, 0], labels=validation.labels)
    else:
        parts = other.items()
        images = {f"{name}_images": part.images[:, 0] for name, part in parts}
        np.savez(path, **images, **{f"{name}_labels": part.labels for name, part in parts})
    named = replace(data, classes=["0", "1", "2"])
    fitted = [
        tiny("ConditionalVAE").fit(named, device="cpu", validation=values)
        for values in (path, replace(validation, classes=named.classes))
    ]
    assert fitted[0].metadata["validation"] == fitted[1].metadata["validation"]


def test_images_that_are_trained_on_are_not_judged_by(data, tiny):
    for values in (data, data.subset(np.arange(6)), read_images("digits")):
        train = values if len(values) > 100 else data
        with pytest.raises(InputError, match=r"validation: \d+ of the \d+ images are trained on"):
            tiny("ConditionalVAE").fit(train, device="cpu", validation=values)
    groups = np.arange(len(data))
    grouped = replace(data, groups=groups), replace(others(), groups=groups)
    with pytest.raises(InputError, match="groups: expected each group in one part only"):
        tiny("ConditionalVAE").fit(grouped[0], device="cpu", validation=grouped[1])


def test_a_dataset_to_judge_by_may_lack_a_class(data, tiny):
    validation = others()
    rows = np.flatnonzero(validation.labels != 1)
    named = TensorDataset(
        torch.tensor(validation.images[rows]), torch.tensor(validation.labels[rows])
    )
    named.classes = list(validation.classes)
    fitted = [
        tiny("ConditionalVAE").fit(data, device="cpu", validation=values)
        for values in (named, validation.subset(rows))
    ]
    assert fitted[0].metadata["validation"] == fitted[1].metadata["validation"]


def test_validation_of_other_classes_or_sizes_is_refused(data, tiny):
    other = LabelledImages(data.images, data.labels, ["a", "b", "c"])
    larger = LabelledImages(data.images.repeat(2, 3), data.labels, data.classes)
    deeper = LabelledImages(data.images.astype(np.uint16), data.labels, data.classes)
    for wrong in (other, larger, deeper):
        with pytest.raises(InputError, match="validation: expected uint8 images"):
            tiny("ConditionalVAE").fit(data, device="cpu", validation=wrong)


def test_tensorboard_gets_losses_diversity_and_samples(data, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own protocol buffers
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    monkeypatch.setattr(training, "APART", 10)
    monkeypatch.setattr(module, "FLOOR", 0)
    ConditionalGAN(steps=30, batch_size=4, width=2, latent=2).fit(
        data, device="cpu", validation=others(), log=tmp_path / "log"
    )
    events = EventAccumulator(str(tmp_path / "log")).Reload()
    tags = events.Tags()
    assert {"loss/generator", "loss/discriminator", "samples/accuracy"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("loss/generator")] == [10, 20, 30]
    picture = events.Images("samples")[-1]
    assert (picture.height, picture.width) == (3 * 8, module.COLUMNS * 8)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 4095)])
def test_a_grid_is_as_bright_as_what_was_learned_from(dtype, white):
    """Of 16 bits most instruments fill 12: shown as shares of all they would be black."""
    images = np.array([0, white // 2, white])[:, None, None, None].repeat(8, 2).repeat(8, 3)
    sheet = module._grid(Samples(images.astype(dtype), [0, 0, 0]), white)
    assert sheet[0, 0, ::8].tolist() == [0, 127, 255]


def test_log_without_tensorboard_names_the_extra(data, tiny, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r'pip install "synthaug\[log\]"'):
        tiny("ConditionalVAE").fit(data, device="cpu", log=tmp_path / "log")


def test_a_log_that_is_no_directory_is_refused_at_once(data, tiny, tmp_path):
    path = tmp_path / "taken"
    path.write_text("mine")
    with pytest.raises(InputError, match=f"log {path}: cannot write in {path}"):
        tiny("ConditionalVAE").fit(data, device="cpu", log=path)
    assert path.read_text() == "mine"


def test_a_generator_without_training_takes_none_of_it(data, tmp_path):
    for aid in ({"validation": others()}, {"log": tmp_path}):
        with pytest.raises(InputError, match="style-swap has no training"):
            StyleSwap().fit(data, device="cpu", **aid)


def test_the_few_that_are_trained_on_are_left_out(data, tiny):
    validation = read_images("digits", image_size=8).subset(np.arange(100))
    train = read_images("digits", image_size=8).subset(np.arange(98, 398))
    message = "2 of the 100 images are trained on.*they are left out"
    with pytest.warns(UserWarning, match=message) as warned:
        generator = tiny("ConditionalVAE").fit(train, device="cpu", validation=validation)
    assert warned[0].filename == __file__  # where it can be mended
    fewer = validation.subset(np.arange(98))
    alone = tiny("ConditionalVAE").fit(train, device="cpu", validation=fewer)
    assert generator.metadata["validation"] == alone.metadata["validation"]
