"""What a Blend and a Chain share: several generators that learn, and are kept, as one."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from torch import Tensor, nn

from synthaug.errors import InputError
from synthaug.generators.base import Aids, Generator
from synthaug.generators.single import make_single
from synthaug.images import LabelledImages, white_of
from synthaug.training import Run


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
        made._settle()
        cards = [part.card for part in parts]
        if any(card["data"] != cards[0]["data"] for card in cards):
            raise InputError("parts: expected generators fitted to the same images, got others")
        anchors = max((part._fitted() for part in parts), key=len)
        device = parts[0]._device
        # Copies, since those that are moved to the first one's device are still another's there.
        networks = nn.ModuleList(copy.deepcopy(part._networks).to(device) for part in parts)
        made._take([networks], anchors, device, parts[0]._white)
        made._card = {
            **{name: cards[0][name] for name in ("seed", "data", "device", "versions")},
            "family": made.family,
            "settings": made.settings,
            "seconds": sum(card["seconds"] for card in cards),
            "holds_real_images": made.keeps_images,
            "parts": cards,
        }
        return made

    def _settle(self) -> None:
        self._check_settings()
        # Its own: what becomes of those that were given is another matter.
        self.parts = tuple(copy.copy(part) for part in self.parts)
        for part in self.parts:
            part._settle()

    def _check_settings(self) -> None:
        given = self.parts
        if not isinstance(given, (tuple, list)) or not all(
            isinstance(part, Generator) for part in given
        ):
            raise InputError(f"parts: expected a tuple of generators, got {given!r}")
        if len(self.parts) < 2 or any(isinstance(part, Composite) for part in self.parts):
            told = ", ".join(part.family for part in self.parts)
            raise InputError(
                f"parts: expected two generators or more, none a Blend or Chain, got {told}"
            )
        for part in self.parts:
            part._check_settings()

    @property
    def keeps_images(self) -> bool:
        return any(part.keeps_images for part in self.parts)

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
        parts = settings.get("parts", cls().settings["parts"])
        if not isinstance(parts, (tuple, list)):
            raise InputError(f"parts: expected a list of families and settings, got {parts!r}")
        return cls(tuple(_part(told) for told in parts))

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
                given = Aids()  # for those that learn; without any, the first part refuses it
            networks = part._train(data, self._share(run, index), given, own)
            white = white_of(data.images)
            own |= part._sketch(networks, data, run.device, white)._notes(data)
            learned.append(nn.ModuleList(networks))
            notes["parts"].append({"family": part.family, **own})
        return [nn.ModuleList(learned)]

    def _starts(self, start: Generator | None) -> list[Generator | None]:
        """The part to start from, for each."""
        if start is None:
            return [None] * len(self.parts)
        assert isinstance(start, Composite)
        families = [[part.family for part in each.parts] for each in (self, start)]
        if families[0] != families[1]:
            raise InputError(
                f"start: expected a {self.family} of {families[0]}, got one of {families[1]}"
            )
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
            part._sketch(own.children(), anchors, self._device, self._white)
            for part, own in zip(self.parts, networks, strict=True)
        ]


def singles(generator: Generator) -> tuple[Generator, ...]:
    """What one is made of: its parts, or itself alone."""
    return generator.parts if isinstance(generator, Composite) else (generator,)


def _part(told: object) -> Generator:
    """A part from what `settings` says of it."""
    if not isinstance(told, Mapping) or not isinstance(told.get("settings"), Mapping):
        raise InputError(f"parts: expected a family and its settings for each, got {told!r}")
    return make_single(told.get("family"), told["settings"])


def of_part(plan: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """What one part planned."""
    start = f"{index} "
    return {k.removeprefix(start): value for k, value in plan.items() if k.startswith(start)}
