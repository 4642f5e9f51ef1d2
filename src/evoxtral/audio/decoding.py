"""Decoding: any file that FFmpeg reads becomes mono float32 at 16 kHz, with notes of what could not be heard.

Goes through PyAV, which brings FFmpeg's libraries and is imported only when something is decoded. Knows nothing of
speech.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.containers import (
    FORMATS_DECLARING_LENGTH,
    FORMATS_WITH_TIMES,
    FileView,
    check_is_whole,
    check_last_ogg_page_is_whole,
    counts_mp3_frames,
    recordings_in,
    truncated,
)
from evoxtral.audio.frame_streams import FRAME_STREAMS, ends_in_a_cut_frame
from evoxtral.audio.mixing import MonoMixer, check_kind
from evoxtral.audio.resampling import SAMPLE_RATE_HZ
from evoxtral.audio.spooling import pieces_of, spooled
from evoxtral.errors import AudioError

if TYPE_CHECKING:
    from av.container import InputContainer


# One block of decoded audio: what a reader of an hour-long file has to hold at a time.
BLOCK_S = 10.0
# More streams has no recording; a made-up file declares thousands, each with its decoder.
_MOST_STREAMS = 128

# A file is truncated when its packets end this much before the end that its header declares. Encoder delay and
# padding account for at most 0.15 s in the codecs that FFmpeg writes.
TRUNCATION_TOLERANCE_S = 0.25

# Where frames are missing, silence stands for them once they are longer than this, so that times stay the file's.
HOLE_TOLERANCE_S = 0.1
# No recording gets more silence than this: a file of a few bytes may claim years. Longer jumps are left out, and said.
MOST_SILENCE_S = 2 * 3600.0

# More damage than this share of a recording, and it is refused.
MOST_DAMAGE = 0.5
# A reader that fails so many times in a row has stopped.
_MOST_READ_FAILURES = 32

# Of several sound tracks the first that is no quieter than this in its first minutes is taken, the default one first.
_SILENT_TRACK_DB = -60.0
_PROBED_S = 120.0


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of the recording, in seconds, of which no sound is known; silence stands for it.

    Attributes:
        is_damage: whether sound was there and could not be decoded; otherwise the time stamps only leave it out.
    """

    start_s: float
    end_s: float
    is_damage: bool


