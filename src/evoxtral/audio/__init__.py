"""Sound in and out: decoding, resampling, writing, and small measurements. Knows nothing of speech or models."""

from evoxtral.audio.decoding import AudioReader, Hole, Recording, load_audio, open_audio
from evoxtral.audio.resampling import SAMPLE_RATE_HZ, resample
from evoxtral.audio.writing import check_target, read_clip, write_audio

__all__ = [
    "SAMPLE_RATE_HZ",
    "AudioReader",
    "Hole",
    "Recording",
    "check_target",
    "load_audio",
    "open_audio",
    "read_clip",
    "resample",
    "write_audio",
]
