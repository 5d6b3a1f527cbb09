"""What a run warns of before its disk is full."""

import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from synthaug import Blend, Chain, ConditionalVAE, LabelledImages, RandomField, StyleSwap
from synthaug.classifiers import Backbone
from synthaug.gain import Experiment, Source, warn_of_room
from synthaug.gain.runs.pools import _missing, make_pools

STYLE, FIELD = StyleSwap(cells=2), RandomField()


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8), np.uint8)
    data = LabelledImages(images, np.arange(50) % 2, ["a", "b"])
    return Experiment(data, None, None, Backbone(), 16, "cpu", directory=tmp_path)


def written(directory: Path) -> int:
    """Bytes of images on disk."""
    return sum(np.load(path).nbytes for path in directory.glob("*/*/images.npy"))


@pytest.mark.parametrize(
    "source",
    [
        Source("style", STYLE),
        Source("blend", Blend((STYLE, FIELD))),
        Source("chain", Chain((STYLE, FIELD))),
    ],
    ids=lambda source: source.name,
)
def test_it_is_known_how_many_images_are_written(experiment: Experiment, source: Source) -> None:
    expected = 64 * _missing(experiment, [source], 0)
    assert source.generator is not None
    make_pools(experiment, source.generator, [source], 0, "all")
    assert written(experiment.directory) == expected > 0
    assert _missing(experiment, [source], 0) == 0  # a run that goes on needs less
    assert 64 * _missing(experiment, [source], 1) == expected


def test_sources_that_share_a_fit_share_its_images(experiment: Experiment) -> None:
    one = Source("one", ConditionalVAE(steps=1))
    other = Source("other", ConditionalVAE(steps=1), {"sampling": "nuisance-swap"})
    alone, both = _missing(experiment, [one], 0), _missing(experiment, [one, other], 0)
    assert both == 2 * alone - len(experiment.tested_fold(0).train_subset)
    assert _missing(experiment, [Source("given", pool=Path("pool"))], 0) == 0


def test_a_disk_with_too_little_room_is_warned_of(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [Source("style", STYLE)]
    needed = 64 * _missing(experiment, sources, 0) + 64 * _missing(experiment, sources, 1)

    def free(count: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))

    free(needed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_room(experiment, sources, [0, 1])
    free(needed - 1)
    with pytest.warns(UserWarning, match=r"take 0\.0 GB at least .* name a place with more \(--c"):
        warn_of_room(experiment, sources, [0, 1])
