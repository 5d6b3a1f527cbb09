"""The generators without training and the untrained TransferVAE: where nothing may change."""

import numpy as np
import pytest
import torch

from synthaug.core import Draws, InputError
from synthaug.data import LabelledImages
from synthaug.generators import PatchSwap, RandomField, StyleSwap, TransferVAE
from synthaug.generators.non_learned import low_frequencies
from synthaug.generators.transfer_vae import apply_difference

LABELS = np.arange(30) % 3


def test_random_field_without_amplitude_returns_the_image(data):
    generator = RandomField(flow=0.0, gain=0.0, bias=0.0).fit(data, device="cpu")
    image = generator.plan(LABELS, Draws(0, 30))["image"]
    assert (data.labels[image] == LABELS).all()
    np.testing.assert_array_equal(generator.sample(LABELS).images, data.images[image])


def test_random_field_bias_alone_is_added(data):
    generator = RandomField(cells=1, flow=0.0, gain=0.0, bias=0.05).fit(data, device="cpu")
    plan = generator.plan(LABELS, Draws(0, 30))
    expected = data.images[plan["image"]] / 255 + plan["bias"]
    got = generator.sample(LABELS).images
    assert np.abs(got / 255 - expected.clip(0, 1)).max() < 0.51 / 255 + 1e-5


def test_style_swap_with_itself_returns_the_image():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 12, 9), dtype=np.uint8)
    twins = LabelledImages(images.repeat(2, axis=0), [0, 0, 1, 1], ["a", "b"])
    samples = StyleSwap(donors="within").fit(twins, device="cpu").sample(5)
    np.testing.assert_array_equal(samples.images, images.repeat(5, axis=0))


def test_style_swap_of_the_mean_against_numpy(data):
    generator = StyleSwap(cells=1).fit(data, device="cpu")
    plan = generator.plan(LABELS, Draws(0, 30))
    image, donor = data.images[plan["image"]] / 255, data.images[plan["donor"]] / 255
    step = donor.mean((2, 3), keepdims=True) - image.mean((2, 3), keepdims=True)
    expected = (image + plan["strength"][:, None, None, None] * step).clip(0, 1)
    assert np.abs(generator.sample(LABELS).images / 255 - expected).max() < 0.51 / 255 + 1e-5


def test_a_patch_is_a_rectangle_from_an_image_of_the_class(data):
    generator = PatchSwap(softness=1e-6).fit(data, device="cpu")
    plan = generator.plan(LABELS, Draws(1, 30))
    assert (data.labels[plan["image"]] == LABELS).all()
    assert (data.labels[plan["donor"]] == LABELS).all()
    image, donor = data.images[plan["image"]], data.images[plan["donor"]]
    images = generator.sample(LABELS, seed=1).images
    unchanged, swapped = images == image, images == donor
    assert (unchanged | swapped).all()
    height, width = image.shape[2:]
    for item in range(30):
        patch = ~unchanged[item].all(axis=0)
        if not patch.any():  # the image itself was drawn
            continue
        rows, columns = np.flatnonzero(patch.any(1)), np.flatnonzero(patch.any(0))
        sides = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        assert swapped[item][:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        stretch = np.exp(plan["aspect"][item])
        spans = np.sqrt(plan["area"][item] * np.array([stretch, 1 / stretch])).clip(max=1)
        # Where both images are alike, a rectangle looks smaller than it is.
        assert sides[0] <= spans[0] * height + 1 and sides[1] <= spans[1] * width + 1
        assert sides[0] >= spans[0] * height - 2 and sides[1] >= spans[1] * width - 2


def test_a_soft_patch_lies_between_both_images():
    images = np.zeros((2, 1, 64, 64), np.uint8)
    images[1] = 255
    data = LabelledImages(images, [0, 0], ["a"])
    generator = PatchSwap(area=(0.4, 0.41)).fit(data, device="cpu")
    plan = generator.plan(np.zeros(200, int), Draws(0, 200))
    shares = generator.sample(200).images.mean((1, 2, 3)) / 255
    different = plan["image"] != plan["donor"]
    expected = np.where(plan["image"] == 0, plan["area"], 1 - plan["area"])
    assert np.abs(shares - expected)[different].max() < 0.03
    np.testing.assert_array_equal(shares[~different], plan["image"][~different])


def test_a_patch_is_no_larger_than_the_image(data):
    with pytest.raises(InputError, match=r"area: expected shares of the image, at most 1, got"):
        PatchSwap(area=(0.3, 1.2)).fit(data, device="cpu")


def test_cells_are_never_smaller_than_four_pixels():
    """On 16 pixels a grid of 8 cells would hold nearly the whole image, class and all."""
    images = torch.rand(2, 1, 16, 24)
    torch.testing.assert_close(low_frequencies(images, 8)[:1], low_frequencies(images[:1], 8))
    cells = images.reshape(2, 1, 4, 4, 6, 4).mean((3, 5))
    expected = torch.nn.functional.interpolate(cells, (16, 24), mode="bicubic")
    torch.testing.assert_close(low_frequencies(images, 8), expected)


def test_low_frequencies_are_those_of_the_cells():
    images = torch.rand(2, 3, 20, 36)
    assert low_frequencies(images, 1).flatten(2).std(2).max() < 1e-6
    torch.testing.assert_close(low_frequencies(images, 1)[:, :, 0, 0], images.mean((2, 3)))
    flat = torch.full((1, 1, 20, 36), 0.3)
    torch.testing.assert_close(low_frequencies(flat, 8), flat)


@pytest.mark.parametrize("family", [StyleSwap, TransferVAE])
def test_unknown_donors(family, data):
    settings = {"steps": 1, "batch_size": 4} if family is TransferVAE else {}
    generator = family(**settings).fit(data, device="cpu")
    generator.donors = "all"
    with pytest.raises(InputError, match="donors: expected 'any' or 'within', got 'all'"):
        generator.sample(1)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 36)], ids=str)
def test_untrained_transfer_changes_nothing(shape):
    torch.manual_seed(0)
    network = TransferVAE(latent=3)._network(shape, 2).eval()
    images = torch.rand(4, *shape)
    with torch.no_grad():
        flow, gain, bias = network["decoder"](images, torch.randn(4, 3))
    assert not (flow.any() or gain.any() or bias.any())
    changed = apply_difference(images, flow, gain, bias)
    torch.testing.assert_close(changed, images, atol=1e-5, rtol=0)


def test_transfer_pairs_come_from_the_class_that_lends(data, fit_tiny):
    generator = fit_tiny("TransferVAE")
    plan = generator.plan(LABELS, Draws(0, 30))
    assert (data.labels[plan["from"]] == data.labels[plan["to"]]).all()
    assert (data.labels[plan["from"]] != LABELS).any()
    generator.donors = "within"
    assert (data.labels[generator.plan(LABELS, Draws(0, 30))["from"]] == LABELS).all()


def test_gain_and_bias_of_a_difference():
    images = torch.rand(2, 1, 8, 8)
    still = torch.zeros(2, 2, 2, 2)
    fields = torch.full((2, 1, 2, 2), np.log(2.0)), torch.full((2, 1, 2, 2), 0.1)
    got = apply_difference(images, still, *fields)
    torch.testing.assert_close(got, 2 * images + 0.1, atol=1e-5, rtol=0)
