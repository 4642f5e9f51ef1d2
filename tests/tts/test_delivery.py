"""Each way of speaking, measured against the same words, voice and seed without it."""

import numpy as np
import pytest
from takes import (
    SENTENCE,
    centroid_hz,
    duration_s,
    level_db,
    pitch_hz,
    semitones,
    spread_st,
    tilt_db,
    tremor_st,
    voicing,
)

from evoxtral.audio import measures
from evoxtral.tts import espeak
from evoxtral.tts.delivery import deliver, fade
from evoxtral.tts.manner import NEUTRAL, Manner
from evoxtral.tts.sounds import manner_for


def test_excited_is_faster_higher_louder_brighter_and_livelier(take):
    plain, excited = take.words(SENTENCE), take.words(f"[excited] {SENTENCE}")
    assert duration_s(excited) < 0.95 * duration_s(plain)
    assert semitones(excited, plain) > 2.0
    assert spread_st(excited) > 1.15 * spread_st(plain)
    assert level_db(excited) > level_db(plain) + 1.0
    assert tilt_db(excited) > tilt_db(plain)


def test_sad_is_slower_lower_softer_darker_and_flatter(take):
    plain, sad = take.words(SENTENCE), take.words(f"[sad] {SENTENCE}")
    assert duration_s(sad) > 1.2 * duration_s(plain)
    assert semitones(sad, plain) < -0.8
    assert level_db(sad) < level_db(plain) - 3.0
    assert tilt_db(sad) < tilt_db(plain) - 1.0


def test_angry_is_louder_and_much_harder(take):
    plain, angry = take.words(SENTENCE), take.words(f"[angry] {SENTENCE}")
    assert level_db(angry) > level_db(plain) + 4.0
    assert tilt_db(angry) > tilt_db(plain) + 1.0
    assert centroid_hz(angry) > 1.2 * centroid_hz(plain)


def test_nervous_trembles_and_is_higher(take):
    plain, nervous = take.words(SENTENCE), take.words(f"[nervous] {SENTENCE}")
    assert semitones(nervous, plain) > 0.7
    assert tremor_st(nervous, 5.0, 9.0) > 1.3 * tremor_st(plain, 5.0, 9.0)


def test_calm_is_slower_softer_and_even(take):
    plain, calm = take.words(SENTENCE), take.words(f"[calm] {SENTENCE}")
    assert duration_s(calm) > 1.06 * duration_s(plain)
    assert spread_st(calm) < 0.85 * spread_st(plain)
    assert -6.0 < level_db(calm) - level_db(plain) < -1.0


def test_frustrated_falls_steeply_and_is_rough(take):
    plain, frustrated = take.words(SENTENCE), take.words(f"[frustrated] {SENTENCE}")

    def fall_st(sound):
        f0_hz = measures.f0_track(*sound)
        at = np.flatnonzero(f0_hz > 0)
        return np.polyfit(at / len(f0_hz), 12 * np.log2(f0_hz[at]), 1)[0]

    assert fall_st(frustrated) < fall_st(plain) - 2.0
    assert level_db(frustrated) > level_db(plain) + 0.5


def test_whispers_have_no_voice_and_are_soft_but_keep_their_words(take):
    plain, whispered = take.words(SENTENCE), take.words(f"[whispers] {SENTENCE}")
    assert voicing(plain) > 0.5
    assert voicing(whispered) < 0.05
    assert level_db(whispered) < level_db(plain) - 7.0
    assert centroid_hz(whispered) > 1.5 * centroid_hz(plain)
    assert len(measures.syllable_times_s(*whispered)) >= 5


def test_shouts_are_louder_higher_brighter(take):
    plain, shouted = take.words(SENTENCE), take.words(f"[shouts] {SENTENCE}")
    assert level_db(shouted) > level_db(plain) + 7.0
    assert semitones(shouted, plain) > 3.0
    assert tilt_db(shouted) > tilt_db(plain) + 1.0
    assert np.max(np.abs(shouted[0])) < 0.99


def test_whispered_sadness_is_both(take):
    whispered, both = take.words(f"[whispers] {SENTENCE}"), take.words(f"[sad] [whispers] {SENTENCE}")
    assert voicing(both) < 0.05
    assert duration_s(both) > 1.1 * duration_s(whispered)


