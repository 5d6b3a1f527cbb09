"""What all tests of the measurement share."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from measurement import QUICK, measure, sources

import synthaug.classifiers.networks as networks
from synthaug import Gain, LabelledImages, read_images
from synthaug.classifiers.networks import SmallResNet
from synthaug.data import draw_subset


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


@pytest.fixture(scope="module")
def train() -> LabelledImages:
    data = read_images("digits", image_size=8)
    return data.subset(draw_subset(data, 30, seed=0))


@pytest.fixture(scope="module")
def test() -> LabelledImages:
    return read_images("digits", split="test", image_size=8).subset(np.arange(200))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of runs that may take over what others trained: most of their arms are alike."""
    return {"cache": tmp_path_factory.mktemp("cells"), "keep": True}


@pytest.fixture(scope="module")
def quick(train: LabelledImages, test: LabelledImages) -> Gain:
    """In one go, with nothing from another run."""
    return measure(train, test, **QUICK, sources=sources())
