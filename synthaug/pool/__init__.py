"""Pool: synthetic images on disk, and which of them are fit for it."""

from synthaug.pool.filters import ClassifierAgreement, DistanceFilter, MemorizationFilter
from synthaug.pool.sample_pool import Filter, SamplePool

__all__ = [
    "ClassifierAgreement",
    "DistanceFilter",
    "Filter",
    "MemorizationFilter",
    "SamplePool",
]
