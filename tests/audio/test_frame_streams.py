"""Rows of frames without a container: whole files of several encoders are whole, and files cut anywhere are not."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from evoxtral.audio import open_audio
from evoxtral.audio.containers import FileView, Piece
from evoxtral.audio.frame_streams import ends_in_a_cut_frame

# Encoder, container, rate, bits a second, options.
KINDS = {
    "mp3": ("libmp3lame", "mp3", 44_100, 128_000, {}),
    "mp3 of 16 kHz": ("libmp3lame", "mp3", 16_000, 32_000, {}),
    "mp3 of 8 kHz": ("libmp3lame", "mp3", 8_000, 16_000, {}),
    "mp3 of varying rate": ("libmp3lame", "mp3", 48_000, 0, {"q": "4"}),
    "mp3 without a header": ("libmp3lame", "mp3", 44_100, 96_000, {"write_xing": "0"}),
    "mp2": ("mp2", "mp2", 48_000, 192_000, {}),
    "aac": ("aac", "adts", 44_100, 96_000, {}),
    "aac of 16 kHz": ("aac", "adts", 16_000, 32_000, {}),
}
SOUND = (0.2 * np.random.default_rng(0).standard_normal(3 * 48_000)).astype(np.float32)


def encode(kind: str) -> bytes:
    codec, container_format, rate_hz, bit_rate, options = KINDS[kind]
    file = io.BytesIO()
    muxing = {name: value for name, value in options.items() if name == "write_xing"}
    with av.open(file, "w", format=container_format, options=muxing) as container:
        encoding = {name: value for name, value in options.items() if name != "write_xing"}
        stream: Any = container.add_stream(codec, rate=rate_hz, layout="mono", options=encoding)
        if bit_rate:
            stream.bit_rate = bit_rate
        samples = np.round(SOUND[: 3 * rate_hz] * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        resampler = av.AudioResampler(stream.format, "mono", rate_hz, frame_size=stream.codec_context.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


@pytest.fixture(scope="module", params=list(KINDS))
def whole(request: pytest.FixtureRequest) -> bytes:
    return encode(request.param)


def is_cut(data: bytes) -> bool:
    return ends_in_a_cut_frame(FileView(io.BytesIO(data), [Piece(len(data), 0)]))


def frame_ends(data: bytes) -> Iterator[int]:
    """Where FFmpeg's own parser finds frames to end."""
    with av.open(io.BytesIO(data), "r") as container:
        for packet in container.demux(audio=0):
            if packet.size and packet.pos is not None:
                yield packet.pos + packet.size


def test_whole_files_are_whole_whatever_tags_follow(whole: bytes) -> None:
    id3v1 = b"TAG" + bytes(125)
    ape = b"APETAGEX" + (2000).to_bytes(4, "little") + bytes(52)
    for after in (b"", id3v1, ape + id3v1, bytes(3), bytes(5000), b"\r\n", whole, b"ID3\4\0\0\0\0\0\0" + whole):
        assert not is_cut(whole + after)


def test_files_cut_anywhere_in_a_frame_are_cut(whole: bytes) -> None:
    ends = set(frame_ends(whole))
    lengths = np.random.default_rng(1).integers(len(whole) // 4, len(whole), 300)
    assert len(set(lengths) - ends) > 100
    for length in lengths:
        assert is_cut(whole[:length]) == (int(length) not in ends)


def test_files_of_another_library_are_whole(tmp_path: Path) -> None:
    for rate_hz in (16_000, 22_050, 44_100):
        path = tmp_path / f"{rate_hz}.mp3"
        soundfile.write(path, SOUND[:rate_hz], rate_hz, format="MP3")
        assert not is_cut(path.read_bytes())
        assert is_cut(path.read_bytes()[:-7])


def test_what_holds_no_frames_is_not_cut() -> None:
    rng = np.random.default_rng(2)
    assert not is_cut(b"")
    assert not is_cut(b"\xff\xfb")
    assert not is_cut(b"\xff" * 70_000)
    for _ in range(20):
        assert not is_cut(rng.bytes(20_000))


@pytest.mark.parametrize("kind", ["aac", "mp3 without a header"])
def test_a_recording_notes_where_it_was_cut_off(kind: str, tmp_path: Path) -> None:
    whole = encode(kind)
    path = tmp_path / ("a.aac" if kind == "aac" else "a.mp3")
    for data, is_told in ((whole, False), (whole[: len(whole) * 2 // 3 + 1], True)):
        path.write_bytes(data)
        with open_audio(path) as recording:
            heard_s = sum(len(block) for block in recording.blocks()) / 16_000
            notes = [note for note in recording.notes if "cut off" in note]
        if is_told:
            (note,) = notes
            assert "its last frame is cut off at " in note
            told_s = float(note.split(" at ")[1].split(" s")[0])
            assert told_s == pytest.approx(heard_s, abs=0.11)
            assert told_s == pytest.approx(2.0, abs=0.2)
        else:
            assert notes == []
