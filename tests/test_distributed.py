"""Several processes that train one generator together."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from synthaug.distributed import ALONE, current, team
from synthaug.errors import InputError
from synthaug.generators import ConditionalVAE, TransferVAE, load_generator
from synthaug.images import LabelledImages

PROGRAM = """
import sys
import numpy as np
from synthaug.distributed import current, team
from synthaug.generators import FAMILIES
from synthaug.images import LabelledImages
from synthaug.training import optimize

family, output, settings, images, labels, checkpoint = sys.argv[1:]
optimize.__kwdefaults__["checkpoint_every"] = 2
data = LabelledImages(np.load(images), np.load(labels), ["a", "b", "c"])
with team() as ours:
    assert current() == ours and ours.size == 2
    generator = FAMILIES[family](**eval(settings)).fit(data, device="cpu", checkpoint=checkpoint)
    generator.save(f"{output}-{ours.rank}")
"""


def make_data(path: Path) -> LabelledImages:
    rng = np.random.default_rng(0)
    labels = np.arange(18) % 3
    images = (rng.integers(0, 60, (18, 1, 8, 8)) + 60 * labels[:, None, None, None]).astype(
        np.uint8
    )
    np.save(path / "images.npy", images)
    np.save(path / "labels.npy", labels)
    return LabelledImages(images, labels, ["a", "b", "c"])


def launch(folder: Path, family: str, settings: dict) -> list[dict[str, torch.Tensor]]:
    """The weights that each of two processes ends with."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = (family, folder / "made", settings, folder / "images.npy", folder / "labels.npy")
    running = []
    for rank in range(2):
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
        environment = {key: str(value) for key, value in place.items()}
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *map(str, words), str(folder / "checkpoint")],
                env={
                    **os.environ,
                    **environment,
                    "MASTER_ADDR": "127.0.0.1",
                    "OMP_NUM_THREADS": "1",
                },
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert not list(folder.glob("checkpoint*"))
    made = (load_generator(folder / f"made-{rank}", device="cpu") for rank in range(2))
    return [generator._networks.state_dict() for generator in made]


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_outside_a_launcher_there_is_one_process() -> None:
    with team() as ours:
        assert ours == ALONE == current()
        assert ours.tell("x") == "x"
        assert ours.gather("x") == ["x"]
        ours.average([torch.ones(2)])


@pytest.mark.usefixtures("one_thread")
def test_networks_of_one_class_are_dealt_out_and_learn_what_they_would_alone(tmp_path) -> None:
    data = make_data(tmp_path)
    settings = {"steps": 5, "batch_size": 4, "latent": 3, "width": 4, "scope": "per-class"}
    first, second = launch(tmp_path, "ConditionalVAE", settings)
    alone = ConditionalVAE(**settings).fit(data, device="cpu")
    assert equal(first, second)
    assert equal(first, alone._networks.state_dict())


@pytest.mark.usefixtures("one_thread")
def test_a_shared_network_learns_from_both_halves_of_a_batch(tmp_path) -> None:
    data = make_data(tmp_path)
    settings = {"steps": 5, "batch_size": 8, "latent": 3}
    first, second = launch(tmp_path, "TransferVAE", settings)
    assert equal(first, second)
    half = TransferVAE(**{**settings, "batch_size": 4}).fit(data, device="cpu")
    alone = half._networks.state_dict()
    assert not equal(first, alone)  # one process's half by itself leads elsewhere


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path, monkeypatch) -> None:
    from synthaug import distributed

    monkeypatch.setattr(distributed, "_current", distributed.ContextVar("team"))
    distributed._current.set(distributed.Team(rank=0, size=3))
    with pytest.raises(InputError, match="batch_size: expected a multiple of the 3 processes"):
        TransferVAE(steps=2, batch_size=64).fit(make_data(tmp_path), device="cpu")
