"""Files of tensors (safetensors) read and written a tensor at a time, so that memory holds one, not the model.

Knows the format (https://github.com/huggingface/safetensors#format) and shards; nothing of what the tensors are.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evoxtral.data.files import whole_file
from evoxtral.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

# The tensors' bytes begin at a multiple of this.
_ALIGNMENT: Final = 8
_BITS: Final = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U8": 8}


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """Where a tensor is: its file, its kind ("BF16") as the format calls it, and its shape."""

    file: Path
    kind: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """In bytes."""
        return math.prod(self.shape) * _BITS[self.kind] // 8


def find_tensors(folder: Path, *, stem: str = "model") -> dict[str, TensorPlace]:
    """All tensors of a checkpoint in one file, or in the shards that its index names.

    Args:
        stem: what the file is called, without `.safetensors`.

    Raises:
        ModelError: no such file, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    index = folder / f"{stem}.safetensors.index.json"
    whole = folder / f"{stem}.safetensors"
    if whole.is_file():
        files = [whole]
    elif index.is_file():
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        files = [folder / name for name in sorted(set(names))]
    else:
        raise ModelError(f"{folder}: has no {whole.name}", "name a folder in Hugging Face format")
    found = {}
    for file in files:
        try:
            with safe_open(file, "pt") as content:
                for name in content.keys():  # noqa: SIM118  # it is no dictionary
                    part = content.get_slice(name)
                    found[name] = TensorPlace(file, part.get_dtype(), tuple(part.get_shape()))
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{file}: cannot be read: {' '.join(str(error).split())}", "is it whole?") from error
    return found


def read_tensor(name: str, place: TensorPlace) -> "Tensor":
    """One tensor, on the CPU."""
    from safetensors import safe_open

    with safe_open(place.file, "pt") as content:
        tensor: Tensor = content.get_tensor(name)
    return tensor


def write_tensors(
    path: Path, places: Mapping[str, TensorPlace], load: Callable[[str], "Tensor"], *, names: Iterable[str]
) -> None:
    """Write a file whose tensors are made one after another.

    Args:
        places: kind and shape of each tensor of the file.
        load: gives the tensor of a name, of that kind and shape.
        names: their order in the file.
    """
    import torch

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    order, end = list(names), 0
    for name in order:
        start, end = end, end + places[name].size
        header[name] = {"dtype": places[name].kind, "shape": list(places[name].shape), "data_offsets": [start, end]}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % _ALIGNMENT)
    with whole_file(path) as file:
        file.write(len(encoded).to_bytes(8, "little"))
        file.write(encoded)
        for name in order:
            tensor = load(name).contiguous()
            assert tensor.numel() * tensor.element_size() == places[name].size, name
            file.write(tensor.flatten().view(torch.uint8).numpy().data)
