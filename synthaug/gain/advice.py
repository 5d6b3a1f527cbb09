"""What to do next, as lines of Python."""

from dataclasses import fields
from typing import Any

from synthaug.classifiers import Recipe
from synthaug.gain.arms import Arm, Source

_FITTED = """\
from synthaug import MixedDataset, SamplePool, {family}, read_images

generator = {family}({settings}).fit(read_images({data!r}))
pool = SamplePool.create("pool", generator, per_class=200)
"""
_POOLED = """\
from synthaug import MixedDataset, SamplePool

pool = SamplePool({pool!r})
"""
_MIXED = """\
dataset = MixedDataset(your_dataset, pool, ratio={ratio:g})  # in place of your_dataset
# measured with {description}; {steps} steps of {batch_size} images
"""
_PLAIN = """\
from synthaug import read_images, train_classifier
from synthaug.classifiers import Recipe

network = train_classifier(
    read_images({data!r}),
    recipe={recipe},
    steps={steps},
    batch_size={batch_size},
)
"""
_DISTILLED = """\
# then train again with soft_labels=: half one-hot labels, half what this network predicts
"""


def next_steps(
    recommended: Arm | None, baseline: Arm, *, data: str, steps: int, batch_size: int
) -> str:
    """The lines that put the recommended mix into a Dataset; where none is recommended, the lines
    that train the best classifier without synthetic images."""
    if recommended is None or recommended.source is None:
        recipe = _call(baseline.recipe)
        plain = _PLAIN.format(data=data, recipe=recipe, steps=steps, batch_size=batch_size)
        return plain + _DISTILLED if baseline.distilled else plain
    return _pool(recommended.source, data) + _MIXED.format(
        ratio=recommended.ratio,
        description=recommended.description,
        steps=steps,
        batch_size=batch_size,
    )


def _pool(source: Source, data: str) -> str:
    if source.generator is None:
        return _POOLED.format(pool=str(source.pool))
    settings = {**_changed(source.generator), **source.sampling}
    written = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    return _FITTED.format(family=source.generator.family, settings=written, data=data)


def _call(recipe: Recipe) -> str:
    """The recipe as a constructor call, defaults left out."""
    changed = _changed(recipe).items()
    lines = "".join(f"        {name}={value!r},\n" for name, value in changed)
    return f"Recipe(\n{lines}    )" if changed else "Recipe()"


def _changed(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass that are not its defaults."""
    return {
        field.name: getattr(settings, field.name)
        for field in fields(settings)
        if getattr(settings, field.name) != field.default
    }
