"""timm's loader, RandAugment and Mixup.

    synthaug fit DATA/train --mode rgb -o generator
    synthaug sample generator --per-class 200 -o pool
    python examples/timm_loader.py DATA pool

timm sets the Dataset's transform itself, and real and synthetic images go through it alike. The
two lines marked with a plus are all that was changed.
"""

import sys

import timm
import torch
from timm.data import Mixup, create_loader
from timm.loss import SoftTargetCrossEntropy
from torchvision.datasets import ImageFolder

from synthaug import MixedDataset, SamplePool

folder, pool = sys.argv[1], sys.argv[2]
epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 20
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main():
    train_set, test_set = ImageFolder(f"{folder}/train"), ImageFolder(f"{folder}/test")
    classes = len(train_set.classes)
    train_set = MixedDataset(train_set, SamplePool(pool), ratio=0.25)  # +

    size = {"input_size": (3, 32, 32), "device": device, "use_prefetcher": False}
    loader = create_loader(
        train_set,
        batch_size=32,
        is_training=True,
        auto_augment="rand-m7-mstd0.5",
        hflip=0.0,
        num_workers=2,
        **size,
    )
    mixup = Mixup(mixup_alpha=0.2, num_classes=classes)
    model = timm.create_model("resnet10t", num_classes=classes).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        model.train()
        for images, labels in loader:
            images, labels = mixup(images.to(device), labels.to(device))
            loss = SoftTargetCrossEntropy()(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        right = sum(
            (model(images.to(device)).argmax(1).cpu() == labels).sum().item()
            for images, labels in create_loader(test_set, batch_size=64, num_workers=2, **size)
        )
    print(f"accuracy {100 * right / len(test_set):.1f} %")


if __name__ == "__main__":  # workers that are not forked import this file
    main()
