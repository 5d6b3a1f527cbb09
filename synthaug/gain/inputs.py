"""Read and check everything that a measurement is given, before anything is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthaug.classifiers import Backbone, expect_train_config
from synthaug.core import InputError, absent_classes
from synthaug.data import (
    LabelledImages,
    check_groups,
    describe_skipped,
    expect_labelled,
    white_of,
)
from synthaug.gain.arms import Source, default_sources
from synthaug.gain.baselines import expect_base
from synthaug.gain.leaks import copies_within, refuse_copies, shared_images
from synthaug.gain.protocol import Protocol
from synthaug.gain.runs.experiment import Experiment
from synthaug.gain.selection import RATIOS, FixedMix, fixed_mix_of, origin_notes
from synthaug.generators import Generator
from synthaug.mixing import MixConfig
from synthaug.pool import SamplePool


@dataclass(frozen=True, eq=False)
class Inputs:
    """The checked arguments of a measurement.

    Attributes:
        train: Real images to train on.
        test: Real images to measure on.
        validation: Real images to make choices on, None where some of `train` serve.
        backbone: The classifier.
        protocol: What is compared and how often.
        name: Name of the data.
        sources: All sources of synthetic images.
        has_pool: Whether a pool is among them.
        pool_is_known: Whether that is known to be made of the training images alone.
        mix: The mix configuration to measure, None where one is searched for.
        fixed_mix: The same as an arm's settings.
        fresh_seeds: Seeds that no choice is made on.
        notes: What a reader has to know of the images, in words.
    """

    train: LabelledImages
    test: LabelledImages
    validation: LabelledImages | None
    backbone: Backbone
    protocol: Protocol
    name: str
    sources: list[Source]
    has_pool: bool
    pool_is_known: bool
    mix: MixConfig | None
    fixed_mix: FixedMix | None
    fresh_seeds: list[int]
    notes: list[str]

    @property
    def controls(self) -> list[Source]:
        """The sources that learn nothing."""
        return [source for source in self.sources if not source.trained]

    @property
    def measured_sources(self) -> list[Source]:
        """The sources of all arms that are compared."""
        return self.sources if self.fixed_mix is None else [self.fixed_mix.source, *self.controls]

    @property
    def search(self) -> str:
        """The way to find arms: the protocol's search, or "recipe" for a mix configuration."""
        return self.protocol.search if self.mix is None else "recipe"

    @property
    def identity(self) -> tuple[Any, ...]:
        """A value that differs for every other measurement on the same training images."""
        protocol = self.protocol
        return (
            self.test.fingerprint,
            protocol.search,
            self.sources,
            protocol.choice_seeds,
            protocol.precision,
            protocol.config,
            protocol.policy,
            protocol.steps,
            self.mix,
        )

    def experiment(self, device: str) -> Experiment:
        """Return what all runs share; check that the images can be split for every seed."""
        experiment = Experiment(
            self.train,
            self.validation,
            self.protocol.per_class,
            self.backbone,
            self.protocol.batch_size,
            device,
            self.has_pool,
            self.pool_is_known,
        )
        ratios = RATIOS if self.fixed_mix is None else [self.fixed_mix.ratio]
        experiment.check([*self.protocol.choice_seeds, *self.fresh_seeds], ratios)
        return experiment


