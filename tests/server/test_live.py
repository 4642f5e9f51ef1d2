"""A live stream fed with real speech: utterances end where it is silent, and finals are what offline decoding gives."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import resample
from evoxtral.errors import ModelError
from evoxtral.inference.diarization import Diarizer
from evoxtral.inference.endpointing import EndLikely, Endpointer, SpeechResumed, SpeechStarted, Utterance
from evoxtral.inference.transcript import Transcript
from evoxtral.server.live import Done, Ended, Failed, Final, Likely, LiveStream, Partial, Resumed, StreamEvent
from evoxtral.tts import speak

FRAME = 800  # samples of 50 ms


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * 16_000), np.float32)


@pytest.fixture(scope="module")
def sentence() -> NDArray[np.float32]:
    speech = speak("The quarterly report is ready for you.", voice="espeak/amber")
    return resample(speech.samples, speech.sample_rate_hz, 16_000)


def transcript(text: str) -> Transcript:
    return Transcript("live", "test", "scripted", "en", 1.0, text, text)


@dataclass
class Hearing:
    """Hears what a function of samples and of whether they are a whole utterance says."""

    says: Callable[[NDArray[np.float32], bool], Transcript]

    def draft(self, samples: NDArray[np.float32], committed: str) -> str:
        return self.says(samples, False).text

    def whole(self, samples: NDArray[np.float32], diarizer: Diarizer | None) -> Transcript:
        return self.says(samples, True)


def run(samples: NDArray[np.float32], says: Callable[[NDArray[np.float32], bool], Transcript]) -> list[StreamEvent]:
    async def go() -> list[StreamEvent]:
        stream = LiveStream(Hearing(says))
        for start in range(0, len(samples), FRAME):
            await stream.feed(samples[start : start + FRAME])
            await asyncio.sleep(0)
        await stream.finish()
        return [event async for event in stream.events()]

    return asyncio.run(go())


def test_each_utterance_is_heard_whole_and_in_order(sentence: NDArray[np.float32]) -> None:
    lengths: list[int] = []

    def hear(samples: NDArray[np.float32], is_final: bool) -> Transcript:
        if is_final:
            lengths.append(len(samples))
        return transcript(f"utterance {len(lengths)}")

    events = run(np.concatenate([silence(1), sentence, silence(1.5), sentence, silence(0.1)]), hear)
    finals = [event for event in events if isinstance(event, Final)]
    assert [final.transcript.text for final in finals] == ["utterance 1", "utterance 2"]
    assert [final.utterance_id for final in finals] == [1, 2]
    assert finals[0].start_s == pytest.approx(0.7, abs=0.25)  # a padding before the speech
    assert finals[0].end_s == pytest.approx(1 + len(sentence) / 16_000 + 0.5, abs=0.35)
    assert finals[1].start_s > finals[0].end_s
    assert all(length >= 0.8 * len(sentence) for length in lengths)
    assert isinstance(events[-1], Done)
    assert events[-1].utterances == 2


def test_the_same_samples_go_to_the_engine_whatever_the_size_of_the_frames(sentence: NDArray[np.float32]) -> None:
    sound = np.concatenate([silence(0.5), sentence, silence(1)])
    found = []
    for size in (160, 777, len(sound)):
        endpointer = Endpointer()
        events = [
            event for start in range(0, len(sound), size) for event in endpointer.feed(sound[start : start + size])
        ]
        (utterance,) = [event for event in [*events, *endpointer.flush()] if isinstance(event, Utterance)]
        found.append((utterance.start_s, utterance.end_s, utterance.samples.tobytes()))
    assert found[0] == found[1] == found[2]


def test_an_early_end_is_withdrawn_when_speech_goes_on(sentence: NDArray[np.float32]) -> None:
    endpointer = Endpointer()
    events = endpointer.feed(np.concatenate([silence(0.5), sentence, silence(0.1), sentence, silence(1)]))
    kinds = [type(event) for event in events]
    assert kinds[0] is SpeechStarted
    assert kinds.index(EndLikely) < kinds.index(SpeechResumed)
    assert kinds.count(Utterance) == 1
    assert kinds[-2:] == [EndLikely, Utterance]


def test_a_speaker_who_never_stops_is_cut_and_nothing_is_lost_or_said_twice(sentence: NDArray[np.float32]) -> None:
    sound = np.concatenate([silence(0.5), np.tile(sentence, 30)[: 16_000 * 60], silence(1)])
    endpointer = Endpointer()
    utterances = [event for event in endpointer.feed(sound) if isinstance(event, Utterance)]
    assert utterances[0].is_cut
    assert not utterances[-1].is_cut
    assert all(utterance.end_s - utterance.start_s <= 28.1 for utterance in utterances)
    joined = np.concatenate([utterance.samples for utterance in utterances])
    first = round(utterances[0].start_s * 16_000)
    assert np.array_equal(joined, sound[first : first + len(joined)])


def test_noise_and_silence_are_no_utterance() -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 16_000 * 3).astype(np.float32)
    events = run(np.concatenate([silence(2), noise]), lambda samples, is_final: transcript("invented"))
    assert [type(event) for event in events] == [Done]


def test_partials_commit_what_hypotheses_share(sentence: NDArray[np.float32]) -> None:
    said = iter(["The", "The quarterly report", "The quarterly report is", "The quarterly report is ready"])

    def hear(samples: NDArray[np.float32], is_final: bool) -> Transcript:
        return transcript("The quarterly report is ready for you." if is_final else next(said, "The quarterly"))

    async def go() -> list[StreamEvent]:
        stream = LiveStream(Hearing(hear))
        for start in range(0, len(sentence), FRAME):
            await stream.feed(sentence[start : start + FRAME])
            if stream._draft is not None:
                await stream._draft
        await stream.finish()
        return [event async for event in stream.events()]

    events = asyncio.run(go())
    partials = [event for event in events if isinstance(event, Partial)]
    assert len(partials) >= 2
    assert (partials[0].committed, partials[0].tentative) == ("", "The")
    assert (partials[1].committed, partials[1].tentative) == ("The", "quarterly report")
    assert [partial.seq for partial in partials] == list(range(1, len(partials) + 1))
    assert isinstance(events[-2], Final)


async def drafted(stream: LiveStream, samples: NDArray[np.float32]) -> None:
    """Feed a stream, and let each draft end before more sound comes."""
    for start in range(0, len(samples), FRAME):
        await stream.feed(samples[start : start + FRAME])
        if stream._draft is not None:
            await stream._draft


def test_a_likely_end_has_its_text_and_is_withdrawn_when_speech_goes_on(sentence: NDArray[np.float32]) -> None:
    async def go() -> list[StreamEvent]:
        stream = LiveStream(Hearing(lambda samples, is_final: transcript(f"{len(samples) / 16_000:.2f}")))
        await drafted(stream, np.concatenate([silence(0.5), sentence, silence(0.1), sentence, silence(1)]))
        await stream.finish()
        return [event async for event in stream.events()]

    events = asyncio.run(go())
    turns = [event for event in events if isinstance(event, Likely | Resumed | Ended)]
    assert [type(event) for event in turns] == [Likely, Resumed, Likely, Ended]
    first, resumed, second, ended = turns
    assert isinstance(first, Likely)
    assert isinstance(resumed, Resumed)
    assert isinstance(second, Likely)
    assert isinstance(ended, Ended)
    assert first.at_s < resumed.at_s < second.at_s < ended.end_s
    # What a likely end says was heard up to it, and a little of the silence after it.
    for likely in (first, second):
        assert 0.0 < float(likely.text) - (likely.at_s - ended.start_s) < 0.4


def test_no_end_is_likely_where_nobody_asks_for_it(sentence: NDArray[np.float32]) -> None:
    endpointer = Endpointer(end_silence_s=0.9, early_end_silence_s=None)
    events = endpointer.feed(np.concatenate([silence(0.5), sentence, silence(1.5)]))
    assert [type(event) for event in events] == [SpeechStarted, Utterance]
    assert events[1].end_s == pytest.approx(0.5 + len(sentence) / 16_000 + 0.9, abs=0.35)  # type: ignore[union-attr]


def test_a_failure_is_told_and_the_stream_goes_on(sentence: NDArray[np.float32]) -> None:
    calls = []

    def hear(samples: NDArray[np.float32], is_final: bool) -> Transcript:
        if is_final:
            calls.append(1)
        if len(calls) == 1:
            raise ModelError("the model lost its head", "train it again")
        return transcript("better")

    events = run(np.concatenate([sentence, silence(1), sentence, silence(1)]), hear)
    told = [event for event in events if isinstance(event, Failed | Final)]
    assert isinstance(told[0], Failed)
    assert told[0].error.hint == "train it again"
    assert isinstance(told[1], Final)
    assert told[1].transcript.text == "better"


def test_an_error_that_nobody_expects_ends_one_utterance_and_no_stream(sentence: NDArray[np.float32]) -> None:
    calls = []

    def hear(samples: NDArray[np.float32], is_final: bool) -> Transcript:
        if is_final:
            calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("secret insides")
        return transcript("better")

    events = run(np.concatenate([sentence, silence(1), sentence, silence(1)]), hear)
    failed, final = [event for event in events if isinstance(event, Failed | Final)]
    assert isinstance(failed, Failed)
    assert "secret" not in str(failed.error)
    assert isinstance(final, Final)
