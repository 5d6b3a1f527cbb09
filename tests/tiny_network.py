"""A network for tests that train hundreds of classifiers and do not ask how good these are."""

from torch import nn

from synthaug.classifiers import networks


class Tiny(networks.SmallResNet):
    """One convolution in place of all blocks."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int) -> None:
        nn.Module.__init__(self)
        layers = nn.Conv2d(image_shape[0], 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.head = nn.Linear(32, classes)
