"""Blend and Chain: several generators that learn, and are saved, as one.

Blend: each image is made by one of several generators, drawn at random.

What a generator changes about an image is what a classifier learns to look past. Two that change
different things, one light and colour, one shape, teach it to look past both, where a single one
draws on its own kind of change again and again.

Chain: each image goes through several generators, one after another.

Where a Blend teaches a classifier to look past one change at a time, a chain makes images that
differ from the real ones in all of them at once: far more different images, and each of them
further from what was photographed.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.core import Draws, InputError
from synthaug.data import LabelledImages
from synthaug.generators.base import Generator
from synthaug.generators.conditional_vae import ConditionalVAE
from synthaug.generators.non_learned import PatchSwap, StyleSwap
from synthaug.generators.registry import Variant, generator_class, register
from synthaug.generators.session import FitSession, FittedNetworks
from synthaug.generators.transfer_vae import TransferVAE


@dataclass
class Composite(Generator):
    """Generators of any of the families that stand alone; each learns as it would alone.

    A run that was killed goes on with the part that it was at.
    """

    parts: tuple[Generator, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[Generator]) -> Self:
        """Return one of generators that are fitted already.

        Args:
            parts: Generators fitted to the same images; their networks are copied to the device of
                the first.

        Raises:
            InputError: For parts that learned from different images.
        """
        composite = cls(parts)  # type: ignore[arg-type]
        composite.normalise_settings()
        metadata = [part.metadata for part in parts]
        first = metadata[0]
        if any(each["data"] != first["data"] for each in metadata):
            raise InputError("parts: expected generators fitted to the same images, got others")
        images = max((part.training_data for part in parts), key=len)
        device = parts[0]._device
        # Copies, since those that are moved to the first one's device are still another's there.
        networks = nn.ModuleList(copy.deepcopy(part.networks).to(device) for part in parts)
        fitted = composite._with_networks([networks], images, device, parts[0]._white)
        fitted._metadata = {
            **{name: first[name] for name in ("seed", "data", "device", "versions")},
            "family": fitted.name,
            "settings": fitted.settings,
            "seconds": sum(each["seconds"] for each in metadata),
            "holds_real_images": fitted.keeps_images,
            "parts": metadata,
        }
        return fitted

    def normalise_settings(self) -> None:
        """Bring settings to what JSON holds, of copies of the parts."""
        self.check_settings()
        # Its own: what becomes of those that were given is another matter.
        self.parts = tuple(copy.copy(part) for part in self.parts)
        for part in self.parts:
            part.normalise_settings()

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        parts = self.parts
        if not isinstance(parts, (tuple, list)) or not all(
            isinstance(part, Generator) for part in parts
        ):
            raise InputError(f"parts: expected a tuple of generators, got {parts!r}")
        if len(parts) < 2 or any(isinstance(part, Composite) for part in parts):
            names = ", ".join(part.name for part in parts)
            raise InputError(
                f"parts: expected two generators or more, none a Blend or Chain, got {names}"
            )
        for part in self.parts:
            part.check_settings()

    @property
    def keeps_images(self) -> bool:
        """Tell whether samples of a part start from real images."""
        return any(part.keeps_images for part in self.parts)

    @property
    def learns(self) -> bool:
        """Tell whether a part learns."""
        return any(part.learns for part in self.parts)

    @property
    def settings(self) -> dict[str, Any]:
        """The parts, each by its name and settings."""
        return {"parts": [{"family": p.name, "settings": p.settings} for p in self.parts]}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return an unfitted one, with parts as JSON has them.

        Args:
            settings: "parts" alone: for each its "family", a name, and its "settings".

        Raises:
            InputError: For another setting, or a part that is no such entry.
        """
        foreign = sorted(set(settings) - {"parts"})
        if foreign:
            raise InputError(f"unknown settings {foreign} of {cls.__name__}")
        parts = settings.get("parts", cls().settings["parts"])
        if not isinstance(parts, (tuple, list)):
            raise InputError(f"parts: expected a list of families and settings, got {parts!r}")
        return cls(tuple(map(_part_from_settings, parts)))

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return an unfitted one with some settings in each part that learns.

        Args:
            settings: Arguments of the parts' constructors, such as `steps`.

        Raises:
            InputError: For a setting that a part that learns does not have.
        """
        parts = self.parts
        return type(self)(tuple(p.with_settings(settings) if p.learns else p for p in parts))

    def train(self, data: LabelledImages, session: FitSession) -> list[nn.Module]:
        """Train each of the parts, and return one module of the networks of each."""
        starts = self._starts(session.start)
        networks: list[nn.Module] = []
        notes = session.notes["parts"] = []
        for index, (part, start) in enumerate(zip(self.parts, starts, strict=True)):
            own = self._share(session, index, start)
            networks.append(nn.ModuleList(part.train(data, own)))
            notes.append({"family": part.name, **own.notes})
        return [nn.ModuleList(networks)]

    def _starts(self, start: FittedNetworks | None) -> list[Generator | None]:
        """Return the part to start from, for each of the parts."""
        if start is None:
            return [None] * len(self.parts)
        assert isinstance(start, Composite)
        families = [[part.name for part in each.parts] for each in (self, start)]
        if families[0] != families[1]:
            raise InputError(
                f"start: expected a {self.name} of {families[0]}, got one of {families[1]}"
            )
        parts = start._fitted_parts()
        for part in parts:
            part._metadata = start.metadata
        return [*parts]

    def _share(self, session: FitSession, index: int, start: Generator | None) -> FitSession:
        """Return the session of one part."""
        part = self.parts[index]
        steps = [part.settings.get("steps", 0) if part.learns else 0 for part in self.parts]
        before, total = sum(steps[:index]), sum(steps)
        checkpoint, report = session.checkpoint, session.progress
        own = replace(
            session,
            identity=f"{session.identity} part {index}",
            checkpoint=checkpoint and checkpoint.with_name(f"{checkpoint.name}.{index}"),
            progress=report and (lambda done, _: report(before + done, total)),
            start=start,
            log=session.log and session.log / f"{index}-{part.name}",
            notes={},
        )
        if self.learns and not part.learns:  # where none learns, the first part refuses the aids
            return replace(own, start=None, validation=None, log=None)
        return own

    def build(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        """Build the networks of all parts, untrained."""
        parts = (nn.ModuleList(part.build(image_shape, classes)) for part in self.parts)
        return [nn.ModuleList(parts)]

    def _fitted_parts(self) -> list[Generator]:
        """Return the parts with what each of them learned."""
        data, networks = self.training_data, self.networks[0]
        assert isinstance(networks, nn.ModuleList)
        return [
            part._with_networks(own.children(), data, self._device, self._white)
            for part, own in zip(self.parts, networks, strict=True)
        ]


def singles(generator: Generator) -> tuple[Generator, ...]:
    """Return the parts of a generator, or the generator itself where it has none."""
    return generator.parts if isinstance(generator, Composite) else (generator,)


def _part_from_settings(value: object) -> Generator:
    """Return a part from its entry in `settings`."""
    if not isinstance(value, Mapping) or not isinstance(value.get("settings"), Mapping):
        raise InputError(f"parts: expected a family and its settings for each, got {value!r}")
    family = generator_class(value.get("family"))
    if issubclass(family, Composite):
        raise InputError(f"parts: expected families that are no Blend or Chain, got {family.name}")
    return family.from_settings(value["settings"])


def _plan_of_part(plan: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """Return what one part planned."""
    start = f"{index} "
    return {k.removeprefix(start): value for k, value in plan.items() if k.startswith(start)}


@register(
    "blend",
    order=60,
    sources={"blend": Variant()},
    choices={
        "blend of": {
            "transfer and style": Variant({"parts": (TransferVAE(), StyleSwap())}),
            "vae and style": Variant({"parts": (ConditionalVAE(), StyleSwap())}),
            "transfer, vae and style": Variant(),
        }
    },
)
@dataclass
class Blend(Composite):
    """Several generators, each image made with one of them, all equally often.

    A run that was killed goes on with the part that it was at.

    Args:
        parts: At least two generators, of any other families; by default TransferVAE,
            ConditionalVAE and StyleSwap. Each learns as it would alone.

    Raises:
        InputError: By `fit` and `sample`, for parts that make no sense.

    Examples:
        >>> from synthaug import Blend, RandomField, StyleSwap, read_images
        >>> generator = Blend((StyleSwap(), RandomField())).fit(read_images("digits"), device="cpu")
        >>> generator.sample(1, seed=3).labels.tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    parts: tuple[Generator, ...] = field(
        default_factory=lambda: (TransferVAE(), ConditionalVAE(), StyleSwap())
    )

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw a part for each image, and plan for all parts."""
        parts = self._fitted_parts()
        plan = {"label": labels, "part": draws.choice("part", np.full(len(labels), len(parts)))}
        for index, part in enumerate(parts):
            plan |= {f"{index} {name}": v for name, v in part.plan(labels, draws).items()}
        return plan

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Make each image with the part that was drawn for it."""
        labels, places = plan["label"].cpu().numpy(), plan["part"].cpu().numpy()
        parts = self._fitted_parts()
        images = {
            index: parts[index]._render_labels(_plan_of_part(plan, index), labels)
            for index in np.unique(places)
        }
        return torch.stack([images[index][i] for i, index in enumerate(places)])


