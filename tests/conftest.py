"""What all tests share."""

from collections.abc import Iterator

import pytest
import torch
from pretended_gpu import pretended_gpu

collect_ignore = ["conftest.py"]  # for doctests, under a name that those in folders have, too


@pytest.fixture
def gpu() -> Iterator[str]:
    """The name of a GPU: of the one that is there, or of one that is pretended."""
    if torch.cuda.is_available():
        yield "cuda"
    else:
        with pretended_gpu():
            yield "cuda"
