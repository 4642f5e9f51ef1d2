"""One track for each speaker: every channel is heard by itself, and their words are merged by time."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.audio.decoding_process import DecodingProcesses
from evoxtral.errors import AudioError, EvoxtralError
from evoxtral.inference import TranscribeOptions, transcribe
from evoxtral.inference.channels import by_channel
from evoxtral.inference.engines.loading import load_packaged_engine
from evoxtral.inference.transcript import Transcript
from evoxtral.tags import parse
from evoxtral.tts import speak

# Ann: 0 to about 2 s, and from 8 s; Bob between; a third microphone that nobody uses.
ANN_1, BOB, ANN_2 = "Where is the blue folder?", "It is on the kitchen table.", "Thank you, I have found it."
AT_S = {ANN_1: 0.5, BOB: 4.0, ANN_2: 8.0}


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    channels = np.zeros((12 * SAMPLE_RATE_HZ, 3), np.float32)
    for text, channel, voice in ((ANN_1, 0, "espeak/amber"), (BOB, 1, "espeak/alan"), (ANN_2, 0, "espeak/amber")):
        speech = speak(text, voice=voice)
        samples = resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
        first = round(AT_S[text] * SAMPLE_RATE_HZ)
        channels[first : first + len(samples), channel] = samples
    path = tmp_path_factory.mktemp("channels") / "three.wav"
    soundfile.write(path, channels, SAMPLE_RATE_HZ)
    return path


@pytest.fixture(scope="module")
def heard(conversation: Path) -> Transcript:
    return transcribe(conversation, engine=load_packaged_engine(), channels=True)


def test_words_are_merged_by_time_with_their_channel(heard: Transcript) -> None:
    assert [(segment.speaker, segment.plain_text) for segment in heard.segments] == [
        ("CHANNEL_1", ANN_1),
        ("CHANNEL_2", BOB),
        ("CHANNEL_1", ANN_2),
    ]
    assert heard.plain_text == f"{ANN_1} {BOB} {ANN_2}"
    assert (heard.duration_s, heard.channels) == (12.0, 3)
    starts_s = [word.start_s or 0.0 for word in heard.words]
    assert starts_s == sorted(starts_s)
    for segment, at_s in zip(heard.segments, AT_S.values(), strict=True):
        assert segment.start_s == pytest.approx(at_s, abs=0.4)
    for word in heard.words:
        assert word.segment is not None
        assert word.speaker == heard.segments[word.segment].speaker
        assert heard.segments[word.segment].text[word.start_char : word.end_char] == word.word


def test_each_channel_can_be_seen_by_itself(heard: Transcript) -> None:
    first, second, third = by_channel(heard)
    assert (first.plain_text, second.plain_text, third.text) == (f"{ANN_1} {ANN_2}", BOB, "")
    assert [word.word for word in first.words] == [word.text for word in parse(first.text).words]
    assert {word.segment for word in first.words} == {0, 1}
    assert by_channel(first) == [first]


def test_a_stream_is_read_for_each_channel_wherever_it_is_decoded(conversation: Path, heard: Transcript) -> None:
    engine, processes = load_packaged_engine(), DecodingProcesses()
    source = io.BytesIO(conversation.read_bytes())
    told: list[tuple[float, float | None]] = []
    again = transcribe(
        source,
        name=str(conversation),
        engine=engine,
        channels=True,
        decode=processes.open,
        on_progress=lambda done_s, total_s: told.append((done_s, total_s)),
    )
    processes.close()
    assert again == heard
    assert told == sorted(told)
    assert told[-1] == (12.0, 12.0)


def test_one_channel_is_one_speaker(scripted_engine, spoken_wav: bytes) -> None:
    heard = transcribe(io.BytesIO(spoken_wav), engine=scripted_engine, channels=True)
    assert {word.speaker for word in heard.words} == {"CHANNEL_1"}


def test_what_cannot_be_heard_by_channel_is_said(scripted_engine, tmp_path: Path) -> None:
    with pytest.raises(EvoxtralError, match="ask for one of them"):
        TranscribeOptions(channels=True, diarize=True)
    soundfile.write(tmp_path / "many.wav", np.zeros((16_000, 17)), SAMPLE_RATE_HZ)
    with pytest.raises(AudioError, match="17 channels"):
        transcribe(tmp_path / "many.wav", engine=scripted_engine, channels=True)
