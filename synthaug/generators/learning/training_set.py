"""The real images that networks learn from: one network of all classes, or one of each."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from synthaug.core import Session, StepDraws, channels_last, jitter, stream_seed, torch_stream
from synthaug.data import LabelledImages, take, to_float, to_tensor, white_of
from synthaug.generators.learning.stacked import stack
from synthaug.generators.real_images import sort_by_class

SCOPES = ("shared", "per-class")


class TrainingSet:
    """Real images, the networks that learn from them, and their random numbers.

    Args:
        scope: "shared", one network that is told the class; or "per-class", one network for each
            class that sees no image of another. Seeds are named after the class, so that what it
            learns does not depend on which other classes there are.
        notes: What the card should say about the training.
        white: The stored number that networks see as 1; by default that of `data`, which may be
            only some of the classes that there are.
    """

    def __init__(
        self,
        data: LabelledImages,
        scope: str,
        session: Session,
        notes: dict[str, Any],
        white: int | None = None,
    ) -> None:
        self.image_shape = data.image_shape
        self.session, self.notes = session, notes
        apart = scope == "per-class"
        self.networks = len(data.classes) if apart else 1
        self._white = white_of(data.images) if white is None else white
        self._images = to_tensor(data.images).to(
            session.device
        )  # as floats they take four times more
        self._labels = torch.from_numpy(data.labels)
        self._streams = [("class", name) for name in data.classes] if apart else [()]
        self._class_names = [(name,) for name in data.classes] if apart else [data.classes]
        order, starts, sizes = sort_by_class(data.labels, len(data.classes))
        self._order, self._starts, self._sizes = map(torch.from_numpy, (order, starts, sizes))
        self._ranks = torch.argsort(self._order)
        # For each network: its images (in `_places`, how many) and its classes.
        self._places = self._order if apart else torch.arange(len(data), device="cpu")
        self._first = self._starts if apart else torch.zeros(1, dtype=torch.int64, device="cpu")
        self._counts = sizes.tolist() if apart else [len(data)]
        self._first_class = torch.arange(len(data.classes), device="cpu") if apart else self._first
        self.classes = 1 if apart else len(data.classes)

    def build(self, name: str, make: Callable[[Sequence[str]], nn.Module]) -> nn.Module:
        """Build the networks on the device, stacked where each has a class.

        Args:
            name: Of the stream of initial weights.
            make: Builds a network, of the names of its classes.
        """
        networks = []
        for stream, classes in zip(self._streams, self._class_names, strict=True):
            with torch_stream(self.session.seed, name, *stream):
                networks.append(channels_last(make(classes)))
        shared = not self._streams[0]
        return (networks[0] if shared else stack(networks)).to(self.session.device)

    def draws(self, step: int) -> StepDraws:
        """Return the random numbers of a step."""
        if not self._streams[0]:
            return StepDraws([None])  # `optimize` seeds the global generator by the step
        return StepDraws(
            [
                torch.Generator().manual_seed(stream_seed(self.session.seed, *stream, "step", step))
                for stream in self._streams
            ]
        )

    def any(self, draws: StepDraws, count: int) -> Tensor:
        """Draw `count` images for each network; each process that trains it draws its share.

        Returns:
            Places of the images, int64 (G * count,).
        """
        count = count // self.session.team.size
        places = draws.integers(count * self.networks, self._counts)
        return self._places[self._first.repeat_interleave(count) + places]

    def draw_balanced(self, draws: StepDraws, count: int) -> Tensor:
        """Draw as `any` does, each class of a network equally often."""
        count = count // self.session.team.size
        label = self._first_class.repeat_interleave(count) + draws.integers(
            count * self.networks, self.classes
        )
        rank = (draws.uniform(len(label)) * self._sizes[label]).long()
        return self._order[self._starts[label] + rank]

    def another(self, draws: StepDraws, places: Tensor) -> Tensor:
        """Draw for each of `places` (B,) another image of its class, int64 (B,).

        It is the same one where there is no other.
        """
        label = self._labels[places]
        start, size = self._starts[label], self._sizes[label]
        # 1 to size - 1 places on within the class.
        offset = 1 + (draws.uniform(len(places)) * (size - 1)).long()
        return self._order[start + (self._ranks[places] - start + offset) % size]

    def images(self, places: Tensor) -> Tensor:
        """Return images at `places` (B,), float32 (B, C, H, W) in [0, 1], on the device."""
        stored = take(self._images, places.to(self.session.device))
        return to_float(stored, self.session.device, self._white)

    def jitter_alike(self, draws: StepDraws, *places: Tensor) -> list[Tensor]:
        """Return images as `images` does, for each of several `places` (B,), a little moved.

        They are rotated, zoomed and moved by half of what is usual for classifiers, so that the
        code of an image is more than its number.
        """
        each = [part.view(self.networks, -1) for part in places]
        images = self.images(torch.stack(each, 1).flatten())  # a network's own follow each other
        moved = jitter(images, draws, angle=0.09, zoom=0.05, shift=0.1)
        parts = moved.view(self.networks, len(places), -1, *moved.shape[1:]).unbind(1)
        return [part.flatten(0, 1) for part in parts]

    def labels(self, places: Tensor) -> Tensor:
        """Return the classes of images as the networks have them, int64 (B,), on the device.

        A network of one class has it as 0.
        """
        label = self._labels[places]
        return (label if self.classes > 1 else label * 0).to(self.session.device)
