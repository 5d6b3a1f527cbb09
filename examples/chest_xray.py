"""Gray images of 16 bits, several of each patient, listed in a CSV: a Dataset of one's own.

    synthaug fit DATA/images.csv -o generator
    synthaug sample generator --per-class 200 -o pool
    python examples/chest_xray.py DATA pool

`DATA/images.csv` has the columns path, label, split and group, the patient. `fit` reads the split
"train" alone; what looks at two splits, as `gain` does, refuses a patient who is in both. The two
lines marked with a plus are all that was changed.
"""

import csv
import sys
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models import mobilenet_v3_small
from torchvision.transforms import v2

from synthaug import MixedDataset, SamplePool

folder, pool = Path(sys.argv[1]), sys.argv[2]
epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 20


class Xrays(Dataset):
    """16-bit PNG files, as the scanner's software exports them."""

    def __init__(self, split, transform):
        with (folder / "images.csv").open() as file:
            self.rows = [row for row in csv.DictReader(file) if row["split"] == split]
        self.classes = sorted({row["label"] for row in self.rows})
        self.transform = transform

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        with Image.open(folder / row["path"]) as image:
            return self.transform(image.copy()), self.classes.index(row["label"])


to_tensor = v2.Compose(
    [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
)  # 0 to 65535 -> 0 to 1
train_set = Xrays("train", v2.Compose([to_tensor, v2.RandomAffine(5, translate=(0.05, 0.05))]))
train_set = MixedDataset(train_set, SamplePool(pool), ratio=0.25)  # +
test_set = Xrays("test", to_tensor)

model = mobilenet_v3_small(num_classes=len(train_set.classes))
model.features[0][0] = nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False)  # one channel
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for epoch in range(epochs):
    for images, labels in DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

model.eval()
with torch.no_grad():
    pairs = [(model(x).argmax(1), y) for x, y in DataLoader(test_set, batch_size=64)]
predicted, truth = (torch.cat(parts) for parts in zip(*pairs, strict=True))
recalls = [(predicted[truth == k] == k).float().mean().item() for k in truth.unique()]
print(f"balanced accuracy {100 * sum(recalls) / len(recalls):.1f} %")
