"""An albumentations pipeline, in which a synthetic image takes the place of a real one.

    synthaug fit DATA/train --mode rgb -o generator
    synthaug sample generator --per-class 200 -o pool
    python examples/albumentations_pipeline.py DATA pool

The lines marked with a plus were added; the one after a minus stood there before. MixSynthetic
comes first, so that synthetic images go through all that follows.
"""

import sys

import albumentations as A
import cv2
import torch
from torch import nn
from torch.utils.data import DataLoader, get_worker_info
from torchvision.datasets import ImageFolder
from torchvision.models import shufflenet_v2_x0_5

from synthaug.integrations.albumentations import MixSynthetic

folder, pool = sys.argv[1], sys.argv[2]
epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 20
augment = A.Compose(
    [
        MixSynthetic(pool, p=0.25),  # +
        A.Resize(32, 32),
        A.Affine(translate_percent=0.1, rotate=(-8, 8)),
        A.RandomBrightnessContrast(),
        A.Normalize(),
        A.ToTensorV2(),
    ]
)
plain = A.Compose([A.Resize(32, 32), A.Normalize(), A.ToTensorV2()])


def draw_anew(worker):
    """albumentations' random numbers are copied to all workers of all epochs."""
    get_worker_info().dataset.pipeline.set_random_seed(torch.initial_seed() % 2**32)


class Photos(ImageFolder):
    """Files as arrays, through an albumentations pipeline."""

    def __init__(self, root, pipeline):
        super().__init__(root)
        self.pipeline = pipeline

    def __getitem__(self, index):
        path, label = self.samples[index]
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        # - return self.pipeline(image=image)["image"], label
        return self.pipeline(image=image, label=label)["image"], label  # +


def main():
    train_set, test_set = Photos(f"{folder}/train", augment), Photos(f"{folder}/test", plain)
    model = shufflenet_v2_x0_5(num_classes=len(train_set.classes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        loader = DataLoader(
            train_set, batch_size=64, shuffle=True, num_workers=2, worker_init_fn=draw_anew
        )
        for images, labels in loader:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        pairs = [(model(x).argmax(1), y) for x, y in DataLoader(test_set, batch_size=256)]
    right = sum((predicted == labels).sum().item() for predicted, labels in pairs)
    print(f"accuracy {100 * right / len(test_set):.1f} %")


if __name__ == "__main__":  # workers that are not forked import this file
    main()
