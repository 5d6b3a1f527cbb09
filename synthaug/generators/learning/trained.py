"""Generators that learn by gradient, one network for all classes or one for each.

`WarmStart` gives such networks the weights of a fitted generator to begin from.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.core import ALONE, InputError, Team, current, expect_choice, torch_stream
from synthaug.data import LabelledImages, Samples, white_of
from synthaug.generators.base import Generator
from synthaug.generators.learning.stacked import unstack
from synthaug.generators.learning.training_set import SCOPES, TrainingSet
from synthaug.generators.learning.watching import (
    PROBE_IMAGES,
    VARIETY,
    Watcher,
    diversity,
    usefulness,
)
from synthaug.generators.real_images import FEWEST_IMAGES
from synthaug.generators.saving import origins_of
from synthaug.generators.session import FitSession


class WarmStart:
    """Networks to begin from, and the classes that each has learned.

    Args:
        networks: One of all `classes` where it is `shared`, or one of each.
        classes: Names of the classes.
        shared: Whether there is one network for all classes.
    """

    def __init__(
        self, networks: Sequence[nn.Module], classes: Sequence[str], *, shared: bool
    ) -> None:
        self._networks, self._classes, self._shared = networks, list(classes), shared

    def give(self, network: nn.Module, classes: Sequence[str]) -> None:
        """Put the weights into `network`, whose classes are `classes`.

        What belongs to a class goes to the class of that name; a class that the start does not have
        begins as the mean of those that it has, or, where each has a network, from scratch.

        Raises:
            InputError: For a network of other sizes, or of all classes from networks of one.
        """
        if self._shared:
            self._copy(network, self._networks[0], classes)
        elif len(classes) > 1:
            raise InputError(
                "start: it has a network for each class and cannot start one that is shared by "
                "all; expected scope='per-class', or a start with scope='shared'"
            )
        elif classes[0] in self._classes:
            self._copy(network, self._networks[self._classes.index(classes[0])], classes)

    def missing_of(self, classes: Sequence[str]) -> list[str]:
        """Return those of `classes` that the start does not have."""
        return [name for name in classes if name not in self._classes]

    def _copy(self, network: nn.Module, source: nn.Module, classes: Sequence[str]) -> None:
        modules = network.named_modules()
        by_class = {f"{name}.weight" for name, each in modules if isinstance(each, nn.Embedding)}
        target, weights = network.state_dict(), source.state_dict()
        if target.keys() != weights.keys():
            different = sorted(target.keys() ^ weights.keys())[0]
            raise self._unlike(f"one of them has {different!r}, the other has not")
        for name, value in weights.items():
            if name in by_class:
                value = self._rows(value, classes)
            if value.shape != target[name].shape:
                raise self._unlike(
                    f"{name!r}: expected {tuple(target[name].shape)}, got {tuple(value.shape)}"
                )
            target[name] = value
        network.load_state_dict(target)

    def _rows(self, rows: Tensor, classes: Sequence[str]) -> Tensor:
        """Return the rows of `classes`, of a table that has one for each class of the start."""
        if len(rows) == 1:  # of a network of a single class, whatever its name
            return rows.expand(len(classes), -1)
        mean = rows.mean(0)
        places = {name: index for index, name in enumerate(self._classes)}
        return torch.stack([rows[places[name]] if name in places else mean for name in classes])

    @staticmethod
    def _unlike(reason: str) -> InputError:
        return InputError(
            f"start: its networks are built otherwise ({reason}); expected the same settings and "
            "image size"
        )


@dataclass
class Trained(Generator):
    """A generator that learns by gradient.

    Args:
        scope: "shared", one network for all classes; or "per-class", one for each, all trained at
            once, where a network learns the same, but for rounding, whichever others learn beside
            it, unless `validation` chooses the moment to keep, which is one for all of a process.
    """

    scope: str = field(default="shared", kw_only=True)

    @abstractmethod
    def _network(self, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the untrained network for so many classes."""

    @abstractmethod
    def _learn(self, module: nn.Module, training_set: TrainingSet) -> nn.Module:
        """Train `module`, one network or several side by side, and return what to sample from."""

    def _describe(self, data: LabelledImages) -> dict[str, Any]:
        """Return what the metadata should say of the fitted generator."""
        return {}

    @property
    def _judged_after(self) -> float:
        """The share of a run before which samples are not yet what training aims at."""
        return 0.0

    def check_settings(self) -> None:
        """Raise `InputError` for a setting that makes no sense."""
        expect_choice("scope", self.scope, SCOPES)

    def train(self, data: LabelledImages, session: FitSession) -> list[nn.Module]:
        """Train one network for all classes or one for each, in all processes of the team."""
        start, notes = session.start, session.notes
        warm_start = None
        if start is not None:
            shared = start.settings["scope"] == "shared"
            warm_start = WarmStart(list(start.networks), start.classes, shared=shared)
            notes["start"] = {
                "fingerprint": start.metadata["data"]["fingerprint"],
                "origins": sorted(origins_of(start.metadata)),
                "missing": warm_start.missing_of(data.classes),
            }
        team, white = current(), white_of(data.images)
        if team.size > 1:
            session = replace(session, identity=f"{session.identity} processes {team.size}")
        if self.scope == "shared" or team.size == 1:
            self._check_share(team)
            networks = self._train_here(data, session, warm_start, white, team)
        else:
            networks = self._train_classes_apart(data, session, warm_start, white, team)
        fitted = self._with_networks(networks, data, session.device, white)
        ratios = diversity(fitted.sample(VARIETY, seed=session.seed), data)
        notes["diversity"] = ratios.round(4).tolist()
        if session.validation is not None:
            samples = fitted.sample(PROBE_IMAGES, seed=session.seed)
            notes["validation"] = usefulness(samples, session.validation)._asdict()
        notes |= fitted._describe(data)
        return networks

    def _train_here(
        self,
        data: LabelledImages,
        session: FitSession,
        warm_start: WarmStart | None,
        white: int,
        team: Team = ALONE,
    ) -> list[nn.Module]:
        """Train the networks of these classes in this process; `white` is that of all classes."""

        def make(classes: Sequence[str]) -> nn.Module:
            network = self._network(data.image_shape, len(classes))
            if warm_start is not None:
                warm_start.give(network, classes)
            return network

        # Not of `training_set`, which would hold itself by what it is watched by, and so the images
        # on the device until the collector comes by.
        count = 1 if self.scope == "shared" else len(data.classes)

        def sample(average: nn.Module, each: int) -> Samples:
            fitted = self._with_networks(unstack(average, count), data, session.device, white)
            return fitted.sample(each, seed=session.seed)

        log = session.log if team.leads else None
        steps = int(self.settings["steps"])
        judged_from = self._judged_after * steps
        watcher = Watcher(self.name, steps, data, sample, session.validation, log, judged_from)
        watched_session = replace(
            session.core(),
            watch=watcher.look,
            log=watcher.log if log else None,
            ended=partial(self._note_steps, data, session.notes),
            team=team,
        )
        training_set = TrainingSet(data, self.scope, watched_session, session.notes, white)
        try:
            module = self._learn(training_set.build("build", make), training_set)
        finally:
            watcher.close()
        return unstack(module, count)

    def _note_steps(self, data: LabelledImages, notes: dict[str, Any], steps: int) -> None:
        """Note the steps of a run that has ended, perhaps before all of them."""
        notes["steps"] = steps
        if self.scope == "per-class":
            images = steps * self.settings["batch_size"]
            notes["passes"] = (images / data.counts).round(1).tolist()

    def _train_classes_apart(
        self,
        data: LabelledImages,
        session: FitSession,
        warm_start: WarmStart | None,
        white: int,
        team: Team,
    ) -> list[nn.Module]:
        """Train the classes rank, rank + size, ... in this process, and gather those of all."""
        classes = data.classes[team.rank :: team.size]
        networks: list[nn.Module] = []
        if classes:
            checkpoint, validation = session.checkpoint, session.validation
            if checkpoint is not None:
                checkpoint = checkpoint.with_name(f"{checkpoint.name}.{team.rank}")
            if validation is not None:
                validation = select_classes(validation, classes)
                if len(validation) < FEWEST_IMAGES:
                    validation = None  # as without any: nothing can be judged by so few
            log = session.log and session.log / str(team.rank)
            own = replace(session, checkpoint=checkpoint, validation=validation, log=log)
            networks = self._train_here(select_classes(data, classes), own, warm_start, white)
        states = team.gather([network.cpu().state_dict() for network in networks])
        self._gather_notes(session.notes, len(data.classes), team)
        with torch_stream(0, "load"):  # the user's own stays where it was
            networks = self.build(data.image_shape, len(data.classes))
        for index, network in enumerate(networks):
            network.load_state_dict(states[index % team.size][index // team.size])
        return [network.to(session.device).eval() for network in networks]

    @staticmethod
    def _gather_notes(notes: dict[str, Any], classes: int, team: Team) -> None:
        """Bring together what each process noted of its own classes."""
        progress = team.gather((notes.get("steps", 0), notes.get("passes", [])))
        notes["steps"] = max(steps for steps, _ in progress)
        notes["passes"] = [
            progress[index % team.size][1][index // team.size] for index in range(classes)
        ]
        certainties = [each for each in team.gather(notes.get("certainty")) if each is not None]
        if certainties:  # the most of several, as where one process trains them all
            notes["certainty"] = max(certainties)

    def _check_share(self, team: Team) -> None:
        """Raise `InputError` for a batch that the processes of a team cannot share."""
        batch = self.settings["batch_size"]
        if batch % team.size or batch // team.size < 2:
            raise InputError(
                f"batch_size: expected a multiple of the {team.size} processes, two images for "
                f"each at least, got {batch}"
            )

    def build(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        """Build the networks untrained: one for all classes, or one for each."""
        if self.scope == "shared":
            return [self._network(image_shape, classes)]
        return [self._network(image_shape, 1) for _ in range(classes)]

    def _network_labels(self, labels: np.ndarray) -> np.ndarray:
        """Return `labels` as the networks have them: one of a single class has it as 0.

        Raises:
            InputError: If the scope is no more that of these networks.
        """
        if len(self.classes) > 1 and (self.scope == "shared") != (len(self.networks) == 1):
            raise InputError(
                f"scope: this {self.name} was fitted with another than {self.scope!r}; set it "
                "back, or fit it again"
            )
        return labels if self.scope == "shared" else np.zeros_like(labels)


def select_classes(data: LabelledImages, classes: Sequence[str]) -> LabelledImages:
    """Return the images of some of the classes, which are counted anew."""
    places = np.array([list(data.classes).index(name) for name in classes])
    images = data.subset(np.flatnonzero(np.isin(data.labels, places)))
    labels = np.searchsorted(places, images.labels)
    return LabelledImages(images.images, labels, list(classes), images.groups)
