"""`fit`, `sample` and `inspect`."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from synthaug.cli.families import NAMES, Family, Scope, build, refuse_for_non_learned
from synthaug.cli.options import (
    FLAG,
    AnySeed,
    Data,
    Device,
    ImageSize,
    Json,
    JsonKind,
    Mode,
    OnError,
    PerClass,
    PoolOutput,
    Quiet,
    at_home,
    check_apart,
    check_device,
    check_directory,
    check_json,
    check_output,
    check_outside,
    check_trace,
    read_data,
)
from synthaug.cli.output import (
    finish,
    pool_summary,
    progress,
    results,
    show_metadata,
    spell_seconds,
)
from synthaug.cli.profiling import LAST_STEP, trace
from synthaug.cli.splits import check_rest
from synthaug.core import MANIFEST, InputError, read_json, restore, team, until_saved, write_json
from synthaug.data import check_groups, draw_subset, split_off, splits_of, with_copies_grouped
from synthaug.generators import FEWEST_IMAGES, Generator, load_generator, singles, summary_writer
from synthaug.generators import GENERATOR_KIND as GENERATOR
from synthaug.mixing import MixConfig
from synthaug.pool import POOL_KIND as POOL
from synthaug.pool import SamplePool

VALIDATION_SHARE = 1 / 5  # held out where DATA has no validation images


def _of_recipe(mix_config: Path, others: Mapping[str, object]) -> Generator:
    for name, value in others.items():
        if value is not None:
            raise InputError(f"--{name}: --mix-config says what is fitted; leave one of them out")
    generator = MixConfig.load(mix_config).generator
    if generator is None:
        raise InputError(f"{mix_config}: its search found no way of mixing; there is none to fit")
    return generator


def fit(
    data: Data,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="GENERATOR",
            callback=at_home,
            help="Directory to write; a generator that is there is replaced.",
        ),
    ],
    generator: Annotated[
        Family | None,
        typer.Option(
            metavar="NAME",
            help=f"Kind of generator: {', '.join(NAMES)}. Default: vae.",
        ),
    ] = None,
    scope: Annotated[
        Scope | None,
        typer.Option(
            help="One network for all classes (shared, the default), or one for each, all trained "
            "at once."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Optimiser steps. Default: the generator's own."),
    ] = None,
    mix_config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=at_home,
            help="The generator of a recipe that tune wrote.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="GENERATOR",
            callback=at_home,
            help="Go on from a generator that fit wrote, classes by name.",
        ),
    ] = None,
    validate: Annotated[
        bool,
        typer.Option(
            metavar=FLAG,
            help="Keep the moment of training whose samples teach a quick probe most about the "
            "validation images of DATA (or a fifth of its training images, held out), and stop "
            "when that is past.",
        ),
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            callback=at_home,
            help="Write losses, diversity and grids of samples for TensorBoard.",
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=at_home,
            help="Write a trace of ten steps, for chrome://tracing or Perfetto.",
        ),
    ] = None,
    per_class: PerClass = None,
    image_size: ImageSize = None,
    mode: Mode = None,
    on_error: OnError = "raise",
    seed: AnySeed = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Fit a generator to the training images of DATA.

    Killed and started again with the same options, training goes on from
    GENERATOR.checkpoint. Started by torchrun or accelerate launch
    (-m synthaug fit ...), all processes train it together.
    """
    if mix_config is None:
        model = build(generator or "vae", steps, scope)
    else:
        model = _of_recipe(mix_config, {"generator": generator, "scope": scope, "steps": steps})
    if not model.learns:
        aids = {"start": start, "validate": validate, "log": log, "profile": profile}
        refuse_for_non_learned(generator or model.name, aids)
    elif profile is not None and _steps(model) < LAST_STEP:
        raise InputError(f"--profile: expected a run of at least {LAST_STEP} steps")
    check_device(device)
    checkpoint = output.parent / f"{output.name}.checkpoint"
    _check_targets(output, checkpoint, json=json, profile=profile, log=log)
    check_outside(data, {"--output": output, "--log": log})
    if start is not None:  # before images are read, which may take long
        load_generator(start, device="cpu")
    images = read_data(data, image_size, mode, on_error, quiet=quiet)
    validation = None
    if validate and "val" in splits_of(data):
        validation = read_data(data, image_size, mode, on_error, "val", quiet=quiet)
        # All of them: `fit` sees those alone that --per-class draws.
        check_groups({"train": images, "validation": validation})
    elif validate:
        train_rows, held_rows = split_off(with_copies_grouped(images), VALIDATION_SHARE, seed=seed)
        rest = images.subset(train_rows)
        fewest, advice = per_class or FEWEST_IMAGES, "give DATA validation images"
        if per_class is not None:
            advice = f"lower --per-class, or {advice}"
        check_rest(data, images, rest, fewest, "held out by --validate", advice)
        images, validation = rest, images.subset(held_rows)
    if per_class is not None:
        images = images.subset(draw_subset(images, per_class, seed=seed))
    with (
        team() as ours,
        until_saved(),
        progress(quiet or not ours.leads) as update,
        trace(profile if ours.leads else None) as step,
    ):

        def show(steps_done: int, total: int) -> None:
            update(f"fitting {model.name}", steps_done, total)
            step()

        model.fit(
            images,
            seed=seed,
            device=device,
            checkpoint=checkpoint,
            progress=show,
            start=start,
            validation=validation,
            log=log,
        )
        if ours.leads:
            model.save(output)
        ours.tell(None)  # the others' checkpoints are needed until it is on disk
    if not ours.leads:
        return
    seconds = spell_seconds(model.metadata["seconds"])
    summary = f"{output}: {model.name} fitted to {len(images)} images in {seconds} s"
    if model.keeps_images:
        summary += "; it starts from real images and holds them, so treat it like the data"
    finish(summary, model.metadata, json, quiet)


