"""`tune`: which way of mixing validation images favour."""

import re
import shlex
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from synthaug.classifiers import Backbone, TrainConfig
from synthaug.cli.families import NAMES, Family
from synthaug.cli.measuring import (
    BATCH,
    CACHE,
    Cache,
    ClassifierName,
    ClassifierSize,
    ClassifierWeights,
    Jobs,
    Keep,
    Policy,
    Steps,
    Test,
    backbone,
    check_policy,
    jobs_on,
)
from synthaug.cli.options import (
    Data,
    Device,
    ImageSize,
    Json,
    Mode,
    OnError,
    PerClass,
    Quiet,
    Seed,
    at_home,
    check_apart,
    check_device,
    check_directory,
    check_file,
    check_outside,
)
from synthaug.cli.output import errors, progress, results, spell_seconds
from synthaug.cli.splits import read_splits
from synthaug.core import InputError, expand_path
from synthaug.gain import (
    ALL,
    Execution,
    Interval,
    Protocol,
    as_python,
    spell_size,
    training_lines,
    with_reading_options,
)
from synthaug.mixing import MixConfig
from synthaug.search import Budget, load_optuna, search_mix

UNITS = {"s": 1, "m": 60, "h": 3600}
NEXT = """\
from synthaug import MixedDataset

# train_set: your Dataset, with images of {size}, as the search had
train_set = MixedDataset.from_config(train_set, {config!r}, "pool"{teacher})
"""
TRAINED = """\
# it was found with {config}{network}
# in {steps} steps of {batch_size} images
"""
KEPT_NOTHING = "nothing was kept for it: a run with --keep can be given more later"
SHARED_OPTIONS = (  # they mean the same to gain, and its reuse of runs depends on them
    "test",
    "per_class",
    "classifier",
    "classifier_weights",
    "classifier_size",
    "policy",
    "steps",
    "batch_size",
    "image_size",
    "mode",
    "on_error",
    "cache",
    "seed",
    "device",
)


def tune(
    context: typer.Context,
    data: Data,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            callback=at_home,
            help="The mix configuration to write.",
        ),
    ],
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long to search: 90s, 20m, 2h. What comes before, the training without "
            "synthetic images, and after, the check of the winner, is not counted. Default: 20m, "
            "with --trials no limit.",
        ),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many proposals to try at most.")
    ] = None,
    generator: Annotated[
        list[Family] | None,
        typer.Option(metavar="NAME", help="Try this one; repeatable. Default: all."),
    ] = None,
    test: Test = None,
    per_class: PerClass = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N", min=2, help="Repetitions of a proposal; as many others check the winner."
        ),
    ] = 3,
    classifier: ClassifierName = "resnet",
    classifier_weights: ClassifierWeights = None,
    classifier_size: ClassifierSize = None,
    policy: Policy = None,
    steps: Steps = None,
    batch_size: Annotated[int, typer.Option(metavar="N", min=2, help="Images a step.")] = BATCH,
    image_size: ImageSize = None,
    mode: Mode = None,
    on_error: OnError = "raise",
    jobs: Jobs = None,
    cache: Cache = CACHE,
    keep: Keep = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Search for the best way of mixing, on validation images.

    Generator, scope, sampling, ratio, labels, filter, and what it is put on
    top of. Test images are not looked at: synthaug gain DATA --mix-config FILE
    measures it. The answer may be to mix nothing in.
    """
    cache = expand_path(cache)
    check_apart({"--output": output, "--json": json, "--cache": cache})
    _check_target("--output", output)
    _check_target("--json", json)
    check_device(device)
    check_policy(policy)
    load_optuna()
    check_directory("--cache", cache)
    for each in (data, test):
        check_outside(each, {"--cache": cache})
    limit = Budget(None if budget is None and trials else _seconds(budget or "20m"), trials)
    network = backbone(classifier, classifier_weights, classifier_size)
    splits = read_splits(data, test, image_size, mode, on_error, quiet=quiet)
    with progress(quiet, growing=True) as update:
        mix = search_mix(
            splits.train,
            limit,
            validation=splits.validation,
            families=[str(each) for each in generator or NAMES],
            classifier=network,
            protocol=Protocol(
                seeds=seeds,
                seed=seed,
                per_class=per_class,
                policy=policy,
                steps=steps,
                batch_size=batch_size,
            ),
            execution=Execution(device, jobs or jobs_on(device), cache, keep, update),
            name=data,
        )
    reading = {"image_size": image_size, "mode": mode, "on_error": on_error}
    mix.search["best_without"] = with_reading_options(mix.search["best_without"], data, **reading)
    lines = _lines(mix, output, data, network, spell_size(splits.train))
    lines = with_reading_options(lines, data, **reading)
    show = partial(_show, mix, output, [data, *_shared_options(context)], lines, keep=keep)
    try:
        for path in (output, json):
            if path is not None:
                mix.save(path)
    except OSError:
        show()  # hours of work are not lost for a full disk
        raise
    if not quiet:
        show()


def _check_target(option: str, path: Path | None) -> None:
    """Raise `InputError` unless a mix configuration can be written there; only one is replaced."""
    check_file(option, path)
    if path is not None and path.exists():
        try:
            MixConfig.load(path)
        except InputError:
            raise InputError(
                f"{option} {path}: is there already, and is no mix configuration; name another "
                "file, or remove it"
            ) from None


def _seconds(text: str) -> float:
    """Return the seconds of a time such as 90s, 20m or 2h."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if match is None or not float(match[1]):
        raise InputError(f"--budget: expected a time such as 90s, 20m or 2h, got {text!r}")
    return float(match[1]) * UNITS[match[2]]


