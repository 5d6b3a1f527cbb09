"""Describe a way of mixing: the file that `synthaug tune` writes, and the pool that it asks for."""

import copy
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from synthaug.core import (
    MANIFEST,
    InputError,
    Progress,
    as_share,
    check_replaceable,
    expand_path,
    expect_number,
    plain_values,
    read_json,
    resolve_device,
    until_saved,
    versions,
    write_json,
)
from synthaug.data import GRAY_LOADER, LabelledImages, expect_labelled
from synthaug.generators import Generator, generator_class, with_current_names
from synthaug.mixing.bank import Labels, check_labels
from synthaug.pool import POOL_KIND as POOL
from synthaug.pool import (
    Network,
    SamplePool,
    device_for,
    limit_filters,
    limits_of,
    posterior_of,
    usual_size,
)

KIND = "mix recipe"

IS: dict[str, Callable[[Any], bool]] = {  # checks of JSON values; true and false are no numbers
    "a number": lambda value: type(value) in (int, float),
    "an integer": lambda value: type(value) is int,
    "a string": lambda value: type(value) is str,
    "true or false": lambda value: type(value) is bool,
    "an integer or null": lambda value: value is None or type(value) is int,
    "an object": lambda value: type(value) is dict,
    "an object or null": lambda value: value is None or type(value) is dict,
    "a list of integers": lambda value: type(value) is list and all(type(n) is int for n in value),
}
FILE = {
    "kind": "a string",
    "synthaug": "a string",
    "generator": "an object or null",
    "ratio": "a number",
    "labels": "a string",
    "filters": "an object",
    "training": "an object",
    "search": "an object",
    "recommended": "true or false",
}
GENERATOR = {"family": "a string", "settings": "an object"}
TRAINING = {
    "classifier": "a string",
    "classifier_weights": "a string",
    "classifier_size": "an integer",
    "recipe": "an object",
    "teacher": "an object",
    "partner": "a string",
    "steps": "an integer",
    "batch_size": "an integer",
}
SEARCH = {  # the entries that the package reads
    "seeds": "a list of integers",
    "check_seeds": "a list of integers",
    "image_shape": "a list of integers",
    "classes": "an integer",
    "per_class": "an integer or null",
}


