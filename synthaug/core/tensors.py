"""Weights as safetensors files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load, save
from torch import Tensor


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the content of a file of tensors, of any device and layout."""
    plain_values = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return save(plain_values, None if metadata is None else dict(metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata of a file.

    It is read, not mapped: some network shares cannot map files, and Windows neither replaces nor
    removes a mapped one.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it holds something else.
        SafetensorError: If it is damaged.
    """
    content = path.read_bytes()
    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__", {})


def plain_values(value: Any) -> Any:
    """Return numbers and arrays of numpy and torch as Python's; other objects unchanged.

    Also within tuples, lists and dictionaries.
    """
    if isinstance(value, np.generic | np.ndarray | Tensor):
        return value.tolist()
    if type(value) in (tuple, list):
        return type(value)(map(plain_values, value))
    if type(value) is dict:
        return {key: plain_values(each) for key, each in value.items()}
    return value


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return rows with a one in the column of the label, float32 (M, K)."""
    rows: np.ndarray = np.eye(classes, dtype=np.float32)[labels]
    return rows
