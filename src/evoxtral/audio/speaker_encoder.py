"""How alike two voices are: the speaker encoder of Resemblyzer, run with numpy.

The weights (Apache-2.0, trained by Resemble AI on LibriSpeech, VoxCeleb 1 and 2) were taken out of the package
`resemblyzer` by `tools/convert_speaker_encoder.py`; the package itself needs torch and a compiler. The network is
that of Wan et al. 2018, "Generalized end-to-end loss for speaker verification": three LSTM layers over mel bands.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.audio.levels import bring_to, level_track_db, to_gain
from evoxtral.audio.spectrum import mel_power

Floats = NDArray[np.float32]

_HOP = 160  # samples, 10 ms
_MEL_BANDS = 40
_UNITS = 256
_LAYERS = 3
# The network hears stretches of 1.6 s, half overlapping.
_STRETCH_FRAMES = 160
_STEP_FRAMES = 80
# Shorter stretches are cut to multiples of this, and so many are run at a time.
_LENGTH_STEP_FRAMES = 16
_BATCH = 64
_TARGET_LEVEL_DB = -30.0
_SILENCE_BELOW_PEAK_DB = 40.0


def similarity(first: Floats, second: Floats) -> float:
    """Cosine of two embeddings, 0 to 1; nan if one is that of no sound."""
    return float(np.dot(first, second)) if first.any() and second.any() else float("nan")


def embed_speaker(samples: Floats) -> Floats:
    """The voice of a mono 16 kHz recording as a vector of length 1, shape (256,); zeros if it holds no sound.

    Silence is left out and the level brought to -30 dBFS; the embeddings of all stretches are averaged.
    """
    sound = _loud_part(samples)
    if not sound.any():
        return np.zeros(_UNITS, np.float32)
    return _embed(sound)


def embed_stretches(stretches: Sequence[Floats]) -> Floats:
    """The voices of stretches of speech of 1.6 s or less, each by itself; vectors of length 1, shape (stretches, 256).

    Stretches of like length are run together, so it pays to give many at once.
    """
    vectors = np.zeros((len(stretches), _UNITS), np.float32)
    by_length: dict[int, list[tuple[int, Floats]]] = {}
    for index, samples in enumerate(stretches):
        mels = _mel_spectrogram(_levelled(samples[: _STRETCH_FRAMES * _HOP]))[:_STRETCH_FRAMES]
        # The last frames that would make a length of its own are left out.
        frames = max(len(mels) // _LENGTH_STEP_FRAMES * _LENGTH_STEP_FRAMES, min(len(mels), _LENGTH_STEP_FRAMES))
        by_length.setdefault(frames, []).append((index, mels[:frames]))
    for group in by_length.values():
        for first in range(0, len(group), _BATCH):
            batch = group[first : first + _BATCH]
            vectors[[index for index, _ in batch]] = _run(np.stack([mels for _, mels in batch]))
    return vectors


def _levelled(sound: Floats) -> Floats:
    return bring_to(sound, to_gain(_TARGET_LEVEL_DB))


def _embed(sound: Floats) -> Floats:
    sound = _levelled(sound)
    mels = _mel_spectrogram(np.pad(sound, (0, max(0, _STRETCH_FRAMES * _HOP - len(sound)))))
    starts = range(0, len(mels) - _STRETCH_FRAMES + 1, _STEP_FRAMES)
    vectors = _run(np.stack([mels[start : start + _STRETCH_FRAMES] for start in starts]))
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


def _loud_part(samples: Floats) -> Floats:
    level_db = level_track_db(samples, SAMPLE_RATE_HZ, _HOP / SAMPLE_RATE_HZ)
    loud = level_db > level_db.max(initial=-120.0) - _SILENCE_BELOW_PEAK_DB
    return np.asarray(samples[: len(loud) * _HOP][np.repeat(loud, _HOP)], np.float32)


def _mel_spectrogram(sound: Floats) -> Floats:
    """Mel power, shape (frames, 40); frames are centred on every hundredth of a second."""
    return np.asarray(mel_power(sound, SAMPLE_RATE_HZ, _MEL_BANDS, centred=True), np.float32)


@cache
def _weights() -> dict[str, Floats]:
    with as_file(files("evoxtral.audio").joinpath("speaker_encoder.npz")) as path, np.load(path) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def _run(inputs: Floats) -> Floats:
    """The network: mel bands of shape (stretches, frames, 40) to vectors of length 1, shape (stretches, 256)."""
    weights = _weights()
    for layer in range(_LAYERS):
        from_input = inputs @ weights[f"lstm_weight_ih_l{layer}"].T
        from_input += weights[f"lstm_bias_ih_l{layer}"] + weights[f"lstm_bias_hh_l{layer}"]
        recurrent = weights[f"lstm_weight_hh_l{layer}"].T
        hidden = np.zeros((len(inputs), _UNITS), np.float32)
        cell = np.zeros_like(hidden)
        outputs = np.empty((*inputs.shape[:2], _UNITS), np.float32)
        for frame in range(inputs.shape[1]):
            gates = from_input[:, frame] + hidden @ recurrent
            keep_in, forget, candidate, keep_out = np.split(gates, 4, axis=1)
            cell = _sigmoid(forget) * cell + _sigmoid(keep_in) * np.tanh(candidate)
            hidden = _sigmoid(keep_out) * np.tanh(cell)
            outputs[:, frame] = hidden
        inputs = outputs
    raw = np.maximum(inputs[:, -1] @ weights["linear_weight"].T + weights["linear_bias"], 0)
    return np.asarray(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9), np.float32)


def _sigmoid(values: Floats) -> Floats:
    # By tanh, which does not overflow.
    return np.asarray(0.5 * np.tanh(0.5 * values) + 0.5, np.float32)
