"""What a Blend and a Chain share: several generators that learn, and are kept, as one.

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
from synthaug.generators.session import FitSession
from synthaug.generators.transfer_vae import TransferVAE


@dataclass
class Composite(Generator):
    """Generators of any of the families that stand alone; each learns as it would alone.

    A run that was killed goes on with the part that it was at.
    """

    parts: tuple[Generator, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[Generator]) -> Self:
        """The same of generators that are fitted already, to the same images.

        Raises `InputError` for parts that learned from different images.
        """
        made = cls(parts)  # type: ignore[arg-type]
        made.normalise_settings()
        cards = [part.metadata for part in parts]
        if any(metadata["data"] != cards[0]["data"] for metadata in cards):
            raise InputError("parts: expected generators fitted to the same images, got others")
        anchors = max((part.training_data for part in parts), key=len)
        device = parts[0]._device
        # Copies, since those that are moved to the first one's device are still another's there.
        networks = nn.ModuleList(copy.deepcopy(part.networks).to(device) for part in parts)
        made._set_networks([networks], anchors, device, parts[0]._white)
        made._metadata = {
            **{name: cards[0][name] for name in ("seed", "data", "device", "versions")},
            "family": made.name,
            "settings": made.settings,
            "seconds": sum(metadata["seconds"] for metadata in cards),
            "holds_real_images": made.keeps_images,
            "parts": cards,
        }
        return made

    def normalise_settings(self) -> None:
        self.check_settings()
        # Its own: what becomes of those that were given is another matter.
        self.parts = tuple(copy.copy(part) for part in self.parts)
        for part in self.parts:
            part.normalise_settings()

    def check_settings(self) -> None:
        given = self.parts
        if not isinstance(given, (tuple, list)) or not all(
            isinstance(part, Generator) for part in given
        ):
            raise InputError(f"parts: expected a tuple of generators, got {given!r}")
        if len(self.parts) < 2 or any(isinstance(part, Composite) for part in self.parts):
            told = ", ".join(part.name for part in self.parts)
            raise InputError(
                f"parts: expected two generators or more, none a Blend or Chain, got {told}"
            )
        for part in self.parts:
            part.check_settings()

    @property
    def keeps_images(self) -> bool:
        return any(part.keeps_images for part in self.parts)

    @property
    def learns(self) -> bool:
        return any(part.learns for part in self.parts)

    @property
    def settings(self) -> dict[str, Any]:
        return {"parts": [{"family": p.name, "settings": p.settings} for p in self.parts]}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        foreign = sorted(set(settings) - {"parts"})
        if foreign:
            raise InputError(f"unknown settings {foreign} of {cls.__name__}")
        parts = settings.get("parts", cls().settings["parts"])
        if not isinstance(parts, (tuple, list)):
            raise InputError(f"parts: expected a list of families and settings, got {parts!r}")
        return cls(tuple(_part(told) for told in parts))

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return the same with these settings in each part that learns."""
        parts = self.parts
        return type(self)(tuple(p.with_settings(settings) if p.learns else p for p in parts))

    def train(self, data: LabelledImages, session: FitSession) -> list[nn.Module]:
        """Train each of the parts, and return one module of the networks of each."""
        starts = self._starts(session.start)
        learned: list[nn.Module] = []
        notes = session.notes["parts"] = []
        for index, (part, start) in enumerate(zip(self.parts, starts, strict=True)):
            own = self._share(session, index, start)
            learned.append(nn.ModuleList(part.train(data, own)))
            notes.append({"family": part.name, **own.notes})
        return [nn.ModuleList(learned)]

    def _starts(self, start: Generator | None) -> list[Generator | None]:
        """The part to start from, for each."""
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
        parts = (nn.ModuleList(part.build(image_shape, classes)) for part in self.parts)
        return [nn.ModuleList(parts)]

    def _fitted_parts(self) -> list[Generator]:
        """The parts as they learned."""
        anchors = self.training_data
        networks = self.networks[0]
        assert isinstance(networks, nn.ModuleList)
        return [
            part._with_networks(own.children(), anchors, self._device, self._white)
            for part, own in zip(self.parts, networks, strict=True)
        ]


