"""A torchvision training as many have it, with synthetic images among its own.

    python examples/torchvision_loop.py DATA        # DATA/train and DATA/test hold class folders

The three lines marked with a plus are all that was changed.
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import v2

from synthaug import ConditionalVAE, MixedDataset, SamplePool

folder, epochs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
device = "cuda" if torch.cuda.is_available() else "cpu"
to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
normalize = v2.Normalize(mean=[0.5] * 3, std=[0.25] * 3)
train_transform = v2.Compose(
    [v2.Resize((32, 32)), v2.RandomCrop(32, padding=4), *to_tensor, normalize]
)
test_transform = v2.Compose([v2.Resize((32, 32)), *to_tensor, normalize])


def main():
    train_set = ImageFolder(f"{folder}/train", train_transform)
    pool = SamplePool.create("pool", ConditionalVAE().fit(train_set), per_class=200)  # +
    train_set = MixedDataset(train_set, pool, ratio=0.25)  # +
    test_set = ImageFolder(f"{folder}/test", test_transform)
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True, num_workers=2)
    test_loader = DataLoader(test_set, batch_size=256)

    model = resnet18(num_classes=len(train_set.classes)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    for epoch in range(epochs):
        model.train()
        for images, labels in train_loader:
            loss = nn.functional.cross_entropy(model(images.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        right = sum(
            (model(images.to(device)).argmax(1).cpu() == labels).sum().item()
            for images, labels in test_loader
        )
    print(f"accuracy {100 * right / len(test_set):.1f} %")


if __name__ == "__main__":  # workers that are not forked import this file
    main()
