"""Networks of timm, and the weights that they start from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from synthaug.errors import InputError, first_line
from synthaug.files import expanded

PRETRAINED = "pretrained"


def timm_network(name: str, channels: int, classes: int, weights: str | None) -> nn.Module:
    """The network of that name, its weights random, or `PRETRAINED`, or from a file of them.

    Raises `InputError` for a name that timm does not know, and for weights that are not those of
    this network: all layers but the last have to be there.
    """
    import timm

    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=5)
        hint = f"; close to it: {', '.join(close)}" if close else ""
        raise InputError(f"classifier: timm knows no model {name!r}{hint}")
    if weights is None:
        try:
            return _made(name, channels, classes, None)
        except Exception as error:
            said = first_line(error)
            raise InputError(f"classifier: timm could not build {name!r} ({said})") from None
    try:
        with _quiet():
            network = _made(name, channels, classes, weights)
            left = _left_random(network, name, channels, classes, weights)
    except Exception as error:
        raise InputError(_not_loaded(name, weights, error)) from None
    if left:
        raise InputError(_not_of_this(name, weights, left))
    return network


def classifier_of(network: Any) -> nn.Module:
    """The last layer of a network of timm; networks that learn from a teacher have two."""
    found = network.get_classifier()
    return nn.ModuleList(found) if isinstance(found, tuple) else found


def _made(name: str, channels: int, classes: int, weights: str | None) -> nn.Module:
    import timm

    file = {} if weights is None or weights == PRETRAINED else {"file": str(expanded(weights))}
    network: nn.Module = timm.create_model(
        name,
        pretrained=weights is not None,
        pretrained_cfg_overlay=file,
        num_classes=classes,
        in_chans=channels,
    )
    return network


def _left_random(
    network: nn.Module, name: str, channels: int, classes: int, weights: str
) -> list[str]:
    """Names of the weights that were not in the file, which timm leaves random and says nothing of:
    loaded once more, from other random weights, they differ."""
    with torch.random.fork_rng(devices=[]):
        again = _made(name, channels, classes, weights)
    head = {id(weight) for weight in classifier_of(network).parameters()}
    pairs = zip(network.named_parameters(), again.parameters(), strict=True)
    return [
        name
        for (name, weight), other in pairs
        if id(weight) not in head and not torch.equal(weight, other)
    ]


def _not_loaded(name: str, weights: str, error: Exception) -> str:
    if weights == PRETRAINED:
        return (
            f"classifier weights: timm could not download those of {name} ({first_line(error)}); "
            "name a file of them"
        )
    return (
        f"classifier weights: timm could not load {weights!r} into {name} ({_why(error)}); "
        f"expected a file of that network's weights under timm's names: a state_dict, as "
        ".safetensors or saved by torch as .pth"
    )


def _why(error: Exception) -> str:
    if "weights_only" in str(error):  # torch and timm advise to load it unsafely
        return "it is no state_dict; one of safetensors has to be named .safetensors"
    # What does not fit torch says on the second line.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = " ".join(lines[:2]) if isinstance(error, RuntimeError) else first_line(error)
    return told[:300]


def _not_of_this(name: str, weights: str, left: list[str]) -> str:
    said = f"classifier weights: {weights!r} has no {left[0]!r}"
    said += f" and {len(left) - 1} more" if len(left) > 1 else ""
    found = _names_in(weights)
    beside = f"; it has {', '.join(map(repr, found))}" if found else ""
    return (
        f"{said} of the weights of {name}{beside}; expected the state_dict of that network of timm "
        "itself (of one that synthaug trained, save network[1].state_dict())"
    )


def _names_in(weights: str) -> list[str]:
    """A few of the names in a file."""
    from timm.models import load_state_dict

    if weights == PRETRAINED:
        return []
    with _quiet():
        found = load_state_dict(str(expanded(weights)))
    return [name for name in found if not name.endswith("num_batches_tracked")][:3]


@contextmanager
def _quiet() -> Iterator[None]:
    """timm lists all names that do not fit, page after page."""
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
