"""Pool: synthetic images on disk, and which of them are fit for it."""

from synthaug.pool.filling import Filter
from synthaug.pool.filters import (
    ClassifierAgreement,
    DistanceFilter,
    MemorizationFilter,
    limit_filters,
)
from synthaug.pool.sample_pool import SamplePool, usual_size

__all__ = [
    "ClassifierAgreement",
    "DistanceFilter",
    "Filter",
    "MemorizationFilter",
    "SamplePool",
    "limit_filters",
    "usual_size",
]
