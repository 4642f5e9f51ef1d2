"""Decoding: any file that FFmpeg reads becomes mono float32 at 16 kHz.

Goes through PyAV, which brings FFmpeg's libraries and is imported only when something is decoded. Knows nothing of
speech.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.containers import (
    FORMATS_DECLARING_LENGTH,
    check_last_ogg_page_is_whole,
    check_wav_is_whole,
    counts_mp3_frames,
    truncated,
)
from evoxtral.audio.resampling import SAMPLE_RATE_HZ
from evoxtral.audio.spooling import pieces_of, spooled
from evoxtral.errors import AudioError

if TYPE_CHECKING:
    from av.container import InputContainer


# One block of decoded audio: what a reader of an hour-long file has to hold at a time.
BLOCK_S = 30.0

# A file is truncated when its packets end this much before the end that its header declares. Encoder delay and
# padding account for at most 0.15 s in the codecs that FFmpeg writes.
TRUNCATION_TOLERANCE_S = 0.25

# A hole between two frames longer than this is filled with silence, so that times stay those of the file.
GAP_TOLERANCE_S = 0.1


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
                raise truncated(
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
                file = stack.enter_context(spooled(pieces_of(file, name), name))
        try:
            head = file.read(64 * 1024)
        except OSError as error:
            raise AudioError(f"{name}: cannot be read: {error.strerror or error}") from error
        if not head:
            raise AudioError(f"{name}: is empty (0 bytes)")
        check_wav_is_whole(file, head, name)
        check_last_ogg_page_is_whole(file, head, name)
        has_frame_count = counts_mp3_frames(file, head)
        file.seek(0)
        container = stack.enter_context(_open_container(file, head, name))
        if not container.streams.audio:
            raise AudioError(f"{name}: has no sound track")
        declares = container.format.name in FORMATS_DECLARING_LENGTH or (
            container.format.name == "mp3" and has_frame_count
        )
        yield AudioReader(container, name, length_is_declared=declares)


def _open_container(file: BinaryIO, head: bytes, name: str) -> "InputContainer":
    import av

    try:
        # Playlists (HLS, concat) name further files and addresses; no protocol at all may open them.
        container = av.open(file, mode="r", metadata_errors="ignore", container_options={"protocol_whitelist": "none"})
    except (av.FFmpegError, ValueError) as error:
        if head[4:8] == b"ftyp":
            raise truncated(name, "its index (moov) is missing") from error
        raise AudioError(f"{name}: is not audio or video that can be decoded") from error
    return container


def load_audio(source: str | Path | BinaryIO, *, name: str | None = None) -> NDArray[np.float32]:
    """Decode a whole recording; arguments and errors as of `open_audio` and `AudioReader.blocks`.

    Returns:
        mono float32 at 16 kHz, shape (n,); several channels are averaged.
    """
    with open_audio(source, name=name) as reader:
        return np.concatenate(list(reader.blocks()))
