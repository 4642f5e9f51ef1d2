"""espeak-ng itself is the judge: its word events, its voices."""

import ctypes
import re

import numpy as np
import pytest

from evoxtral.audio import measures
from evoxtral.errors import VoiceError
from evoxtral.tts import espeak

WORDS = ["I", "saw", "twenty-one", "boats", "—", "out", "of", "30,", "perhaps!"]


def test_every_named_voice_exists_and_speaks_at_its_own_pitch():
    for voice in espeak.VOICES.values():
        plain = espeak.speak_words(["Hello", "there,", "my", "friend."], voice)
        assert plain.sample_rate_hz == espeak.SAMPLE_RATE_HZ
        assert 0.6 < len(plain.samples) / plain.sample_rate_hz < 2.5, voice.name
        f0_hz = measures.median_f0_hz(plain.samples, plain.sample_rate_hz)
        low, high = (65, 150) if voice.description.endswith(" male") else (150, 320)
        assert low < f0_hz < high, (voice.name, f0_hz)
    assert len(espeak.VOICES) >= 20
    assert len({voice.identifier for voice in espeak.VOICES.values()}) == len(espeak.VOICES)


@pytest.mark.parametrize("identifier", ["en-us+m3", "en-us+f2", "en-us+klatt2"])
def test_the_same_text_gives_the_same_samples_whatever_was_spoken_before(identifier):
    first, _ = espeak.synthesize("It works, it just hisses!", identifier)
    espeak.synthesize("Something else entirely, for a while.", "en+f2", rate_wpm=140)
    second, _ = espeak.synthesize("It works, it just hisses!", identifier)
    assert np.array_equal(first, second)


def test_word_times_are_espeaks_own_events():
    samples, events = espeak.synthesize(" ".join(WORDS), "en-us+m3")
    plain = espeak.with_word_times(samples, WORDS, events)
    first, _ = espeak.sounding_span(samples)
    positions = {0: 0, 2: 1, 6: 2, 17: 3, 25: 5}  # character -> word, counted by hand
    starts = {positions[at]: (sample - first) / espeak.SAMPLE_RATE_HZ for at, sample in events if at in positions}
    assert len(starts) == len(positions)
    for index, start_s in starts.items():
        assert plain.words[index][0] == pytest.approx(max(start_s, 0.0), abs=0.001)


def test_words_follow_each_other_and_lie_in_the_sound():
    plain = espeak.speak_words(WORDS, espeak.VOICES["carl"])
    assert len(plain.words) == len(WORDS)
    duration_s = len(plain.samples) / plain.sample_rate_hz
    edges = [time for span in plain.words for time in span]
    assert edges == sorted(edges)
    assert edges[0] >= 0.0
    assert edges[-1] <= duration_s
    lengths = [end - start for start, end in plain.words]
    assert lengths[4] == 0.0  # the dash
    assert all(length > 0.03 for index, length in enumerate(lengths) if index != 4)


def test_unknown_variants_and_odd_texts():
    with pytest.raises(VoiceError, match="no voice 'xx-nowhere'"):
        espeak.synthesize("Hello.", "xx-nowhere")
    for text in ("a\0b", "\ud800", "<speak>&amp;", "[[h@'loU]]", "☃"):
        samples, _ = espeak.synthesize(text, "en-us+m3")
        assert np.isfinite(samples).all()
    assert len(espeak.speak_words(["—"], espeak.VOICES["carl"]).words) == 1


@pytest.mark.parametrize("said", ["Mm-hm.", "mhm,", "Hm,", '"Mmm..."', "Shh!", "SHHH", "mm-hmm"])
def test_what_people_say_without_a_vowel_is_not_spelled(said, monkeypatch):
    """By espeak-ng's own phonemes of what it was given: the names of H, M and S are not among them."""
    given = []
    synthesize = espeak.synthesize

    def heard(text, *arguments, **options):
        given.append(text)
        return synthesize(text, *arguments, **options)

    monkeypatch.setattr(espeak, "synthesize", heard)
    speech = espeak.speak_words([said], espeak.VOICES["carl"])
    assert len(speech.words) == 1
    with espeak._fresh_library() as library:
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_SetVoiceByName(b"en-us")
        text = ctypes.c_char_p(given[0].encode())
        phonemes = library.espeak_TextToPhonemes(ctypes.byref(text), 1, 0).decode()
    assert not re.search("eItS|Em|Es", phonemes), phonemes
