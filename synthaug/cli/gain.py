"""`gain`: the main job."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import joblib
import typer
from rich.console import Console

from synthaug.classifiers import POLICIES, Recipe
from synthaug.cli.generators import TRAINED, Family, build
from synthaug.cli.options import (
    DATA_FORMS,
    Device,
    ImageSize,
    Json,
    Mode,
    OnError,
    Quiet,
    Seed,
    read,
)
from synthaug.cli.output import errors, progress, show_gain
from synthaug.gain import Gain, Source, measure_gain
from synthaug.gain.arms import transfer_sources
from synthaug.gain.choice import Search
from synthaug.gain.report import write_report
from synthaug.generators import TransferVAE
from synthaug.images import LabelledImages
from synthaug.reading import split_off, splits_of

TEST_SHARE = 0.3  # set apart where the data have no test split
CACHE = Path("~/.cache/synthaug/gain")
DEFAULT_GENERATORS = [Family.TRANSFER, Family.STYLE_SWAP, Family.RANDOM_FIELD]
# Few enough steps and arms for about a minute on two cores. Steps, recipe and the number of
# generator steps were settled on the training split of the digits.
DEMO_IMAGES, DEMO_STEPS, DEMO_BATCH, DEMO_FIT = 5, 200, 32, 600
DEMO_RECIPE = Recipe(policy="rotate-scale", weight_decay=5e-3)
DEMO_NOTE = (
    "Demonstration on scikit-learn's digits, 5 images a class, with fixed training settings. "
    "Left out to save time: RandAugment, StyleSwap, ratio 0.5, mixed labels; synthaug gain DATA "
    "tries them."
)


def gain(
    data: Annotated[
        str | None,
        typer.Argument(help=f"Labelled images: {DATA_FORMS}. Without it: a demonstration."),
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Test images from another place than DATA.")
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(min=1, help="Train on so many images a class, drawn anew a seed.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Paired repetitions.")] = 5,
    precision: Annotated[
        float | None,
        typer.Option(help="Add seeds until the interval is at most ± so many points (up to 60)."),
    ] = None,
    generator: Annotated[
        list[Family] | None,
        typer.Option(help="Generator to measure; repeatable. Default: transfer and the controls."),
    ] = None,
    pool: Annotated[
        Path | None,
        typer.Option(help="Measure these images too; alone unless --generator is given."),
    ] = None,
    arms: Annotated[
        Search, typer.Option(help="How widely to search for the best way of mixing.")
    ] = "staged",
    classifier: Annotated[
        str, typer.Option(help='"resnet" (small, from scratch) or "timm:NAME".')
    ] = "resnet",
    policy: Annotated[
        str | None,
        typer.Option(help=f"Fix the geometry, not tune it: {', '.join(POLICIES)}."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Fix the optimiser steps of each arm, not tune them.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=2, help="Images a step.")] = 64,
    image_size: ImageSize = None,
    mode: Mode = None,
    on_error: OnError = "raise",
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write report.html and result.json there.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes side by side. Default: one a CPU core.")
    ] = None,
    cache: Annotated[
        Path,
        typer.Option(help="Where finished cells wait, so that an interrupted run continues."),
    ] = CACHE,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Measure whether synthetic images raise a classifier's accuracy on held-out images, and by
    how much, over the best training without them."""
    if data is None and not quiet:
        errors.print(DEMO_NOTE, highlight=False)
    sources = _sources(generator, pool)
    demo = data is None
    splits = _read_splits(data or "digits", test, image_size, mode, on_error)
    study = cache.expanduser()
    with progress(quiet) as update:
        result = measure_gain(
            splits.train,
            splits.test,
            validation=splits.validation,
            arms="quick" if demo else arms,
            sources=_demo_sources() if demo and sources is None else sources,
            pool=pool,
            seeds=seeds,
            seed=seed,
            precision=precision,
            per_class=DEMO_IMAGES if demo and per_class is None else per_class,
            classifier=classifier,
            recipe=DEMO_RECIPE if demo else None,
            policy=policy,
            steps=DEMO_STEPS if demo and steps is None else steps,
            batch_size=DEMO_BATCH if demo else batch_size,
            device=device,
            jobs=jobs or _jobs(device),
            cache=study,
            report=update,
            name=data or "digits",
        )
    result.protocol["command"] = shlex.join(["synthaug", *sys.argv[1:]])
    _write(result, json, report)
    if not quiet:
        show_gain(result, Console())
        if report is not None:
            errors.print(f"Report: {report / 'report.html'}", highlight=False)


def _write(result: Gain, json: Path | None, report: Path | None) -> None:
    if json is not None:
        result.save(json)
    if report is not None:
        result.save(report / "result.json")
        write_report(result, result.pictures, report / "report.html")


def _jobs(device: str) -> int:
    import torch

    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    return 1 if on_gpu else int(joblib.cpu_count())


def _sources(generators: list[Family] | None, pool: Path | None) -> list[Source] | None:
    """What to measure; None for the default of `measure_gain`."""
    if generators is None:
        return None if pool is None else []
    sources: list[Source] = []
    for family in generators:
        made = build(family, None)
        if family is Family.TRANSFER:
            sources += transfer_sources(made)
        else:
            sources.append(Source(str(family), made, trained=family in TRAINED))
    return sources


def _demo_sources() -> list[Source]:
    return [
        *transfer_sources(TransferVAE(steps=DEMO_FIT)),
        Source("random-field", build(Family.RANDOM_FIELD, None), trained=False),
    ]


@dataclass(frozen=True)
class _Splits:
    train: LabelledImages
    validation: LabelledImages | None
    test: LabelledImages


def _read_splits(
    data: str, test: str | None, image_size: int | None, mode: str | None, on_error: str
) -> _Splits:
    """Training, validation and test images; a test split is set apart where there is none."""
    train = read(data, image_size, mode, on_error)
    known = splits_of(data)
    validation = read(data, image_size, mode, on_error, "val") if "val" in known else None
    if test is not None:
        split = "test" if "test" in splits_of(test) else "train"
        return _Splits(train, validation, read(test, image_size, mode, on_error, split))
    if "test" in known:
        return _Splits(train, validation, read(data, image_size, mode, on_error, "test"))
    kept, held = split_off(train, TEST_SHARE, seed=0)
    return _Splits(train.subset(kept), validation, train.subset(held))