def read_inputs(
    train: LabelledImages,
    test: LabelledImages,
    validation: LabelledImages | None,
    sources: Sequence[Source | Generator] | None,
    pool: SamplePool | str | Path | None,
    mix: MixConfig | None,
    classifier: str | Backbone,
    protocol: Protocol,
    name: str,
) -> Inputs:
    """Check the arguments of `measure_gain`, which explains them.

    Raises:
        InputError: If one is wrong by itself, or does not fit the others.
    """
    backbone = Backbone.of(classifier)
    check_name(name)
    if not isinstance(protocol, Protocol):
        raise InputError(f"protocol: expected a Protocol, as Protocol(seeds=3), got {protocol!r}")
    if mix is not None and not isinstance(mix, MixConfig):
        raise InputError(
            f"mix: expected a MixConfig, as MixConfig.load reads it from a file, got {mix!r}"
        )
    splits = {"train": train, "test": test}
    if validation is not None:
        splits["validation"] = validation
    notes = [*check_splits(splits), *origin_notes(mix, train)]
    if protocol.config is not None:
        expect_train_config(protocol.config, pretrained=backbone.pretrained)
        expect_base(protocol.config, protocol.policy)
    all_sources = default_sources() if sources is None else expect_sources(sources)
    pool_is_known = False
    if pool is not None:
        if mix is not None:
            raise InputError("pool: expected none beside mix, which says what is measured")
        opened_pool = SamplePool.of(pool)
        all_sources.append(pool_source(opened_pool, train, test, protocol.per_class))
        pool_is_known = opened_pool.origins == {train.fingerprint}
    inputs = Inputs(
        train,
        test,
        validation,
        backbone,
        protocol,
        name,
        all_sources,
        pool is not None,
        pool_is_known,
        mix,
        None if mix is None else fixed_mix_of(mix),
        _fresh_seeds(protocol, mix),
        notes,
    )
    check_sources(inputs.measured_sources)
    return inputs


def _fresh_seeds(protocol: Protocol, mix: MixConfig | None) -> list[int]:
    """Return as many seeds as the protocol has, on which no choice was made.

    Nor was any in the search for `mix`.
    """
    search = {} if mix is None else mix.search
    searched_seeds = [*search.get("seeds", []), *search.get("check_seeds", [])]
    first = max([protocol.choice_seeds[-1], *searched_seeds]) + 1
    return list(range(first, first + protocol.seeds))


def check_splits(splits: dict[str, LabelledImages]) -> list[str]:
    """Check that splits fit together.

    Args:
        splits: "train" and others, by name.

    Returns:
        What a reader has to know of them, in words.

    Raises:
        InputError: If classes, dtypes or shapes differ, a split is empty, or a group is in two.
    """
    for name, images in splits.items():
        expect_labelled(name, images)
    train = splits["train"]
    if len(train.classes) < 2:
        raise InputError(f"train: expected at least two classes, got only {train.classes[0]!r}")
    for name, images in splits.items():
        if images.classes != train.classes:
            raise InputError(
                f"{name}: expected the training classes {list(train.classes)}, got "
                f"{list(images.classes)}; read_images(..., classes=train.classes) numbers them so, "
                "also where some have no images"
            )
        if images.images.dtype != train.images.dtype or images.image_shape != train.image_shape:
            raise InputError(
                f"{name}: expected {train.images.dtype} {train.image_shape} like the training "
                f"images, got {images.images.dtype} {images.image_shape}"
            )
        if not len(images):
            raise InputError(f"{name}: expected images, got none")
    check_groups(splits)
    return [
        *shared_images(splits),
        *copies_within(train),
        *_absent_class_notes(splits),
        *_scale_notes(splits),
        *_skipped_notes(splits),
    ]


def _skipped_notes(splits: dict[str, LabelledImages]) -> list[str]:
    """Note the images of a source that could not be read; splits of one source say it once."""
    skipped_images = dict.fromkeys(images.left_out for images in splits.values() if images.left_out)
    return [describe_skipped(each, f"of all images {len(each)}") for each in skipped_images]


def _scale_notes(splits: dict[str, LabelledImages]) -> list[str]:
    """Note the splits whose 16-bit values are on a larger scale than the training images."""
    white = white_of(splits["train"].images)
    return [
        f"{name} images go up to {images.images.max():,}, training images to "
        f"{splits['train'].images.max():,} ({white.bit_length()} bits): if they are of another "
        "scale, bring them to one, or no network knows them"
        for name, images in splits.items()
        if white_of(images.images) > white
    ]


