"""Which arms are compared, and what validation images make of them.

Ways of mixing as files have them, and as arms.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

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
from synthaug.gain.runs.comparison import Comparison
from synthaug.mixing import MixConfig

Search = Literal["quick", "staged", "full"]
SEARCHES: tuple[Search, ...] = get_args(Search)
RATIOS = (0.25, 0.5)


@dataclass(frozen=True)
class GivenMix:
    """A way of mixing that is not searched for: on top of the arm without synthetic images that is
    called `partner`."""

    source: Source
    ratio: float
    labels: Labels
    base_arm: str


@dataclass(frozen=True)
class Choices:
    """What validation settled.

    arms: all that were compared, those without synthetic images first.
    partner: the best arm without synthetic images and self-distillation; synthetic images are
        tried on top of it. baseline: the best without synthetic images.
    trained: the best with a trained generator or a pool. control: the best with a generator that
        learns nothing. None where none was tried.
    chosen: the best with synthetic images; the given one, where one was.
    """

    arms: list[Arm]
    base_arm: Arm
    baseline: Arm
    trained: Arm | None
    control: Arm | None
    chosen: Arm

    @property
    def finalists(self) -> list[Arm]:
        """The arms that are measured on seeds of their own: what choices left."""
        bests = (self.baseline, self.chosen, self.trained, self.control)
        return list(dict.fromkeys(arm for arm in bests if arm is not None))


def choose(
    trials: Comparison, base: TrainConfig, sources: Sequence[Source], search: Search
) -> Choices:
    """Train the arms that the search asks for and choose among them on validation images."""
    real, base_arm = without_synthetic(trials, base)
    classical = next(arm for arm in real if arm.name == "classical")
    base_arms = list(dict.fromkeys([base_arm, classical]))
    synthetic = _SEARCH[search](trials, sources, base_arms)
    bests = {arm.uses: arm for arm in _bests(trials, synthetic)}
    return Choices(
        arms=[*real, *synthetic],
        base_arm=base_arm,
        baseline=trials.best(real),
        trained=bests.get("synthetic"),
        control=bests.get("control"),
        chosen=trials.best(synthetic),
    )


def choose_given(
    trials: Comparison, base: TrainConfig, given: GivenMix, controls: Sequence[Source]
) -> Choices:
    """Train one given way of mixing, beside all arms without synthetic images and the controls
    mixed alike."""
    named = real_arm(given.base_arm, base)
    real, base_arm = without_synthetic(trials, base)
    if named not in real:  # what it adds is no gain of synthetic images
        trials.race([named], "without synthetic images", beside=real)
        real = [*real, named]
    sources = [given.source, *controls]
    arms = [synthetic_arm(each, named, given.ratio, given.labels) for each in sources]
    trials.train(arms, "with synthetic images")
    real = list(dict.fromkeys([*real, *softened_alike(trials, real, arms[0])]))
    bests = {arm.uses: arm for arm in _bests(trials, arms)}
    return Choices(
        arms=[*real, *arms],
        base_arm=base_arm,
        baseline=trials.best(real),
        trained=bests.get("synthetic"),
        control=bests.get("control"),
        chosen=arms[0],
    )


def without_synthetic(trials: Comparison, base: TrainConfig) -> tuple[list[Arm], Arm]:
    """Train the arms without synthetic images; all of them, and the best to build on. The best of
    all may be one that learns from its labels: itself again, or the plain classical arm, which a
    teacher under stronger augmentation may serve better than it served itself."""
    # A subset has as many images of each class, however uneven the whole is.
    balanced = trials.study.per_class is not None or trials.metric == "accuracy"
    real = real_arms(base, balanced=balanced)
    if base.policy == "none":  # fixed: the two are one
        real = [arm for arm in real if arm.name != "none"]
    trials.race(real, "without synthetic images")
    smoothed = smoothed_arm(trials.best(real))
    trials.race([smoothed], "smoothed labels", beside=real)
    base_arm = trials.best([*real, smoothed])
    trials.teacher = base_arm
    distilled = [distilled_arm(base_arm)]
    if base_arm != real[0]:
        distilled.append(distilled_arm(real[0], own=False))
    trials.race(distilled, "distilled labels", beside=[*real, smoothed])
    return [*real, smoothed, *distilled], base_arm


def softened_alike(trials: Comparison, real: Sequence[Arm], arm: Arm) -> list[Arm]:
    """What an arm with mixed labels is put on with labels from the same teacher, trained; none for
    other arms. What the teacher gives is no gain of synthetic images."""
    if arm.labels != "mixed":
        return []
    base_arm = base_arm_of(arm)
    softened = distilled_arm(base_arm, own=base_arm == trials.teacher)
    if softened not in real:
        trials.race([softened], "distilled labels", beside=real)
    return [softened]


def _quick(trials: Comparison, sources: Sequence[Source], base_arms: Sequence[Arm]) -> list[Arm]:
    """Each source on top of the best arm without synthetic images."""
    arms = [synthetic_arm(source, base_arms[0], RATIOS[0], "hard") for source in sources]
    trials.race(arms, "with synthetic images")
    return arms


def _staged(trials: Comparison, sources: Sequence[Source], base_arms: Sequence[Arm]) -> list[Arm]:
    """Each source on top of the best partner; then, for the best trained source and the best
    control, the other partner; then a higher ratio; then mixed labels."""
    arms = _quick(trials, sources, base_arms)
    stages: list[Callable[[Arm], list[Arm]]] = [
        lambda best: [
            synthetic_arm(_source(best), other, best.ratio, best.labels) for other in base_arms[1:]
        ],
        lambda best: [synthetic_arm(_source(best), base_arm_of(best), RATIOS[1], best.labels)],
        lambda best: [synthetic_arm(_source(best), base_arm_of(best), best.ratio, "mixed")],
    ]
    for further in stages:
        tried = [arm for best in _bests(trials, arms) for arm in further(best)]
        trials.race(tried, "with synthetic images", beside=arms)
        arms += tried
    return arms


def _full(trials: Comparison, sources: Sequence[Source], base_arms: Sequence[Arm]) -> list[Arm]:
    """All of sources × partners × ratios × label rules."""
    arms = every_arm(sources, base_arms, RATIOS)
    trials.race(arms, "with synthetic images")
    return arms


_SEARCH = {"quick": _quick, "staged": _staged, "full": _full}


def _bests(trials: Comparison, arms: Sequence[Arm]) -> list[Arm]:
    """The best with what was trained, and the best control, as far as there are any."""
    groups = [[arm for arm in arms if arm.uses == use] for use in ("synthetic", "control")]
    return [trials.best(group) for group in groups if group]


def base_arm_of(arm: Arm) -> Arm:
    """What an arm with synthetic images is without them."""
    return replace(arm, name=arm.base_arm, source=None, ratio=0.0, labels="hard", base_arm="")


def _source(arm: Arm) -> Source:
    assert arm.source is not None
    return arm.source


def given_by(mix: MixConfig, where: str = "mix") -> GivenMix:
    """The arm that a recipe asks for; `where` it is from is what errors name.

    Raises `InputError` for a recipe without a generator, or that does not say on top of what.
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
    return GivenMix(source, mix.ratio, mix.labels, base_arm)


