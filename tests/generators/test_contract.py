"""What holds for every family, whatever it learns: one suite, run over all of them."""

import inspect
import json
import re
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from synthaug import Blend, RandomField, SamplePool, StyleSwap
from synthaug.core import MANIFEST, InputError, TrainingError, optimize, read_tensors, tensor_bytes
from synthaug.data import LabelledImages, Samples
from synthaug.generators import load_generator

LABELS = np.arange(150) % 3


class Interrupted(Exception):
    pass


def interrupt_after(steps):
    def progress(done, total):
        if done == steps:
            raise Interrupted

    return progress


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 8, 8), np.uint16),
        ((3, 28, 28), np.uint8),
        ((1, 20, 36), np.uint8),
        ((3, 9, 31), np.uint16),
    ],
    ids=str,
)
def test_samples_are_like_the_training_images(family, shape, dtype, fit_tiny):
    samples = fit_tiny(family, shape, dtype).sample(2)
    assert isinstance(samples, Samples)
    assert samples.images.shape == (6, *shape)
    assert samples.images.dtype == dtype
    assert samples.labels.dtype == np.int64
    # A wrong scale between integers and floats would show as an (almost) black image.
    assert samples.images.mean() > 0.2 * np.iinfo(dtype).max


def test_a_number_is_that_many_of_every_class(fitted):
    assert fitted.sample(2).labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert fitted.sample(np.int64(1)).labels.tolist() == [0, 1, 2]


def test_labels_come_back_as_asked(fitted):
    labels = torch.tensor([2, 0, 0, 1])
    assert fitted.sample(labels).labels.tolist() == [2, 0, 0, 1]
    assert len(fitted.sample(np.zeros(0, np.int64))) == 0


def test_same_seed_same_images(fitted):
    first, second = fitted.sample(LABELS, seed=5), fitted.sample(LABELS, seed=5)
    np.testing.assert_array_equal(first.images, second.images)


def test_other_seed_other_images(fitted):
    first, second = fitted.sample(LABELS, seed=5), fitted.sample(LABELS, seed=6)
    assert (first.images != second.images).any(axis=(1, 2, 3)).mean() > 0.5


def test_fitting_again_gives_the_same_generator(fitted, data, family, tiny):
    again = tiny(family).fit(data, device="cpu").sample(LABELS)
    np.testing.assert_array_equal(fitted.sample(LABELS).images, again.images)


def test_other_fit_seed_other_weights(trained_family, data, tiny):
    first, second = (tiny(trained_family).fit(data, seed=s, device="cpu") for s in (0, 1))
    weights = [dict(generator.networks.named_parameters()) for generator in (first, second)]
    assert any((value != weights[1][name]).any() for name, value in weights[0].items())


# uint16 shows differences in the last bits of a float that uint8 rounds away.
def test_batch_size_changes_nothing(family, fit_tiny):
    generator = fit_tiny(family, dtype=np.uint16)
    whole = generator.sample(LABELS, batch_size=1000)
    for batch_size in (1, 7, 64, 65):
        calls = []
        part = generator.sample(
            LABELS, batch_size=batch_size, progress=lambda *done, calls=calls: calls.append(done)
        )
        np.testing.assert_array_equal(part.images, whole.images)
        assert calls[-1] == (len(LABELS), len(LABELS)) and calls == sorted(set(calls))


def test_an_item_depends_on_nothing_but_seed_place_and_label(family, fit_tiny):
    generator = fit_tiny(family, dtype=np.uint16)
    many = generator.sample(LABELS, seed=3).images
    for count in (1, 5, 70):
        few = generator.sample(LABELS[:count], seed=3).images
        np.testing.assert_array_equal(few, many[:count])
    others = LABELS.copy()
    others[1::2] = (others[1::2] + 1) % 3
    np.testing.assert_array_equal(generator.sample(others, seed=3).images[::2], many[::2])


