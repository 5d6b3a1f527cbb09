"""Arms: the ways of training that are compared."""

import copy
import dataclasses
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from synthaug.classifiers import TrainConfig
from synthaug.core import InputError, plain_values
from synthaug.generators import (
    Composite,
    Generator,
    registrations,
    singles,
)
from synthaug.pool import limit_filters

Labels = Literal["hard", "mixed"]
LABELS: tuple[Labels, ...] = get_args(Labels)
SMOOTHING = 0.1
KNOWN = {"synthaug", "abc", "builtins"}  # where code is from that a version tells
_CODE = "_synthaug_code"
# What the names of such arms end with.
SMOOTHED, SELF_DISTILLED, DISTILLED = ", smoothed", ", self-distilled", ", distilled"


@dataclass(frozen=True, eq=False)
class Source:
    """Where synthetic images come from: a generator to fit anew for each seed, or a pool.

    sampling: settings to change after fitting, so that several sources share one fit.
    filters: limits of the pool's filters by their names, as for `limit_filters`.
    fingerprint: of the images in the pool, which may be made anew under the same name.

    Raises `InputError` unless it is one of a generator and a pool, and for settings and filters
    that there are not, or that do not fit.

    >>> from synthaug import StyleSwap
    >>> from synthaug.gain import Source
    >>> source = Source("coarse", StyleSwap(cells=4), filters={"distance": 2.0})
    >>> source.name, source.trained
    ('coarse', False)
    """

    name: str
    generator: Generator | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    filters: dict[str, float] = field(default_factory=dict)
    pool: Path | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        for name in ("sampling", "filters"):  # kept as JSON
            object.__setattr__(self, name, plain_values(getattr(self, name)))
        if not isinstance(self.name, str):
            raise InputError(f"source: expected a name in text, got {self.name!r}")
        if (self.generator is None) == (self.pool is None):
            raise InputError(f"source {self.name!r}: expected either a generator or a pool")
        if not isinstance(self.generator, Generator | None):
            raise InputError(
                f"source {self.name!r}: expected a generator, as StyleSwap(), got "
                f"{self.generator!r}"
            )
        known = {} if self.generator is None else self.generator.settings
        unknown = [setting for setting in self.sampling if setting not in known]
        if unknown:
            settings = ", ".join(known) or "nothing"
            raise InputError(
                f"source {self.name!r}: sampling: expected some of {settings}, got {unknown[0]!r}"
            )
        try:
            limit_filters(self.filters)
            if self.generator is not None:
                copy.copy(self.generator).normalise_settings()
                self.sampled(self.generator).normalise_settings()
        except InputError as error:
            raise InputError(f"source {self.name!r}: {error}") from None

    def sampled(self, generator: Generator) -> Generator:
        """A generator, which stays as it is, with the settings to sample with."""
        made = copy.copy(generator)
        for name, value in self.sampling.items():
            setattr(made, name, value)
        return made

    @property
    def trained(self) -> bool:
        """Whether something is learned; a source that learns nothing is a control."""
        return self.generator is None or self.generator.learns


def fit_key(generator: Generator) -> str:
    """What tells one generator's fit from another; sources with one key share it."""
    settings = generator.settings
    if isinstance(generator, Composite):
        parts = generator.parts
        settings = {"parts": [{"family": type(p).__name__, "settings": p.settings} for p in parts]}
    # By class names: what versions up to 0.5.0 kept is found by them.
    return f"{type(generator).__name__} {settings}{own_identity(generator)}"


def own_identity(generator: Generator) -> str:
    """The code of families of the user's own that it is made of, and of what these build on, and
    their settings in full, of which a `repr` may tell less; nothing for what is here, whose code is
    a version's."""
    parts = singles(generator)
    own = {kind for each in parts for kind in type(each).__mro__ if not _is_ours(kind)}
    code = sorted(f" {kind.__module__} {_source_of(kind)}" for kind in own)
    settings = [f" {plain_values(each.settings)}" for each in parts if not _is_ours(type(each))]
    return "".join([*code, *settings])


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in KNOWN


def _source_of(kind: type) -> str:
    """Its code, as far as it is known: a family of the user's own may change between two runs. With
    all of its module, where its networks may be; of a script, which says what is run, too, its own.

    Kept on the class, with which it goes to other processes: these cannot find the code of what a
    script or a notebook holds.
    """
    if _CODE not in vars(kind):
        try:
            code = inspect.getsource(kind)
            if kind.__module__ != "__main__":
                code += inspect.getsource(sys.modules[kind.__module__])
        except (KeyError, OSError, TypeError):  # typed into a console
            code = kind.__qualname__
        setattr(kind, _CODE, code)
    return str(vars(kind)[_CODE])


