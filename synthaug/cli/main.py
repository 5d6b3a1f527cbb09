"""The command line `synthaug`.

Exit status: 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted, 143 terminated.
"""

import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from typing import Any

import typer
from rich.markup import escape

from synthaug.cli.gain import gain
from synthaug.cli.generators import fit, inspect, sample
from synthaug.cli.output import errors, results
from synthaug.cli.pools import export, import_images
from synthaug.cli.report import report
from synthaug.cli.tune import tune
from synthaug.core import InputError, versions

DONE, FAILED, WRONG, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
STOPPED = {INTERRUPTED: "interrupted", TERMINATED: "terminated"}
DEBUG = "--debug"
RESUMABLE = ("gain", "tune", "fit")
RESUME_HINT = "; run the same command again to go on from what was saved, if anything was"
PLAIN_WORDS = {  # typer's words, and plainer ones
    "Value error, ": "",
    "Input should be": "expected",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "a valid integer, unable to parse string as an integer": "an integer",
    "a valid number, unable to parse string as a number": "a number",
}

app = typer.Typer(
    name="synthaug",
    help="Synthetic images for small image-classification sets, and an honest measure of whether "
    "they help.",
    epilog="synthaug COMMAND --help explains a command. Exit status: 0 done, 1 failed, 2 wrong "
    "usage or bad input, 130 interrupted, 143 terminated. --version shows the version.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command, name in (
    (gain, "gain"),
    (tune, "tune"),
    (report, "report"),
    (fit, "fit"),
    (sample, "sample"),
    (import_images, "import"),
    (export, "export"),
    (inspect, "inspect"),
):
    app.command(name, epilog=f"{DEBUG} shows the traceback of an error.")(command)


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; `--debug` anywhere on it shows the traceback of an error."""
    typed_words = sys.argv[1:] if arguments is None else arguments
    words = [word for word in typed_words if word != DEBUG]
    if isinstance(sys.stdout, TextIOWrapper):  # a class's name may have letters that it lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings(), _ended_by_sigterm():
        warnings.showwarning = partial(_show_warning, set())
        sys.exit(_run(words, debug=len(words) < len(typed_words)))


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM, which SLURM and docker stop send, end the block as Ctrl-C does.

    Half-written files are then cleared away, which by default they are not.
    """
    if threading.current_thread() is not threading.main_thread():  # others can handle no signals
        yield
        return
    handler = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if handler is None else handler)


def _terminate(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # another one is not to cut the clearing away short
    raise SystemExit(TERMINATED)


def _run(words: list[str], *, debug: bool) -> int:
    if words == ["--version"]:
        results().print(versions()["synthaug"])
        return DONE
    if not words:
        app(["--help"], prog_name="synthaug", standalone_mode=False)
        return WRONG
    try:
        # The typed words are passed on, since a result holds the command that made it.
        status = app(words, prog_name="synthaug", standalone_mode=False, obj=words) or DONE
    except KeyboardInterrupt:
        status = INTERRUPTED
    except SystemExit as exit_:
        if exit_.code != TERMINATED:
            raise
        status = TERMINATED
    except Exception as error:
        if debug:
            traceback.print_exc()
        message, status = _explain(error)
        errors.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    if status in STOPPED:
        errors.print(STOPPED[status] + RESUME_HINT * (words[0] in RESUMABLE), soft_wrap=True)
    return int(status)


def _explain(error: Exception) -> tuple[str, int]:
    """Return the message on one line, and the exit status."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text, WRONG
    if hasattr(error, "format_message"):  # typer's usage errors, whose base it does not export
        context = getattr(error, "ctx", None)
        command = "synthaug" if context is None else context.command_path
        message = _in_plain_words(" ".join(error.format_message().split()), error.__cause__)
        return f"{message}; {command} --help shows what there is", WRONG
    if isinstance(error, MemoryError):
        return f"memory ran out{text and f' ({text})'}; ask for less at once", FAILED
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}", FAILED
    is_own = type(error).__module__.startswith("synthaug.")
    return text if is_own else f"{type(error).__name__}: {text} ({DEBUG} shows where)", FAILED


def _in_plain_words(message: str, cause: Any) -> str:
    """Put typer's message into plain words, and add the typed word where it is left out."""
    message = message.rstrip(".")
    if "Input should be" in message:
        message += f", got {cause.errors()[0]['input']!r}"
    for theirs, ours in PLAIN_WORDS.items():
        message = message.replace(theirs, ours)
    return message


def _show_warning(earlier: set[str], message: Warning | str, *_: object, **__: object) -> None:
    """Print each warning once: DATA is opened for its splits, and again for each of them."""
    if str(message) in earlier:
        return
    earlier.add(str(message))
    errors.print(f"[yellow]warning:[/] {escape(str(message))}", soft_wrap=True)
