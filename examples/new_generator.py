"""A generator of one's own: fitted, sampled into a pool, and measured, as those of the package are.

    python examples/new_generator.py

Each class is a normal distribution on the principal components of its images.
"""

import math
import tempfile
from dataclasses import dataclass

import torch
from torch import nn

from synthaug import Generator, SamplePool, TrainConfig, measure_gain, read_images
from synthaug.core import expect_count, expect_number
from synthaug.data import to_float, white_of
from synthaug.gain import Protocol
from synthaug.generators import register


class Components(nn.Module):
    """The mean image of a class, and its principal components scaled by their deviations."""

    def __init__(self, image_shape, count):
        super().__init__()
        self.register_buffer("mean", torch.zeros(image_shape))
        self.register_buffer("components", torch.zeros(count, *image_shape))


@register("pca")
@dataclass
class PCA(Generator):
    """Draws images of a class from a normal distribution on its principal components.

    Args:
        components: How many components there are, at most as many as a class has images.
        strength: Deviation of a sample, as a share of that of the real images.
    """

    keeps_images = False

    components: int = 8
    strength: float = 0.7

    def check_settings(self):
        expect_count("components", self.components)
        expect_number("strength", self.strength)

    def build(self, image_shape, classes):
        return [Components(image_shape, self.components) for _ in range(classes)]

    def train(self, data, session):
        session.refuse_aids(self.name)
        networks = self.build(data.image_shape, len(data.classes))
        pixels = to_float(data.images, white=white_of(data.images))
        for label, network in enumerate(networks):
            images = pixels[data.labels == label]
            network.mean.copy_(images.mean(0))
            _, values, axes = torch.linalg.svd((images - network.mean).flatten(1), False)
            scaled = axes * values[:, None] / math.sqrt(len(images) - 1)
            count = min(self.components, len(scaled))
            network.components[:count] = scaled[:count].view(count, *data.image_shape)
        return [network.to(session.device) for network in networks]

    def plan(self, labels, draws):
        return {"z": draws.normal("z", self.components)}

    def render(self, network, plan):
        z = self.strength * plan["z"]
        return (network.mean + torch.einsum("bk,kchw->bchw", z, network.components)).clamp(0, 1)


def main():
    train, test = read_images("digits"), read_images("digits", split="test")
    generator = PCA().fit(train)
    with tempfile.TemporaryDirectory() as directory:
        pool = SamplePool.create(f"{directory}/pool", generator, 20)
        print(f"{len(pool)} images of {pool.manifest['source']}")
    gain = measure_gain(
        train,
        test,
        sources=[PCA()],
        protocol=Protocol("quick", seeds=2, per_class=5, config=TrainConfig(), steps=10),
    )
    print(gain.sentence())


if __name__ == "__main__":
    main()
