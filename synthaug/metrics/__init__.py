"""What can be said of synthetic images beside real ones, without training on them."""

from synthaug.metrics.distances import frechet_distance, kernel_distance
from synthaug.metrics.features import extract_features
from synthaug.metrics.manifolds import prdc
from synthaug.metrics.similarity import psnr, ssim

__all__ = [
    "extract_features",
    "frechet_distance",
    "kernel_distance",
    "prdc",
    "psnr",
    "ssim",
]
