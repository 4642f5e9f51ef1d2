"""Reading and writing sound: any file that FFmpeg decodes becomes mono float32 at 16 kHz.

Decoding goes through PyAV, which brings FFmpeg's libraries; PyAV is imported only when something is decoded or
resampled, so that training on clips that we wrote (`read_clip`) works where it is missing. Knows nothing of speech.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.errors import AudioError

if TYPE_CHECKING:
    from av.container import InputContainer

SAMPLE_RATE_HZ = 16_000

# One block of decoded audio: what a reader of an hour-long file has to hold at a time.
BLOCK_S = 30.0

# A file is truncated when its packets end this much before the end that its header declares. Encoder delay and
# padding account for at most 0.15 s in the codecs that FFmpeg writes.
TRUNCATION_TOLERANCE_S = 0.25

# A hole between two frames longer than this is filled with silence, so that times stay those of the file.
GAP_TOLERANCE_S = 0.1

# Containers whose header states the length. FFmpeg only guesses it from the bit rate in the others.
_FORMATS_DECLARING_LENGTH = {
    "aiff",
    "asf",
    "au",
    "avi",
    "caf",
    "flac",
    "matroska,webm",
    "mov,mp4,m4a,3gp,3g2,mj2",
    "w64",
    "wav",
}

# Recorders that write to a pipe leave the size in the header of a WAV file at 0 or at about 2 or 4 GiB.
_WAV_SIZE_UNKNOWN_BYTES = 0x7FFF_0000

# libsndfile formats by file name suffix.
_WRITERS = {
    ".flac": ("FLAC", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".ogg": ("OGG", "OPUS"),
    ".opus": ("OGG", "OPUS"),
    ".wav": ("WAV", "PCM_16"),
}
_OPUS_RATES_HZ = (8_000, 12_000, 16_000, 24_000, 48_000)


class AudioReader:
    """An open recording; made by `open_audio`.

    Attributes:
        name: how messages call the recording.
        declared_duration_s: the length that the file's header or FFmpeg's estimate gives, or None.
    """

    def __init__(self, container: "InputContainer", name: str, *, length_is_declared: bool) -> None:
        self.name = name
        self._container = container
        self._length_is_declared = length_is_declared
        self.declared_duration_s = None if container.duration is None else container.duration / 1e6

    def blocks(self, block_s: float = BLOCK_S) -> Iterator[NDArray[np.float32]]:
        """Decode block by block: mono float32 at 16 kHz, each of shape (block_s * 16000,), the last one shorter.

        Raises:
            AudioError: the file is truncated, holds no samples, or samples that are not numbers. Blocks before the
                fault have been given by then.
        """
        size = round(block_s * SAMPLE_RATE_HZ)
        pending: list[NDArray[np.float32]] = []
        held = 0
        total = 0
        for piece in self._pieces():
            if not np.isfinite(piece).all():
                raise AudioError(
                    f"{self.name}: holds samples that are not numbers (NaN or infinite)", "export the recording again"
                )
            pending.append(piece)
            held += len(piece)
            total += len(piece)
            if held >= size:
                joined = np.concatenate(pending)
                while len(joined) >= size:
                    yield joined[:size]
                    joined = joined[size:]
                pending, held = [joined], len(joined)
        if total == 0:
            raise AudioError(f"{self.name}: holds no sound (zero length)")
        if held:
            yield np.concatenate(pending)

    def _pieces(self) -> Iterator[NDArray[np.float32]]:
        """Decode frame by frame, checking at the end that the file held all that it declares."""
        from av import AudioFrame
        from av.error import FFmpegError

        container, stream = self._container, self._container.streams.audio[0]
        start_s = 0.0 if container.start_time is None else container.start_time / 1e6
        mixer = _MonoMixer()
        frames = faults = 0
        reached_s = 0.0  # end of the last packet of any stream
        written_s = 0.0  # length of what was given so far
        packets = container.demux()
        while True:
            try:
                packet = next(packets)
            except (StopIteration, FFmpegError):
                # A container that breaks off in the middle is judged below by where it ended.
                break
            if packet.pts is not None and packet.time_base is not None:
                reached_s = max(reached_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - start_s)
            if packet.stream.index != stream.index:
                continue
            try:
                decoded = packet.decode()
            except FFmpegError:
                # Players step over a damaged packet too.
                faults += 1
                continue
            for frame in decoded:
                assert isinstance(frame, AudioFrame)
                frames += 1
                if frame.time is not None and self.declared_duration_s is not None:
                    hole_s = frame.time - start_s - written_s
                    if GAP_TOLERANCE_S < hole_s <= self.declared_duration_s - written_s:
                        yield from mixer.flush()
                        yield np.zeros(round(hole_s * SAMPLE_RATE_HZ), np.float32)
                        written_s += hole_s
                written_s += frame.samples / frame.sample_rate
                yield from mixer.mix(frame)
        yield from mixer.flush()
        if frames == 0 and faults:
            raise AudioError(f"{self.name}: is damaged: none of its {faults} packets of sound can be decoded")
        if self._length_is_declared and self.declared_duration_s is not None:
            reached_s = max(reached_s, written_s)
            if reached_s < self.declared_duration_s - TRUNCATION_TOLERANCE_S:
                raise _truncated(
                    self.name, f"it declares {self.declared_duration_s:.1f} s and ends after {reached_s:.1f} s"
                )


class _MonoMixer:
    """Turns decoded frames into mono float32 at 16 kHz by libswresample, keeping its state from frame to frame."""

    def __init__(self) -> None:
        self._resampler: Any = None
        self._kind: tuple[Any, ...] | None = None

    def mix(self, frame: Any) -> Iterator[NDArray[np.float32]]:
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            # A stream may change its rate or layout on the way (radio recordings do).
            yield from self.flush()
            from av import AudioResampler

            # libswresample's own way to mono makes float samples 3 dB louder, so one or two channels come out as
            # they are and are averaged below; more are folded into two first, with the centre in both.
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            self._resampler, self._kind = AudioResampler("fltp", layout, SAMPLE_RATE_HZ), kind
        frame.pts = None
        for out in self._resampler.resample(frame):
            yield self._to_mono(out)

    def flush(self) -> Iterator[NDArray[np.float32]]:
        if self._resampler is not None:
            for out in self._resampler.resample(None):
                if out is not None:
                    yield self._to_mono(out)
        self._resampler = self._kind = None

    @staticmethod
    def _to_mono(frame: Any) -> NDArray[np.float32]:
        channels: NDArray[np.float32] = frame.to_ndarray()  # (channels, samples)
        # A copy in the mono case: the frame's memory is used again.
        mono: NDArray[np.float32] = channels[0].copy() if len(channels) == 1 else channels.mean(0, dtype=np.float32)
        return mono


@contextmanager
def open_audio(source: str | Path | BinaryIO, *, name: str | None = None) -> Iterator[AudioReader]:
    """Open a file or a binary stream for decoding; a stream that cannot seek is first copied to a temporary file.

    Args:
        source: path, or binary stream, of anything that FFmpeg decodes; a video gives its first sound track.
        name: how messages call it; by default the path.

    Raises:
        AudioError: no such file, empty, not audio, or its index is cut off.
    """
    with ExitStack() as stack:
        if isinstance(source, (str, Path)):
            name = name or os.fspath(source)
            try:
                file: BinaryIO = stack.enter_context(Path(source).open("rb"))
            except (OSError, ValueError) as error:  # the latter for a name that no file can have
                raise AudioError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
        else:
            name = name or str(getattr(source, "name", None) or "audio")
            file = source
            if not file.seekable():
                spool = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, spool)
                spool.seek(0)
                file = spool
        try:
            head = file.read(64 * 1024)
        except OSError as error:
            raise AudioError(f"{name}: cannot be read: {error.strerror or error}") from error
        if not head:
            raise AudioError(f"{name}: is empty (0 bytes)")
        _check_wav_is_whole(file, head, name)
        _check_last_ogg_page_is_whole(file, head, name)
        counts_mp3_frames = _counts_mp3_frames(file, head)
        file.seek(0)
        container = stack.enter_context(_open_container(file, head, name))
        if not container.streams.audio:
            raise AudioError(f"{name}: has no sound track")
        declares = container.format.name in _FORMATS_DECLARING_LENGTH or (
            container.format.name == "mp3" and counts_mp3_frames
        )
        yield AudioReader(container, name, length_is_declared=declares)


def _open_container(file: BinaryIO, head: bytes, name: str) -> "InputContainer":
    import av

    try:
        # Playlists (HLS, concat) name further files and addresses; no protocol at all may open them.
        container = av.open(file, mode="r", metadata_errors="ignore", container_options={"protocol_whitelist": "none"})
    except (av.FFmpegError, ValueError) as error:
        if head[4:8] == b"ftyp":
            raise _truncated(name, "its index (moov) is missing") from error
        raise AudioError(f"{name}: is not audio or video that can be decoded") from error
    return container


def _truncated(name: str, how: str) -> AudioError:
    return AudioError(f"{name}: is truncated: {how}", "copy or download it again")


def _check_wav_is_whole(file: BinaryIO, head: bytes, name: str) -> None:
    """Compare the size of a WAV file's data chunk with the file, which FFmpeg adjusts without a word."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return
    size = file.seek(0, os.SEEK_END)
    position = 12
    while True:
        file.seek(position)
        chunk = file.read(8)
        if len(chunk) < 8:
            return
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            missing = position + 8 + length - size
            if length < _WAV_SIZE_UNKNOWN_BYTES and missing > 0:
                raise _truncated(name, f"{missing} of its {length} bytes of sound are missing")
            return
        position += 8 + length + length % 2


