"""The small network in every size, and timm's by name."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from synthaug.classifiers import (
    Backbone,
    Normalize,
    Standardize,
    TrainConfig,
    evaluate,
    train_classifier,
)
from synthaug.classifiers.folding import fold_batch_norms
from synthaug.classifiers.networks import head_of, is_cramped, layout_for
from synthaug.core import InputError
from synthaug.data import LabelledImages, to_float

NAME = "timm:resnet10t"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width"),
    [(8, 8), (16, 16), (28, 28), (32, 32), (64, 64), (20, 36), (36, 20), (8, 200), (256, 256)],
)
def test_every_size_builds_and_learns(channels: int, height: int, width: int) -> None:
    network = Backbone().build((channels, height, width), 5, Standardize())
    images = torch.rand(2, channels, height, width)
    logits = network(images)
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert all(g is not None and g.abs().sum() > 0 for g in gradients[:2] + gradients[-2:])
    assert network.eval()(images[:1]).shape == (1, 5)


def test_standardized_images_have_no_contrast_and_no_level() -> None:
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    standard = Standardize()(images)
    mean, deviation = images.mean((1, 2, 3)), images.std((1, 2, 3))
    expected = (images - mean[:, None, None, None]) / (deviation + 0.01)[:, None, None, None]
    assert torch.allclose(standard, expected, atol=1e-5)
    assert torch.allclose(standard.mean((1, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(standard.std((1, 2, 3)), torch.ones(3), atol=0.05)
    assert torch.allclose(Standardize()(images * 0.5 + 0.2), standard, atol=0.15)
    flat = Standardize()(torch.full((1, 1, 8, 8), 0.7))
    assert torch.allclose(flat, torch.zeros(1, 1, 8, 8), atol=1e-3)


def test_images_that_use_a_part_of_their_range_are_standardized_as_those_that_use_it_all() -> None:
    images = 0.05 * torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    expected, deep = Standardize()(images), Standardize(1 / 16)
    assert torch.allclose(deep(images / 16), expected, atol=1e-4)
    again = Standardize(1.0)
    again.load_state_dict(deep.state_dict())
    assert torch.equal(again(images / 16), deep(images / 16))
    assert not Standardize().state_dict()


def test_normalized_images_keep_their_differences() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    normal = Normalize(0.25, 0.5)
    assert torch.allclose(normal(images), (images - 0.25) / 0.5)
    assert torch.isfinite(Normalize(0.0, 0.0)(images)).all()
    assert {"mean", "deviation"} == set(normal.state_dict())  # saved with the weights


@pytest.mark.parametrize("channels", [1, 3])
def test_timm_networks_work(channels: int) -> None:
    network = Backbone(NAME).build((channels, 32, 32), 4, nn.Identity())
    assert network.eval()(torch.rand(2, channels, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet10x", r"timm knows no model 'resnet10x'; close to it: .*resnet10t"),
        ("timm:resnt18", r"timm knows no model 'resnt18'; close to it: .*resnet18"),
        ("timm:%%%", r"timm knows no model '%%%'$"),
        ("vgg", r"classifier: expected 'resnet' or 'timm:NAME', got 'vgg'"),
    ],
)
def test_unknown_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Backbone(name).build((3, 32, 32), 4, nn.Identity())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some weights of timm's network, of 1,000 classes and three channels."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("weights") / "resnet10t.safetensors"
    save_file(timm.create_model("resnet10t").state_dict(), path)
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_are_loaded_all_but_the_last_layer(weights: Path, channels: int) -> None:
    backbone = Backbone(NAME, str(weights))
    network = backbone.build((channels, 32, 32), 4, Standardize())
    torch.manual_seed(5)
    source = timm.create_model("resnet10t")
    pairs = zip(network[1].named_parameters(), source.parameters(), strict=True)
    for (name, ours), theirs in pairs:
        if name.startswith("fc."):
            assert ours.shape[0] == 4
        elif name == "conv1.0.weight" and channels == 1:
            assert torch.allclose(ours, theirs.sum(1, keepdim=True), atol=1e-5)
        else:
            assert torch.equal(ours, theirs), name
    # Images are normalised as they were where it was trained, on whatever recipe.
    images = torch.rand(2, channels, 32, 32)
    mean, deviation = (torch.tensor(source.pretrained_cfg[k]) for k in ("mean", "std"))
    if channels == 3:
        expected = (images - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    else:
        expected = (images - mean.mean()) / deviation.mean()
    assert torch.allclose(network[0](images), expected, atol=1e-6)
    empty = backbone.build((channels, 32, 32), 4, Standardize(), empty=True)
    assert empty.state_dict().keys() == network.state_dict().keys()
    assert not torch.equal(empty[1].conv1[0].weight, network[1].conv1[0].weight)


@pytest.mark.parametrize("bits", [10, 12])
def test_weights_meet_images_of_few_bits_in_16_as_those_of_8(weights: Path, bits: int) -> None:
    deep = np.random.default_rng(0).integers(0, 2**bits, (24, 1, 16, 16), dtype=np.uint16)
    deep[0, 0, 0, 0] = 2**bits - 1
    seen = []
    for images in (deep, (deep >> (bits - 8)).astype(np.uint8)):
        data = LabelledImages(images, np.repeat([0, 1], 12), ["a", "b"])
        for config in (TrainConfig(policy="none"), TrainConfig(policy="none", standardize=False)):
            backbone = Backbone(NAME, str(weights)) if config.standardize else Backbone()
            network = train_classifier(
                data, config=config, classifier=backbone, steps=1, batch_size=8, device="cpu"
            )
            seen.append(network[0](to_float(images)))
    for of_deep, of_eight in zip(seen[:2], seen[2:], strict=True):
        assert torch.allclose(of_deep, of_eight, atol=0.05)
        assert of_deep.std() > 0.9


@pytest.mark.parametrize("size", ["64", 64.0, 7, 513])
def test_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(InputError, match="classifier size: expected"):
        Backbone(size=size)


def test_images_are_brought_to_the_size_that_is_asked_for() -> None:
    images = torch.rand(2, 3, 12, 20)
    for backbone in (Backbone("resnet", size=24), Backbone(NAME, size=32)):
        network = backbone.build((3, 12, 20), 4, Standardize())
        assert network.eval()(images).shape == (2, 4)
        assert network[0](images).shape == (2, 3, backbone.size, backbone.size)


def test_a_linear_probe_changes_the_last_layer_alone(weights: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 1, 16, 16), dtype=np.uint8)
    images[12:] //= 3
    data = LabelledImages(images, np.repeat([0, 1], 12), ["a", "b"])
    config = TrainConfig(policy="none", learning_rate=0.5, frozen=True)
    backbone = Backbone(NAME, str(weights), size=32)
    network = train_classifier(
        data, config=config, classifier=backbone, steps=30, batch_size=8, device="cpu"
    )
    start = backbone.build(data.image_shape, 2, Standardize()).state_dict()
    for name, tensor in network.state_dict().items():
        if "1.fc." in name:
            assert not torch.equal(tensor, start[name])
        else:
            assert torch.equal(tensor, start[name]), name
    assert evaluate(network, data, device="cpu").accuracy > 0.9
    assert all(weight.requires_grad for weight in network.parameters())


def test_a_last_layer_over_random_ones_is_no_probe() -> None:
    data = LabelledImages(np.zeros((4, 1, 16, 16), np.uint8), [0, 0, 1, 1], ["a", "b"])
    for network in ("resnet", NAME):
        with pytest.raises(InputError, match=r"stay random; give a Backbone with weights"):
            train_classifier(
                data, config=TrainConfig(frozen=True), classifier=network, device="cpu"
            )


def test_a_probe_learns_the_same_without_batch_norms(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (24, 3, 16, 16), dtype=np.uint8)
    data = LabelledImages(images, np.repeat([0, 1], 12), ["a", "b"])
    config = TrainConfig(policy="shift-flip", learning_rate=0.5, frozen=True)
    asked = []

    def trained(fold: Callable[..., nn.Module]) -> Tensor:
        def kept(*given: Any) -> nn.Module:
            asked.append(fold(*given))
            return asked[-1]

        monkeypatch.setattr("synthaug.classifiers.training.fold_batch_norms", kept)
        backbone = Backbone(NAME, str(weights), size=32)
        options = {"config": config, "classifier": backbone, "steps": 12, "device": "cpu"}
        return head_of(train_classifier(data, batch_size=8, **options)).weight.detach()

    plain, fewer = trained(lambda network, *_: network), trained(fold_batch_norms)
    found = [sum(isinstance(layer, nn.BatchNorm2d) for layer in net.modules()) for net in asked]
    assert found[0] > 0 == found[1]
    assert torch.allclose(plain, fewer, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet", NAME])
def test_the_last_layer_gives_one_number_a_class(name: str) -> None:
    head = head_of(Backbone(name).build((3, 32, 32), 7, Standardize()))
    assert isinstance(head, nn.Linear) and head.out_features == 7


def test_weights_that_do_not_fit_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Backbone(NAME, str(tmp_path / "none.pth"))
    with pytest.raises(InputError, match="expected 'timm:NAME', got 'resnet'"):
        Backbone("resnet", str(weights))
    with pytest.raises(InputError, match="8 to 512"):
        Backbone(size=4)
    (tmp_path / "text.pth").write_text("not weights")
    for name, file in (("timm:resnet18", weights), (NAME, tmp_path / "text.pth")):
        with pytest.raises(InputError, match=r"timm could not load .* expected a file"):
            Backbone(name, str(file)).build((3, 32, 32), 4, Standardize())


def refused(weights: dict[str, Any], file: Path) -> str:
    torch.save(weights, file)
    with pytest.raises(InputError) as caught:
        Backbone(NAME, file).build((3, 32, 32), 4, Standardize())
    return str(caught.value)


def test_weights_that_timm_would_leave_random_are_refused(weights: Path, tmp_path: Path) -> None:
    """timm loads what it finds under its names, and says nothing of the rest."""
    known, file = load_file(weights), tmp_path / "saved.pth"
    needed = sum(not name.startswith("fc.") and "num_batches" not in name for name in known)
    for forms in (
        {f"1.{name}": tensor for name, tensor in known.items()},  # of `train_classifier`
        {"state_dict": {f"model.{name}": tensor for name, tensor in known.items()}},  # Lightning
        {"net": known, "epoch": 3},
    ):
        said = refused(forms, file)
        assert f"'{file}' has no 'conv1.0.weight' and {needed - 1} more" in said
        assert "network[1].state_dict()" in said and "num_batches_tracked" not in said
        assert "; it has '" in said
    part = {name: tensor for name, tensor in known.items() if name != "layer3.0.conv2.weight"}
    assert "has no 'layer3.0.conv2.weight' of the weights of resnet10t" in refused(part, file)
    # Nor would a probe's features be those of the file with batch norm as it is made.
    plain = {name: tensor for name, tensor in known.items() if "running_var" not in name}
    assert "has no 'conv1.1.running_var' and " in refused(plain, file)
    # What it unwraps, and a last layer of other classes or none, are as good as the file.
    headless = {name: tensor for name, tensor in known.items() if not name.startswith("fc.")}
    for forms in ({"model": known}, headless, {name: v.half() for name, v in known.items()}):
        torch.save(forms, file)
        torch.manual_seed(3)
        network = Backbone(NAME, file).build((3, 32, 32), 4, Standardize())
        after = torch.rand(1)
        expected = known["layer3.0.conv2.weight"]
        assert torch.allclose(network[1].layer3[0].conv2.weight, expected, atol=1e-3)
    # Looking twice draws nothing that a training would draw.
    torch.manual_seed(3)
    timm.create_model("resnet10t", num_classes=4)
    assert torch.equal(torch.rand(1), after)


def test_what_is_no_state_dict_is_said_to_be_none(weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    for save in (
        lambda: torch.save(timm.create_model("resnet10t"), file),
        lambda: file.write_bytes(weights.read_bytes()),  # safetensors under another name
    ):
        save()
        with pytest.raises(InputError, match="no state_dict; one of safetensors has to be named"):
            Backbone(NAME, file).build((3, 32, 32), 4, Standardize())
    torch.save(timm.create_model("resnet18").state_dict(), file)
    with pytest.raises(InputError, match="size mismatch"):
        Backbone("timm:test_efficientnet", file).build((3, 32, 32), 4, Standardize())


def test_paths_and_numbers_of_numpy_are_kept_as_those_of_python(weights: Path) -> None:
    given = Backbone(NAME, weights, np.int64(32))
    assert given == Backbone(NAME, str(weights), 32)
    assert json.dumps(given.facts)
    for wrong in ({"name": 5}, {"name": NAME, "weights": 5}):
        with pytest.raises(InputError, match=r"^classifier"):
            Backbone(**wrong)
    with pytest.raises(InputError, match="is a directory"):
        Backbone(NAME, weights.parent)


def test_the_last_layers_of_a_network_with_two(tmp_path: Path) -> None:
    backbone = Backbone("timm:deit_tiny_distilled_patch16_224")
    built = backbone.build((3, 224, 224), 7, Standardize())
    assert [layer.out_features for layer in head_of(built)] == [7, 7]
    file = tmp_path / "weights.safetensors"
    save_file(built[1].state_dict(), file)
    again = Backbone(backbone.name, file).build((3, 224, 224), 5, Standardize())
    assert torch.equal(again[1].cls_token, built[1].cls_token)
    assert [layer.out_features for layer in head_of(again)] == [5, 5]


def test_weights_stay_those_that_were_named(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of an earlier run are still where that was started."""
    monkeypatch.chdir(weights.parent)
    backbone = Backbone(NAME, weights.name)
    sent, known = pickle.dumps(backbone), backbone.identity
    monkeypatch.chdir(tmp_path)
    (tmp_path / weights.name).write_bytes(b"others")
    there = pickle.loads(sent)
    assert there == backbone and there.facts["classifier_weights"] == weights.name
    assert there.identity == known
    there.build((3, 32, 32), 4, Standardize())


