"""Define arms, the ways of training that are compared, and sources of synthetic images."""

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
VERSIONED_PACKAGES = {"synthaug", "abc", "builtins"}  # their code is told by a version
_CODE = "_synthaug_code"
# Endings of the names of such arms.
SMOOTHED, SELF_DISTILLED, DISTILLED = ", smoothed", ", self-distilled", ", distilled"


@dataclass(frozen=True, eq=False)
class Source:
    """The origin of synthetic images: a generator to fit anew for each seed, or a pool.

    Args:
        name: Name of the source, which its arms go by.
        generator: The generator; None for a pool.
        sampling: Settings to change after fitting, so that several sources share one fit.
        filters: Limits of the pool's filters by name, as for `synthaug.pool.limit_filters`:
            "distance", "memorization", "agreement".
        pool: Directory of a pool; None for a generator.
        fingerprint: Of the images in the pool, which may be made anew under the same name.

    Raises:
        InputError: If it has both a generator and a pool or neither, or a setting or filter is
            unknown or out of range.

    Examples:
        >>> from synthaug import Source, StyleSwap
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
        known_settings = {} if self.generator is None else self.generator.settings
        unknown = [setting for setting in self.sampling if setting not in known_settings]
        if unknown:
            settings = ", ".join(known_settings) or "nothing"
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
        """Return a copy of a generator with the settings of `sampling` in place of its own.

        Args:
            generator: This source's generator, fitted or not; the copy shares its networks.
        """
        sampler = copy.copy(generator)
        for name, value in self.sampling.items():
            setattr(sampler, name, value)
        return sampler

    @property
    def trained(self) -> bool:
        """Tell whether anything is learned; one that learns nothing is a non-learned control."""
        return self.generator is None or self.generator.learns


def fit_key(generator: Generator) -> str:
    """Return what tells one generator's fit from another; sources with one key share it."""
    settings = generator.settings
    if isinstance(generator, Composite):
        parts = generator.parts
        settings = {"parts": [{"family": type(p).__name__, "settings": p.settings} for p in parts]}
    # By class names: what versions up to 0.5.0 kept is found by them.
    return f"{type(generator).__name__} {settings}{own_identity(generator)}"


def own_identity(generator: Generator) -> str:
    """Return the code and settings of the user's own classes that a generator is made of.

    Empty where all of it is of this package, whose code is told by the version.
    """
    parts = singles(generator)
    own_classes = {kind for each in parts for kind in type(each).__mro__ if not _is_ours(kind)}
    code = sorted(f" {kind.__module__} {_source_code(kind)}" for kind in own_classes)
    settings = [f" {plain_values(each.settings)}" for each in parts if not _is_ours(type(each))]
    return "".join([*code, *settings])


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in VERSIONED_PACKAGES


def _source_code(kind: type) -> str:
    """Return the code of a class, which may change between two runs, and of its module.

    Of a class in a script, its own code alone. It is kept on the class, with which it goes to other
    processes: these cannot find the code of a script or a notebook.
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

    Attributes:
        name: Name in tables and files.
        config: The training configuration.
        source: Where synthetic images come from; None for real images only.
        ratio: Share of synthetic images in each batch, 0 to 1.
        labels: "hard" for their class, "mixed" for half of it replaced by the posterior of the best
            classifier without synthetic images.
        distilled: Whether labels of real images are mixed in that way.
        base_arm: Name of the arm without synthetic images that this one builds on.
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
        """Tell whether a classifier that gives it labels has to be trained first."""
        return self.distilled or (self.source is not None and self.labels == "mixed")

    @property
    def uses(self) -> str:
        """The kind of images beside the real ones: "real" (none), "control" or "synthetic"."""
        if self.source is None:
            return "real"
        return "synthetic" if self.source.trained else "control"

    @property
    def description(self) -> str:
        """The arm in words."""
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

    Examples:
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
    """Return the sources that are measured by default, those of all registered families.

    They are trained generators and non-learned controls.
    """
    families = [each.family for each in registrations().values() if each.sources]
    return [source for family in families for source in sources_of(family())]


def real_arms(base: TrainConfig, *, balanced: bool) -> list[Arm]:
    """Return the arms without synthetic images on a tuned training configuration.

    Args:
        base: The configuration.
        balanced: Whether the classes are of one size. If so, drawing them equally often and
            adjusted logits are no arms of their own.
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
    """Return the base arm with smoothed labels (Szegedy et al., arXiv 1512.00567).

    Needed for the same reason as `distilled_arm`.
    """
    config = dataclasses.replace(base_arm.config, label_smoothing=SMOOTHING)
    return Arm(base_arm.name + SMOOTHED, config)


def distilled_arm(base_arm: Arm, *, own: bool = True) -> Arm:
    """Return the base arm with half of its labels from the best arm without synthetic images.

    Without it, a gain of soft labels would pass for one of synthetic images.

    Args:
        base_arm: The arm to change.
        own: Whether that classifier was trained as this arm is.
    """
    name = base_arm.name + (SELF_DISTILLED if own else DISTILLED)
    return Arm(name, base_arm.config, distilled=True)


def real_arm(name: str, base: TrainConfig) -> Arm:
    """Return the arm without synthetic images of a name.

    Raises:
        InputError: If none has it.
    """
    arms = {arm.name: arm for arm in real_arms(base, balanced=False)}
    plain_name = name.removesuffix(SELF_DISTILLED).removesuffix(DISTILLED)
    arm = arms.get(plain_name.removesuffix(SMOOTHED))
    if arm is None:
        raise InputError(f"partner: expected one of {', '.join(arms)}, got {name!r}")
    if plain_name.endswith(SMOOTHED):
        arm = smoothed_arm(arm)
    return arm if plain_name == name else distilled_arm(arm, own=name.endswith(SELF_DISTILLED))


def synthetic_arm(source: Source, base_arm: Arm, ratio: float, labels: Labels) -> Arm:
    """Return an arm with synthetic images on top of one without any."""
    name = f"{source.name} {ratio:g} {labels}, {base_arm.name}"
    return Arm(name, base_arm.config, source, ratio, labels, base_arm=base_arm.name)


def every_arm(
    sources: Sequence[Source], base_arms: Sequence[Arm], ratios: Sequence[float]
) -> list[Arm]:
    """Return all of sources × base arms × ratios × labels."""
    return [
        synthetic_arm(source, base_arm, ratio, labels)
        for source in sources
        for base_arm in base_arms
        for ratio in ratios
        for labels in LABELS
    ]
