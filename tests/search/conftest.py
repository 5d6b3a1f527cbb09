"""What all tests of the search share."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measurement import search as search_for_mix
from search_scores import REAL, Made, Score, open_files

import synthaug.classifiers.networks as networks
import synthaug.search.rounds as rounds
import synthaug.search.search as search
from synthaug.classifiers import TrainConfig
from synthaug.classifiers.networks import SmallResNet
from synthaug.data import LabelledImages
from synthaug.gain import Arm
from synthaug.gain.baselines import Tuning
from synthaug.mixing import MixConfig
from synthaug.search import Budget


def _hurry(connection: Any, _: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Power failures are not tested: what is written need not have arrived when a test goes on.
    Processes that tests kill are others, and wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        with suppress(ImportError):  # which Optuna keeps a search with
            from sqlalchemy import Engine, event

            event.listen(Engine, "connect", _hurry)
        yield


@pytest.fixture(scope="module", autouse=True)
def _tiny_networks(tiny_networks: None) -> None:
    pass


@pytest.fixture
def usual_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that several processes train in."""
    monkeypatch.setattr(networks, "SmallResNet", SmallResNet)


@pytest.fixture
def on_disk() -> None:
    """For tests of the file that proposals are kept in."""


@pytest.fixture(autouse=True)
def in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proposals are kept in memory, by the name of their file, in most tests: what is proposed is
    the same, and Optuna's database takes most of the time."""
    import optuna

    kept: dict[Path, optuna.storages.InMemoryStorage] = {}

    def storage_in(_: Any, path: Path) -> nullcontext:
        return nullcontext(kept.setdefault(path, optuna.storages.InMemoryStorage()))

    if "on_disk" not in request.fixturenames:
        monkeypatch.setattr(rounds, "storage_in", storage_in)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[MixConfig, Made]]:
    images = np.tile(np.arange(40, dtype=np.uint8)[:, None, None, None], (1, 1, 8, 8))
    train = LabelledImages(images, np.repeat([0, 1], 20), ["a", "b"])

    def searched(score: Score, real: list[Arm] = REAL, **options: Any) -> tuple[MixConfig, Made]:
        made = Made(score, tmp_path, train)

        @contextmanager
        def opened(experiment: Any, seeds: list[int], **others: Any) -> Iterator[Made]:
            made.seeds = seeds
            yield made
            made.left_open = open_files("search.db")

        monkeypatch.setattr(search, "open_comparison", opened)
        monkeypatch.setattr(search, "tune", lambda *_: Tuning(TrainConfig(), 100, []))
        monkeypatch.setattr(search, "without_synthetic", lambda *_, **__: (real, real[0]))
        return search_for_mix(train, **{"budget": Budget(trials=40), "jobs": 2, **options}), made

    return searched
