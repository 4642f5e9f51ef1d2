"""The first layers of a CTranslate2 Whisper's encoder, as a model of their own that is made in memory.

CTranslate2 gives the last layer's outputs alone, and how something is said is told better by earlier ones. Knows
CTranslate2's file of weights and sound; nothing of tags.
"""

import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoxtral.errors import ModelError

_VERSION = 6
_LAYER = re.compile(r"(?:encoder|decoder)/layer_(\d+)/")
# CTranslate2 loads a decoder with any encoder; all that is kept of it is one layer of so many rows.
_DECODER_ROWS = 8


class EarlyEncoder:
    """Layers 0 to `layers` - 1 of a model's encoder, and the normalisation behind its last.

    Args:
        folder: model.bin and config.json of a CTranslate2 Whisper.
        layers: how many are kept.

    Raises:
        ModelError: the folder holds another kind of model.
    """

    def __init__(self, folder: Path, layers: int, *, compute_type: str = "auto") -> None:
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor

        try:
            files = {
                "model.bin": first_layers(np.memmap(folder / "model.bin", np.uint8, mode="r").data, layers),
                "config.json": (folder / "config.json").read_bytes(),
                "vocabulary.json": (folder / "vocabulary.json").read_bytes(),
            }
            self._model = ctranslate2.models.Whisper(
                "early encoder",
                device="cpu",
                compute_type=compute_type,
                intra_threads=1,
                files=files,
            )
        except (OSError, LookupError, RuntimeError, ValueError, struct.error) as error:
            raise ModelError(f"{folder}: its encoder cannot be read: {str(error).splitlines()[0]}") from error
        self._extract = FeatureExtractor(feature_size=self._model.n_mels)

    def encode(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mono samples at 16 kHz, shape (n,), to outputs of shape (50 a second, width); no silence is added."""
        import ctranslate2

        features = np.ascontiguousarray(self._extract(samples, padding=0)[None], np.float32)
        encoded = self._model.encode(ctranslate2.StorageView.from_array(features), to_cpu=True)
        outputs: NDArray[np.float32] = np.asarray(encoded).squeeze(0)
        return outputs


def first_layers(model: bytes | memoryview, layers: int) -> bytes:
    """A CTranslate2 Whisper's model.bin with so many layers of its encoder, and next to nothing of its decoder.

    Raises:
        ValueError: the file is of another version or its encoder has fewer layers; struct.error: it is cut off.
    """
    reader = _Reader(model)
    (version,) = reader.numbers("I")
    name = reader.text()
    revision, count = reader.numbers("II")
    if version != _VERSION:
        raise ValueError(f"its model.bin has version {version}, not {_VERSION}")
    tensors = {tensor.name: tensor for tensor in (reader.tensor() for _ in range(count))}
    kept = [left for tensor in tensors.values() if (left := _kept(tensor, layers)) is not None]
    # Equal arrays are stored once; other names stand for them, also where their own layer is not kept.
    names = {tensor.name for tensor in kept}
    aliases: list[tuple[str, str]] = []
    for _ in range(reader.numbers("I")[0]):
        alias, target = reader.text(), reader.text()
        left = _kept(replace(tensors[target], name=alias), layers)
        if left is not None and target in names:
            aliases.append((alias, target))
        elif left is not None:
            kept.append(left)
    if not any(tensor.name.startswith(f"encoder/layer_{layers - 1}/") for tensor in kept):
        raise ValueError(f"its encoder has fewer than {layers} layers")
    head = struct.pack("<I", version) + _written(name) + struct.pack("<II", revision, len(kept))
    tail = [struct.pack("<I", len(aliases)), *(_written(text) for alias in aliases for text in alias)]
    return b"".join([head, *(tensor.to_bytes() for tensor in kept), *tail])


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One array of the file: its content is in the type that CTranslate2 calls `kind`, row by row."""

    name: str
    shape: tuple[int, ...]
    kind: int
    content: memoryview

    def rows(self, count: int) -> "_Tensor":
        if not self.shape or self.shape[0] <= count:
            return self
        row = len(self.content) // self.shape[0]
        return replace(self, shape=(count, *self.shape[1:]), content=self.content[: count * row])

    def to_bytes(self) -> bytes:
        head = bytes([len(self.shape)]) + struct.pack(f"<{len(self.shape)}I", *self.shape)
        return b"".join([_written(self.name), head, struct.pack("<BI", self.kind, len(self.content)), self.content])


def _kept(tensor: _Tensor, layers: int) -> _Tensor | None:
    """What is left of an array: all of the encoder's first layers, a few rows of the decoder's first."""
    found = _LAYER.match(tensor.name)
    if tensor.name.startswith("decoder/"):
        if found and int(found[1]) > 0:
            return None
        return tensor if tensor.name.endswith(("/gamma", "/beta")) else tensor.rows(_DECODER_ROWS)
    return None if found and int(found[1]) >= layers else tensor


class _Reader:
    """Reads the file of weights from its start; lengths and numbers are little-endian, texts end with a zero."""

    def __init__(self, content: bytes | memoryview) -> None:
        self._content = memoryview(content)
        self._at = 0

    def numbers(self, kinds: str) -> tuple[int, ...]:
        found: tuple[int, ...] = struct.unpack_from(f"<{kinds}", self._content, self._at)
        self._at += struct.calcsize(f"<{kinds}")
        return found

    def bytes_of(self, count: int) -> memoryview:
        part = self._content[self._at : self._at + count]
        if len(part) < count:
            raise ValueError("its model.bin is cut off")
        self._at += count
        return part

    def text(self) -> str:
        (length,) = self.numbers("H")
        return bytes(self.bytes_of(length)[:-1]).decode("utf-8")

    def tensor(self) -> _Tensor:
        name = self.text()
        (rank,) = self.numbers("B")
        shape = self.numbers("I" * rank)
        kind, size = self.numbers("B")[0], self.numbers("I")[0]
        return _Tensor(name, shape, kind, self.bytes_of(size))


def _written(text: str) -> bytes:
    content = text.encode("utf-8") + b"\0"
    return struct.pack("<H", len(content)) + content
