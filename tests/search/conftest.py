"""What all tests of the search share."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import synthaug.classifiers.networks as networks
from synthaug.classifiers.networks import SmallResNet


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
