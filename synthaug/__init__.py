"""Synthetic images for small image-classification sets, and an honest measure of their worth."""

from importlib.metadata import version as _version

from synthaug.classifiers import Recipe, evaluate, train_classifier
from synthaug.errors import InputError, TrainingError
from synthaug.gain import Gain, measure_gain
from synthaug.generators import (
    VAEGAN,
    Blend,
    Chain,
    CompositionGAN,
    ConditionalGAN,
    ConditionalVAE,
    PatchSwap,
    RandomField,
    StyleSwap,
    TransferVAE,
    load_generator,
)
from synthaug.images import LabelledImages, Samples
from synthaug.metrics import frechet_distance, kernel_distance, prdc, psnr, ssim
from synthaug.mixing import MixedDataset, MixSynthetic, RatioBatchSampler, SyntheticDataset
from synthaug.pool import ClassifierAgreement, DistanceFilter, MemorizationFilter, SamplePool
from synthaug.reading import read_images

__version__ = _version("synthaug")
__all__ = [
    "Blend",
    "Chain",
    "ClassifierAgreement",
    "CompositionGAN",
    "ConditionalGAN",
    "ConditionalVAE",
    "DistanceFilter",
    "Gain",
    "InputError",
    "LabelledImages",
    "MemorizationFilter",
    "MixSynthetic",
    "MixedDataset",
    "PatchSwap",
    "RandomField",
    "RatioBatchSampler",
    "Recipe",
    "SamplePool",
    "Samples",
    "StyleSwap",
    "SyntheticDataset",
    "TrainingError",
    "TransferVAE",
    "VAEGAN",
    "evaluate",
    "frechet_distance",
    "kernel_distance",
    "load_generator",
    "measure_gain",
    "prdc",
    "psnr",
    "read_images",
    "ssim",
    "train_classifier",
]