def _shared_options(context: typer.Context) -> list[str]:
    """Return the options that were changed and that gain should have, too."""
    options = [each for each in context.command.params if each.name in SHARED_OPTIONS]
    options_given = [each for each in options if context.params[each.name] != each.default]
    return [
        word for each in options_given for word in (each.opts[0], str(context.params[each.name]))
    ]


def _lines(mix: MixConfig, output: Path, data: str, network: Backbone, size: str) -> str:
    """Write the lines of Python that use the mix, or train the best without it."""
    if not mix.recommended:
        return str(mix.search["best_without"])
    training, teacher_config = mix.training, mix.training.get("teacher")
    length = {"steps": training["steps"], "batch_size": training["batch_size"]}
    teacher = "" if teacher_config is None else ", teacher=network"
    lines = NEXT.format(config=str(output), size=size, teacher=teacher)
    on_network = "" if network == Backbone() else f" on {as_python(network)}"
    config = as_python(TrainConfig(**training["recipe"]))
    lines += TRAINED.format(config=config, network=on_network, **length)
    if teacher_config is None:
        return lines
    first = training_lines(TrainConfig(**teacher_config), data=data, classifier=network, **length)
    return f"{first}\n{lines}"


def _show(mix: MixConfig, output: Path, options: list[str], lines: str, *, keep: bool) -> None:
    """Print the best proposals, the recommendation, and what to do next."""
    console, search = results(), mix.search
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("tried on all seeds, the best first")
    table.add_column("points", justify="right")
    for row in search["tried"]:
        table.add_row(escape(row["arm"]), f"{row['points']:+z.1f}")
    if search["tried"]:
        console.print(table)
        console.print()
    console.print(escape(sentence(mix)))
    for caveat in search["caveats"]:
        console.print(f"Note: {escape(caveat)}.")
    spent_time = ", ".join(f"{what} {spell_seconds(s)} s" for what, s in search["seconds"].items())
    ends = ", ".join(f"{count} {end}" for end, count in search["trials"].items() if count)
    before = search["taken_over"]
    if before["networks"]:
        networks, seconds = f"{before['networks']:,} networks", spell_seconds(before["seconds"])
        spent_time += f"; taken over from earlier runs: {networks}, {seconds} s of training"
    console.print(
        f"Spent: {spent_time}. Proposals: {ends or 'none'}. Written: {escape(str(output))}"
    )
    if search["waiting"]:
        waiting = (
            "1 proposal waits" if search["waiting"] == 1 else f"{search['waiting']} proposals wait"
        )
        remedy = "the same command with more goes on from here" if keep else KEPT_NOTHING
        console.print(f"{waiting} for more time or trials (--budget, --trials): {remedy}.")
    for error in search["errors"]:
        console.print(f"Could not be trained: {escape(error)}")
    console.print("[bold]To use it:[/]" if mix.recommended else "[bold]Best without:[/]")
    console.print()
    console.print(lines, markup=False, soft_wrap=True)
    if mix.generator is not None:
        words = shlex.join(["synthaug", "gain", *options, "--mix-config", str(output)])
        errors.print(f"Not measured on test images yet: {words}", markup=False, soft_wrap=True)


def sentence(mix: MixConfig) -> str:
    """Say what to use, and how sure that is, for somebody who knows no statistics."""
    search, check = mix.search, mix.search["check"]
    if check is None and search["errors"] and not search["waiting"]:
        return "Use none: none of what was tried could be trained."
    if check is None:
        return "Nothing was trained on all seeds within the budget: use none, or give it more time."
    interval = Interval(**check)
    span = f"{interval.points:+z.1f} points ({interval.confidence:.0%} interval {interval.span})"
    over = search.get("checked_over", search["baseline"])  # the same until 0.5.0
    same = over == search["baseline"]
    least = "" if same else ", the least clearly beaten of what it has to beat"
    beside = (
        f"on {len(interval.per_seed)} seeds that the search had not seen, {search['best']} has "
        f"{span} of validation {search['metric']} over {over}, without synthetic images{least}"
    )
    if mix.recommended:
        return f"Use {search['best']}: {beside}."
    if search["smallest_detectable"] >= ALL:
        return f"Use none: {beside}. So few seeds could have shown no gain at all (--seeds)."
    return (
        f"Use none: {beside}. A true gain below {search['smallest_detectable']:.1f} points "
        "could have gone unseen; more seeds (--seeds) see smaller ones."
    )