@dataclass(frozen=True)
class Arm:
    """One way of training.

    source: synthetic images, at `ratio`, with their class as label ("hard") or half of it replaced
        by the posterior of the best classifier without synthetic images ("mixed").
    distilled: the real images' labels are mixed in that way; "self-distilled" where that classifier
        was trained as this one is.
    partner: the arm without synthetic images that this one builds on.
    """

    name: str
    config: TrainConfig
    source: Source | None = None
    ratio: float = 0.0
    labels: Labels = "hard"
    distilled: bool = False
    base_arm: str = ""

    @property
    def needs_teacher(self) -> bool:
        return self.distilled or (self.source is not None and self.labels == "mixed")

    @property
    def uses(self) -> str:
        """ "real", "control" or "synthetic"."""
        if self.source is None:
            return "real"
        return "synthetic" if self.source.trained else "control"

    @property
    def description(self) -> str:
        """What the arm does, in words."""
        config = self.config
        policy = "no" if config.policy == "none" else config.policy
        steps = [f"{policy} geometry", config.automatic, config.mix]
        if config.class_balanced:
            steps.append("classes drawn equally often")
        if config.logit_adjustment:
            steps.append("adjusted logits")
        if config.label_smoothing:
            steps.append(f"{config.label_smoothing:.0%} of each label spread over all classes")
        if self.distilled:
            own = self.name.endswith(SELF_DISTILLED)
            steps.append(f"labels half {'self-' if own else ''}distilled")
        if self.source is not None:
            share = f"{self.ratio:.0%} {self.source.name} images with {self.labels} labels"
            steps.append(share)
        return ", ".join(step for step in steps if step)


def sources_of(generator: Generator) -> list[Source]:
    """Return the default sources of a generator's family, with this generator in them.

    Example:
        >>> from synthaug import TransferVAE
        >>> from synthaug.gain import sources_of
        >>> [source.name for source in sources_of(TransferVAE(steps=100))]
        ['transfer-any', 'transfer-within']
    """
    registration = registrations().get(generator.name)
    variants = {} if registration is None else registration.sources
    return [
        Source(name, dataclasses.replace(generator, **each.settings), dict(each.sampling))  # type: ignore[type-var]
        for name, each in variants.items()
    ]


def default_sources() -> list[Source]:
    """Return the sources that are measured where the caller names none.

    They are those of all registered families: trained generators and non-learned controls.
    """
    families = [each.family for each in registrations().values() if each.sources]
    return [source for family in families for source in sources_of(family())]


def real_arms(base: TrainConfig, *, balanced: bool) -> list[Arm]:
    """Arms without synthetic images on a tuned base recipe.

    balanced: whether the classes are of one size; if so, drawing them equally often and adjusted
        logits are no arms of their own.
    """
    change = dataclasses.replace
    arms = [
        Arm("classical", base),
        Arm("mixup", change(base, mix="mixup")),
        Arm("cutmix", change(base, mix="cutmix")),
        Arm("none", change(base, policy="none")),
        Arm("randaugment", change(base, automatic="randaugment")),
        Arm("trivialaugment", change(base, automatic="trivialaugment")),
        Arm("randaugment+mixup", change(base, automatic="randaugment", mix="mixup")),
        Arm("randaugment+cutmix", change(base, automatic="randaugment", mix="cutmix")),
    ]
    if not balanced:
        arms.append(Arm("oversampled", change(base, class_balanced=True)))
        arms.append(Arm("logit-adjusted", change(base, logit_adjustment=1.0)))
    return arms


def smoothed_arm(base_arm: Arm) -> Arm:
    """The partner with smoothed labels (Szegedy et al. 2016), for the same reason as
    `distilled_arm`."""
    config = dataclasses.replace(base_arm.config, label_smoothing=SMOOTHING)
    return Arm(base_arm.name + SMOOTHED, config)


def distilled_arm(base_arm: Arm, *, own: bool = True) -> Arm:
    """The partner with the posterior of the best classifier without synthetic images mixed into the
    labels: without it, a gain of soft labels would pass for one of synthetic images.

    own: whether that classifier is the partner's.
    """
    name = base_arm.name + (SELF_DISTILLED if own else DISTILLED)
    return Arm(name, base_arm.config, distilled=True)


def real_arm(name: str, base: TrainConfig) -> Arm:
    """The arm without synthetic images that `real_arms`, `smoothed_arm` or `distilled_arm` call so.

    Raises `InputError` for a name that none has.
    """
    known = {arm.name: arm for arm in real_arms(base, balanced=False)}
    plain_values = name.removesuffix(SELF_DISTILLED).removesuffix(DISTILLED)
    arm = known.get(plain_values.removesuffix(SMOOTHED))
    if arm is None:
        raise InputError(f"partner: expected one of {', '.join(known)}, got {name!r}")
    if plain_values.endswith(SMOOTHED):
        arm = smoothed_arm(arm)
    return arm if plain_values == name else distilled_arm(arm, own=name.endswith(SELF_DISTILLED))


def synthetic_arm(source: Source, base_arm: Arm, ratio: float, labels: Labels) -> Arm:
    """Synthetic images of `source` on top of an arm without any."""
    name = f"{source.name} {ratio:g} {labels}, {base_arm.name}"
    return Arm(name, base_arm.config, source, ratio, labels, base_arm=base_arm.name)


def every_arm(
    sources: Sequence[Source], base_arms: Sequence[Arm], ratios: Sequence[float]
) -> list[Arm]:
    """All of sources × partners × ratios × hard and mixed labels."""
    return [
        synthetic_arm(source, base_arm, ratio, rule)
        for source in sources
        for base_arm in base_arms
        for ratio in ratios
        for rule in LABELS
    ]
