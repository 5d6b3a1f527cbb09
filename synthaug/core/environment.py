"""The versions that a figure was made with."""

import platform
from functools import cache
from importlib.metadata import version

_PACKAGES = ("synthaug", "torch", "torchvision", "timm", "numpy", "scikit-learn")


@cache
def versions() -> dict[str, str]:
    """Return the version of Python and of each package that can change a figure."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
