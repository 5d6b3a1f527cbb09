"""Recipes of mixing: the file, the pool that is made from it, and the Dataset."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torchvision.transforms.functional import pil_to_tensor

from synthaug import InputError, LabelledImages, MixedDataset, RandomField, StyleSwap, TransferVAE
from synthaug.generators import registrations
from synthaug.mixing import MixConfig, SyntheticDataset
from synthaug.pool import SamplePool

CLASSES = ["ant", "bee"]


def told(family: str, **changed: object) -> dict:
    """The generator in a recipe's file."""
    return {"generator": {"family": family, "settings": changed}}


@pytest.fixture
def data() -> LabelledImages:
    rng = np.random.default_rng(0)
    return LabelledImages(
        rng.integers(0, 256, (8, 1, 8, 8), dtype=np.uint8), np.repeat([0, 1], 4), CLASSES
    )


@pytest.fixture
def real(data: LabelledImages, tmp_path: Path) -> SyntheticDataset:
    """A Dataset of the user's; any will do."""
    samples = RandomField().fit(data, device="cpu").sample(4, seed=1)
    return SyntheticDataset(SamplePool.from_samples(tmp_path / "mine", samples, CLASSES))


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    config = MixConfig(
        TransferVAE(steps=5, donors="within", strength=(0.2, 0.4)),
        0.25,
        "mixed",
        {"distance": np.float32(2), "memorization": np.int64(1)},
        {"partner": "mixup", "steps": 600},
        {"trials": {"complete": 3}},
    )
    config.save(tmp_path / "recipe.json")
    assert MixConfig.load(tmp_path / "recipe.json") == config
    none = MixConfig(None, recommended=False)
    none.save(tmp_path / "recipe.json")
    assert MixConfig.load(tmp_path / "recipe.json") == none


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "pool"}, "expected a mix configuration that synthaug tune wrote"),
        ({"generator": None}, "expected a generator to recommend"),
        ({"ratio": 1.5}, "ratio: expected a number from 0 to 1"),
        ({"ratio": "half"}, "ratio: expected a number, got 'half'"),
        ({"ratio": True}, "ratio: expected a number, got True"),
        ({"ratoi": 0.5}, "ratoi: unknown; expected only kind, synthaug, generator, ratio"),
        ({"recommended": "false"}, "recommended: expected true or false, got 'false'"),
        ({"labels": "fuzzy"}, "labels: expected one of"),
        ({"labels": []}, "labels: expected a string"),
        ({"filters": {"taste": 1.0}}, "filters: expected distance or memorization"),
        ({"filters": {"distance": -1.0}}, "filters.distance: expected a number above 0, got -1.0"),
        ({"filters": {"distance": "2"}}, "filters.distance: expected a number above 0, got '2'"),
        ({"training": []}, "training: expected an object"),
        ({"training": {"stepps": 5}}, "training.stepps: unknown; expected only .*steps"),
        ({"training": {"steps": "5"}}, "training.steps: expected an integer, got '5'"),
        ({"training": {"partner": None}}, "training.partner: expected a string, got None"),
        ({"search": {"seeds": ["1"]}}, "search.seeds: expected a list of integers"),
        ({"generator": "StyleSwap"}, "generator: expected an object or null"),
        (
            {"generator": {"family": "Diffusion", "settings": {}}},
            "family: unknown generator family 'Dif",
        ),
        ({"generator": {"family": "StyleSwap"}}, "generator.settings: expected an object, got no"),
        (told("StyleSwap", n=1), "generator.settings: unknown settings .*'n'"),
        (told("TransferVAE", steps=-1), "generator.settings: steps: expected an integer"),
        (told("TransferVAE", latent="many"), "generator.settings: latent: expected an integer"),
        (told("Blend", parts=5), "generator.settings: parts: expected a list .*, got 5"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "recipe.json"
    MixConfig(StyleSwap(), 0.5).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=message) as refused:
        MixConfig.load(path)
    assert str(refused.value).startswith(f"{path}: ")


def test_a_recipe_that_lacks_something_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    MixConfig(StyleSwap(), 0.5).save(path)
    whole = json.loads(path.read_text())
    for key in whole:
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != key}))
        with pytest.raises(
            InputError, match=f"{key}: expected|a mix configuration that synthaug tune"
        ):
            MixConfig.load(path)


JUNK = st.sampled_from([None, True, -1, 0.5, "many", [], ["x"], [[1], 2], {}, {"family": []}])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_changed_by_hand_is_refused_in_words_or_read(
    tmp_path: Path, drawn: st.DataObject
) -> None:
    path = tmp_path / "recipe.json"
    family = drawn.draw(st.sampled_from(sorted(registrations())))
    training = {"partner": "mixup", "recipe": {"policy": "shift"}, "steps": 5}
    made = registrations()[family].family()
    config = MixConfig(made, 0.5, "hard", {"distance": 2.0}, training, {"seeds": [0]})
    config.save(path)
    value = json.loads(path.read_text())
    place = value
    while True:
        key = drawn.draw(st.sampled_from(list(place)))
        below = place[key]
        if not isinstance(below, dict) or not below or drawn.draw(st.booleans()):
            break
        place = below
    place[key] = drawn.draw(JUNK)
    path.write_text(json.dumps(value))
    with suppress(InputError):
        assert MixConfig.load(path).recommended is True


