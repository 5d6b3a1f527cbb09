"""A path may begin with ~ wherever one is given in Python, as on the command line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from synthaug import (
    ConditionalVAE,
    Gain,
    InputError,
    LabelledImages,
    SamplePool,
    StyleSwap,
    load_generator,
    read_images,
    train_classifier,
)
from synthaug.classifiers import Backbone
from synthaug.gain import Experiment, open_comparison
from synthaug.gain.report import write_report
from synthaug.pool import export_folder, export_npz, export_tar

TINY = ConditionalVAE(steps=2, batch_size=4, latent=3, width=4)
RESULT = Path(__file__).parent.parent / "benchmarks" / "accuracy" / "results" / "digits-5.json"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "home"


@pytest.fixture
def data() -> LabelledImages:
    return read_images("digits")


class Stopped(Exception):
    pass


def stop(done: int, total: int) -> None:
    if done == total:
        raise Stopped


def test_what_is_written(home: Path, data: LabelledImages) -> None:
    StyleSwap().fit(data, device="cpu").save("~/generator")
    pool = SamplePool.create("~/pool", load_generator("~/generator", device="cpu"), 1)
    export_folder(pool, "~/folder")
    export_tar(pool, "~/tars")
    export_npz(pool, "~/pool.npz")
    Gain.load(RESULT).save("~/gain.json")
    write_report(Gain.load("~/gain.json"), "~/report.html")
    written = {"generator", "pool", "folder", "tars", "pool.npz", "gain.json", "report.html"}
    assert written <= {path.name for path in home.iterdir()}  # matplotlib keeps its fonts there
    assert not list(Path.cwd().iterdir())


TRAININGS: dict[str, Callable[[LabelledImages], object]] = {
    "generator": lambda data: TINY.fit(data, device="cpu", checkpoint="~/state", progress=stop),
    "classifier": lambda data: train_classifier(
        data, steps=2, batch_size=8, device="cpu", checkpoint="~/state", progress=stop
    ),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_checkpoints(name: str, home: Path, data: LabelledImages) -> None:
    with pytest.raises(Stopped):
        TRAININGS[name](data)
    assert [path.name for path in home.iterdir()] == ["state"]
    assert not list(Path.cwd().iterdir())


def test_logs(home: Path, data: LabelledImages) -> None:
    pytest.importorskip("tensorboard")
    TINY.fit(data, device="cpu", log="~/log")
    assert list((home / "log").iterdir())


def test_caches(home: Path, data: LabelledImages) -> None:
    experiment = Experiment(data, None, 5, Backbone(), 8, "cpu")
    with open_comparison(experiment, [0, 1], cache="~/cells", keep=True, jobs=1, progress=None):
        assert list((home / "cells").iterdir())


def test_weights_of_a_classifier(home: Path) -> None:
    network = timm.create_model("resnet10t")
    home.mkdir()
    torch.save(network.state_dict(), home / "weights.pth")
    backbone = Backbone("timm:resnet10t", "~/weights.pth")
    built = backbone.build((3, 32, 32), 10, torch.nn.Identity())
    kept = built[1].conv1[0].weight
    assert torch.equal(kept, network.conv1[0].weight)
    assert backbone.identity == Backbone("timm:resnet10t", str(home / "weights.pth")).identity


@pytest.mark.parametrize(("value", "found"), [(5, "int"), ("", "an empty one")])
@pytest.mark.parametrize("name", ["checkpoint", "log"])
def test_what_is_no_path(name: str, value: Any, found: str, data: LabelledImages) -> None:
    with pytest.raises(InputError, match=f"expected the path of a file or directory, got {found}"):
        TINY.fit(data, device="cpu", **{name: value})