@dataclass(frozen=True)
class MixConfig:
    """A way of mixing synthetic images into a training.

    Args:
        generator: The generator, not fitted; None where the search found none.
        ratio: Share of synthetic images in each batch, 0 to 1.
        labels: Labels of synthetic images: "hard", "soft" or "mixed", as for `MixedDataset`.
        filters: Limits of the pool's filters by name, as for `synthaug.pool.limit_filters`.
        training: How the classifier was trained that it was found with, any of: `classifier`,
            `classifier_weights`, `classifier_size`, `recipe` and `teacher` (fields of a
            `TrainConfig` each), `partner` (name of the base arm), `steps`, `batch_size`.
        search: The images it was found on, what was tried, what it cost, how sure it is.
        recommended: Whether it is better than mixing nothing in; never without a generator.

    Raises:
        InputError: If a value is out of range or of another type.

    Examples:
        >>> import tempfile
        >>> from synthaug import MixConfig, TransferVAE
        >>> config = MixConfig(TransferVAE(donors="within"), 0.25, filters={"distance": 2.0})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     config.save(directory + "/mix.json")
        ...     MixConfig.load(directory + "/mix.json") == config
        True
    """

    generator: Generator | None
    ratio: float = 0.0
    labels: Labels = "hard"
    filters: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    recommended: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.generator, Generator | None):
            raise InputError(f"generator: expected one, or None, got {self.generator!r}")
        check_labels(self.labels)
        _check_types("", vars(self), {"recommended": "true or false"})
        _check_types("", vars(self), dict.fromkeys(("filters", "training", "search"), "an object"))
        for name, limit in self.filters.items():
            expect_number(f"filters.{name}", limit)
        limit_filters(self.filters)
        _check_keys("training.", self.training, TRAINING)
        _check_types("training.", self.training, TRAINING)
        _check_types("search.", self.search, SEARCH)
        if self.recommended and self.generator is None:
            raise InputError("recommended: expected a generator to recommend, got none")
        as_share("ratio", self.ratio)

    def save(self, path: str | Path) -> None:
        """Write the configuration as JSON; the file is whole or absent.

        Args:
            path: The file; one that is there is replaced. ~ is the home folder.
        """
        generator = self.generator
        value = {
            "kind": KIND,
            "synthaug": versions()["synthaug"],
            "generator": generator
            and {"family": generator.name, "settings": plain_values(generator.settings)},
            "ratio": float(self.ratio),
            "labels": self.labels,
            "filters": {name: float(limit) for name, limit in self.filters.items()},
            "training": self.training,
            "search": self.search,
            "recommended": self.recommended,
        }
        write_json(expand_path(path), value)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a configuration from a file that `save` or `synthaug tune` wrote.

        Args:
            path: The JSON file; ~ is the home folder.

        Raises:
            InputError: If the file is no mix configuration, or a value in it is wrong.
        """
        value = read_json(expand_path(path))
        if value.get("kind") != KIND:
            raise InputError(f"{path}: expected a mix configuration that synthaug tune wrote")
        try:
            _check_complete("", value, FILE)
            return cls(
                _generator(value["generator"]),
                float(value["ratio"]),
                value["labels"],
                value["filters"],
                value["training"],
                value["search"],
                value["recommended"],
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def make_pool(
        self,
        directory: str | Path,
        data: LabelledImages,
        *,
        teacher: Network | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress | None = None,
    ) -> SamplePool:
        """Make the pool that the configuration asks for, or open it where it is there already.

        An interrupted call goes on from the checkpoint beside the directory. Warns where `data` are
        not like the images that the configuration was found on.

        Args:
            directory: Where the pool is, or is written.
            data: Real images to fit the generator to.
            teacher: A classifier, from floats (B, C, H, W) in [0, 1] to logits (B, K) on `device`,
                whose posterior mixed labels take; needed where `labels` is not "hard".
            seed: Settles the generator and the pool.
            device: Where the generator is fitted: "auto", "cpu", "cuda:0".
            progress: Called with (steps done, total) of the fit, then with images of the pool.

        Returns:
            The pool.

        Raises:
            InputError: If `directory` holds another pool or anything else, which is left as it is,
                or the teacher does not fit.
        """
        expect_labelled("data", data)
        if self.generator is None:
            raise InputError(
                "this mix configuration has no generator, so there is nothing to make a pool of"
            )
        path = expand_path(directory)
        self._warn_of_other(data)
        if (path / MANIFEST).exists():
            return self._known_pool(path, data, seed)
        check_replaceable(path, kind=POOL)
        self._check_teacher(teacher, data, device)
        generator = copy.deepcopy(self.generator)
        checkpoint = path.with_name(f"{path.name}.checkpoint")
        with until_saved():
            generator.fit(data, seed=seed, device=device, checkpoint=checkpoint, progress=progress)
            return SamplePool.create(
                path,
                generator,
                usual_size(data.counts),
                filters=limit_filters(self.filters),
                reference=data,
                teacher=None if self.labels == "hard" else teacher,
                seed=seed,
                progress=progress,
            )

    def _check_teacher(self, teacher: Network | None, data: LabelledImages, device: str) -> None:
        """Try the teacher on two images, before a generator is trained for hours."""
        if self.labels == "hard":
            return
        if teacher is None:
            raise InputError(
                f"teacher: the configuration's labels are {self.labels!r}, so a classifier trained "
                "on the real images is needed; give teacher=, for example what train_classifier "
                "returns"
            )
        where = device_for(teacher, resolve_device(device))
        posterior_of("teacher", teacher, data.images[:2], where, len(data.classes))

    def _warn_of_other(self, data: LabelledImages) -> None:
        """Warn of images that are not like those that the configuration was found on."""
        here = {"image_shape": list(data.image_shape), "classes": len(data.classes)}
        for name, value in here.items():
            search_value = self.search.get(name, value)
            if search_value != value:
                warnings.warn(
                    f"the mix configuration was found on images with {name} {search_value}, these "
                    f"have {value}; what "
                    "helped there need not help here: search on these (synthaug tune), or bring "
                    "them to that form, their size by a Resize in the Dataset's transform, their "
                    f"mode as they are opened (for gray, {GRAY_LOADER})",
                    stacklevel=4,
                )

    def _known_pool(self, directory: Path, data: LabelledImages, seed: int) -> SamplePool:
        """Open the pool that is there, if this configuration made it, of these images."""
        assert self.generator is not None
        pool = SamplePool(directory)
        metadata = with_current_names(pool.manifest.get("generator", {}))
        filters = limit_filters(self.filters)
        expected = {
            "family": self.generator.name,
            "settings": json.loads(json.dumps(plain_values(self.generator.settings))),
            "seed": seed,
            "fingerprint": data.fingerprint,
            "filters": [type(each).__name__ for each in filters],
            "limits": [limits_of(each) for each in filters],
            "images per class": [usual_size(data.counts)] * len(data.classes),
        }
        actual = {
            **metadata,
            "fingerprint": metadata.get("data", {}).get("fingerprint"),
            "filters": pool.manifest.get("filters"),
            "limits": pool.manifest.get("limits", []),
            "images per class": pool.manifest.get("per_class"),
        }
        if self.labels != "hard":  # hard labels do not use soft ones
            expected["soft labels"], actual["soft labels"] = True, pool.manifest["soft_labels"]
        for name, value in expected.items():
            if actual.get(name) != value:
                other = "of other images" if name == "fingerprint" else "with another configuration"
                raise InputError(
                    f"{directory}: a pool made {other} ({name}: expected {value}, got "
                    f"{actual.get(name)}); name another directory, or remove it"
                )
        return pool


def _generator(entry: Mapping[str, Any] | None) -> Generator | None:
    """Build the generator of a file, and check its settings."""
    if entry is None:
        return None
    _check_complete("generator.", entry, GENERATOR)
    try:
        family = generator_class(entry["family"])
    except InputError as error:
        raise InputError(f"generator.family: {error}") from None
    try:
        generator = family.from_settings(entry["settings"])
        generator.check_settings()
    except InputError as error:
        raise InputError(f"generator.settings: {error}") from None
    return generator


def _check_complete(of: str, value: Mapping[str, Any], types: Mapping[str, str]) -> None:
    """Check that an object has these keys and no others, each of its type."""
    _check_keys(of, value, types)
    for key, kind in types.items():
        if key not in value:
            raise InputError(f"{of}{key}: expected {kind}, got nothing")
    _check_types(of, value, types)


def _check_keys(of: str, value: Mapping[str, Any], types: Mapping[str, str]) -> None:
    for key in value:
        if key not in types:
            raise InputError(f"{of}{key}: unknown; expected only {', '.join(types)}")


def _check_types(of: str, value: Mapping[str, Any], types: Mapping[str, str]) -> None:
    for key, kind in types.items():
        if key in value and not IS[kind](value[key]):
            raise InputError(f"{of}{key}: expected {kind}, got {value[key]!r}")