def _check_last_ogg_page_is_whole(file: BinaryIO, head: bytes, name: str) -> None:
    """Check that the last page of an Ogg file holds the bytes that its segment table promises (RFC 3533, section 6)."""
    if head[:4] != b"OggS":
        return
    size = file.seek(0, os.SEEK_END)
    # A page has at most 27 + 255 + 255 * 255 bytes.
    file.seek(max(0, size - 65_307))
    tail = file.read()
    page = tail.rfind(b"OggS")
    segments = tail[page + 27 :][: tail[page + 26]] if page >= 0 and len(tail) > page + 26 else b""
    promised = 27 + len(segments) + sum(segments)
    if page < 0 or not segments or len(segments) < tail[page + 26] or promised > len(tail) - page:
        raise _truncated(name, "its last page is cut off")


def _counts_mp3_frames(file: BinaryIO, head: bytes) -> bool:
    """Whether the first frame of an MP3 file, after an ID3v2 tag, is the kind that states how many frames follow."""
    tag_bytes = 0
    if head[:3] == b"ID3":
        # ID3v2.4, section 3.1: four bytes of seven bits each, without the ten of the tag's header.
        tag_bytes = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    file.seek(tag_bytes)
    first_frame = file.read(1441)
    return any(mark in first_frame for mark in (b"Xing", b"Info", b"VBRI"))


