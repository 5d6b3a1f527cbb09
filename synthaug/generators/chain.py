"""Chain: each image goes through several generators, one after another.

Where a Blend teaches a classifier to look past one change at a time, a chain makes images that
differ from the real ones in all of them at once: far more different images, and each of them
further from what was photographed.
"""

from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from synthaug.errors import InputError
from synthaug.generators.base import Generator
from synthaug.generators.composite import Composite, of_part
from synthaug.generators.patch_swap import PatchSwap
from synthaug.generators.style_swap import StyleSwap
from synthaug.seeding import Draws


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

    def _check_settings(self) -> None:
        super()._check_settings()
        for part in self.parts[1:]:
            if not part.changes_images:
                raise InputError(
                    f"parts: expected after the first only generators that change images, got a "
                    f"{part.family}, which makes them anew; let it be the first"
                )

    def _plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        plan = {"label": labels}
        for index, part in enumerate(self._sketches()):
            own = part._plan(labels, draws.apart(str(index)) if index else draws)
            plan |= {f"{index} {name}": value for name, value in own.items()}
        return plan

    def _render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        labels = plan["label"].cpu().numpy()
        first, *others = self._sketches()
        images = first._render_labels(of_part(plan, 0), labels)
        for index, part in enumerate(others, start=1):
            images = part._render_labels({**of_part(plan, index), "made": images}, labels)
        return images
