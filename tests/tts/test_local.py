"""The engine as its users see it: what is spoken, when, and what bad input gets."""

import itertools
import logging
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from takes import cut

from evoxtral.audio import levels, measures
from evoxtral.errors import VoiceError
from evoxtral.tags import TAG_TYPES, Category, parse
from evoxtral.tts import SpeechEngine, load_speech_engine, local, speak
from evoxtral.tts.local import DEFAULT_VOICE, Hesitation, Phrase, Point, plan

RICH = "[excited] It WORKS! [laughs] So... [pause] [whispers] don't [sighs] tell. [nervous] [stammers] I mean it."


MIXTURE = ("yes", "NO", "well,", "ok.", "...", "—", "[sad]", "[laughs]", "[pause]", "[shouts]", "[x y]", "[")


def phrases(text):
    return [(" ".join(p.spoken), p.emotion, p.delivery) for p in plan(text) if isinstance(p, Phrase)]


def test_phrases_follow_scopes_points_ellipses_and_sentences():
    assert phrases(RICH) == [
        ("It works!", "excited", None),
        ("So...", None, None),
        ("don't", None, "whispers"),
        ("tell.", None, "whispers"),
        ("I mean it.", "nervous", "stammers"),
    ]
    between = [(type(item), item.tag.name if isinstance(item, Point) else "") for item in plan(RICH)]
    assert [kind for kind in between if kind[0] is not Phrase] == [
        (Point, "laughs"),
        (Hesitation, ""),
        (Point, "pause"),
        (Point, "sighs"),
    ]


def test_the_words_after_crying_are_tearful_to_the_end_of_the_sentence():
    assert phrases("[crying] He is gone. Really.") == [("He is gone.", "tearful", None), ("Really.", None, None)]
    assert phrases("[angry] Go! [crying] [sad] He is gone.")[1] == ("He is gone.", "sad", None)


def test_punctuation_between_words_reaches_the_voice_and_brackets_do_not():
    assert phrases('Well — no, (really) "yes".')[0][0].startswith("Well — no,")


def test_sentences_without_end_are_cut_preferably_at_commas():
    assert [len(words.split()) for words, _, _ in phrases("on and " * 45)] == [40, 40, 10]
    assert [len(words.split()) for words, _, _ in phrases("on and on, " * 20)] == [21, 21, 18]


def test_word_and_tag_times_are_in_order_and_in_the_sound():
    speech = speak(RICH, voice="espeak/carl", seed=5)
    parsed = parse(RICH)
    assert [word.index for word in speech.words] == list(range(len(parsed.words)))
    assert [word.word for word in speech.words] == [word.text for word in parsed.words]
    assert [(tag.index, tag.tag) for tag in speech.tags] == list(enumerate(tag.name for tag in parsed.tags))
    edges = [time for word in speech.words for time in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[-1] <= speech.duration_s
    assert all(0 <= tag.start_s < tag.end_s <= speech.duration_s for tag in speech.tags)
    points = [tag for tag in speech.tags if tag.tag in ("laughs", "pause", "sighs")]
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(points))
    # Each point lies between the words around it.
    for tag in points:
        gap = parsed.tags[tag.index].gap
        assert speech.words[gap - 1].end_s <= tag.start_s + 1e-6
        assert tag.end_s <= speech.words[gap].start_s + 1e-6
    for scope in parsed.scopes:
        tag = speech.tags[scope.tag]
        assert tag.start_s == speech.words[scope.first_word].start_s
        assert tag.end_s == speech.words[scope.last_word - 1].end_s


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_pause_is_silence_for_as_long_as_its_tag_says(seed):
    speech = speak("I waited [pause] and nobody came.", voice="espeak/amber", seed=seed)
    (tag,) = speech.tags
    assert 0.5 <= tag.end_s - tag.start_s <= 1.2
    assert levels.rms_db(cut(speech, tag.start_s, tag.end_s)) < -60.0
    longest = max(measures.silences(speech.samples, speech.sample_rate_hz), key=lambda span: span.duration_s)
    assert longest.start_s <= tag.start_s + 0.02
    assert longest.end_s >= tag.end_s - 0.02
    # Room tone, not digital silence.
    assert np.any(cut(speech, tag.start_s, tag.end_s) != 0)


