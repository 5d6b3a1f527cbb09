"""Build networks of timm, and load the weights that they start from."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from torch import nn

from synthaug.core import InputError, first_line

PRETRAINED = "pretrained"


def timm_network(name: str, channels: int, classes: int, weights: str | None) -> nn.Module:
    """Build a network of timm.

    Args:
        name: timm's name.
        channels: Input channels.
        classes: Number of classes.
        weights: None for random ones, `PRETRAINED`, or a file.

    Raises:
        InputError: If timm does not know the name, or the weights lack a layer besides the last.
    """
    import timm

    if not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=5)
        hint = f"; close to it: {', '.join(close)}" if close else ""
        raise InputError(f"classifier: timm knows no model {name!r}{hint}")
    if weights is None:
        try:
            return _create(name, channels, classes, None)
        except Exception as error:
            reason = first_line(error)
            raise InputError(f"classifier: timm could not build {name!r} ({reason})") from None
    try:
        with _quiet_timm(), _missing_names() as names:
            network = _create(name, channels, classes, weights)
    except Exception as error:
        raise InputError(_load_message(name, channels, weights, error)) from None
    if absent := _required_names(network, names):
        raise InputError(_other_network_message(name, weights, absent))
    return network


def classifier_of(network: Any) -> nn.Module:
    """Return the last layer of a network of timm; networks that learn from a teacher have two."""
    layers = network.get_classifier()
    return nn.ModuleList(layers) if isinstance(layers, tuple) else layers


def _create(name: str, channels: int, classes: int, weights: str | None) -> nn.Module:
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
def _missing_names() -> Iterator[list[str]]:
    """Collect the names that are missing in what the block loads, which timm does not report."""
    names: list[str] = []
    load = nn.Module.load_state_dict

    def load_and_note(module: nn.Module, *arguments: Any, **options: Any) -> Any:
        result = load(module, *arguments, **options)
        names.extend(result.missing_keys)
        return result

    nn.Module.load_state_dict = load_and_note  # type: ignore[method-assign, assignment]
    try:
        yield names
    finally:
        nn.Module.load_state_dict = load  # type: ignore[method-assign]


def _required_names(network: Any, names: list[str]) -> list[str]:
    """Return those of the names that are weights or statistics of batch norm before the head."""
    last = network.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{each}." for each in ([last] if isinstance(last, str) else last))
    parameters = {name for name, _ in network.named_parameters()}
    statistics = ("running_mean", "running_var")
    return [
        name
        for name in names
        if (name in parameters or name.endswith(statistics)) and not name.startswith(heads)
    ]


def _load_message(name: str, channels: int, weights: str, error: Exception) -> str:
    if weights == PRETRAINED:
        return (
            f"classifier weights: timm could not download those of {name} ({first_line(error)}); "
            "name a file of them"
        )
    return (
        f"classifier weights: timm could not load {weights!r} into {name} for images of {channels} "
        f"channel{'s' * (channels > 1)} ({_reason(error)}); "
        f"expected a file of that network's weights under timm's names: a state_dict, as "
        ".safetensors or saved by torch as .pth"
    )


def _reason(error: Exception) -> str:
    if "weights_only" in str(error):  # torch and timm advise to load it unsafely
        return "it is no state_dict; one of safetensors has to be named .safetensors"
    # torch names what does not fit on the second line.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = " ".join(lines[:2]) if isinstance(error, RuntimeError) else first_line(error)
    return reason[:300]


def _other_network_message(name: str, weights: str, absent: list[str]) -> str:
    beginning = f"classifier weights: {weights!r} has no {absent[0]!r}"
    beginning += f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    names = _some_names(weights)
    contents = f"; it has {', '.join(map(repr, names))}" if names else ""
    return (
        f"{beginning} of the weights of {name}{contents}; expected the state_dict of that network "
        "of timm itself (of one that synthaug trained, save network[1].state_dict())"
    )


def _some_names(weights: str) -> list[str]:
    """Return a few of the names in a file."""
    from timm.models import load_state_dict

    if weights == PRETRAINED:
        return []
    with _quiet_timm():
        state = load_state_dict(weights)
    return [name for name in state if not name.endswith("num_batches_tracked")][:3]


@contextmanager
def _quiet_timm() -> Iterator[None]:
    """Silence timm, which lists all names that do not fit."""
    logger = logging.getLogger("timm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
