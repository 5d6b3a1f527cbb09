"""Measure the gain: check everything, tune, choose on validation, open the test split once."""

from collections.abc import Sequence
from pathlib import Path

from synthaug.classifiers import Backbone
from synthaug.core import plain_values
from synthaug.data import LabelledImages
from synthaug.gain.arms import Source
from synthaug.gain.baselines import tune
from synthaug.gain.inputs import Inputs, read_inputs
from synthaug.gain.metadata import SettledPlan
from synthaug.gain.protocol import Execution, Protocol
from synthaug.gain.result import Gain
from synthaug.gain.runs.comparison import Comparison, open_comparison
from synthaug.gain.runs.pools import warn_of_room
from synthaug.gain.selection import choose, choose_fixed, setting_notes
from synthaug.gain.testing import open_test
from synthaug.generators import Generator
from synthaug.mixing import MixConfig
from synthaug.pool import SamplePool


def measure_gain(
    train: LabelledImages,
    test: LabelledImages,
    *,
    validation: LabelledImages | None = None,
    sources: Sequence[Source | Generator] | None = None,
    pool: SamplePool | str | Path | None = None,
    mix: MixConfig | None = None,
    classifier: str | Backbone = "resnet",
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    name: str = "data",
) -> Gain:
    """Measure what synthetic images do to a classifier's accuracy on held-out images.

    The arms without synthetic images are tuned first, on validation images. Then arms with
    synthetic images are compared on top of them, at equal optimiser steps. The test images are
    opened once, after every choice.

    Args:
        train: Real images to train on, uint8 or uint16 (N, C, H, W).
        test: Real images of the same classes to measure on.
        validation: Images to make choices on. By default some are set apart from `train`; they are
            never trained on.
        sources: Generators to measure, each under a name of its own. By default `TransferVAE` (two
            ways of sampling), `ConditionalVAE` (two), a `Blend` of both with `StyleSwap`, a `Chain`
            of `PatchSwap` and `ConditionalVAE`, and as non-learned controls `StyleSwap`,
            `RandomField` and a `Chain` of `PatchSwap` and `StyleSwap`. An empty list with `pool`
            measures the pool alone.
        pool: Images made elsewhere, or the directory that they are in. The same for all seeds.
        mix: Measure this mix configuration, as `search_mix` or `synthaug tune` found it, and no
            other. The non-learned controls of `sources` stay.
        classifier: "resnet", "timm:NAME", or a `Backbone` with weights to start from. These are
            fine-tuned, or only the last layer is, as validation images favour.
        protocol: What is compared and how often; default `Protocol()`.
        execution: Where it runs; default `Execution()`.
        name: Name of the data in the result, and what its lines of Python read.

    Returns:
        The gain with its interval and verdict, all arms, and how they were compared.

    Raises:
        InputError: If inputs do not fit each other, or the pool holds copies of test images.
        TrainingError: If all trainings of a kind diverge, or one of those that are measured does.

    References:
        Stein, A Two-Sample Test for a Linear Hypothesis Whose Power is Independent of the Variance
        (1945). Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).

    Examples:
        >>> from synthaug import StyleSwap, TrainConfig, measure_gain, read_images
        >>> from synthaug.gain import Execution, Protocol
        >>> gain = measure_gain(
        ...     read_images("digits"), read_images("digits", split="test"), sources=[StyleSwap()],
        ...     protocol=Protocol("quick", seeds=2, per_class=5, steps=2, config=TrainConfig()),
        ...     execution=Execution("cpu"))
        >>> gain.verdict in ("helps", "no evidence", "hurts")
        True
    """
    inputs = read_inputs(
        train, test, validation, sources, pool, mix, classifier, protocol or Protocol(), name
    )
    return _measure(inputs, execution or Execution())


def _measure(inputs: Inputs, execution: Execution) -> Gain:
    """Settle the plan, run it, judge it."""
    protocol = inputs.protocol
    experiment = inputs.experiment(execution.device)
    with open_comparison(
        experiment,
        protocol.choice_seeds,
        identity=repr(plain_values(inputs.identity)),
        cache=execution.cache,
        keep=execution.keep,
        jobs=execution.jobs,
        progress=execution.progress,
    ) as comparison:
        warn_of_room(comparison.experiment, inputs.measured_sources, protocol.choice_seeds)
        _check_pools(comparison, inputs)
        tuning = tune(comparison, protocol.config, protocol.policy, protocol.steps)
        if inputs.fixed_mix is None:
            choices = choose(comparison, tuning.config, inputs.sources, protocol.search)
        else:
            choices = choose_fixed(comparison, tuning.config, inputs.fixed_mix, inputs.controls)
        notes = [
            *inputs.notes,
            *setting_notes(
                inputs.mix,
                inputs.backbone,
                batch_size=protocol.batch_size,
                steps=tuning.steps,
                per_class=protocol.per_class,
            ),
        ]
        plan = SettledPlan(comparison, tuning, choices, inputs.search, inputs.name, notes)
        return open_test(plan, inputs.test, inputs.fresh_seeds, protocol.precision)


def _check_pools(comparison: Comparison, inputs: Inputs) -> None:
    """Refuse a pool of which too little is left beside the validation images of a seed.

    A pool that is the only source cannot but be chosen, so its fresh seeds are checked, too.
    """
    seeds = inputs.protocol.choice_seeds
    if len(inputs.measured_sources) == 1:
        seeds = [*seeds, *inputs.fresh_seeds]
    for source in inputs.measured_sources:
        if source.pool is not None:
            comparison.check_pool(source, seeds)
