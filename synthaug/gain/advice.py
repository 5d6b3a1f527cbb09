"""Write what to do next as lines of Python."""

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

mix = MixConfig({arguments})
# in place of your_dataset:
dataset = MixedDataset.from_config(your_dataset, mix, "pool"{teacher})
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
    to_use: Arm | None,
    baseline: Arm,
    teacher: Arm,
    *,
    data: str,
    classifier: Backbone,
    steps: int,
    batch_size: int,
    size: str,
) -> str:
    """Write the lines that put the mix of an arm into a Dataset.

    Args:
        to_use: The arm to use; None writes the lines that train the best classifier without
            synthetic images.
        baseline: The best arm without synthetic images.
        teacher: The arm of mixed and distilled labels, which is trained first.
        data: Name that `read_images` takes.
        classifier: The classifier.
        steps: Optimiser steps.
        batch_size: Images a step.
        size: The form of images, as `spell_size` writes it.
    """
    source = None if to_use is None else to_use.source
    needs_teacher = baseline.distilled if to_use is None else to_use.labels == "mixed"
    first = teacher if needs_teacher else baseline
    training = _Training(data, classifier, steps, batch_size)
    first_lines = training.lines(first.config)
    if to_use is None or source is None:
        again = f"{first_lines}\n{training.again(baseline.config)}"
        return again if needs_teacher else first_lines
    remark = _MEASURED.format(
        description=to_use.description,
        network=_network(classifier, to_use.config),
        steps=steps,
        batch_size=batch_size,
        size=size,
    )
    # Whole words, since a path is to be found again.
    lines = fill(remark, 76, break_on_hyphens=False, break_long_words=False)
    comment = indent(lines, "# ") + "\n"
    if source.pool is None:
        mix_lines = _generator_lines(to_use, source)
    else:
        mix_lines = _pool_lines(to_use, source.pool)
    return (f"{first_lines}\n" if needs_teacher else "") + mix_lines + comment


@dataclass(frozen=True)
class _Training:
    """The settings that the lines of all trainings share."""

    data: str
    classifier: Backbone
    steps: int
    batch_size: int

    def lines(self, config: TrainConfig) -> str:
        """Write the lines that train a classifier without synthetic images."""
        names = "TrainConfig" if self.classifier == Backbone() else "Backbone, TrainConfig"
        call = self._call(f"read_images({self.data!r})", config)
        return _IMPORTED.format(names=names) + call

    def again(self, config: TrainConfig) -> str:
        """Write those that train another after it, with half of each label from the first."""
        call = self._call("images", config, "\n    soft_labels=soft_labels,")
        return _DISTILLED.format(data=self.data) + call

    def _call(self, images: str, config: TrainConfig, soft: str = "") -> str:
        return _TRAINED.format(
            images=images,
            config=_config_lines(config),
            more=_classifier(self.classifier) + soft,
            steps=self.steps,
            batch_size=self.batch_size,
        )


def training_lines(
    config: TrainConfig, *, data: str, classifier: Backbone, steps: int, batch_size: int
) -> str:
    """Write the lines that train a classifier without synthetic images."""
    return _Training(data, classifier, steps, batch_size).lines(config)


def with_reading_options(lines: str, data: str, **options: object) -> str:
    """Add the options that change how data are read; None and "raise" are the defaults."""
    changed_options = {
        name: value for name, value in options.items() if value not in (None, "raise")
    }
    more = "".join(f", {name}={value!r}" for name, value in changed_options.items())
    return lines.replace(f"read_images({data!r})", f"read_images({data!r}{more})")


def spell_size(data: LabelledImages) -> str:
    """Write the form of images for somebody who writes a Dataset.

    Examples:
        >>> spell_size(LabelledImages(np.zeros((2, 3, 32, 48), np.uint16), [0, 0], ["a"]))
        '32 x 48 pixels (height x width) in RGB of 16 bits'
    """
    channels, height, width = data.image_shape
    colours = f"gray ({GRAY_LOADER})" if channels == 1 else "RGB"
    deep = " of 16 bits" if data.images.dtype == np.uint16 else ""
    return f"{height} x {width} pixels (height x width) in {colours}{deep}"


def _pool_lines(arm: Arm, pool: Path) -> str:
    open_lines, soft = _POOLED.format(pool=str(pool)), arm.labels == "mixed"
    labels = f", labels={arm.labels!r}" if soft else ""
    copy = _SOFTENED.format(copy=f"{pool}-soft") if soft else ""
    return open_lines + copy + _MIXED_IN.format(ratio=arm.ratio, labels=labels)


def _generator_lines(arm: Arm, source: Source) -> str:
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
    return "".join(map(_import_line, sorted(own))) + _FITTED.format(
        names=", ".join(sorted({"MixedDataset", *families})),
        arguments=", ".join(arguments),
        teacher=", teacher=network" if arm.labels == "mixed" else "",
    )


def _import_line(own: tuple[str, str]) -> str:
    """Write the line that imports a class of the user's own, by its module and name."""
    module, name = own
    if module == "__main__":
        return f"# {name} is the class that was measured\n"
    return f"from {module} import {name}\n"


def _generator(generator: Generator, sampling: Mapping[str, Any] | None = None) -> str:
    """Write the constructor call of a generator, with what `sampling` changes."""
    return f"{type(generator).__name__}({', '.join(_arguments(generator, sampling or {}))})"


def _classifier(backbone: Backbone) -> str:
    """Write the classifier as an argument on a line of its own; nothing for the usual one."""
    return "" if backbone == Backbone() else f"\n    classifier={as_python(backbone)},"


def _network(backbone: Backbone, config: TrainConfig) -> str:
    """Write the network and its training for a comment; nothing for the usual network."""
    return "" if backbone == Backbone() else f", on {as_python(backbone)} by {as_python(config)}"


def _config_lines(config: TrainConfig) -> str:
    lines = "".join(f"        {argument},\n" for argument in _arguments(config, {}))
    return f"TrainConfig(\n{lines}    )" if lines else "TrainConfig()"


def _arguments(instance: Any, changes: Mapping[str, Any]) -> list[str]:
    """Write a dataclass's arguments as Python: the changed ones, and those that are no defaults."""
    settings = {
        field.name: getattr(instance, field.name) for field in fields(instance) if field.init
    } | dict(changes)
    defaults = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(instance)
    }
    return [
        f"{name}={as_python(value)}"
        for name, value in settings.items()
        if name in changes or value != defaults[name]
    ]


def as_python(value: object) -> str:
    """Write a setting as Python; the parts of a blend are generators themselves."""
    if isinstance(value, Generator):
        return _generator(value)
    if isinstance(value, TrainConfig | Backbone):
        return f"{type(value).__name__}({', '.join(_arguments(value, {}))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(as_python, value))}{',' * (len(value) == 1)})"
    return repr(value)
