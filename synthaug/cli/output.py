"""Show progress, tables and errors on the terminal."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
)
from rich.table import Column, Table
from rich.text import Text

from synthaug.core import write_json
from synthaug.data import form_of
from synthaug.gain import NO_ARM, ArmResult, Gain
from synthaug.gain.report import advice, use_of_lines
from synthaug.pool import SamplePool

RESULT, PAGE = "result.json", "report.html"  # in the folder of a report
SECONDS_A_LINE = 60
UNBOUNDED = 1000  # columns, where the output goes into a file or another program

errors = Console(stderr=True, highlight=False, emoji=False)


class _Results(Console):
    def on_broken_pipe(self) -> None:
        """Go on quietly: a reader such as `head` has all that it wanted."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def results() -> Console:
    """Return standard output, wrapped at words on a terminal, whole lines elsewhere."""
    console = _Results(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = UNBOUNDED
    return console


class _Pace(ProgressColumn):
    """Steps or runs a minute, and the time left, both of the current heading."""

    def __init__(self, *, growing: bool) -> None:
        super().__init__(Column(no_wrap=True))
        self._bound = "at least " if growing else ""
        self._heading, self._noted_at, self._count = "", 0.0, 0
        self._totals: dict[str, tuple[float, int]] = {}  # seconds and steps or runs by heading

    def note(self, heading: str, count: int) -> None:
        """Note that so many steps or runs are done under a heading."""
        now = time.monotonic()
        if heading == self._heading:
            seconds, total = self._totals.get(heading, (0.0, 0))
            self._totals[heading] = (seconds + now - self._noted_at, total + count - self._count)
        self._heading, self._noted_at, self._count = heading, now, count

    def render(self, task: Task) -> Text:
        """Return the rate and the time left, empty where neither is known yet."""
        seconds, count = self._totals.get(self._heading, (0.0, 0))
        if not count or not seconds or task.total is None:
            return Text("")
        pace = f"{60 * count / seconds:,.0f}/min"
        waiting = time.monotonic() - self._noted_at
        rest = round((task.total - self._count) * seconds / count - waiting)
        return Text(f"{pace} {self._bound}{timedelta(seconds=rest)} left" if rest > 0 else pace)


class _Lines:
    """Progress in plain lines: one a minute, and for a run of several stages one at each."""

    def __init__(self, *, stages: bool) -> None:
        self._stages, self._heading, self._printed_at = stages, "", time.monotonic()

    def update(self, heading: str, count: int, total: int) -> None:
        """Print a line where one is due."""
        begins = self._stages and heading != self._heading
        if not begins and time.monotonic() - self._printed_at < SECONDS_A_LINE:
            return
        self._heading, self._printed_at = heading, time.monotonic()
        errors.print(f"{heading}: {count:,} of {total:,}", markup=False, soft_wrap=True)


@contextmanager
def progress(quiet: bool, *, growing: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar with rate and time left; plain lines where there is no terminal.

    Args:
        quiet: Show nothing.
        growing: The total may still rise, so the time left is a lower bound.

    Yields:
        A function to call with (heading, count, total).
    """
    pace = _Pace(growing=growing)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        MofNCompleteColumn(),
        pace,
    )
    has_bar = not quiet and errors.is_terminal
    lines = _Lines(stages=growing) if not quiet and not has_bar else None
    bar = Progress(*columns, console=errors, transient=True, expand=True)
    with bar if has_bar else nullcontext():  # before rich 14.3 one that is disabled printed lines
        task = bar.add_task("starting", total=None)

        def update(heading: str, count: int, total: int) -> None:
            if lines is not None:
                lines.update(heading, count, total)
            pace.note(heading, count)
            bar.update(task, description=heading, completed=count, total=total or None)

        yield update


def show_gain(gain: Gain, console: Console) -> None:
    """Print the table of arms, the verdict in a sentence, and what to do next."""
    data, protocol = gain.data, gain.protocol
    console.print(
        f"[bold]{escape(str(data['name']))}[/]: {data['classes']} classes, {data['train']:,} "
        f"training and {data['test']:,} test images; {protocol['steps']:,} steps of "
        f"{protocol['batch_size']} on {protocol['device']}; choices made on "
        f"{escape(protocol['validation'])}"
    )
    console.print()
    console.print(_arms(gain, has_frame=console.is_terminal))
    console.print()
    colour = {"helps": "green", "hurts": "red", "no evidence": "yellow"}[gain.verdict]
    console.print(f"[bold {colour}]{escape(gain.sentence())}[/]")
    control = gain.gain_over_control
    if control is not None:
        console.print(
            f"The best trained generator ({escape(str(gain.trained))}) over the best non-learned "
            f"control ({escape(str(gain.control))}): {control.points:+z.1f} points, {control.span}."
        )
    for caveat in protocol["caveats"]:
        console.print(f"Note: {escape(caveat)}.")
    console.print(f"[bold]{escape(_lead(gain))}[/] {escape(advice(gain))} {use_of_lines(gain)}:")
    # As plain text, so that the lines can be copied.
    console.print()
    console.print(protocol["next_steps"], markup=False, soft_wrap=True)


def _lead(gain: Gain) -> str:
    """Write the recommendation in a line, and whether the test images confirm it."""
    if gain.recommendation == NO_ARM:
        return "Recommended: no synthetic images."
    if gain.verdict == "helps":
        return f"Recommended: {gain.recommendation}."
    return f"Not confirmed: the validation images favour {gain.recommendation}."


def _arms(gain: Gain, *, has_frame: bool) -> Table:
    """Return the table of arms; a narrow terminal wraps names, never numbers."""
    table = Table(
        box=box.SIMPLE_HEAD if has_frame else None,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if has_frame else 2, 0, 0),
        caption=f"{gain.protocol['metric']} on test images in %, gain over the baseline on the "
        "same seeds in points, median training time in seconds. Arms marked (baseline), (chosen) "
        f"and so on{_other_finalists(gain)} were trained again on fresh seeds, the others on those "
        "used for choosing, on which the baseline may have been lucky: compare gains, not "
        "accuracies.",
        caption_justify="left",
    )
    table.add_column("arm", no_wrap=not has_frame, overflow="fold")
    table.add_column("uses", no_wrap=True)
    interval = f"{gain.gain.confidence:.0%} interval"
    for name in ("accuracy", "gain", interval, "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in gain.arms:
        role = _role(gain, arm)
        table.add_row(*_cells(gain, arm, role or _few_seeds(gain, arm)), style="bold" * bool(role))
    return table


def _other_finalists(gain: Gain) -> str:
    """Name the arms without a role that were trained on fresh seeds, too."""
    finalists = [arm for arm in gain.arms if arm.seeds == gain.protocol["seeds"]]
    names = [f"'{arm.name}'" for arm in finalists if not _role(gain, arm)]
    return f", and {' and '.join(names)}," if names else ""


def _role(gain: Gain, arm: ArmResult) -> str:
    """Return the arm's role in this comparison, empty if it has none."""
    roles = {
        gain.rival: "oracle baseline",
        gain.trained: "trained",
        gain.control: "non-learned",
        gain.chosen["arm"]: "chosen",
        gain.baseline: "baseline",
    }
    return roles.get(arm.name, "")


def _few_seeds(gain: Gain, arm: ArmResult) -> str:
    """Tell on how few seeds an arm was trained that was far behind on those."""
    return f"{len(arm.accuracy)} seeds" if gain.given_up(arm) else ""


def _cells(gain: Gain, arm: ArmResult, role: str) -> list[str]:
    scores = gain.scores(arm.name)
    name = f"{arm.name} ({role})" if role else arm.name
    row = [escape(name), arm.uses, f"{100 * sum(scores) / len(scores):.1f}"]
    if arm.gain is None:
        row += ["", ""]
    else:
        row += [f"{arm.gain.points:+z.1f}", arm.gain.span]
    return [*row, spell_seconds(arm.usual_seconds)]


def spell_seconds(seconds: float) -> str:
    """Write seconds, with a decimal where there are few.

    Examples:
        >>> spell_seconds(0.31), spell_seconds(1234.5)
        ('0.3', '1,234')
    """
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:,.0f}"


def show_metadata(metadata: Mapping[str, Any], console: Console) -> None:
    """Print a manifest as a table, nested entries under dotted names."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for key, value in _flat(metadata):
        text = (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
        table.add_row(f"[bold]{escape(key)}[/]", escape(text))
    console.print(table)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        elif isinstance(item, list) and any(isinstance(each, Mapping) for each in item):
            yield from _flat(
                {str(index): each for index, each in enumerate(item)}, f"{prefix}{key}."
            )
        else:
            yield f"{prefix}{key}", item


def pool_summary(pool: SamplePool) -> str:
    """Describe a pool on one line."""
    form = form_of(pool.samples.images)
    return (
        f"{pool.directory}: {len(pool)} images of {len(pool.classes)} classes, {form}, from "
        f"{pool.manifest['source']}"
    )


def finish(summary: str, metadata: Mapping[str, Any], json: Path | None, quiet: bool) -> None:
    """Print a summary, and write the metadata where JSON was asked for."""
    if json is not None:
        write_json(json, dict(metadata))
    if not quiet:
        results().print(summary, markup=False)
