"""Describe a fit beside its images: seed, device, checkpoint and aids."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from synthaug.core import (
    InputError,
    Progress,
    Session,
    arithmetic,
    expect_file,
    tensor_bytes,
    versions,
)
from synthaug.data import LabelledImages, white_of


class FittedNetworks(Protocol):
    """A fitted generator, as far as another one starts from it."""

    networks: nn.ModuleList

    @property
    def metadata(self) -> dict[str, Any]:
        """The fingerprint of the training images, settings, seed and versions of the fit."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that it was fitted to."""
        ...


@dataclass(frozen=True)
class FitSession:
    """Seed, device and aids of one fit.

    Attributes:
        seed: Seed of weights and of the order of images; see `synthaug.core.torch_stream`.
        device: Device to train on.
        identity: Text that tells this training from others, for its checkpoint.
        checkpoint: File that training resumes from, if it is there, and saves its state to.
        progress: Called with (steps done, steps in all).
        start: Fitted generator of the same family to go on from.
        validation: Other real images of the same classes, to judge samples by.
        log: Directory for TensorBoard.
        notes: Entries that `train` adds to the generator's metadata; JSON values.
    """

    seed: int
    device: torch.device
    identity: str = ""
    checkpoint: Path | None = None
    progress: Progress | None = None
    start: FittedNetworks | None = None
    validation: LabelledImages | None = None
    log: Path | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.checkpoint:
            expect_file(f"checkpoint {self.checkpoint}", self.checkpoint)

    def refuse_aids(self, name: str) -> None:
        """Raise `InputError` for `start`, `validation` or `log`, for which there is no use."""
        if any(aid is not None for aid in (self.start, self.validation, self.log)):
            raise InputError(
                f"start, validation, log: {name} has no training that they could serve; leave them "
                "out"
            )

    def describe(self, data: LabelledImages, seconds: float) -> dict[str, Any]:
        """Return what the metadata say of every fit."""
        return {
            "seed": self.seed,
            "data": {
                "fingerprint": data.fingerprint,
                "images": len(data),
                "per_class": data.counts.tolist(),
                **depth_of(data),
            },
            "device": str(self.device),
            "arithmetic": arithmetic(self.device),
            "versions": versions(),
            "seconds": round(seconds, 2),
        }

    def core(self) -> Session:
        """Return the part that `synthaug.core.optimize` needs."""
        return Session(self.seed, self.device, self.identity, self.checkpoint, self.progress)


def depth_of(data: LabelledImages) -> dict[str, int]:
    """Return the white of images that leave bits empty; nothing for all others."""
    white = white_of(data.images)
    return {} if white == np.iinfo(data.images.dtype).max else {"white": white}


def identity_of_aids(start: FittedNetworks | None, validation: LabelledImages | None) -> str:
    """Return what tells a training with these aids from one with others."""
    identity = ""
    if start is not None:
        metadata = start.metadata
        identity += (
            f" start {metadata['data']['fingerprint']} {metadata['seed']} {metadata['settings']}"
        )
        # It may have begun where others did, of which these say nothing.
        weights = tensor_bytes(start.networks.state_dict())
        identity += f" {hashlib.blake2b(weights, digest_size=8).hexdigest()}"
    if validation is not None:
        identity += f" validation {validation.fingerprint}"
    return identity
