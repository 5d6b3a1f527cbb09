"""One name for each generator: where it is added, found, and read from files of older versions."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from new_generator import PCA, main

from synthaug import (
    Blend,
    StyleSwap,
)
from synthaug.core import MANIFEST, InputError
from synthaug.data import read_images
from synthaug.gain import default_sources
from synthaug.generators import generator_class, load_generator, register, registrations
from synthaug.mixing import MixConfig

NAMES = ["transfer", "vae", "vaegan", "composition", "gan", "blend", "chain", "style-swap"]
NAMES += ["patch-swap", "random-field"]


def class_names(value):
    """JSON as version 0.5.0 wrote it."""
    if isinstance(value, list):
        return [class_names(each) for each in value]
    if not isinstance(value, dict):
        return value
    older = {key: class_names(each) for key, each in value.items()}
    if "family" in value:
        older["family"] = generator_class(value["family"]).__name__
    return older


def age(path):
    """Make of a file what version 0.5.0 would have written."""
    older = class_names(json.loads(path.read_text()))
    path.write_text(json.dumps(older))
    return older


def test_families_are_named_and_in_order():
    assert [name for name in registrations() if name != "pca"] == NAMES
    for name, each in registrations().items():
        assert each.family.name == each.family().name == name
        assert generator_class(name) is generator_class(each.family.__name__) is each.family


def test_default_sources_come_from_the_registry():
    names = [source.name for source in default_sources()]
    assert names == [source for each in registrations().values() for source in each.sources]
    assert names[:3] == ["transfer-any", "transfer-within", "nuisance-swap"]
    assert [source.name for source in default_sources() if not source.trained] == [
        "patch-style",
        "style-swap",
        "random-field",
    ]


def test_a_subclass_that_is_not_registered_has_a_name_of_its_own():
    class Derived(StyleSwap):
        pass

    assert (Derived.name, StyleSwap.name) == ("Derived", "style-swap")
    assert generator_class("Derived") is Derived


def test_a_name_is_given_once():
    with pytest.raises(InputError, match=r"'vae': .*Mine needs another name, since .*VAE"):

        @register("vae")
        @dataclass
        class Mine(StyleSwap):
            pass

    assert register("pca")(PCA) is PCA  # a module that is run again, as in a notebook
    with pytest.raises(InputError, match="unknown generator family 'Mime'; expected one of tran"):
        generator_class("Mime")


@pytest.mark.parametrize("family", ["vae", "blend", "pca"])
def test_generators_of_older_versions_are_loaded(family, data, tiny, tmp_path):
    generator = tiny(family).fit(data, device="cpu")
    generator.save(tmp_path / "saved")
    assert age(tmp_path / "saved" / MANIFEST)["family"] == type(generator).__name__
    loaded = load_generator(tmp_path / "saved", device="cpu")
    assert loaded.metadata == generator.metadata
    np.testing.assert_array_equal(loaded.sample(5).images, generator.sample(5).images)


def test_a_generator_of_an_older_version_is_a_start(data, tiny, tmp_path):
    tiny("vae").fit(data, device="cpu").save(tmp_path / "saved")
    age(tmp_path / "saved" / MANIFEST)
    notes = tiny("vae").fit(data, device="cpu", start=tmp_path / "saved").metadata["start"]
    assert notes["fingerprint"] == data.fingerprint


def test_a_mix_and_its_pool_of_an_older_version_are_read(data, tmp_path):
    config = MixConfig(Blend((StyleSwap(cells=1), StyleSwap(cells=2))), 0.25)
    config.save(tmp_path / "mix.json")
    assert age(tmp_path / "mix.json")["generator"]["family"] == "Blend"
    assert MixConfig.load(tmp_path / "mix.json") == config
    pool = config.make_pool(tmp_path / "pool", data, device="cpu")
    older = age(pool.directory / MANIFEST)
    assert older["generator"]["settings"]["parts"][0]["family"] == "StyleSwap"
    stamp = (pool.directory / "images.npy").stat().st_mtime_ns
    again = config.make_pool(pool.directory, data, device="cpu")  # found, not made anew
    assert (again.directory / "images.npy").stat().st_mtime_ns == stamp


def test_a_family_of_ones_own_is_in_a_mix_file(tmp_path):
    MixConfig(PCA(components=3), 0.25).save(tmp_path / "mix.json")
    assert json.loads((tmp_path / "mix.json").read_text())["generator"]["family"] == "pca"
    assert MixConfig.load(tmp_path / "mix.json").generator == PCA(components=3)


def test_the_example_family_makes_images_like_the_real_ones():
    train = read_images("digits")
    samples = PCA().fit(train, device="cpu").sample(20)
    means = [train.images[train.labels == label].mean(0) for label in range(10)]
    far = ((samples.images[:, None] - np.array(means)) ** 2).mean((2, 3, 4))
    assert (far.argmin(1) == samples.labels).mean() > 0.9
    assert len({image.tobytes() for image in samples.images}) == 200


@pytest.mark.usefixtures("tiny_networks")
def test_the_example_runs(capsys, tmp_path, monkeypatch):
    """It is fitted, sampled into a pool and measured."""
    monkeypatch.chdir(tmp_path)
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "200 images of pca"
    assert len(lines) >= 2
