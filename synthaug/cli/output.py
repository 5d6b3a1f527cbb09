"""What a person sees: progress, tables, errors."""

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
        """Who reads no further, as `head`, has what was wanted, and nothing failed."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def results() -> Console:
    """Standard output: wrapped at words on a terminal, whole lines elsewhere."""
    console = _Results(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = UNBOUNDED
    return console


class _Pace(ProgressColumn):
    """Steps or cells a minute, and the time left, both from what was done under one heading."""

    def __init__(self, *, growing: bool) -> None:
        super().__init__(Column(no_wrap=True))
        self._bound = "at least " if growing else ""
        self._heading, self._when, self._done = "", 0.0, 0
        self._spent: dict[str, tuple[float, int]] = {}  # seconds and steps or cells by heading

    def note(self, heading: str, done: int) -> None:
        now = time.monotonic()
        if heading == self._heading:
            seconds, count = self._spent.get(heading, (0.0, 0))
            self._spent[heading] = (seconds + now - self._when, count + done - self._done)
        self._heading, self._when, self._done = heading, now, done

    def render(self, task: Task) -> Text:
        seconds, count = self._spent.get(self._heading, (0.0, 0))
        if not count or not seconds or task.total is None:
            return Text("")
        pace = f"{60 * count / seconds:,.0f}/min"
        waited = time.monotonic() - self._when
        left = round((task.total - self._done) * seconds / count - waited)
        return Text(f"{pace} {self._bound}{timedelta(seconds=left)} left" if left > 0 else pace)


class _Lines:
    """Progress in plain lines: one a minute, and for a run of several stages one at each."""

    def __init__(self, *, stages: bool) -> None:
        self._stages, self._what, self._when = stages, "", time.monotonic()

    def say(self, what: str, done: int, total: int) -> None:
        begins = self._stages and what != self._what
        if not begins and time.monotonic() - self._when < SECONDS_A_LINE:
            return
        self._what, self._when = what, time.monotonic()
        errors.print(f"{what}: {done:,} of {total:,}", markup=False, soft_wrap=True)


@contextmanager
def progress(quiet: bool, *, growing: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A bar with rate and time left; call it with (what, done, of how many). Plain lines where
    there is no terminal.

    growing: whether "of how many" may still rise, so that the time left is at least what it says.
    """
    pace = _Pace(growing=growing)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        MofNCompleteColumn(),
        pace,
    )
    shown = not quiet and errors.is_terminal
    plain = _Lines(stages=growing) if not quiet and not shown else None
    bar = Progress(*columns, console=errors, transient=True, expand=True)
    with bar if shown else nullcontext():  # before rich 14.3 one that is disabled printed lines
        task = bar.add_task("starting", total=None)

        def update(what: str, done: int, total: int) -> None:
            if plain is not None:
                plain.say(what, done, total)
            pace.note(what, done)
            bar.update(task, description=what, completed=done, total=total or None)

        yield update


def show_gain(gain: Gain, console: Console) -> None:
    """The table of arms, the verdict in a sentence, and what to do next."""
    data, protocol = gain.data, gain.protocol
    console.print(
        f"[bold]{escape(str(data['name']))}[/]: {data['classes']} classes, {data['train']:,} "
        f"training and {data['test']:,} test images; {protocol['steps']:,} steps of "
        f"{protocol['batch_size']} on {protocol['device']}; choices made on "
        f"{escape(protocol['validation'])}"
    )
    console.print()
    console.print(_arms(gain, framed=console.is_terminal))
    console.print()
    colour = {"helps": "green", "hurts": "red", "no evidence": "yellow"}[gain.verdict]
    console.print(f"[bold {colour}]{escape(gain.sentence())}[/]")
    control = gain.gain_over_control
    if control is not None:
        console.print(
            f"The best trained ({escape(str(gain.trained))}) over the best that needs no training "
            f"({escape(str(gain.control))}): {control.points:+z.1f} points, {control.span}."
        )
    for caveat in protocol["caveats"]:
        console.print(f"Note: {escape(caveat)}.")
    console.print(f"[bold]{escape(_lead(gain))}[/] {escape(advice(gain))} {use_of_lines(gain)}:")
    # As plain text, so that the lines can be copied.
    console.print()
    console.print(protocol["next_steps"], markup=False, soft_wrap=True)


def _lead(gain: Gain) -> str:
    """What to do, in a line: what is recommended, and whether the test images confirm it."""
    if gain.recommendation == NO_ARM:
        return "Recommended: no synthetic images."
    if gain.verdict == "helps":
        return f"Recommended: {gain.recommendation}."
    return f"Not confirmed: the validation images favour {gain.recommendation}."


def _arms(gain: Gain, *, framed: bool) -> Table:
    """The arms; only their names are wrapped where it is narrow, numbers stay whole."""
    table = Table(
        box=box.SIMPLE_HEAD if framed else None,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1 if framed else 2, 0, 0),
        caption=f"{gain.protocol['metric']} on test images in %, gain over the baseline on the "
        "same seeds in points, median training time in seconds. Arms marked (baseline), (chosen) "
        f"and so on{_also_again(gain)} were trained again on fresh seeds, the others on those used "
        "for choosing, on which the baseline may have been lucky: compare gains, not accuracies.",
        caption_justify="left",
    )
    table.add_column("arm", no_wrap=not framed, overflow="fold")
    table.add_column("uses", no_wrap=True)
    interval = f"{gain.gain.confidence:.0%} interval"
    for name in ("accuracy", "gain", interval, "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in gain.arms:
        role = _role(gain, arm)
        table.add_row(*_cells(gain, arm, role or _given_up(gain, arm)), style="bold" * bool(role))
    return table


def _also_again(gain: Gain) -> str:
    """The arms without a mark that were compared for the rival, in words."""
    again = [arm for arm in gain.arms if arm.seeds == gain.protocol["seeds"]]
    names = [f"'{arm.name}'" for arm in again if not _role(gain, arm)]
    return f", and {' and '.join(names)}," if names else ""


def _role(gain: Gain, arm: ArmResult) -> str:
    """What the arm is in this comparison, if anything."""
    roles = {
        gain.rival: "rival",
        gain.trained: "trained",
        gain.control: "control",
        gain.chosen["arm"]: "chosen",
        gain.baseline: "baseline",
    }
    return roles.get(arm.name, "")


def _given_up(gain: Gain, arm: ArmResult) -> str:
    """On how few seeds, where it was far behind on those."""
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
    """With a decimal where there are few.

    >>> spell_seconds(0.31), spell_seconds(1234.5)
    ('0.3', '1,234')
    """
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:,.0f}"


def show_card(metadata: Mapping[str, Any], console: Console) -> None:
    """A manifest as a table, nested entries under dotted names."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for key, value in _flat(metadata):
        shown = (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
        table.add_row(f"[bold]{escape(key)}[/]", escape(shown))
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
    """What a pool holds, on one line."""
    form = form_of(pool.samples.images)
    return (
        f"{pool.directory}: {len(pool)} images of {len(pool.classes)} classes, {form}, from "
        f"{pool.manifest['source']}"
    )


def finish(summary: str, metadata: Mapping[str, Any], json: Path | None, quiet: bool) -> None:
    """Say what was done, and write its card where JSON was asked for."""
    if json is not None:
        write_json(json, dict(metadata))
    if not quiet:
        results().print(summary, markup=False)