@register(
    "chain",
    order=70,
    sources={
        "patch-nuisance": Variant({"parts": (PatchSwap(), ConditionalVAE())}),
        "patch-style": Variant(),
    },
    choices={
        "chain of": {
            "patch and vae": Variant({"parts": (PatchSwap(), ConditionalVAE())}),
            "patch and transfer": Variant({"parts": (PatchSwap(), TransferVAE())}),
            "patch and style": Variant(),
            "patch, style and vae": Variant(
                {"parts": (PatchSwap(), StyleSwap(), ConditionalVAE())}
            ),
        }
    },
)
@dataclass
class Chain(Composite):
    """Several generators, each image changed by all of them, in their order.

    A run that was killed goes on with the part that it was at.

    Args:
        parts: At least two generators; by default PatchSwap and StyleSwap. Each after the first is
            one that changes images: PatchSwap, StyleSwap, RandomField, TransferVAE, or a
            ConditionalVAE or VAEGAN that samples from codes of images. Each learns from the real
            images, as it would alone.

    Raises:
        InputError: By `fit` and `sample`, for parts that make no sense, and for one after the first
            that makes images anew.

    Examples:
        >>> from synthaug import Chain, RandomField, StyleSwap, read_images
        >>> generator = Chain((StyleSwap(), RandomField())).fit(read_images("digits"), device="cpu")
        >>> generator.sample(1, seed=3).labels.tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    parts: tuple[Generator, ...] = field(default_factory=lambda: (PatchSwap(), StyleSwap()))

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        super().check_settings()
        for part in self.parts[1:]:
            if not part.changes_images:
                raise InputError(
                    f"parts: expected after the first only generators that change images, got a "
                    f"{part.name}, which makes them anew; let it be the first"
                )

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Plan for each of the parts."""
        plan = {"label": labels}
        for index, part in enumerate(self._fitted_parts()):
            own = part.plan(labels, draws.apart(str(index)) if index else draws)
            plan |= {f"{index} {name}": value for name, value in own.items()}
        return plan

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Change images by one part after another."""
        labels = plan["label"].cpu().numpy()
        first, *others = self._fitted_parts()
        images = first._render_labels(_plan_of_part(plan, 0), labels)
        for index, part in enumerate(others, start=1):
            images = part._render_labels({**_plan_of_part(plan, index), "input": images}, labels)
        return images
