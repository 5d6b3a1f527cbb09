"""RandomField: an image under a mild random smooth deformation, gain and bias.

It needs no training and knows nothing of the data: what a TransferVAE gains over it is what was
learned about how the images of this data set vary. Relative: elastic distortion (Simard 2003).
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from synthaug.checks import expect_count, expect_number
from synthaug.generators.anchors import draw_member
from synthaug.generators.untrained import Untrained
from synthaug.seeding import Draws
from synthaug.warping import deform, resize_field


@dataclass
class RandomField(Untrained):
    """Smooth random flow, multiplicative and additive change of a real image.

    cells: side of the grid of random numbers that is interpolated to the image's size.
    flow: standard deviation of the displacement, in shares of half the image.
    gain: standard deviation of the logarithm of the brightness factor.
    bias: standard deviation of the added brightness, images being in [0, 1].

    `fit` and `sample` raise `InputError` for settings that make no sense.

    >>> from synthaug import RandomField, read_images
    >>> samples = RandomField().fit(read_images("digits"), device="cpu").sample(2)
    >>> samples.images.dtype
    dtype('uint8')
    """

    cells: int = 4
    flow: float = 0.04
    gain: float = 0.15
    bias: float = 0.05

    def _check_settings(self) -> None:
        expect_count("cells", self.cells)
        for name in ("flow", "gain", "bias"):
            expect_number(name, getattr(self, name), zero=True)

    def _plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        data = self._fitted()
        grid = (self.cells, self.cells)
        return {
            "image": draw_member(data, labels, draws, "image"),
            "flow": self.flow * draws.normal("flow", 2, *grid),
            "gain": self.gain * draws.normal("gain", 1, *grid),
            "bias": self.bias * draws.normal("bias", 1, *grid),
        }

    def _render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        image = deform(self._start(plan), plan["flow"])
        height, width = image.shape[2:]
        gain = resize_field(plan["gain"], height, width).exp()
        return (image * gain + resize_field(plan["bias"], height, width)).clamp(0, 1)
