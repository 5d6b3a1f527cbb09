"""Images that another package makes, of each class by itself, as a folder of class folders.

    python -m venv peers
    peers/bin/pip install -e . && peers/bin/pip install --no-deps pythae==0.1.2 imageio
    peers/bin/python benchmarks/peers/pool.py pythae DATA --per-class 50 -o made
    synthaug import made -o pool

(For the gain of such images on a subset, benchmarks/accuracy/peers.py makes them anew for each
seed; `synthaug gain DATA --pool pool` measures those of all training images.)

pythae: a VAE with the layers of `ConditionalVAE` learns from N images of a class of the training
split, those that `synthaug fit DATA --per-class N` takes with the same seed. New images are decoded
from a Gaussian mixture of its codes (its `GaussianMixtureSampler`, ten components). The loss is
binary cross-entropy: with pythae's default, squared error, all images of a class come out nearly
alike.

pyraug: a Riemannian Hamiltonian VAE with its own layers learns as many steps from the same images,
and its Monte Carlo sampler finds the codes, one in a tenth of a second where there are fifty images
to learn from. To install it: `pip install --no-deps pyraug==0.0.6 dill nibabel`. (`--no-deps`
leaves out `dataclasses`, an old copy of what Python has; all else that the two ask for comes with
synthaug.)

Trained on a GPU where there is one.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from stock import PACKAGES, Stocked, peer

from synthaug import read_images
from synthaug.data import draw_subset, to_float, to_pil, to_stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", choices=PACKAGES)
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, metavar="N", help="Learn from N images per class.")
    parser.add_argument("--each", type=int, default=200, help="How many images per class to make.")
    parser.add_argument("--steps", type=int, default=Stocked.steps, help="Of each class.")
    parser.add_argument("--batch-size", type=int, default=Stocked.batch_size)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    logging.disable()
    if options.output.exists():
        parser.error(f"{options.output} exists; name another folder")
    data = read_images(options.data)
    if options.per_class is not None:
        data = data.subset(draw_subset(data, options.per_class, seed=options.seed))
    generator = peer(options.package)
    generator.steps, generator.batch_size = options.steps, options.batch_size
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for label, name in enumerate(data.classes):
        real = to_float(data.images[data.labels == label])
        images = generator.make(real, options.each, seed=options.seed, device=device)
        made = to_stored(images, data.images.dtype)
        write(made, options.output / name, options.package)
        print(f"{name}: {len(made)} images, learnt from {len(real)}", flush=True)


def write(images: np.ndarray, folder: Path, package: str) -> None:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        to_pil(image).save(folder / f"{package}-{index:06d}.png")


if __name__ == "__main__":
    main()
