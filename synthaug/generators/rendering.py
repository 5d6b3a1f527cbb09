"""Planned items rendered in blocks, so that an image does not depend on those made beside it.

The kernels that torch chooses, and so the last bits of their sums, depend on the size of the batch
and on an item's place in it. Blocks of one size at fixed places keep both.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

BLOCK = 64  # images that are rendered together, whatever the batch size


def render_in_blocks(
    render: Callable[[dict[str, Tensor], np.ndarray], Tensor],
    plan: Mapping[str, np.ndarray],
    labels: np.ndarray,
    device: torch.device,
    batch_size: int,
) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of a plan and their images (B, C, H, W), batch by batch.

    Args:
        render: Makes images of `BLOCK` planned items and their labels.
        plan: Arrays (M, ...).
        labels: Class of each item, int64 (M,).
        device: Where to render.
        batch_size: Images at once, rounded up to whole blocks.
    """
    at_once = -(-batch_size // BLOCK) * BLOCK
    for start in range(0, len(labels), at_once):
        stop = min(start + at_once, len(labels))
        blocks = []
        for first in range(start, stop, BLOCK):
            # Past the end copies of the last item fill the block.
            rows = np.minimum(np.arange(first, first + BLOCK), len(labels) - 1)
            items = {k: torch.as_tensor(v[rows]).to(device) for k, v in plan.items()}
            blocks.append(render(items, labels[rows]))
        yield slice(start, stop), torch.cat(blocks)[: stop - start]
