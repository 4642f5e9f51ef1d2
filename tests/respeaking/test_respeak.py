"""With the real local voice; the recording is one whose words are known, read by an engine that reads exactly it."""

import dataclasses
import threading

import numpy as np
import pytest

import evoxtral
from evoxtral.audio.measures import median_f0_hz
from evoxtral.errors import EvoxtralError, NothingToSpeakError, VoiceError
from evoxtral.inference import transcribe
from evoxtral.respeaking import SentenceCache, speak_transcript
from evoxtral.tts import load_speech_engine
from known_speech import SENTENCES, Reader, record


@pytest.fixture(scope="module")
def recording():
    return record(SENTENCES[:5], [0.5, 1.5, 0.8, 2.0, 1.0])


@pytest.fixture(scope="module")
def transcript(recording):
    return transcribe(recording.samples, engine=Reader(recording))


class Counting:
    """The local voice, which counts what it is asked to speak."""

    name = "local"

    def __init__(self):
        self._voice = load_speech_engine("local")
        self.spoken = []

    def voices(self):
        return self._voice.voices()

    def speak(self, text, *, voice=None, seed=0):
        self.spoken.append(text)
        return self._voice.speak(text, voice=voice, seed=seed)


def test_speech_becomes_speech_in_one_call(recording):
    respoken = evoxtral.respeak(recording.samples, voice="espeak/amber", model="edge")
    assert respoken.voice == "espeak/amber"
    assert median_f0_hz(respoken.samples, respoken.sample_rate_hz) > 140  # the recording's voice is a man's
    assert "baker" in respoken.transcript.text
    assert "baker" in respoken.sentences[0].text


def test_each_sentence_starts_where_the_recordings_does(recording, transcript):
    respoken = speak_transcript(transcript, load_speech_engine("local"), in_time=True)
    assert [sentence.text.split()[-1] for sentence in respoken.sentences][:2] == ["awake.", "floor!"]
    starts = {part.text: part.start_s for part in recording.words}
    for sentence, first_word in zip(respoken.sentences, ["The", "We", None, None, None], strict=False):
        if first_word is not None:
            assert sentence.source_start_s == pytest.approx(starts[first_word], abs=0.01)
        assert sentence.start_s == pytest.approx(sentence.source_start_s, abs=0.2)
    assert respoken.duration_s == pytest.approx(transcript.duration_s, abs=0.01)
    assert respoken.notes == ()


def test_only_what_changed_is_spoken_again(transcript, tmp_path):
    cache, voice = SentenceCache(tmp_path), Counting()
    first = speak_transcript(transcript, voice, cache=cache)
    assert len(voice.spoken) == len(first.sentences)
    assert not any(sentence.cached for sentence in first.sentences)
    corrected = dataclasses.replace(transcript, text=transcript.text.replace("baker", "BUTCHER"))
    again = speak_transcript(corrected, voice, cache=cache)
    assert voice.spoken[len(first.sentences) :] == [again.sentences[0].text]
    assert [sentence.cached for sentence in again.sentences] == [False, *[True] * (len(first.sentences) - 1)]
    once_more = speak_transcript(corrected, voice, cache=cache)
    np.testing.assert_array_equal(once_more.samples, again.samples)


def test_a_disk_that_keeps_nothing_loses_nothing(transcript, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert speak_transcript(transcript, Counting(), cache=SentenceCache(tmp_path / "file")).duration_s > 5


def test_what_cannot_be_spoken_is_said_and_the_rest_is_spoken(transcript):
    respoken = speak_transcript(
        dataclasses.replace(transcript, text="Hello there. 你好。 [odd tag] Goodbye."), Counting()
    )
    assert [sentence.text for sentence in respoken.sentences] == ["Hello there.", "[odd tag] Goodbye."]
    assert any("Chinese" in note for note in respoken.notes)
    assert "left out: the unknown tag [odd tag]" in respoken.notes


@pytest.mark.parametrize(("text", "said"), [("", "empty"), ("你好。", "Chinese")])
def test_nothing_to_speak(transcript, text, said):
    with pytest.raises(NothingToSpeakError, match=said):
        speak_transcript(dataclasses.replace(transcript, text=text), Counting())


def test_limits_and_what_is_missing(transcript):
    with pytest.raises(EvoxtralError, match="50,000"):
        speak_transcript(dataclasses.replace(transcript, text="word. " * 10_000), Counting())
    with pytest.raises(EvoxtralError, match="no times"):
        speak_transcript(dataclasses.replace(transcript, words=(), tags=()), Counting(), in_time=True)
    with pytest.raises(VoiceError, match="nobody"):
        speak_transcript(transcript, Counting(), voice="nobody")


def test_whoever_watches_the_progress_can_end_it(transcript):
    class EnoughError(Exception):
        pass

    told = []

    def watch(done, total):
        told.append((done, total))
        if done == 2:
            raise EnoughError

    voice = Counting()
    with pytest.raises(EnoughError):
        speak_transcript(transcript, voice, on_progress=watch)
    assert [done for done, _ in told] == [0, 1, 2]
    assert len(voice.spoken) == 2


class Elsewhere(Counting):
    """A voice over the network that takes three texts at once, and answers none before it has three."""

    concurrency = 3
    charged_characters = 0

    def __init__(self):
        super().__init__()
        self._together = threading.Barrier(3, timeout=60)

    def speak(self, text, *, voice=None, seed=0):
        if len(self.spoken) < 3:
            self._together.wait()
        return super().speak(text, voice=voice, seed=seed)

    def limit_charges(self, characters): ...
    def cost_of(self, text): ...
    async def speak_paid(self, text, *, voice, seed=0): ...
    async def speak_dialogue_paid(self, turns, *, seed=0): ...
    async def recall(self, lost, *, known_request_ids): ...
    def stop(self): ...
    async def aclose(self): ...


def test_a_voice_elsewhere_is_given_several_at_once_and_they_stay_in_order(transcript):
    text = "One is here. Two is here. Three is here."
    respoken = speak_transcript(dataclasses.replace(transcript, text=text), Elsewhere())
    assert [sentence.text for sentence in respoken.sentences] == ["One is here.", "Two is here.", "Three is here."]
