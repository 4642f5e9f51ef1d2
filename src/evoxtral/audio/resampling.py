"""Sample rates: the one that everything here hears at, and the way from any other to it. Knows nothing of files."""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
_BLOCK_S = 30.0


def resample(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Change the sample rate of mono samples by libswresample; shape (n,) becomes (round(n * to_hz / from_hz),)."""
    if from_hz == to_hz or len(samples) == 0:
        return np.asarray(samples, np.float32)
    from av import AudioFrame, AudioResampler

    resampler = AudioResampler("fltp", "mono", to_hz)
    pieces = [np.zeros(0, np.float32)]  # of a few samples nothing may come out
    # In steps: libswresample takes several times the memory of what it is given at once.
    size = round(_BLOCK_S * from_hz)
    for block in [*(samples[start : start + size] for start in range(0, len(samples), size)), None]:
        frame = None
        if block is not None:
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate = from_hz
        pieces += [out.to_ndarray()[0] for out in resampler.resample(frame) if out is not None]
    result = np.concatenate(pieces)
    wanted = round(len(samples) * to_hz / from_hz)
    return np.pad(result, (0, max(0, wanted - len(result))))[:wanted].astype(np.float32)
