"""`measure_gain` and `search_mix`, with the fields of their two objects as plain options."""

from dataclasses import fields
from typing import Any

from synthaug import Gain, LabelledImages, MixConfig, measure_gain, search_mix
from synthaug.gain import Execution, Protocol
from synthaug.search import Budget


def grouped(options: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Move the options that are fields of the two objects into them."""
    rest = {**defaults, **options}
    groups = {"protocol": Protocol, "execution": Execution}
    for name, group in groups.items():
        names = [field.name for field in fields(group)]
        rest[name] = group(**{each: rest.pop(each) for each in names if each in rest})
    return rest


def measure(train: LabelledImages, test: LabelledImages, **options: Any) -> Gain:
    """Measure a gain."""
    return measure_gain(train, test, **grouped(options))


def search(train: LabelledImages, budget: Budget, **options: Any) -> MixConfig:
    """Search for a way of mixing."""
    return search_mix(train, budget, **grouped(options, seeds=3))
