"""Synthetic images for small image-classification sets, and an honest measure of their worth."""

from importlib.metadata import version as _version

from synthaug.classifiers import Backbone, TrainConfig, train_classifier
from synthaug.core import InputError
from synthaug.data import LabelledImages, Samples, read_images
from synthaug.gain import Gain, Source, measure_gain
from synthaug.generators import (
    VAEGAN,
    Blend,
    Chain,
    CompositionGAN,
    ConditionalGAN,
    ConditionalVAE,
    Generator,
    PatchSwap,
    RandomField,
    StyleSwap,
    TransferVAE,
    load_generator,
)
from synthaug.mixing import (
    MixConfig,
    MixedDataset,
    MixSynthetic,
    RatioBatchSampler,
    SyntheticDataset,
)
from synthaug.pool import MemorizationFilter, SamplePool
from synthaug.search import search_mix

__version__ = _version("synthaug")
__all__ = [
    "Backbone",
    "Blend",
    "Chain",
    "CompositionGAN",
    "ConditionalGAN",
    "ConditionalVAE",
    "Gain",
    "Generator",
    "InputError",
    "LabelledImages",
    "MemorizationFilter",
    "MixConfig",
    "MixSynthetic",
    "MixedDataset",
    "PatchSwap",
    "RandomField",
    "RatioBatchSampler",
    "SamplePool",
    "Samples",
    "Source",
    "StyleSwap",
    "SyntheticDataset",
    "TrainConfig",
    "TransferVAE",
    "VAEGAN",
    "load_generator",
    "measure_gain",
    "read_images",
    "search_mix",
    "train_classifier",
]
