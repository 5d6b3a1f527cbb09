"""`report`: a result as a page."""

from pathlib import Path
from typing import Annotated

import typer

from synthaug.cli.options import Quiet, check_page
from synthaug.cli.output import RESULT, errors
from synthaug.gain import Gain
from synthaug.gain.report import write_report


def report(
    result: Annotated[
        Path,
        typer.Argument(metavar="RESULT", help="JSON of gain --json, or the folder of --report."),
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
    check_page("--output", output)
    found = result / RESULT if result.is_dir() else result
    write_report(Gain.load(found), output)
    if not quiet:
        errors.print(f"Report: {output}", soft_wrap=True)
