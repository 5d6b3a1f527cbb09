"""Blend: each image is made by one of several generators, drawn at random.

What a generator changes about an image is what a classifier learns to look past. Two that change
different things, one light and colour, one shape, teach it to look past both, where a single one
draws on its own kind of change again and again.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.generators.base import Generator
from synthaug.generators.composite import Composite, of_part
from synthaug.generators.conditional_vae import ConditionalVAE
from synthaug.generators.style_swap import StyleSwap
from synthaug.generators.transfer_vae import TransferVAE
from synthaug.seeding import Draws


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
            index: parts[index]._render_labels(of_part(plan, index), labels)
            for index in np.unique(chosen)
        }
        return torch.stack([made[index][i] for i, index in enumerate(chosen)])
