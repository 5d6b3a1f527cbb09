"""Which arms are compared, and what validation images make of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from synthaug.classifiers import Recipe
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
from synthaug.gain.trials import Trials

Search = Literal["quick", "staged", "full"]
SEARCHES: tuple[Search, ...] = get_args(Search)
RATIOS = (0.25, 0.5)


@dataclass(frozen=True)
class Given:
    """A way of mixing that is not searched for: on top of the arm without synthetic images that is
    called `partner`."""

    source: Source
    ratio: float
    labels: Labels
    partner: str


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
    partner: Arm
    baseline: Arm
    trained: Arm | None
    control: Arm | None
    chosen: Arm

    @property
    def finalists(self) -> list[Arm]:
        """The arms that are measured on seeds of their own: what choices left."""
        bests = (self.baseline, self.chosen, self.trained, self.control)
        return list(dict.fromkeys(arm for arm in bests if arm is not None))


def choose(trials: Trials, base: Recipe, sources: Sequence[Source], search: Search) -> Choices:
    """Train the arms that the search asks for and choose among them on validation images."""
    real, partner = without_synthetic(trials, base)
    classical = next(arm for arm in real if arm.name == "classical")
    partners = list(dict.fromkeys([partner, classical]))
    synthetic = _SEARCH[search](trials, sources, partners)
    bests = {arm.uses: arm for arm in _bests(trials, synthetic)}
    return Choices(
        arms=[*real, *synthetic],
        partner=partner,
        baseline=trials.best(real),
        trained=bests.get("synthetic"),
        control=bests.get("control"),
        chosen=trials.best(synthetic),
    )


def choose_given(trials: Trials, base: Recipe, given: Given, controls: Sequence[Source]) -> Choices:
    """Train one given way of mixing, beside all arms without synthetic images and the controls
    mixed alike."""
    named = real_arm(given.partner, base)
    real, partner = without_synthetic(trials, base)
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
        partner=partner,
        baseline=trials.best(real),
        trained=bests.get("synthetic"),
        control=bests.get("control"),
        chosen=arms[0],
    )


def without_synthetic(trials: Trials, base: Recipe) -> tuple[list[Arm], Arm]:
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
    partner = trials.best([*real, smoothed])
    trials.teacher = partner
    distilled = [distilled_arm(partner)]
    if partner != real[0]:
        distilled.append(distilled_arm(real[0], own=False))
    trials.race(distilled, "distilled labels", beside=[*real, smoothed])
    return [*real, smoothed, *distilled], partner


def softened_alike(trials: Trials, real: Sequence[Arm], arm: Arm) -> list[Arm]:
    """What an arm with mixed labels is put on with labels from the same teacher, trained; none for
    other arms. What the teacher gives is no gain of synthetic images."""
    if arm.labels != "mixed":
        return []
    partner = partner_of(arm)
    softened = distilled_arm(partner, own=partner == trials.teacher)
    if softened not in real:
        trials.race([softened], "distilled labels", beside=real)
    return [softened]


def _quick(trials: Trials, sources: Sequence[Source], partners: Sequence[Arm]) -> list[Arm]:
    """Each source on top of the best arm without synthetic images."""
    arms = [synthetic_arm(source, partners[0], RATIOS[0], "hard") for source in sources]
    trials.race(arms, "with synthetic images")
    return arms


def _staged(trials: Trials, sources: Sequence[Source], partners: Sequence[Arm]) -> list[Arm]:
    """Each source on top of the best partner; then, for the best trained source and the best
    control, the other partner; then a higher ratio; then mixed labels."""
    arms = _quick(trials, sources, partners)
    stages: list[Callable[[Arm], list[Arm]]] = [
        lambda best: [
            synthetic_arm(_source(best), other, best.ratio, best.labels) for other in partners[1:]
        ],
        lambda best: [synthetic_arm(_source(best), partner_of(best), RATIOS[1], best.labels)],
        lambda best: [synthetic_arm(_source(best), partner_of(best), best.ratio, "mixed")],
    ]
    for further in stages:
        tried = [arm for best in _bests(trials, arms) for arm in further(best)]
        trials.race(tried, "with synthetic images", beside=arms)
        arms += tried
    return arms


def _full(trials: Trials, sources: Sequence[Source], partners: Sequence[Arm]) -> list[Arm]:
    """All of sources × partners × ratios × label rules."""
    arms = every_arm(sources, partners, RATIOS)
    trials.race(arms, "with synthetic images")
    return arms


_SEARCH = {"quick": _quick, "staged": _staged, "full": _full}


def _bests(trials: Trials, arms: Sequence[Arm]) -> list[Arm]:
    """The best with what was trained, and the best control, as far as there are any."""
    groups = [[arm for arm in arms if arm.uses == use] for use in ("synthetic", "control")]
    return [trials.best(group) for group in groups if group]


def partner_of(arm: Arm) -> Arm:
    """What an arm with synthetic images is without them."""
    return replace(arm, name=arm.partner, source=None, ratio=0.0, labels="hard", partner="")


def _source(arm: Arm) -> Source:
    assert arm.source is not None
    return arm.source
