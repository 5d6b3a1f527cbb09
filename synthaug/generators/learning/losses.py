"""Reconstruction and regularisation losses of the generators."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from synthaug.core import StepDraws


def structural_dissimilarity(x: Tensor, y: Tensor, window: int = 7) -> Tensor:
    """Return 1 - SSIM of images (B, C, H, W) in [0, 1], averaged.

    The window is uniform, the constants are those of the paper for a data range of 1.

    References:
        Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
            IEEE TIP 2004.

    >>> x = torch.rand(2, 1, 16, 16)
    >>> round(structural_dissimilarity(x, x).item(), 6)
    0.0
    """
    x, y = x.float(), y.float()
    # A mean over windows is a product with a band matrix on either side, in a quarter of the time
    # of a pooling. Variances are small differences of large numbers: not in 16 bits.
    rows = _window_means(x.shape[2], window, x.device)
    columns = _window_means(x.shape[3], window, x.device).T
    with torch.autocast(x.device.type, enabled=False):
        mean_x, mean_y = rows @ x @ columns, rows @ y @ columns
        covariance = rows @ (x * y) @ columns - mean_x * mean_y
        squares = mean_x**2 + mean_y**2
        variances = rows @ (x**2 + y**2) @ columns - squares
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    ssim = ssim / ((squares + c1) * (variances + c2))
    return 1 - ssim.mean()


@cache
@torch.inference_mode(False)  # the cache serves trainings, too
def _window_means(size: int, window: int, device: torch.device) -> Tensor:
    """Return (size - window + 1, size), of which each row is the mean of `window` neighbours."""
    means = torch.zeros(size - window + 1, size, dtype=torch.float32)
    for start, row in enumerate(means):
        row[start : start + window] = 1 / window
    return means.to(device)


def cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """Return - E (y log x + (1 - y) log(1 - x)) of intensities in [0, 1].

    >>> half = torch.full((1, 1, 2, 2), 0.5)
    >>> round(cross_entropy(half, half).item(), 4)  # log 2
    0.6931
    """
    inside = x.clamp(1e-6, 1 - 1e-6)
    loss: Tensor = -(y * inside.log() + (1 - y) * (1 - inside).log()).mean()
    return loss


RECONSTRUCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "ssim": structural_dissimilarity,
    "mse": F.mse_loss,
    "bce": cross_entropy,
}


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, 1).

    It is summed over the latent (B, Z) and averaged over the batch (Kingma and Welling,
    arXiv:1312.6114, appendix B).

    >>> kl_to_standard_normal(torch.zeros(3, 4), torch.zeros(3, 4)).item()
    0.0
    """
    zero = torch.zeros_like(mean)
    return kl_of_dimensions(mean, log_variance, zero, zero).sum(1).mean()


def kl_of_dimensions(
    mean: Tensor, log_variance: Tensor, prior_mean: Tensor, prior_log_variance: Tensor
) -> Tensor:
    """Return the Kullback-Leibler divergence of a normal distribution from the prior's.

    Mean and log-variance of both are (B, Z), and so is the result: each dimension by itself.

    >>> zero = torch.zeros(1, 2)
    >>> kl_of_dimensions(zero, zero, zero + 2, zero).tolist()
    [[2.0, 2.0]]
    """
    apart = (mean - prior_mean) ** 2
    ratio = (log_variance.exp() + apart) / prior_log_variance.exp()
    return 0.5 * (ratio - 1 + prior_log_variance - log_variance)


def free_bits(kl: Tensor, least: float, networks: int = 1) -> Tensor:
    """Return a divergence of which the first `least` nats of each dimension cost nothing.

    It is the sum over dimensions of max(least, mean over the batch), averaged over the networks
    (Kingma et al., arXiv:1606.04934).

    Args:
        kl: Divergence by dimension, (G * B, Z).
        least: Nats.
        networks: G, how many networks lie side by side.

    >>> free_bits(torch.tensor([[0.1, 2.0], [0.3, 4.0]]), 0.5).item()
    3.5
    """
    means = kl.view(networks, -1, kl.shape[1]).mean(1)
    return means.clamp(min=least).sum(1).mean()


def dependence(codes: Tensor, labels: Tensor) -> Tensor:
    """Return the Hilbert-Schmidt independence criterion of codes (B, Z) and classes (B,).

    It is tr(K H L H) / (B - 1)^2 with a Gaussian kernel K of the median distance and L = 1 for
    equal classes; 0 where the codes say nothing of the class.

    References:
        Gretton et al., "Measuring Statistical Dependence with Hilbert-Schmidt Norms", ALT 2005.

    >>> codes = torch.tensor([[0.0], [0.0], [9.0], [9.0]])
    >>> dependent = dependence(codes, torch.tensor([0, 0, 1, 1]))
    >>> independent = dependence(codes, torch.tensor([0, 1, 0, 1]))
    >>> bool(dependent > 10 * independent.abs())
    True
    """
    squares = torch.cdist(codes, codes) ** 2
    apart = squares[squares > 0]
    width = apart.median() if len(apart) else squares.new_ones(())
    kernel = (-squares / width).exp()
    same = (labels[:, None] == labels).to(kernel.dtype)
    same = same - same.mean(0) - same.mean(1, keepdim=True) + same.mean()
    criterion: Tensor = (kernel * same).sum() / (len(codes) - 1) ** 2
    return criterion


def squared_variation(field: Tensor) -> Tensor:
    """Return the mean squared difference of neighbours in (B, D, h, w), both directions added."""
    return (field.diff(dim=2) ** 2).mean() + (field.diff(dim=3) ** 2).mean()


def reparametrize(mean: Tensor, log_variance: Tensor, draws: StepDraws) -> Tensor:
    """Draw from N(mean, exp(log_variance)), both (B, Z); gradients flow through the draw."""
    noise = draws.normal(*mean.shape).to(mean.device)
    return mean + noise * (0.5 * log_variance).exp()
