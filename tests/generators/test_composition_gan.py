"""CompositionGAN: regions, whose parts they are, and what is learned."""

import numpy as np
import pytest
import torch

from synthaug import read_images
from synthaug.core import Draws, InputError
from synthaug.data import to_float
from synthaug.generators import CompositionGAN
from synthaug.generators.composition_gan import compose, regions

LABELS = np.arange(30) % 3
SMALL = {"steps": 6, "width": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def trained(data):
    return CompositionGAN(**SMALL).fit(data, device="cpu")


@pytest.mark.parametrize("size", [(7, 7), (5, 9), (2, 2)])
@pytest.mark.parametrize("sources", [2, 3, 5])
def test_regions_are_a_partition(size, sources):
    masks = regions(torch.randn(50, sources, 3, 3), size)
    assert masks.shape == (50, sources, *size)
    assert ((masks == 0) | (masks == 1)).all() and (masks.sum(1) == 1).all()
    shares = masks.mean((0, 2, 3))
    assert (shares - 1 / sources).abs().max() < 0.15


def test_more_cells_make_smaller_parts():
    def borders(cells):
        masks = regions(torch.randn(100, 2, cells, cells), (16, 16))[:, 0]
        return masks.diff(dim=1).abs().mean() + masks.diff(dim=2).abs().mean()

    assert borders(2) < borders(4) < borders(8)


def test_each_place_holds_the_features_of_the_image_that_has_it():
    images = torch.rand(4, 3, 1, 8, 8)
    noise = torch.randn(4, 3, 2, 2)
    composed = compose(torch.nn.Identity(), images, noise)
    masks = regions(noise, (8, 8))
    for item in range(4):
        for source in range(3):
            here = masks[item, source].bool()
            assert torch.equal(composed[item, 0][here], images[item, source, 0][here])


def test_sources_are_of_the_wanted_class_and_differ(trained, data):
    labels = np.repeat(np.arange(3), 100)
    places = trained.plan(labels, Draws(0, 300))["images"]
    assert places.shape == (300, 2)
    assert (data.labels[places] == labels[:, None]).all()
    assert (places[:, 0] != places[:, 1]).mean() > 0.5
    trained.sources = 4
    assert trained.sample(LABELS).images.shape[0] == 30
    trained.sources = 2


def test_samples_are_the_decoded_composition(trained, data):
    plan = trained.plan(LABELS, Draws(0, 30))
    images = torch.stack([to_float(data.images[plan["images"][:, k]]) for k in range(2)], 1)
    with torch.no_grad():
        composed = compose(trained.networks[0]["encoder"], images, torch.as_tensor(plan["noise"]))
        expected = trained.networks[0]["decoder"](composed)
    assert (to_float(trained.sample(LABELS).images) - expected).abs().max() < 0.6 / 255


def test_it_learns_to_decode_what_it_encodes():
    digits = read_images("digits", image_size=16)
    images = to_float(digits.images[:64])

    def error(steps):
        settings = {"steps": steps, "width": 8, "batch_size": 8, "learning_rate": 1e-2}
        network = CompositionGAN(**settings).fit(digits, device="cpu").networks[0]
        with torch.no_grad():
            return float((network["decoder"](network["encoder"](images)) - images).abs().mean())

    assert error(30) < 0.5 * error(1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"sources": 1}, "sources: expected an integer of at least 2"),
        ({"cells": 0}, "cells: expected an integer of at least 1"),
        ({"consistency": -1}, "consistency: expected a number of at least 0"),
        ({"adversarial_weight": -1}, "adversarial_weight: expected a number of at least 0"),
        ({"augment": ("flip",)}, "augment: expected"),
    ],
)
def test_wrong_settings_are_named(data, setting, message):
    with pytest.raises(InputError, match=message):
        CompositionGAN(**{**SMALL, **setting}).fit(data, device="cpu")
