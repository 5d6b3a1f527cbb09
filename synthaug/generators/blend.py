"""Blend: each image is made by one of several generators, drawn at random.

What a generator changes about an image is what a classifier learns to look past. Two that change
different things, one light and colour, one shape, teach it to look past both, where a single one
draws on its own kind of change again and again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.errors import InputError
from synthaug.generators.base import Aids, Generator
from synthaug.generators.conditional_vae import ConditionalVAE
from synthaug.generators.single import make_single
from synthaug.generators.style_swap import StyleSwap
from synthaug.generators.transfer_vae import TransferVAE
from synthaug.images import LabelledImages
from synthaug.seeding import Draws
from synthaug.training import Run


@dataclass
class Blend(Generator):
    """Makes each image with one of its parts, all equally often.

    parts: at least two generators, of any other families; by default TransferVAE, ConditionalVAE
        and StyleSwap. Each learns as it would alone.

    A run that was killed goes on with the part that it was at; those before it learn again.

    >>> from synthaug import Blend, RandomField, StyleSwap, read_images
    >>> generator = Blend((StyleSwap(), RandomField())).fit(read_images("digits"), device="cpu")
    >>> generator.sample(1, seed=3).labels.tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """

    parts: tuple[Generator, ...] = field(
        default_factory=lambda: (TransferVAE(), ConditionalVAE(), StyleSwap())
    )

    @classmethod
    def of(cls, parts: Sequence[Generator]) -> Self:
        """A fitted blend of generators that are fitted already, to the same images.

        Raises `InputError` for parts that learned from different images.
        """
        cards = [part.card for part in parts]
        blend = cls(tuple(parts))
        blend._check_settings()
        if any(card["data"] != cards[0]["data"] for card in cards):
            raise InputError("parts: expected generators fitted to the same images, got others")
        anchors = max((part._fitted() for part in parts), key=len)
        networks = nn.ModuleList(part._networks for part in parts)
        blend._take([networks], anchors, parts[0]._device)
        blend._card = {
            **cards[0],
            "family": blend.family,
            "settings": blend.settings,
            "seconds": sum(card["seconds"] for card in cards),
            "holds_real_images": True,
            "parts": cards,
        }
        return blend

    def _check_settings(self) -> None:
        if len(self.parts) < 2 or any(isinstance(part, Blend) for part in self.parts):
            told = ", ".join(part.family for part in self.parts)
            raise InputError(f"parts: expected two generators or more, none a Blend, got {told}")
        for part in self.parts:
            part._check_settings()

    @property
    def learns(self) -> bool:
        return any(part.learns for part in self.parts)

    @property
    def settings(self) -> dict[str, Any]:
        return {"parts": [{"family": p.family, "settings": p.settings} for p in self.parts]}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        foreign = sorted(set(settings) - {"parts"})
        if foreign:
            raise InputError(f"unknown settings {foreign} of {cls.__name__}")
        return cls(tuple(_part(told) for told in settings.get("parts", cls().settings["parts"])))

    def _train(
        self, data: LabelledImages, run: Run, aids: Aids, notes: dict[str, Any]
    ) -> list[nn.Module]:
        starts = self._starts(aids.start)
        learned, notes["parts"] = [], []
        for index, (part, start) in enumerate(zip(self.parts, starts, strict=True)):
            own: dict[str, Any] = {}
            log = aids.log and aids.log / f"{index}-{part.family}"
            given = replace(aids, start=start, log=log)
            if self.learns and not part.learns:
                given = Aids()  # for those that learn; a blend of others refuses it
            networks = part._train(data, self._share(run, index), given, own)
            own |= part._sketch(networks, data, run.device)._notes(data)
            learned.append(nn.ModuleList(networks))
            notes["parts"].append({"family": part.family, **own})
        return [nn.ModuleList(learned)]

    def _starts(self, start: Generator | None) -> list[Generator | None]:
        """The part of a blend to start from, for each."""
        if start is None:
            return [None] * len(self.parts)
        assert isinstance(start, Blend)
        families = [[part.family for part in each.parts] for each in (self, start)]
        if families[0] != families[1]:
            raise InputError(f"start: expected a Blend of {families[0]}, got one of {families[1]}")
        parts = start._sketches()
        for part in parts:
            part._card = start.card
        return [*parts]

    def _share(self, run: Run, index: int) -> Run:
        """The run of one part."""
        steps = [part.settings.get("steps", 0) if part.learns else 0 for part in self.parts]
        before, total = sum(steps[:index]), sum(steps)
        place = run.checkpoint and run.checkpoint.with_name(f"{run.checkpoint.name}.{index}")
        said = run.progress
        return replace(
            run,
            identity=f"{run.identity} part {index}",
            checkpoint=place,
            progress=said and (lambda done, _: said(before + done, total)),
        )

    def _untrained(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        parts = (nn.ModuleList(part._untrained(image_shape, classes)) for part in self.parts)
        return [nn.ModuleList(parts)]

    def _sketches(self) -> list[Generator]:
        """The parts as they learned."""
        anchors = self._fitted()
        networks = self._networks[0]
        assert isinstance(networks, nn.ModuleList)
        return [
            part._sketch(own.children(), anchors, self._device)
            for part, own in zip(self.parts, networks, strict=True)
        ]

    def _plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        parts = self._sketches()
        plan = {"label": labels, "part": draws.choice("part", np.full(len(labels), len(parts)))}
        for index, part in enumerate(parts):
            plan |= {f"{index} {name}": v for name, v in part._plan(labels, draws).items()}
        return plan

    def _render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        labels, chosen = plan["label"].cpu().numpy(), plan["part"].cpu().numpy()
        parts = self._sketches()
        made = {
            index: parts[index]._render_labels(_of_part(plan, index), labels)
            for index in np.unique(chosen)
        }
        return torch.stack([made[index][i] for i, index in enumerate(chosen)])


def _part(told: object) -> Generator:
    """A part from what `settings` says of it."""
    if not isinstance(told, Mapping) or not isinstance(told.get("settings"), Mapping):
        raise InputError(f"parts: expected a family and its settings for each, got {told!r}")
    return make_single(told.get("family"), told["settings"])


def _of_part(plan: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """What one part planned."""
    start = f"{index} "
    return {k.removeprefix(start): value for k, value in plan.items() if k.startswith(start)}
