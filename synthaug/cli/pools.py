"""`import` and `export`: images from elsewhere into a pool, a pool into other forms."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from synthaug.cli.options import (
    DATA_FORMS,
    ExportFormat,
    ImageSize,
    Json,
    JsonKind,
    Mode,
    OnError,
    PoolOutput,
    Quiet,
    at_home,
    check_apart,
    check_json,
    check_new,
    check_output,
    check_outside,
    read_data,
)
from synthaug.cli.output import finish, pool_summary
from synthaug.core import InputError, read_manifest
from synthaug.data import Samples, read_classes
from synthaug.pool import POOL_KIND as POOL
from synthaug.pool import SamplePool, drawable, export_folder, export_npz, export_tar


def import_images(
    images: Annotated[
        str, typer.Argument(metavar="IMAGES", help=f"Synthetic images: {DATA_FORMS}.")
    ],
    output: PoolOutput,
    image_size: ImageSize = None,
    mode: Mode = None,
    on_error: OnError = "raise",
    classes_of: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="The real images that these are for: their classes are taken, of which some may "
            "have no image here.",
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Make a pool of images from elsewhere: a diffusion model, a simulator, a colleague's GAN.

    Where there are folders train, val and test, those in train are taken.
    """
    check_apart({"--output": output, "--json": json})
    check_output(output, POOL)
    check_json("--json", json, JsonKind.POOL)
    check_outside(images, {"--output": output})
    _refuse_pool(images)
    classes = None if classes_of is None else read_classes(classes_of)
    try:
        data = read_data(images, image_size, mode, on_error, classes=classes, quiet=quiet)
    except InputError as error:
        if classes is not None or len(read_classes(images)) > 1:
            raise
        hint = "where the real images have more classes, name those: --classes-of DATA"
        raise InputError(f"{error}; {hint}") from error
    samples = Samples(data.images, data.labels)
    pool = SamplePool.from_samples(
        output, samples, data.classes, source=Path(images).resolve().name
    )
    finish(pool_summary(pool), pool.manifest, json, quiet)


def _refuse_pool(images: str) -> None:
    """Raise `InputError` where IMAGES is a pool already."""
    try:
        read_manifest(Path(images), kind=POOL)
    except InputError:
        return
    raise InputError(f"{images}: is a pool already; export, and gain --pool, take it as it is")


def export(
    pool: Annotated[Path, typer.Argument(metavar="POOL", help="Directory of the pool.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            callback=at_home,
            help="File or folder to write; must not exist.",
        ),
    ],
    format: Annotated[
        ExportFormat,
        typer.Option(help="A folder of PNG files by class, one .npz, or WebDataset's tar files."),
    ] = ExportFormat.FOLDER,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Write a pool in a form that other tools read."""
    check_apart({"--output": output, "--json": json})
    check_new("--output", output)
    check_json("--json", json, JsonKind.EXPORT)
    source = SamplePool(pool)
    source.check()
    write = {
        ExportFormat.FOLDER: export_folder,
        ExportFormat.NPZ: export_npz,
        ExportFormat.TAR: export_tar,
    }[format]
    write(source, output)
    labels = source.samples.labels
    if format != ExportFormat.NPZ:
        labels = labels[drawable(source)]
    counts = np.bincount(labels, minlength=len(source.classes))
    metadata = {"output": str(output), "images": len(labels), "per_class": counts.tolist()}
    finish(
        f"{output}: {len(labels)} images of {len(source.classes)} classes", metadata, json, quiet
    )
