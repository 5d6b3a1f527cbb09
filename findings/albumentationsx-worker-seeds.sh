#!/usr/bin/env bash
# In AlbumentationsX, seeding each item by its index gives pairs of items the same random numbers.
#
# Versions: albumentations 2.0.8; albumentationsx 2.2.6 and 2.5.1; Python 3.11, torch 2.14.1.
#
# Behaviour: a Dataset calls Compose.set_random_seed(index) before each item, so that an item's
# augmentation depends on its index alone. In 2.0.8 it does, for any number of workers. In
# AlbumentationsX a seed that is set in a worker is added to the worker's own seed, and torch seeds
# worker w with base + w. So an item's seed is base + w + index: it depends on the number of workers,
# and of two workers that take turns, item 2 in worker 0 gets the seed of item 1 in worker 1, item 4
# that of item 3, and so on. Nothing warns of it.
#
# Output seen (brightness of 8 items, without workers and with two):
#     albumentations 2.0.8: as-alone [171, 144, 197, 119, 74, 158, 175, 83] [171, 144, 197, 119, 74, 158, 175, 83]
#     albumentationsx 2.2.6: pairs [133, 172, 105, 116, 97, 170, 142, 125] [169, 112, 112, 94, 94, 97, 97, 134]
#     albumentationsx 2.5.1: pairs [141, 145, 150, 130, 107, 140, 144, 110] [151, 111, 111, 110, 110, 134, 134, 135]
#
# AlbumentationsX asks for PyTorch: the script uses that of $PYTHON (python3), or else installs it.
# It exits with 0 if the behaviour is as described, and otherwise with 1.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=${PYTHON:-python3}
outer=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

cat > "$folder/items.py" <<'PYTHON'
import albumentations as A
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Items(Dataset):
    def __init__(self):
        self.pipeline = A.Compose([A.RandomBrightnessContrast(p=1.0)])

    def __len__(self):
        return 8

    def __getitem__(self, index):
        self.pipeline.set_random_seed(index)
        return self.pipeline(image=np.full((4, 4, 3), 128, np.uint8))["image"][0, 0, 0].item()


def values(workers):
    torch.manual_seed(0)
    return [batch.item() for batch in DataLoader(Items(), batch_size=1, num_workers=workers)]


if __name__ == "__main__":
    alone, shared = values(0), values(2)
    pairs = [shared[index] == shared[index + 1] for index in (1, 3, 5)]
    print("as-alone" if shared == alone else "pairs" if all(pairs) else "other", alone, shared)
PYTHON

run() { # package==version: prints the last line of the program's output
    local venv="$folder/$1"
    "$python" -m venv "$venv"
    "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$folder/inner"
    echo "$outer" > "$(cat "$folder/inner")/outer.pth"
    "$venv/bin/python" -c 'import torch' 2> "$folder/log" ||
        "$venv/bin/python" -m pip install --quiet torch==2.14.1 > "$folder/log" 2>&1
    "$venv/bin/python" -m pip install --quiet "$1" opencv-python-headless==5.0.0.93 \
        > "$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 2; }
    "$venv/bin/python" "$folder/items.py" 2>&1 | tail -1 || true
}

changed=0
expect() { # package==version, and what the last line begins with
    local line
    line=$(run "$1")
    echo "${1/==/ }: $line"
    [[ $line == "$2"* ]] || changed=1
}

expect albumentations==2.0.8 "as-alone "
expect albumentationsx==2.2.6 "pairs "
expect albumentationsx==2.5.1 "pairs "
exit "$changed"
