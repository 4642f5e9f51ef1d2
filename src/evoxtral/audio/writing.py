"""Writing sound to files and streams, and reading back what was written, through libsndfile.

Works where PyAV is missing, unless a rate must be changed. Knows nothing of speech.
"""

import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.resampling import SAMPLE_RATE_HZ, resample
from evoxtral.errors import AudioError

# libsndfile formats by file name suffix.
_WRITERS = {
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "OPUS"),
    ".opus": ("OGG", "OPUS"),
    ".wav": ("WAV", "PCM_16"),
}
_OPUS_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)


def read_clip(path: str | Path) -> NDArray[np.float32]:
    """Read a clip that `write_audio` wrote at 16 kHz: the same as `load_audio`, faster and without PyAV.

    Raises:
        AudioError: the file is missing, damaged, or not mono at 16 kHz.
    """
    import soundfile

    try:
        samples, rate_hz = soundfile.read(path, dtype="float32")
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if rate_hz != SAMPLE_RATE_HZ or samples.ndim != 1:
        raise AudioError(f"{path}: is not mono at {SAMPLE_RATE_HZ} Hz", "read it with load_audio")
    return np.asarray(samples, np.float32)


def check_target(path: Path) -> None:
    """Find out before the work is done whether `write_audio` could write its result there.

    Raises:
        AudioError: the suffix is of no format that can be written, or there is no such folder.
    """
    _writer(path.suffix.lower())
    if not path.parent.is_dir():
        raise AudioError(f"{path}: cannot be written: there is no folder {path.parent}")


def _writer(suffix: str) -> tuple[str, str]:
    if suffix not in _WRITERS:
        raise AudioError(f"cannot write sound as {suffix or 'a file without suffix'}", f"use {', '.join(_WRITERS)}")
    return _WRITERS[suffix]


def write_audio(
    target: str | Path | BinaryIO,
    samples: NDArray[np.float32],
    sample_rate_hz: int,
    *,
    suffix: str | None = None,
    comment: str | None = None,
) -> None:
    """Write mono samples, clipped to [-1, 1], in the format that the suffix names; a file appears whole or not at all.

    Args:
        target: path, or a binary stream; then `suffix` is needed.
        samples: shape (n,).
        suffix: .wav and .flac (both 16 bit), .opus, .ogg (Opus) or .mp3; by default the path's.
        comment: text for the file's comment field.

    Raises:
        AudioError: another suffix, or the disk refuses.
    """
    import soundfile

    suffix = (suffix or Path(str(target)).suffix).lower()
    container, codec = _writer(suffix)
    if codec == "OPUS" and sample_rate_hz not in _OPUS_RATES_HZ:
        rate_hz = next((rate for rate in _OPUS_RATES_HZ if rate >= sample_rate_hz), _OPUS_RATES_HZ[-1])
        samples, sample_rate_hz = resample(samples, sample_rate_hz, rate_hz), rate_hz
    samples = np.clip(samples, -1.0, 1.0)

    def write(file: BinaryIO) -> None:
        # In steps: libsndfile's Ogg encoders take long arrays onto the stack.
        with soundfile.SoundFile(file, "w", sample_rate_hz, 1, codec, format=container) as sound:
            if comment is not None:
                sound.comment = comment
            for start in range(0, len(samples), 4 * sample_rate_hz):
                sound.write(samples[start : start + 4 * sample_rate_hz])

    if not isinstance(target, (str, Path)):
        write(target)
        return
    path = Path(target)
    encoded = io.BytesIO()
    write(encoded)
    try:
        _write_whole(path, encoded.getbuffer())
    except OSError as error:
        raise AudioError(f"{path}: cannot be written: {error.strerror}") from error


def _write_whole(path: Path, content: memoryview) -> None:
    # The temporary name holds nothing of the file's own, which may be as long as names can be.
    with tempfile.NamedTemporaryFile(prefix=".", suffix=".part", dir=path.parent, delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(content)
            file.flush()
            umask = os.umask(0)
            os.umask(umask)
            partial.chmod(0o666 & ~umask)
            partial.replace(path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
