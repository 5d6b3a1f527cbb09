"""`gain`: the main job."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from synthaug.classifiers import TrainConfig
from synthaug.cli.families import NAMES, build
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
    DATA_FORMS,
    Device,
    ImageSize,
    Json,
    Mode,
    OnError,
    PerClass,
    Quiet,
    Seed,
    Written,
    at_home,
    check_apart,
    check_device,
    check_directory,
    check_json,
    check_outside,
    check_page,
    check_result,
)
from synthaug.cli.output import PAGE, RESULT, errors, progress, results, show_gain
from synthaug.cli.splits import SplitImages, read_splits
from synthaug.core import InputError, expanded, expect_number
from synthaug.gain import (
    Gain,
    Search,
    Source,
    as_read,
    default_sources,
    given_by,
    measure_gain,
    sources_of,
)
from synthaug.gain.report import write_report
from synthaug.generators import RandomField, TransferVAE
from synthaug.mixing import MixConfig
from synthaug.pool import SamplePool

# Few enough steps and arms for a few minutes on two cores. TrainConfig and steps were settled on the
# training split of the digits: more steps add less than half a point.
DEMO_IMAGES, DEMO_STEPS, DEMO_BATCH, DEMO_FIT = 5, 200, 32, 400
DEMO_RECIPE = TrainConfig(policy="rotate-scale", weight_decay=5e-3)
DEMO_NOTE = (
    "Demonstration on scikit-learn's digits, {per_class} images per class, with fixed training "
    "settings."
)
DEMO_LEFT_OUT = (
    " Left out to save time: ConditionalVAE, StyleSwap, blends and chains, ratio 0.5, mixed "
    "labels; synthaug gain DATA tries them."
)
USUAL = [source.name for source in default_sources()]


def gain(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", help=f"Labelled images: {DATA_FORMS}. Without it: a demonstration."
        ),
    ] = None,
    test: Test = None,
    per_class: PerClass = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=2,
            help="Repetitions to measure on, each with other networks and, where they are drawn, "
            "other images; as many before them are for choices.",
        ),
    ] = 5,
    precision: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Add seeds, up to 60, until the interval is at most ± this many points.",
        ),
    ] = None,
    generator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What to measure, repeatable: a generator with its usual settings, "
            f"{', '.join(NAMES)} (transfer is transfer-any and transfer-within); or one of the "
            f"default: {', '.join(USUAL)}.",
        ),
    ] = None,
    pool: Annotated[
        Path | None,
        typer.Option(
            metavar="POOL",
            callback=at_home,
            help="Measure these images too; alone unless --generator is given. Not together with "
            "--per-class.",
        ),
    ] = None,
    mix_config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=at_home,
            help="Measure the way of mixing that tune wrote, and the controls beside it.",
        ),
    ] = None,
    arms: Annotated[
        Search | None,
        typer.Option(
            help="Which ways of mixing to try: each generator once (quick), then the best at other "
            "ratios and labels (staged, the default), or all combinations (full)."
        ),
    ] = None,
    classifier: ClassifierName = "resnet",
    classifier_weights: ClassifierWeights = None,
    classifier_size: ClassifierSize = None,
    policy: Policy = None,
    steps: Steps = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", min=2, help=f"Images a step. Default: {BATCH}.")
    ] = None,
    image_size: ImageSize = None,
    mode: Mode = None,
    on_error: OnError = "raise",
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", callback=at_home, help="Write report.html and result.json there."
        ),
    ] = None,
    jobs: Jobs = None,
    cache: Cache = CACHE,
    keep: Keep = False,
    seed: Seed = 0,
    device: Device = "auto",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Measure whether synthetic images help a classifier, and by how much.

    The gain is in percentage points of accuracy on held-out images, over the
    best training without synthetic images. Without DATA it runs for a few
    minutes on scikit-learn's digits.
    """
    demo = data is None
    source = "digits" if data is None else data
    study = expanded(cache)
    training = _training(policy, demo)
    mix = _mix(mix_config, generator, pool, arms)
    check_device(device)
    page = None if report is None else report / PAGE
    check_apart(
        {"--report": report, "--cache": study, "the page of --report": page, "--json": json}
    )
    files = {"--json": json, "--report": None if report is None else report / RESULT}
    for option, path in files.items():
        check_json(option, path, Written.RESULT)
    check_directory("--report", report)
    if report is not None:
        check_page("--report", report / PAGE)
    check_directory("--cache", study)
    for read in (data, test):
        check_outside(read, {"--report": report, "--cache": study})
    if precision is not None:
        expect_number("--precision", precision)
    sources = _sources(generator, pool)
    if pool is not None and demo:
        raise InputError("--pool: expected DATA, too: the images that the pool was made from")
    if mix_config is not None and demo:
        raise InputError("--mix-config: expected DATA, too: the images that it is to help with")
    if pool is not None and per_class is not None:
        raise InputError(
            "--per-class: what made the pool may know more images than a subset that is drawn anew "
            "for each seed; give the images that it was made from as DATA, without --per-class"
        )
    if pool is not None:  # before images are read, which may take long
        SamplePool(pool)
    network = backbone(classifier, classifier_weights, classifier_size)
    splits = read_splits(source, test, image_size, mode, on_error, quiet=quiet)
    _check_origin(pool, splits)
    for option, path in files.items():
        check_result(option, path, splits.train, splits.test)
    if demo and not quiet:
        usual = generator is None and arms is None
        errors.print(DEMO_NOTE.format(per_class=per_class or DEMO_IMAGES) + DEMO_LEFT_OUT * usual)
    with progress(quiet, growing=True) as update:
        result = measure_gain(
            splits.train,
            splits.test,
            validation=splits.validation,
            arms=arms or ("quick" if demo else "staged"),
            sources=_demo_sources() if demo and sources is None else sources,
            pool=pool,
            seeds=seeds,
            seed=seed,
            precision=precision,
            per_class=DEMO_IMAGES if demo and per_class is None else per_class,
            classifier=network,
            config=training,
            policy=policy,
            steps=DEMO_STEPS if demo and steps is None else steps,
            batch_size=batch_size or (DEMO_BATCH if demo else BATCH),
            device=device,
            jobs=jobs or jobs_on(device),
            cache=study,
            keep=keep,
            progress=update,
            name=source,
            mix=mix,
        )
    if splits.set_apart:
        result.protocol["caveats"].append(splits.set_apart)
    result.protocol["next_steps"] = as_read(
        result.protocol["next_steps"], source, image_size=image_size, mode=mode, on_error=on_error
    )
    result.protocol["command"] = shlex.join(["synthaug", *(context.obj or sys.argv[1:])])
    try:
        _write(result, json, report)
    except OSError:
        show_gain(result, results())  # what took hours is not to be lost for a full disk
        raise
    if not quiet:
        show_gain(result, results())
        if report is not None:
            errors.print(f"Report: {report / PAGE}", markup=False, soft_wrap=True)


