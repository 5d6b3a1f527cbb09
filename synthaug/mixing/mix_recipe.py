"""Which synthetic images to mix into a training, and how: the file that `synthaug tune` writes."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from synthaug.errors import InputError
from synthaug.files import MANIFEST, read_json, write_json
from synthaug.generators import Generator, make_generator
from synthaug.images import LabelledImages
from synthaug.mixing.labels import Labels, check_labels
from synthaug.pool import SamplePool, limit_filters, usual_size
from synthaug.pool.filters import Network
from synthaug.versions import versions

KIND = "mix recipe"


@dataclass(frozen=True)
class MixRecipe:
    """A way of mixing.

    generator: not fitted; None where the search found none.
    ratio: synthetic share of each batch. labels: the rule for the synthetic images' labels.
    filters: limits of the pool's filters by their names, as for `limit_filters`.
    training: how the classifier was trained that this was found with: `classifier`, `recipe` (of
        `Recipe`), `partner` (the arm's name), `steps`, `batch_size`.
    search: on which images it was found, what was tried, what it cost, how sure it is.
    recommended: whether it is better than to mix nothing in; it never is without a generator.
    """

    generator: Generator | None
    ratio: float = 0.0
    labels: Labels = "hard"
    filters: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    recommended: bool = True

    def __post_init__(self) -> None:
        check_labels(self.labels)
        limit_filters(self.filters)
        if self.recommended and self.generator is None:
            raise InputError("recommended: expected a generator to recommend, got none")
        if not 0 <= self.ratio <= 1:
            raise InputError(f"ratio: expected a share from 0 to 1, got {self.ratio}")

    def save(self, path: str | Path) -> None:
        """Write the recipe as JSON, atomically."""
        made = self.generator
        value = {
            "kind": KIND,
            "synthaug": versions()["synthaug"],
            "generator": made and {"family": made.family, "settings": made.settings},
            "ratio": self.ratio,
            "labels": self.labels,
            "filters": self.filters,
            "training": self.training,
            "search": self.search,
            "recommended": self.recommended,
        }
        write_json(Path(path), value)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; `InputError` if the file is not such a recipe."""
        value = read_json(Path(path))
        if value.get("kind") != KIND:
            raise InputError(f"{path}: expected a recipe that synthaug tune wrote")
        try:
            made = value["generator"]
            return cls(
                None if made is None else make_generator(made["family"], made["settings"]),
                float(value["ratio"]),
                value["labels"],
                dict(value["filters"]),
                dict(value["training"]),
                dict(value["search"]),
                bool(value["recommended"]),
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: damaged ({type(error).__name__}: {error})") from None

    def make_pool(
        self,
        directory: str | Path,
        data: LabelledImages,
        *,
        teacher: Network | None = None,
        seed: int = 0,
        device: str = "auto",
    ) -> SamplePool:
        """The pool that the recipe asks for, made from `data`: the one in `directory`, where it is
        that already.

        teacher: a classifier, from floats (B, C, H, W) in [0, 1] to logits (B, K) on `device`,
            whose posterior mixed labels take; needed where `labels` is not "hard".

        Raises `InputError` where `directory` holds another pool, which is left as it is.
        """
        if self.generator is None:
            raise InputError("this recipe has no generator, so there is nothing to make a pool of")
        path = Path(directory)
        if (path / MANIFEST).exists():
            return self._known_pool(path, data, seed)
        if self.labels != "hard" and teacher is None:
            raise InputError(
                f"teacher: the recipe's labels are {self.labels!r}, so a classifier trained on the "
                "real images is needed; give teacher=, for example what train_classifier returns"
            )
        generator = make_generator(self.generator.family, self.generator.settings)
        generator.fit(data, seed=seed, device=device)
        return SamplePool.create(
            path,
            generator,
            usual_size(data.counts),
            filters=limit_filters(self.filters),
            reference=data,
            teacher=None if self.labels == "hard" else teacher,
            seed=seed,
        )

    def _known_pool(self, directory: Path, data: LabelledImages, seed: int) -> SamplePool:
        assert self.generator is not None
        pool = SamplePool(directory)
        card = pool.manifest.get("generator", {})
        wanted = {
            "family": self.generator.family,
            "settings": json.loads(json.dumps(self.generator.settings)),
            "seed": seed,
            "fingerprint": data.fingerprint,
        }
        found = {**card, "fingerprint": card.get("data", {}).get("fingerprint")}
        for name, value in wanted.items():
            if found.get(name) != value:
                raise InputError(
                    f"{directory}: a pool made otherwise ({name}: expected {value}, got "
                    f"{found.get(name)}); name another directory, or remove it"
                )
        return pool