def test_short_and_long_pauses_differ_in_length():
    short, usual, long = (speak(f"Yes [{name}] no.", seed=1).tags[0] for name in ("short pause", "pause", "long pause"))
    assert short.end_s - short.start_s < usual.end_s - usual.start_s < long.end_s - long.start_s


def test_an_ellipsis_draws_out_the_word_before_it_and_waits():
    plain, hesitant = (speak(text, voice="espeak/carl", seed=1) for text in ("So you knew.", "So... you knew."))
    length = [speech.words[0].end_s - speech.words[0].start_s for speech in (plain, hesitant)]
    assert length[1] > 1.2 * length[0]
    assert hesitant.words[1].start_s - hesitant.words[0].end_s > 0.25


@pytest.mark.parametrize("voice", ["espeak/amber", "espeak/ian"])
def test_the_speaker_stays_the_same(voice):
    speech = speak("This is me. [angry] This is me. [calm] This is me.", voice=voice, seed=0)
    third = len(speech.words) // 3
    heard = [
        measures.median_f0_hz(
            cut(speech, speech.words[i * third].start_s, speech.words[(i + 1) * third - 1].end_s), speech.sample_rate_hz
        )
        for i in range(3)
    ]
    assert max(heard) / min(heard) < 1.5


def test_same_seed_same_samples_other_seed_other_samples():
    engine = load_speech_engine("local")
    first, again, other = (engine.speak(RICH, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.samples, again.samples)
    assert first.words == again.words
    assert len(first.samples) != len(other.samples)
    assert first.voice == DEFAULT_VOICE
    assert first.engine == "local/espeak"


def test_every_tag_of_the_language_and_its_aliases_are_spoken():
    for tag_type in TAG_TYPES:
        for name in (tag_type.name, tag_type.aliases[0]):
            text = f"Well [{name}] yes."
            speech = speak(text, voice="espeak/carl")
            assert [tag.tag for tag in speech.tags] == [tag_type.name]
            assert speech.tags[0].end_s > speech.tags[0].start_s
            assert tag_type.category in tuple(Category)


def test_unknown_tags_are_not_spoken_and_are_noted():
    speech = speak("Well [rings a bell] yes.", voice="espeak/carl")
    assert speech.notes == ("left out: the unknown tag [rings a bell]",)
    assert speech.tags == ()
    assert speech.duration_s == pytest.approx(speak("Well yes.", voice="espeak/carl").duration_s, rel=0.15)


def test_only_sounds_and_tags_at_both_ends():
    speech = speak("[laughs]", voice="espeak/carl")
    assert speech.words == ()
    assert measures.voiced_fraction(speech.samples, speech.sample_rate_hz) > 0.1
    speech = speak("[sighs] [gasps] No. [sad]", voice="espeak/carl")
    assert [tag.tag for tag in speech.tags] == ["sighs", "gasps", "sad"]
    assert speech.tags[2].start_s == speech.tags[2].end_s == speech.words[-1].end_s


@pytest.mark.parametrize("text", ["", "   \n", "...", "[rings a bell]", "—"])
def test_nothing_to_speak_is_an_error(text):
    with pytest.raises(VoiceError, match="nothing to speak"):
        speak(text)


ODD = ("[INST] hi [/INST]", "</s> hi", "a\0b", "☃ snow", "[unclosed", "1/2 & 3%")


@pytest.mark.parametrize("text", ODD)
def test_odd_text_is_spoken(text):
    speech = speak(text, voice="espeak/carl")
    assert levels.rms_db(speech.samples) > -50


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(MIXTURE), max_size=8))
def test_any_mixture_is_spoken_with_sane_times(pieces):
    text = " ".join(pieces)
    try:
        speech = speak(text, voice="espeak/carl", seed=len(pieces))
    except VoiceError:
        assert not parse(text).words
        return
    assert np.isfinite(speech.samples).all()
    assert np.max(np.abs(speech.samples)) <= 1.0
    assert speech.samples.dtype == np.float32
    assert len(speech.words) == len(parse(text).words)
    edges = [time for word in speech.words for time in (word.start_s, word.end_s)]
    assert edges == sorted(edges)


