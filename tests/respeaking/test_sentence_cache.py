import os

import numpy as np
import pytest

from evoxtral.respeaking import SentenceCache
from evoxtral.tts.speech_engine import Speech


def speech(seed=0):
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, 8_000).astype(np.float32)
    return Speech(samples, 16_000, "local/espeak", "espeak/carl", notes=("left out: x",))


def test_what_was_spoken_is_found_again(tmp_path):
    cache = SentenceCache(tmp_path)
    cache.keep("local", None, 0, "[sad] Oh – ähm.", speech())
    found = SentenceCache(tmp_path).find("local", None, 0, "[sad] Oh – ähm.")
    np.testing.assert_allclose(found.samples, speech().samples, atol=1 / 32_000)
    assert (found.engine, found.voice, found.sample_rate_hz) == ("local/espeak", "espeak/carl", 16_000)
    assert found.notes == ("left out: x",)


@pytest.mark.parametrize("other", [("x", None, 0, "Oh."), ("local", "v", 0, "Oh."), ("local", None, 1, "Oh.")])
def test_another_engine_voice_seed_or_text_is_another_sentence(tmp_path, other):
    cache = SentenceCache(tmp_path)
    cache.keep("local", None, 0, "Oh.", speech())
    assert cache.find(*other) is None
    assert cache.find("local", None, 0, "[sad] Oh.") is None


def test_another_version_may_speak_otherwise(tmp_path, monkeypatch):
    cache = SentenceCache(tmp_path)
    cache.keep("local", None, 0, "Oh.", speech())
    monkeypatch.setattr("evoxtral.__version__", "99")
    assert cache.find("local", None, 0, "Oh.") is None


def test_a_damaged_file_is_not_found(tmp_path):
    cache = SentenceCache(tmp_path)
    cache.keep("local", None, 0, "Oh.", speech())
    [file] = tmp_path.glob("*/*.flac")
    for damage in (file.read_bytes()[:100], b"", b"no sound at all"):
        file.write_bytes(damage)
        assert cache.find("local", None, 0, "Oh.") is None


def test_the_longest_unused_go_when_it_is_full(tmp_path):
    cache = SentenceCache(tmp_path)
    for number in range(4):
        cache.keep("local", None, number, "Oh.", speech(number))
    size = sum(file.stat().st_size for file in tmp_path.glob("*/*.flac"))
    for age, number in enumerate((2, 0, 3, 1)):  # 1 was used last
        os.utime(cache._path("local", None, number, "Oh."), ns=(age, age))
    cache.find("local", None, 2, "Oh.")
    small = SentenceCache(tmp_path, max_bytes=size + 200)
    small.keep("local", None, 4, "Oh.", speech(4))
    left = [number for number in range(5) if small.find("local", None, number, "Oh.") is not None]
    assert left == [1, 2, 3, 4]
