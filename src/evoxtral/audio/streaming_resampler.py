"""A sample rate changed piece by piece, without seams: what comes out is what the whole would give, a moment later.

Knows one stream at a time; nothing of files.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.resampling import SAMPLE_RATE_HZ


class StreamingResampler:
    """Brings mono samples of one rate to 16 kHz by libswresample, which keeps its state from piece to piece."""

    def __init__(self, from_hz: int) -> None:
        self._from_hz = from_hz
        self._resampler: Any = None

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the next samples, shape (n,), complete; a few come out with the next piece."""
        if self._from_hz == SAMPLE_RATE_HZ:
            return np.asarray(samples, np.float32)
        if len(samples) == 0:
            return np.zeros(0, np.float32)
        from av import AudioFrame, AudioResampler

        if self._resampler is None:
            self._resampler = AudioResampler("fltp", "mono", SAMPLE_RATE_HZ)
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate = self._from_hz
        return self._joined(self._resampler.resample(frame))

    def finish(self) -> NDArray[np.float32]:
        """The last samples."""
        if self._resampler is None:
            return np.zeros(0, np.float32)
        rest = self._joined(self._resampler.resample(None))
        self._resampler = None
        return rest

    @staticmethod
    def _joined(frames: Any) -> NDArray[np.float32]:
        pieces = [np.zeros(0, np.float32), *(frame.to_ndarray()[0] for frame in frames if frame is not None)]
        return np.asarray(np.concatenate(pieces), np.float32)
