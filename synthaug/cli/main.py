"""`synthaug`: exit status 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted."""

import os
import sys
import traceback
import warnings

import typer
from rich.markup import escape

from synthaug.cli.gain import gain
from synthaug.cli.generators import fit, inspect, sample
from synthaug.cli.output import errors
from synthaug.cli.pools import export, import_images
from synthaug.errors import InputError, TrainingError

app = typer.Typer(
    name="synthaug",
    help="Synthetic images for small image-classification sets, and an honest measure of whether "
    "they help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command, name in (
    (gain, "gain"),
    (fit, "fit"),
    (sample, "sample"),
    (import_images, "import"),
    (export, "export"),
    (inspect, "inspect"),
):
    app.command(name)(command)

DEBUG = "--debug"


def run(arguments: list[str] | None = None) -> None:
    """Run the command line; `--debug` anywhere on it shows the traceback of an error."""
    given = sys.argv[1:] if arguments is None else arguments
    debug = DEBUG in given or bool(os.environ.get("SYNTHAUG_DEBUG"))
    warnings.showwarning = _show_warning
    try:
        app([each for each in given if each != DEBUG], prog_name="synthaug")
    except (InputError, TrainingError) as error:
        sys.exit(_fail(str(error), 2 if isinstance(error, InputError) else 1, debug))
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted", 130, debug))
    except Exception as error:
        text = f"{type(error).__name__}: {error} (--debug shows where; please report it)"
        sys.exit(_fail(text, 1, debug))


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    errors.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    return status


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    errors.print(f"[yellow]warning:[/] {escape(str(message))}", highlight=False, soft_wrap=True)
