"""Weights as safetensors files."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor


def tensor_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """What is to be written to a file, from tensors of any device and layout."""
    plain = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return save(plain, None if metadata is None else dict(metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file. It is read, not mapped: some network shares cannot map files,
    and Windows neither replaces nor removes one that is.

    Raises `OSError`, `ValueError` or `SafetensorError` for a file that is none.
    """
    content = path.read_bytes()
    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__", {})