def _mix(
    mix_config: Path | None, generator: list[str] | None, pool: Path | None, arms: Search | None
) -> MixConfig | None:
    """What `--mix-config` names, which leaves nothing for the options that search."""
    if mix_config is None:
        return None
    for name, value in (("--generator", generator), ("--pool", pool), ("--arms", arms)):
        if value is not None:
            raise InputError(f"{name}: --mix-config says what is measured; leave one of them out")
    mix = MixConfig.load(mix_config)
    given_by(mix, f"--mix-config {mix_config}")  # for what it refuses, before images are read
    return mix


def _check_origin(pool: Path | None, splits: SplitImages) -> None:
    """Raise `InputError` for a pool that was made from the test images, too, or may have been: a
    part of DATA that a command drew (`--validate`, `--per-class`) is not the part that is left."""
    if pool is None or not splits.whole:
        return
    origins = SamplePool(pool).origins
    if origins <= {splits.train.fingerprint}:
        return
    made = (
        "made from all of DATA" if splits.whole in origins else "not made from these images alone"
    )
    raise InputError(
        f"--pool {pool}: {made}, and {splits.set_apart}; put test images in DATA/test and the "
        "others in DATA/train, or give --test, and make the pool again"
    )


def _training(policy: str | None, demo: bool) -> TrainConfig | None:
    """The fixed recipe of the demonstration; None where it is tuned."""
    check_policy(policy)
    if not demo:
        return None
    return DEMO_RECIPE if policy is None else replace(DEMO_RECIPE, policy=policy)


def _write(result: Gain, json: Path | None, report: Path | None) -> None:
    if json is not None:
        result.save(json)
    if report is not None:
        result.save(report / RESULT)
        write_report(result, report / PAGE)


def _sources(names: list[str] | None, pool: Path | None) -> list[Source] | None:
    """What to measure; None for the default of `measure_gain`."""
    if names is None:
        return None if pool is None else []
    sources = [source for name in names for source in _named(name)]
    measured = [source.name for source in sources]
    for name in measured:
        if measured.count(name) > 1:
            raise InputError(f"--generator: expected each once, got {name} twice")
    return sources


def _named(name: str) -> list[Source]:
    """What is measured under a name: one of the default, which finds what that left in the cache,
    or a generator with its usual settings."""
    usual = {source.name: source for source in default_sources()}
    if name in usual:
        return [usual[name]]
    if name not in NAMES:
        known = dict.fromkeys([*NAMES, *usual])
        raise InputError(f"--generator: expected one of {', '.join(known)}, got {name!r}")
    # Several of the default are named after one generator, as transfer-any and transfer-within.
    variants = [source for each, source in usual.items() if each.startswith(f"{name}-")]
    return variants or [Source(name, build(name, None))]


def _demo_sources() -> list[Source]:
    return [
        *sources_of(TransferVAE(steps=DEMO_FIT)),
        Source("random-field", RandomField()),
    ]
