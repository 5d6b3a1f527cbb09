"""The weights of a fitted generator as the start of another one.

A generator that learns by gradient, one network for all classes or one for each.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.core import InputError, Session, Team, current, expect_choice, torch_stream
from synthaug.data import LabelledImages, Samples, white_of
from synthaug.generators.base import Aids, Generator
from synthaug.generators.learning.stacked import unstack
from synthaug.generators.learning.training_set import SCOPES, TrainingSet
from synthaug.generators.learning.watching import PROBED, VARIETY, Watcher, diversity, usefulness
from synthaug.generators.real_images import FEWEST_IMAGES
from synthaug.generators.saving import origins_of


class WarmStart:
    """Networks to begin from, and what each knows.

    networks: one of all `classes` where it is `shared`, or one of each.
    """

    def __init__(
        self, networks: Sequence[nn.Module], classes: Sequence[str], *, shared: bool
    ) -> None:
        self._networks, self._classes, self._shared = networks, list(classes), shared

    def give(self, network: nn.Module, known: Sequence[str]) -> None:
        """Put the weights into `network`, which is told the classes `known` apart.

        What belongs to a class goes to the class of that name; a class that the start did not know
        begins as the mean of those that it knew, or, where each has a network, from scratch.

        Raises `InputError` for a network of other sizes, or of all classes from networks of one.
        """
        if self._shared:
            self._copy(network, self._networks[0], known)
        elif len(known) > 1:
            raise InputError(
                "start: it has a network for each class and cannot start one that is shared by "
                "all; expected scope='per-class', or a start with scope='shared'"
            )
        elif known[0] in self._classes:
            self._copy(network, self._networks[self._classes.index(known[0])], known)

    def missing_of(self, classes: Sequence[str]) -> list[str]:
        """Those of `classes` that the start does not know."""
        return [name for name in classes if name not in self._classes]

    def _copy(self, network: nn.Module, source: nn.Module, known: Sequence[str]) -> None:
        parts = network.named_modules()
        by_class = {f"{name}.weight" for name, part in parts if isinstance(part, nn.Embedding)}
        target, given = network.state_dict(), source.state_dict()
        if target.keys() != given.keys():
            different = sorted(target.keys() ^ given.keys())[0]
            raise self._refuse(f"one of them has {different!r}, the other has not")
        for name, value in given.items():
            if name in by_class:
                value = self._rows(value, known)
            if value.shape != target[name].shape:
                raise self._refuse(
                    f"{name!r}: expected {tuple(target[name].shape)}, got {tuple(value.shape)}"
                )
            target[name] = value
        network.load_state_dict(target)

    def _rows(self, rows: Tensor, known: Sequence[str]) -> Tensor:
        """The rows of `known`, of a table that has one for each class of the start."""
        if len(rows) == 1:  # of a network that knows a single class, whatever its name
            return rows.expand(len(known), -1)
        mean = rows.mean(0)
        places = {name: index for index, name in enumerate(self._classes)}
        return torch.stack([rows[places[name]] if name in places else mean for name in known])

    @staticmethod
    def _refuse(why: str) -> InputError:
        return InputError(
            f"start: its networks are built otherwise ({why}); expected the same settings and "
            "image size"
        )


@dataclass
class Trained(Generator):
    """A generator that learns by gradient.

    scope: "shared", one network for all classes; or "per-class", one for each, all trained at once,
        where a network learns the same, but for rounding, whichever others learn beside it, unless
        `validation` chooses the moment to keep, which is one for all of a process.
    """

    scope: str = field(default="shared", kw_only=True)

    @abstractmethod
    def _build(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """The untrained network for so many classes."""

    @abstractmethod
    def _learn(self, module: nn.Module, lessons: TrainingSet) -> nn.Module:
        """Train `module`, one network or several side by side, and return what to sample from."""

    @property
    def _told_after(self) -> float:
        """The share of a run after which the network is told the class in full, as samples are."""
        return 0.0

    def _check_settings(self) -> None:
        expect_choice("scope", self.scope, SCOPES)

    def _train(
        self, data: LabelledImages, run: Session, aids: Aids, notes: dict[str, Any]
    ) -> list[nn.Module]:
        start = None
        if aids.start is not None:
            networks = list(aids.start._networks)
            shared = aids.start.settings["scope"] == "shared"
            start = WarmStart(networks, aids.start.classes, shared=shared)
            notes["start"] = {
                "fingerprint": aids.start.metadata["data"]["fingerprint"],
                "origins": sorted(origins_of(aids.start.metadata)),
                "missing": start.missing_of(data.classes),
            }
        ours, white = current(), white_of(data.images)
        if ours.size > 1:
            run = replace(run, identity=f"{run.identity} processes {ours.size}")
        if self.scope == "shared" or ours.size == 1:
            self._check_share(ours)
            learned = self._run(data, replace(run, team=ours), aids, start, notes, white)
        else:
            learned = self._deal(data, run, aids, start, notes, ours)
        sketch = self._sketch(learned, data, run.device, white)
        varied = diversity(sketch.sample(VARIETY, seed=run.seed), data)
        notes["diversity"] = varied.round(4).tolist()
        if aids.validation is not None:
            taught = sketch.sample(PROBED, seed=run.seed)
            notes["validation"] = usefulness(taught, aids.validation)._asdict()
        return learned

    def _run(
        self,
        data: LabelledImages,
        run: Session,
        aids: Aids,
        start: WarmStart | None,
        notes: dict[str, Any],
        white: int,
    ) -> list[nn.Module]:
        """Train the networks of these classes in this process; `white` is that of all classes."""

        def make(known: Sequence[str]) -> nn.Module:
            network = self._build(data.image_shape, len(known))
            if start is not None:
                start.give(network, known)
            return network

        # Not of `lessons`, which would hold itself by what it is watched by, and so the images on
        # the device until the collector comes by.
        count = 1 if self.scope == "shared" else len(data.classes)

        def sample(average: nn.Module, each: int) -> Samples:
            networks = unstack(average, count)
            return self._sketch(networks, data, run.device, white).sample(each, seed=run.seed)

        log = aids.log if run.team.leads else None
        steps = int(self.settings["steps"])
        judged_from = self._told_after * steps
        watcher = Watcher(self.family, steps, data, sample, aids.validation, log, judged_from)
        logged = watcher.log if log else None
        told = partial(self._note_steps, data, notes)
        watched = replace(run, watch=watcher.look, log=logged, ended=told)
        lessons = TrainingSet(data, self.scope, watched, notes, white)
        try:
            learned = self._learn(lessons.build("build", make), lessons)
        finally:
            watcher.close()
        return unstack(learned, count)

    def _note_steps(self, data: LabelledImages, notes: dict[str, Any], steps: int) -> None:
        """Of a run that has ended, perhaps before all of its steps."""
        notes["steps"] = steps
        if self.scope == "per-class":
            shown = steps * self.settings["batch_size"]
            notes["passes"] = (shown / data.counts).round(1).tolist()

    def _deal(
        self,
        data: LabelledImages,
        run: Session,
        aids: Aids,
        start: WarmStart | None,
        notes: dict[str, Any],
        ours: Team,
    ) -> list[nn.Module]:
        """Train the classes rank, rank + size, ... in this process, and gather those of all."""
        own = data.classes[ours.rank :: ours.size]
        learned: list[nn.Module] = []
        if own:
            if run.checkpoint is not None:
                place = run.checkpoint.with_name(f"{run.checkpoint.name}.{ours.rank}")
                run = replace(run, checkpoint=place)
            validation = aids.validation and only(aids.validation, own)
            if validation is not None and len(validation) < FEWEST_IMAGES:
                validation = None  # as where none are given: nothing can be judged by so few
            log = aids.log and aids.log / str(ours.rank)
            part = replace(aids, validation=validation, log=log)
            white = white_of(data.images)
            learned = self._run(only(data, own), run, part, start, notes, white)
        states = ours.gather([network.cpu().state_dict() for network in learned])
        ran = ours.gather((notes.get("steps", 0), notes.get("passes", [])))
        notes["steps"] = max(steps for steps, _ in ran)
        notes["passes"] = [
            ran[index % ours.size][1][index // ours.size] for index in range(len(data.classes))
        ]
        sure = [each for each in ours.gather(notes.get("certainty")) if each is not None]
        if sure:  # the most of several, as where one process trains them all
            notes["certainty"] = max(sure)
        with torch_stream(0, "load"):  # the user's own stays where it was
            networks = self._untrained(data.image_shape, len(data.classes))
        for index, network in enumerate(networks):
            network.load_state_dict(states[index % ours.size][index // ours.size])
        return [network.to(run.device).eval() for network in networks]

    def _check_share(self, ours: Team) -> None:
        batch = self.settings["batch_size"]
        if batch % ours.size or batch // ours.size < 2:
            raise InputError(
                f"batch_size: expected a multiple of the {ours.size} processes, two images for "
                f"each at least, got {batch}"
            )

    def _untrained(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        if self.scope == "shared":
            return [self._build(image_shape, classes)]
        return [self._build(image_shape, 1) for _ in range(classes)]

    def _known_as(self, labels: np.ndarray) -> np.ndarray:
        """`labels` as the networks know them: one that knows a single class calls it 0.

        Raises `InputError` where the scope is no more that of these networks.
        """
        if len(self.classes) > 1 and (self.scope == "shared") != (len(self._networks) == 1):
            raise InputError(
                f"scope: this {self.family} was fitted with another than {self.scope!r}; set it "
                "back, or fit it again"
            )
        return labels if self.scope == "shared" else np.zeros_like(labels)


def only(data: LabelledImages, classes: Sequence[str]) -> LabelledImages:
    """The images of some of the classes, which are counted anew."""
    places = np.array([list(data.classes).index(name) for name in classes])
    kept = data.subset(np.flatnonzero(np.isin(data.labels, places)))
    labels = np.searchsorted(places, kept.labels)
    return LabelledImages(kept.images, labels, list(classes), kept.groups)
