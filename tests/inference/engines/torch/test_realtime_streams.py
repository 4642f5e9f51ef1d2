"""What is written while it is heard is what is written of the whole, whatever pieces the sound comes in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference import load_engine
from evoxtral.inference.engines.protocol import LiveWriter
from evoxtral.inference.engines.torch.frame_decoder import decode_frames
from evoxtral.inference.engines.torch.frame_streams import FrameStream, FrameStreams
from evoxtral.models.checkpoints import load_checkpoint
from tiny_models import save_tiny_realtime, save_tiny_whisper


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With windows of 0.8 and 2 seconds, so that short sounds reach beyond them."""
    return save_tiny_realtime(tmp_path_factory.mktemp("realtime"), windows=(40, 25))


@pytest.fixture(scope="module")
def speech(folder: Path) -> Any:
    loaded = load_checkpoint(folder, dtype=torch.float32)
    loaded.model.eval()
    return loaded


def sound(duration_s: float, seed: int) -> NDArray[np.float32]:
    """Noise whose level changes every 50 ms."""
    rng = np.random.default_rng(seed)
    count = round(duration_s * SAMPLE_RATE_HZ)
    levels = np.repeat(rng.choice([0.0, 0.01, 0.3], count // 800 + 1), 800)[:count]
    return (levels * rng.normal(0, 1, count)).astype(np.float32)


def offline(speech: Any, samples: NDArray[np.float32], delay: int) -> str:
    (row,) = decode_frames(speech, torch.from_numpy(samples)[None], [len(samples)], delay)
    return str(speech.tokenizer.decode(row.tokens, skip_special_tokens=True))


def opened(speech: Any, delay: int = 6) -> FrameStream:
    return FrameStream(delay, speech.opening(delay))


@given(
    st.lists(st.integers(0, 6000), max_size=12),
    st.lists(st.integers(0, 3000), max_size=12),
    st.integers(0, 2**16),
    st.sampled_from([1, 3, 6, 12]),
)
def test_pieces_of_any_length_write_what_the_whole_does(
    speech: Any, pieces: list[int], others: list[int], seed: int, delay: int
) -> None:
    """Of two streams at a time, which begin and end at different times and have delays of their own."""
    sounds = [sound(sum(parts) / SAMPLE_RATE_HZ, seed + index) for index, parts in enumerate((pieces, others))]
    cuts = [np.split(whole, np.cumsum(parts)) for whole, parts in zip(sounds, (pieces, others), strict=True)]
    streams = FrameStreams(speech)
    delays = [delay, 6]
    both = [opened(speech, delay) for delay in delays]
    texts = ["", ""]
    for turn in range(max(len(parts) for parts in cuts)):
        going = [index for index in range(2) if turn < len(cuts[index])]
        ends = [turn + 1 == len(cuts[index]) for index in going]
        written = streams.write([both[index] for index in going], [cuts[index][turn] for index in going], ends)
        for index, text in zip(going, written, strict=True):
            texts[index] += text
    for text, whole, own in zip(texts, sounds, delays, strict=True):
        assert text == offline(speech, whole, own)


def test_words_are_written_after_the_delay_and_not_at_the_end(speech: Any) -> None:
    """A token is known as soon as its frame and the 2.5 ms that the features hear beyond it are there."""
    whole = sound(3.0, 1)
    streams, stream = FrameStreams(speech), opened(speech)
    for start in range(0, len(whole), 1280):
        streams.write([stream], [whole[start : start + 1280]], [False])
        assert stream.position == 4 + start // 1280  # of frames, 4 of silence before; the newest waits for its 2.5 ms


def test_what_is_remembered_does_not_grow_with_the_stream(speech: Any) -> None:
    streams, stream = FrameStreams(speech), opened(speech)
    piece = sound(0.5, 2)
    sizes = set()
    for half_seconds in range(120):
        streams.write([stream], [piece], [False])
        if half_seconds > 10:
            sizes.add(streams.state_bytes - stream.pending.nbytes)
            assert len(stream.pending) < 2 * 1280 + 400
    assert len(sizes) == 1
    assert stream.position > 700


def test_rows_of_streams_that_are_over_or_left_are_used_again(speech: Any) -> None:
    streams = FrameStreams(speech)
    whole = sound(1.0, 3)
    expected = offline(speech, whole, 6)
    left = opened(speech)
    streams.write([left], [whole[:8000]], [False])
    size = streams.state_bytes - left.pending.nbytes
    for _ in range(9):
        stream = opened(speech)
        assert streams.write([stream], [whole], [True]) == [expected]
        assert stream.mean_log_probability is not None
    left.close()
    assert streams.write([opened(speech)], [whole], [True]) == [expected]
    assert streams.state_bytes == size


def test_the_engine_has_them_where_its_model_writes_live(
    folder: Path, speech: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    engine = load_engine(str(folder), delay_ms=160)
    assert isinstance(engine, LiveWriter)
    assert engine.writes_live
    whole = sound(2.0, 4)
    stream = engine.new_stream()
    text = "".join(
        engine.write_streams([stream], [whole[start : start + 5000]], [start + 5000 >= len(whole)])[0]
        for start in range(0, len(whole), 5000)
    )
    assert text == offline(speech, whole, 2)
    assert text.strip() == engine.transcribe_windows([whole])[0].text
    other = load_engine(str(save_tiny_whisper(tmp_path_factory.mktemp("whisper"))))
    assert not (isinstance(other, LiveWriter) and other.writes_live)