def test_its_identity_is_that_of_the_weights(weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(weights.read_bytes())
    same = Backbone(NAME, str(weights)).identity
    assert Backbone(NAME, str(copy)).identity == same
    save_file({"x": torch.zeros(1)}, copy)
    others = [Backbone(NAME, str(copy)), Backbone(NAME), Backbone(NAME, str(weights), 64)]
    assert len({same, *(each.identity for each in others)}) == 4


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        *[("resnet", side, False) for side in (8, 12, 20, 21, 28, 41, 64)],
        ("timm:resnet10t", 12, True),
        ("timm:resnet10t", 128, False),
    ],
)
def test_which_networks_see_less_than_their_kernels(name: str, side: int, expected: bool) -> None:
    network = Backbone(name).build((1, side, side), 2, nn.Identity()).train()
    assert is_cramped(network, (1, side, side)) is expected
    assert network.training and not any(layer._forward_hooks for layer in network.modules())


@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("timm:efficientnet_lite0", "cuda", torch.contiguous_format),
        ("timm:efficientnet_lite0", "cpu", torch.channels_last),
        ("timm:resnet10t", "cuda", torch.channels_last),
        ("resnet", "cuda", torch.channels_last),
    ],
)
def test_only_depthwise_convolutions_on_a_gpu_have_channels_first(
    name: str, device: str, expected: torch.memory_format
) -> None:
    network = Backbone(name).build((3, 64, 64), 2, nn.Identity())
    assert layout_for(network, torch.device(device)) is expected
