"""`gain`: the main job."""

import shlex
import sys
from collections.abc import Mapping, Sequence
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
    CLASSIFIER,
    COMPARED,
    DATA_FORMS,
    Device,
    ImageSize,
    Json,
    JsonKind,
    Mode,
    OnError,
    PerClass,
    Quiet,
    Seed,
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
from synthaug.core import InputError, expand_path, expect_number
from synthaug.gain import (
    Execution,
    Gain,
    Protocol,
    Search,
    Source,
    default_sources,
    fixed_mix_of,
    measure_gain,
    sources_of,
    with_reading_options,
)
from synthaug.gain.report import write_report
from synthaug.generators import RandomField, TransferVAE
from synthaug.mixing import MixConfig
from synthaug.pool import SamplePool

# Few enough steps and arms for a few minutes on two cores. They were settled on the training split
# of the digits: more steps add less than half a point.
DEMO_IMAGES, DEMO_STEPS, DEMO_BATCH, DEMO_FIT = 5, 200, 32, 400
DEMO_CONFIG = TrainConfig(policy="rotate-scale", weight_decay=5e-3)
DEMO_NOTE = (
    "Demonstration on scikit-learn's digits, {per_class} images per class, with fixed training "
    "settings."
)
DEMO_LEFT_OUT = (
    " Left out to save time: ConditionalVAE, StyleSwap, blends and chains, ratio 0.5, mixed "
    "labels; synthaug gain DATA tries them."
)
DEFAULT_NAMES = [source.name for source in default_sources()]


def gain(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", help=f"Labelled images: {DATA_FORMS}. Without it: a demonstration."
        ),
    ] = None,
    image_size: ImageSize = None,
    test: Test = None,
    generator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What to measure, repeatable: a generator with its usual settings, "
            f"{', '.join(NAMES)} (transfer is transfer-any and transfer-within); or one of the "
            f"default: {', '.join(DEFAULT_NAMES)}.",
        ),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=2,
            help="Repetitions to measure on, each with other networks and, where they are drawn, "
            "other images; as many before them are for choices.",
        ),
    ] = 5,
    jobs: Jobs = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", callback=at_home, help="Write report.html and result.json there."
        ),
    ] = None,
    pool: Annotated[
        Path | None,
        typer.Option(
            metavar="POOL",
            callback=at_home,
            help="Measure these images too; alone unless --generator is given. Not together with "
            "--per-class.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    mix_config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=at_home,
            help="Measure the mix configuration that tune wrote, and the non-learned controls "
            "beside it.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    arms: Annotated[
        Search | None,
        typer.Option(
            help="Which ways of mixing to try: each generator once (quick), then the best at other "
            "ratios and labels (staged, the default), or all combinations (full).",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    per_class: PerClass = None,
    precision: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="Add seeds, up to 60, until the interval is at most ± this many points.",
            rich_help_panel=COMPARED,
        ),
    ] = None,
    classifier: ClassifierName = "resnet",
    classifier_weights: ClassifierWeights = None,
    classifier_size: ClassifierSize = None,
    policy: Policy = None,
    steps: Steps = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help=f"Images a step. Default: {BATCH}.",
            rich_help_panel=CLASSIFIER,
        ),
    ] = None,
    mode: Mode = None,
    on_error: OnError = "raise",
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
    is_demo = data is None
    source = "digits" if data is None else data
    cache = expand_path(cache)
    check_policy(policy)
    mix = _mix(mix_config, generator, pool, arms)
    check_device(device)
    results_json = {"--json": json, "--report": None if report is None else report / RESULT}
    _check_targets(json, report, cache, results_json, (data, test))
    if precision is not None:
        expect_number("--precision", precision)
    sources = _sources(generator, pool)
    _check_combinations(pool, mix_config, per_class, is_demo=is_demo)
    network = backbone(classifier, classifier_weights, classifier_size)
    splits = read_splits(source, test, image_size, mode, on_error, quiet=quiet)
    _check_origin(pool, splits)
    for option, path in results_json.items():
        check_result(option, path, splits.train, splits.test)
    protocol = Protocol(
        search=arms or "staged",
        seeds=seeds,
        seed=seed,
        precision=precision,
        per_class=per_class,
        policy=policy,
        steps=steps,
        batch_size=batch_size or BATCH,
    )
    if is_demo:
        protocol = _demo_protocol(protocol, arms, batch_size)
        if not quiet:
            is_usual = generator is None and arms is None
            note = DEMO_NOTE.format(per_class=protocol.per_class)
            errors.print(note + DEMO_LEFT_OUT * is_usual)
    with progress(quiet, growing=True) as update:
        result = measure_gain(
            splits.train,
            splits.test,
            validation=splits.validation,
            sources=_demo_sources() if is_demo and sources is None else sources,
            pool=pool,
            mix=mix,
            classifier=network,
            protocol=protocol,
            execution=Execution(device, jobs or jobs_on(device), cache, keep, update),
            name=source,
        )
    if splits.note:
        result.protocol["caveats"].append(splits.note)
    result.protocol["next_steps"] = with_reading_options(
        result.protocol["next_steps"], source, image_size=image_size, mode=mode, on_error=on_error
    )
    result.protocol["command"] = shlex.join(["synthaug", *(context.obj or sys.argv[1:])])
    try:
        _write(result, json, report)
    except OSError:
        show_gain(result, results())  # hours of work are not lost for a full disk
        raise
    if not quiet:
        show_gain(result, results())
        if report is not None:
            errors.print(f"Report: {report / PAGE}", markup=False, soft_wrap=True)


