"""What a Blend makes of its parts, beside what the contract suite asks of every family."""

import copy
import re

import numpy as np
import pytest
import torch

from synthaug import (
    Blend,
    ConditionalGAN,
    ConditionalVAE,
    InputError,
    RandomField,
    StyleSwap,
    TransferVAE,
)
from synthaug.core import optimize
from synthaug.data import LabelledImages
from synthaug.generators import generator_class, load_generator

LABELS = np.arange(300) % 3
TRANSFER = TransferVAE(steps=3, batch_size=4, latent=3)
OTHER = TransferVAE(steps=2, batch_size=4, latent=3, scope="per-class")


@pytest.fixture(scope="module")
def parts(data):
    generators = (TRANSFER, RandomField(), StyleSwap(cells=1))
    return [type(part)(**part.settings).fit(data, seed=4, device="cpu") for part in generators]


def test_each_image_is_that_of_one_of_the_parts(parts):
    blend = Blend.of(parts)
    images = blend.sample(LABELS, seed=7).images
    alone = [part.sample(LABELS, seed=7).images for part in parts]
    equal = np.array([(images == each).all(axis=(1, 2, 3)) for each in alone])
    assert equal.any(axis=0).all()
    counts = equal.sum(axis=1)
    assert counts.min() > 70  # of 300, a third each


def test_parts_learn_in_a_blend_what_they_learn_alone(parts, data):
    blend = Blend((TRANSFER, RandomField(), StyleSwap(cells=1))).fit(data, seed=4, device="cpu")
    expected = Blend.of(parts).sample(LABELS, seed=1).images
    np.testing.assert_array_equal(blend.sample(LABELS, seed=1).images, expected)
    assert [part["family"] for part in blend.metadata["parts"]] == [part.name for part in parts]
    assert blend.metadata["parts"][0]["diversity"] == parts[0].metadata["diversity"]


def test_a_blend_of_fitted_parts_is_saved_and_loaded(parts, tmp_path):
    blend = Blend.of(parts)
    blend.save(tmp_path / "blend")
    loaded = load_generator(tmp_path / "blend", device="cpu")
    expected = blend.sample(LABELS, seed=2).images
    np.testing.assert_array_equal(loaded.sample(LABELS, seed=2).images, expected)
    assert loaded.metadata["seed"] == 4
    assert "diversity" not in loaded.metadata  # that is one part's


def test_a_blend_of_what_needs_no_real_images_holds_none(parts, data, tmp_path):
    small = ConditionalGAN(steps=1, batch_size=4, width=4)
    gans = [copy.copy(small).fit(data, seed=4, device="cpu") for _ in range(2)]
    for blend, holds in ((Blend.of(gans), 0), (Blend.of([*gans, parts[1]]), len(data))):
        assert blend.metadata["holds_real_images"] is (holds > 0)
        expected = blend.sample(LABELS).images
        blend.save(tmp_path / "blend")
        assert len(np.load(tmp_path / "blend" / "images.npy")) == holds
        loaded = load_generator(tmp_path / "blend", device="cpu")
        np.testing.assert_array_equal(loaded.sample(LABELS).images, expected)
        assert loaded.metadata["holds_real_images"] is (holds > 0)


def test_a_blend_of_fitted_parts_fills_the_bits_that_they_know(data):
    deep = LabelledImages(data.images.astype(np.uint16), data.labels, data.classes)
    parts = [part.fit(deep, device="cpu") for part in (RandomField(), StyleSwap())]
    expected = Blend((RandomField(), StyleSwap())).fit(deep, device="cpu").sample(LABELS).images
    np.testing.assert_array_equal(Blend.of(parts).sample(LABELS).images, expected)


def test_parts_may_share_weights_and_have_settings_of_numpy(data, tmp_path):
    other = copy.copy(first := ConditionalVAE(steps=1, width=2).fit(data, device="cpu"))
    other.sampling = "prior"
    other.strength = (np.float64(0.5), 1.0)
    Blend.of([first, other]).save(tmp_path / "blend")
    Blend((StyleSwap(cells=np.int64(2)), RandomField())).fit(data, device="cpu").save(
        tmp_path / "other"
    )
    for name in ("blend", "other"):
        assert len(load_generator(tmp_path / name, device="cpu").sample(1).images) == 3


def test_parts_from_several_devices_come_to_that_of_the_first(parts):
    first = copy.deepcopy(parts[0])  # as on a GPU
    first.networks, first._device = first.networks.to("meta"), torch.device("meta")
    blend = Blend.of([first, parts[0]])
    assert blend.device.type == "meta"
    assert {weights.device.type for weights in blend.networks.parameters()} == {"meta"}
    assert {weights.device.type for weights in parts[0].networks.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("generators", "learns"),
    [((StyleSwap(), RandomField()), False), ((StyleSwap(), TRANSFER), True)],
)
def test_a_blend_learns_where_a_part_does(generators, learns):
    assert Blend(generators).learns is learns


@pytest.mark.parametrize("generators", [(), (StyleSwap(),), (StyleSwap(), Blend())])
def test_parts_that_make_no_blend(generators, data):
    with pytest.raises(
        InputError, match="parts: expected two generators or more, none a Blend or Chain"
    ):
        Blend(generators).fit(data, device="cpu")


