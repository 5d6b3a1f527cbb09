"""`fit`, `sample` and `inspect`."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

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
    check_device,
    check_file,
    check_output,
    read,
)
from synthaug.cli.output import describe, finish, progress, results, show_card, spell_seconds
from synthaug.errors import InputError
from synthaug.files import MANIFEST, read_json
from synthaug.generators import (
    VAEGAN,
    CompositionGAN,
    ConditionalGAN,
    ConditionalVAE,
    Generator,
    RandomField,
    StyleSwap,
    TransferVAE,
    load_generator,
)
from synthaug.generators.base import KIND as GENERATOR
from synthaug.pool import SamplePool
from synthaug.pool.sample_pool import KIND as POOL
from synthaug.reading import draw_subset


class Family(StrEnum):
    """The generators, by the names of the command line."""

    TRANSFER = "transfer"
    VAE = "vae"
    VAEGAN = "vaegan"
    COMPOSITION = "composition"
    GAN = "gan"
    STYLE_SWAP = "style-swap"
    RANDOM_FIELD = "random-field"


TRAINED: dict[Family, Callable[..., Generator]] = {
    Family.TRANSFER: TransferVAE,
    Family.VAE: ConditionalVAE,
    Family.VAEGAN: VAEGAN,
    Family.COMPOSITION: CompositionGAN,
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
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="GENERATOR", help="Directory to write.")
    ],
    generator: Annotated[
        Family, typer.Option(metavar="NAME", help=f"Kind of generator: {', '.join(Family)}.")
    ] = Family.TRANSFER,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Optimiser steps. Default: the generator's own."),
    ] = None,
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

    Killed and started again with the same options, training goes on from
    GENERATOR.checkpoint.
    """
    made = build(generator, steps)
    check_device(device)
    check_output(output, GENERATOR)
    check_file("--json", json)
    images = read(data, image_size, mode, on_error)
    if per_class is not None:
        images = images.subset(draw_subset(images, per_class, seed=seed))
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
    seconds = spell_seconds(made.card["seconds"])
    summary = f"{output}: {made.family} fitted to {len(images)} images in {seconds} s"
    if made.keeps_images:
        summary += "; it starts from real images and holds them, so treat it like the data"
    finish(summary, made.card, json, quiet)


def sample(
    generator: Annotated[
        Path, typer.Argument(metavar="GENERATOR", help="Directory that fit wrote.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="POOL", help="Directory to write.")
    ],
    per_class: Annotated[
        int, typer.Option(metavar="N", min=1, help="Images of every class.")
    ] = 200,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Sample a pool of synthetic images from a fitted generator."""
    check_device(device)
    check_output(output, POOL)
    check_file("--json", json)
    pool = SamplePool.create(output, load_generator(generator, device=device), per_class, seed=seed)
    finish(describe(pool), pool.manifest, json, quiet)


def inspect(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="A generator or a pool.")],
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Show the card of a generator or pool: what made it, from what, with which settings."""
    check_file("--json", json)
    card = _card(directory)
    if not quiet:
        show_card(card, results())
    finish("", card, json, True)


def _card(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    card = read_json(path) if path.exists() else {}
    if card.get("kind") not in (GENERATOR, POOL):
        raise InputError(
            f"{directory}: expected a directory that fit, sample or import wrote, found no "
            f"{MANIFEST} of a {GENERATOR} or a {POOL}"
        )
    return card
