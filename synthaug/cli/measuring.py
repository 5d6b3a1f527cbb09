"""Options that `gain` and `tune` share: the classifier, and how its trainings are run."""

from pathlib import Path
from typing import Annotated

import joblib
import typer
from torch import nn

from synthaug.classifiers import POLICIES, PRETRAINED, Backbone
from synthaug.cli.options import CLASSIFIER, FLAG, RUNNING
from synthaug.core import InputError, resolve_device

BATCH = 64
CACHE = Path("~/.cache/synthaug/gain")

Test = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="Test images, in place of DATA's own or where it has none."),
]
ClassifierName = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help='"resnet" (small, from random weights) or "timm:NAME".',
        rich_help_panel=CLASSIFIER,
    ),
]
ClassifierWeights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Weights that a timm:NAME starts from: a .safetensors or .pth file under timm's "
        'names, or "pretrained" for those that timm downloads.',
        rich_help_panel=CLASSIFIER,
    ),
]
ClassifierSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=8,
        max=512,
        help="Bring images to N x N pixels within the classifier; generators keep their size.",
        rich_help_panel=CLASSIFIER,
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Fix the geometry, not tune it: {', '.join(POLICIES)}.",
        rich_help_panel=CLASSIFIER,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Fix the optimiser steps of each arm, not tune them.",
        rich_help_panel=CLASSIFIER,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Processes side by side. Default: one a CPU core, or one in all on a GPU.",
    ),
]
Cache = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Where finished runs (one arm, one seed) wait until the run is over, so that an "
        "interrupted one goes on.",
        rich_help_panel=RUNNING,
    ),
]
Keep = Annotated[
    bool,
    typer.Option(
        "--keep",
        metavar=FLAG,
        help="Leave finished runs in the cache: a later gain or tune on the same data, with other "
        "generators, more seeds or a larger budget, trains only what is new.",
        rich_help_panel=RUNNING,
    ),
]


def backbone(name: str, weights: str | None, size: int | None) -> Backbone:
    """Return the classifier of these options.

    It is built once, so that a wrong name or wrong weights are refused before images are read.
    """
    try:
        network = Backbone(name, weights, size)
        _build(network)
    except InputError as error:
        message = str(error).replace("classifier weights", "classifier-weights", 1)
        raise InputError(f"--{message}") from None
    return network


def _build(network: Backbone) -> None:
    """Build a network for colour images or, where its weights are of one, for gray ones."""
    try:
        network.build((3, 32, 32), 2, nn.Identity())
    except InputError as error:
        if network.weights in (None, PRETRAINED):
            raise
        try:
            network.build((1, 32, 32), 2, nn.Identity())  # weights of a network for gray images
        except InputError:
            raise error from None


def check_policy(policy: str | None) -> None:
    """Raise `InputError` for an unknown geometry."""
    if policy is not None and policy not in POLICIES:
        raise InputError(f"--policy: expected one of {', '.join(POLICIES)}, got {policy!r}")


def jobs_on(device: str) -> int:
    """Return the default number of processes side by side."""
    return 1 if resolve_device(device).type == "cuda" else int(joblib.cpu_count())