def test_global_random_numbers_are_left_alone(family, data, tiny, tmp_path):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is the point
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    generator = tiny(family).fit(data, device="cpu")
    generator.sample(1)
    generator.save(tmp_path / "generator")
    load_generator(tmp_path / "generator", device="cpu")
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 3]), "expected 0 to 2 for 3 classes, got 3 at index 1"),
        (np.array([-1]), "expected 0 to 2 for 3 classes, got -1 at index 0"),
        (np.array([0.5]), "expected integers"),
        (torch.ones(2, requires_grad=True), "expected integers"),
        (np.zeros((2, 2), np.int64), "expected integers"),
        (0, "at least 1 image per class"),
    ],
)
def test_wrong_labels(fitted, labels, message):
    with pytest.raises(InputError, match=message):
        fitted.sample(labels)


def test_wrong_batch_size(fitted):
    with pytest.raises(InputError, match="batch_size: expected an integer of at least 1, got 0"):
        fitted.sample(1, batch_size=0)


@pytest.mark.parametrize("use", ["sample", "save", "metadata", "classes"])
def test_use_before_fit(family, use, tiny, tmp_path):
    generator = tiny(family)
    with pytest.raises(InputError, match=rf"{generator.name} is not fitted; call fit"):
        if use == "sample":
            generator.sample(1)
        elif use == "save":
            generator.save(tmp_path / "new")
        else:
            getattr(generator, use)
    assert not (tmp_path / "new").exists()


def test_too_few_images_of_a_class(family, data, tiny):
    with pytest.raises(
        InputError, match=r"'class 2': expected at least 2 images .* got 1; .*leave"
    ):
        tiny(family).fit(data.subset(np.arange(9)), device="cpu")


@pytest.mark.parametrize("device", ["abacus", None, 1.5])
def test_unknown_device(family, data, tiny, device):
    with pytest.raises(InputError, match="expected auto, cpu, cuda"):
        tiny(family).fit(data, device=device)


def test_settings_are_the_constructor_arguments(family, tiny):
    generator = tiny(family)
    assert type(generator).from_settings(generator.settings) == generator
    settings = json.loads(json.dumps(generator.settings))
    assert type(generator).from_settings(settings) == generator


def test_every_setting_is_explained(family, tiny):
    docs = [inspect.getdoc(each) or "" for each in type(tiny(family)).mro()]
    explained = re.findall(r"^ *(\w+): ", "\n".join(docs), re.MULTILINE)
    assert set(tiny(family).settings) <= set(explained)


def test_card_is_json_and_says_what_it_was_trained_on(fitted, data):
    metadata = json.loads(json.dumps(fitted.metadata, allow_nan=False))
    assert metadata["family"] == fitted.name
    assert metadata["data"]["fingerprint"] == data.fingerprint
    assert metadata["data"]["per_class"] == [4, 4, 4]
    assert metadata["seed"] == 0
    assert metadata["seconds"] >= 0
    assert {"torch", "synthaug"} <= set(metadata["versions"])
    assert metadata["holds_real_images"] is fitted.keeps_images
    assert set(metadata["settings"]) == set(fitted.settings)


def as_numpy(value):
    if isinstance(value, tuple):
        return tuple(map(as_numpy, value))
    kinds = {int: np.int64, float: np.float32}
    return kinds[type(value)](value) if type(value) in kinds else value


def test_numbers_of_numpy_are_those_of_python(family, data, tiny, tmp_path):
    plain = tiny(family)
    settings = {} if hasattr(plain, "parts") else plain.settings
    generator = tiny(family, **{name: as_numpy(value) for name, value in settings.items()})
    generator.fit(data, seed=np.int64(3), device="cpu").save(tmp_path / "generator")
    loaded = load_generator(tmp_path / "generator", device="cpu")
    assert loaded.metadata["seed"] == 3
    expected = generator.sample(np.uint8(2), seed=np.int64(4), batch_size=np.int32(9))
    np.testing.assert_array_equal(loaded.sample(2, seed=4).images, expected.images)


@pytest.mark.parametrize("seed", [1.0, True, "1", None])
def test_a_seed_that_is_no_integer_is_refused_before_any_work(family, data, tiny, fitted, seed):
    with pytest.raises(InputError, match="seed: expected an integer, got"):
        tiny(family).fit(data, seed=seed, device="cpu", progress=lambda *_: pytest.fail("began"))
    with pytest.raises(InputError, match="seed: expected an integer, got"):
        fitted.sample(1, seed=seed)


