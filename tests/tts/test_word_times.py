"""Word times by warping, against espeak-ng voices whose true word times are known."""

import numpy as np
import pytest

from evoxtral.tts import espeak
from evoxtral.tts.word_times import align

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
    found = align(truth.samples, truth.sample_rate_hz, words, guide)
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
    found = align(np.concatenate((silence, truth.samples, silence)), truth.sample_rate_hz, words, "en-us+m2")
    assert len(found.samples) == pytest.approx(len(truth.samples), abs=500)


def test_silence_itself_has_words_without_length():
    found = align(np.zeros(8000, np.float32), 16_000, ["No", "sound."], "en-us+m2")
    assert found.words == ((0.0, 0.0), (0.0, 0.0))