def load_audio(source: str | Path | BinaryIO, *, name: str | None = None) -> NDArray[np.float32]:
    """Decode a whole recording; arguments and errors as of `open_audio` and `AudioReader.blocks`.

    Returns:
        mono float32 at 16 kHz, shape (n,); several channels are averaged.
    """
    with open_audio(source, name=name) as reader:
        return np.concatenate(list(reader.blocks()))


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
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            write(file)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise AudioError(f"{path}: cannot be written: {error.strerror}") from error


def resample(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Change the sample rate of mono samples by libswresample; shape (n,) becomes (round(n * to_hz / from_hz),)."""
    if from_hz == to_hz or len(samples) == 0:
        return np.asarray(samples, np.float32)
    from av import AudioFrame, AudioResampler

    resampler = AudioResampler("fltp", "mono", to_hz)
    pieces = [np.zeros(0, np.float32)]  # of a few samples nothing may come out
    # In steps: libswresample takes several times the memory of what it is given at once.
    size = round(BLOCK_S * from_hz)
    for block in [*(samples[start : start + size] for start in range(0, len(samples), size)), None]:
        frame = None
        if block is not None:
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate = from_hz
        pieces += [out.to_ndarray()[0] for out in resampler.resample(frame) if out is not None]
    result = np.concatenate(pieces)
    wanted = round(len(samples) * to_hz / from_hz)
    return np.pad(result, (0, max(0, wanted - len(result))))[:wanted].astype(np.float32)