def test_save_and_load(fitted, tmp_path):
    fitted.save(tmp_path / "generator")
    loaded = load_generator(tmp_path / "generator", device="cpu")
    assert type(loaded) is type(fitted)
    assert loaded.settings == fitted.settings
    assert loaded.classes == fitted.classes
    assert json.dumps(loaded.metadata) == json.dumps(fitted.metadata)
    expected = fitted.sample(LABELS, seed=4)
    np.testing.assert_array_equal(loaded.sample(LABELS, seed=4).images, expected.images)
    loaded.save(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(tmp_path / "generator")


def twelve_bits(data):
    """The same images as an instrument has them that fills 12 of the 16 bits."""
    stored = (data.images / 255 * 4095).round().astype(np.uint16)
    return LabelledImages(stored, data.labels, data.classes)


def test_12_of_16_bits_are_learned_changed_and_made_as_8(fitted, family, data, tiny, tmp_path):
    deep = tiny(family).fit(twelve_bits(data), device="cpu")
    samples = deep.sample(LABELS, seed=4).images
    assert samples.dtype == np.uint16
    expected = fitted.sample(LABELS, seed=4).images
    np.testing.assert_allclose(samples / 4095, expected / 255, atol=1.5 / 255)
    deep.save(tmp_path / "generator")
    loaded = load_generator(tmp_path / "generator", device="cpu")
    np.testing.assert_array_equal(loaded.sample(LABELS, seed=4).images, samples)
    assert loaded.metadata["data"]["white"] == 4095
    assert "white" not in fitted.metadata["data"]  # as earlier versions wrote it


def test_a_generator_saved_without_white_samples_as_it_did(data, tiny, tmp_path):
    """Its networks know dark images as dark ones."""
    generator = tiny("ConditionalVAE").fit(twelve_bits(data), device="cpu")
    generator.save(tmp_path / "generator")
    older = {name: value for name, value in generator.metadata["data"].items() if name != "white"}
    change_manifest(tmp_path / "generator", data=older)
    loaded = load_generator(tmp_path / "generator", device="cpu")
    now = generator.sample(LABELS).images
    generator._white = 65535
    then = generator.sample(LABELS).images
    np.testing.assert_array_equal(loaded.sample(LABELS).images, then)
    assert (then != now).any()


def test_samples_do_not_depend_on_an_autocast_around_them(fitted):
    with torch.autocast("cpu", torch.bfloat16):
        within = fitted.sample(LABELS, seed=4).images
    np.testing.assert_array_equal(within, fitted.sample(LABELS, seed=4).images)


@contextmanager
def autocast_without_gradients():
    """Within floats of 64 bits, too."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def inference_elsewhere():
    with torch.inference_mode(), torch.device("meta"):
        yield


@pytest.mark.parametrize("around", [autocast_without_gradients, inference_elsewhere])
def test_a_generator_does_not_depend_on_what_it_is_fitted_within(
    fitted, family, data, tiny, tmp_path, around
):
    with around():
        generator = tiny(family).fit(data, device="cpu")
        first = generator.sample(LABELS)
        generator.save(tmp_path / "first")
        loaded = load_generator(tmp_path / "first", device="cpu")
    for samples in (first, generator.sample(LABELS), loaded.sample(LABELS)):
        np.testing.assert_array_equal(fitted.sample(LABELS).images, samples.images)


def test_what_is_changed_after_fitting_is_saved(data, tiny, tmp_path):
    generator = tiny("ConditionalVAE").fit(data, device="cpu")
    generator.sampling = "prior"
    generator.save(tmp_path / "generator")
    loaded = load_generator(tmp_path / "generator", device="cpu")
    assert loaded.sampling == loaded.metadata["settings"]["sampling"] == "prior"
    np.testing.assert_array_equal(loaded.sample(2).images, generator.sample(2).images)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sampling", "interpolte", "sampling: expected .*, got 'interpolte'"),
        ("latent", 5, "has the weights of other settings than it has now"),
    ],
)
def test_what_could_not_be_loaded_replaces_nothing(data, tiny, tmp_path, name, value, message):
    generator = tiny("ConditionalVAE").fit(data, device="cpu")
    generator.save(tmp_path / "generator")
    before = contents(tmp_path / "generator")
    setattr(generator, name, value)
    with pytest.raises(InputError, match=message):
        generator.save(tmp_path / "generator")
    assert contents(tmp_path / "generator") == before


def test_saved_generator_holds_images_only_where_it_says_so(fitted, tmp_path):
    fitted.save(tmp_path / "generator")
    count = len(np.load(tmp_path / "generator" / "images.npy"))
    assert count == (12 if fitted.keeps_images else 0)


def test_saving_replaces_an_older_generator(fitted, family, tmp_path, fit_tiny):
    fit_tiny(family, (3, 8, 8)).save(tmp_path / "generator")
    fitted.save(tmp_path / "generator")
    assert load_generator(tmp_path / "generator", device="cpu").sample(1).images.shape[1] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["generator"]


@pytest.mark.parametrize("family", ["vae", "gan per-class", "style-swap", "blend"], indirect=True)
@pytest.mark.parametrize("foreign", [{"notes.txt": "mine"}, {MANIFEST: '{"kind": "pool"}'}])
def test_saving_over_a_users_directory_is_refused(fitted, tmp_path, foreign):
    directory = tmp_path / "holiday"
    directory.mkdir()
    for name, text in foreign.items():
        (directory / name).write_text(text)
    before = contents(directory)
    with pytest.raises(InputError, match="holiday"):
        fitted.save(directory)
    assert contents(directory) == before
    assert [path.name for path in tmp_path.iterdir()] == ["holiday"]


def test_an_empty_directory_may_be_filled(fitted, tmp_path):
    (tmp_path / "new").mkdir()
    fitted.save(tmp_path / "new")
    assert load_generator(tmp_path / "new", device="cpu").name == fitted.name


def test_loading_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no such directory; expected a generator"):
        load_generator(tmp_path / "nothing")


def test_loading_a_users_directory(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=rf"holds no {MANIFEST}"):
        load_generator(tmp_path)


def change_manifest(directory, **changes):
    path = directory / MANIFEST
    manifest = {**json.loads(path.read_text()), **changes}
    path.write_text(
        json.dumps({key: value for key, value in manifest.items() if value is not None})
    )


@pytest.mark.parametrize("family", ["vae", "gan per-class", "style-swap", "blend"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "pool"}, "expected a generator, got a 'pool'"),
        ({"family": []}, r"unknown generator family \[\]; expected one of"),
        ({"family": "Cubist"}, "unknown generator family 'Cubist'; expected one of"),
        ({"settings": {"brushes": 3}}, r"unknown settings \['brushes'\]"),
        ({"settings": None}, "lacks settings"),
        ({"classes": None}, "lacks settings or classes"),
        ({"data": {"white": 0}}, "damaged .*expected white from 1 to 255, got 0"),
        ({"data": {"white": "4095"}}, "damaged .*expected white from 1 to 255, got '4095'"),
        ({"classes": "three"}, "lacks settings or classes"),
        ({"classes": ["a", "a", "b"]}, "damaged .*distinct"),
    ],
    ids=str,
)
def test_loading_a_foreign_manifest(fitted, tmp_path, changes, message):
    fitted.save(tmp_path / "generator")
    change_manifest(tmp_path / "generator", **changes)
    with pytest.raises(InputError, match=message):
        load_generator(tmp_path / "generator", device="cpu")


@pytest.mark.parametrize("family", ["vae", "gan per-class", "style-swap", "blend"], indirect=True)
@pytest.mark.parametrize("name", [MANIFEST, "weights.safetensors", "images.npy", "labels.npy"])
@pytest.mark.parametrize("damage", ["emptied", "cut short", "removed", "garbage"])
def test_loading_a_damaged_generator(fitted, tmp_path, name, damage):
    fitted.save(tmp_path / "generator")
    path = tmp_path / "generator" / name
    if damage == "removed":
        path.unlink()
    else:
        whole = path.read_bytes()
        cut = whole[: len(whole) * 2 // 3]
        path.write_bytes({"emptied": b"", "cut short": cut, "garbage": b"?" * 99}[damage])
    with pytest.raises(InputError, match=f"{tmp_path}/generator"):
        load_generator(tmp_path / "generator", device="cpu")


def test_loading_weights_of_another_network(trained_family, fit_tiny, tmp_path):
    fit_tiny(trained_family).save(tmp_path / "generator")
    save_file({"eye": torch.eye(2)}, tmp_path / "generator" / "weights.safetensors")
    with pytest.raises(InputError, match=r"damaged .* fit it again"):
        load_generator(tmp_path / "generator", device="cpu")


def test_progress_counts_every_step(trained_family, data, tiny):
    steps = []
    tiny(trained_family, steps=3).fit(
        data, device="cpu", progress=lambda done, total: steps.append((done, total))
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_resumed_training_ends_with_the_same_weights(
    trained_family, data, tiny, tmp_path, monkeypatch
):
    monkeypatch.setitem(optimize.__kwdefaults__, "checkpoint_every", 2)
    path = tmp_path / "training.safetensors"
    settings = {"steps": 5}
    whole = tiny(trained_family, **settings).fit(data, device="cpu")
    with pytest.raises(Interrupted):
        tiny(trained_family, **settings).fit(
            data, device="cpu", checkpoint=path, progress=interrupt_after(3)
        )
    for state in tmp_path.iterdir():
        tensors, metadata = read_tensors(state)
        state.write_bytes(tensor_bytes(tensors, {**metadata, "seconds": "1000"}))
    steps = []
    resumed = tiny(trained_family, **settings).fit(
        data, device="cpu", checkpoint=path, progress=lambda done, _: steps.append(done)
    )
    assert steps == [3, 4, 5]
    assert not list(tmp_path.iterdir())
    assert 1000 < resumed.metadata["seconds"] < 2000
    expected, got = whole.networks.state_dict(), resumed.networks.state_dict()
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(value, got[name]), name


@pytest.mark.parametrize("scope", ["", " per-class"])
@pytest.mark.parametrize("name", ["vae", "vaegan", "gan"])
def test_a_scope_of_other_networks_is_refused(name, scope, data, tiny):
    generator = tiny(f"{name}{scope}").fit(data, device="cpu")
    before, fitted = generator.sample(2).images, generator.scope
    generator.scope = "shared" if scope else "per-class"
    with pytest.raises(InputError, match=f"scope: this {name} was fitted with another than"):
        generator.sample(2)
    generator.scope = fitted
    np.testing.assert_array_equal(generator.sample(2).images, before)


def test_on_a_gpu(family, fit_tiny, gpu, tmp_path):
    fitted = fit_tiny(family, (3, 8, 8), np.uint16, device=gpu)  # which CUDA hardly knows
    assert fitted.device.type == "cuda"
    samples = fitted.sample(2).images
    fitted.save(tmp_path / "generator")
    again = load_generator(tmp_path / "generator", device=gpu)
    np.testing.assert_array_equal(samples, again.sample(2).images)
    moved = load_generator(tmp_path / "generator", device="cpu")
    # Other kernels round otherwise, and here and there another region or pixel is then the nearest.
    far = np.abs(moved.sample(2).images - samples.astype(float))
    assert far.mean() < 0.01 * 65535


def test_interrupted_training_leaves_the_generator_as_it_was(trained_family, data, tiny):
    generator = tiny(trained_family)
    with pytest.raises(Interrupted):
        generator.fit(data, device="cpu", progress=interrupt_after(1))
    with pytest.raises(InputError, match="not fitted"):
        generator.sample(1)


@pytest.mark.parametrize("change", ["seed", "data", "settings", "not a checkpoint"])
def test_checkpoint_of_another_run_is_refused(
    trained_family, data, tiny, tmp_path, monkeypatch, change
):
    monkeypatch.setitem(optimize.__kwdefaults__, "checkpoint_every", 1)
    path = tmp_path / "training.safetensors"
    with pytest.raises(Interrupted):
        tiny(trained_family).fit(data, device="cpu", checkpoint=path, progress=interrupt_after(1))
    if change == "not a checkpoint":
        path.write_text("my notes")
    state = path.read_bytes()
    other = LabelledImages(255 - data.images, data.labels, data.classes)
    with pytest.raises(InputError, match=r"training\.safetensors: .*remove it"):
        tiny(trained_family, batch_size=6 if change == "settings" else 4).fit(
            other if change == "data" else data,
            seed=1 if change == "seed" else 0,
            device="cpu",
            checkpoint=path,
        )
    assert path.read_bytes() == state


def test_loss_that_is_no_number_stops_training(trained_family, data, tiny, tmp_path):
    broken = tiny(trained_family).fit(data, device="cpu")
    for parameter in broken.networks.parameters():
        torch.nn.init.constant_(parameter, float("nan"))
    broken.save(tmp_path / "broken")
    with pytest.raises(TrainingError, match=r"loss became nan at step 0; lower the learning rate"):
        tiny(trained_family).fit(data, device="cpu", start=tmp_path / "broken")


def test_an_interruption_after_training_changes_nothing(family, tiny, data, tmp_path, monkeypatch):
    """Neither the checkpoint nor what was learned before is lost."""
    generator = tiny(family).fit(data.subset(np.arange(0, len(data), 2)), device="cpu")
    metadata, samples = generator.metadata, generator.sample(LABELS).images

    train = type(generator).train

    def interrupted(self, *args):
        train(self, *args)
        raise Interrupted

    monkeypatch.setattr(type(generator), "train", interrupted)
    with pytest.raises(Interrupted):
        generator.fit(data, device="cpu", checkpoint=tmp_path / "checkpoint")
    assert generator.metadata == metadata
    np.testing.assert_array_equal(generator.sample(LABELS).images, samples)
    assert family == "pca" or not generator.learns or any(tmp_path.iterdir())


class OfTheUser(StyleSwap):
    """A family of one's own."""


def test_a_family_of_the_user_is_loaded_where_it_is_known(data, tmp_path):
    own = OfTheUser(cells=1).fit(data, device="cpu")
    own.save(tmp_path / "own")
    Blend.of([own, RandomField().fit(data, device="cpu")]).save(tmp_path / "blend")
    loaded = load_generator(tmp_path / "own", device="cpu")
    assert type(loaded) is OfTheUser
    np.testing.assert_array_equal(loaded.sample(LABELS).images, own.sample(LABELS).images)
    assert type(load_generator(tmp_path / "blend", device="cpu").parts[0]) is OfTheUser
    for name in ("own", "blend"):
        path = tmp_path / name / MANIFEST
        path.write_text(path.read_text().replace("OfTheUser", "NotImported"))
        with pytest.raises(InputError, match=r"unknown .* 'NotImported'.*has to be imported"):
            load_generator(tmp_path / name, device="cpu")


@pytest.mark.parametrize("name", ["x" * 300, "circle", "a\0b"])
def test_what_is_no_path_is_named(name, data, tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    fitted = StyleSwap(cells=1).fit(data, device="cpu")
    for attempt in (load_generator, SamplePool, fitted.save):
        with pytest.raises(InputError, match="no file can have this path"):
            attempt(f"{tmp_path}/{name}")


def test_the_root_is_no_place_for_a_generator(data):
    with pytest.raises(InputError, match="mounted there"):
        StyleSwap(cells=1).fit(data, device="cpu").save("/")


@pytest.mark.parametrize("files", [None, [], 3])
def test_damaged_files_of_a_card_are_named(files, data, tmp_path):
    StyleSwap(cells=1).fit(data, device="cpu").save(tmp_path / "own")
    path = tmp_path / "own" / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "files": files}))
    with pytest.raises(InputError, match=r"damaged \(manifest.json: expected files, got"):
        load_generator(tmp_path / "own")