def test_a_dataset_is_mixed_as_the_recipe_says(real: SyntheticDataset, tmp_path: Path) -> None:
    config = MixConfig(StyleSwap(), 0.25, filters={"memorization": 0.01})
    config.save(tmp_path / "recipe.json")
    made = tmp_path / "pool"
    mixed = MixedDataset.from_config(real, tmp_path / "recipe.json", made, device="cpu", seed=3)
    assert (mixed.ratio, mixed.labels, mixed.seed, len(mixed)) == (0.25, "hard", 3, len(real))
    assert mixed.pool.manifest["generator"]["family"] == "style-swap"
    assert mixed.pool.manifest["filters"] == ["MemorizationFilter"]
    assert len(mixed.pool) == 20 * 4 * 2
    # The next time the pool is there.
    before = (made / "images.npy").stat().st_mtime_ns
    again = MixedDataset.from_config(real, config, made, device="cpu", seed=3)
    assert (made / "images.npy").stat().st_mtime_ns == before
    assert np.array_equal(again.pool.samples.images, mixed.pool.samples.images)


def test_a_pool_of_another_recipe_is_refused_and_kept(
    real: SyntheticDataset, data: LabelledImages, tmp_path: Path
) -> None:
    config = MixConfig(StyleSwap(cells=2), 0.25)
    config.make_pool(tmp_path / "pool", data, device="cpu")
    before = (tmp_path / "pool" / "images.npy").read_bytes()
    filtered = MixConfig(StyleSwap(cells=2), 0.25, filters={"memorization": 0.01})
    for other, images, seed, named in [
        (MixConfig(StyleSwap(cells=4), 0.25), data, 0, "settings"),
        (MixConfig(RandomField(), 0.25), data, 0, "family"),
        (config, data, 1, "seed"),
        (config, data.subset(np.arange(2, 7)), 0, "fingerprint"),
        (filtered, data, 0, "filters"),
        (MixConfig(StyleSwap(cells=2), 0.25, "mixed"), data, 0, "soft labels"),
    ]:
        made = "of other images" if named == "fingerprint" else "with another configuration"
        with pytest.raises(InputError, match=f"a pool made {made} .{named}"):
            other.make_pool(tmp_path / "pool", images, seed=seed, teacher=unsure, device="cpu")
    assert (tmp_path / "pool" / "images.npy").read_bytes() == before
    with pytest.raises(InputError, match="a pool made with another configuration"):
        config.make_pool(tmp_path / "mine", data, device="cpu")


def test_a_pool_of_other_limits_or_another_size_is_refused(
    data: LabelledImages, tmp_path: Path
) -> None:
    cells: Any = np.int64(2)  # kept as the number of Python's
    config = MixConfig(StyleSwap(cells=cells), 0.25, filters={"memorization": 0.01})
    config.make_pool(tmp_path / "pool", data, device="cpu")
    config.make_pool(tmp_path / "pool", data, device="cpu")
    stricter = MixConfig(StyleSwap(cells=2), 0.25, filters={"memorization": 0.02})
    with pytest.raises(InputError, match=r"limits: expected .*0\.02.*, got .*0\.01.*another dir"):
        stricter.make_pool(tmp_path / "pool", data, device="cpu")
    generator = StyleSwap(cells=2).fit(data, device="cpu")
    SamplePool.create(tmp_path / "small", generator, 3)
    with pytest.raises(InputError, match=r"images per class: expected \[80, 80\], got \[3, 3\]"):
        MixConfig(StyleSwap(cells=2), 0.25).make_pool(tmp_path / "small", data, device="cpu")


def test_a_pool_with_soft_labels_serves_hard_ones(data: LabelledImages, tmp_path: Path) -> None:
    mixed = MixConfig(StyleSwap(cells=2), 0.25, "mixed")
    made = mixed.make_pool(tmp_path / "pool", data, teacher=unsure, device="cpu")
    for config in (mixed, MixConfig(StyleSwap(cells=2), 0.25)):
        again = config.make_pool(tmp_path / "pool", data, device="cpu")
        assert again.manifest == made.manifest