def _steps(generator: Generator) -> int:
    """Count the optimiser steps in all, those of each part one after another."""
    return sum(each.settings.get("steps", LAST_STEP) for each in singles(generator) if each.learns)


def _check_targets(
    output: Path, checkpoint: Path, *, json: Path | None, profile: Path | None, log: Path | None
) -> None:
    """Raise `InputError` for what cannot be written, before images are read."""
    check_output(output, GENERATOR)
    check_apart(
        {
            "--output": output,
            "the checkpoint of --output": checkpoint,
            "--json": json,
            "--profile": profile,
            "--log": log,
        }
    )
    check_json("--json", json, JsonKind.GENERATOR)
    check_trace("--profile", profile)
    check_directory("--log", log)
    if log is not None:
        summary_writer()


def sample(
    generator: Annotated[
        Path, typer.Argument(metavar="GENERATOR", help="Directory that fit wrote.")
    ],
    output: PoolOutput,
    per_class: Annotated[
        int, typer.Option(metavar="N", min=1, help="Images of every class.")
    ] = 200,
    seed: AnySeed = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Sample a pool of synthetic images from a fitted generator."""
    check_device(device)
    check_apart({"--output": output, "--json": json})
    check_output(output, POOL)
    check_json("--json", json, JsonKind.POOL)
    model = load_generator(generator, device=device)
    with progress(quiet) as update:
        report_progress = partial(update, "sampling")
        pool = SamplePool.create(output, model, per_class, seed=seed, progress=report_progress)
    finish(pool_summary(pool), pool.manifest, json, quiet)


def inspect(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="A generator or a pool.")],
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Show the card of a generator or pool: what made it, from what, with which settings.

    Reads every file and reports damage.
    """
    check_apart({"--json": json})
    metadata = _metadata(directory)
    check_json("--json", json, JsonKind.POOL if metadata["kind"] == POOL else JsonKind.GENERATOR)
    if metadata["kind"] == POOL:
        SamplePool(directory).check()
    else:
        load_generator(directory, device="cpu")
    if not quiet:
        show_metadata(metadata, results())
    if json is not None:
        write_json(json, metadata)


def _metadata(directory: Path) -> dict[str, Any]:
    if not directory.exists():
        restore(directory.resolve())  # where a replacement was cut short
    path = directory / MANIFEST
    metadata = read_json(path) if path.exists() else {}
    if metadata.get("kind") not in (GENERATOR, POOL):
        raise InputError(
            f"{directory}: expected a directory that fit, sample or import wrote, found no "
            f"{MANIFEST} of a {GENERATOR} or a {POOL}"
        )
    return metadata
