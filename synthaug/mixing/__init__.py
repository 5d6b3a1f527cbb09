"""Mixing: synthetic images into a training that is already there."""

from synthaug.mixing.datasets import MixedDataset, SyntheticDataset

__all__ = ["MixedDataset", "SyntheticDataset"]
