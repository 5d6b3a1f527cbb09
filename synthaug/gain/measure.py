"""The protocol: tune without synthetic images, choose on validation, open the test split once."""

from collections.abc import Sequence
from pathlib import Path

from synthaug.classifiers import Backbone, TrainConfig
from synthaug.core import InputError, expect_progress, plain_values
from synthaug.data import LabelledImages
from synthaug.gain.arms import Source, default_sources
from synthaug.gain.baselines import tune
from synthaug.gain.inputs import (
    check_asked,
    check_parts,
    check_sources,
    generators_of,
    numbered,
    pool_source,
)
from synthaug.gain.metadata import Settled
from synthaug.gain.result import Gain
from synthaug.gain.runs.comparison import open_comparison
from synthaug.gain.runs.experiment import Experiment
from synthaug.gain.runs.pools import warn_of_room
from synthaug.gain.runs.runner import StageProgress
from synthaug.gain.selection import (
    RATIOS,
    Search,
    choose,
    choose_given,
    found_elsewhere,
    found_otherwise,
    given_by,
)
from synthaug.gain.testing import open_test
from synthaug.mixing import MixConfig
from synthaug.pool import SamplePool


def measure_gain(
    train: LabelledImages,
    test: LabelledImages,
    *,
    validation: LabelledImages | None = None,
    arms: Search = "staged",
    sources: Sequence[Source] | None = None,
    pool: SamplePool | str | Path | None = None,
    seeds: int = 5,
    seed: int = 0,
    precision: float | None = None,
    per_class: int | None = None,
    classifier: str | Backbone = "resnet",
    config: TrainConfig | None = None,
    policy: str | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    device: str = "auto",
    jobs: int = 1,
    cache: str | Path | None = None,
    keep: bool = False,
    progress: StageProgress | None = None,
    name: str = "data",
    mix: MixConfig | None = None,
) -> Gain:
    """Measure what synthetic images do to a classifier's accuracy on held-out images.

    train, test: real images with the same classes; `test` is opened once, after what is
        compared was chosen.
    validation: images to make choices on; by default set apart from `train`, never trained on.
    arms: how widely to search. "quick" tries each source on top of the best arm without synthetic
        images, at a ratio of 0.25 with hard labels; "staged" then tries the best also on the plain
        classical arm, at a ratio of 0.5, and with mixed labels; "full" tries all combinations.
    sources: generators to measure, each under a name of its own (default: TransferVAE,
        ConditionalVAE, a Blend of both with StyleSwap, a Chain of PatchSwap and ConditionalVAE, and
        as controls StyleSwap, RandomField and a Chain of PatchSwap and StyleSwap); an empty list
        with `pool` measures the pool alone.
    pool: images made elsewhere, or the directory that they are in; the same for all seeds.
    seeds: paired repetitions, at least 2; each changes the subset, the generator, its pool and the
        classifier together. Choices are made on so many seeds from `seed` up, the gain is measured
        on as many after them.
    precision: add seeds until the interval's half width is at most so many percentage points, by
        Stein's two-stage rule, up to 60 seeds.
    per_class: train on so many images per class, drawn anew for each seed.
    classifier: "resnet", "timm:NAME", or a `Backbone` with weights to start from, which are then
        fine-tuned, or only its last layer, as validation images favour.
    recipe, policy, steps: fix the training recipe, its geometry alone, or the number of optimiser
        steps; what is not fixed is tuned on validation images before any arm is compared. What arms
        differ in, from RandAugment to adjusted logits, is theirs and not to be fixed.
    batch_size: images in each step of every arm.
    device: "auto" (a GPU where there is one), "cpu", "cuda:0".
    jobs: processes side by side, each on one thread.
    cache: a directory for finished cells (one arm, one seed), from which an interrupted run
        continues and which a finished one cleans up; by default a temporary one.
    keep: leave the cells in `cache`: a later run on the same data, with other sources or more
        seeds, then trains only what is new. What one run kept, or was interrupted in, stays until
        one with the same arguments ends that does not keep it, whichever others end.
    progress: called with (what is running, cells done, cells known so far).
    name: what the result calls the data, and its lines of Python read; where the images were
        read with an `image_size`, those need it, too.
    mix: measure this way of mixing (what `search_mix` or `synthaug tune` found) and no other, in
        place of `arms` and `sources`, of which the controls stay.

    Raises `InputError` for inputs that do not fit, among them a pool with copies of test images,
    `TrainingError` where all trainings of a kind diverge, or one does of those that are measured.

    >>> from synthaug import TrainConfig, StyleSwap, measure_gain, read_images
    >>> from synthaug.gain import Source
    >>> gain = measure_gain(
    ...     read_images("digits"), read_images("digits", split="test"), per_class=5, seeds=2,
    ...     steps=2, config=TrainConfig(), arms="quick", device="cpu",
    ...     sources=[Source("style-swap", StyleSwap())])
    >>> gain.verdict in ("helps", "no evidence", "hurts")
    True
    """
    parts = {"train": train, "test": test}
    if validation is not None:
        parts["validation"] = validation
    backbone = Backbone.of(classifier)
    expect_progress(progress)
    check_asked(name, arms, precision, mix)
    notes = [*check_parts(parts), *found_elsewhere(mix, train)]
    numbers, after = numbered(seeds, seed)
    wanted = default_sources() if sources is None else generators_of(sources)
    known = False
    if pool is not None:
        if mix is not None:
            raise InputError("pool: expected none beside mix, which says what is measured")
        found = SamplePool.of(pool)
        wanted.append(pool_source(found, train, test, per_class))
        known = found.origins == {train.fingerprint}
    given = None if mix is None else given_by(mix)
    controls = [source for source in wanted if not source.trained]
    measured = wanted if given is None else [given.source, *controls]
    check_sources(measured)
    study = Experiment(
        train, validation, per_class, backbone, batch_size, device, pool is not None, known
    )
    fresh = _fresh_seeds(after, mix)
    study.check([*numbers, *fresh], RATIOS if given is None else [given.ratio])
    told = (test.fingerprint, arms, wanted, numbers, precision, config, policy, steps, mix)
    with open_comparison(
        study,
        numbers,
        run=repr(plain_values(told)),
        cache=cache,
        keep=keep,
        jobs=jobs,
        progress=progress,
    ) as trials:
        warn_of_room(trials.study, measured, numbers)
        for source in measured:
            if source.pool is not None:  # on fresh seeds it is trained if it cannot but be chosen
                trials.check_pool(source, [*numbers, *fresh] if len(measured) == 1 else numbers)
        tuning = tune(trials, config, policy, steps)
        if given is None:
            choices = choose(trials, tuning.config, wanted, arms)
        else:
            choices = choose_given(trials, tuning.config, given, controls)
        search = arms if given is None else "recipe"
        notes += found_otherwise(
            mix, backbone, batch_size=batch_size, steps=tuning.steps, per_class=per_class
        )
        return open_test(
            Settled(trials, tuning, choices, search, name, notes), test, fresh, precision
        )


def _fresh_seeds(after: list[int], mix: MixConfig | None) -> list[int]:
    """As many seeds as come after those of the choices, that no choice was made on in the search
    for `mix`, either."""
    searched = (
        [] if mix is None else mix.search.get("seeds", []) + mix.search.get("check_seeds", [])
    )
    first = max([after[0] - 1, *searched]) + 1
    return list(range(first, first + len(after)))
