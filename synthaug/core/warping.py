"""Batches of images moved, turned, zoomed and smoothly deformed, for generators and classifiers."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from synthaug.core.seeding import StepDraws


def affine(images: Tensor, matrices: Tensor) -> Tensor:
    """Resample (B, C, H, W) under (B, 2, 3) matrices; sides run from -1 to 1, borders reflect."""
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def similarity_matrices(images: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return matrices (B, 2, 3) that rotate, zoom and move images (B, C, H, W).

    Args:
        images: The images.
        angle: Radians, (B,).
        scale: Zoom, (B,).
        shift: Moves, (B, 2), in coordinates from -1 to 1, of which one is longer than the other
            where images are not square.
    """
    height, width = images.shape[2:]
    cos, sin = angle.cos() * scale, angle.sin() * scale
    first = [cos, -sin * (height / width), shift[:, 0]]
    rows = torch.stack([*first, sin * (width / height), cos, shift[:, 1]], dim=1)
    return rows.view(-1, 2, 3)


def jitter(images: Tensor, draws: StepDraws, *, angle: float, zoom: float, shift: float) -> Tensor:
    """Rotate, zoom and move each image by uniform draws within plus or minus the given amounts.

    Amounts are radians, a share, and a share of half the image.
    """
    unit = (draws.uniform(len(images), 4) * 2 - 1).to(images.device)
    changes = unit[:, 0] * angle, 1 + unit[:, 1] * zoom, unit[:, 2:] * shift
    return affine(images, similarity_matrices(images, *changes))


def deform(images: Tensor, flow: Tensor) -> Tensor:
    """Move each pixel of (B, C, H, W) by a coarse grid of displacements (B, 2, h, w).

    Displacements are in coordinates from -1 to 1, interpolated bicubically to the image's size.
    """
    height, width = images.shape[2:]
    fine = resize_field(flow, height, width).permute(0, 2, 3, 1)
    identity = torch.eye(2, 3, device=images.device).expand(len(images), 2, 3)
    grid = F.affine_grid(identity, list(images.shape), align_corners=False)
    return F.grid_sample(
        images.float(), grid + fine, padding_mode="reflection", align_corners=False
    )


def resize_field(field: Tensor, height: int, width: int) -> Tensor:
    """Interpolate a coarse field (B, D, h, w) bicubically to (B, D, height, width)."""
    rows = _bicubic(field.shape[2], height, field.device)
    columns = _bicubic(field.shape[3], width, field.device).T
    with torch.autocast(field.device.type, enabled=False):
        return rows @ field.float() @ columns


@cache
@torch.inference_mode(False)  # what is kept here has to serve a training, too
def _bicubic(few: int, many: int, device: torch.device) -> Tensor:
    """Return `F.interpolate` of a side as a matrix (many, few), which is ten times as fast."""
    each = torch.eye(few, dtype=torch.float32).view(1, few, few, 1)
    fine = F.interpolate(each, (many, 1), mode="bicubic", align_corners=False)
    return fine[0, :, :, 0].T.contiguous().to(device)
