"""Synthetic images for small image-classification sets, and an honest measure of their worth."""

from importlib.metadata import version as _version

from synthaug.classifiers import TrainConfig, evaluate, train_classifier
from synthaug.core import InputError, TrainingError
from synthaug.data import LabelledImages, Samples, read_images
from synthaug.gain import Gain, measure_gain
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
from synthaug.metrics import frechet_distance, kernel_distance, prdc, psnr, ssim
from synthaug.mixing import MixedDataset, MixSynthetic, RatioBatchSampler, SyntheticDataset
from synthaug.pool import ClassifierAgreement, DistanceFilter, MemorizationFilter, SamplePool

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
    "Generator",
    "InputError",
    "LabelledImages",
    "MemorizationFilter",
    "MixSynthetic",
    "MixedDataset",
    "PatchSwap",
    "RandomField",
    "RatioBatchSampler",
    "TrainConfig",
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
