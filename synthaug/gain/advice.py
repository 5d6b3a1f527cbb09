"""What to do next, as lines of Python."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from synthaug.classifiers import Backbone, Recipe
from synthaug.gain.arms import Arm, Source
from synthaug.generators import FAMILIES, Generator

_FITTED = """\
from synthaug import {names}
from synthaug.mixing import MixRecipe

recipe = MixRecipe({arguments})
# in place of your_dataset:
dataset = MixedDataset.from_recipe(your_dataset, recipe, "pool"{teacher})
"""
_POOLED = """\
from synthaug import MixedDataset, SamplePool

pool = SamplePool({pool!r})
dataset = MixedDataset(your_dataset, pool, ratio={ratio:g})  # in place of your_dataset
"""
_MEASURED = """\
# measured with {description}; {steps} steps of {batch_size} images
# of {size}, so that is what your_dataset has to give, too
"""
_PLAIN = """\
from synthaug import read_images, train_classifier
from synthaug.classifiers import {names}

network = train_classifier(
    read_images({data!r}),
    recipe={recipe},{classifier}
    steps={steps},
    batch_size={batch_size},
)
"""
_TAUGHT = """\
# its images' labels half one-hot, half what a classifier trained without them predicts
"""
_DISTILLED = """\
# then train again with{recipe} soft_labels=: half one-hot labels, half what this network predicts
"""


def next_steps(
    recommended: Arm | None,
    baseline: Arm,
    teacher: Arm,
    *,
    data: str,
    classifier: Backbone,
    steps: int,
    batch_size: int,
    image_shape: tuple[int, int, int],
) -> str:
    """The lines that put the recommended mix into a Dataset; where none is recommended, the lines
    that train the best classifier without synthetic images. Mixed and distilled labels are those of
    `teacher`, which is trained first."""
    use = None if recommended is None else recommended.source
    taught = baseline.distilled if recommended is None else recommended.labels == "mixed"
    first = teacher if taught else baseline
    plain = training_lines(
        first.recipe, data=data, classifier=classifier, steps=steps, batch_size=batch_size
    )
    if recommended is None or use is None:
        same = baseline.recipe == first.recipe
        other = "" if same else f" recipe={_written(baseline.recipe)} and"
        return plain + _DISTILLED.format(recipe=other) if taught else plain
    measured = _MEASURED.format(
        description=recommended.description,
        steps=steps,
        batch_size=batch_size,
        size=spell_size(image_shape),
    )
    if use.pool is not None:
        pooled = _POOLED.format(pool=str(use.pool), ratio=recommended.ratio)
        return pooled + measured + (_TAUGHT if taught else "")
    fitted = _fitted(recommended, use)
    return (f"{plain}\n" if taught else "") + fitted + measured


def training_lines(
    recipe: Recipe, *, data: str, classifier: Backbone, steps: int, batch_size: int
) -> str:
    """The lines that train a classifier without synthetic images."""
    return _PLAIN.format(
        data=data,
        recipe=_recipe(recipe),
        names="Recipe" if classifier == Backbone() else "Backbone, Recipe",
        classifier=_classifier(classifier),
        steps=steps,
        batch_size=batch_size,
    )


def spell_size(image_shape: tuple[int, int, int]) -> str:
    """The form of images (C, H, W) as somebody who writes a Dataset reads it.

    >>> spell_size((3, 32, 48))
    '32 x 48 pixels (height x width) in RGB'
    """
    channels, height, width = image_shape
    return f"{height} x {width} pixels (height x width) in {'gray' if channels == 1 else 'RGB'}"


def _fitted(arm: Arm, source: Source) -> str:
    assert source.generator is not None
    generator = _generator(source.generator, source.sampling)
    families = {name for name in FAMILIES if f"{name}(" in generator}
    arguments = [generator, f"ratio={arm.ratio:g}"]
    if arm.labels != "hard":
        arguments.append(f"labels={arm.labels!r}")
    if source.filters:
        arguments.append(f"filters={source.filters!r}")
    return _FITTED.format(
        names=", ".join(sorted({"MixedDataset", *families})),
        arguments=", ".join(arguments),
        teacher=", teacher=network" if arm.labels == "mixed" else "",
    )


def _generator(made: Generator, sampling: Mapping[str, Any] | None = None) -> str:
    """The constructor call that gives it, with what `sampling` changes."""
    return f"{made.family}({', '.join(_arguments(made, sampling or {}))})"


def _classifier(backbone: Backbone) -> str:
    """As an argument on a line of its own; nothing for the usual one."""
    if backbone == Backbone():
        return ""
    more = ", ".join(_arguments(backbone, {}))
    return f"\n    classifier=Backbone({more}),"


def _recipe(recipe: Recipe) -> str:
    lines = "".join(f"        {argument},\n" for argument in _arguments(recipe, {}))
    return f"Recipe(\n{lines}    )" if lines else "Recipe()"


def _arguments(made: Any, changes: Mapping[str, Any]) -> list[str]:
    """A dataclass's arguments as Python: those changed, and those that are not its defaults."""
    usual = type(made)()
    settings = {field.name: getattr(made, field.name) for field in fields(made)} | dict(changes)
    return [
        f"{name}={_written(value)}"
        for name, value in settings.items()
        if name in changes or value != getattr(usual, name)
    ]


def _written(value: object) -> str:
    """A setting as Python; a blend's parts are generators themselves."""
    if isinstance(value, Generator):
        return _generator(value)
    if isinstance(value, Recipe):
        return f"Recipe({', '.join(_arguments(value, {}))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))}{',' * (len(value) == 1)})"
    return repr(value)
