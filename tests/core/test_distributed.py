"""Several processes that train one generator together."""

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file

from synthaug.core import ALONE, InputError, Team, current, leads, optimize, team
from synthaug.data import LabelledImages
from synthaug.generators import (
    ConditionalGAN,
    ConditionalVAE,
    TransferVAE,
    generator_class,
    load_generator,
)
from synthaug.generators.learning.adversary import DiscriminatorAugmentation


def fit(output: Path, family: str, settings: dict, data: LabelledImages, checkpoint: Path) -> None:
    """Fit in each process of a team, and save what it has learned and what it ends with."""
    optimize.__kwdefaults__["checkpoint_every"] = 2
    tell = Team.tell

    def noted(ours: Team, value: Any) -> Any:
        if isinstance(value, dict):  # its own, before it takes what the first one has learned
            learned = {name: each.contiguous() for name, each in value.items()}
            save_file(learned, f"{output}-{ours.rank}-before")
        return tell(ours, value)

    Team.tell = noted  # type: ignore[method-assign]
    with team() as ours:
        assert current() == ours and ours.size == 2
        made = generator_class(family)(**settings).fit(data, device="cpu", checkpoint=checkpoint)
        made.save(f"{output}-{ours.rank}")


def make_data(dtype: type = np.uint8) -> LabelledImages:
    rng = np.random.default_rng(0)
    labels = np.arange(18) % 3
    images = rng.integers(0, 60, (18, 1, 8, 8)) + 60 * labels[:, None, None, None]
    return LabelledImages(images.astype(dtype), labels, ["a", "b", "c"])


def launch(
    folder: Path, family: str, settings: dict, data: LabelledImages
) -> list[dict[str, torch.Tensor]]:
    """The weights that each of two processes ends with."""
    run_twice(fit, folder / "made", family, settings, data, folder / "checkpoint")
    assert not list(folder.glob("checkpoint*"))
    made = (load_generator(folder / f"made-{rank}", device="cpu") for rank in range(2))
    return [generator.networks.state_dict() for generator in made]


def run_twice(work: Callable[..., None], *arguments: object) -> None:
    """The work in two processes that are a team."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    anew = multiprocessing.get_context("forkserver")
    team_of_two = [
        anew.Process(target=as_member, args=(rank, port, work, arguments), daemon=True)
        for rank in range(2)
    ]
    for process in team_of_two:
        process.start()
    for process in team_of_two:
        process.join(120)
        assert process.exitcode == 0


def as_member(rank: int, port: int, work: Callable[..., None], arguments: tuple) -> None:
    """The work where the environment is as a launcher makes it."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in place.items()}, MASTER_ADDR="127.0.0.1")
    work(*arguments)


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_outside_a_launcher_there_is_one_process() -> None:
    with team() as ours:
        assert ours == ALONE == current()
        assert ours.tell("x") == "x"
        assert ours.gather("x") == ["x"]
        ours.average([torch.ones(2)])


@pytest.mark.parametrize(
    ("gpu", "nccl", "expected"),
    [(True, True, "cpu:gloo,cuda:nccl"), (True, False, "gloo"), (False, True, "gloo")],
)
def test_processes_talk_by_what_there_is(monkeypatch, gpu, nccl, expected) -> None:
    asked: list[str] = []
    monkeypatch.setattr(os, "environ", {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(gpu))
    monkeypatch.setattr(dist, "is_nccl_available", lambda: nccl)
    monkeypatch.setattr(dist, "init_process_group", lambda name, timeout: asked.append(name))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: None)
    with team() as ours:
        assert ours == (1, 2, 1)
    assert asked == [expected]


def test_networks_of_one_class_are_dealt_out_and_learn_what_they_would_alone(tmp_path) -> None:
    """Also where each process has classes that fill fewer of 16 bits than those of another."""
    data = make_data(np.uint16)
    settings = {"steps": 5, "batch_size": 4, "latent": 3, "width": 4, "scope": "per-class"}
    first, second = launch(tmp_path, "ConditionalVAE", settings, data)
    alone = ConditionalVAE(**settings).fit(data, device="cpu")
    assert equal(first, second)
    begun = ConditionalVAE(**{**settings, "steps": 1}).fit(data, device="cpu")
    learned, before = (each.networks.state_dict() for each in (alone, begun))
    # But for rounding, of which Adam makes whole steps where a gradient is nearly zero.
    assert _apart(first, learned) < 0.01 * _apart(before, learned)


