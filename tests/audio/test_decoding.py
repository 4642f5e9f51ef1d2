"""Every container and codec that PyAV encodes here comes back as the tone that went in; bad files get their errors."""

import io
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, open_audio, read_clip, resample, write_audio
from evoxtral.errors import AudioError

DURATION_S = 2.0
LEFT_HZ, RIGHT_HZ = 440, 1000


def tone(frequency_hz: float, rate_hz: int, duration_s: float = DURATION_S) -> NDArray[np.float32]:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def encode(
    path: Path,
    codec: str,
    rate_hz: int = 44_100,
    layout: str = "stereo",
    video: str | None = None,
    options: dict[str, str] | None = None,
    offset_s: float = 0.0,
) -> Path:
    """Write the two tones, left and right (or only the left one), with PyAV."""
    channels = [tone(LEFT_HZ, rate_hz), tone(RIGHT_HZ, rate_hz)]
    samples = np.stack(channels if layout == "stereo" else channels[:1])
    with av.open(path, "w", options=options or {}) as container:
        if video:
            picture = container.add_stream(video, rate=10)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=rate_hz, layout=layout)
        if video:
            for index in range(round(DURATION_S * 10)):
                image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), index, np.uint8), format="rgb24")
                image.pts = index
                container.mux(picture.encode(image))
            container.mux(picture.encode())
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate_hz
        frame.pts = round(offset_s * rate_hz)
        resampler = av.AudioResampler(sound.codec_context.format, layout, rate_hz)
        for out in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(out))
        container.mux(sound.encode())
    return path


def level_at(samples: NDArray[np.float32], frequency_hz: float) -> float:
    """Amplitude of one frequency in the middle of the samples, by projection on it."""
    middle = samples[len(samples) // 4 : len(samples) // 4 + SAMPLE_RATE_HZ // 2]
    phase = 2 * np.pi * frequency_hz * np.arange(len(middle)) / SAMPLE_RATE_HZ
    return float(2 * abs(np.mean(middle * np.exp(-1j * phase))))


CASES = {
    "wav-s16": ("a.wav", "pcm_s16le", {}),
    "wav-f32": ("a.wav", "pcm_f32le", {"rate_hz": 96_000}),
    "wav-s24": ("a.wav", "pcm_s24le", {}),
    "wav-u8-mono-8k": ("a.wav", "pcm_u8", {"rate_hz": 8_000, "layout": "mono"}),
    "wav-mulaw": ("a.wav", "pcm_mulaw", {"rate_hz": 8_000, "layout": "mono"}),
    "flac": ("a.flac", "flac", {}),
    "flac-mono-16k": ("a.flac", "flac", {"rate_hz": 16_000, "layout": "mono"}),
    "mp3": ("a.mp3", "libmp3lame", {}),
    "opus": ("a.opus", "libopus", {"rate_hz": 48_000}),
    "ogg-opus": ("a.ogg", "libopus", {"rate_hz": 48_000}),
    "m4a-aac": ("a.m4a", "aac", {}),
    "m4a-alac": ("a.m4a", "alac", {}),
    "adts": ("a.aac", "aac", {}),
    "ac3": ("a.ac3", "ac3", {}),
    "aiff": ("a.aiff", "pcm_s16be", {}),
    "webm": ("a.webm", "libopus", {"rate_hz": 48_000}),
    "mpegts": ("a.ts", "aac", {}),
    "mp4-with-video": ("a.mp4", "aac", {"video": "libx264"}),
    "mkv-with-video": ("a.mkv", "aac", {"video": "mpeg4"}),
    "webm-with-video": ("a.webm", "libopus", {"rate_hz": 48_000, "video": "libvpx"}),
    "fragmented-mp4": ("a.mp4", "aac", {"options": {"movflags": "frag_keyframe+empty_moov"}}),
}


@pytest.mark.parametrize("case", CASES)
def test_decodes_to_the_average_of_both_channels_at_16_khz(case: str, tmp_path: Path) -> None:
    name, codec, options = CASES[case]
    samples = load_audio(encode(tmp_path / name, codec, **options))

    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(DURATION_S, abs=0.1)
    stereo = options.get("layout", "stereo") == "stereo"
    # The mean of two channels has half of each; a mean over the wrong axis would leave no tone at all.
    assert level_at(samples, LEFT_HZ) == pytest.approx(0.2 if stereo else 0.4, rel=0.08)
    assert level_at(samples, RIGHT_HZ) == pytest.approx(0.2 if stereo else 0.0, rel=0.08, abs=0.02)


def test_a_centre_channel_is_not_lost(tmp_path: Path) -> None:
    surround = np.zeros((SAMPLE_RATE_HZ, 6), np.float32)
    surround[:, 2] = tone(LEFT_HZ, SAMPLE_RATE_HZ, 1.0)
    path = tmp_path / "surround.wav"
    soundfile.write(path, surround, SAMPLE_RATE_HZ, subtype="FLOAT")
    assert level_at(load_audio(path), LEFT_HZ) > 0.2


def test_a_mono_16_khz_float_file_is_given_sample_by_sample(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).uniform(-0.9, 0.9, 50_001).astype(np.float32)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio(path), samples)


