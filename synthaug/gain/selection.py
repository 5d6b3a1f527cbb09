"""Choose, on validation images, which arms are compared on the test images."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from synthaug.classifiers import Backbone, TrainConfig
from synthaug.core import InputError
from synthaug.data import LabelledImages
from synthaug.gain.arms import (
    Arm,
    Labels,
    Source,
    distilled_arm,
    every_arm,
    real_arm,
    real_arms,
    smoothed_arm,
    synthetic_arm,
)
from synthaug.gain.protocol import Search
from synthaug.gain.runs.comparison import Comparison
from synthaug.mixing import MixConfig

RATIOS = (0.25, 0.5)
REAL_STAGE, SYNTHETIC_STAGE = "without synthetic images", "with synthetic images"


@dataclass(frozen=True)
class FixedMix:
    """A way of mixing that is measured without a search.

    Attributes:
        source: Where the synthetic images come from.
        ratio: Their share of each batch, 0 to 1.
        labels: Their labels, "hard" or "mixed".
        base_arm: Name of the arm without synthetic images that it builds on.
    """

    source: Source
    ratio: float
    labels: Labels
    base_arm: str


@dataclass(frozen=True)
class Choices:
    """The choices that validation images settled.

    Attributes:
        arms: All that were compared, those without synthetic images first.
        base_arm: The best arm without synthetic images and self-distillation. Synthetic images are
            tried on top of it.
        baseline: The best without synthetic images.
        trained: The best with a trained generator or a pool; None where none was tried.
        control: The best with a non-learned control; None where none was tried.
        chosen: The best with synthetic images, or the one to measure.
    """

    arms: list[Arm]
    base_arm: Arm
    baseline: Arm
    trained: Arm | None
    control: Arm | None
    chosen: Arm

    @property
    def finalists(self) -> list[Arm]:
        """The arms that are measured on seeds of their own."""
        bests = (self.baseline, self.chosen, self.trained, self.control)
        return list(dict.fromkeys(arm for arm in bests if arm is not None))


def choose(
    comparison: Comparison, base: TrainConfig, sources: Sequence[Source], search: Search
) -> Choices:
    """Train the arms that the search asks for, and choose among them on validation images."""
    real, base_arm = without_synthetic(comparison, base)
    classical = next(arm for arm in real if arm.name == "classical")
    base_arms = list(dict.fromkeys([base_arm, classical]))
    synthetic = _SEARCHES[search](comparison, sources, base_arms)
    best_by_use = {arm.uses: arm for arm in _bests(comparison, synthetic)}
    return Choices(
        arms=[*real, *synthetic],
        base_arm=base_arm,
        baseline=comparison.best(real),
        trained=best_by_use.get("synthetic"),
        control=best_by_use.get("control"),
        chosen=comparison.best(synthetic),
    )


def choose_fixed(
    comparison: Comparison, base: TrainConfig, mix: FixedMix, controls: Sequence[Source]
) -> Choices:
    """Train one way of mixing, all arms without synthetic images, and the controls mixed alike."""
    mix_base_arm = real_arm(mix.base_arm, base)
    real, base_arm = without_synthetic(comparison, base)
    if mix_base_arm not in real:  # what it adds is no gain of synthetic images
        comparison.race([mix_base_arm], REAL_STAGE, beside=real)
        real = [*real, mix_base_arm]
    arms = [
        synthetic_arm(source, mix_base_arm, mix.ratio, mix.labels)
        for source in (mix.source, *controls)
    ]
    comparison.train(arms, SYNTHETIC_STAGE)
    real = list(dict.fromkeys([*real, *softened_alike(comparison, real, arms[0])]))
    best_by_use = {arm.uses: arm for arm in _bests(comparison, arms)}
    return Choices(
        arms=[*real, *arms],
        base_arm=base_arm,
        baseline=comparison.best(real),
        trained=best_by_use.get("synthetic"),
        control=best_by_use.get("control"),
        chosen=arms[0],
    )


def without_synthetic(comparison: Comparison, base: TrainConfig) -> tuple[list[Arm], Arm]:
    """Train the arms without synthetic images.

    The best of all may be one that learns from its own labels, or the plain classical arm with a
    teacher under stronger augmentation, so both are trained, too.

    Returns:
        All of them, and the best to build on.
    """
    # A subset has as many images of each class, however uneven the whole is.
    is_balanced = comparison.experiment.per_class is not None or comparison.metric == "accuracy"
    real = real_arms(base, balanced=is_balanced)
    if base.policy == "none":  # fixed: the two are one
        real = [arm for arm in real if arm.name != "none"]
    comparison.race(real, REAL_STAGE)
    smooth = smoothed_arm(comparison.best(real))
    comparison.race([smooth], "smoothed labels", beside=real)
    base_arm = comparison.best([*real, smooth])
    comparison.teacher = base_arm
    pupils = [distilled_arm(base_arm)]
    if base_arm != real[0]:
        pupils.append(distilled_arm(real[0], own=False))
    comparison.race(pupils, "distilled labels", beside=[*real, smooth])
    return [*real, smooth, *pupils], base_arm


def softened_alike(comparison: Comparison, real: Sequence[Arm], arm: Arm) -> list[Arm]:
    """Train the base arm of an arm with mixed labels, with labels of the same teacher.

    What the teacher adds is no gain of synthetic images. Other arms have no such twin.
    """
    if arm.labels != "mixed":
        return []
    base_arm = base_arm_of(arm)
    twin = distilled_arm(base_arm, own=base_arm == comparison.teacher)
    if twin not in real:
        comparison.race([twin], "distilled labels", beside=real)
    return [twin]


def _quick(
    comparison: Comparison, sources: Sequence[Source], base_arms: Sequence[Arm]
) -> list[Arm]:
    """Try each source on top of the best arm without synthetic images."""
    arms = [synthetic_arm(source, base_arms[0], RATIOS[0], "hard") for source in sources]
    comparison.race(arms, SYNTHETIC_STAGE)
    return arms


def _staged(
    comparison: Comparison, sources: Sequence[Source], base_arms: Sequence[Arm]
) -> list[Arm]:
    """Try each source, then the best of them in other ways.

    For the best trained source and the best control: the other base arm, then a higher ratio, then
    mixed labels.
    """
    arms = _quick(comparison, sources, base_arms)
    stages: list[Callable[[Arm], list[Arm]]] = [
        lambda best: [
            synthetic_arm(_source(best), other, best.ratio, best.labels) for other in base_arms[1:]
        ],
        lambda best: [synthetic_arm(_source(best), base_arm_of(best), RATIOS[1], best.labels)],
        lambda best: [synthetic_arm(_source(best), base_arm_of(best), best.ratio, "mixed")],
    ]
    for stage in stages:
        more_arms = [arm for best in _bests(comparison, arms) for arm in stage(best)]
        comparison.race(more_arms, SYNTHETIC_STAGE, beside=arms)
        arms += more_arms
    return arms


def _full(comparison: Comparison, sources: Sequence[Source], base_arms: Sequence[Arm]) -> list[Arm]:
    """Try all of sources × base arms × ratios × labels."""
    arms = every_arm(sources, base_arms, RATIOS)
    comparison.race(arms, SYNTHETIC_STAGE)
    return arms


_SEARCHES: dict[Search, Callable[[Comparison, Sequence[Source], Sequence[Arm]], list[Arm]]] = {
    "quick": _quick,
    "staged": _staged,
    "full": _full,
}


def _bests(comparison: Comparison, arms: Sequence[Arm]) -> list[Arm]:
    """Return the best arm with a trained source and the best control, as far as there are any."""
    groups = [[arm for arm in arms if arm.uses == use] for use in ("synthetic", "control")]
    return [comparison.best(group) for group in groups if group]


def base_arm_of(arm: Arm) -> Arm:
    """Return the arm without synthetic images that an arm builds on."""
    return replace(arm, name=arm.base_arm, source=None, ratio=0.0, labels="hard", base_arm="")


def _source(arm: Arm) -> Source:
    assert arm.source is not None
    return arm.source


def fixed_mix_of(mix: MixConfig, where: str = "mix") -> FixedMix:
    """Return the way of mixing of a configuration.

    Args:
        mix: The configuration.
        where: Where it comes from, for messages.

    Raises:
        InputError: If it has no generator, or names no base arm.
    """
    if mix.generator is None:
        raise InputError(
            f"{where}: its search found no way of mixing, so there is nothing to measure; search "
            "for longer, or leave it out to measure the usual generators"
        )
    if mix.labels == "soft":
        raise InputError(f"{where}: labels: expected hard or mixed, got 'soft'")
    base_arm = mix.training.get("partner", "")
    try:
        real_arm(base_arm, TrainConfig())
    except InputError as error:
        raise InputError(f"{where}: training.{error}") from None
    source = Source("recipe", mix.generator, filters=mix.filters)
    return FixedMix(source, mix.ratio, mix.labels, base_arm)


def origin_notes(mix: MixConfig | None, train: LabelledImages) -> list[str]:
    """Note a configuration that does not say that it was found on `train`."""
    if mix is None or mix.search.get("fingerprint") == train.fingerprint:
        return []
    return [
        "the mix configuration does not say that it was found on these training images; if test "
        "images were among those that it was found on, its choice knew them"
    ]


def setting_notes(
    mix: MixConfig | None,
    backbone: Backbone,
    *,
    batch_size: int,
    steps: int,
    per_class: int | None,
) -> list[str]:
    """Note where a configuration was found with other settings than it is measured with."""
    if mix is None:
        return []
    search_settings = {**mix.training, **mix.search}
    if "classifier" in search_settings:  # settings that it does not name, it was found without
        search_settings = {"classifier_weights": None, "classifier_size": None, **search_settings}
    settings: dict[str, Any] = {
        "classifier": None,
        "classifier_weights": None,
        "classifier_size": None,
        **backbone.facts,
        "batch_size": batch_size,
        "steps": steps,
        "per_class": per_class,
    }
    return [
        f"the mix configuration was found with {name.replace('_', ' ')} "
        f"{search_settings[name] or 'none'}, and is measured with {value or 'none'}"
        for name, value in settings.items()
        if name in search_settings and search_settings[name] != value
    ]


def mix_config_of(
    arm: Arm | None,
    baseline: Arm,
    teacher: Arm | None,
    training: dict[str, Any],
    search: dict[str, Any],
    *,
    recommended: bool,
) -> MixConfig:
    """Return the mix configuration of an arm.

    Args:
        arm: The arm with synthetic images; None where the search found none.
        baseline: The best arm without them.
        teacher: The arm whose posterior is mixed into labels.
        training: How classifiers were trained: steps, batch size, classifier.
        search: How the arm was found.
        recommended: Whether it is recommended.
    """
    if arm is None or arm.source is None or arm.source.generator is None:
        base = {"partner": baseline.name, "recipe": asdict(baseline.config)}
        return MixConfig(None, training={**base, **training}, search=search, recommended=False)
    source, source_generator = arm.source, arm.source.generator
    settings = {**source_generator.settings, **source.sampling}
    generator = type(source_generator).from_settings(settings)
    base = {"partner": arm.base_arm, "recipe": asdict(arm.config)}
    if arm.needs_teacher and teacher is not None:
        base["teacher"] = asdict(teacher.config)
    return MixConfig(
        generator,
        arm.ratio,
        arm.labels,
        source.filters,
        {**base, **training},
        search,
        recommended,
    )
