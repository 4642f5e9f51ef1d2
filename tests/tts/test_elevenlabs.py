"""The ElevenLabs engine: the real SDK against a local service that fails in the ways of the real one."""

import asyncio
import logging
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elevenlabs_service import (
    GARBAGE,
    Account,
    Naps,
    Service,
    cut_at_once,
    cut_in_the_middle,
    pcm_of,
    refusal,
    running,
    silence_until_hung_up,
    sound,
)
from evoxtral.errors import EvoxtralError, VoiceError
from evoxtral.tts import load_speech_engine
from evoxtral.tts.elevenlabs import STOCK_VOICES, elevenlabs_engine
from evoxtral.tts.paid.paid_engine import PaidEngine
from evoxtral.tts.speech_engine import PaidSpeech, RemoteSpeechEngine, SpeechEngine

TEXT = "[whispers] Nobody must know."


@pytest.fixture
def service() -> Iterator[Service]:
    service = running([("secret-1", Account()), ("secret-2", Account()), ("secret-3", Account())])
    yield service
    service.hold.set()
    service.shutdown()
    service.server_close()


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def load(service: Service, naps: Naps, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make an engine with the given keys and options."""
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)

    def load(*keys: str, **options: Any) -> PaidEngine:
        monkeypatch.setenv("ELEVENLABS_API_KEYS", ",".join(keys or ["secret-1"]))
        return elevenlabs_engine(base_url=service.url, **{"sleep": naps, **options})

    return load


def speak_all(engine: PaidEngine, texts: Sequence[str]) -> list[PaidSpeech | BaseException]:
    async def work() -> list[PaidSpeech | BaseException]:
        jobs = (engine.speak_paid(text, voice="Sarah", seed=1) for text in texts)
        return await asyncio.gather(*jobs, return_exceptions=True)

    return asyncio.run(work())


def assert_spoken(paid: PaidSpeech | BaseException, text: str, seed: int = 1) -> None:
    assert isinstance(paid, PaidSpeech)
    np.testing.assert_array_equal(paid.speech.samples * 32_768, pcm_of(text, seed))


def test_a_text_that_is_too_long_is_not_sent_and_does_not_stop_the_others(service: Service, load: Any) -> None:
    engine = load()
    engine.limit_charges(len(TEXT))
    too_long = "word " * 1_001
    refused, spoken = speak_all(engine, [too_long, TEXT])
    assert type(refused) is EvoxtralError  # not VoiceError, which would end a run
    assert "5,005 characters" in str(refused)
    assert_spoken(spoken, TEXT)
    assert [request.text for request in service.requests] == [TEXT]
    assert engine.cost_of(too_long) == 0


# --- a right answer -------------------------------------------------------------------------------------------------


def test_a_request_asks_for_what_was_chosen(service: Service, load: Any) -> None:
    load(stability=1.0).speak(TEXT, voice="george", seed=2**32 + 7)
    (request,) = service.requests
    assert request.key == "secret-1"
    assert request.voice_id == STOCK_VOICES["George"][0]
    assert request.output_format == "pcm_16000"
    assert request.body == {
        "text": TEXT,
        "model_id": "eleven_v3",
        "seed": 7,
        "voice_settings": {"stability": 1.0},
    }


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
def test_samples_come_as_they_were_sent(load: Any, rate_hz: int) -> None:
    speech = load(output_format=f"pcm_{rate_hz}").speak(TEXT, seed=5)
    np.testing.assert_array_equal(speech.samples * 32_768, pcm_of(TEXT, 5, rate_hz))
    assert speech.samples.dtype == np.float32
    assert (speech.sample_rate_hz, speech.engine, speech.voice) == (rate_hz, "elevenlabs/eleven_v3", "Sarah")


def test_it_is_an_engine_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load_speech_engine("elevenlabs")
    assert isinstance(engine, SpeechEngine)
    assert isinstance(engine, RemoteSpeechEngine)
    assert len({voice.name for voice in engine.voices()}) == 8


def test_several_threads_may_speak_at_once(service: Service, load: Any) -> None:
    engine = load("secret-1", "secret-2")
    texts = [f"Line {index}." for index in range(8)]
    with ThreadPoolExecutor(8) as pool:
        spoken = list(pool.map(lambda text: engine.speak(text, seed=1), texts))
    for speech, text in zip(spoken, texts, strict=True):
        np.testing.assert_array_equal(speech.samples * 32_768, pcm_of(text, 1))
    assert service.paid == Counter(texts)


def test_a_voice_id_is_taken_and_a_wrong_name_is_not_sent(service: Service, load: Any) -> None:
    engine = load()
    engine.speak(TEXT, voice="21m00Tcm4TlvDq8ikWAM")
    assert service.requests[-1].voice_id == "21m00Tcm4TlvDq8ikWAM"
    with pytest.raises(VoiceError, match=r"'Sara'.*Sarah, George"):
        engine.speak(TEXT, voice="Sara")
    assert len(service.requests) == 1


@pytest.mark.parametrize("options", [{"stability": 0.3}, {"output_format": "mp3_44100_128"}])
def test_what_v3_does_not_take_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(VoiceError, match="choose"):
        elevenlabs_engine(**options)


# --- keys -----------------------------------------------------------------------------------------------------------


def test_keys_of_both_variables_take_turns(service: Service, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELEVENLABS_API_KEY", "secret-3")
    engine = load("secret-1", " secret-2 ", "secret-1", "")
    for index in range(9):
        engine.speak(f"Line {index}.")
    assert [request.key for request in service.requests] == ["secret-1", "secret-2", "secret-3"] * 3


def test_a_keys_file_is_used_instead_of_the_environment(service: Service, load: Any, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours\nsecret-2  # Ann\n\nsecret-3\n")
    engine = load("secret-1", keys_file=str(path))
    engine.speak("One.")
    engine.speak("Two.")
    assert [request.key for request in service.requests] == ["secret-2", "secret-3"]
    with pytest.raises(VoiceError, match="cannot be read"):
        load(keys_file=str(tmp_path / "missing"))


def test_without_a_key_costs_can_be_told_but_nothing_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    monkeypatch.delenv("ELEVENLABS_API_KEYS", raising=False)
    engine = elevenlabs_engine()
    assert engine.cost_of(TEXT) == len(TEXT)
    with pytest.raises(VoiceError, match=r"no ElevenLabs key .set ELEVENLABS_API_KEY"):
        engine.speak(TEXT)


def test_a_missing_sdk_is_named(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "elevenlabs"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "elevenlabs", None)
    with pytest.raises(VoiceError, match=r"pip install 'evoxtral\[elevenlabs\]'"):
        load().speak(TEXT)


REFUSED_KEYS = {
    "invalid_api_key": 401,
    "quota_exceeded": 401,
    "detected_unusual_activity": 401,
    "missing_permissions": 403,
    "payment_required": 402,
}


@pytest.mark.parametrize("status", [*REFUSED_KEYS, "quota_exceeded as 400"])
def test_a_refused_key_is_set_aside_once_and_the_others_go_on(
    service: Service, load: Any, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    name = status.partition(" ")[0]
    service.faults.append(refusal(400 if "400" in status else REFUSED_KEYS[name], name, "You used secret-1."))
    engine = load("secret-1", "secret-2")
    texts = [f"Line {index}." for index in range(6)]
    for text in texts:
        engine.speak(text)
    assert service.paid == Counter(texts)
    assert [request.key for request in service.requests] == ["secret-1"] + ["secret-2"] * 6
    warnings = [record.message for record in caplog.records if record.name.startswith("evoxtral")]
    assert warnings == [f"ElevenLabs key 1 of 2 is set aside: {name}: You used [key]. (1 left)"]


def test_a_quota_that_ends_in_the_middle_is_told_once(
    service: Service, load: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service.accounts["secret-1"].quota = 30
    texts = [f"Line number {index:02}." for index in range(20)]
    results = speak_all(load("secret-1", "secret-2"), texts)
    for result, text in zip(results, texts, strict=True):
        assert_spoken(result, text)
    assert service.paid == Counter(texts)
    assert sum("set aside" in record.message for record in caplog.records) == 1


def test_when_no_key_is_left_the_reasons_are_told(service: Service, load: Any) -> None:
    service.accounts["secret-2"].quota = 3
    with pytest.raises(VoiceError) as caught:
        load("unknown-key", "secret-2").speak(TEXT)
    assert "key 1 of 2: invalid_api_key" in str(caught.value)
    assert "key 2 of 2: quota_exceeded" in str(caught.value)
    assert len(service.requests) == 2


def test_more_refused_keys_than_attempts_do_not_stop_a_text(service: Service, load: Any) -> None:
    load(*(f"unknown-{index}" for index in range(12)), "secret-1").speak(TEXT)
    assert service.paid[TEXT] == 1


def test_keys_appear_nowhere(service: Service, load: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service.faults.extend([refusal(500, "oops", "secret-1 is bad"), cut_at_once, silence_until_hung_up])
    engine = load("secret-1", timeout_s=0.2)
    engine.speak(TEXT)
    service.faults.append(refusal(400, "bad_text", "sent by secret-1"))
    texts = [repr(engine), str(vars(engine)), repr(engine._ring.keys)]
    for fault in (refusal(422, "bad_text", "sent by secret-1"), refusal(401, "invalid_api_key", "not secret-1")):
        service.faults.clear()
        service.faults.append(fault)
        with pytest.raises(EvoxtralError) as caught:
            engine.speak("Another text.")
        texts += traceback.format_exception(caught.value)
    texts += [record.getMessage() for record in caplog.records]
    assert len(texts) > 5
    assert not [text for text in texts if "secret-1" in text]


# --- concurrency ----------------------------------------------------------------------------------------------------


def test_a_keys_limit_is_learned_from_the_headers(service: Service, load: Any) -> None:
    service.accounts["secret-1"].limit = 6
    engine = load()
    assert engine.concurrency == 2
    engine.speak("First.")
    assert engine.concurrency == 6
    service.meeting = threading.Barrier(6)  # broken, if not six requests are under way at once
    texts = [f"Line {index}." for index in range(12)]
    for result, text in zip(speak_all(engine, texts), texts, strict=True):
        assert_spoken(result, text)
    assert service.accounts["secret-1"].peak == 6
    assert len(service.requests) == 13


def test_a_smaller_limit_is_kept_after_the_first_refusal(service: Service, load: Any) -> None:
    service.accounts["secret-1"].limit = 1
    service.hold.clear()
    texts = [f"Line {index}." for index in range(6)]
    engine = load()

    def release() -> None:
        service.waiting.wait(20)
        service.hold.set()

    threading.Thread(target=release).start()
    for result, text in zip(speak_all(engine, texts), texts, strict=True):
        assert_spoken(result, text)
    assert engine.concurrency == 1


def test_requests_of_others_on_the_account_leave_less(service: Service, load: Any) -> None:
    service.accounts["secret-1"].limit = 6
    service.accounts["secret-1"].others = 4
    engine = load()
    engine.speak("First.")
    assert engine.concurrency == 2
    service.accounts["secret-1"].others = 0
    engine.speak("Second.")
    assert engine.concurrency == 6


def test_a_key_rests_as_long_as_it_is_told_and_another_takes_over(service: Service, load: Any, naps: Naps) -> None:
    service.faults.append(refusal(429, "system_busy", retry_after="17"))
    engine = load("secret-1", "secret-2")
    engine.speak(TEXT)
    assert [request.key for request in service.requests] == ["secret-1", "secret-2"]
    assert naps.taken_s == [17.0]


def test_a_single_resting_key_is_waited_for(service: Service, load: Any, naps: Naps) -> None:
    service.faults.extend([refusal(429, "system_busy")] * 3)
    load().speak(TEXT)
    assert len(service.requests) == 4
    for nap_s, longest_s in zip(naps.taken_s, (1, 2, 4), strict=True):
        assert longest_s / 2 <= nap_s <= longest_s


# --- retries --------------------------------------------------------------------------------------------------------

FAULTS = {
    "500": refusal(500, "internal_server_error"),
    "502 in HTML": lambda request, handler: handler.reply(502, b"<html>Bad gateway</html>", "text/html"),
    "503": refusal(503, "service_unavailable"),
    "408": refusal(408, "timeout"),
    "409": refusal(409, "conflict"),
    "425": refusal(425, "too_early"),
    "429": refusal(429, "system_busy"),
    "cut before the answer": cut_at_once,
    "cut in the middle": cut_in_the_middle,
    "silence": silence_until_hung_up,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_passing_troubles_are_retried_with_growing_pauses(service: Service, load: Any, naps: Naps, fault: str) -> None:
    service.faults.extend([FAULTS[fault]] * 4)
    speech = load(timeout_s=0.3 if fault == "silence" else 20).speak(TEXT, seed=3)
    np.testing.assert_array_equal(speech.samples * 32_768, pcm_of(TEXT, 3))
    assert len(service.requests) == 5
    assert len(naps.taken_s) == 4
    for nap_s, longest_s in zip(naps.taken_s, (1, 2, 4, 8), strict=True):
        assert longest_s / 2 <= nap_s <= longest_s
    assert len(set(naps.taken_s)) == 4


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_obeyed_as_seconds_and_as_a_date(service: Service, load: Any, naps: Naps, code: int) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    service.faults.append(refusal(code, "system_busy", retry_after="12"))
    service.faults.append(refusal(code, "system_busy", retry_after=later))
    service.faults.append(refusal(code, "system_busy", retry_after="soon"))
    load().speak(TEXT)
    assert naps.taken_s[0] == 12.0
    assert 60 < naps.taken_s[1] <= 100
    assert naps.taken_s[2] <= 4


def test_a_text_is_given_up_after_eight_attempts(service: Service, load: Any) -> None:
    service.faults.extend([refusal(500, "oops", "out of order")] * 8)
    engine = load()
    with pytest.raises(EvoxtralError, match="gave up after 8 attempts: oops: out of order") as caught:
        engine.speak(TEXT)
    assert not isinstance(caught.value, VoiceError)
    assert len(service.requests) == 8
    engine.speak(TEXT)


def test_a_service_that_is_down_is_not_asked_for_every_text(service: Service, load: Any) -> None:
    service.faults.extend([refusal(500, "oops")] * 1_000)
    engine = load()
    for _ in range(4):
        with pytest.raises(EvoxtralError, match="gave up"):
            engine.speak(TEXT)
    with pytest.raises(VoiceError, match="does not answer"):
        engine.speak(TEXT)


@pytest.mark.parametrize("code", [400, 422])
def test_a_refused_text_is_not_sent_again(service: Service, load: Any, code: int) -> None:
    service.faults.append(refusal(code, "max_character_limit_exceeded", "5,000 at most"))
    engine = load()
    with pytest.raises(EvoxtralError, match="refuses the text: max_character_limit_exceeded: 5,000 at most") as caught:
        engine.speak(TEXT)
    assert not isinstance(caught.value, VoiceError)
    assert len(service.requests) == 1
    assert engine.charged_characters == 0


def test_a_voice_that_does_not_exist_is_no_text_to_skip(service: Service, load: Any) -> None:
    service.faults.append(refusal(404, "voice_not_found", "A voice with that ID was not found."))
    with pytest.raises(VoiceError, match="no voice 'Liam'"):
        load().speak(TEXT, voice="Liam")
    assert len(service.requests) == 1


# --- garbage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_asked_for_again_and_its_cost_counted(service: Service, load: Any, kind: str) -> None:
    service.faults.append(GARBAGE[kind])
    text = "One two three four five six seven."
    engine = load()
    (paid,) = speak_all(engine, [text])
    assert_spoken(paid, text)
    assert service.paid[text] == 2
    assert paid.characters == engine.charged_characters == service.charged == 2 * len(text)


def test_silence_is_what_a_pause_alone_asks_for(service: Service, load: Any) -> None:
    service.faults.append(sound(bytes(32_000)))
    speech = load().speak("[pause]")
    assert not speech.samples.any()
    assert len(service.requests) == 1


def test_the_sound_of_another_text_is_garbage(service: Service, load: Any) -> None:
    engine = load()
    engine.speak("Good morning.", seed=1)
    service.faults.append(sound(pcm_of("Good morning.", 1).tobytes()))
    speech = engine.speak("Good night.", seed=2)
    np.testing.assert_array_equal(speech.samples * 32_768, pcm_of("Good night.", 2))
    assert len(service.requests) == 3
    engine.speak("Good morning.", seed=1)  # the same text may well sound the same
    assert len(service.requests) == 4


# --- what it costs --------------------------------------------------------------------------------------------------


def test_the_cost_is_what_the_service_tells_or_else_the_length(service: Service, load: Any) -> None:
    engine = load()
    service.faults.append(
        lambda request, handler: handler.reply(
            200, pcm_of(TEXT, 1).tobytes(), "audio/pcm", character_cost="5", request_id="abc"
        )
    )
    (paid,) = speak_all(engine, [TEXT])
    assert isinstance(paid, PaidSpeech)
    assert (paid.characters, paid.request_id) == (5, "abc")
    service.tells_cost = False
    (paid,) = speak_all(engine, ["Twelve chars"])
    assert isinstance(paid, PaidSpeech)
    assert paid.characters == 12
    assert engine.charged_characters == 17


def test_the_budget_is_never_exceeded(service: Service, load: Any) -> None:
    service.accounts["secret-1"].limit = 20
    engine = load()
    engine.speak("0123456789")
    engine.limit_charges(55)
    service.faults.extend([None, GARBAGE["empty"], cut_in_the_middle])  # these cost as well
    results = speak_all(engine, [f"012345678{index}" for index in range(10)])
    spoken = [result for result in results if isinstance(result, PaidSpeech)]
    refused = [result for result in results if not isinstance(result, PaidSpeech)]
    assert service.charged == 10 + 50
    assert len(spoken) == 3
    assert {type(error) for error in refused} == {VoiceError}
    assert "the budget is spent" in str(refused[0])


def test_stopping_lets_what_was_sent_finish_and_gives_up_the_rest(service: Service, load: Any) -> None:
    service.hold.clear()
    engine = load()

    def stop() -> None:
        service.waiting.wait(20)
        engine.stop()
        service.hold.set()

    threading.Thread(target=stop).start()
    texts = [f"Line {index}." for index in range(6)]
    results = speak_all(engine, texts)
    spoken = [text for text, result in zip(texts, results, strict=True) if isinstance(result, PaidSpeech)]
    assert 1 <= len(spoken) <= 2  # two at once, as long as the limit is not known
    assert service.paid == Counter(spoken)
    assert all(isinstance(result, (PaidSpeech, VoiceError)) for result in results)
    asyncio.run(engine.aclose())
