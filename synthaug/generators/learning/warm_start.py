"""The weights of a fitted generator as the start of another one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from synthaug.errors import InputError


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
