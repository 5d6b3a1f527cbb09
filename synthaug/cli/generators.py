"""`fit`, `sample` and `inspect`."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from synthaug.cli.options import (
    Data,
    Device,
    ImageSize,
    Json,
    Mode,
    OnError,
    PerClass,
    Quiet,
    Seed,
    read,
)
from synthaug.cli.output import finish, progress, show_card
from synthaug.errors import InputError
from synthaug.files import MANIFEST, read_json
from synthaug.generators import (
    ConditionalGAN,
    ConditionalVAE,
    Generator,
    RandomField,
    StyleSwap,
    TransferVAE,
    load_generator,
)
from synthaug.pool import SamplePool
from synthaug.reading import draw_subset


class Family(StrEnum):
    """The generators, by the names of the command line."""

    TRANSFER = "transfer"
    VAE = "vae"
    GAN = "gan"
    STYLE_SWAP = "style-swap"
    RANDOM_FIELD = "random-field"


TRAINED: dict[Family, Callable[..., Generator]] = {
    Family.TRANSFER: TransferVAE,
    Family.VAE: ConditionalVAE,
    Family.GAN: ConditionalGAN,
}
UNTRAINED: dict[Family, Callable[[], Generator]] = {
    Family.STYLE_SWAP: StyleSwap,
    Family.RANDOM_FIELD: RandomField,
}


def build(family: Family, steps: int | None) -> Generator:
    """An unfitted generator; `steps` None leaves the family's own number."""
    if family in UNTRAINED:
        if steps is not None:
            raise InputError(f"--steps: {family} has no training; leave it out")
        return UNTRAINED[family]()
    return TRAINED[family]() if steps is None else TRAINED[family](steps=steps)


def fit(
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the generator.")],
    generator: Annotated[Family, typer.Option(help="Kind of generator.")] = Family.TRANSFER,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps.")] = None,
    per_class: PerClass = None,
    image_size: ImageSize = None,
    mode: Mode = None,
    on_error: OnError = "raise",
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Fit a generator to the training images of DATA.

    Killed and started again with the same options, training goes on from OUTPUT.checkpoint.
    """
    images = read(data, image_size, mode, on_error)
    if per_class is not None:
        images = images.subset(draw_subset(images, per_class, seed=seed))
    made = build(generator, steps)
    checkpoint = output.with_name(f"{output.name}.checkpoint")
    with progress(quiet) as update:
        made.fit(
            images,
            seed=seed,
            device=device,
            checkpoint=checkpoint,
            progress=lambda done, total: update(f"fitting {made.family}", done, total),
        )
    made.save(output)
    seconds, count = made.card["seconds"], len(images)
    summary = f"{output}: {made.family} fitted to {count} images in {seconds:.0f} s"
    if made.keeps_images:
        summary += "; it starts from real images and holds them, so treat it like the data"
    finish(summary, made.card, json, quiet)


def sample(
    generator: Annotated[Path, typer.Argument(help="Directory that fit wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the pool.")],
    per_class: Annotated[int, typer.Option(min=1, help="Images of every class.")] = 200,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Sample a pool of synthetic images from a fitted generator."""
    pool = SamplePool.create(output, load_generator(generator, device=device), per_class, seed=seed)
    finish(repr(pool), pool.manifest, json, quiet)


def inspect(
    directory: Annotated[Path, typer.Argument(help="A generator or a pool.")],
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Show the card of a generator or pool: what made it, from what, with which settings."""
    card = _card(directory)
    if not quiet:
        show_card(card, Console())
    finish("", card, json, True)


def _card(directory: Path) -> dict[str, Any]:
    if not (directory / MANIFEST).exists():
        raise InputError(
            f"{directory}: expected the directory of a generator or pool, found no {MANIFEST}"
        )
    return read_json(directory / MANIFEST)
