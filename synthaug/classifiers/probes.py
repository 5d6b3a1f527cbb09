"""What linear probes make of images: all that share a body see the same features of an image, which
are worked out once.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.classifiers.networks import head_of
from synthaug.classifiers.scoring import asking, predict
from synthaug.core import InputError, first_line, write_array
from synthaug.data import LabelledImages
from synthaug.metrics import class_probabilities

BATCH = 64  # of both ways, so that the last layer rounds alike


def predict_probe(
    network: nn.Module, images: LabelledImages, directory: Path, *, device: str = "auto"
) -> np.ndarray:
    """As `predict`, of a network that `Backbone.build` made whose last layer alone learned: class
    probabilities, float32 (N, K).

    directory: where the features before that layer are kept for all networks with the same body, on
        one device and in one arithmetic; a file for each body and set of images.

    Raises `InputError` for a file of features that is damaged.
    """
    head = head_of(network)
    file = directory / f"{_identity(network, head)}-{images.fingerprint}.npy"
    if file.exists():
        return _answers(head, _kept(file), device)
    given: list[Tensor] = []
    answers: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if inputs[0].ndim == output.ndim == 2:
            given.append(inputs[0].float().cpu())
            answers.append(output.float().softmax(1).cpu())

    with head.register_forward_hook(note):
        found = predict(network, images.images, device=device, batch_size=BATCH)
    # Not where more follows that layer, or there are two of them.
    if answers and np.array_equal(torch.cat(answers).numpy(), found):
        write_array(file, torch.cat(given).numpy())
    return found


def _kept(file: Path) -> np.ndarray:
    try:
        features: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{file}: damaged ({first_line(error)}); remove it") from None
    return features


def _answers(head: nn.Module, features: np.ndarray, device: str) -> np.ndarray:
    with asking(head, device) as where:
        batches = torch.split(torch.from_numpy(features), BATCH)
        parts = [class_probabilities("network", head, each.to(where)) for each in batches]
        return torch.cat(parts).cpu().numpy()


def _identity(network: nn.Module, head: nn.Module) -> str:
    """A digest of all weights but those of the last layer."""
    own = {id(tensor) for tensor in head.state_dict(keep_vars=True).values()}
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in network.state_dict(keep_vars=True).items():
        if id(tensor) not in own:
            digest.update(f"\x1f{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
