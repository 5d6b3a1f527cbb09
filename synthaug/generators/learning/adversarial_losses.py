"""Losses that a discriminator and a generator lower against each other, of logits (B,)."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class AdversarialLoss(NamedTuple):
    """The losses of both.

    Attributes:
        discriminator: Maps logits of real and of synthetic images to a scalar.
        generator: Maps logits of synthetic images to a scalar.
        even: The logit that stands for "cannot tell", None where there is none.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    even: float | None


def hinge_discriminator(real: Tensor, synthetic: Tensor) -> Tensor:
    """Return E max(0, 1 - d(real)) + E max(0, 1 + d(synthetic)) (Lim and Ye, arXiv:1705.02894).

    >>> hinge_discriminator(torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 0.0])).item()
    0.75
    """
    return F.relu(1 - real).mean() + F.relu(1 + synthetic).mean()


def negative_mean(synthetic: Tensor) -> Tensor:
    """Return - E d(synthetic), the generator's part of the hinge and the Wasserstein loss.

    >>> negative_mean(torch.tensor([2.0, 0.5])).item()
    -1.25
    """
    return -synthetic.mean()


def bce_discriminator(real: Tensor, synthetic: Tensor) -> Tensor:
    """Return - E log s(d(real)) - E log(1 - s(d(synthetic))), s the logistic function.

    Goodfellow et al., arXiv:1406.2661.

    >>> round(bce_discriminator(torch.zeros(2), torch.zeros(2)).item(), 4)  # 2 log 2
    1.3863
    """
    return F.softplus(-real).mean() + F.softplus(synthetic).mean()


def bce_generator(synthetic: Tensor) -> Tensor:
    """Return - E log s(d(synthetic)): the non-saturating one (Goodfellow, arXiv:1406.2661).

    >>> round(bce_generator(torch.zeros(2)).item(), 4)
    0.6931
    """
    return F.softplus(-synthetic).mean()


def least_squares_discriminator(real: Tensor, synthetic: Tensor) -> Tensor:
    """Return (E (d(real) - 1)^2 + E d(synthetic)^2) / 2 (Mao et al., arXiv:1611.04076).

    >>> least_squares_discriminator(torch.tensor([1.0]), torch.tensor([1.0])).item()
    0.5
    """
    return 0.5 * ((real - 1) ** 2).mean() + 0.5 * (synthetic**2).mean()


def least_squares_generator(synthetic: Tensor) -> Tensor:
    """Return E (d(synthetic) - 1)^2 / 2 (Mao et al., arXiv:1611.04076).

    >>> least_squares_generator(torch.tensor([0.0])).item()
    0.5
    """
    return 0.5 * ((synthetic - 1) ** 2).mean()


def wasserstein_discriminator(real: Tensor, synthetic: Tensor) -> Tensor:
    """Return E d(synthetic) - E d(real) (Arjovsky et al., arXiv:1701.07875).

    It goes with `interpolation_penalty`.

    >>> wasserstein_discriminator(torch.tensor([2.0]), torch.tensor([0.5])).item()
    -1.5
    """
    return synthetic.mean() - real.mean()


LOSSES = {
    "hinge": AdversarialLoss(hinge_discriminator, negative_mean, 0.0),
    "bce": AdversarialLoss(bce_discriminator, bce_generator, 0.0),
    "least-squares": AdversarialLoss(least_squares_discriminator, least_squares_generator, 0.5),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, negative_mean, None),
}


def slopes(judge: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Return the norm of the logits' gradient at each image, itself differentiable.

    Args:
        judge: Maps images to logits (B,).
        images: (B, C, H, W).

    Returns:
        Norms, float (B,).
    """
    at = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(judge(at).sum(), at, create_graph=True)
    norms: Tensor = torch.linalg.vector_norm(gradient.float().flatten(1), dim=1)
    return norms


def r1_penalty(judge: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Return E |grad d(real)|^2 / 2 (Mescheder et al., arXiv:1801.04406).

    >>> r1_penalty(lambda x: 3 * x.sum((1, 2, 3)), torch.rand(5, 1, 2, 2)).item()  # 4 * 9 / 2
    18.0
    """
    return 0.5 * (slopes(judge, real) ** 2).mean()


def interpolation_penalty(
    judge: Callable[[Tensor], Tensor], real: Tensor, synthetic: Tensor, share: Tensor
) -> Tensor:
    """Return E (|grad d(u real + (1 - u) synthetic)| - 1)^2, u = `share` (B,).

    Gulrajani et al., arXiv:1704.00028.

    >>> x = torch.rand(5, 1, 2, 2)
    >>> interpolation_penalty(lambda x: 3 * x.sum((1, 2, 3)), x, x, torch.rand(5)).item()  # (6-1)^2
    25.0
    """
    share = share.to(real.device)[:, None, None, None]
    return ((slopes(judge, share * real + (1 - share) * synthetic) - 1) ** 2).mean()


def mode_seeking(images: Tensor, noise: Tensor) -> Tensor:
    """Return the mean of |z - z'| / |g(z) - g(z')| over pairs of one class.

    Both are mean absolute differences: it rises as a generator's images depend less on its noise.

    Args:
        images: (B, C, H, W), of which rows 2 i and 2 i + 1 are a pair.
        noise: What they were made of, (B, Z).

    References:
        Mao et al., "Mode Seeking Generative Adversarial Networks for Diverse Image Synthesis",
            CVPR 2019, arXiv:1903.05628.

    >>> z = torch.tensor([[0.0], [1.0]])
    >>> round(mode_seeking(0.25 * z[:, :, None, None], z).item(), 3)
    3.998
    """
    apart = (images[::2] - images[1::2]).abs().flatten(1).mean(1)
    steps = (noise[::2] - noise[1::2]).abs().flatten(1).mean(1)
    return (steps / (apart + 1e-4)).mean()
