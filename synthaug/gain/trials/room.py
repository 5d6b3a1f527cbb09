"""Whether there is room for what a run keeps on disk until it is over."""

import shutil
import warnings
from collections.abc import Sequence

import numpy as np

from synthaug.gain.arms import Source, fit_key
from synthaug.gain.trials.pools import has_pool
from synthaug.gain.trials.study import Study
from synthaug.generators import Generator
from synthaug.generators.composite import singles
from synthaug.pool import usual_size

GIGABYTE = 1e9


def warn_of_room(study: Study, sources: Sequence[Source], seeds: Sequence[int]) -> None:
    """Warn where the disk of `study.directory` has less room than the images take that choices on
    these seeds need: full hours later, it would end the run."""
    image = study.train.images[:1].nbytes
    needed = image * sum(_missing(study, sources, seed) for seed in seeds)
    free = shutil.disk_usage(study.directory).free
    if needed > free:
        warnings.warn(
            f"{study.directory}: the pools and generators of this run take {_size(needed)} at "
            f"least until it is over, there is room for {_size(free)}; name a place with more "
            "(--cache), measure fewer generators (--generator) or on fewer seeds",
            stacklevel=2,
        )


def _missing(study: Study, sources: Sequence[Source], seed: int) -> int:
    """How many images are to be written for a seed: those in pools, and those that generators are
    saved with."""
    count = 0
    for part in study.parts(seed):
        counts = np.bincount(part.trained.labels, minlength=len(study.train.classes))
        fits: dict[str, Generator] = {}
        for source in sources:
            made = source.generator
            if made is None:
                continue
            if has_pool(study, source, seed, part.name):
                continue
            count += usual_size(counts) * len(counts)
            fits |= {fit_key(each): each for each in singles(made)}
        count += len(part.trained) * sum(each.keeps_images for each in fits.values())
    return count


def _size(count: int) -> str:
    return f"{count / GIGABYTE:,.1f} GB"