class Recording(Protocol):
    """An open recording, wherever it is decoded.

    Attributes:
        name: how messages call the recording.
        declared_duration_s: the length that the file's header or FFmpeg's estimate gives, or None.
        channels: how many the sound track has.
        holes: those met so far, in order.
        notes: what the user should know of how this was heard so far; a line each.
    """

    @property
    def name(self) -> str: ...
    @property
    def declared_duration_s(self) -> float | None: ...
    @property
    def channels(self) -> int: ...
    @property
    def holes(self) -> Sequence[Hole]: ...
    @property
    def notes(self) -> Sequence[str]: ...

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Mono float32 at 16 kHz, block by block; errors as of `AudioReader.blocks`."""
        ...


class AudioReader:
    """A recording that is decoded in this process; made by `open_audio`. Attributes as of `Recording`."""

    def __init__(
        self,
        parts: Sequence[FileView],
        track: int,
        name: str,
        *,
        states_length: bool,
        about: Sequence[str],
        channel: int | None = None,
    ):
        self.name = name
        self.channels = 1
        self._channel = channel
        self.holes: list[Hole] = []
        self._parts, self._track = parts, track
        self._states_length = states_length
        self._about = tuple(about)
        self._skipped: list[tuple[float, float]] = []  # where, and how long the jump is
        self._cut_off_s: float | None = None
        self._given_s = self._silence_s = self._damaged_s = 0.0
        self.declared_duration_s: float | None = None
        with self._opened(parts[0]) as container:
            if len(parts) == 1 and container.duration is not None:
                self.declared_duration_s = container.duration / 1e6
            tracks = container.streams.audio
            if track < len(tracks) and tracks[track].codec_context is not None:
                self.channels = tracks[track].codec_context.channels or 1

    @property
    def notes(self) -> list[str]:
        """What the user should know of how this was heard so far; a line each."""
        notes = list(self._about)
        missing_s = sum(hole.end_s - hole.start_s for hole in self.holes)
        if missing_s >= HOLE_TOLERANCE_S:
            notes.append(f"no sound could be decoded for {missing_s:.1f} s ({_places(self.holes)})")
        notes += [f"its time stamps jump by {jump_s:.0f} s at {at_s:.1f} s; left out" for at_s, jump_s in self._skipped]
        if self._cut_off_s is not None:
            notes.append(f"its last frame is cut off at {self._cut_off_s:.1f} s: what may have followed is missing")
        return notes

    def blocks(self, block_s: float = BLOCK_S) -> Iterator[NDArray[np.float32]]:
        """Decode block by block: mono float32 at 16 kHz, each of shape (block_s * 16000,), the last one shorter.

        Raises:
            AudioError: the file is truncated or damaged, holds no samples, or samples that are not numbers. Blocks
                before the fault have been given by then.
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
        for part in self._parts:
            with self._opened(part) as container:
                tracks = container.streams.audio
                if not tracks:
                    raise AudioError(f"{self.name}: a part of it has no sound track")
                track = tracks[min(self._track, len(tracks) - 1)]
                _check_track(track, self.name)
                yield from self._decode(container, track, part)
        if self._damaged_s > MOST_DAMAGE * self._given_s:
            raise AudioError(
                f"{self.name}: is damaged: {self._damaged_s:.1f} of its {self._given_s:.1f} s cannot be decoded"
            )

    def _decode(self, container: "InputContainer", stream: Any, part: FileView) -> Iterator[NDArray[np.float32]]:
        """Decode frame by frame, checking at the end that the file held all that it declares."""
        from av.error import FFmpegError

        start_s = 0.0 if container.start_time is None else container.start_time / 1e6
        begun_s = self._given_s
        declared_s = self.declared_duration_s
        has_times = container.format.name in FORMATS_WITH_TIMES
        mixer = MonoMixer(self.name, self._channel)
        packets = _Packets(container)
        frames = 0
        faults = 0
        lost_s = 0.0  # of packets that gave nothing, since the last frame
        owed_s = 0.0  # time that frames left out and that no silence stands for yet
        expected_s = 0.0  # end of the last frame
        reached_s = 0.0  # end of the last packet of any stream
        is_cut = False
        for packet in packets:
            length_s = float((packet.duration or 0) * packet.time_base) if packet.time_base is not None else 0.0
            if packet.pts is not None and packet.time_base is not None:
                reached_s = max(reached_s, float(packet.pts * packet.time_base) + length_s - start_s)
            if packet.stream.index != stream.index:
                continue
            if packet.size:
                is_cut = bool(packet.is_corrupt)
            try:
                decoded = list(packet.decode())
            except (FFmpegError, ValueError, MemoryError, OSError):
                if packet.size:
                    faults += 1
                    lost_s += length_s
                continue
            for frame in decoded:
                duration_s = frame.samples / max(frame.sample_rate, 1)
                if has_times and frame.time is not None:
                    begins_s = frame.time - start_s
                    jump_s = begins_s - expected_s
                    if jump_s > duration_s / 2 and (declared_s is None or begins_s <= declared_s + 1.0):
                        owed_s += jump_s
                    expected_s = begins_s + duration_s
                elif not has_times:
                    owed_s += lost_s
                if owed_s > HOLE_TOLERANCE_S:
                    yield from mixer.flush()
                    yield from self._silence(owed_s, is_damage=faults > 0 and lost_s > 0.0, is_start=frames == 0)
                    owed_s = 0.0
                elif lost_s > 0.0:
                    self._damage(min(lost_s, owed_s))
                lost_s = 0.0
                frames += 1
                self._given_s += duration_s
                try:
                    yield from mixer.mix(frame)
                except (FFmpegError, ValueError, MemoryError, OSError) as error:
                    raise AudioError(f"{self.name}: its sound cannot be converted: {_reason(error)}") from error
        yield from mixer.flush()
        if frames == 0 and faults:
            raise AudioError(f"{self.name}: is damaged: none of its {faults} packets of sound can be decoded")
        self._damage(lost_s)
        reached_s = max(reached_s, self._given_s - begun_s)
        if self._states_length and declared_s is not None and reached_s < declared_s - TRUNCATION_TOLERANCE_S:
            raise truncated(self.name, f"it declares {declared_s:.1f} s and ends after {reached_s:.1f} s")
        if container.format.name == "mpegts" and is_cut:
            raise truncated(self.name, f"its last packet, at {reached_s:.1f} s, is cut off")
        if packets.fault is not None and not part.is_read:
            raise AudioError(
                f"{self.name}: is damaged: cannot be read past {self._given_s:.1f} s: {_reason(packets.fault)}",
                "copy or download it again",
            )
        if container.format.name in FRAME_STREAMS and ends_in_a_cut_frame(part):
            self._cut_off_s = reached_s

    def _silence(self, seconds: float, *, is_damage: bool, is_start: bool) -> Iterator[NDArray[np.float32]]:
        """Let silence stand for a hole, within bounds; sound that begins later than a picture leaves no hole."""
        if self._silence_s + seconds > MOST_SILENCE_S:
            self._skipped.append((self._given_s, seconds))
            return
        if not is_start:
            self.holes.append(Hole(self._given_s, self._given_s + seconds, is_damage))
        self._silence_s += seconds
        self._given_s += seconds
        if is_damage:
            self._damaged_s += seconds
        left = round(seconds * SAMPLE_RATE_HZ)
        while left > 0:
            count = min(left, round(BLOCK_S * SAMPLE_RATE_HZ))
            yield np.zeros(count, np.float32)
            left -= count

    def _damage(self, seconds: float) -> None:
        """Damage too short, or too late, for silence to stand for it."""
        if seconds > 0.0:
            self.holes.append(Hole(self._given_s, self._given_s + seconds, is_damage=True))
            self._damaged_s += seconds

    @contextmanager
    def _opened(self, part: FileView) -> Iterator["InputContainer"]:
        part.seek(0)
        with closing(open_container(part, self.name)) as container:
            yield container


