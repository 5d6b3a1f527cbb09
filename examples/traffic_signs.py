"""Traffic signs: many classes of uneven size, CutMix, and a quarter of each batch synthetic.

    synthaug fit DATA/train --mode rgb --image-size 32 -o generator
    synthaug sample generator --per-class 200 -o pool
    python examples/traffic_signs.py DATA pool

No flips: they turn one sign into another. The three lines marked with a plus are all that was
changed; CutMix then pairs real and synthetic signs at random.
"""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import shufflenet_v2_x0_5
from torchvision.transforms import v2

from synthaug import MixSynthetic, SamplePool

folder, pool = sys.argv[1], sys.argv[2]
epochs = int(sys.argv[3]) if len(sys.argv) > 3 else 20
device = "cuda" if torch.cuda.is_available() else "cpu"
to_tensor = [v2.Resize((32, 32)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
train_set = ImageFolder(f"{folder}/train", v2.Compose([*to_tensor, v2.RandomAffine(8, (0.1, 0.1))]))
test_set = ImageFolder(f"{folder}/test", v2.Compose(to_tensor))
loader = DataLoader(train_set, batch_size=64, shuffle=True)

mix_synthetic = MixSynthetic(SamplePool(pool), ratio=0.25)  # +
cutmix = v2.CutMix(num_classes=len(train_set.classes))
model = shufflenet_v2_x0_5(num_classes=len(train_set.classes)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
for epoch in range(epochs):
    model.train()
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        images, labels = mix_synthetic(images, labels)  # +
        images, labels = cutmix(images, labels)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss.item():.3f}")

model.eval()
with torch.no_grad():
    right = sum(
        (model(images.to(device)).argmax(1).cpu() == labels).sum().item()
        for images, labels in DataLoader(test_set, batch_size=256)
    )
print(f"accuracy {100 * right / len(test_set):.1f} %")
