"""Predict with linear probes, which share the features of one body: these are computed once."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.classifiers.networks import head_of
from synthaug.classifiers.scoring import inference_on, predict
from synthaug.core import InputError, first_line, write_array
from synthaug.data import LabelledImages
from synthaug.metrics import class_probabilities

BATCH = 64  # with and without stored features, so that the last layer rounds alike


def predict_probe(
    network: nn.Module, images: LabelledImages, directory: Path, *, device: str = "auto"
) -> np.ndarray:
    """Return class probabilities, float32 (N, K), of a network whose last layer alone learned.

    Args:
        network: A network that `Backbone.build` made.
        images: The images.
        directory: Where the features before that layer are kept for all networks with the same
            body, on one device and in one arithmetic; a file for each body and set of images.
        device: As for `predict`.

    Raises:
        InputError: If a file of features is damaged.
    """
    head = head_of(network)
    file = directory / f"{_identity(network, head)}-{images.fingerprint}.npy"
    if file.exists():
        return _head_probabilities(head, _read_features(file), device)
    features: list[Tensor] = []
    outputs: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if inputs[0].ndim == output.ndim == 2:
            features.append(inputs[0].float().cpu())
            outputs.append(output.float().softmax(1).cpu())

    with head.register_forward_hook(note):
        posterior = predict(network, images.images, device=device, batch_size=BATCH)
    # Not where layers follow that one, or there are two of them.
    if outputs and np.array_equal(torch.cat(outputs).numpy(), posterior):
        write_array(file, torch.cat(features).numpy())
    return posterior


def _read_features(file: Path) -> np.ndarray:
    try:
        features: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{file}: damaged ({first_line(error)}); remove it") from None
    return features


def _head_probabilities(head: nn.Module, features: np.ndarray, device: str) -> np.ndarray:
    with inference_on(head, device) as target:
        batches = torch.split(torch.from_numpy(features), BATCH)
        parts = [class_probabilities("network", head, each.to(target)) for each in batches]
        return torch.cat(parts).cpu().numpy()


def _identity(network: nn.Module, head: nn.Module) -> str:
    """Return a digest of all weights but those of the last layer."""
    head_tensors = {id(tensor) for tensor in head.state_dict(keep_vars=True).values()}
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in network.state_dict(keep_vars=True).items():
        if id(tensor) not in head_tensors:
            digest.update(f"\x1f{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
