"""Adversarial losses against independent formulas and the values of the papers."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from synthaug.generators.learning.adversarial_losses import (
    LOSSES,
    bce_discriminator,
    bce_generator,
    hinge_discriminator,
    interpolation_penalty,
    least_squares_discriminator,
    mode_seeking,
    r1_penalty,
    slopes,
)

SHAPE = (6, 3, 4, 5)


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return 2 * torch.randn(50), 2 * torch.randn(50)


def in_numpy(name, real, synthetic):
    """Both players' losses, by the definition."""
    d, g = (logits.double().numpy() for logits in (real, synthetic))
    if name == "hinge":
        return np.maximum(0, 1 - d).mean() + np.maximum(0, 1 + g).mean(), -g.mean()
    if name == "bce":
        sure_d, sure_g = 1 / (1 + np.exp(-d)), 1 / (1 + np.exp(-g))
        return -np.log(sure_d).mean() - np.log(1 - sure_g).mean(), -np.log(sure_g).mean()
    if name == "least-squares":
        return ((d - 1) ** 2).mean() / 2 + (g**2).mean() / 2, ((g - 1) ** 2).mean() / 2
    return g.mean() - d.mean(), -g.mean()


@pytest.mark.parametrize("name", LOSSES)
def test_against_numpy(name, logits):
    expected = in_numpy(name, *logits)
    assert LOSSES[name].discriminator(*logits).item() == pytest.approx(expected[0], rel=1e-5)
    assert LOSSES[name].generator(logits[1]).item() == pytest.approx(expected[1], rel=1e-5)


def test_bce_and_least_squares_against_torch(logits):
    real, synthetic = logits
    one, zero = torch.ones(50), torch.zeros(50)
    with_logits = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(
        bce_discriminator(real, synthetic), with_logits(real, one) + with_logits(synthetic, zero)
    )
    torch.testing.assert_close(bce_generator(synthetic), with_logits(synthetic, one))
    torch.testing.assert_close(
        2 * least_squares_discriminator(real, synthetic),
        F.mse_loss(real, one) + F.mse_loss(synthetic, zero),
    )


@pytest.mark.parametrize(
    ("name", "optimum", "told_nothing"),
    [("bce", 0.0, 2 * math.log(2)), ("least-squares", 0.5, 0.25), ("hinge", 0.0, 2.0)],
)
def test_where_it_cannot_tell(name, optimum, told_nothing):
    """Of the same images as real and as synthetic no logit does better than the middle one."""
    loss = LOSSES[name]
    assert loss.even == optimum

    def both(logit):
        same = torch.full((4,), float(logit))
        return loss.discriminator(same, same).item()

    assert both(optimum) == pytest.approx(told_nothing)
    assert min(both(optimum + step) for step in (-2, -0.5, 0.5, 2)) >= both(optimum) - 1e-6


