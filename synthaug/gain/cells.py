"""Cells: one arm trained on one part of one seed, kept on disk until the run is over.

A cell that is complete on disk is never trained again, so an interrupted run goes on where it was.
Nothing here has access to the test images: they meet the stored networks in `Trials.test`, after
all choices.
"""

import copy
import hashlib
import re
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import nn

from synthaug.classifiers import Backbone, predict, train_classifier
from synthaug.classifiers.networks import Normalize, Standardize
from synthaug.files import (
    MANIFEST,
    new_directory,
    read_manifest,
    write_array,
    write_atomically,
    write_json,
)
from synthaug.gain.arms import Arm, Source, fit_key
from synthaug.gain.leaks import without_copies
from synthaug.gain.parts import Part, plan_parts
from synthaug.generators import Generator, load_generator
from synthaug.generators.composite import Composite
from synthaug.images import LabelledImages, Samples
from synthaug.mixing.labels import mixed_labels
from synthaug.pool import SamplePool, limit_filters, usual_size
from synthaug.seeding import stream_seed
from synthaug.versions import versions

KIND = "cell"

Report = Callable[[str, int, int], None]
"""Called with (what is running, cells done, cells known so far)."""


@dataclass(frozen=True)
class Study:
    """What all cells of a run share. Steps are part of a cell, since they are chosen, too.

    pooled: see `plan_parts`; it has parts of other names, so cells do not depend on it.
    """

    train: LabelledImages
    validation: LabelledImages | None
    per_class: int | None
    classifier: Backbone
    batch_size: int
    device: str
    pooled: bool = False
    directory: Path = Path()
    _parts: dict[int, list[Part]] = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_parts": {}}  # a process works them out for the seed it is given

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def below(self, directory: Path) -> Self:
        """The study in a subdirectory named after all that its cells depend on."""
        settings = (
            self.train.fingerprint,
            None if self.validation is None else self.validation.fingerprint,
            self.per_class,
            self.classifier.identity,
            self.batch_size,
            self.device,
            versions(),
        )
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=8).hexdigest()
        return replace(self, directory=directory / digest)

    def parts(self, seed: int) -> list[Part]:
        """The seed's parts (see `plan_parts`)."""
        if seed not in self._parts:
            self._parts[seed] = self.plan(seed)[0]
        return self._parts[seed]

    def plan(self, seed: int) -> tuple[list[Part], str]:
        """The seed's parts, and in words how validation images were set apart."""
        settings = (self.train, self.validation, self.per_class, seed)
        return plan_parts(*settings, pooled=self.pooled)


@dataclass(frozen=True)
class Cell:
    """An arm, a seed, a part of it, and a number of steps; `teacher` where labels are mixed."""

    arm: Arm
    seed: int
    part: str
    steps: int
    teacher: Arm | None = None

    def directory(self, study: Study) -> Path:
        identity = f"{self.arm} {self.steps} {self.teacher}"
        slug = re.sub(r"[^a-z0-9.+-]+", "-", self.arm.name)
        named = f"{slug}-seed{self.seed}-{self.part}-{_digest(identity)}"
        return study.directory / "cells" / named

    def done(self, study: Study) -> bool:
        return (self.directory(study) / MANIFEST).exists()


def _part(study: Study, seed: int, name: str) -> Part:
    return next(part for part in study.parts(seed) if part.name == name)


def train_cell(study: Study, cell: Cell) -> None:
    """Train the cell's network; keep its weights and its predictions for the held images."""
    part = _part(study, cell.seed, cell.part)
    start = time.perf_counter()
    network = train_classifier(
        part.train,
        recipe=cell.arm.recipe,
        synthetic=_synthetic(study, cell, part),
        ratio=cell.arm.ratio,
        soft_labels=_distilled(study, cell, part) if cell.arm.distilled else None,
        classifier=study.classifier,
        steps=cell.steps,
        batch_size=study.batch_size,
        seed=cell.seed,
        device=study.device,
    )
    seconds = time.perf_counter() - start
    weights = {k: v.cpu().contiguous() for k, v in network.state_dict().items()}
    predicted = None
    if part.held is not None:
        predicted = predict(network, part.held.images, device=study.device).argmax(1)
    # Only now: a process that is stopped while it writes leaves something behind.
    with new_directory(cell.directory(study), kind=KIND) as partial:
        write_atomically(partial / "weights.safetensors", lambda file: file.write(save(weights)))
        if predicted is not None:
            write_array(partial / "predicted.npy", predicted)
        write_json(partial / MANIFEST, {"kind": KIND, "arm": cell.arm.name, "seconds": seconds})


def load_network(study: Study, cell: Cell) -> nn.Module:
    """The trained network of a finished cell."""
    weights = load_file(cell.directory(study) / "weights.safetensors")
    normalization = Standardize() if cell.arm.recipe.standardize else Normalize(0.0, 1.0)
    classes = len(study.train.classes)
    shape = study.train.image_shape
    network = study.classifier.build(shape, classes, normalization, empty=True)
    network.load_state_dict(weights)
    return network.eval()


def held_predictions(study: Study, cell: Cell) -> np.ndarray:
    """Predicted labels of the images that score the cell for choices, int64 (V,)."""
    array: np.ndarray = np.load(cell.directory(study) / "predicted.npy", allow_pickle=False)
    return array


def seconds(study: Study, cell: Cell) -> float:
    """Time to train the cell, the fit of its generator and the sampling included."""
    spent = float(read_manifest(cell.directory(study), kind=KIND)["seconds"])
    if cell.arm.source is None or cell.arm.source.pool is not None:
        return spent
    manifest = SamplePool(_pool_directory(study, cell.arm.source, cell.seed, cell.part)).manifest
    return spent + float(manifest["generator"]["seconds"])