def _check_targets(
    json: Path | None,
    report: Path | None,
    cache: Path,
    results_json: Mapping[str, Path | None],
    sources: Sequence[str | None],
) -> None:
    """Check that everything can be written, and that nothing of the user's is replaced."""
    page = None if report is None else report / PAGE
    check_apart(
        {"--report": report, "--cache": cache, "the page of --report": page, "--json": json}
    )
    for option, path in results_json.items():
        check_json(option, path, JsonKind.RESULT)
    check_directory("--report", report)
    if page is not None:
        check_page("--report", page)
    check_directory("--cache", cache)
    for source in sources:
        check_outside(source, {"--report": report, "--cache": cache})


def _check_combinations(
    pool: Path | None, mix_config: Path | None, per_class: int | None, *, is_demo: bool
) -> None:
    """Refuse options that do not go together, before images are read, which may take long."""
    if pool is not None and is_demo:
        raise InputError("--pool: expected DATA, too: the images that the pool was made from")
    if mix_config is not None and is_demo:
        raise InputError("--mix-config: expected DATA, too: the images that it is to help with")
    if pool is not None and per_class is not None:
        raise InputError(
            "--per-class: what made the pool may know more images than a subset that is drawn anew "
            "for each seed; give the images that it was made from as DATA, without --per-class"
        )
    if pool is not None:
        SamplePool(pool)


def _mix(
    mix_config: Path | None, generator: list[str] | None, pool: Path | None, arms: Search | None
) -> MixConfig | None:
    """Read the configuration of `--mix-config`, beside which no option may search."""
    if mix_config is None:
        return None
    for name, value in (("--generator", generator), ("--pool", pool), ("--arms", arms)):
        if value is not None:
            raise InputError(f"{name}: --mix-config says what is measured; leave one of them out")
    mix = MixConfig.load(mix_config)
    fixed_mix_of(mix, f"--mix-config {mix_config}")  # refuses, before images are read
    return mix


def _check_origin(pool: Path | None, splits: SplitImages) -> None:
    """Raise `InputError` for a pool that was made from the test images, too, or may have been.

    Images that another command drew from DATA (`--validate`, `--per-class`) are not those that are
    left to train on here.
    """
    if pool is None or not splits.whole:
        return
    origins = SamplePool(pool).origins
    if origins <= {splits.train.fingerprint}:
        return
    origin = (
        "made from all of DATA" if splits.whole in origins else "not made from these images alone"
    )
    raise InputError(
        f"--pool {pool}: {origin}, and {splits.note}; put test images in DATA/test and the "
        "others in DATA/train, or give --test, and make the pool again"
    )


def _demo_protocol(protocol: Protocol, arms: Search | None, batch_size: int | None) -> Protocol:
    """Return the protocol of the demonstration: fixed settings, fewer arms and steps."""
    policy = protocol.policy or DEMO_CONFIG.policy
    return replace(
        protocol,
        search=arms or "quick",
        per_class=DEMO_IMAGES if protocol.per_class is None else protocol.per_class,
        config=replace(DEMO_CONFIG, policy=policy),
        steps=DEMO_STEPS if protocol.steps is None else protocol.steps,
        batch_size=batch_size or DEMO_BATCH,
    )


def _write(result: Gain, json: Path | None, report: Path | None) -> None:
    """Write the result and its page where they were asked for."""
    if json is not None:
        result.save(json)
    if report is not None:
        result.save(report / RESULT)
        write_report(result, report / PAGE)


def _sources(names: list[str] | None, pool: Path | None) -> list[Source] | None:
    """Return the sources of `--generator`; None for the default of `measure_gain`."""
    if names is None:
        return None if pool is None else []
    sources = [source for name in names for source in _named_sources(name)]
    source_names = [source.name for source in sources]
    for name in source_names:
        if source_names.count(name) > 1:
            raise InputError(f"--generator: expected each once, got {name} twice")
    return sources


def _named_sources(name: str) -> list[Source]:
    """Return a default source, or a generator with its usual settings."""
    defaults = {source.name: source for source in default_sources()}
    if name in defaults:
        return [defaults[name]]
    if name not in NAMES:
        names = dict.fromkeys([*NAMES, *defaults])
        raise InputError(f"--generator: expected one of {', '.join(names)}, got {name!r}")
    # Several of the default are named after one generator, as transfer-any and transfer-within.
    variants = [source for each, source in defaults.items() if each.startswith(f"{name}-")]
    return variants or [Source(name, build(name, None))]


def _demo_sources() -> list[Source]:
    """Return the sources of the demonstration."""
    return [
        *sources_of(TransferVAE(steps=DEMO_FIT)),
        Source("random-field", RandomField()),
    ]
