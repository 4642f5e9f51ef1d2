"""Parts and pictures of stored recordings: the sound between two times, and the peaks that a waveform is drawn from.

Knows audio files and numbers; nothing of HTTP or of who asks.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, open_audio, write_audio
from evoxtral.data.files import whole_file
from evoxtral.inference.pipeline import OpenRecording

# A peak is kept of each piece of this length; a waveform over several screens needs no finer ones.
PEAK_STEP_S = 0.02
_PEAK_SAMPLES = round(PEAK_STEP_S * SAMPLE_RATE_HZ)


def cut_passage(
    path: Path, name: str, start_s: float, end_s: float, decode: OpenRecording = open_audio
) -> tuple[io.BytesIO, float]:
    """The sound from `start_s` to `end_s` as a WAV file (mono, 16 kHz), and its length in seconds, which may be less.

    Args:
        decode: opens the recording; by default it is decoded in this process.

    Raises:
        AudioError: the recording cannot be decoded.
    """
    first, last = round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ)
    parts: list[NDArray[np.float32]] = []
    position = 0
    with decode(path, name=name) as reader:
        for block in reader.blocks():
            parts.append(block[max(first - position, 0) : max(last - position, 0)])
            position += len(block)
            if position >= last:
                break
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    buffer = io.BytesIO()
    if len(samples):
        write_audio(buffer, samples, SAMPLE_RATE_HZ, suffix=".wav")
        buffer.seek(0)
    return buffer, len(samples) / SAMPLE_RATE_HZ


def peaks_of(path: Path, name: str, kept: Path, count: int, decode: OpenRecording = open_audio) -> NDArray[np.float32]:
    """The largest level (0 to 1) of each of `count` equal parts of a recording, shape (count,).

    Args:
        kept: a file where peaks are kept, so that the recording is decoded once.
        decode: as for `cut_passage`.

    Raises:
        AudioError: the recording cannot be decoded.
    """
    try:
        fine = np.fromfile(kept, np.uint8)
    except FileNotFoundError:
        fine = _fine_peaks(path, name, decode)
        with whole_file(kept, durable=False) as file:
            file.write(fine.tobytes())
    if len(fine) == 0:
        return np.zeros(count, np.float32)
    edges = np.arange(count + 1) * len(fine) // count
    starts = np.minimum(edges[:-1], len(fine) - 1)
    peaks = np.maximum.reduceat(fine, starts)
    return (peaks / np.float32(255)).astype(np.float32)


def _fine_peaks(path: Path, name: str, decode: OpenRecording) -> NDArray[np.uint8]:
    found: list[NDArray[np.float32]] = []
    rest = np.zeros(0, np.float32)
    with decode(path, name=name) as reader:
        for block in reader.blocks():
            samples = np.abs(np.concatenate([rest, block]))
            whole = len(samples) // _PEAK_SAMPLES * _PEAK_SAMPLES
            found.append(samples[:whole].reshape(-1, _PEAK_SAMPLES).max(axis=1))
            rest = samples[whole:]
    if len(rest):
        found.append(rest.max(keepdims=True))
    peaks = np.concatenate(found) if found else rest
    return (np.clip(peaks, 0, 1) * 255).round().astype(np.uint8)
