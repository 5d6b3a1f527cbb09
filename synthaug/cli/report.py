"""`report`: a result as a page."""

from pathlib import Path
from typing import Annotated

import typer

from synthaug.cli.options import Quiet, at_home, check_apart, check_page
from synthaug.cli.output import RESULT, errors
from synthaug.core import InputError
from synthaug.gain import Gain
from synthaug.gain.report import EMBEDDED, write_report


def report(
    result: Annotated[
        Path,
        typer.Argument(metavar="RESULT", help="JSON of gain --json, or the folder of --report."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="PAGE", callback=at_home, help="The HTML page to write."
        ),
    ],
    quiet: Quiet = False,
) -> None:
    """Draw the page of a result: arms, intervals, protocol.

    Pictures of the images are only on the page that gain --report writes,
    since the JSON holds none.
    """
    check_apart({"--output": output})
    check_page("--output", output)
    _check_pictures(output)
    file = result / RESULT if result.is_dir() else result
    write_report(Gain.load(file), output)
    if not quiet:
        errors.print(f"Report: {output}", markup=False, soft_wrap=True)


def _check_pictures(output: Path) -> None:
    """Raise `InputError` for a page whose pictures would be lost, as the JSON holds none."""
    if output.exists() and EMBEDDED.encode() in output.read_bytes():
        raise InputError(
            f"--output {output}: is a page with pictures, which a result does not hold, so they "
            "would be lost; name another file, or remove it"
        )