class _Packets:
    """The packets of a container. After an error the reader is asked again: an error is not the end of a file.

    Attributes:
        fault: the error after which no packet came, if that was how it ended.
    """

    def __init__(self, container: "InputContainer") -> None:
        self._container = container
        self.fault: Exception | None = None

    def __iter__(self) -> Iterator[Any]:
        from av.error import EOFError as EndOfFile
        from av.error import FFmpegError

        packets, failures = self._container.demux(), 0
        while failures < _MOST_READ_FAILURES:
            try:
                packet = next(packets)
            except (StopIteration, EndOfFile):
                return
            # IndexError: a stream that begins in the middle, of which PyAV does not know.
            except (FFmpegError, ValueError, IndexError, MemoryError, OSError) as error:
                self.fault = None if isinstance(error, IndexError) else error
                packets, failures = self._container.demux(), failures + 1
                continue
            if packet.size:
                self.fault, failures = None, 0
            yield packet


def _places(holes: Sequence[Hole], most: int = 3) -> str:
    places = [f"{hole.start_s:.1f} to {hole.end_s:.1f} s" for hole in holes[:most]]
    return ", ".join([*places, *([f"and {len(holes) - most} more places"] if len(holes) > most else [])])


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__).splitlines()[0]


@contextmanager
def open_audio(
    source: str | Path | BinaryIO, *, name: str | None = None, track: int | None = None, channel: int | None = None
) -> Iterator[AudioReader]:
    """Open a file or a binary stream for decoding; a stream that cannot seek is first copied to a temporary file.

    Args:
        source: path, or binary stream, of anything that FFmpeg decodes.
        name: how messages call it; by default the path.
        track: which sound track to hear, counted from 1; by default the default one, or where that is silent the
            first that is not. Of several, which was taken is noted.
        channel: hear this channel of the track alone, counted from 0; by default all are mixed.

    Raises:
        AudioError: no such file or track, empty, not audio, or its index is cut off.
    """
    with ExitStack() as stack:
        file, name = open_file(source, name, stack)
        try:
            head = file.read(64 * 1024)
        except OSError as error:
            raise AudioError(f"{name}: cannot be read: {_reason(error)}") from error
        if not head:
            raise AudioError(f"{name}: is empty (0 bytes)")
        if head.startswith((b"#EXTM3U", b"ffconcat", b"[playlist]")):
            raise AudioError(f"{name}: is a list of recordings and none itself", "name the recordings that it lists")
        check_is_whole(file, head, name)
        check_last_ogg_page_is_whole(file, head, name)
        parts = recordings_in(file, head, name)
        with closing(open_container(parts[0], name)) as container:
            tracks = len(container.streams.audio)
            if tracks == 0:
                raise AudioError(f"{name}: has no sound track")
            chosen, about = _choose_track(parts[0], container, track, name)
            _check_track(container.streams.audio[chosen], name)
            states_length = container.format.name in FORMATS_DECLARING_LENGTH or (
                container.format.name == "mp3" and counts_mp3_frames(file, head)
            )
        yield AudioReader(parts, chosen, name, states_length=states_length, about=about, channel=channel)