def _apart(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> float:
    """The mean over all numbers of how far they are apart."""
    assert first.keys() == second.keys()
    far = [(first[name] - second[name]).double().abs().flatten() for name in first]
    return float(torch.cat(far).mean())


def test_a_shared_network_learns_from_both_halves_of_a_batch(tmp_path) -> None:
    data = make_data()
    settings = {"steps": 5, "batch_size": 8, "latent": 3}
    first, second = launch(tmp_path, "TransferVAE", settings, data)
    assert equal(first, second)
    half = TransferVAE(**{**settings, "batch_size": 4}).fit(data, device="cpu")
    alone = half.networks.state_dict()
    assert not equal(first, alone)  # one process's half by itself leads elsewhere
    # Each learned from both halves by itself, not by what the first one told it at the end.
    before, other = (load_file(tmp_path / f"made-{rank}-before") for rank in range(2))
    learned = [name for name, _ in half.networks[0].named_parameters()]
    assert learned and all(torch.equal(before[name], other[name]) for name in learned)


def average(path: Path) -> None:
    with team() as ours:
        given = [torch.as_tensor(each) for each in np.load(f"{path}-{ours.rank}.npz").values()]
        given[0] = given[0].T  # as it may lie in memory
        ours.average(iter(given))
        np.savez(f"{path}-{ours.rank}-mean.npz", *(each.numpy() for each in given))


def test_an_average_is_the_mean_over_the_processes(tmp_path) -> None:
    rng = np.random.default_rng(0)
    shapes = [(4, 3), (5,), (), (2, 3, 1)]
    given = [[rng.normal(size=shape).astype(np.float32) for shape in shapes] for _ in range(2)]
    for rank, arrays in enumerate(given):
        np.savez(tmp_path / f"given-{rank}.npz", *arrays)
    run_twice(average, tmp_path / "given")
    expected = [np.mean(each, axis=0) for each in zip(*given, strict=True)]
    expected[0] = expected[0].T
    for rank in range(2):
        found = np.load(tmp_path / f"given-{rank}-mean.npz").values()
        for mean, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(mean, wanted, rtol=1e-6)


def heed(path: Path) -> None:
    with team() as ours:
        augmentation = DiscriminatorAugmentation(["colour"], 0.4, 1)
        for _ in range(4):
            real = torch.tensor([1.0, 1, 1, -1] if ours.rank else [1.0, 1, -1, -1])
            augmentation.update(real, 0.0, 0.25, ours)
        torch.save(augmentation.state_dict(), f"{path}-{ours.rank}")


def test_processes_are_as_certain_as_all_of_them_together(tmp_path) -> None:
    """Else they would augment unlike, and a run that is resumed, alike."""
    run_twice(heed, tmp_path / "made")
    alone = DiscriminatorAugmentation(["colour"], 0.4, 1)
    for _ in range(4):
        alone.update(torch.tensor([1.0, 1, 1, -1, 1, 1, -1, -1]), 0.0, 0.25)
    for rank in range(2):
        assert equal(torch.load(tmp_path / f"made-{rank}"), alone.state_dict())


@contextmanager
def first_of(size: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work as the first of several processes that have met, though there are no others."""
    monkeypatch.setenv("WORLD_SIZE", str(size))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    with team():
        yield


def test_metadata_tells_the_most_certain_of_all_processes(monkeypatch) -> None:
    def gather(ours, value):
        return [value, 0.75] if isinstance(value, float) else [value] * ours.size

    monkeypatch.setattr(Team, "gather", gather)
    settings = {"steps": 1, "batch_size": 4, "latent": 3, "width": 4, "scope": "per-class"}
    with first_of(2, monkeypatch):
        generator = ConditionalGAN(**settings).fit(make_data(), device="cpu")
    assert generator.metadata["certainty"] == 0.75


def test_a_process_without_validation_images_trains_without(monkeypatch) -> None:
    from synthaug.core import training

    monkeypatch.setattr(Team, "gather", lambda ours, value: [value] * ours.size)
    monkeypatch.setattr(training, "APART", 1)
    data = make_data()
    negatives = replace(data, images=255 - data.images)
    validation = negatives.subset(np.flatnonzero(data.labels))  # none of this process's class
    settings = {"steps": 2, "batch_size": 4, "latent": 3, "width": 4, "scope": "per-class"}
    with first_of(3, monkeypatch):
        generator = ConditionalVAE(**settings).fit(data, validation=validation, device="cpu")
    # Of all networks, at the end.
    assert set(generator.metadata["validation"]) == {"accuracy", "coverage"}


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch) -> None:
    message = "batch_size: expected a multiple of the 3 processes"
    with first_of(3, monkeypatch), pytest.raises(InputError, match=message):
        TransferVAE(steps=2, batch_size=64).fit(make_data(), device="cpu")
    message = r"expected an even number .* each of the 2 .*, got 6"
    with first_of(2, monkeypatch), pytest.raises(InputError, match=message):
        ConditionalGAN(steps=2, batch_size=6).fit(make_data(), device="cpu")


def test_a_size_without_a_number_is_named(monkeypatch) -> None:
    """As job scripts leave it behind."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    assert leads()
    with pytest.raises(InputError, match=r"RANK.* is not set; start them with torchrun"), team():
        pass


@pytest.mark.parametrize("name", ["WORLD_SIZE", "RANK", "LOCAL_RANK"])
def test_what_a_launcher_would_not_set_is_named(monkeypatch, name) -> None:
    for each in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.setenv(each, "x" if each == name else "2")
    message = f"{name}: expected a number, as torchrun sets it, got 'x'"
    with pytest.raises(InputError, match=message), team():
        pass
    monkeypatch.setenv("WORLD_SIZE", "")
    with team() as ours:
        assert ours.size == 1