def found_elsewhere(mix: MixConfig | None, train: LabelledImages) -> list[str]:
    """What a reader has to know of a recipe that was not found on `train`, so far as it says."""
    if mix is None or mix.search.get("fingerprint") == train.fingerprint:
        return []
    return [
        "the recipe does not say that it was found on these training images; if test images were "
        "among those that it was found on, its choice knew them"
    ]


def found_otherwise(
    mix: MixConfig | None,
    backbone: Backbone,
    *,
    batch_size: int,
    steps: int,
    per_class: int | None,
) -> list[str]:
    """What a reader has to know of a recipe that was found with another classifier or batch size,
    at another length or on more or fewer images, so far as it says."""
    if mix is None:
        return []
    told = {**mix.training, **mix.search}
    if "classifier" in told:  # what it says nothing of, it was found without
        told = {"classifier_weights": None, "classifier_size": None, **told}
    asked: dict[str, Any] = {
        "classifier": None,
        "classifier_weights": None,
        "classifier_size": None,
        **backbone.facts,
        "batch_size": batch_size,
        "steps": steps,
        "per_class": per_class,
    }
    return [
        f"the recipe was found with {name.replace('_', ' ')} {told[name] or 'none'}, and is "
        f"measured with {here or 'none'}"
        for name, here in asked.items()
        if name in told and told[name] != here
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
    """What the file says: `arm` and how it was trained, and the `teacher` of mixed labels; or where
    there is none, the baseline."""
    if arm is None or arm.source is None or arm.source.generator is None:
        told = {"partner": baseline.name, "recipe": asdict(baseline.config)}
        return MixConfig(None, training={**told, **training}, search=search, recommended=False)
    source, made = arm.source, arm.source.generator
    generator = type(made).from_settings({**made.settings, **source.sampling})
    told = {"partner": arm.base_arm, "recipe": asdict(arm.config)}
    if arm.needs_teacher and teacher is not None:
        told["teacher"] = asdict(teacher.config)
    given = (generator, arm.ratio, arm.labels, source.filters)
    return MixConfig(*given, {**told, **training}, search, recommended)
