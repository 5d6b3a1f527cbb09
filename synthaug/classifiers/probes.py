"""What linear probes make of images: all that share a body see the same features of an image, which
are worked out once."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.classifiers.networks import head_of, layout_for
from synthaug.classifiers.scoring import asking, predict
from synthaug.errors import InputError, first_line
from synthaug.files import write_array
from synthaug.images import LabelledImages, to_float
from synthaug.metrics.features import class_probabilities

BATCH = 64  # as of `predict`, so that the last layer rounds as it does there


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
    if not file.exists():
        features = _features(network, head, images.images, device)
        if features is None:
            return predict(network, images.images, device=device)
        write_array(file, features)
    return _answers(head, _kept(file), device)


def _kept(file: Path) -> np.ndarray:
    try:
        features: np.ndarray = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{file}: damaged ({first_line(error)}); remove it") from None
    return features


def _features(
    network: nn.Module, head: nn.Module, images: np.ndarray, device: str
) -> np.ndarray | None:
    """What the last layer is given for each image, float32 (N, D); None where its answer is not the
    network's, as where there are two of them."""
    given: list[Tensor] = []
    answers: list[Tensor] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        given.append(inputs[0])
        answers.append(output)

    parts = []
    with asking(network, device) as where, head.register_forward_hook(note):
        layout = layout_for(network, where)
        for start in range(0, len(images), BATCH):
            floats = to_float(images[start : start + BATCH], where)
            found = network(floats.contiguous(memory_format=layout))
            if len(answers) != 1 or given[0].ndim != 2 or not torch.equal(answers[0], found):
                return None
            parts.append(given.pop().float().cpu().numpy())
            answers.clear()
    return np.concatenate(parts)


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
