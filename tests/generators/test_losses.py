"""Losses against independent formulas."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch.distributions import Normal, kl_divergence
from torchmetrics.functional.image import structural_similarity_index_measure

from synthaug.core import StepDraws
from synthaug.generators.learning.losses import (
    kl_to_standard_normal,
    reparametrize,
    squared_variation,
    structural_dissimilarity,
)


@pytest.fixture
def pair():
    torch.manual_seed(0)
    x = torch.rand(3, 2, 20, 13)
    return x, (x + 0.2 * torch.randn_like(x)).clamp(0, 1)


def test_structural_dissimilarity_is_one_less_ssim(pair):
    x, y = (image.numpy().astype(np.float64) for image in pair)

    def mean(a):
        return uniform_filter(a, (0, 0, 7, 7))[:, :, 3:-3, 3:-3]

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    ssim = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert structural_dissimilarity(*pair).item() == pytest.approx(1 - ssim.mean(), abs=1e-4)


def test_structural_dissimilarity_agrees_with_torchmetrics(pair):
    _, everywhere = structural_similarity_index_measure(
        *pair, gaussian_kernel=False, kernel_size=7, data_range=1.0, return_full_image=True
    )
    # It pads by reflection; ours stays where the whole window lies in the image.
    ssim = everywhere[..., 3:-3, 3:-3].mean().item()
    assert structural_dissimilarity(*pair).item() == pytest.approx(1 - ssim, abs=1e-4)


def test_structural_dissimilarity_is_exact_where_all_else_is_in_16_bits(pair):
    expected = structural_dissimilarity(*pair)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert structural_dissimilarity(*pair).item() == expected.item()
    x = pair[0].clone().requires_grad_()
    structural_dissimilarity(x, pair[1]).backward()
    assert x.grad.isfinite().all() and x.grad.abs().max() > 0


def test_structural_dissimilarity_of_equals_and_opposites():
    x = torch.rand(1, 1, 8, 8)
    assert structural_dissimilarity(x, x).item() == pytest.approx(0, abs=1e-6)
    assert structural_dissimilarity(x, 1 - x).item() > 1


def test_kl_agrees_with_torch():
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 4), torch.randn(5, 4)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    got = kl_to_standard_normal(mean, log_variance)
    torch.testing.assert_close(got, expected.sum(1).mean())


def test_squared_variation_against_numpy():
    field = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    expected = (np.diff(field, axis=2) ** 2).mean() + (np.diff(field, axis=3) ** 2).mean()
    assert squared_variation(torch.as_tensor(field)).item() == pytest.approx(expected, rel=1e-5)
    assert squared_variation(torch.full((1, 2, 4, 4), 0.3)).item() == 0


def test_reparametrize_has_the_distribution_and_lets_gradients_through():
    draws = StepDraws([torch.Generator().manual_seed(0)])
    mean = torch.full((20000, 1), 2.0, requires_grad=True)
    drawn = reparametrize(mean, torch.full((20000, 1), 2 * np.log(0.5)), draws)
    assert drawn.mean().item() == pytest.approx(2, abs=0.02)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.02)
    drawn.sum().backward()
    assert (mean.grad == 1).all()
