"""The child gives what the parent would have decoded, and its end, whatever it is, is one line."""

from pathlib import Path

import numpy as np
import pytest

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, write_audio
from evoxtral.audio.decoding_process import DecodingProcess
from evoxtral.errors import AudioError


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 25 * SAMPLE_RATE_HZ).astype(np.float32)
    write_audio(tmp_path / "clip.flac", samples, SAMPLE_RATE_HZ)
    return tmp_path / "clip.flac"


def test_blocks_are_those_of_the_same_process(clip: Path) -> None:
    decoding = DecodingProcess(clip, "clip")
    blocks = list(decoding.blocks())
    assert [len(block) for block in blocks] == [10 * SAMPLE_RATE_HZ, 10 * SAMPLE_RATE_HZ, 5 * SAMPLE_RATE_HZ]
    np.testing.assert_array_equal(np.concatenate(blocks), load_audio(clip))
    assert (decoding.holes, decoding.notes) == ([], [])


def test_errors_keep_their_words(clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.wav"
    write_audio(cut, np.zeros(SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ)
    cut.write_bytes(cut.read_bytes()[:-1000])
    with pytest.raises(AudioError, match=r"^mine: is truncated: 1000 of its 32000 bytes") as caught:
        list(DecodingProcess(cut, "mine").blocks())
    assert caught.value.hint == "copy or download it again"


def test_too_little_memory_is_one_line(clip: Path) -> None:
    with pytest.raises(AudioError, match=r"^clip: cannot be decoded: .* 64 MB"):
        list(DecodingProcess(clip, "clip", memory_limit_bytes=64 << 20).blocks())


def test_a_child_that_gives_nothing_is_killed(clip: Path) -> None:
    with pytest.raises(AudioError, match="clip: is not decoded within 0 s"):
        list(DecodingProcess(clip, "clip", block_timeout_s=0.0).blocks())
