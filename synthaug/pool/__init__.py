"""Synthetic images on disk, and the filters that choose them.

May import `core`, `data`, `metrics` and `generators`.
"""

from synthaug.pool.export import drawable, export_folder, export_npz, export_tar
from synthaug.pool.filling import Filter, limits_of
from synthaug.pool.filters import (
    ClassifierAgreement,
    DistanceFilter,
    MemorizationFilter,
    Network,
    device_for,
    limit_filters,
    posterior_of,
)
from synthaug.pool.sample_pool import POOL_KIND, SamplePool, usual_size

__all__ = [
    "ClassifierAgreement",
    "DistanceFilter",
    "Filter",
    "POOL_KIND",
    "MemorizationFilter",
    "Network",
    "SamplePool",
    "device_for",
    "drawable",
    "export_folder",
    "export_npz",
    "export_tar",
    "limit_filters",
    "limits_of",
    "posterior_of",
    "usual_size",
]
