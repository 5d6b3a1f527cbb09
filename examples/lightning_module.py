"""A Lightning DataModule whose training images are mixed.

    synthaug fit DATA/train --mode rgb -o generator
    synthaug sample generator --per-class 200 -o pool
    python examples/lightning_module.py DATA pool

The two lines marked with a plus are all that was changed.
"""

import sys

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import shufflenet_v2_x0_5
from torchvision.transforms import v2

from synthaug import MixedDataset, SamplePool

folder, pool = sys.argv[1], sys.argv[2]
epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 20


class Images(L.LightningDataModule):
    def setup(self, stage):
        to_tensor = [v2.Resize((32, 32)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        augment = v2.Compose([v2.RandAugment(), *to_tensor])
        self.train_set = ImageFolder(f"{folder}/train", augment)
        self.train_set = MixedDataset(self.train_set, SamplePool(pool), ratio=0.25)  # +
        self.test_set = ImageFolder(f"{folder}/test", v2.Compose(to_tensor))

    def train_dataloader(self):
        return DataLoader(self.train_set, batch_size=32, shuffle=True, num_workers=2)

    def test_dataloader(self):
        return DataLoader(self.test_set, batch_size=64)


class Classifier(L.LightningModule):
    def __init__(self, classes):
        super().__init__()
        self.model = shufflenet_v2_x0_5(num_classes=classes)

    def training_step(self, batch, _):
        images, labels = batch
        return nn.functional.cross_entropy(self.model(images), labels)

    def test_step(self, batch, _):
        images, labels = batch
        right = (self.model(images).argmax(1) == labels).float().mean()
        self.log("accuracy", right, batch_size=len(labels))

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=2e-3)


def main():
    data = Images()
    data.setup("fit")
    trainer = L.Trainer(max_epochs=epochs, logger=False, enable_checkpointing=False)
    model = Classifier(len(data.train_set.classes))
    trainer.fit(model, data)
    trainer.test(model, data)


if __name__ == "__main__":  # workers that are not forked import this file
    main()
