"""Draws docs/images/samples.png: real digits, and what each generator makes of ten a class.

python benchmarks/samples_figure.py docs/images/samples.png
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from synthaug import LabelledImages, TransferVAE, read_images
from synthaug.data import draw_subset
from synthaug.generators import Composite, registrations

CLASSES, EACH = 10, 2
SINGLE = {  # by class name, as the files of results have them
    each.family.__name__: each.family
    for each in registrations().values()
    if not issubclass(each.family, Composite)
}


def rows(data: LabelledImages) -> dict[str, np.ndarray]:
    """Name of each row -> its images (CLASSES * EACH, H, W)."""
    transfer = TransferVAE().fit(data, device="cpu")
    labels = np.repeat(np.arange(CLASSES), EACH)
    first = [index for k in range(CLASSES) for index in np.flatnonzero(data.labels == k)[:EACH]]
    found = {
        "real": data.images[first],
        "TransferVAE, any class": transfer.sample(labels, seed=1).images,
    }
    transfer.donors = "within"
    found["TransferVAE, within class"] = transfer.sample(labels, seed=1).images
    for family in SINGLE.values():
        if family is not TransferVAE:
            found[family.__name__] = family().fit(data, device="cpu").sample(labels, seed=1).images
    return {name: images[:, 0] for name, images in found.items()}


def draw(images: dict[str, np.ndarray], path: Path) -> None:
    figure = Figure(figsize=(9, 0.43 * len(images)), dpi=160, layout="constrained")
    for place, (name, row) in zip(figure.subplots(len(images), 1), images.items(), strict=True):
        place.imshow(np.concatenate(row, axis=1), cmap="gray", interpolation="nearest")
        place.set_xticks([])
        place.set_yticks([])
        place.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    digits = read_images("digits")
    draw(rows(digits.subset(draw_subset(digits, 10, seed=0))), Path(sys.argv[1]))
