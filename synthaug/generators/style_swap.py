"""StyleSwap: an image keeps its detail and takes the low frequencies of another image.

The colour cast, light and background gradient of an image of any class replace those of an image
of the wanted class, which breaks chance correlations between them and the class. It needs no
training, so it is the control that a trained generator has to beat. Relative: Fourier domain
adaptation (Yang and Soatto, CVPR 2020), here in pixel space.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.checks import expect_choice, expect_count, expect_range
from synthaug.generators.anchors import DONORS, draw_donor, draw_member
from synthaug.generators.untrained import Untrained
from synthaug.seeding import Draws


@dataclass
class StyleSwap(Untrained):
    """Swap everything coarser than a `cells` × `cells` grid between images.

    cells: side of the grid that holds what is swapped, at most a quarter of the image's; 1 is the
        mean alone.
    strength: how much of the difference is applied, drawn uniformly from this range.
    donors: "any" takes the style of an image of any class, "within" of the same class.

    `fit` and `sample` raise `InputError` for settings that make no sense.

    >>> from synthaug import StyleSwap, read_images
    >>> samples = StyleSwap().fit(read_images("digits"), device="cpu").sample(2)
    >>> samples.images.shape
    (20, 1, 16, 16)
    """

    cells: int = 8
    strength: tuple[float, float] = (0.5, 1.0)
    donors: str = "any"

    def _check_settings(self) -> None:
        expect_count("cells", self.cells)
        expect_range("strength", self.strength)
        expect_choice("donors", self.donors, DONORS)

    def _plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        data = self._fitted()
        return {
            "image": draw_member(data, labels, draws, "image"),
            "donor": draw_donor(data, labels, draws, self.donors),
            "strength": draws.uniform("strength", low=self.strength[0], high=self.strength[1]),
        }

    def _render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        image, donor = self._start(plan), self._real(plan["donor"])
        step = low_frequencies(donor, self.cells) - low_frequencies(image, self.cells)
        return (image + plan["strength"][:, None, None, None] * step).clamp(0, 1)


def low_frequencies(images: Tensor, cells: int) -> Tensor:
    """(B, C, H, W) averaged over a grid of cells and interpolated back, the shape unchanged.

    A cell is never smaller than 4 pixels: on tiny images the coarse part would be all there is.
    """
    height, width = images.shape[2:]
    grid = F.adaptive_avg_pool2d(images, (min(cells, height // 4), min(cells, width // 4)))
    return F.interpolate(grid, (height, width), mode="bicubic", align_corners=False)