def test_reads_streams_that_seek_and_those_that_do_not(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.m4a", "aac")  # its index is at the end: it cannot be read front to back
    expected = load_audio(path)
    np.testing.assert_array_equal(load_audio(io.BytesIO(path.read_bytes())), expected)

    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.left = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            return self.left.readinto(buffer)

    np.testing.assert_array_equal(load_audio(io.BufferedReader(Pipe(path.read_bytes()))), expected)


def test_blocks_join_to_the_whole_and_have_the_size_asked_for(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.flac", "flac")
    with open_audio(path) as reader:
        assert reader.declared_duration_s == pytest.approx(DURATION_S)
        blocks = list(reader.blocks(block_s=0.5))
    assert [len(block) for block in blocks[:-1]] == [SAMPLE_RATE_HZ // 2] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks), load_audio(path))


def test_sound_that_begins_late_in_a_video_keeps_its_time(tmp_path: Path) -> None:
    samples = load_audio(encode(tmp_path / "a.mp4", "aac", video="libx264", offset_s=0.75))
    onset_s = np.flatnonzero(np.abs(samples) > 0.1)[0] / SAMPLE_RATE_HZ
    assert onset_s == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(
    "case", ["wav-s16", "wav-f32", "flac", "mp3", "opus", "m4a-aac", "aiff", "webm", "mkv-with-video"]
)
@pytest.mark.parametrize("kept", [0.5, 0.75])
def test_a_truncated_file_is_named_as_such(case: str, kept: float, tmp_path: Path) -> None:
    name, codec, options = CASES[case]
    path = encode(tmp_path / name, codec, **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(AudioError, match=f"{path.name}: is truncated") as caught:
        load_audio(path)
    assert caught.value.hint


def test_a_truncated_mp4_whose_index_comes_first_is_named_as_such(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", "aac", options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match="is truncated"):
        load_audio(path)


def test_a_wav_from_a_pipe_without_a_size_is_whole(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.wav", "pcm_s16le", rate_hz=SAMPLE_RATE_HZ, layout="mono")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 0xFFFF_FFFF)
    path.write_bytes(data)
    assert len(load_audio(path)) == DURATION_S * SAMPLE_RATE_HZ


def test_an_mp3_without_a_frame_count_is_whole(tmp_path: Path) -> None:
    # FFmpeg guesses the length of such a file from the bit rate of its first frame.
    path = encode(tmp_path / "a.mp3", "libmp3lame", options={"write_xing": "0"})
    assert len(load_audio(path)) / SAMPLE_RATE_HZ == pytest.approx(DURATION_S, abs=0.1)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b"Dear diary, today I heard nothing at all.\n" * 50, "is not audio or video"),
        (np.random.default_rng(0).bytes(30_000), "."),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "."),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\ninner.ts\n#EXT-X-ENDLIST\n", "."),
        (b"ffconcat version 1.0\nfile inner.ts\n", "."),
    ],
    ids=["empty", "text", "noise bytes", "broken picture", "playlist", "concat list"],
)
def test_what_is_not_audio_is_refused_in_one_line(
    content: bytes, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A list that names another file must not bring that file in: it may be one that its sender cannot read.
    encode(tmp_path / "inner.ts", "aac")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "thing.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=cause) as caught:
        load_audio(path)
    assert "thing.wav" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"nowhere\.wav: cannot be read: No such file"):
        load_audio(tmp_path / "nowhere.wav")
    with pytest.raises(AudioError, match="cannot be read: Is a directory"):
        load_audio(tmp_path)


def test_a_disk_that_fails_and_a_name_that_cannot_be_are_named() -> None:
    class FailingDisk(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(AudioError, match=r"usb\.wav: cannot be read: Input/output error"):
        load_audio(FailingDisk(), name="usb.wav")
    with pytest.raises(AudioError, match="cannot be read: embedded null"):
        load_audio("a\0b.wav")


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(path, "w") as container:
        picture = container.add_stream("libx264", rate=10)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(picture.encode())
    with pytest.raises(AudioError, match="has no sound track"):
        load_audio(path)


def test_zero_length_and_samples_that_are_not_numbers(tmp_path: Path) -> None:
    path = tmp_path / "zero.wav"
    soundfile.write(path, np.zeros(0, np.float32), SAMPLE_RATE_HZ)
    with pytest.raises(AudioError, match="holds no sound"):
        load_audio(path)
    for bad in (np.nan, np.inf):
        samples = tone(LEFT_HZ, SAMPLE_RATE_HZ)
        samples[1234] = bad
        path = tmp_path / "nan.wav"
        soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="FLOAT")
        with pytest.raises(AudioError, match=r"nan\.wav: holds samples that are not numbers"):
            load_audio(path)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".opus", ".ogg", ".mp3"])
