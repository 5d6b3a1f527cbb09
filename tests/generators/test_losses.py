"""Losses of the generators against independent formulas and libraries."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from synthaug.core import StepDraws
from synthaug.generators.learning.losses import (
    RECONSTRUCTIONS,
    cross_entropy,
    dependence,
    free_bits,
    kl_of_dimensions,
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


def test_structural_dissimilarity_is_exact_in_autocast(pair):
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


def test_reparametrize_draws_with_gradients():
    draws = StepDraws([torch.Generator().manual_seed(0)])
    mean = torch.full((20000, 1), 2.0, requires_grad=True)
    samples = reparametrize(mean, torch.full((20000, 1), 2 * np.log(0.5)), draws)
    assert samples.mean().item() == pytest.approx(2, abs=0.02)
    assert samples.std().item() == pytest.approx(0.5, abs=0.02)
    samples.sum().backward()
    assert (mean.grad == 1).all()


LABELS = torch.arange(60) % 3


@pytest.fixture
def normals():
    """Mean and log-variance of two normal distributions, (5, 4) each."""
    return torch.randn(4, 5, 4, generator=torch.Generator().manual_seed(0)).unbind()


def test_kl_of_dimensions_agrees_with_torch(normals):
    mean, log_variance, prior_mean, prior_log_variance = normals
    expected = kl_divergence(
        Normal(mean, (log_variance / 2).exp()), Normal(prior_mean, (prior_log_variance / 2).exp())
    )
    got = kl_of_dimensions(mean, log_variance, prior_mean, prior_log_variance)
    torch.testing.assert_close(got, expected)


def test_kl_to_itself_is_zero_and_there_is_no_pull(normals):
    mean, log_variance = (part.clone().requires_grad_() for part in normals[:2])
    kl = kl_of_dimensions(mean, log_variance, mean.detach(), log_variance.detach())
    kl.sum().backward()
    for value in (kl, mean.grad, log_variance.grad):
        torch.testing.assert_close(value, torch.zeros(5, 4), atol=1e-6, rtol=0)


@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("least", [0.0, 0.4, 0.9])
def test_free_bits_against_a_loop(networks, least):
    kl = np.random.default_rng(0).exponential(0.5, (6 * networks, 4)).astype(np.float32)
    expected = 0.0
    for block in np.split(kl, networks):
        expected += sum(max(least, column.mean()) for column in block.T) / networks
    got = free_bits(torch.as_tensor(kl), least, networks).item()
    assert got == pytest.approx(expected, rel=1e-5)


def test_no_free_bits_is_the_divergence_itself(normals):
    mean, log_variance, *_ = normals
    zero = torch.zeros_like(mean)
    got = free_bits(kl_of_dimensions(mean, log_variance, zero, zero), 0.0)
    torch.testing.assert_close(got, kl_to_standard_normal(mean, log_variance))


def test_what_a_dimension_says_for_free_is_not_pulled_at():
    kl = torch.tensor([[0.1, 2.0], [0.5, 4.0]], requires_grad=True)
    free_bits(kl, 0.4).backward()
    torch.testing.assert_close(kl.grad, torch.tensor([[0.0, 0.5], [0.0, 0.5]]))


def centred_trace(codes, labels):
    """tr(K H L H) / (n - 1)^2 with every matrix written out."""
    n = len(codes)
    squares = ((codes[:, None] - codes[None]) ** 2).sum(2)
    # Of an even number of distances torch's median is the lower of the middle two; each pair is
    # there twice, so both may be the same one or neighbours.
    apart = np.sort(squares[~np.eye(n, dtype=bool)])
    kernel = np.exp(-squares / apart[(len(apart) - 1) // 2])
    same = (labels[:, None] == labels).astype(float)
    centring = np.eye(n) - np.full((n, n), 1 / n)
    return np.trace(kernel @ centring @ same @ centring) / (n - 1) ** 2


@pytest.mark.parametrize("count", [7, 24])
def test_dependence_against_the_product_of_matrices(count):
    rng = np.random.default_rng(count)
    codes, labels = rng.standard_normal((count, 3)), rng.integers(0, 3, count)
    got = dependence(torch.as_tensor(codes), torch.as_tensor(labels)).item()
    assert got == pytest.approx(centred_trace(codes, labels), rel=1e-5)


def test_dependence_tells_independent_codes_apart():
    torch.manual_seed(0)
    labels = torch.arange(300) % 3
    noise, one_hot = torch.randn(300, 4), F.one_hot(labels, 3).float()
    hidden = dependence(noise, labels).item()
    assert 0 <= hidden < 0.004
    assert dependence(one_hot, labels).item() > 30 * hidden
    partly = dependence(torch.cat([noise, 2 * one_hot], 1), labels).item()
    assert hidden < partly < dependence(one_hot, labels).item()


def test_dependence_does_not_depend_on_scale_place_or_order():
    torch.manual_seed(0)
    codes = torch.randn(60, 2) + LABELS[:, None]
    expected = dependence(codes, LABELS)
    torch.testing.assert_close(dependence(100 * codes + 7, LABELS), expected, atol=1e-5, rtol=1e-3)
    order, names = torch.randperm(60), torch.tensor([2, 0, 1])
    torch.testing.assert_close(dependence(codes[order], names[LABELS[order]]), expected)


def test_dependence_of_a_single_class_or_a_single_code_is_zero():
    codes = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    assert dependence(codes, LABELS * 0).item() == pytest.approx(0, abs=1e-6)
    same = torch.ones(60, 2, requires_grad=True)
    nothing = dependence(same, LABELS)
    nothing.backward()
    assert nothing.item() == pytest.approx(0, abs=1e-6)
    assert (same.grad == 0).all()


def test_descent_on_dependence_mixes_the_classes():
    torch.manual_seed(0)
    codes = (torch.randn(60, 2) + 2 * LABELS[:, None]).requires_grad_()
    optimizer = torch.optim.Adam([codes], lr=0.05)
    before = dependence(codes, LABELS).item()

    def between():
        """Share of the codes' variance that is between the means of the classes."""
        means = torch.stack([codes[label == LABELS].mean(0) for label in range(3)])
        return (means.var(0, correction=0) / codes.var(0, correction=0)).mean().item()

    assert between() > 0.6
    for _ in range(60):
        optimizer.zero_grad()
        loss = dependence(codes, LABELS)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1 * before
    assert between() < 0.2


