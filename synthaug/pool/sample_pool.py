"""Keep synthetic images with labels in a directory, memory-mapped, with metadata of their origin.

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
    expand_path,
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
from synthaug.pool.filling import Filter, check_filters, fill, filter_dependencies, limits_of
from synthaug.pool.filters import Network, device_for, posterior_of

POOL_KIND = "sample pool"
PER_IMAGE, LARGEST = 20, 20_000
_MANIFEST_TYPES = {  # entries that a manifest must hold
    "classes": list,
    "source": str,
    "images": int,
    "fingerprint": str,
    "soft_labels": bool,
    "weights": bool,
}


def usual_size(counts: np.ndarray) -> int:
    """Return the default number of images per class in a pool.

    Twenty times the largest class, twenty thousand in all at most.

    Args:
        counts: Real images of each class, int64 (K,).

    Examples:
        >>> usual_size(np.array([10, 50]))
        1000
    """
    return max(1, min(PER_IMAGE * int(counts.max()), LARGEST // len(counts)))


class SamplePool:
    """Synthetic images in a directory.

    `pool[i]` is (image, label): uint8 or uint16 (C, H, W), and an int.

    Args:
        directory: The directory.

    Attributes:
        samples: All images and labels, as memory-mapped `Samples`.
        classes: Class names, list of str (K,).
        manifest: What was made, from what, and how.
        directory: The directory as it was given.
        place: Its absolute path.

    Raises:
        InputError: If the directory is missing, incomplete or damaged.

    Examples:
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
        self.directory = expand_path(directory)
        self.place = self.directory.absolute()  # the same from any working directory
        read_unchanged(self.place, self._open)

    def _open(self) -> None:
        self.manifest: dict[str, Any] = read_manifest(self.directory, kind=POOL_KIND)
        for name, kind in _MANIFEST_TYPES.items():
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
        return array.view(np.ndarray)  # still mapped, and quicker to index

    def check(self) -> None:
        """Read all files.

        Raises:
            InputError: If they are not those that were written.
        """
        fingerprint = self.samples.fingerprint
        if fingerprint != self.manifest["fingerprint"]:
            raise InputError(
                f"{self.directory}: damaged, its files have the fingerprint {fingerprint} and its "
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
        fingerprint = self.manifest["fingerprint"]
        if fingerprint != state["fingerprint"]:
            raise InputError(
                f"{self.directory}: replaced by another pool since it was opened (expected the "
                f"fingerprint {state['fingerprint']}, got {fingerprint}); open it again"
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
        """Sample images of every class from a fitted generator into a new pool.

        Args:
            directory: Directory to write. A pool that is there is replaced, anything else refused.
            generator: The fitted generator.
            per_class: Images of each class.
            filters: Each sample must pass all of them; more are drawn until every class is full.
            reference: Real images that the filters compare with, of the generator's classes and
                size; needed where filters are given.
            teacher: A classifier, from floats (B, C, H, W) in [0, 1] to logits (B, K), whose
                posterior becomes the samples' soft labels. A network is asked in evaluation mode
                where its weights are, a function on the generator's device.
            seed: Settles the images.
            progress: Called with (images that passed, images in all).

        Returns:
            The pool.

        Raises:
            InputError: If the filters leave a class short after 20 rounds, or inputs do not fit.
        """
        if not isinstance(generator, Generator):
            raise InputError(
                "generator: expected one that is fitted, as load_generator gives it, got "
                f"{type(generator).__name__}"
            )
        expect_count("per_class", per_class)
        expect_progress(progress)
        seed = as_seed(seed)
        check_replaceable(expand_path(directory), kind=POOL_KIND)
        check_filters(filters, reference, generator)
        samples, draw_counts = fill(generator, per_class, filters, reference, seed, progress)
        if teacher is not None:
            classes = len(generator.classes)
            where = device_for(teacher, generator.device)
            soft = posterior_of("teacher", teacher, samples.images, where, classes)
            samples = Samples(samples.images, samples.labels, soft, samples.weights)
        filter_names = [type(each).__name__ for each in filters]
        metadata = {
            "generator": generator.metadata,
            "seed": seed,
            "drawn": draw_counts,
            "filters": filter_names,
            "limits": [limits_of(each) for each in filters],
            "chosen_by": [] if reference is None else filter_dependencies(filters, reference),
        }
        return cls._write(directory, samples, generator.classes, generator.name, metadata)

    @property
    def origins(self) -> set[str]:
        """Fingerprints of all real images that the samples depend on, as far as is known.

        These are the images that the generator learned from, and those that it or the samples were
        chosen by. Empty for images made elsewhere.
        """
        metadata, filters = self.manifest.get("generator"), self.manifest.get("filters", [])
        try:  # versions before 0.5 do not say what filters compared with
            choices = self.manifest.get("chosen_by", filters)
            return set() if metadata is None else origins_of(metadata).union(choices)
        except (AttributeError, KeyError, TypeError):
            raise InputError(
                f"{self.directory}: damaged, expected a generator's metadata as 'generator' in its "
                f"{MANIFEST}, got {metadata!r}; make the pool again"
            ) from None

    @classmethod
    def of(cls, pool: "SamplePool | str | Path") -> "SamplePool":
        """Return a pool as it is, or open the one in a directory.

        Args:
            pool: A pool, or the directory of one.

        Raises:
            InputError: If there is no pool in the directory, or a damaged one.
        """
        if isinstance(pool, SamplePool):
            return pool
        if not isinstance(pool, str | os.PathLike):
            raise InputError(
                f"pool: expected a SamplePool or its directory, got {type(pool).__name__}; of a "
                "generator SamplePool.create makes one"
            )
        return cls(pool)

    @classmethod
    def from_samples(
        cls,
        directory: str | Path,
        samples: Samples,
        classes: Sequence[str],
        *,
        source: str = "elsewhere",
    ) -> Self:
        """Make a pool of images from elsewhere: a diffusion model, a simulator, a colleague.

        Args:
            directory: Directory to write. A pool that is there is replaced, anything else refused.
            samples: Images with their labels.
            classes: Class names, in the order of labels.
            source: Where the images come from, for the metadata.

        Returns:
            The pool.

        Raises:
            InputError: If samples and classes do not fit.

        Examples:
            >>> import tempfile
            >>> import numpy as np
            >>> from synthaug import SamplePool, Samples
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
            raise InputError(f"source: expected text, got {source!r}")
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
        with new_directory(expand_path(directory), kind=POOL_KIND) as partial:
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
