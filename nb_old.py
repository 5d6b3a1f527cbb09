import tempfile
from pathlib import Path

from PIL import Image

from synthaug import read_images

folder = Path(tempfile.mkdtemp()) / "digits"
for split, count in (("train", 200), ("test", 300)):
    digits = read_images("digits", split=split)
    for index, label in enumerate(digits.labels[:count]):
        target = folder / split / digits.classes[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[index, 0]).save(target / f"{index}.png")

train = read_images(folder)
test = read_images(folder, split="test")
print(train)
print("images of each class:", train.counts)
from synthaug import ConditionalVAE, SamplePool

generator = ConditionalVAE(steps=40).fit(train, device="cpu")
pool = SamplePool.create(folder.parent / "pool", generator, per_class=40)
print(len(pool), pool.classes)
import numpy as np
from matplotlib.figure import Figure

figure = Figure(figsize=(6, 1.6), layout="constrained")
for axes, (title, part) in zip(
    figure.subplots(2, 1), (("real", train), ("synthetic", pool.samples)), strict=True
):
    first = [np.flatnonzero(part.labels == label)[0] for label in range(len(train.classes))]
    axes.imshow(np.concatenate(part.images[first, 0], axis=1), cmap="gray")
    axes.set_ylabel(title, rotation=0, ha="right", va="center")
    axes.set(xticks=[], yticks=[])
figure.savefig('/tmp/docs-work/nb.png')
import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from synthaug import MixedDataset

transform = v2.Compose(
    [v2.Grayscale(), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.RandomCrop(16, 2)]
)
real = ImageFolder(folder / "train", transform, loader=lambda path: Image.open(path).convert("L"))
mixed = MixedDataset(real, pool, ratio=0.25)
images, labels = next(iter(DataLoader(mixed, batch_size=32, shuffle=True)))
print(images.shape, labels[:8])
from synthaug import StyleSwap, Recipe, measure_gain
from synthaug.gain import Source

gain = measure_gain(
    train,
    test,
    sources=[Source("vae", ConditionalVAE(steps=40)), Source("style-swap", StyleSwap())],
    arms="quick", seeds=2, steps=15, batch_size=16, recipe=Recipe(),
)
print(gain.sentence())
print("verdict:", gain.verdict)
print("use:", gain.to_use)
arms = [arm for arm in gain.arms if arm.gain is not None]
figure = Figure(figsize=(6, 0.3 * len(arms) + 0.8), layout="constrained")
axes = figure.subplots()
for place, arm in enumerate(reversed(arms)):
    colour = "tab:orange" if arm.synthetic else "tab:gray"
    axes.plot([arm.gain.low, arm.gain.high], [place, place], color=colour)
    axes.plot(arm.gain.points, place, "o", color=colour)
axes.axvline(0, color="black", linewidth=0.8)
axes.set_yticks(range(len(arms)), [arm.name for arm in reversed(arms)], fontsize=7)
axes.set_xlim(-60, 60)
axes.set_xlabel(f"gain over {gain.baseline}, in points of accuracy (orange: synthetic)")
figure
