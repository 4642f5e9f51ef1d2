"""Word times by warping, against espeak-ng voices whose true word times are known."""

import hashlib

import numpy as np
import pytest
import soundfile

from evoxtral.errors import VoiceError
from evoxtral.tts import espeak, neural

SENTENCES = (
    "We should really talk about this tomorrow morning.",
    "The train was late again, and nobody told us anything at all.",
    "Yes.",
)


@pytest.mark.parametrize("name", ["carl", "edna", "tom", "amber"])
@pytest.mark.parametrize("sentence", SENTENCES)
def test_word_times_of_another_speaker_are_found(name, sentence):
    words = sentence.split()
    # Another variant, accent and rate than the guide's.
    truth = espeak.speak_words(words, espeak.VOICES[name], rate_wpm=145)
    guide = "en-us+f3" if "female" in espeak.VOICES[name].description else "en-us+m2"
    found = neural.align(truth.samples, truth.sample_rate_hz, words, guide)
    errors = [
        abs(a - b)
        for true_span, span in zip(truth.words, found.words, strict=True)
        for a, b in zip(true_span, span, strict=True)
    ]
    assert np.median(errors) < 0.03
    assert max(errors) < 0.15
    edges = [time for span in found.words for time in span]
    assert edges == sorted(edges)
    assert edges[0] == 0.0
    assert edges[-1] == pytest.approx(len(found.samples) / found.sample_rate_hz)


def test_silence_around_the_speech_is_cut_off():
    words = SENTENCES[0].split()
    truth = espeak.speak_words(words, espeak.VOICES["carl"])
    silence = np.zeros(8000, np.float32)
    found = neural.align(np.concatenate((silence, truth.samples, silence)), truth.sample_rate_hz, words, "en-us+m2")
    assert len(found.samples) == pytest.approx(len(truth.samples), abs=500)


def test_silence_itself_has_words_without_length():
    found = neural.align(np.zeros(8000, np.float32), 16_000, ["No", "sound."], "en-us+m2")
    assert found.words == ((0.0, 0.0), (0.0, 0.0))


def test_the_warping_path_is_the_cheapest():
    """Against the plain recursion, cell by cell."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 2)), rng.normal(size=(12, 2))
    cost = np.linalg.norm(a[:, None] - b[None], axis=2)
    total = np.full((10, 13), np.inf)
    total[0, 0] = 0
    for i in range(1, 10):
        for j in range(1, 13):
            c = cost[i - 1, j - 1]
            total[i, j] = c + min(total[i - 1, j - 1], total[i - 1, j] + 0.3 * c, total[i, j - 1] + 0.3 * c)
    i, j, path = 9, 12, {}
    while i and j:
        path[i - 1] = j - 1
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda cell: total[cell])
    rows, columns = neural._warp(a, b)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == path


def test_a_cached_phrase_needs_no_weights(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "kokoro.onnx").touch()
    np.savez(tmp_path / "weights" / "en.npz", af_test=np.zeros((2, 1, 256), np.float32))
    words = ("Hello", "there.")
    plain = espeak.speak_words(words, espeak.VOICES["amber"])
    key = hashlib.sha1(b"1.00|Hello there.", usedforsecurity=False).hexdigest()
    (tmp_path / "cache" / "af_test").mkdir(parents=True)
    soundfile.write(tmp_path / "cache" / "af_test" / f"{key}.flac", plain.samples, 24_000)
    spoken = neural.KokoroBase("af_test", tmp_path / "weights", tmp_path / "cache").speak_words(words)
    assert spoken.sample_rate_hz == 24_000
    assert len(spoken.samples) == pytest.approx(len(plain.samples), abs=300)
    assert len(spoken.words) == 2


def test_voices_are_listed_where_their_weights_lie(tmp_path, monkeypatch):
    monkeypatch.delenv("EVOXTRAL_KOKORO_DIR", raising=False)
    monkeypatch.delenv("EVOXTRAL_PIPER_DIR", raising=False)
    assert neural.voices() == []
    kokoro, piper = tmp_path / "kokoro", tmp_path / "piper"
    kokoro.mkdir()
    piper.mkdir()
    (kokoro / "kokoro.onnx").touch()
    (piper / "en_US-joe-medium.onnx").touch()
    np.savez(kokoro / "en.npz", af_bella=np.zeros(1), bm_lewis=np.zeros(1), zf_other=np.zeros(1))
    monkeypatch.setenv("EVOXTRAL_KOKORO_DIR", str(kokoro))
    monkeypatch.setenv("EVOXTRAL_PIPER_DIR", str(piper))
    monkeypatch.setattr(neural, "_installed", lambda package: True)
    assert [(voice.name, voice.description) for voice in neural.voices()] == [
        ("kokoro/af_bella", "American English, female (Kokoro)"),
        ("kokoro/bm_lewis", "British English, male (Kokoro)"),
        ("piper/en_US-joe-medium", "Piper"),
    ]


def test_what_is_missing_is_named_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.delenv("EVOXTRAL_KOKORO_DIR", raising=False)
    monkeypatch.delenv("EVOXTRAL_PIPER_DIR", raising=False)
    monkeypatch.setattr(neural, "_installed", lambda package: False)
    with pytest.raises(VoiceError, match=r"kokoro-onnx.*evoxtral\[kokoro\]"):
        neural.load("kokoro", "af_bella")
    with pytest.raises(VoiceError, match=r"piper-tts.*evoxtral\[piper\]"):
        neural.load("piper", "en_US-joe-medium")
    monkeypatch.setattr(neural, "_installed", lambda package: True)
    with pytest.raises(VoiceError, match="EVOXTRAL_KOKORO_DIR"):
        neural.load("kokoro", "af_bella")
    with pytest.raises(VoiceError, match="EVOXTRAL_PIPER_DIR"):
        neural.load("piper", "en_US-joe-medium")
    monkeypatch.setenv("EVOXTRAL_KOKORO_DIR", str(tmp_path))
    with pytest.raises(VoiceError, match="kokoro/af_bella"):
        neural.load("kokoro", "af_bella")
