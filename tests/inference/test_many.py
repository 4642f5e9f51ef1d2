"""Many recordings at once say what each says alone, in the order of input; a bad one harms no other."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.errors import AudioError
from evoxtral.inference import load_engine
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.inference.many import ManyTranscriber, Recording
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.pipeline import transcribe
from evoxtral.inference.transcript import Transcript
from evoxtral.tts import load_speech_engine
from scripted_engine import ScriptedEngine
from tiny_models import save_tiny_whisper

SENTENCES = (
    "Yes.",
    "[laughs] We could take the long way round, over the bridge.",
    "Nobody knew.",
    "[sighs] I told them that the report was finished, but nobody had read a single page of it. [whispers] Not one.",
    "The key, the number on the door, and the name of the dog.",
    "[angry] How many times do I have to say it?",
)


@pytest.fixture(scope="module")
def clips() -> list[NDArray[np.float32]]:
    """Of one to some seven seconds; the last one is silent."""
    voice = load_speech_engine("local")
    spoken = [voice.speak(text, voice="espeak/alan", seed=seed) for seed, text in enumerate(SENTENCES)]
    sounds = [resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ) for speech in spoken]
    return [*sounds, np.zeros(2 * SAMPLE_RATE_HZ, np.float32)]


def recordings(clips: Sequence[NDArray[np.float32]]) -> Iterator[Recording]:
    for number, samples in enumerate(clips):
        yield Recording(str(number), str(number), lambda samples=samples: nullcontext(samples))  # type: ignore[misc]


def assert_as_alone(engine: TranscriptionEngine, clips: Sequence[NDArray[np.float32]]) -> None:
    options = TranscribeOptions(times=False)
    alone = [transcribe(samples, engine=engine, options=options) for samples in clips]
    with ManyTranscriber(engine, options) as transcriber:
        outcomes = list(transcriber.transcribe(recordings(clips)))
    assert [outcome.key for outcome in outcomes] == [str(number) for number in range(len(clips))]
    together = [outcome.result for outcome in outcomes if isinstance(outcome.result, Transcript)]
    assert [transcript.text for transcript in together] == [transcript.text for transcript in alone]
    assert any(transcript.text for transcript in together)


def test_the_packaged_model_writes_the_same(clips: Sequence[NDArray[np.float32]]) -> None:
    assert_as_alone(load_engine("edge"), clips)


def test_a_torch_model_writes_the_same(clips: Sequence[NDArray[np.float32]], tmp_path: Path) -> None:
    assert_as_alone(load_engine(str(save_tiny_whisper(tmp_path / "model"))), clips)


def test_errors_stand_in_the_place_of_their_recordings(
    clips: Sequence[NDArray[np.float32]], scripted_engine: ScriptedEngine
) -> None:
    bad = np.full(SAMPLE_RATE_HZ, np.nan, np.float32)
    with ManyTranscriber(scripted_engine, TranscribeOptions()) as transcriber:
        results = [outcome.result for outcome in transcriber.transcribe(recordings([clips[0], bad, clips[1]]))]
    assert [isinstance(result, AudioError) for result in results] == [False, True, False]


def test_no_more_are_under_way_than_there_are_places_for(scripted_engine: ScriptedEngine) -> None:
    """The first one takes long: what comes after it is not read up meanwhile."""
    taken: list[str] = []
    may_go_on = threading.Event()
    silence = np.zeros(SAMPLE_RATE_HZ, np.float32)

    def one(number: int) -> Recording:
        taken.append(str(number))

        def opened() -> "nullcontext[NDArray[np.float32]]":
            if number == 0:
                assert may_go_on.wait(60)
            return nullcontext(silence)

        return Recording(str(number), str(number), opened)

    with ManyTranscriber(scripted_engine, TranscribeOptions()) as transcriber:
        found: list[str] = []
        reading = threading.Thread(
            target=lambda: found.extend(
                outcome.key for outcome in transcriber.transcribe(one(number) for number in range(9))
            )
        )
        reading.start()
        transcriber.submit(Recording("other", "other", lambda: nullcontext(silence))).result(60)
        assert len(taken) <= transcriber.at_once
        may_go_on.set()
        reading.join(60)
    assert found == [str(number) for number in range(9)]
