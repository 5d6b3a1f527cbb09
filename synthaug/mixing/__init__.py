"""Mixing: synthetic images into a training that is already there."""

from synthaug.mixing.batch import MixSynthetic
from synthaug.mixing.mix_recipe import MixRecipe
from synthaug.mixing.mixed import MixedDataset
from synthaug.mixing.ratio import CosineRatio, LinearRatio, OffForLast
from synthaug.mixing.samplers import RatioBatchSampler
from synthaug.mixing.synthetic import SyntheticDataset

__all__ = [
    "CosineRatio",
    "LinearRatio",
    "MixRecipe",
    "MixSynthetic",
    "MixedDataset",
    "OffForLast",
    "RatioBatchSampler",
    "SyntheticDataset",
]
