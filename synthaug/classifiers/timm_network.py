"""Networks of timm, and the weights that they start from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from torch import nn

from synthaug.core import InputError, first_line

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
        with _quiet(), _told_missing() as missing:
            network = _made(name, channels, classes, weights)
    except Exception as error:
        raise InputError(_not_loaded(name, channels, weights, error)) from None
    if left := _needed(network, missing):
        raise InputError(_not_of_this(name, weights, left))
    return network


def classifier_of(network: Any) -> nn.Module:
    """The last layer of a network of timm; networks that learn from a teacher have two."""
    found = network.get_classifier()
    return nn.ModuleList(found) if isinstance(found, tuple) else found


def _made(name: str, channels: int, classes: int, weights: str | None) -> nn.Module:
    import timm

    file = {} if weights is None or weights == PRETRAINED else {"file": weights}
    network: nn.Module = timm.create_model(
        name,
        pretrained=weights is not None,
        pretrained_cfg_overlay=file,
        num_classes=classes,
        in_chans=channels,
    )
    return network


@contextmanager
def _told_missing() -> Iterator[list[str]]:
    """The names that were not in what the block loads: torch tells timm, and timm nobody."""
    missing: list[str] = []
    load = nn.Module.load_state_dict

    def told(module: nn.Module, *given: Any, **options: Any) -> Any:
        found = load(module, *given, **options)
        missing.extend(found.missing_keys)
        return found

    nn.Module.load_state_dict = told  # type: ignore[method-assign, assignment]
    try:
        yield missing
    finally:
        nn.Module.load_state_dict = load  # type: ignore[method-assign]


def _needed(network: Any, missing: list[str]) -> list[str]:
    """Of these names those of weights and of batch norm's statistics, but for the last layers."""
    last = network.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{each}." for each in ([last] if isinstance(last, str) else last))
    learned = {name for name, _ in network.named_parameters()}
    kept = ("running_mean", "running_var")
    return [
        name
        for name in missing
        if (name in learned or name.endswith(kept)) and not name.startswith(heads)
    ]


def _not_loaded(name: str, channels: int, weights: str, error: Exception) -> str:
    if weights == PRETRAINED:
        return (
            f"classifier weights: timm could not download those of {name} ({first_line(error)}); "
            "name a file of them"
        )
    return (
        f"classifier weights: timm could not load {weights!r} into {name} for images of {channels} "
        f"channel{'s' * (channels > 1)} ({_why(error)}); "
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
        found = load_state_dict(weights)
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
