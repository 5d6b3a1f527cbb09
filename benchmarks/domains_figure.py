"""Draws docs/images/domains.png: real images of three sets, and what four generators make of them.

python benchmarks/domains_figure.py DATASETS docs/images/domains.png
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from synthaug import ConditionalVAE, LabelledImages, PatchSwap, StyleSwap, TransferVAE, read_images

SETS = {  # title, images to train on, class of each picture
    "pneumoniamnist": ("chest X-rays", 50, [0, 1, 0, 1]),
    "wbc_types64": ("white blood cells", 14, [0, 1, 2, 3]),
    "gtsrb32": ("traffic signs", 50, [1, 13, 14, 33]),
}
GENERATORS = {
    "transfer": TransferVAE(),
    "vae": ConditionalVAE(),
    "patch-swap": PatchSwap(),
    "style-swap": StyleSwap(),
}


def first_of_each(data: LabelledImages, count: int) -> np.ndarray:
    """Indices of the first `count` images of each class."""
    places = [np.flatnonzero(data.labels == label)[:count] for label in range(len(data.classes))]
    return np.concatenate(places)


def rows(data: LabelledImages, labels: list[int]) -> dict[str, np.ndarray]:
    """Name of each row -> its images (N, C, H, W)."""
    seen = {label: list(np.flatnonzero(data.labels == label)) for label in set(labels)}
    images = {"real": data.images[[seen[label].pop(0) for label in labels]]}
    for name, generator in GENERATORS.items():
        fitted = generator.fit(data, device="cpu")
        images[name] = fitted.sample(np.array(labels), seed=2).images
    return images


def draw(columns: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """One column of pictures for each set, one row for each generator."""
    names = list(next(iter(columns.values())))
    figure = Figure(figsize=(9, 3.4), dpi=130, layout="constrained")
    axes = figure.subplots(len(names), len(columns))
    for column, (title, images) in enumerate(columns.items()):
        for row, name in enumerate(names):
            place = axes[row, column]
            strip = np.concatenate(images[name].transpose(0, 2, 3, 1), axis=1)
            place.imshow(strip.squeeze(), cmap="gray", interpolation="nearest")
            place.set_xticks([])
            place.set_yticks([])
            if row == 0:
                place.set_title(title, fontsize=9)
            if column == 0:
                place.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    figure.savefig(path)


if __name__ == "__main__":
    columns = {}
    for name, (title, count, labels) in SETS.items():
        data = read_images(Path(sys.argv[1]) / f"{name}.npz")
        columns[title] = rows(data.subset(first_of_each(data, count)), labels)
    draw(columns, Path(sys.argv[2]))
