"""Embed the images of a result in the text of the page."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from synthaug.data import to_float, to_pil, to_stored
from synthaug.gain.report.numbers import number, printable
from synthaug.gain.result import Pictures

EMBEDDED = "data:image/png;base64,"  # what the text of each picture begins with


def picture_rows(pictures: Pictures) -> list[dict[str, Any]]:
    """Return one row a class: its name, real images, synthetic images."""
    real, synthetic = pictures.real, pictures.synthetic
    window = _window(pictures)
    rows = []
    for label in np.unique(np.concatenate([real.labels, synthetic.labels])):
        real_images = real.images[real.labels == label]
        synthetic_images = synthetic.images[synthetic.labels == label]
        rows.append(
            {
                "name": printable(real.classes[label]),
                "real": [_embed(image, window) for image in real_images],
                "synthetic": [_embed(image, window) for image in synthetic_images],
            }
        )
    return rows


def picture_pairs(pictures: Pictures) -> list[dict[str, Any]]:
    """Pair each synthetic image with its nearest real one, the nearest pair first."""
    window = _window(pictures)
    return [
        {
            "name": printable(pictures.real.classes[pictures.synthetic.labels[i]]),
            "synthetic": _embed(pictures.synthetic.images[i], window),
            "nearest": _embed(pictures.nearest[i], window),
            "distance": float(pictures.distance[i]),
            "identical": bool(pictures.distance[i] < 0.5 / 255),
        }
        for i in np.argsort(pictures.distance, kind="stable")
    ]


def range_text(pictures: Pictures) -> str | None:
    """Tell which values of 16-bit images are shown as black and white; None for 8 bits."""
    if pictures.real.images.dtype == np.uint8:
        return None
    low, high = (number(round(65535 * value)) for value in _window(pictures))
    return f"The images have 16 bits: values from {low} to {high} are shown as black to white."


def _window(pictures: Pictures) -> tuple[float, float]:
    """Return the values shown as black and white, in [0, 1].

    8-bit images show their whole range, 16-bit ones the part that the real images use, since most
    instruments fill only 10 or 12 of the 16 bits.
    """
    if pictures.real.images.dtype == np.uint8 or not len(pictures.real):
        return 0.0, 1.0
    values = to_float(pictures.real.images).numpy()
    low, high = (float(value) for value in np.percentile(values, (0.5, 99.5)))
    return (low, high) if high > low else (0.0, 1.0)


def _embed(image: np.ndarray, window: tuple[float, float], side: int = 64) -> dict[str, Any]:
    """Return an image as PNG in text, with the size to show it at, about `side` pixels.

    Small images are scaled up by a whole number, so that their pixels stay equal squares.
    """
    low, high = window
    grey = to_stored((to_float(image) - low) / (high - low), np.uint8)
    picture = to_pil(grey)
    largest = max(picture.size)
    if largest > side:
        width, height = (max(1, round(n * side / largest)) for n in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    scale = max(1, round(side / max(picture.size)))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode()
    return {
        "src": EMBEDDED + text,
        "width": picture.width * scale,
        "height": picture.height * scale,
    }