def test_cross_entropy_agrees_with_torch():
    x, y = torch.rand(2, 3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    torch.testing.assert_close(cross_entropy(x, y), F.binary_cross_entropy(x, y))


def test_cross_entropy_of_black_and_white_is_finite():
    black, white = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert cross_entropy(black, black).item() == pytest.approx(0, abs=1e-5)
    assert cross_entropy(white, white).item() == pytest.approx(0, abs=1e-5)
    # Of 1e-6, where it is cut off, so that one wrong pixel is not all that counts.
    assert cross_entropy(black, white).item() == pytest.approx(-np.log(1e-6), rel=1e-4)
    assert cross_entropy(white, black).item() == pytest.approx(-np.log(1e-6), rel=0.01)


@pytest.mark.parametrize("name", sorted(RECONSTRUCTIONS))
def test_the_image_is_its_own_best_reconstruction(name):
    differ = RECONSTRUCTIONS[name]
    torch.manual_seed(0)
    images = 0.2 + 0.6 * torch.rand(2, 1, 8, 8)
    at = images.clone().requires_grad_()
    best = differ(at, images)
    if name != "l1":  # which has a kink there
        best.backward()
        assert at.grad.abs().max() < 1e-6
    for _ in range(5):
        assert differ(images + 0.05 * torch.randn_like(images), images) > best + 1e-4
