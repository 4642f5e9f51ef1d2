"""Damaged, joined, jumping, many-tracked and absurd files: what can be heard is given, and what cannot is said."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, open_audio, write_audio
from evoxtral.errors import AudioError

LOW_HZ, HIGH_HZ = 440.0, 1000.0


def tone(frequency_hz: float, rate_hz: int, duration_s: float) -> NDArray[np.float32]:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def encode(
    path: Path,
    codec: str,
    samples: NDArray[np.float32],
    rate_hz: int = 48_000,
    *,
    format: str | None = None,
    options: dict[str, str] | None = None,
    jump: Callable[[float], float] = lambda second: second,
    left_out: Callable[[float], bool] = lambda second: False,
    spoilt: Callable[[float], bool] = lambda second: False,
) -> Path:
    """Write mono samples with PyAV; `jump` moves the time of each packet, `left_out` loses and `spoilt` breaks some."""
    with av.open(path, "w", format=format, options=options or {}) as container:
        sound = container.add_stream(codec, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        resampler = av.AudioResampler(sound.codec_context.format, "mono", rate_hz, frame_size=960)
        frames = [*resampler.resample(frame), *resampler.resample(None)]
        for packet in [packet for out in [*frames, None] for packet in sound.encode(out)]:
            if packet.pts is not None:
                second = float(packet.pts * packet.time_base)
                if left_out(second):
                    continue
                if spoilt(second):
                    broken = av.Packet(b"\xff" * packet.size)
                    broken.pts, broken.dts, broken.duration = packet.pts, packet.dts, packet.duration
                    broken.time_base, broken.stream = packet.time_base, packet.stream
                    packet = broken
                moved = round(jump(second) / packet.time_base)
                packet.pts = packet.dts = moved
            container.mux(packet)
    return path


def level(samples: NDArray[np.float32], frequency_hz: float, start_s: float, end_s: float) -> float:
    """Amplitude of one frequency between two times, by projection on it."""
    part = samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]
    phase = 2 * np.pi * frequency_hz * np.arange(len(part)) / SAMPLE_RATE_HZ
    return float(2 * abs(np.mean(part * np.exp(-1j * phase))))


def read(path: Path, track: int | None = None) -> tuple[NDArray[np.float32], list[str]]:
    with open_audio(path, track=track) as reader:
        samples = np.concatenate(list(reader.blocks(5.0)))
        return samples, reader.notes


def assert_low_then_high(samples: NDArray[np.float32], each_s: float = 2.0) -> None:
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(2 * each_s, abs=0.15)
    assert level(samples, LOW_HZ, 0.3, each_s - 0.3) == pytest.approx(0.4, rel=0.1)
    assert level(samples, HIGH_HZ, each_s + 0.3, 2 * each_s - 0.3) == pytest.approx(0.4, rel=0.1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("ogg", "flac", 44_100), ("ogg", "libopus", 48_000)),
        (("ogg", "libopus", 48_000), ("ogg", "flac", 16_000)),
        (("ogg", "libopus", 48_000), ("ogg", "libopus", 48_000)),
        (("wav", "pcm_s16le", 16_000), ("wav", "pcm_s16le", 44_100)),
        (("adts", "aac", 44_100), ("adts", "aac", 22_050)),
        (("mp3", "libmp3lame", 22_050), ("mp3", "libmp3lame", 44_100)),
    ],
    ids=["flac+opus", "opus+flac", "opus+opus", "wav+wav", "aac+aac", "mp3+mp3"],
)
def test_joined_files_are_heard_to_the_end(
    first: tuple[str, str, int], second: tuple[str, str, int], tmp_path: Path
) -> None:
    data = b""
    for number, ((container, codec, rate_hz), frequency_hz) in enumerate(
        zip((first, second), (LOW_HZ, HIGH_HZ), strict=True)
    ):
        path = encode(tmp_path / str(number), codec, tone(frequency_hz, rate_hz, 2.0), rate_hz, format=container)
        data += path.read_bytes()
    (tmp_path / "joined").write_bytes(data)
    samples, notes = read(tmp_path / "joined")
    assert_low_then_high(samples)
    assert notes == []


def fragmented(path: Path, **options: str) -> Path:
    sound = np.concatenate([tone(LOW_HZ, 48_000, 4.0), tone(HIGH_HZ, 48_000, 4.0)])
    flags = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"} | options
    return encode(path, "aac", sound, options=flags, format="mp4")


@pytest.mark.parametrize("movflags", ["frag_keyframe+empty_moov", "frag_keyframe+empty_moov+default_base_moof"])
def test_fragments_behind_a_damaged_one_are_found(movflags: str, tmp_path: Path) -> None:
    path = fragmented(tmp_path / "a.mp4", movflags=movflags)
    data = path.read_bytes()
    # Cut out of the middle of one fragment to the middle of another.
    fragments = [at for at in range(len(data)) if data.startswith(b"moof", at)]
    assert len(fragments) > 10
    lost = slice((fragments[5] + fragments[6]) // 2, (fragments[7] + fragments[8]) // 2)
    path.write_bytes(data[: lost.start] + data[lost.stop :])
    samples, notes = read(path)
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(8.0, abs=0.15)
    assert level(samples, LOW_HZ, 0.3, 2.0) == pytest.approx(0.4, rel=0.1)
    assert level(samples, HIGH_HZ, 5.0, 7.5) == pytest.approx(0.4, rel=0.1)
    (note,) = notes
    assert note.startswith("no sound could be decoded for ")
    assert 0.9 < float(note.split()[6]) < 1.8


def test_damage_in_the_middle_is_stepped_over_and_told_in_seconds(tmp_path: Path) -> None:
    sound = np.concatenate([tone(LOW_HZ, 48_000, 3.0), tone(HIGH_HZ, 48_000, 5.0)])
    path = encode(tmp_path / "a.mka", "libopus", sound, format="matroska", options={"cluster_time_limit": "500"})
    data = bytearray(path.read_bytes())
    third = len(data) // 4
    data[third : 2 * third] = bytes(third)
    path.write_bytes(data)
    samples, notes = read(path)
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(8.0, abs=0.1)
    assert level(samples, LOW_HZ, 0.3, 1.5) == pytest.approx(0.4, rel=0.1)
    assert level(samples, HIGH_HZ, 5.0, 7.5) == pytest.approx(0.4, rel=0.1)
    (note,) = notes
    assert note.startswith("no sound could be decoded for ")
    assert 1.5 < float(note.split()[6]) < 3.2


@pytest.mark.parametrize("container", ["matroska", "adts"])
def test_packets_that_cannot_be_decoded_are_counted_and_too_many_of_them_refused(
    container: str, tmp_path: Path
) -> None:
    sound = tone(LOW_HZ, 48_000, 8.0)
    path = encode(tmp_path / "a", "aac", sound, format=container, spoilt=lambda second: 2.0 <= second < 3.0)
    samples, notes = read(path)
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(8.0, abs=0.1)
    assert level(samples, LOW_HZ, 4.0, 7.0) == pytest.approx(0.4, rel=0.1)
    assert level(samples, LOW_HZ, 2.2, 2.8) < 0.02
    (note,) = notes
    assert float(note.split()[6]) == pytest.approx(1.0, abs=0.1)
    path = encode(tmp_path / "a", "aac", sound, format=container, spoilt=lambda second: 1.0 <= second < 7.0)
    with pytest.raises(AudioError, match=r"is damaged: (5\.9|6\.\d) of its [78]\.\d s cannot be decoded"):
        load_audio(path)


@pytest.mark.parametrize("gain", [1.0, 0.5])
def test_opposed_channels_keep_their_energy(gain: float, tmp_path: Path) -> None:
    mono = tone(LOW_HZ, SAMPLE_RATE_HZ, 2.0)
    path = tmp_path / "opposed.flac"
    soundfile.write(path, np.stack([mono, -mono], axis=1) * gain, SAMPLE_RATE_HZ)
    samples = load_audio(path)
    assert level(samples, LOW_HZ, 0.05, 1.95) == pytest.approx(0.4 * gain, rel=0.05)


def test_unlike_channels_are_averaged_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "stereo.flac"
    stereo = np.stack([tone(LOW_HZ, SAMPLE_RATE_HZ, 2.0), tone(HIGH_HZ, SAMPLE_RATE_HZ, 2.0)], axis=1)
    soundfile.write(path, stereo, SAMPLE_RATE_HZ)
    np.testing.assert_allclose(load_audio(path), stereo.mean(axis=1), atol=1e-3)


def write_tracks(path: Path, sounds: list[NDArray[np.float32]], default: int | None = None) -> Path:
    with av.open(path, "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono") for _ in sounds]
        for number, stream in enumerate(streams):
            stream.disposition = Disposition.default if number == default else Disposition(0)
            stream.metadata["language"] = ("eng", "fre", "ger")[number]
        for stream, sound in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def test_of_several_tracks_the_default_one_is_taken_unless_it_is_silent(tmp_path: Path) -> None:
    low, high, silence = (tone(hz, SAMPLE_RATE_HZ, 2.0) for hz in (LOW_HZ, HIGH_HZ, 0.0))
    samples, notes = read(write_tracks(tmp_path / "a.mkv", [low, high], default=1))
    assert level(samples, HIGH_HZ, 0.3, 1.7) == pytest.approx(0.4, rel=0.05)
    assert notes == ["has 2 sound tracks; this is track 2 (fre)"]
    samples, notes = read(write_tracks(tmp_path / "b.mkv", [silence, high], default=0))
    assert level(samples, HIGH_HZ, 0.3, 1.7) == pytest.approx(0.4, rel=0.05)
    assert notes == ["has 2 sound tracks; this is track 2 (fre)"]


def test_a_track_can_be_asked_for(tmp_path: Path) -> None:
    low, high = (tone(hz, SAMPLE_RATE_HZ, 2.0) for hz in (LOW_HZ, HIGH_HZ))
    path = write_tracks(tmp_path / "a.mkv", [low, high], default=1)
    samples, notes = read(path, track=1)
    assert level(samples, LOW_HZ, 0.3, 1.7) == pytest.approx(0.4, rel=0.05)
    assert notes == ["has 2 sound tracks; this is track 1 (eng)"]
    with pytest.raises(AudioError, match=r"a\.mkv: has no sound track 3 \(it has 2\)"):
        load_track(path, 3)


def load_track(path: Path, track: int) -> None:
    with open_audio(path, track=track):
        pass


def test_a_jump_within_bounds_becomes_silence_and_one_beyond_is_left_out(tmp_path: Path) -> None:
    sound = tone(LOW_HZ, 48_000, 2.0)
    for jump_s, length_s in ((3600.0, 3602.0), (43_200.0, 2.0)):
        path = encode(
            tmp_path / "a.webm", "libopus", sound, jump=lambda second, by=jump_s: second + by * (second >= 1.0)
        )
        assert path.stat().st_size < 50_000
        largest = total = 0
        with open_audio(path) as reader:
            for block in reader.blocks(10.0):
                largest = max(largest, len(block))
                total += len(block)
            (note,) = reader.notes
        assert largest <= 10 * SAMPLE_RATE_HZ
        assert total / SAMPLE_RATE_HZ == pytest.approx(length_s, abs=0.1)
        assert note.startswith("no sound could be decoded for 3600.0 s" if jump_s == 3600.0 else "its time stamps jump")


def test_packets_that_are_missing_leave_times_as_they_were(tmp_path: Path) -> None:
    sound = np.concatenate([tone(LOW_HZ, 48_000, 2.0), tone(HIGH_HZ, 48_000, 2.0)])
    path = encode(tmp_path / "a.webm", "libopus", sound, left_out=lambda second: 1.0 <= second < 1.5)
    samples, notes = read(path)
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(4.0, abs=0.1)
    assert level(samples, HIGH_HZ, 2.3, 3.7) == pytest.approx(0.4, rel=0.1)
    assert level(samples, LOW_HZ, 1.1, 1.4) < 0.02
    assert len(notes) == 1


def write_caf(path: Path, samples: NDArray[np.float32]) -> Path:
    """Core Audio Format by hand (16 bit, mono), since it is not in every FFmpeg: description, then data."""
    data = (samples * 32767).astype(">i2").tobytes()
    description = struct.pack(">d4sIIIII", float(SAMPLE_RATE_HZ), b"lpcm", 0, 2, 1, 1, 16)
    chunks = struct.pack(">4sq", b"desc", len(description)) + description
    path.write_bytes(b"caff\0\1\0\0" + chunks + struct.pack(">4sqI", b"data", len(data) + 4, 0) + data)
    return path


@pytest.mark.parametrize("kept", [0.4, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["caf", "avi", "mpegts", "fragmented"])
def test_truncation_is_noticed_in_containers_that_ffmpeg_reads_to_any_end(
    kind: str, kept: float, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "caf":
        write_caf(path, tone(LOW_HZ, SAMPLE_RATE_HZ, 8.0))
    elif kind == "fragmented":
        fragmented(path)
    else:
        encode(path, "aac" if kind == "mpegts" else "pcm_s16le", tone(LOW_HZ, 48_000, 8.0), format=kind)
    assert len(load_audio(path)) / SAMPLE_RATE_HZ == pytest.approx(8.0, abs=0.15)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(AudioError, match="is truncated") as caught:
        load_audio(path)
    assert "\n" not in str(caught.value)


def wav_header(channels: int, rate_hz: int, sound: bytes) -> bytes:
    block = 2 * channels
    return b"RIFF" + struct.pack(
        "<I4s4sIHHIIHH4sI",
        36 + len(sound),
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        rate_hz,
        min(rate_hz * block, 2**32 - 1),
        block % 65_536,
        16,
        b"data",
        len(sound),
    )


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (wav_header(255, 16_000, bytes(51_000)) + bytes(51_000), "declares 255 channels"),
        (wav_header(1, 2**31 - 1, bytes(32_000)) + bytes(32_000), "declares a sample rate of 2147483647 Hz"),
        (b"ID3", "is not audio"),
        (b"ID3\4\0\0\x7f\x7f\x7f\x7f", "is not audio"),
        (b"#EXTM3U\n#EXTINF:4,\ninner.ts\n", "is a list of recordings"),
        (b"ffconcat version 1.0\nfile inner.ts\n", "is a list of recordings"),
    ],
    ids=["255 channels", "2^31 Hz", "three bytes", "a tag and no more", "playlist", "concat list"],
)
def test_absurd_headers_get_one_line(content: bytes, cause: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=cause) as caught:
        load_audio(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_channels_of_no_known_layout_are_averaged(tmp_path: Path) -> None:
    sound = (tone(LOW_HZ, SAMPLE_RATE_HZ, 1.0) * 32767).astype("<i2")
    interleaved = np.repeat(sound[:, None], 12, axis=1).tobytes()
    path = tmp_path / "twelve.wav"
    path.write_bytes(wav_header(12, SAMPLE_RATE_HZ, interleaved) + interleaved)
    assert level(load_audio(path), LOW_HZ, 0.1, 0.9) == pytest.approx(0.4, rel=0.05)


def test_a_stream_that_cannot_be_read_is_named() -> None:
    class Broken(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(AudioError, match="standard input: cannot be read: Input/output error"):
        load_audio(Broken(), name="standard input")


def test_a_name_as_long_as_names_can_be_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250 + ".wav")
    write_audio(path, tone(LOW_HZ, SAMPLE_RATE_HZ, 0.5), SAMPLE_RATE_HZ)
    assert len(load_audio(path)) == SAMPLE_RATE_HZ // 2
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o400


def test_nothing_is_written_of_a_sound_that_cannot_be_encoded(tmp_path: Path) -> None:
    path = tmp_path / "kept.wav"
    path.write_bytes(b"what was there")
    with pytest.raises((TypeError, ValueError)):
        write_audio(path, np.array(["no", "sound"]), SAMPLE_RATE_HZ)  # type: ignore[arg-type]
    assert path.read_bytes() == b"what was there"
    assert len(list(tmp_path.iterdir())) == 1