def test_hinge_has_no_gradient_beyond_the_margin():
    real = torch.tensor([1.5, 3.0], requires_grad=True)
    loss = hinge_discriminator(real, torch.tensor([-1.0, -2.0]))
    loss.backward()
    assert loss.item() == 0
    assert (real.grad == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_players_pull_in_opposite_directions(name):
    real, synthetic = (torch.zeros(5, requires_grad=True) for _ in range(2))
    LOSSES[name].discriminator(real, synthetic + 0.2).backward()
    assert (real.grad < 0).all()  # descent raises the logits of real images
    assert (synthetic.grad > 0).all()
    synthetic.grad = None
    LOSSES[name].generator(synthetic + 0.2).backward()
    assert (synthetic.grad < 0).all()


@pytest.mark.parametrize("name", ["hinge", "bce", "wasserstein"])
def test_a_certain_discriminator_still_teaches_the_generator(name):
    """Why none of them is the saturating loss."""
    synthetic = torch.full((4,), -20.0, requires_grad=True)
    LOSSES[name].generator(synthetic).backward()
    torch.testing.assert_close(synthetic.grad, torch.full((4,), -0.25))


def quadratic(images):
    """Its gradient at x is 2 x."""
    return (images**2).sum((1, 2, 3))


def linear(norm):
    direction = torch.randn(SHAPE[1:])
    direction *= norm / direction.norm()
    return lambda images: (images * direction).sum((1, 2, 3))


def test_slopes_are_the_norms_of_the_gradient():
    torch.manual_seed(0)
    images = torch.randn(SHAPE)
    expected = 2 * images.flatten(1).norm(dim=1)
    torch.testing.assert_close(slopes(quadratic, images), expected)


def test_r1_of_a_quadratic():
    torch.manual_seed(0)
    images = torch.randn(SHAPE)
    expected = 0.5 * (4 * images**2).sum((1, 2, 3)).mean()
    torch.testing.assert_close(r1_penalty(quadratic, images), expected)
    assert r1_penalty(lambda x: x.sum((1, 2, 3)) * 0, images) == 0


@pytest.mark.parametrize("norm", [0.0, 0.3, 1.0, 4.0])
def test_interpolation_penalty_is_zero_at_a_unit_slope(norm):
    torch.manual_seed(0)
    real, synthetic, judge = torch.randn(SHAPE), torch.randn(SHAPE), linear(norm)
    penalty = interpolation_penalty(judge, real, synthetic, torch.rand(6))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-5)


def test_interpolation_penalty_is_taken_in_between():
    torch.manual_seed(0)
    real, synthetic, share = torch.randn(SHAPE), torch.randn(SHAPE), torch.rand(6)
    at = np.stack([u * r + (1 - u) * s for u, r, s in zip(share, real, synthetic, strict=True)])
    expected = ((np.sqrt((4 * at**2).sum((1, 2, 3))) - 1) ** 2).mean()
    got = interpolation_penalty(quadratic, real, synthetic, share).item()
    assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("penalty", ["r1", "interpolation"])
def test_penalties_teach_the_discriminator_and_not_the_images(penalty):
    torch.manual_seed(0)
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    real, synthetic = (torch.randn(SHAPE, dtype=torch.float64) for _ in range(2))
    real.requires_grad_()

    def judge(images):
        return weight**2 * quadratic(images)

    def value():
        if penalty == "r1":
            return r1_penalty(judge, real)
        return interpolation_penalty(judge, real, synthetic, torch.full((6,), 0.3))

    value().backward()
    analytic, step = weight.grad.item(), 1e-3
    with torch.no_grad():
        weight += step
    above = value().item()
    with torch.no_grad():
        weight -= 2 * step
    assert analytic == pytest.approx((above - value().item()) / (2 * step), rel=1e-3)
    assert real.grad is None


def test_mode_seeking_against_a_loop():
    rng = np.random.default_rng(0)
    images, noise = rng.random((8, 2, 3, 3)), rng.standard_normal((8, 5))
    ratios = []
    for first in range(0, 8, 2):
        step = np.abs(noise[first] - noise[first + 1]).mean()
        ratios.append(step / (np.abs(images[first] - images[first + 1]).mean() + 1e-4))
    got = mode_seeking(torch.as_tensor(images), torch.as_tensor(noise)).item()
    assert got == pytest.approx(np.mean(ratios))


def test_mode_seeking_falls_as_the_noise_shows():
    noise = torch.tensor([[0.0], [1.0], [-1.0], [1.0]])
    values = []
    for heed in (0.0, 0.1, 1.0):
        images = (heed * noise).requires_grad_()
        loss = mode_seeking(images[:, :, None, None], noise)
        values.append(loss.item())
    assert values[0] > values[1] > values[2]
    loss.backward()
    assert (images.grad[::2] > 0).all() and (images.grad[1::2] < 0).all()  # descent parts them
    assert values[0] == pytest.approx(1.5 / 1e-4)  # finite where all images are one
