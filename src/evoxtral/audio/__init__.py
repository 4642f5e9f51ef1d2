"""Sound in and out: decoding, resampling, writing, and small measurements. Knows nothing of speech or models."""

from evoxtral.audio.io import (
    SAMPLE_RATE_HZ,
    AudioReader,
    check_target,
    load_audio,
    open_audio,
    read_clip,
    resample,
    write_audio,
)

__all__ = [
    "SAMPLE_RATE_HZ",
    "AudioReader",
    "check_target",
    "load_audio",
    "open_audio",
    "read_clip",
    "resample",
    "write_audio",
]