def open_file(source: str | Path | BinaryIO, name: str | None, stack: ExitStack) -> tuple[BinaryIO, str]:
    """A path or stream as a file that can be sought in, closed with the stack, and how messages call it.

    Raises:
        AudioError: it cannot be read.
    """
    if isinstance(source, (str, Path)):
        name = name or os.fspath(source)
        try:
            return stack.enter_context(Path(source).open("rb")), name
        except (OSError, ValueError) as error:  # the latter for a name that no file can have
            raise AudioError(f"{name}: cannot be read: {_reason(error)}") from error
    name = name or str(getattr(source, "name", None) or "audio")
    if source.seekable():
        return source, name
    return stack.enter_context(spooled(pieces_of(source, name), name)), name


def _choose_track(
    part: FileView, container: "InputContainer", wanted: int | None, name: str
) -> tuple[int, tuple[str, ...]]:
    """The place of a track among the sound tracks, and what to say of it."""
    tracks = container.streams.audio
    if wanted is not None and not 1 <= wanted <= len(tracks):
        raise AudioError(f"{name}: has no sound track {wanted}", f"it has {len(tracks)}")
    if len(tracks) == 1:
        return 0, ()
    chosen = None if wanted is None else wanted - 1
    if chosen is None:
        default = next((index for index, track in enumerate(tracks) if _is_default(track)), 0)
        order = sorted(range(len(tracks)), key=lambda index: index != default)
        levels_db = {}
        for index in order:
            levels_db[index] = _level_db(part, index, name)
            if levels_db[index] > _SILENT_TRACK_DB:
                break
        chosen = max(levels_db, key=lambda index: levels_db[index])
    language = tracks[chosen].metadata.get("language")
    which = f"track {chosen + 1}" + (f" ({language})" if language and language != "und" else "")
    return chosen, (f"has {len(tracks)} sound tracks; this is {which}",)


def _check_track(track: Any, name: str) -> None:
    if track.codec_context is None:
        raise AudioError(f"{name}: its sound track is in a format that cannot be decoded", "convert it to FLAC or WAV")
    # Zeros stand for what the container does not say and the first frame will.
    check_kind(name, track.codec_context.channels or 1, track.codec_context.sample_rate or SAMPLE_RATE_HZ)


def _is_default(track: Any) -> bool:
    from av.stream import Disposition

    return bool(track.disposition & Disposition.default)


def _level_db(part: FileView, track: int, name: str) -> float:
    """The level of a track's first minutes, in dB of full scale; that of silence where nothing can be decoded."""
    energy, count = 0.0, 0
    try:
        reader = AudioReader([part], track, name, states_length=False, about=())
        for block in reader.blocks():
            energy += float(np.dot(block, block))
            count += len(block)
            if count >= _PROBED_S * SAMPLE_RATE_HZ:
                break
    except AudioError:
        pass
    return 10.0 * float(np.log10(max(energy / max(count, 1), 1e-12)))


def open_container(file: FileView, name: str) -> "InputContainer":
    """Let FFmpeg find out what a file is, without following it anywhere else.

    Raises:
        AudioError: it is nothing that FFmpeg decodes.
    """
    import av

    try:
        # Playlists (HLS, concat) name further files and addresses; no protocol at all may open them.
        options = {"protocol_whitelist": "none", "max_streams": str(_MOST_STREAMS)}
        return av.open(file, mode="r", metadata_errors="ignore", container_options=options)
    except (av.FFmpegError, ValueError, IndexError, MemoryError, OSError) as error:
        file.seek(0)
        if file.read(8)[4:] == b"ftyp":
            raise truncated(name, "its index (moov) is missing") from error
        raise AudioError(f"{name}: is not audio or video that can be decoded") from error


def load_audio(source: str | Path | BinaryIO, *, name: str | None = None) -> NDArray[np.float32]:
    """Decode a whole recording; arguments and errors as of `open_audio` and `AudioReader.blocks`.

    Returns:
        mono float32 at 16 kHz, shape (n,); several channels are averaged.
    """
    with open_audio(source, name=name) as reader:
        return np.concatenate(list(reader.blocks()))