def test_a_stressed_word_is_longer_louder_and_higher(take):
    plain = take.speak("I never said that.")
    stressed = take.speak("I NEVER said that.")

    def word(speech, index):
        span, rate_hz = speech.words[index], speech.sample_rate_hz
        return speech.samples[round(span.start_s * rate_hz) : round(span.end_s * rate_hz)], rate_hz

    def others(speech):
        return duration_s(word(speech, 2)) + duration_s(word(speech, 3))

    assert duration_s(word(stressed, 1)) > 1.25 * duration_s(word(plain, 1))
    assert others(stressed) < 1.15 * others(plain)

    def standing_out_db(speech):
        return level_db(word(speech, 1)) - level_db(word(speech, 2))

    assert standing_out_db(stressed) > standing_out_db(plain) + 2.0
    assert semitones(word(stressed, 1), word(plain, 1)) > 1.5


def test_stammering_repeats_the_onset_of_a_word():
    plain = espeak.speak_words(["Better", "tell", "nobody."], espeak.VOICES["carl"])
    rate_hz = plain.sample_rate_hz
    for seed in range(6):
        said, spans = deliver(plain.samples, rate_hz, plain.words, Manner(stammer=1), np.random.default_rng(seed))
        grown = [new[1] - new[0] > old[1] - old[0] + 0.1 for new, old in zip(spans, plain.words, strict=True)]
        assert grown.count(True) == 1, spans
        start_s, end_s = spans[grown.index(True)]
        word = said[round(start_s * rate_hz) : round(end_s * rate_hz)]
        # Its first 60 ms come again later in the same word.
        onset = word[round(0.01 * rate_hz) : round(0.07 * rate_hz)]
        later = np.lib.stride_tricks.sliding_window_view(word[round(0.08 * rate_hz) :], len(onset))
        likeness = later @ onset / (np.linalg.norm(later, axis=1) * np.linalg.norm(onset) + 1e-9)
        assert likeness.max() > 0.9


def test_micro_pauses_are_silences_between_words():
    plain = espeak.speak_words(["I", "am", "not", "so", "sure", "of", "it."], espeak.VOICES["carl"])
    rng = np.random.default_rng(0)
    said, spans = deliver(plain.samples, plain.sample_rate_hz, plain.words, Manner(micro_pause=0.9), rng)
    pauses = measures.silences(said, plain.sample_rate_hz, min_duration_s=0.05)
    assert len(pauses) >= 3
    starts = np.array([start for start, _ in spans])
    for pause in pauses:
        assert np.min(np.abs(starts - pause.end_s)) < 0.05


def test_the_neutral_manner_changes_nothing_and_others_keep_the_word_order():
    plain = espeak.speak_words(["Nothing", "to", "see", "here."], espeak.VOICES["june"])
    rng = np.random.default_rng(0)
    same, spans = deliver(plain.samples, plain.sample_rate_hz, plain.words, NEUTRAL, rng)
    assert np.array_equal(same, plain.samples)
    assert tuple(spans) == plain.words
    for emotion in ("excited", "sad", "angry", "nervous", "calm", "frustrated", "tearful"):
        for delivery in (None, "whispers", "shouts", "stammers"):
            manner = manner_for(emotion, delivery, rng)
            said, spans = deliver(
                plain.samples, plain.sample_rate_hz, plain.words, manner, rng, emphasised=[1], lengthened=[3]
            )
            edges = [time for span in spans for time in span]
            assert edges == sorted(edges)
            assert edges[-1] <= len(said) / plain.sample_rate_hz + 0.01
            assert np.isfinite(said).all()


def test_rate_and_pitch_do_what_they_say():
    plain = espeak.speak_words(["Nothing", "to", "see", "here", "at", "all."], espeak.VOICES["carl"])
    rng = np.random.default_rng(0)
    said, spans = deliver(plain.samples, plain.sample_rate_hz, plain.words, Manner(rate=0.8, pitch_st=4.0), rng)
    assert len(said) / len(plain.samples) == pytest.approx(1 / 0.8, rel=0.01)
    ratio = pitch_hz((said, plain.sample_rate_hz)) / pitch_hz((plain.samples, plain.sample_rate_hz))
    assert 12 * np.log2(ratio) == pytest.approx(4.0, abs=0.4)
    assert spans[3][0] == pytest.approx(plain.words[3][0] / 0.8, abs=0.01)


def test_fades_start_and_end_in_silence():
    faded = fade(np.ones(1000, np.float32), 1000, 0.1, 0.2)
    assert faded[0] < 0.01
    assert faded[-1] < 0.01
    assert np.array_equal(faded[100:800], np.ones(700, np.float32))
