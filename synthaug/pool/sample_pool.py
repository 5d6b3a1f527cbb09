"""A directory of synthetic images with labels, memory-mapped, and a card of where they came from.

`images.npy` and `labels.npy` (and `soft_labels.npy`, `weights.npy` where given) are written first,
`manifest.json` last: a directory with a manifest is complete.
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from synthaug.core import (
    MANIFEST,
    InputError,
    Progress,
    as_seed,
    check_replaceable,
    expanded,
    expect_count,
    expect_labels,
    expect_progress,
    new_directory,
    plain_torch,
    read_manifest,
    read_unchanged,
    versions,
    write_array,
    write_json,
)
from synthaug.data import LabelledImages, Samples, distinct_names, form_of
from synthaug.generators import Generator, origins_of
from synthaug.pool.filling import Filter, check_filters, chosen_by, fill, limits_of
from synthaug.pool.filters import Network, asked_on, posterior_of

POOL_KIND = "sample pool"
PER_IMAGE, LARGEST = 20, 20_000
_CARD = {  # what a manifest must hold
    "classes": list,
    "source": str,
    "images": int,
    "fingerprint": str,
    "soft_labels": bool,
    "weights": bool,
}


def usual_size(counts: np.ndarray) -> int:
    """Images of every class in a pool for so many real ones of each, int64 (K,): twenty times the
    largest class, twenty thousand in all at most.

    >>> usual_size(np.array([10, 50]))
    1000
    """
    return max(1, min(PER_IMAGE * int(counts.max()), LARGEST // len(counts)))


class SamplePool:
    """Synthetic images in a directory.

    `len(pool)`, `pool[i]` -> (image uint8 or uint16 (C, H, W), label), `.targets`, `.classes`,
    `.manifest`, and `.samples`, all of them as memory-mapped `Samples`.

    Raises `InputError` if the directory is not there, not complete or damaged.

    >>> import tempfile
    >>> from synthaug import SamplePool, StyleSwap, read_images
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     generator = StyleSwap().fit(read_images("digits"), device="cpu")
    ...     pool = SamplePool.create(directory + "/pool", generator, per_class=3)
    ...     image, label = SamplePool(directory + "/pool")[29]
    ...     len(pool), image.shape, label
    (30, (1, 16, 16), 9)
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = expanded(directory)
        self.place = self.directory.absolute()  # the same from any working directory
        read_unchanged(self.place, self._open)

    def _open(self) -> None:
        self.manifest: dict[str, Any] = read_manifest(self.directory, kind=POOL_KIND)
        for name, kind in _CARD.items():
            if not isinstance(self.manifest.get(name), kind):
                raise InputError(
                    f"{self.directory}: damaged, expected a {kind.__name__} as {name!r} in its "
                    f"{MANIFEST}, got {self.manifest.get(name)!r}; make the pool again"
                )
        self.classes: list[str] = self.manifest["classes"]
        self.samples = self._map()

    def _map(self) -> Samples:
        def optional(name: str) -> np.ndarray | None:
            return self._array(name) if self.manifest[name] else None

        images, labels = self._array("images"), self._array("labels")
        if len(images) != self.manifest["images"]:
            raise InputError(
                f"{self.directory}: damaged, its manifest says {self.manifest['images']} images "
                f"and images.npy holds {len(images)}; make it again"
            )
        soft_labels, weights = optional("soft_labels"), optional("weights")
        try:
            samples = Samples(images, labels, soft_labels, weights)
            _check_classes(samples, distinct_names(self.classes))
        except InputError as error:
            raise InputError(f"{self.directory}: damaged ({error}); make the pool again") from None
        return samples

    def _array(self, name: str) -> np.ndarray:
        path = self.directory / f"{name}.npy"
        try:
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            raise InputError(f"{path}: damaged or missing ({error}); make the pool again") from None
        return array.view(np.ndarray)  # mapped all the same; its items are quicker to get at

    def check(self) -> None:
        """Read all of its files; raise `InputError` where they are not those that were written."""
        found = self.samples.fingerprint
        if found != self.manifest["fingerprint"]:
            raise InputError(
                f"{self.directory}: damaged, its files have the fingerprint {found} and its "
                f"{MANIFEST} says {self.manifest['fingerprint']}; make the pool again"
            )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return np.array(self.samples.images[index]), int(self.samples.labels[index])

    def __repr__(self) -> str:
        return (
            f"SamplePool({str(self.directory)!r}: {len(self)} images of {len(self.classes)} "
            f"classes, {form_of(self.samples.images)}, from {self.manifest['source']})"
        )

    def __getstate__(self) -> dict[str, Any]:
        # A worker process maps the files itself.
        return {"directory": self.place, "fingerprint": self.manifest["fingerprint"]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["directory"])  # type: ignore[misc]
        found = self.manifest["fingerprint"]
        if found != state["fingerprint"]:
            raise InputError(
                f"{self.directory}: replaced by another pool since it was opened (expected the "
                f"fingerprint {state['fingerprint']}, got {found}); open it again"
            )

    @property
    def targets(self) -> list[int]:
        """The label of each image."""
        labels: list[int] = self.samples.labels.tolist()
        return labels

    @classmethod
    @plain_torch()  # filters and teachers ask classifiers
    def create(
        cls,
        directory: str | Path,
        generator: Generator,
        per_class: int,
        *,
        filters: Collection[Filter] = (),
        reference: LabelledImages | None = None,
        teacher: Network | None = None,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Self:
        """Sample `per_class` images of every class from a fitted generator into a new pool.

        filters: each sample must pass all of them; more are drawn until every class is full.
        reference: real images that the filters compare with, of the generator's classes and size;
            needed where filters are given.
        teacher: a classifier, from floats (B, C, H, W) in [0, 1] to logits (B, K), whose posterior
            becomes the samples' soft labels; a network is asked in evaluation mode where its
            weights are, a function on the generator's device.
        seed: settles the images.
        progress: called with (images made that pass, images in all).

        Raises `InputError` if the filters leave a class short after 20 rounds.
        """
        if not isinstance(generator, Generator):
            raise InputError(
                "generator: expected one that is fitted, as load_generator gives it, got "
                f"{type(generator).__name__}"
            )
        expect_count("per_class", per_class)
        expect_progress(progress)
        seed = as_seed(seed)
        check_replaceable(expanded(directory), kind=POOL_KIND)
        check_filters(filters, reference, generator)
        samples, drawn = fill(generator, per_class, filters, reference, seed, progress)
        if teacher is not None:
            classes = len(generator.classes)
            where = asked_on(teacher, generator.device)
            soft = posterior_of("teacher", teacher, samples.images, where, classes)
            samples = Samples(samples.images, samples.labels, soft, samples.weights)
        passed = [type(each).__name__ for each in filters]
        metadata = {
            "generator": generator.metadata,
            "seed": seed,
            "drawn": drawn,
            "filters": passed,
            "limits": [limits_of(each) for each in filters],
            "chosen_by": [] if reference is None else chosen_by(filters, reference),
        }
        return cls._write(directory, samples, generator.classes, generator.name, metadata)

    @property
    def origins(self) -> set[str]:
        """Fingerprints of all images that its generator learned from, or it or the samples were
        chosen by, as far as its card says; none for images made elsewhere."""
        metadata, filters = self.manifest.get("generator"), self.manifest.get("filters", [])
        try:  # versions before 0.5 do not say what filters compared with
            chosen = self.manifest.get("chosen_by", filters)
            return set() if metadata is None else origins_of(metadata).union(chosen)
        except (AttributeError, KeyError, TypeError):
            raise InputError(
                f"{self.directory}: damaged, expected a generator's card as 'generator' in its "
                f"{MANIFEST}, got {metadata!r}; make the pool again"
            ) from None

    @classmethod
    def of(cls, given: "SamplePool | str | Path") -> "SamplePool":
        """The pool that is given, or the one in a directory."""
        if isinstance(given, SamplePool):
            return given
        if not isinstance(given, str | os.PathLike):
            raise InputError(
                f"pool: expected a SamplePool or its directory, got {type(given).__name__}; of a "
                "generator SamplePool.create makes one"
            )
        return cls(given)

    @classmethod
    def from_samples(
        cls,
        directory: str | Path,
        samples: Samples,
        classes: Sequence[str],
        *,
        source: str = "elsewhere",
    ) -> Self:
        """A pool of images made elsewhere: by a diffusion model, a simulator, a colleague.

        source: said on the pool's card.

        >>> import tempfile
        >>> samples = Samples(np.zeros((2, 1, 8, 8), np.uint8), [0, 1])
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     SamplePool.from_samples(directory + "/pool", samples, ["cat", "dog"]).targets
        [0, 1]
        """
        if not isinstance(samples, Samples):
            raise InputError(
                "samples: expected Samples, as Samples(images, labels) makes them, got "
                f"{type(samples).__name__}"
            )
        if not isinstance(source, str):
            raise InputError(f"source: expected words for the card, got {source!r}")
        if not len(samples):
            raise InputError("samples: expected at least one image, got none")
        return cls._write(directory, samples, classes, source, {})

    @classmethod
    def _write(
        cls,
        directory: str | Path,
        samples: Samples,
        classes: Sequence[str],
        source: str,
        metadata: dict[str, Any],
    ) -> Self:
        classes = distinct_names(classes)
        _check_classes(samples, classes)
        with new_directory(expanded(directory), kind=POOL_KIND) as partial:
            write_array(partial / "images.npy", samples.images)
            write_array(partial / "labels.npy", samples.labels)
            for name in ("soft_labels", "weights"):
                if (array := getattr(samples, name)) is not None:
                    write_array(partial / f"{name}.npy", array)
            counts = np.bincount(samples.labels, minlength=len(classes))
            manifest = {
                "kind": POOL_KIND,
                "source": source,
                "images": len(samples),
                "fingerprint": samples.fingerprint,
                "classes": classes,
                "per_class": counts.tolist(),
                "soft_labels": samples.soft_labels is not None,
                "weights": samples.weights is not None,
                "versions": versions(),
                **metadata,
            }
            write_json(partial / MANIFEST, manifest)
        return cls(directory)


def _check_classes(samples: Samples, classes: Sequence[str]) -> None:
    expect_labels("labels", samples.labels, len(classes))
    if samples.soft_labels is not None and samples.soft_labels.shape[1] != len(classes):
        raise InputError(
            f"soft_labels: expected shape ({len(samples)}, {len(classes)}), a column per class, "
            f"got {samples.soft_labels.shape}"
        )
