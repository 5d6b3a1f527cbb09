"""`report`: a result as a page."""

from pathlib import Path
from typing import Annotated

import typer

from synthaug.cli.options import Quiet, check_file
from synthaug.cli.output import errors
from synthaug.gain import Gain
from synthaug.gain.report import write_report


def report(
    result: Annotated[
        Path, typer.Argument(metavar="RESULT", help="JSON that gain --json or --report wrote.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PAGE", help="The HTML page to write.")
    ],
    quiet: Quiet = False,
) -> None:
    """Draw the page of a result: arms, intervals, protocol.

    Pictures of the images are only on the page that gain --report writes,
    since the JSON holds none.
    """
    check_file("--output", output)
    write_report(Gain.load(result), None, output)
    if not quiet:
        errors.print(f"Report: {output}", soft_wrap=True)
