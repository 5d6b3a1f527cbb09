"""Moving and resizing batches of images, against what torch and numpy do."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from synthaug.core import StepDraws, affine, deform, jitter, resize_field, similarity_matrices


@pytest.mark.parametrize("few", [(1, 1), (2, 2), (8, 5)])
def test_a_field_is_resized_as_torch_does_it(few):
    field = torch.randn(3, 2, *few)
    with torch.inference_mode():
        got = resize_field(field, 21, 16)
    expected = F.interpolate(field, (21, 16), mode="bicubic", align_corners=False)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    # What was worked out while sampling serves a training.
    learned = field.requires_grad_()
    resize_field(learned, 21, 16).square().sum().backward()
    assert learned.grad is not None and learned.grad.isfinite().all()


def test_flow_of_one_pixel_moves_by_one_pixel():
    images = torch.rand(1, 1, 8, 8)
    flow = torch.zeros(1, 2, 2, 2)
    flow[:, 0] = 2 / 8  # coordinates run over 2, x first
    moved = deform(images, flow)
    torch.testing.assert_close(moved[..., :-1], images[..., 1:], atol=1e-5, rtol=0)


def test_jitter_of_nothing_is_identity_and_a_quarter_turn_is_one():
    images = torch.rand(2, 1, 8, 8)
    draws = StepDraws([torch.Generator().manual_seed(0)])
    still = jitter(images, draws, angle=0.0, zoom=0.0, shift=0.0)
    torch.testing.assert_close(still, images, atol=1e-5, rtol=0)
    turn = torch.full((2,), np.pi / 2), torch.ones(2), torch.zeros(2, 2)
    turned = affine(images, similarity_matrices(images, *turn))
    torch.testing.assert_close(turned, images.rot90(1, (2, 3)), atol=1e-4, rtol=0)


def test_images_that_are_not_square_turn_without_shear():
    """A quarter turn of a wide image is that of its middle square, beside what it reflects."""
    images = torch.rand(2, 1, 8, 20)
    turn = torch.full((2,), np.pi / 2), torch.ones(2), torch.zeros(2, 2)
    turned = affine(images, similarity_matrices(images, *turn))[..., 6:14]
    expected = images[..., 6:14].rot90(1, (2, 3))
    torch.testing.assert_close(turned, expected, atol=1e-4, rtol=0)


def test_resize_field_keeps_constants():
    field = torch.full((1, 2, 3, 3), 0.7)
    torch.testing.assert_close(resize_field(field, 10, 17), torch.full((1, 2, 10, 17), 0.7))
