"""What the audio encoder makes of sound, and how to spare making it again: repeated in a batch, or kept on disk.

An encoder that is never trained gives the same for the same sound, so it can be asked once. Knows encoders of
transformers and files; nothing of texts, decoders and recipes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evoxtral.data.files import whole_file


class ReusedEncoder:
    """Stands in the place of an encoder's forward pass.

    Args:
        encoder: a module of transformers, whose `forward` is replaced.
        frozen: whether it is never trained. Then it runs as inference runs it, in the precision of its weights (under
            autocast its norms would be made in float32), and without gradients.
    """

    def __init__(self, encoder: Any, *, frozen: bool) -> None:
        self.frozen = frozen
        self._forward = encoder.forward
        self._input_name: str = encoder.main_input_name
        self._heard = False
        self._repeats = 1
        encoder.forward = self._replacement(encoder.forward)

    @torch.no_grad()
    def hear(self, features: torch.Tensor) -> torch.Tensor:
        """What a frozen encoder makes of its windows, shape (windows, frames, width)."""
        with torch.autocast(features.device.type, enabled=False):
            heard: torch.Tensor = self._forward(features).last_hidden_state
        return heard

    @contextmanager
    def heard(self) -> Iterator[None]:
        """While it lasts, the encoder is given what `hear` made, and gives it on."""
        self._heard = True
        try:
            yield
        finally:
            self._heard = False

    @contextmanager
    def repeated(self, repeats: int) -> Iterator[None]:
        """While it lasts, the encoder gives what it makes of its windows so often, one after the other."""
        self._repeats = repeats
        try:
            yield
        finally:
            self._repeats = 1

    def _replacement(self, forward: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        @wraps(forward)
        def run(*arguments: Any, **options: Any) -> Any:
            if self.frozen:
                sound = arguments[0] if arguments else options[self._input_name]
                if self._heard:
                    return BaseModelOutputWithPooling(last_hidden_state=sound)
                with torch.autocast(sound.device.type, enabled=False), torch.no_grad():
                    return forward(*arguments, **options)
            output = forward(*arguments, **options)
            if self._repeats > 1:
                output.last_hidden_state = output.last_hidden_state.repeat(self._repeats, 1, 1)
            return output

        return run


class KeptEncoderOutputs:
    """A folder of what one encoder made of windows: a file each, by the sound and the encoder.

    What is missing or damaged is made again. Several processes may write to it.

    Args:
        folder: made when the first file is written.
        encoder: its weights are part of each name. What else shapes the result, such as the settings of the feature
            extractor, is that of one base, and so of one folder.
    """

    def __init__(self, folder: Path, encoder: Any) -> None:
        self._folder = folder
        digest = hashlib.sha256()
        for name, weight in encoder.state_dict().items():
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(weight.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        self._encoder = digest.digest()

    def keys(self, samples: NDArray[np.int16], windows: int) -> list[str]:
        """Names of the windows of a recording, shape (n,). All of it counts: its loudest point changes each of them."""
        digest = hashlib.blake2b(samples.tobytes(), key=self._encoder, digest_size=16).hexdigest()
        return [f"{digest}-{window}" for window in range(windows)]

    def read(self, keys: Sequence[str]) -> torch.Tensor | None:
        """What was made of the windows, shape (windows, frames, width); None unless all of it is there."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return torch.stack([load_file(self._path(key))["heard"] for key in keys])
        except (OSError, KeyError, SafetensorError):
            return None

    def write(self, keys: Sequence[str], heard: torch.Tensor) -> None:
        """Keep what was made of the windows."""
        from safetensors.torch import save

        for key, window in zip(keys, heard.cpu(), strict=True):
            if not self._path(key).is_file():
                with whole_file(self._path(key), durable=False) as file:
                    file.write(save({"heard": window.contiguous()}))

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"
