"""What a person sees: progress, tables, errors."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from synthaug.files import write_json
from synthaug.gain import ArmResult, Gain
from synthaug.gain.result import NO_ARM

errors = Console(stderr=True)


class _Rate(ProgressColumn):
    """Steps or cells a minute."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{60 * speed:,.0f}/min", style="progress.data.speed")


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar with rate and time left, on a terminal only; call it with (what, done, of how many)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    shown = not quiet and errors.is_terminal
    with Progress(*columns, console=errors, disable=not shown, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def update(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield update


def show_gain(gain: Gain, console: Console) -> None:
    """The table of arms, the verdict in a sentence, and what to do next."""
    data, protocol = gain.data, gain.protocol
    console.print(
        f"[bold]{escape(str(data['name']))}[/]: {data['classes']} classes, {data['train']:,} "
        f"training and {data['test']:,} test images; {protocol['steps']:,} steps of "
        f"{protocol['batch_size']} on {protocol['device']}; choices made on "
        f"{protocol['validation']}"
    )
    console.print(_arms(gain))
    colour = {"helps": "green", "hurts": "red", "no evidence": "yellow"}[gain.verdict]
    console.print(f"[bold {colour}]{escape(gain.sentence())}[/]")
    control = gain.gain_over_control
    if control is not None:
        console.print(
            f"Over the best generator without training ({escape(str(gain.control))}): "
            f"{control.points:+.1f} points, {control.low:+.1f} to {control.high:+.1f}."
        )
    for caveat in protocol["caveats"]:
        console.print(f"Note: {escape(caveat)}.")
    if gain.recommendation == NO_ARM:
        console.print("Validation images do not favour synthetic images: use none. Best without:")
    else:
        console.print(
            f"Validation images favour [bold]{escape(gain.recommendation)}[/]. To use it:"
        )
    # As plain text, so that the lines can be copied.
    console.print()
    console.print(protocol["next_steps"], markup=False, highlight=False, soft_wrap=True)


def _arms(gain: Gain) -> Table:
    table = Table(caption=f"{gain.protocol['metric']} on the test images, in %; gain in points")
    table.add_column("arm", min_width=30)
    for name in ("uses", "accuracy", "gain", "95 % interval", "seconds"):
        table.add_column(name, justify="left" if name == "uses" else "right", no_wrap=True)
    for arm in gain.arms:
        style = "bold" if arm.name in (gain.baseline, gain.chosen["arm"]) else ""
        table.add_row(*_cells(gain, arm), style=style)
    return table


def _cells(gain: Gain, arm: ArmResult) -> list[str]:
    scores = gain.scores(arm.name)
    row = [escape(arm.name), arm.uses, f"{100 * sum(scores) / len(scores):.1f}"]
    if arm.gain is None:
        row += ["baseline", ""]
    else:
        row += [f"{arm.gain.points:+.1f}", f"{arm.gain.low:+.1f} to {arm.gain.high:+.1f}"]
    return [*row, f"{sum(arm.seconds) / len(arm.seconds):.0f}"]


def show_card(card: Mapping[str, Any], console: Console) -> None:
    """A manifest as a table, nested entries under dotted names."""
    table = Table(show_header=False, box=None)
    for key, value in _flat(card):
        table.add_row(f"[bold]{escape(key)}[/]", escape(str(value)))
    console.print(table)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


def finish(summary: str, card: Mapping[str, Any], json: Path | None, quiet: bool) -> None:
    """Say what was done, and write its card where JSON was asked for."""
    if json is not None:
        write_json(json, dict(card))
    if not quiet:
        Console().print(summary, markup=False, highlight=False, soft_wrap=True)
