"""What to do next, as lines of Python."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from textwrap import fill, indent
from typing import Any

import numpy as np

from synthaug.classifiers import Backbone, TrainConfig
from synthaug.data import GRAY_LOADER, LabelledImages
from synthaug.gain.arms import Arm, Source
from synthaug.generators import Generator, singles

_FITTED = """\
from synthaug import {names}
from synthaug.mixing import MixConfig

recipe = MixConfig({arguments})
# in place of your_dataset:
dataset = MixedDataset.from_config(your_dataset, recipe, "pool"{teacher})
"""
_POOLED = """\
from synthaug import MixedDataset, SamplePool

pool = SamplePool({pool!r})
"""
_SOFTENED = """\
from synthaug import Samples
from synthaug.classifiers import predict

# a copy with soft labels, what the network predicts
stored = pool.samples
soft = predict(network, stored.images)
samples = Samples(stored.images, stored.labels, soft, stored.weights)
pool = SamplePool.from_samples({copy!r}, samples, pool.classes)
"""
_MIXED_IN = """\
dataset = MixedDataset(your_dataset, pool, ratio={ratio:g}{labels})  # in place of your_dataset
"""
_MEASURED = (
    "measured with {description}{network}; {steps} steps of {batch_size} images of {size}, so that "
    "is what your_dataset has to give, too"
)
_IMPORTED = """\
from synthaug import read_images, train_classifier
from synthaug.classifiers import {names}

"""
_TRAINED = """\
network = train_classifier(
    {images},
    config={config},{more}
    steps={steps},
    batch_size={batch_size},
)
"""
_DISTILLED = """\
import numpy as np
from synthaug.classifiers import predict

# and again, with labels half one-hot, half what this network predicts
images = read_images({data!r})
soft_labels = 0.5 * np.eye(len(images.classes), dtype=np.float32)[images.labels]
soft_labels += 0.5 * predict(network, images.images)
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
    size: str,
) -> str:
    """The lines that put the recommended mix into a Dataset; where none is recommended, the lines
    that train the best classifier without synthetic images. Mixed and distilled labels are those of
    `teacher`, which is trained first; `size` is in the words of `spell_size`."""
    use = None if recommended is None else recommended.source
    taught = baseline.distilled if recommended is None else recommended.labels == "mixed"
    first = teacher if taught else baseline
    training = _Training(data, classifier, steps, batch_size)
    plain = training.lines(first.config)
    if recommended is None or use is None:
        return f"{plain}\n{training.again(baseline.config)}" if taught else plain
    measured = _MEASURED.format(
        description=recommended.description,
        network=_network(classifier, recommended.config),
        steps=steps,
        batch_size=batch_size,
        size=size,
    )
    # Whole words, since a path is to be found again.
    lines = fill(measured, 76, break_on_hyphens=False, break_long_words=False)
    measured = indent(lines, "# ") + "\n"
    mixed = _fitted(recommended, use) if use.pool is None else _pooled(recommended, use.pool)
    return (f"{plain}\n" if taught else "") + mixed + measured


@dataclass(frozen=True)
class _Training:
    """What the lines of all trainings on some images have in common."""

    data: str
    classifier: Backbone
    steps: int
    batch_size: int

    def lines(self, config: TrainConfig) -> str:
        """Those that train a classifier without synthetic images."""
        names = "TrainConfig" if self.classifier == Backbone() else "Backbone, TrainConfig"
        call = self._call(f"read_images({self.data!r})", config)
        return _IMPORTED.format(names=names) + call

    def again(self, config: TrainConfig) -> str:
        """Those that after it train another, with half of each label from the first."""
        call = self._call("images", config, "\n    soft_labels=soft_labels,")
        return _DISTILLED.format(data=self.data) + call

    def _call(self, images: str, config: TrainConfig, soft: str = "") -> str:
        return _TRAINED.format(
            images=images,
            config=_recipe(config),
            more=_classifier(self.classifier) + soft,
            steps=self.steps,
            batch_size=self.batch_size,
        )


def training_lines(
    config: TrainConfig, *, data: str, classifier: Backbone, steps: int, batch_size: int
) -> str:
    """The lines that train a classifier without synthetic images."""
    return _Training(data, classifier, steps, batch_size).lines(config)


