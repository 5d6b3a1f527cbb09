"""Options that several commands share, each explained once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from synthaug.reading import read_images

DATA_FORMS = (
    'a folder of class folders, an .npz, a .csv (path,label[,split][,group]), "digits", '
    '"torchvision:NAME" or "medmnist:NAME"'
)

Data = Annotated[str, typer.Argument(help=f"Labelled images: {DATA_FORMS}.")]
ImageSize = Annotated[
    int | None, typer.Option(min=8, max=256, help="Resize images to this side, in pixels.")
]
Mode = Annotated[str | None, typer.Option(help='Convert images to "gray" or "rgb".')]
OnError = Annotated[
    str, typer.Option(help='"raise" on an unreadable image, or "skip" it and say which.')
]
PerClass = Annotated[int | None, typer.Option(min=1, help="Train on so many images a class.")]
Seed = Annotated[int, typer.Option(min=0, help="Settles every random choice.")]
Device = Annotated[str, typer.Option(help='"auto" (a GPU where there is one), "cpu", "cuda:0".')]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the result as JSON.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


class ExportFormat(StrEnum):
    """How `export` writes a pool."""

    FOLDER = "folder"
    NPZ = "npz"


def read(
    data: str, image_size: int | None, mode: str | None, on_error: str, split: str = "train"
) -> Any:
    """`read_images` with the options of the command line."""
    return read_images(data, split=split, image_size=image_size, mode=mode, on_error=on_error)
