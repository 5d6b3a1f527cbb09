"""What torchvision's loader does to files before anybody sees their pixels."""

from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image
from torchvision.datasets.folder import pil_loader

from synthaug.errors import InputError
from synthaug.reading.decoding import BROKEN

# Without a loader of one's own ImageFolder opens all files as RGB.
GRAY_LOADER = "ImageFolder: loader=lambda path: Image.open(path).convert('L')"


def expect_depth_kept(dataset: Any, index: int, image: Any) -> None:
    """Raise `InputError` where `image`, item `index` of an ImageFolder, or of what lists its files
    as that does, is one of gray values above 255 that were cut off there, to white.
    """
    samples = getattr(dataset, "samples", None)
    if not isinstance(samples, list) or not isinstance(image, Image.Image) or image.mode != "RGB":
        return
    path, cut_off = None, False
    with suppress(*BROKEN, AttributeError, TypeError):  # other samples than files
        path = samples[index][0]
        with Image.open(path) as stored:
            deep = stored.mode.startswith(("I", "F")) and np.asarray(stored).max() > 255
        cut_off = deep and np.array_equal(np.asarray(image), np.asarray(pil_loader(path)))
    if cut_off:
        raise InputError(
            f"{path} has gray values above 255, which the loader of torchvision's ImageFolder cuts "
            "off there, to white; give it a loader= of your own, without convert('RGB'), or give "
            "the folder's path where no Dataset is needed"
        )