def as_read(lines: str, data: str, **options: object) -> str:
    """The lines, with what changes how the data are read; None, and "raise", are as usual."""
    given = {name: value for name, value in options.items() if value not in (None, "raise")}
    more = "".join(f", {name}={value!r}" for name, value in given.items())
    return lines.replace(f"read_images({data!r})", f"read_images({data!r}{more})")


def spell_size(data: LabelledImages) -> str:
    """The form of images as somebody who writes a Dataset reads it.

    >>> spell_size(LabelledImages(np.zeros((2, 3, 32, 48), np.uint16), [0, 0], ["a"]))
    '32 x 48 pixels (height x width) in RGB of 16 bits'
    """
    channels, height, width = data.image_shape
    colours = f"gray ({GRAY_LOADER})" if channels == 1 else "RGB"
    deep = " of 16 bits" if data.images.dtype == np.uint16 else ""
    return f"{height} x {width} pixels (height x width) in {colours}{deep}"


def _pooled(arm: Arm, pool: Path) -> str:
    opened, soft = _POOLED.format(pool=str(pool)), arm.labels == "mixed"
    labels = f", labels={arm.labels!r}" if soft else ""
    copy = _SOFTENED.format(copy=f"{pool}-soft") if soft else ""
    return opened + copy + _MIXED_IN.format(ratio=arm.ratio, labels=labels)


def _fitted(arm: Arm, source: Source) -> str:
    assert source.generator is not None
    generator = _generator(source.generator, source.sampling)
    kinds = {type(each) for each in (source.generator, *singles(source.generator))}
    families = {kind.__name__ for kind in kinds if kind.__module__.startswith("synthaug.")}
    own = [(kind.__module__, kind.__name__) for kind in kinds if kind.__name__ not in families]
    arguments = [generator, f"ratio={arm.ratio:g}"]
    if arm.labels != "hard":
        arguments.append(f"labels={arm.labels!r}")
    if source.filters:
        arguments.append(f"filters={source.filters!r}")
    return "".join(map(_imported, sorted(own))) + _FITTED.format(
        names=", ".join(sorted({"MixedDataset", *families})),
        arguments=", ".join(arguments),
        teacher=", teacher=network" if arm.labels == "mixed" else "",
    )


def _imported(own: tuple[str, str]) -> str:
    """The line that brings a family of the user's own, by its module and its name."""
    module, name = own
    if module == "__main__":
        return f"# {name} is the class that was measured\n"
    return f"from {module} import {name}\n"


def _generator(made: Generator, sampling: Mapping[str, Any] | None = None) -> str:
    """The constructor call that gives it, with what `sampling` changes."""
    return f"{type(made).__name__}({', '.join(_arguments(made, sampling or {}))})"


def _classifier(backbone: Backbone) -> str:
    """As an argument on a line of its own; nothing for the usual one."""
    return "" if backbone == Backbone() else f"\n    classifier={written(backbone)},"


def _network(backbone: Backbone, config: TrainConfig) -> str:
    """What was trained and how, in a comment; nothing for the usual network."""
    return "" if backbone == Backbone() else f", on {written(backbone)} by {written(config)}"


def _recipe(config: TrainConfig) -> str:
    lines = "".join(f"        {argument},\n" for argument in _arguments(config, {}))
    return f"TrainConfig(\n{lines}    )" if lines else "TrainConfig()"


def _arguments(made: Any, changes: Mapping[str, Any]) -> list[str]:
    """A dataclass's arguments as Python: those changed, and those that are not its defaults."""
    settings = {
        field.name: getattr(made, field.name) for field in fields(made) if field.init
    } | dict(changes)
    usual = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(made)
    }
    return [
        f"{name}={written(value)}"
        for name, value in settings.items()
        if name in changes or value != usual[name]
    ]


def written(value: object) -> str:
    """A setting as Python; a blend's parts are generators themselves."""
    if isinstance(value, Generator):
        return _generator(value)
    if isinstance(value, TrainConfig | Backbone):
        return f"{type(value).__name__}({', '.join(_arguments(value, {}))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))}{',' * (len(value) == 1)})"
    return repr(value)