def test_there_are_no_clicks_at_the_joins():
    speech = speak("Yes. [laughs] No, [pause] well. [whispers] Go. [shouts] Stop!", voice="espeak/amber", seed=2)
    steps = np.abs(np.diff(speech.samples))
    rate_hz = speech.sample_rate_hz
    edges = [t for word in speech.words for t in (word.start_s, word.end_s)]
    edges += [t for tag in speech.tags for t in (tag.start_s, tag.end_s)]
    for edge_s in edges:
        at = round(edge_s * rate_hz)
        near = steps[max(0, at - 20) : at + 20]
        around = steps[max(0, at - 1500) : at + 1500]
        assert near.max() <= around.max()
    quiet = measures.silences(speech.samples, rate_hz, threshold_db=-55.0)
    assert len(quiet) >= 3


def test_a_text_of_hours_is_refused():
    with pytest.raises(VoiceError, match="at most 50000"):
        speak("word " * 10_001)


def test_wrong_voices_and_engines_are_named():
    with pytest.raises(VoiceError, match="espeak/nobody"):
        speak("hi", voice="espeak/nobody")
    with pytest.raises(VoiceError, match="'nobody'"):
        speak("hi", voice="nobody")
    with pytest.raises(VoiceError, match="festival"):
        load_speech_engine("festival")


def test_the_engine_keeps_the_protocol_and_lists_its_voices(monkeypatch):
    for variable in ("EVOXTRAL_KOKORO_DIR", "EVOXTRAL_PIPER_DIR", "EVOXTRAL_RECORDINGS_DIR"):
        monkeypatch.delenv(variable, raising=False)
    engine = load_speech_engine("local")
    assert isinstance(engine, SpeechEngine)
    names = [voice.name for voice in engine.voices()]
    assert len(names) == len(set(names)) >= 20
    assert all(name.startswith("espeak/") for name in names)


def test_recordings_can_give_the_sounds():
    class Bell:
        def burst(self, tag, speaker, rng):
            return np.full(speaker.sample_rate_hz, 0.123, np.float32) if tag == "laughs" else None

    speech = load_speech_engine("local", bursts=Bell()).speak("[laughs] ha [sighs]", voice="espeak/carl")
    bell, sigh = (cut(speech, tag.start_s, tag.end_s) for tag in speech.tags)
    assert bell == pytest.approx(0.123, abs=0.005)
    assert measures.voiced_fraction(sigh, speech.sample_rate_hz) < 0.1


def test_endless_words_and_phrases_are_bounded(caplog):
    with caplog.at_level(logging.WARNING, logger="evoxtral.tts.local"):
        assert phrases("x" * 30_000) == [("x" * 100, None, None)]
    assert "30000 characters" in caplog.text
    longest = max(len(words) for words, _, _ in phrases(("supercalifragilistic" * 4 + " ") * 30))
    assert longest <= 500


@pytest.mark.parametrize("count", [1, 255, 512, 699, 700, 701, 956, 5_000])
def test_room_tone_in_blocks_is_the_convolution_of_the_whole(count, monkeypatch):
    monkeypatch.setattr(local, "_ROOM_BLOCK", 700)
    room = np.random.default_rng(5).normal(size=512)
    samples = np.full(count, 0.25, np.float32)
    local._add_room_tone(samples, room, np.random.default_rng(1))
    whole = np.convolve(np.random.default_rng(1).normal(size=count), room)[255 : 255 + count]
    np.testing.assert_allclose(samples, 0.25 + whole, atol=1e-4)


def test_an_hour_of_room_tone_takes_the_memory_of_a_minute():
    samples = np.zeros(8_000_000, np.float32)
    tracemalloc.start()
    local._add_room_tone(samples, np.ones(512), np.random.default_rng(1))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 4 * samples.nbytes  # the convolution of the whole: 10 times
