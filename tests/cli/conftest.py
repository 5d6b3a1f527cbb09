"""The command line called in this process, and small images for it."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from cli_files import listing
from PIL import Image

from synthaug.cli.main import run

CLASSES = ("cat", "dog")
SIDE = 8


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


def call(*words: str | Path) -> Outcome:
    """`synthaug WORDS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stopped:
        run([str(word) for word in words])
    return Outcome(int(stopped.value.code or 0), out.getvalue(), err.getvalue())


def pixels(count: int, *, seed: int, level: int = 0, shape: tuple[int, ...] = (SIDE, SIDE)):
    noise = np.random.default_rng(seed).integers(0, 120, (count, *shape))
    return (noise + level).astype(np.uint8)


def write_tree(root: Path, counts: dict[str, int], *, seed: int = 0) -> Path:
    """Class folders of noise, brighter from class to class."""
    for label, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for index, image in enumerate(pixels(count, seed=seed + label, level=20 * label)):
            Image.fromarray(image).save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="session", name="call")
def _call() -> Callable[..., Outcome]:
    return call


@pytest.fixture(scope="session", name="tree")
def _tree() -> Callable[..., Path]:
    return write_tree


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in train and test folders, two classes."""
    root = tmp_path_factory.mktemp("data")
    write_tree(root / "train", dict.fromkeys(CLASSES, 14))
    write_tree(root / "test", dict.fromkeys(CLASSES, 10), seed=50)
    return root


@pytest.fixture(scope="session")
def generator(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator without training."""
    directory = tmp_path_factory.mktemp("fit") / "generator"
    done = call("fit", data, "--generator", "style-swap", "-o", directory, "--device", "cpu")
    assert done.status == 0, done.err
    return directory


@pytest.fixture(scope="session")
def pool(generator: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images per class."""
    directory = tmp_path_factory.mktemp("sample") / "pool"
    done = call("sample", generator, "--per-class", "4", "-o", directory, "--device", "cpu")
    assert done.status == 0, done.err
    return directory


@pytest.fixture(scope="session")
def quick() -> tuple[str, ...]:
    """Options of `gain` that leave little to do."""
    few = ("--steps", "3", "--batch-size", "8", "--seeds", "2", "--arms", "quick")
    fixed = ("--policy", "shift", "--jobs", "1", "--device", "cpu")
    return (*few, *fixed, "--generator", "style-swap")


@pytest.fixture
def refused(call: Callable, tmp_path: Path) -> Callable[..., str]:
    """Calls the command line in vain and gives its message."""

    def refuse(*words: str | Path, status: int = 2) -> str:
        before = listing(tmp_path)
        done = call(*words)
        assert done.status == status, done
        assert done.out == ""
        *before_it, message = done.err.splitlines()
        assert all(line.endswith(" of 2") or "0 of" in line for line in before_it), done.err
        assert message.startswith("error: ")
        assert listing(tmp_path) == before
        return message

    return refuse


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes time fails."""

    def work(*_: object, **__: object) -> None:
        pytest.fail("work began")

    for name in (
        "gain.read_splits",
        "gain.measure_gain",
        "tune.read_splits",
        "generators.read_data",
        "generators.load_generator",
        "pools.read_data",
    ):
        monkeypatch.setattr(f"synthaug.cli.{name}", work)