def test_what_does_not_fit_is_refused_before_anything_is_trained(
    real: SyntheticDataset, data: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StyleSwap, "fit", lambda *_, **__: pytest.fail("trained"))
    config, mixed = MixConfig(StyleSwap(), 0.25), MixConfig(StyleSwap(), 0.25, "mixed")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "first").write_text("theirs")
    with pytest.raises(InputError, match="notes"):
        config.make_pool(tmp_path / "notes", data, device="cpu")
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.Flatten())
    with pytest.raises(InputError, match=r"teacher: cannot take floats \(2, 1, 8, 8\) on cpu"):
        mixed.make_pool(tmp_path / "pool", data, teacher=other, device="cpu")
    with pytest.raises(InputError, match="teacher: expected 2 columns"):
        mixed.make_pool(tmp_path / "pool", data, teacher=lambda x: x[:, 0, 0], device="cpu")


def test_images_unlike_those_of_the_search_are_warned_of(
    real: SyntheticDataset, data: LabelledImages, tmp_path: Path
) -> None:
    found = {"image_shape": [3, 8, 8], "classes": 2}
    config = MixConfig(StyleSwap(), 0.25, search=found)
    with pytest.warns(UserWarning, match=r"image_shape \[3, 8, 8\], these have \[1, 8, 8\]"):
        MixedDataset.from_config(real, config, tmp_path / "pool", device="cpu")
    alike = MixConfig(StyleSwap(), 0.25, search={"image_shape": [1, 8, 8], "classes": 2})
    MixedDataset.from_config(real, alike, tmp_path / "pool", device="cpu")


def test_how_far_it_is_is_told_and_home_is_known(
    real: SyntheticDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = MixConfig(RandomField(), 0.25)
    config.save("~/recipe.json")
    told: list[tuple[int, int]] = []
    mixed = MixedDataset.from_config(
        real, "~/recipe.json", "~/pool", device="cpu", progress=lambda *far: told.append(far)
    )
    assert told[-1] == (len(mixed.pool), len(mixed.pool))
    assert {path.name for path in tmp_path.iterdir()} >= {"recipe.json", "pool"}


def unsure(images: torch.Tensor) -> torch.Tensor:
    """A teacher: one in four that it is an ant."""
    return torch.tensor([[0.0, np.log(3.0)]]).repeat(len(images), 1)


def test_mixed_labels_take_a_teacher(real: SyntheticDataset, tmp_path: Path) -> None:
    config = MixConfig(StyleSwap(cells=2), 1.0, "mixed")
    with pytest.raises(InputError, match="teacher: the configuration's labels are 'mixed'"):
        MixedDataset.from_config(real, config, tmp_path / "pool", device="cpu")
    assert not (tmp_path / "pool").exists()
    mixed = MixedDataset.from_config(real, config, tmp_path / "pool", teacher=unsure, device="cpu")
    rows = np.stack([np.asarray(mixed[index][1]) for index in range(len(mixed))])
    one_hot = np.eye(2)[np.array(mixed.targets)]
    assert rows == pytest.approx(0.5 * one_hot + 0.5 * np.array([0.25, 0.75]))


@pytest.mark.parametrize("ratio", [1.5, -0.1, float("nan"), "0.5", None, True])
def test_a_ratio_that_is_no_share_is_refused(ratio: Any) -> None:
    with pytest.raises(InputError, match="ratio: expected a number from 0 to 1, got"):
        MixConfig(StyleSwap(), ratio)


@pytest.mark.parametrize("name", ["filters", "training", "search"])
def test_settings_that_are_no_dictionary_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: expected an object, got \\["):
        MixConfig(StyleSwap(), 0.25, **{name: ["distance"]})


def test_none_leaves_the_images_as_they_are(
    real: SyntheticDataset, data: LabelledImages, tmp_path: Path
) -> None:
    """Behind the same methods, so that the lines around it serve both answers."""
    for config in (MixConfig(None, recommended=False), MixConfig(StyleSwap(), recommended=False)):
        plain = MixedDataset.from_config(real, config, tmp_path / "pool")
        plain.set_epoch(1)
        assert (plain.classes, plain.targets, plain.ratio) == (real.classes, real.targets, 0.0)
        assert [plain[i] for i in range(len(plain))] == [real[i] for i in range(len(real))]
        changed = MixedDataset.from_config(real, config, tmp_path / "pool", transform=pil_to_tensor)
        loader = DataLoader(changed, batch_size=len(real))
        images, labels = next(iter(loader))
        assert torch.equal(images, torch.stack([pil_to_tensor(image) for image, _ in real]))
        assert labels.tolist() == real.targets
        inner = MixedDataset(real, tmp_path / "mine", 0.5)
        MixedDataset.from_config(inner, config, tmp_path / "pool").set_epoch(5)
        told = [inner[i][0].tobytes() for i in range(len(inner))]
        inner.set_epoch(5)
        assert told == [inner[i][0].tobytes() for i in range(len(inner))]
    assert not (tmp_path / "pool").exists()
    with pytest.raises(InputError, match="no generator"):
        MixConfig(None, recommended=False).make_pool(tmp_path / "pool", data)