def test_what_is_written_is_read_again(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"clip{suffix}"
    samples = tone(LEFT_HZ, SAMPLE_RATE_HZ)
    write_audio(path, samples, SAMPLE_RATE_HZ)
    again = load_audio(path)
    assert level_at(again, LEFT_HZ) == pytest.approx(0.4, rel=0.05)
    assert len(again) / SAMPLE_RATE_HZ == pytest.approx(DURATION_S, abs=0.08)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    if suffix != ".mp3":
        clip = read_clip(path)
        assert level_at(clip, LEFT_HZ) == pytest.approx(0.4, rel=0.05)
        assert len(clip) / SAMPLE_RATE_HZ == pytest.approx(DURATION_S, abs=0.02)


def test_a_lossless_clip_is_the_same_by_both_readers(tmp_path: Path) -> None:
    samples = np.clip(np.random.default_rng(3).normal(0, 0.3, 40_000), -1, 1).astype(np.float32)
    write_audio(tmp_path / "a.flac", samples, SAMPLE_RATE_HZ)
    np.testing.assert_allclose(read_clip(tmp_path / "a.flac"), samples, atol=1 / 32768)
    np.testing.assert_array_equal(read_clip(tmp_path / "a.flac"), load_audio(tmp_path / "a.flac"))


def test_loud_samples_are_clipped_and_not_wrapped(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", np.full(1000, 1.7, np.float32), SAMPLE_RATE_HZ)
    assert read_clip(tmp_path / "a.wav").min() > 0.99


def test_opus_takes_any_rate_by_resampling(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.opus", tone(LEFT_HZ, 22_050), 22_050)
    assert level_at(load_audio(tmp_path / "a.opus"), LEFT_HZ) == pytest.approx(0.4, rel=0.05)


def test_writes_into_a_stream_and_refuses_unknown_suffixes(tmp_path: Path) -> None:
    stream = io.BytesIO()
    write_audio(stream, tone(LEFT_HZ, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ, suffix=".flac")
    stream.seek(0)
    assert len(load_audio(stream)) == DURATION_S * SAMPLE_RATE_HZ
    with pytest.raises(AudioError, match=r"\.xyz"):
        write_audio(tmp_path / "a.xyz", tone(LEFT_HZ, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    with pytest.raises(AudioError, match="cannot be written"):
        write_audio(tmp_path / "no" / "folder.wav", tone(LEFT_HZ, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)


def test_read_clip_refuses_what_was_not_written_for_it(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", tone(LEFT_HZ, 8_000), 8_000)
    with pytest.raises(AudioError, match="not mono at 16000 Hz"):
        read_clip(tmp_path / "a.wav")
    (tmp_path / "b.flac").write_bytes(b"fLaC but not really")
    with pytest.raises(AudioError, match=r"b\.flac: cannot be read"):
        read_clip(tmp_path / "b.flac")


@pytest.mark.parametrize("from_hz", [8_000, 22_050, 24_000, 48_000])
def test_resampling_keeps_the_tone_and_the_length(from_hz: int) -> None:
    samples = tone(LEFT_HZ, from_hz)
    out = resample(samples, from_hz, SAMPLE_RATE_HZ)
    assert out.shape == (round(len(samples) * SAMPLE_RATE_HZ / from_hz),)
    ideal = tone(LEFT_HZ, SAMPLE_RATE_HZ)
    np.testing.assert_allclose(out[200:-200], ideal[200:-200], atol=5e-3)


def test_long_sounds_are_resampled_in_steps_that_leave_no_seam() -> None:
    resampled = resample(tone(LEFT_HZ, 22_050, 61.0), 22_050, SAMPLE_RATE_HZ)
    assert len(resampled) == 61 * SAMPLE_RATE_HZ
    wanted = tone(LEFT_HZ, SAMPLE_RATE_HZ, 61.0)
    inside = slice(SAMPLE_RATE_HZ // 10, -SAMPLE_RATE_HZ // 10)
    np.testing.assert_allclose(resampled[inside], wanted[inside], atol=2e-3)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_samples_can_be_resampled(count: int) -> None:
    assert len(resample(np.ones(count, np.float32), 8_000, SAMPLE_RATE_HZ)) == 2 * count


def test_clips_can_be_read_where_pyav_is_missing(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", tone(LEFT_HZ, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    script = (
        "import sys; sys.modules['av'] = None\n"
        "from evoxtral.audio import read_clip\n"
        f"assert len(read_clip({str(tmp_path / 'a.flac')!r})) == 32000\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