def _absent_class_notes(splits: dict[str, LabelledImages]) -> list[str]:
    """Note the classes of which a split has no image."""
    notes = []
    for name, images in splits.items():
        absent = [images.classes[int(label)] for label in np.flatnonzero(images.counts == 0)]
        if absent:
            class_list = ", ".join(map(repr, absent[:5])) + ", ..." * (len(absent) > 5)
            notes.append(f"there is no {name} image of {class_list}: nothing is known of it there")
    return notes


def check_name(name: str) -> None:
    """Raise `InputError` for a name of the data that is no text, which files could not hold."""
    if not isinstance(name, str):
        raise InputError(f"name: expected text, got {name!r}")


def expect_sources(sources: Sequence[Source | Generator]) -> list[Source]:
    """Return sources, a generator alone under its own name.

    Raises:
        InputError: If one is neither, or is a pool.
    """
    is_list = isinstance(sources, Sequence) and not isinstance(sources, str)
    if not is_list or not all(isinstance(each, Source | Generator) for each in sources):
        raise InputError(
            "sources: expected a list of generators or sources, as [StyleSwap()] or "
            f"[Source('coarse', StyleSwap(cells=4))], got {sources!r}"
        )
    named_sources = [
        each if isinstance(each, Source) else Source(each.name, each) for each in sources
    ]
    if any(source.pool is not None for source in named_sources):
        raise InputError("sources: expected generators; give a pool as `pool`")
    return named_sources


def check_sources(sources: Sequence[Source]) -> None:
    """Raise `InputError` for no source, and for two of one name, which their arms go by."""
    if not sources:
        raise InputError("sources: expected at least one generator or a pool")
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"sources: expected names that differ, got {name!r} twice")


def pool_source(
    pool: SamplePool, train: LabelledImages, test: LabelledImages, per_class: int | None
) -> Source:
    """Return a pool as a source.

    Args:
        pool: The pool.
        train: Real images that it is mixed with.
        test: Test images, none of which may be in it.
        per_class: Images per class that are drawn anew for each seed; must be None.

    Raises:
        InputError: If its classes, shape, dtype or scale differ from those of `train`, it lacks a
            class, it was made from test images, or holds copies of some.
    """
    if per_class is not None:
        raise InputError(
            "per_class: what made the pool may know more images than a subset that is drawn anew "
            "for each seed; give the images that it was made from as training data, and leave "
            "per_class out"
        )
    directory = pool.directory
    if list(pool.classes) != list(train.classes):
        raise InputError(
            f"{directory}: expected the classes {list(train.classes)}, the pool holds "
            f"{pool.classes}"
        )
    if test.fingerprint in pool.origins:
        raise InputError(
            f"{directory}: made from the test images, or chosen by them; a gain measured with it "
            "would be worthless. Make the pool from training images alone"
        )
    pool_images = pool.samples.images
    if pool_images.dtype != train.images.dtype or pool_images.shape[1:] != train.images.shape[1:]:
        raise InputError(
            f"{directory}: expected {train.images.dtype} images {train.image_shape}, the pool "
            f"holds {pool_images.dtype} {pool_images.shape[1:]}; read the data at "
            "the pool's size and mode, or make the pool again"
        )
    if white_of(pool_images) > white_of(train.images):
        raise InputError(
            f"{directory}: expected values up to {white_of(train.images)}, as the training images "
            f"have them, the pool goes up to {pool_images.max()}, which they would all be "
            "white beside; bring the pool's images to the scale of the real ones"
        )
    if absent := absent_classes(pool.samples.labels, pool.samples.weights, train.classes):
        raise InputError(
            f"{directory}: no image of class {absent[0]!r} that may be drawn; a pool needs some of "
            "every class, with a weight above 0 where it has weights"
        )
    pool.check()
    refuse_copies(pool.samples, train, test)
    return Source(
        f"pool {pool.place.name}",
        pool=pool.place.resolve(),
        fingerprint=pool.manifest["fingerprint"],
    )
