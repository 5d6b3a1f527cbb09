"""Fit the generators of a measurement, and sample their pools, kept on disk beside the runs.

Before that, the room on the disk is checked.
"""

import copy
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthaug.core import (
    MANIFEST,
    InputError,
    TrainingError,
    read_json,
    read_unchanged,
    stream_seed,
    write_json,
)
from synthaug.gain.arms import Source, fit_key
from synthaug.gain.runs.experiment import Experiment, short_digest, slug
from synthaug.gain.runs.folds import Fold
from synthaug.generators import Composite, Generator, read_generator_manifest, singles
from synthaug.pool import SamplePool, limit_filters, usual_size


def pool_directory(experiment: Experiment, source: Source, seed: int, fold: str) -> Path:
    """Return where the pool of a generator is kept."""
    assert source.generator is not None
    digest = short_digest(f"{fit_key(source.generator)} {source.sampling} {source.filters}")
    return experiment.directory / "pools" / f"{slug(source.name)}-seed{seed}-{fold}-{digest}"


def _failure(directory: Path) -> Path:
    """Return the file that notes why a pool is missing."""
    return directory.with_name(f"{directory.name}.json")


def has_pool(experiment: Experiment, source: Source, seed: int, fold: str) -> bool:
    """Tell whether the pool of a generator is there already, or its training diverged."""
    directory = pool_directory(experiment, source, seed, fold)
    return (directory / MANIFEST).exists() or _failure(directory).exists()


def load_pool(experiment: Experiment, source: Source, seed: int, fold: str) -> SamplePool:
    """Open the source's synthetic images for one fold of one seed.

    Raises:
        InputError: If a pool from elsewhere was replaced since it was opened.
        TrainingError: If the training of the generator diverged.
    """
    if source.pool is None:
        directory = pool_directory(experiment, source, seed, fold)
        if _failure(directory).exists():
            raise TrainingError(read_json(_failure(directory))["diverged"])
        return SamplePool(directory)
    pool = SamplePool(source.pool)
    fingerprint = pool.manifest["fingerprint"]
    if source.fingerprint and fingerprint != source.fingerprint:
        raise InputError(
            f"{source.pool}: replaced by another pool since it was opened (expected the "
            f"fingerprint {source.fingerprint}, got {fingerprint}); start again"
        )
    return pool


def make_pools(
    experiment: Experiment,
    generator: Generator,
    sources: Sequence[Source],
    seed: int,
    fold_name: str,
) -> None:
    """Fit the generator on one fold, and sample a pool for each of the sources that share it.

    Where that diverges, note it in their place.
    """
    fold = experiment.fold(seed, fold_name)
    real = fold.train
    try:
        fitted_generator = _fitted_generator(experiment, generator, fold, seed)
    except TrainingError as error:
        for source in sources:
            failure = _failure(pool_directory(experiment, source, seed, fold_name))
            write_json(failure, {"diverged": str(error)})
        return
    for source in sources:
        try:
            SamplePool.create(
                pool_directory(experiment, source, seed, fold_name),
                source.sampled(fitted_generator),
                usual_size(real.counts),
                filters=limit_filters(source.filters),
                reference=real,
                seed=_generator_seed(seed),
            )
        except InputError as error:  # as where its filters reject too much of these samples
            raise InputError(f"{source.name}, seed {seed}: {error}") from error


def _fitted_generator(
    experiment: Experiment, generator: Generator, fold: Fold, seed: int
) -> Generator:
    """Return the generator fitted to one fold, from disk where it is there already.

    A composite is made of parts that other sources use, too.
    """
    name = f"seed{seed}-{fold.name}-{short_digest(fit_key(generator))}"
    directory = experiment.directory / "generators" / name
    if (directory / MANIFEST).exists():
        # By its class, which may be one of the user's own.
        return read_unchanged(
            directory,
            lambda: type(generator).load(
                directory, read_generator_manifest(directory), experiment.device
            ),
        )
    if isinstance(generator, Composite):
        return type(generator).of(
            [_fitted_generator(experiment, each, fold, seed) for each in generator.parts]
        )
    fitted_generator = copy.deepcopy(generator)
    fitted_generator.fit(fold.train, seed=_generator_seed(seed), device=experiment.device)
    fitted_generator.save(directory)
    return fitted_generator


def _generator_seed(seed: int) -> int:
    return stream_seed(seed, "generator")


GIGABYTE = 1e9


def warn_of_room(experiment: Experiment, sources: Sequence[Source], seeds: Sequence[int]) -> None:
    """Warn where the disk has too little room for the images of the choices on these seeds.

    A full disk hours later would end the measurement.
    """
    image = experiment.train.images[:1].nbytes
    bytes_needed = image * sum(_missing(experiment, sources, seed) for seed in seeds)
    free = shutil.disk_usage(experiment.directory).free
    if bytes_needed > free:
        warnings.warn(
            f"{experiment.directory}: the pools and generators of this run take "
            f"{_size(bytes_needed)} at least until it is over, there is room for {_size(free)}; "
            "name a place with more (--cache), measure fewer generators (--generator) or on fewer "
            "seeds",
            stacklevel=2,
        )


def _missing(experiment: Experiment, sources: Sequence[Source], seed: int) -> int:
    """Count the images that are still to be written for a seed, in pools and saved generators."""
    count = 0
    for fold in experiment.folds(seed):
        counts = np.bincount(fold.train_subset.labels, minlength=len(experiment.train.classes))
        fits: dict[str, Generator] = {}
        for source in sources:
            generator = source.generator
            if generator is None:
                continue
            if has_pool(experiment, source, seed, fold.name):
                continue
            count += usual_size(counts) * len(counts)
            fits |= {fit_key(each): each for each in singles(generator)}
        count += len(fold.train_subset) * sum(each.keeps_images for each in fits.values())
    return count


def _size(count: int) -> str:
    return f"{count / GIGABYTE:,.1f} GB"
