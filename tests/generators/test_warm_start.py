"""Training that goes on from another generator."""

import numpy as np
import pytest
import torch

from synthaug.core import InputError
from synthaug.data import LabelledImages
from synthaug.generators import ConditionalGAN, ConditionalVAE

SIZES = {"batch_size": 4, "latent": 3, "width": 4}


def make(family=ConditionalVAE, *, steps=2, **settings):
    return family(steps=steps, **{**SIZES, **settings})


@pytest.fixture
def begun(monkeypatch):
    """Leaves networks as training finds them."""

    def no_step(module, *_, averaged=None, **__):
        return module if averaged is None else averaged

    for name in ("conditional_vae", "learning.adversary"):
        monkeypatch.setattr(f"synthaug.generators.{name}.optimize", no_step)


def renamed(data, classes):
    return LabelledImages(data.images, data.labels, classes)


@pytest.fixture
def saved(data, tmp_path):
    def save(**settings):
        path = tmp_path / "start"
        make(**settings).fit(data, device="cpu").save(path)
        return path

    return save


def weights(generator):
    return [network.state_dict() for network in generator.networks]


def test_the_same_classes_go_on_from_the_same_weights(data, saved, tmp_path, request):
    start = saved()
    request.getfixturevalue("begun")
    again = make().fit(data, device="cpu", seed=9, start=start)
    from synthaug.generators import load_generator

    (expected,), (got,) = weights(load_generator(start, device="cpu")), weights(again)
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    assert again.metadata["start"]["missing"] == []
    assert again.metadata["start"]["fingerprint"] == data.fingerprint


def test_classes_are_matched_by_name_others_begin_as_the_mean(data, saved, request):
    start = saved()
    request.getfixturevalue("begun")
    again = make().fit(
        renamed(data, ["class 2", "new", "class 0"]), device="cpu", seed=9, start=start
    )
    from synthaug.generators import load_generator

    name = "encoder.embed.weight"
    rows = weights(load_generator(start, device="cpu"))[0][name]
    got = weights(again)[0][name]
    assert torch.equal(got, torch.stack([rows[2], rows.mean(0), rows[0]]))
    assert again.metadata["start"]["missing"] == ["new"]


@pytest.mark.parametrize("of", ["shared", "per-class"])
def test_a_network_of_one_class_takes_what_belongs_to_it(data, saved, request, of):
    start = saved(scope=of)
    request.getfixturevalue("begun")
    again = make(scope="per-class").fit(
        renamed(data, ["class 1", "new", "class 2"]), device="cpu", seed=9, start=start
    )
    fresh = make(scope="per-class").fit(
        renamed(data, ["class 1", "new", "class 2"]), device="cpu", seed=9
    )
    from synthaug.generators import load_generator

    source, name = weights(load_generator(start, device="cpu")), "decoder.start.dense.weight"
    one = source[1] if of == "per-class" else source[0]
    assert torch.equal(weights(again)[0][name], one[name])
    if of == "per-class":  # a class that it did not know begins from scratch
        assert torch.equal(weights(again)[1][name], weights(fresh)[1][name])
    else:
        assert torch.equal(weights(again)[1][name], one[name])
        embedded = "encoder.embed.weight"
        assert torch.equal(weights(again)[2][embedded], one[embedded][2:])


def test_training_goes_on_from_there(data, saved):
    start = saved()
    first = make(steps=1).fit(data, device="cpu", start=start)
    other = make(steps=1).fit(data, device="cpu")
    pairs = zip(weights(first)[0].values(), weights(other)[0].values(), strict=True)
    assert any((a != b).any() for a, b in pairs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 8}, r"start: its networks are built otherwise .*expected \("),
        ({"prior": "class"}, "start: its networks are built otherwise .*prior"),
    ],
)
def test_other_sizes_are_refused(data, saved, settings, message):
    with pytest.raises(InputError, match=message):
        make(**settings).fit(data, device="cpu", start=saved())


def test_another_family_is_refused(data, saved):
    with pytest.raises(InputError, match="expected a gan to start from, got a vae"):
        make(ConditionalGAN).fit(data, device="cpu", start=saved())


def test_networks_of_one_class_cannot_start_one_of_all(data, saved):
    with pytest.raises(InputError, match="a network for each class and cannot start one"):
        make().fit(data, device="cpu", start=saved(scope="per-class"))


def test_a_network_of_the_only_class_starts_that_of_no_other(data, tmp_path, request):
    only = data.subset(np.flatnonzero(data.labels == 0))
    path, scope = tmp_path / "start", {"scope": "per-class"}
    make(**scope).fit(LabelledImages(only.images, only.labels, data.classes[:1])).save(path)
    request.getfixturevalue("begun")
    again = make(**scope).fit(data, device="cpu", start=path)
    from synthaug.generators import load_generator

    [expected] = weights(load_generator(path, device="cpu"))
    same = [
        all(torch.equal(each[name], expected[name]) for name in each) for each in weights(again)
    ]
    assert same == [True] + [False] * (len(data.classes) - 1)
    assert again.metadata["start"]["missing"] == list(data.classes[1:])


def test_images_of_other_bits_can_go_on_from_the_same_weights(data, saved, request):
    start = saved()
    request.getfixturevalue("begun")
    deep = LabelledImages(data.images.astype(np.uint16) * 16, data.labels, data.classes)
    again = make().fit(deep, device="cpu", seed=9, start=start)
    from synthaug.generators import load_generator

    begun_from = load_generator(start, device="cpu")
    (expected,), (got,) = weights(begun_from), weights(again)
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    expected, images = (each.sample(9).images for each in (begun_from, again))
    assert abs(images / 4095 - expected / 255).max() < 2 / 255


def test_a_start_that_is_not_there(data, tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        make().fit(data, device="cpu", start=tmp_path / "nothing")


def test_a_checkpoint_of_a_run_without_the_start_is_refused(data, saved, tmp_path, monkeypatch):
    from synthaug.core import optimize

    monkeypatch.setitem(optimize.__kwdefaults__, "checkpoint_every", 1)
    path = tmp_path / "checkpoint"

    def cut(done, _):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make().fit(data, device="cpu", checkpoint=path, progress=cut)
    with pytest.raises(InputError, match="the checkpoint of another run"):
        make().fit(data, device="cpu", checkpoint=path, start=saved())


def test_a_checkpoint_of_a_run_with_another_start_is_refused(data, tmp_path, monkeypatch):
    """Of the same images, seed and settings, but itself begun from a third."""
    from synthaug.core import optimize

    monkeypatch.setitem(optimize.__kwdefaults__, "checkpoint_every", 1)
    make().fit(data, device="cpu").save(tmp_path / "one")
    make().fit(data, device="cpu", start=tmp_path / "one").save(tmp_path / "other")

    def cut(done, _):
        raise KeyboardInterrupt

    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(data, device="cpu", checkpoint=path, progress=cut, start=tmp_path / "one")
    with pytest.raises(InputError, match="the checkpoint of another run"):
        make().fit(data, device="cpu", checkpoint=path, start=tmp_path / "other")
    make().fit(data, device="cpu", checkpoint=path, start=tmp_path / "one")


def test_an_unlike_set_of_images_can_be_the_start(data, saved):
    other = LabelledImages(255 - data.images, data.labels, data.classes)
    assert isinstance(make().fit(other, device="cpu", start=saved()).sample(1).images, np.ndarray)