def _synthetic(study: Study, cell: Cell, part: Part) -> Samples | None:
    source = cell.arm.source
    if source is None:
        return None
    samples = load_pool(study, source, cell.seed, part.name).samples
    if source.pool is not None and part.held is not None:
        samples = without_copies(samples, part.train, part.held)
    soft = None  # a pool's own soft labels are a teacher's, who may have seen more than the arms
    if cell.arm.labels == "mixed":
        soft = _soften(study, cell, samples.images, samples.labels)
    return Samples(samples.images, samples.labels, soft, samples.weights)


def _distilled(study: Study, cell: Cell, part: Part) -> np.ndarray:
    return _soften(study, cell, part.train.images, part.train.labels)


def _soften(study: Study, cell: Cell, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One-hot labels, half of each replaced by the teacher's posterior, float32 (M, K)."""
    assert cell.teacher is not None
    teacher = load_network(study, Cell(cell.teacher, cell.seed, cell.part, cell.steps))
    return mixed_labels(labels, predict(teacher, images, device=study.device))


def _pool_directory(study: Study, source: Source, seed: int, part: str) -> Path:
    assert source.generator is not None
    digest = _digest(f"{fit_key(source.generator)} {source.sampling} {source.filters}")
    return study.directory / "pools" / f"{source.name}-seed{seed}-{part}-{digest}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def load_pool(study: Study, source: Source, seed: int, part: str) -> SamplePool:
    """The source's synthetic images for one part of one seed."""
    return SamplePool(source.pool or _pool_directory(study, source, seed, part))


def make_pools(
    study: Study, generator: Generator, sources: Sequence[Source], seed: int, part_name: str
) -> None:
    """Fit the generator on one part and sample a pool for each of the sources that share it."""
    part = _part(study, seed, part_name)
    fitted = _fitted(study, generator, part, seed)
    for source in sources:
        sampling = copy.copy(fitted)
        for name, value in source.sampling.items():
            setattr(sampling, name, value)
        SamplePool.create(
            _pool_directory(study, source, seed, part_name),
            sampling,
            usual_size(part.train.counts),
            filters=limit_filters(source.filters),
            reference=part.train,
            seed=_generator_seed(seed),
        )


def _fitted(study: Study, generator: Generator, part: Part, seed: int) -> Generator:
    """The generator fitted to one part, from disk where it is there already; a composite is made of
    parts that other sources have use for, too."""
    named = f"seed{seed}-{part.name}-{_digest(fit_key(generator))}"
    directory = study.directory / "generators" / named
    if (directory / MANIFEST).exists():
        return load_generator(directory, device=study.device)
    if isinstance(generator, Composite):
        return type(generator).of([_fitted(study, each, part, seed) for each in generator.parts])
    fitted = copy.deepcopy(generator)
    fitted.fit(part.train, seed=_generator_seed(seed), device=study.device)
    fitted.save(directory)
    return fitted


def _generator_seed(seed: int) -> int:
    return stream_seed(seed, "generator")


class Runner:
    """Runs cells side by side, each process on one thread, and says how far it is."""

    def __init__(self, study: Study, jobs: int, report: Report | None) -> None:
        self._study, self._jobs, self._report = study, jobs, report
        self._done = self._known = 0

    def run(self, cells: Sequence[Cell], what: str) -> None:
        """Train the cells that are not on disk yet, after making the pools they need."""
        missing = [cell for cell in cells if not cell.done(self._study)]
        fits = self._missing_fits(missing)
        self._known += len(missing) + len(fits)
        for composite in (False, True):  # what one is made of comes before it
            if group := [fit for fit in fits if isinstance(fit[0], Composite) == composite]:
                self._map(make_pools, group, f"{what}: generators")
        self._map(train_cell, [(cell,) for cell in missing], what)

    def _missing_fits(self, cells: Sequence[Cell]) -> list[tuple[Any, ...]]:
        """What `make_pools` is to be called with, for what composites are made of, too."""
        fits: dict[tuple[str, int, str], tuple[Generator, dict[Path, Source]]] = {}
        for cell in cells:
            source = cell.arm.source
            if source is None or source.generator is None:
                continue
            directory = _pool_directory(self._study, source, cell.seed, cell.part)
            if (directory / MANIFEST).exists():
                continue
            made = source.generator
            parts = made.parts if isinstance(made, Composite) else ()
            for each in (*parts, made):
                fits.setdefault((fit_key(each), cell.seed, cell.part), (each, {}))
            fits[fit_key(made), cell.seed, cell.part][1][directory] = source
        return [
            (made, list(pools.values()), seed, part)
            for (_, seed, part), (made, pools) in fits.items()
        ]

    def _map(
        self, function: Callable[..., None], arguments: Sequence[tuple[Any, ...]], what: str
    ) -> None:
        self._say(what)
        tasks = (joblib.delayed(_on_one_thread)(function, self._study, *each) for each in arguments)
        pool = joblib.Parallel(n_jobs=self._jobs, return_as="generator_unordered")
        with warnings.catch_warnings(), closing(pool(tasks)) as results:
            # Of tasks that an interruption cancels: they are the next run's.
            warnings.filterwarnings("ignore", message=r"\d+ tasks (have been|which were)")
            for _ in results:
                self._done += 1
                self._say(what)

    def _say(self, what: str) -> None:
        if self._report:
            self._report(what, self._done, self._known)


def _on_one_thread(function: Callable[..., None], *arguments: Any) -> None:
    # Two thread pools side by side on few cores make everything many times slower; and with one
    # thread a figure does not depend on how many processes or cores there were.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        function(*arguments)
    finally:
        torch.set_num_threads(threads)
