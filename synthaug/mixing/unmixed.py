"""A real Dataset alone, behind the same methods as a mixed one."""

from typing import Any

from synthaug.mixing.epochs import tell_epoch
from synthaug.mixing.forms import pair_of
from synthaug.mixing.synthetic import LabelledDataset, Transform
from synthaug.reading import labels_and_classes


class Unmixed(LabelledDataset):
    """`real` as it is, but for a transform: for a recipe that recommends to mix nothing in, so that
    the lines around it are the same for both answers."""

    ratio = 0.0

    def __init__(self, real: Any, transform: Transform | None) -> None:
        super().__init__(transform, None, None)
        self.real = real
        labels, names = labels_and_classes(real)
        self.targets, self.classes = labels.tolist(), list(names)

    def set_epoch(self, epoch: int) -> None:
        """Nothing changes with it but a `MixedDataset` within, which is told."""
        tell_epoch(self.real, epoch)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Any:
        item = self.real[index]
        return item if self.transform is None else self._transformed(*pair_of(item))

    def extra_repr(self) -> str:
        """What it is of."""
        return f"Real: {type(self.real).__name__}, {len(self.real)} items, nothing mixed in"
