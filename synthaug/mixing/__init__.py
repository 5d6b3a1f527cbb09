"""Mixing: synthetic images into a training that is already there."""

from synthaug.mixing.batch import MixSynthetic
from synthaug.mixing.datasets import MixedDataset, SyntheticDataset
from synthaug.mixing.ratio import CosineRatio, LinearRatio, OffForLast
from synthaug.mixing.samplers import RatioBatchSampler

__all__ = [
    "CosineRatio",
    "LinearRatio",
    "MixSynthetic",
    "MixedDataset",
    "OffForLast",
    "RatioBatchSampler",
    "SyntheticDataset",
]