@pytest.mark.parametrize(
    "generators", [StyleSwap(), None, (StyleSwap, RandomField), [StyleSwap(), 3]]
)
def test_parts_that_are_no_generators(generators, data):
    with pytest.raises(InputError, match="parts: expected a tuple of generators, got"):
        Blend(generators).fit(data, device="cpu")
    with pytest.raises(InputError, match="parts: expected a tuple of generators, got"):
        Blend.of(generators)


def test_settings_of_parts_are_checked(data):
    with pytest.raises(InputError, match="cells: expected an integer of at least 1, got 0"):
        Blend((StyleSwap(), StyleSwap(cells=0))).fit(data, device="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"brushes": 3}, r"unknown settings \['brushes'\] of Blend"),
        ({"parts": 3}, "parts: expected a list of families and settings, got 3"),
        ({"parts": [3]}, "parts: expected a family and its settings for each, got 3"),
        ({"parts": [{"family": "StyleSwap"}]}, "expected a family and its settings"),
        ({"parts": [{"family": "Cubist", "settings": {}}]}, "unknown generator family 'Cubist'"),
        ({"parts": [{"family": [], "settings": {}}]}, r"unknown generator family \[\]"),
        (
            {"parts": [{"family": "Blend", "settings": {}}]},
            "that are no Blend or Chain, got",
        ),
    ],
    ids=str,
)
def test_settings_of_no_blend(settings, message):
    with pytest.raises(InputError, match=message):
        generator_class("blend").from_settings(settings)


def test_parts_that_learned_from_other_images(parts, data):
    inverted = LabelledImages(255 - data.images, data.labels, data.classes)
    stranger = StyleSwap().fit(inverted, seed=4, device="cpu")
    with pytest.raises(InputError, match="expected generators fitted to the same images"):
        Blend.of([parts[0], stranger])


def test_a_killed_run_goes_on_with_the_part_it_was_at(data, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def kill(done, total):
        assert total == 5
        if done == 4:
            raise Killed

    monkeypatch.setitem(optimize.__kwdefaults__, "checkpoint_every", 1)
    place = tmp_path / "run.safetensors"
    generators = (TRANSFER, StyleSwap(), OTHER)
    whole = Blend(generators).fit(data, device="cpu")
    with pytest.raises(Killed):
        Blend(generators).fit(data, device="cpu", checkpoint=place, progress=kill)
    names = ["run.safetensors.0", "run.safetensors.2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    steps = []
    resumed = Blend(generators).fit(
        data, device="cpu", checkpoint=place, progress=lambda done, _: steps.append(done)
    )
    assert steps == [5]  # of the part that was done nothing is trained again
    assert not list(tmp_path.iterdir())
    for name, value in whole.networks.state_dict().items():
        assert torch.equal(value, resumed.networks.state_dict()[name]), name


def test_warm_start_part_by_part(data, tmp_path):
    Blend((TRANSFER, StyleSwap())).fit(data, seed=9, device="cpu").save(tmp_path / "blend")
    alone = TransferVAE(**TRANSFER.settings).fit(data, seed=9, device="cpu")
    alone.save(tmp_path / "alone")
    blend = Blend((TRANSFER, StyleSwap())).fit(data, device="cpu", start=tmp_path / "blend")
    expected = TransferVAE(**TRANSFER.settings).fit(data, device="cpu", start=tmp_path / "alone")
    got = blend.networks[0][0].state_dict()
    for name, value in expected.networks.state_dict().items():
        assert torch.equal(value, got[name]), name
    with pytest.raises(InputError, match=re.escape("expected a blend of ['style-swap', ")):
        Blend((StyleSwap(), TRANSFER)).fit(data, device="cpu", start=tmp_path / "blend")


def test_a_blend_of_what_learns_nothing_has_no_use_for_aids(data, tmp_path):
    with pytest.raises(InputError, match="has no training that they could serve"):
        Blend((StyleSwap(), RandomField())).fit(data, device="cpu", log=tmp_path / "log")


def test_parts_are_the_blends_own(parts, tmp_path):
    """What becomes of those that were given, or that others share, is another matter."""
    style = StyleSwap(cells=1).fit(parts[2].training_data, device="cpu")
    blend = Blend.of([style, parts[1]])
    before = blend.sample(LABELS, seed=3).images
    style.strength = (0.0, 0.0)
    np.testing.assert_array_equal(blend.sample(LABELS, seed=3).images, before)
    assert blend.metadata["settings"]["parts"][0]["settings"]["strength"] != (0.0, 0.0)


def test_settings_of_numpy_are_those_that_are_kept(data, tmp_path):
    own = RandomField(flow=np.float64(0.0437))
    blend = Blend((own, StyleSwap(cells=1))).fit(data, device="cpu")
    assert type(blend.parts[0].flow) is float and isinstance(own.flow, np.floating)


def test_a_directory_is_no_checkpoint_of_a_blend(data, tmp_path):
    with pytest.raises(InputError, match=r"checkpoint .*: expected a file to write, this is a dir"):
        Blend((TRANSFER, RandomField())).fit(data, device="cpu", checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())
