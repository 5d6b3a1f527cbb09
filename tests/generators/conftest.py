import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from synthaug.data import LabelledImages
from synthaug.generators import generator_class, registrations, registry
from synthaug.generators.learning.trained import Trained

TINY = {
    "transfer": {"steps": 2, "batch_size": 4, "latent": 3},
    "vae": {"steps": 2, "batch_size": 4, "latent": 3, "width": 4},
    "vaegan": {"steps": 2, "batch_size": 4, "latent": 3, "width": 4},
    "composition": {"steps": 2, "batch_size": 4, "width": 4},
    "gan": {"steps": 2, "batch_size": 4, "latent": 3, "width": 4},
}


def make_images(shape=(1, 8, 8), dtype=np.uint8, classes=3, per_class=4, seed=0):
    """Smooth gradients with noise, a direction per class, over the full range of `dtype`."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    labels = np.repeat(np.arange(classes), per_class)
    y, x = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)
    angle = np.pi * (labels / classes)[:, None, None, None]
    images = 0.5 + 0.3 * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5))
    images = images + 0.1 * rng.standard_normal((len(labels), channels, height, width))
    stored = (images.clip(0, 1) * np.iinfo(dtype).max).round().astype(dtype)
    return LabelledImages(stored, labels, [f"class {k}" for k in range(classes)])


EXAMPLE = Path(__file__).parents[2] / "examples" / "new_generator.py"
if "new_generator" not in sys.modules:  # a family of a user's own, "pca"
    spec = importlib.util.spec_from_file_location("new_generator", EXAMPLE)
    sys.modules["new_generator"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["new_generator"])

PARTS = {
    "blend": ("transfer", "vae per-class", "style-swap"),
    "chain": ("composition", "patch-swap", "vae per-class"),
}


def kind(family):
    """The class of a family, and the settings that its scope is asked for by."""
    name, _, scope = family.partition(" ")
    return generator_class(name), {"scope": scope} if scope else {}


def make_generator(family, **settings):
    cls, scope = kind(family)
    if cls.name in PARTS and not settings:
        return cls(tuple(make_generator(part) for part in PARTS[cls.name]))
    return cls(**{**TINY.get(cls.name, {}), **scope, **settings})


TRAINED = [
    f"{name}{scope}"
    for name, each in registrations().items()
    if issubclass(each.family, Trained)
    for scope in ("", " per-class")
]
OTHERS = [name for name, each in registrations().items() if not issubclass(each.family, Trained)]


OWN = registry._REGISTRY.pop("pca")  # for tests of this folder, and no search of another


@pytest.fixture(scope="module", autouse=True)
def _own_family() -> Iterator[None]:
    """Register the example's family."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._REGISTRY, "pca", OWN)
        yield


@pytest.fixture(scope="session")
def data():
    return make_images()


@pytest.fixture(scope="session", params=TRAINED + OTHERS)
def family(request):
    return request.param


@pytest.fixture(scope="session")
def fitted(family, data):
    return make_generator(family).fit(data, device="cpu")


@pytest.fixture(params=TRAINED)
def trained_family(request):
    return request.param


@pytest.fixture
def fit_tiny():
    """A function that fits a family with tiny settings to images of a shape and type."""

    def fit(family, shape=(1, 8, 8), dtype=np.uint8, device="cpu", **settings):
        return make_generator(family, **settings).fit(make_images(shape, dtype), device=device)

    return fit


@pytest.fixture
def tiny():
    """A function that makes an unfitted generator of a family with tiny settings."""
    return make_generator
