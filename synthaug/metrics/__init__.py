"""Compare synthetic images with real ones, without training a classifier on them.

May import `core` and `data`.
"""

from synthaug.metrics.distances import frechet_distance, kernel_distance
from synthaug.metrics.features import (
    Features,
    class_probabilities,
    expect_columns,
    extract_features,
    pixels,
)
from synthaug.metrics.manifolds import prdc
from synthaug.metrics.neighbours import Compared, nearest, nearest_of, nearest_other
from synthaug.metrics.similarity import psnr, ssim

__all__ = [
    "Compared",
    "Features",
    "class_probabilities",
    "expect_columns",
    "extract_features",
    "frechet_distance",
    "kernel_distance",
    "nearest",
    "nearest_of",
    "nearest_other",
    "pixels",
    "prdc",
    "psnr",
    "ssim",
]
