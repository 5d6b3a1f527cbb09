"""The pool: synthetic images on disk, ready to be mixed in."""

from synthaug.pool.sample_pool import Filter, SamplePool

__all__ = ["Filter", "SamplePool"]
