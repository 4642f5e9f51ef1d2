"""ElevenLabs' own SDK against a running server, unmodified but for the base URL."""

import asyncio
import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
from elevenlabs import AudioFormat, CommitStrategy, ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.realtime import RealtimeEvents

from evoxtral.audio import resample
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.tts import speak
from running_server import serve_app

WAIT_S = 60  # only for a test that has failed already
TEXT = "It WORKS! (laughs)"  # what Scribe's dialect can say of the engine's text


@pytest.fixture
def client(scripted_engine, tmp_path) -> Iterator[ElevenLabs]:
    settings = Settings(studio=tmp_path, api_keys=("the-key",))
    with serve_app(create_app(settings, engine=scripted_engine)) as address:
        yield ElevenLabs(api_key="the-key", base_url=address)


def test_a_recording_becomes_words_spaces_and_events(client, spoken_wav):
    heard = client.speech_to_text.convert(file=("a.wav", spoken_wav), model_id="scribe_v2", language_code="en")
    assert heard.text == TEXT
    assert [(word.type, word.text) for word in heard.words] == [
        ("word", "It"),
        ("spacing", " "),
        ("word", "WORKS!"),
        ("spacing", " "),
        ("audio_event", "(laughs)"),
    ]
    times = [time for word in heard.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[-1] <= heard.audio_duration_secs + 0.01
    assert heard.words[0].logprob == pytest.approx(np.log(0.9), abs=1e-3)


def test_events_and_speakers_are_a_matter_of_choice(client, spoken_wav):
    heard = client.speech_to_text.convert(
        file=("a.wav", spoken_wav), model_id="scribe_v2", tag_audio_events=False, diarize=True, num_speakers=1
    )
    assert "(" not in heard.text
    assert "".join(word.text for word in heard.words) == heard.text
    assert {word.speaker_id for word in heard.words if word.type == "word"} == {"SPEAKER_1"}


def test_what_it_does_not_do_is_refused_by_name(client, spoken_wav):
    with pytest.raises(ApiError) as refused:
        client.speech_to_text.convert(model_id="scribe_v2", file=("a.wav", spoken_wav), no_verbatim=True)
    assert refused.value.status_code == 422
    assert "no_verbatim" in str(refused.value.body)


@pytest.mark.parametrize(
    ("output_format", "rate_hz"), [("wav_16000", 16_000), ("wav_24000", 24_000), ("mp3_44100_128", 44_100)]
)
def test_text_becomes_speech_at_the_rate_that_was_asked_for(client, output_format, rate_hz):
    sound = b"".join(
        client.text_to_speech.convert("espeak/amber", text="[whispers] Hello there.", output_format=output_format)
    )
    info = soundfile.info(io.BytesIO(sound))
    assert info.samplerate == rate_hz
    assert info.duration > 0.4


def test_raw_samples_come_without_a_header_and_as_a_stream(client):
    whole = b"".join(client.text_to_speech.convert("espeak/amber", text="Hello.", output_format="pcm_16000"))
    streamed = b"".join(client.text_to_speech.stream("espeak/amber", text="Hello.", output_format="pcm_16000"))
    wav = b"".join(client.text_to_speech.convert("espeak/amber", text="Hello.", output_format="wav_16000"))
    samples = soundfile.read(io.BytesIO(wav), dtype="int16")[0]
    assert streamed == whole
    assert np.max(np.abs(np.frombuffer(whole, "<i2").astype(int) - samples)) <= 1


@pytest.mark.parametrize(("voice", "output_format"), [("nobody", "wav_16000"), ("espeak/amber", "ulaw_8000")])
def test_unknown_voices_and_formats_are_refused(client, voice, output_format):
    with pytest.raises(ApiError) as refused:
        b"".join(client.text_to_speech.convert(voice, text="Hello.", output_format=output_format))
    assert refused.value.status_code in (400, 422)


def sentence() -> bytes:
    speech = speak("Please bring the blue folder.", voice="espeak/amber")
    samples = resample(speech.samples, speech.sample_rate_hz, 24_000)
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


async def live(
    client: ElevenLabs, strategy: CommitStrategy, sound: bytes, last: RealtimeEvents
) -> list[dict[str, Any]]:
    """Send sound, commit it if that is the client's part, and give what came up to the event `last`."""
    connection = await client.speech_to_text.realtime.connect(
        {
            "model_id": "scribe_v2_realtime",
            "audio_format": AudioFormat.PCM_24000,
            "sample_rate": 24_000,
            "commit_strategy": strategy,
            "include_timestamps": True,
        }
    )
    told: list[dict[str, Any]] = []
    done = asyncio.Event()
    for event in RealtimeEvents:
        if event not in (RealtimeEvents.OPEN, RealtimeEvents.CLOSE, RealtimeEvents.ERROR):
            connection.on(event, told.append)
    connection.on(last, lambda _: done.set())
    for start in range(0, len(sound), 9601):
        await connection.send({"audio_base_64": base64.b64encode(sound[start : start + 9601]).decode()})
    if strategy is CommitStrategy.MANUAL:
        await connection.commit()
    await asyncio.wait_for(done.wait(), WAIT_S)
    await connection.close()
    return told


@pytest.mark.parametrize("strategy", list(CommitStrategy))
def test_live_sound_is_committed_by_the_client_or_by_silence(client, strategy):
    sound = sentence() + (bytes(2 * 24_000) if strategy is CommitStrategy.VAD else b"")
    last = RealtimeEvents.COMMITTED_TRANSCRIPT_WITH_TIMESTAMPS
    told = asyncio.run(live(client, strategy, sound, last))
    kinds = [message["message_type"] for message in told if message["message_type"] != "partial_transcript"]
    assert kinds == ["session_started", "committed_transcript", "committed_transcript_with_timestamps"]
    assert told[0]["config"]["commit_strategy"] == strategy.value
    assert told[-1]["text"] == told[-2]["text"] == TEXT
    assert "".join(word["text"] for word in told[-1]["words"]) == TEXT
    assert {message["text"] for message in told if message["message_type"] == "partial_transcript"} <= {TEXT}


def test_a_commit_of_nothing_is_told(client):
    last = RealtimeEvents.INSUFFICIENT_AUDIO_ACTIVITY
    told = asyncio.run(live(client, CommitStrategy.MANUAL, b"", last))
    assert [message["message_type"] for message in told] == ["session_started", last.value]


@pytest.mark.parametrize("style", ["separate", "combined"])
def test_channels_and_key_terms_in_its_own_form(client, spoken_wav, style):
    samples, rate_hz = soundfile.read(io.BytesIO(spoken_wav), dtype="float32")
    stereo = io.BytesIO()
    soundfile.write(stereo, np.stack([samples, samples], axis=1), rate_hz, format="WAV")
    heard = client.speech_to_text.convert(
        file=("a.wav", stereo.getvalue()),
        model_id="scribe_v2",
        use_multi_channel=True,
        multichannel_output_style=style,
        keyterms=["Okafor", "Ann Smith"],
    )
    if style == "separate":
        assert [(part.channel_index, part.text) for part in heard.transcripts] == [(0, TEXT), (1, TEXT)]
        assert {word.channel_index for word in heard.transcripts[1].words} == {1, None}  # spaces are nobody's
    else:
        assert {word.channel_index for word in heard.words if word.type == "word"} == {0, 1}
