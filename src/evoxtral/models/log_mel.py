"""Log-mel spectrograms on the model's device, equal to those of transformers' feature extractors.

Whisper and Voxtral hear the same features (128 bands for Voxtral); Voxtral Realtime's have a floor that does not hang
on what else is heard. Knows samples and spectrograms only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_FLOOR = 1e-10
_DYNAMIC_RANGE = 8.0  # decades below the loudest point, as in openai/whisper's audio.py


class LogMel(torch.nn.Module):
    """Float samples (rows, n) to log-mel features (rows, bands, n / hop); `n` must be a multiple of the hop.

    Args:
        extractor: the model's feature extractor, of which sizes and mel filters are taken, and how loud a sound is
            whose range all sounds have, if that is fixed; else it is the loudest point of each row.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self._n_fft: int = extractor.n_fft
        self.hop: int = extractor.hop_length
        self._loudest: float | None = getattr(extractor, "global_log_mel_max", None)
        self.filters: torch.Tensor
        self.window: torch.Tensor
        filters = torch.from_numpy(np.asarray(extractor.mel_filters, dtype=np.float32))
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(self._n_fft), persistent=False)

    @property
    def margin(self) -> int:
        """Samples that a feature hears on either side of its middle."""
        return self._n_fft // 2

    @torch.no_grad()
    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        with torch.autocast(audio.device.type, enabled=False):
            spectrum = torch.stft(audio.float(), self._n_fft, self.hop, window=self.window, return_complex=True)
            return self._features(spectrum[..., :-1])

    @torch.no_grad()
    def within(self, audio: torch.Tensor) -> torch.Tensor:
        """The same of a piece of a recording with `margin` samples before the first feature's middle and after the
        last one's: samples (rows, (features - 1) * hop + 2 * margin).
        """
        with torch.autocast(audio.device.type, enabled=False):
            return self._features(
                torch.stft(audio.float(), self._n_fft, self.hop, window=self.window, center=False, return_complex=True)
            )

    def _features(self, spectrum: torch.Tensor) -> torch.Tensor:
        logarithm = (self.filters.T @ spectrum.abs() ** 2).clamp(min=_FLOOR).log10()
        if self._loudest is None:
            floor = logarithm.amax(dim=(1, 2), keepdim=True) - _DYNAMIC_RANGE
            return (torch.maximum(logarithm, floor) + 4) / 4
        return (logarithm.clamp(min=self._loudest - _DYNAMIC_RANGE) + 4) / 4


def to_rows(windows: Sequence[NDArray[np.float32]], device: torch.device) -> torch.Tensor:
    """Float windows as rows on a device, shape (windows, longest): silence follows a shorter one."""
    longest = max(len(window) for window in windows)
    # From pinned memory the copy takes a third of the time.
    padded = torch.zeros(len(windows), longest, pin_memory=device.type == "cuda")
    for row, window in zip(padded, windows, strict=True):
        row[: len(window)] = torch.from_numpy(window)
    return padded.to(device, non_blocking=True)


def to_whole_windows(audio: torch.Tensor, window_samples: int) -> torch.Tensor:
    """Pad rows (rows, n) with silence to whole windows."""
    return torch.nn.functional.pad(audio, (0, -audio.shape[1] % window_samples))
