"""Images that pythae's VAE makes, one for each class, as a folder of class folders.

    python -m venv peers
    peers/bin/pip install -e . && peers/bin/pip install --no-deps pythae==0.1.2 imageio
    peers/bin/python benchmarks/peers/pythae_pool.py DATA --per-class 50 -o made
    synthaug import made -o pool
    synthaug gain DATA --per-class 50 --pool pool

A VAE with the layers of `ConditionalVAE` learns from N images of a class of the training split,
those that `synthaug fit DATA --per-class N` takes with the same seed. New images are decoded from a
Gaussian mixture of its codes (pythae's `GaussianMixtureSampler`, ten components). The loss is
binary cross-entropy: with pythae's default, squared error, all images of a class come out nearly
alike. Trained on a GPU where there is one.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from pythae_vae import OURS, sample_pythae

from synthaug import read_images
from synthaug.images import to_float, to_pil, to_stored
from synthaug.reading import draw_subset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, metavar="N", help="Learn from N images per class.")
    parser.add_argument("--each", type=int, default=200, help="How many images per class to make.")
    parser.add_argument("--steps", type=int, default=OURS.steps, help="Of each class's training.")
    parser.add_argument("--batch-size", type=int, default=OURS.batch_size)
    parser.add_argument("--loss", choices=["mse", "bce"], default="bce", help="Of its VAE.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    logging.disable()
    if options.output.exists():
        parser.error(f"{options.output} exists; name another folder")
    data = read_images(options.data)
    if options.per_class is not None:
        data = data.subset(draw_subset(data, options.per_class, seed=options.seed))
    for label, name in enumerate(data.classes):
        real = to_float(data.images[data.labels == label])
        images = sample_pythae(
            real,
            options.each,
            steps=options.steps,
            batch_size=options.batch_size,
            seed=options.seed,
            device="cuda" if torch.cuda.is_available() else "cpu",
            loss=options.loss,
        )
        made = to_stored(images, data.images.dtype)
        write(made, options.output / name)
        print(f"{name}: {len(made)} images, learnt from {len(real)}", flush=True)


def write(images: np.ndarray, folder: Path) -> None:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        to_pil(image).save(folder / f"pythae-{index:06d}.png")


if __name__ == "__main__":
    main()
