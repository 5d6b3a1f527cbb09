"""Reconstruction and regularisation losses of the generators."""

from torch import Tensor
from torch.nn import functional as F

from synthaug.seeding import StepDraws


def structural_dissimilarity(x: Tensor, y: Tensor, window: int = 7) -> Tensor:
    """1 - SSIM of (B, C, H, W) images in [0, 1], averaged; a uniform window, as in Wang et al.
    (IEEE TIP 2004) with their constants for a data range of 1.

    >>> x = torch.rand(2, 1, 16, 16)
    >>> round(structural_dissimilarity(x, x).item(), 6)
    0.0
    """
    mean_x, mean_y = F.avg_pool2d(x, window, 1), F.avg_pool2d(y, window, 1)
    var_x = F.avg_pool2d(x * x, window, 1) - mean_x**2
    var_y = F.avg_pool2d(y * y, window, 1) - mean_y**2
    covariance = F.avg_pool2d(x * y, window, 1) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    ssim = ssim / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return 1 - ssim.mean()


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, 1), summed over the
    latent (B, Z) and averaged over the batch (Kingma and Welling 2014, appendix B).

    >>> kl_to_standard_normal(torch.zeros(3, 4), torch.zeros(3, 4)).item()
    0.0
    """
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
    return kl.mean()


def squared_variation(field: Tensor) -> Tensor:
    """Mean squared difference of neighbours in (B, D, h, w), both directions added."""
    return (field.diff(dim=2) ** 2).mean() + (field.diff(dim=3) ** 2).mean()


def reparametrize(mean: Tensor, log_variance: Tensor, draws: StepDraws) -> Tensor:
    """A draw of N(mean, exp(log_variance)), both (B, Z), through which gradients flow."""
    noise = draws.normal(*mean.shape).to(mean.device)
    return mean + noise * (0.5 * log_variance).exp()
