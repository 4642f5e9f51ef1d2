"""The same sound at another tempo, at the same pitch: FFmpeg's `atempo` (overlap-add of similar waveforms).

Knows samples only.
"""

import numpy as np
from numpy.typing import NDArray

_LEAST_TEMPO, _MOST_TEMPO = 0.5, 2.0  # within these one pass of the filter keeps speech whole
_BLOCK_S = 10.0


def change_tempo(samples: NDArray[np.float32], sample_rate_hz: int, tempo: float) -> NDArray[np.float32]:
    """Play mono samples so many times as fast without changing their pitch; shape (n,) becomes about (n / tempo,).

    Args:
        tempo: 0.5 to 2; above 1 is faster.

    Raises:
        ValueError: another tempo.
    """
    if not _LEAST_TEMPO <= tempo <= _MOST_TEMPO:
        raise ValueError(f"tempo {tempo} is not within {_LEAST_TEMPO} and {_MOST_TEMPO}")
    if tempo == 1 or not len(samples):
        return samples
    from av import AudioFrame
    from av.error import BlockingIOError, EOFError
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(sample_rate=sample_rate_hz, format="flt", layout="mono")
    source.link_to(filtered := graph.add("atempo", f"{tempo:.6f}"))
    filtered.link_to(graph.add("abuffersink"))
    graph.configure()
    pieces = [np.zeros(0, np.float32)]
    size = round(_BLOCK_S * sample_rate_hz)
    starts = range(0, len(samples), size)
    for start in [*starts, None]:
        if start is None:
            source.push(None)
        else:
            block = np.ascontiguousarray(samples[start : start + size], np.float32)[None]
            frame = AudioFrame.from_ndarray(block, format="flt", layout="mono")
            frame.sample_rate, frame.pts = sample_rate_hz, start
            source.push(frame)
        while True:
            try:
                pieces.append(graph.pull().to_ndarray()[0])
            except (BlockingIOError, EOFError):
                break
    return np.concatenate(pieces)
