"""Which epoch it is, for Datasets that go by it."""

from typing import Any

from synthaug.reading import sources_of


def tell_epoch(dataset: Any, epoch: int) -> None:
    """Tell the epoch to each `MixedDataset` that items of `dataset` come from."""
    for source, _ in sources_of(dataset):
        if hasattr(source, "set_epoch"):
            source.set_epoch(epoch)
