"""The synthetic images of a run: generators fitted to a part of a seed and pools sampled from them,
kept on disk beside the cells that learn from them."""

import copy
from collections.abc import Sequence
from pathlib import Path

from synthaug.directories import MANIFEST, read_unchanged
from synthaug.errors import InputError, TrainingError
from synthaug.files import read_json, write_json
from synthaug.gain.arms import Source, fit_key
from synthaug.gain.trials.parts import Part
from synthaug.gain.trials.study import Study, short_digest, slug
from synthaug.generators import Generator
from synthaug.generators.composite import Composite
from synthaug.generators.saving import read_generator_manifest
from synthaug.pool import SamplePool, limit_filters, usual_size
from synthaug.seeding import stream_seed


def pool_directory(study: Study, source: Source, seed: int, part: str) -> Path:
    """Where the pool of a source that is a generator is kept."""
    assert source.generator is not None
    digest = short_digest(f"{fit_key(source.generator)} {source.sampling} {source.filters}")
    return study.directory / "pools" / f"{slug(source.name)}-seed{seed}-{part}-{digest}"


def _failure(directory: Path) -> Path:
    """Where it is noted why there is no pool in this directory."""
    return directory.with_name(f"{directory.name}.json")


def has_pool(study: Study, source: Source, seed: int, part: str) -> bool:
    """Whether the pool of a source that is a generator is there already, or that it diverged."""
    directory = pool_directory(study, source, seed, part)
    return (directory / MANIFEST).exists() or _failure(directory).exists()


def load_pool(study: Study, source: Source, seed: int, part: str) -> SamplePool:
    """The source's synthetic images for one part of one seed.

    Raises `InputError` for a given pool that is no more the one that was opened, `TrainingError`
    where the training of the generator diverged.
    """
    if source.pool is None:
        directory = pool_directory(study, source, seed, part)
        if _failure(directory).exists():
            raise TrainingError(read_json(_failure(directory))["diverged"])
        return SamplePool(directory)
    pool = SamplePool(source.pool)
    found = pool.manifest["fingerprint"]
    if source.fingerprint and found != source.fingerprint:
        raise InputError(
            f"{source.pool}: replaced by another pool since it was opened (expected the "
            f"fingerprint {source.fingerprint}, got {found}); start again"
        )
    return pool


def make_pools(
    study: Study, generator: Generator, sources: Sequence[Source], seed: int, part_name: str
) -> None:
    """Fit the generator on one part and sample a pool for each of the sources that share it; where
    that diverges, note it in their place."""
    part = study.part(seed, part_name)
    real = part.train
    try:
        fitted = _fitted(study, generator, part, seed)
    except TrainingError as error:
        for source in sources:
            failure = _failure(pool_directory(study, source, seed, part_name))
            write_json(failure, {"diverged": str(error)})
        return
    for source in sources:
        try:
            SamplePool.create(
                pool_directory(study, source, seed, part_name),
                source.sampled(fitted),
                usual_size(real.counts),
                filters=limit_filters(source.filters),
                reference=real,
                seed=_generator_seed(seed),
            )
        except InputError as error:  # as where its filters reject too much of these samples
            raise InputError(f"{source.name}, seed {seed}: {error}") from error


def _fitted(study: Study, generator: Generator, part: Part, seed: int) -> Generator:
    """The generator fitted to one part, from disk where it is there already; a composite is made of
    parts that other sources have use for, too."""
    named = f"seed{seed}-{part.name}-{short_digest(fit_key(generator))}"
    directory = study.directory / "generators" / named
    if (directory / MANIFEST).exists():
        # By its class, which may be one of the user's own.
        return read_unchanged(
            directory,
            lambda: type(generator).load(
                directory, read_generator_manifest(directory), study.device
            ),
        )
    if isinstance(generator, Composite):
        return type(generator).of([_fitted(study, each, part, seed) for each in generator.parts])
    fitted = copy.deepcopy(generator)
    fitted.fit(part.train, seed=_generator_seed(seed), device=study.device)
    fitted.save(directory)
    return fitted


def _generator_seed(seed: int) -> int:
    return stream_seed(seed, "generator")