def singles(generator: Generator) -> tuple[Generator, ...]:
    """What one is made of: its parts, or itself alone."""
    return generator.parts if isinstance(generator, Composite) else (generator,)


def _part(told: object) -> Generator:
    """A part from what `settings` says of it."""
    if not isinstance(told, Mapping) or not isinstance(told.get("settings"), Mapping):
        raise InputError(f"parts: expected a family and its settings for each, got {told!r}")
    family = generator_class(told.get("family"))
    if issubclass(family, Composite):
        raise InputError(f"parts: expected families that are no Blend or Chain, got {family.name}")
    return family.from_settings(told["settings"])


def of_part(plan: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """What one part planned."""
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
    """Makes each image with one of its parts, all equally often.

    parts: at least two generators, of any other families; by default TransferVAE, ConditionalVAE
        and StyleSwap. Each learns as it would alone.

    A run that was killed goes on with the part that it was at.

    `fit` and `sample` raise `InputError` for parts that make no sense.

    >>> from synthaug import Blend, RandomField, StyleSwap, read_images
    >>> generator = Blend((StyleSwap(), RandomField())).fit(read_images("digits"), device="cpu")
    >>> generator.sample(1, seed=3).labels.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    parts: tuple[Generator, ...] = field(
        default_factory=lambda: (TransferVAE(), ConditionalVAE(), StyleSwap())
    )

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        parts = self._fitted_parts()
        plan = {"label": labels, "part": draws.choice("part", np.full(len(labels), len(parts)))}
        for index, part in enumerate(parts):
            plan |= {f"{index} {name}": v for name, v in part.plan(labels, draws).items()}
        return plan

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        labels, chosen = plan["label"].cpu().numpy(), plan["part"].cpu().numpy()
        parts = self._fitted_parts()
        made = {
            index: parts[index]._render_labels(of_part(plan, index), labels)
            for index in np.unique(chosen)
        }
        return torch.stack([made[index][i] for i, index in enumerate(chosen)])


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
    """Changes each image by all of its parts, in their order.

    parts: at least two generators; by default PatchSwap and StyleSwap. Each after the first is one
        that changes images: PatchSwap, StyleSwap, RandomField, TransferVAE, or a ConditionalVAE or
        VAEGAN that samples from codes of images. Each learns from the real images, as it would
        alone.

    A run that was killed goes on with the part that it was at.

    `fit` and `sample` raise `InputError` for parts that make no sense, and for one after the first
    that makes images anew.

    >>> from synthaug import Chain, RandomField, StyleSwap, read_images
    >>> generator = Chain((StyleSwap(), RandomField())).fit(read_images("digits"), device="cpu")
    >>> generator.sample(1, seed=3).labels.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    parts: tuple[Generator, ...] = field(default_factory=lambda: (PatchSwap(), StyleSwap()))

    def check_settings(self) -> None:
        super().check_settings()
        for part in self.parts[1:]:
            if not part.changes_images:
                raise InputError(
                    f"parts: expected after the first only generators that change images, got a "
                    f"{part.name}, which makes them anew; let it be the first"
                )

    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        plan = {"label": labels}
        for index, part in enumerate(self._fitted_parts()):
            own = part.plan(labels, draws.apart(str(index)) if index else draws)
            plan |= {f"{index} {name}": value for name, value in own.items()}
        return plan

    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        labels = plan["label"].cpu().numpy()
        first, *others = self._fitted_parts()
        images = first._render_labels(of_part(plan, 0), labels)
        for index, part in enumerate(others, start=1):
            images = part._render_labels({**of_part(plan, index), "made": images}, labels)
        return images
