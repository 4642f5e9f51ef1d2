"""ElevenLabs v3 as a speech engine, through the official SDK: one text at a time, or many at once with several keys.

Knows the service's limits, prices and ways to fail; knows nothing of corpora. All requests run in one event loop on a
thread of its own, so that callers with and without a loop share keys, connections and the budget.

A key is used for as many requests at once as the service allows it (which its answers tell), rests when the service
asks for that, and is set aside for good when it is refused or its quota is used up. Keys appear nowhere but in request
headers: messages call them by number.
"""

import asyncio
import hashlib
import itertools
import logging
import re
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from evoxtral.errors import AudioError, EvoxtralError, VoiceError
from evoxtral.retries import RetryPolicy, is_transient, retry_after_s
from evoxtral.settings import read_settings
from evoxtral.tags import parse
from evoxtral.tts.speech_engine import LostRequest, PaidSpeech, Speech, Voice

if TYPE_CHECKING:
    import httpx
    from elevenlabs.client import AsyncElevenLabs
    from elevenlabs.core.api_error import ApiError

_log = logging.getLogger(__name__)

# Name -> (id, description) of stock voices that every account has: four women and four men, none of a fixed temper.
STOCK_VOICES: Mapping[str, tuple[str, str]] = {
    "Sarah": ("EXAVITQu4vr4xnSDxMaL", "American English, female"),
    "George": ("JBFqnCBsd6RMkjVDRZzb", "British English, male"),
    "Laura": ("FGY2WhTYpPnrIDTdsKH5", "American English, female"),
    "Charlie": ("IKne3meq5aSn9XLyUdCD", "Australian English, male"),
    "Jessica": ("cgSgspJ2msm6clMCkdW9", "American English, female"),
    "Liam": ("TX3LPaxmHKxFdv7VOQHJ", "American English, male"),
    "Alice": ("Xb7hH8MSUJpSbSDYk0k2", "British English, female"),
    "Brian": ("nPczCjzI2devNBz1zQrb", "American English, male"),
}
_VOICE_ID = re.compile(r"[A-Za-z0-9]{20}")

# creative, natural, robust: v3 takes no value between them
_STABILITIES = (0.0, 0.5, 1.0)
# What the smallest plan allows; the first answer tells the key's own limit.
_INITIAL_CONCURRENCY = 2

# The service refuses longer texts; one must not use up the budget of the others before it is refused.
_MAX_CHARACTERS = 5_000

_RETRIES = RetryPolicy(attempts=8)
# So many texts in a row for which every attempt failed: the service is down.
_MAX_GIVEN_UP_IN_A_ROW = 5

# The bodies that come with a refusal name it in `detail.status`.
_KEY_PROBLEMS = frozenset(
    {
        "detected_unusual_activity",
        "invalid_api_key",
        "missing_permissions",
        "needs_authorization",
        "payment_required",
        "quota_exceeded",
    }
)

# Nobody speaks a word in less than this; shorter audio was cut off.
_MIN_WORD_S = 0.06
# Speech stays far below; compressed audio or other bytes taken for samples are noise near full scale.
_MAX_SPEECH_RMS = 0.45
_FOREIGN_BEGINNINGS = {b"RIFF": "WAV", b"ID3": "MP3", b"\xff\xfb": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC"}

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Key:
    """An API key and what is known of it.

    Attributes:
        label: what messages call it.
        limit: how many requests the service takes at once.
        in_use: how many are under way.
        resting: how many pauses, asked for by the service, have not ended.
        refusals: "too many requests" answers since the last success.
        last_used: turn in which it was last chosen.
        set_aside: why it is not used any more, or None.
    """

    secret: str = field(repr=False)
    label: str
    limit: int = _INITIAL_CONCURRENCY
    in_use: int = 0
    resting: int = 0
    refusals: int = 0
    last_used: int = 0
    set_aside: str | None = None


@dataclass(slots=True)
class _Receipt:
    """What one text was charged so far, over all attempts."""

    characters: int = 0
    request_id: str | None = None


class ElevenLabsEngine:
    """Speaks tagged text by ElevenLabs' `eleven_v3`; needs the extra `elevenlabs` and a key.

    Keys come from `keys_file` (one a line), or else from the variables ELEVENLABS_API_KEYS (separated by commas) and
    ELEVENLABS_API_KEY. Without any, voices and costs can be told, but nothing spoken.

    Args:
        keys_file: path of a file with keys.
        stability: 0.0 (creative), 0.5 (natural) or 1.0 (robust; hardly minds tags).
        output_format: rate of the samples; higher ones than these need a paid plan.
        base_url: another address of the service.
        timeout_s: how long the service may be silent.
        sleep: how pauses are made.

    Raises:
        VoiceError: an argument is wrong or the keys file cannot be read.
    """

    name = "elevenlabs"

    def __init__(
        self,
        *,
        keys_file: str | Path | None = None,
        model: str = "eleven_v3",
        stability: float = 0.5,
        output_format: Literal["pcm_16000", "pcm_24000"] = "pcm_16000",
        base_url: str | None = None,
        timeout_s: float = 120.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if stability not in _STABILITIES:
            raise VoiceError(f"{model} has no stability {stability}", "choose 0.0, 0.5 or 1.0")
        if output_format not in ("pcm_16000", "pcm_24000"):
            raise VoiceError(f"cannot read ElevenLabs' format {output_format}", "choose pcm_16000 or pcm_24000")
        secrets = _read_keys(keys_file)
        self._keys = [_Key(secret, f"key {number} of {len(secrets)}") for number, secret in enumerate(secrets, 1)]
        self._model = model
        self._stability = stability
        self._output_format: Literal["pcm_16000", "pcm_24000"] = output_format
        self._sample_rate_hz = int(output_format.removeprefix("pcm_"))
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._turns = itertools.count(1)
        self._charged = 0
        self._reserved = 0
        self._charge_limit: int | None = None
        self._given_up_in_a_row = 0
        self._heard: dict[bytes, str] = {}
        self._start_lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changed = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._http: httpx.AsyncClient | None = None
        self._clients: dict[str, AsyncElevenLabs] = {}
        self._wakers: set[asyncio.Task[None]] = set()

    def voices(self) -> Sequence[Voice]:
        """The stock voices; any voice id of the account's library can be used as well."""
        return [Voice(name, description) for name, (_, description) in STOCK_VOICES.items()]

    def speak(self, text: str, *, voice: str | None = None, seed: int = 0) -> Speech:
        """Speak tagged text and wait for it.

        Raises:
            VoiceError: no key can be used, the SDK is not installed, the voice is unknown.
            EvoxtralError: the service refuses the text or does not answer.
        """
        return self._submit(self._speak(text, voice or next(iter(STOCK_VOICES)), seed)).result().speech

    # --- many at once (RemoteSpeechEngine) ---------------------------------------------------------------------------

    @property
    def concurrency(self) -> int:
        """Requests that all usable keys together take at once; 1 where there is none, so that the reason comes out."""
        return sum(key.limit for key in self._keys if key.set_aside is None) or 1

    @property
    def charged_characters(self) -> int:
        return self._charged

    def limit_charges(self, characters: int) -> None:
        self._charge_limit = self._charged + characters

    def cost_of(self, text: str) -> int:
        """One for each character, tags included; nothing for a text that is too long to be sent."""
        return len(text) if len(text) <= _MAX_CHARACTERS else 0

    async def speak_paid(self, text: str, *, voice: str, seed: int = 0) -> PaidSpeech:
        return await asyncio.wrap_future(self._submit(self._speak(text, voice, seed)))

    async def recall(
        self, lost: Sequence[LostRequest], *, known_request_ids: Collection[str]
    ) -> list[PaidSpeech | None]:
        return await asyncio.wrap_future(self._submit(self._recall(lost, known_request_ids)))

    def stop(self) -> None:
        async def tell() -> None:
            self._stopping.set()
            async with self._changed:
                self._changed.notify_all()

        self._submit(tell()).result()

    async def aclose(self) -> None:
        if self._loop is None or self._thread is None:
            return

        async def close() -> None:
            for waker in list(self._wakers):
                waker.cancel()
            if self._http is not None:
                await self._http.aclose()

        await asyncio.wrap_future(self._submit(close()))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    # --- the loop ----------------------------------------------------------------------------------------------------

    def _submit(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        with self._start_lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="elevenlabs", daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _pause(self, seconds: float) -> None:
        """Wait; shorter when the engine is stopped."""
        waits = {asyncio.ensure_future(self._sleep(seconds)), asyncio.ensure_future(self._stopping.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # --- one text ----------------------------------------------------------------------------------------------------

    async def _speak(self, text: str, voice: str, seed: int) -> PaidSpeech:
        try:
            import httpx
            from elevenlabs.core.api_error import ApiError
        except ImportError:
            raise VoiceError("the ElevenLabs SDK is not installed", "pip install 'evoxtral[elevenlabs]'") from None

        if len(text) > _MAX_CHARACTERS:
            raise EvoxtralError(
                f"the text has {len(text):,} characters; ElevenLabs takes at most {_MAX_CHARACTERS:,} at once",
                "cut it into parts",
            )
        voice_id = _voice_id(voice)
        receipt = _Receipt()
        failures = 0
        while failures < _RETRIES.attempts:
            key = await self._acquire_key(text)
            failures += 1
            pause_s = _RETRIES.wait_s(failures)
            try:
                data = await self._request(key, text, voice_id, seed, receipt)
                samples = self._decode(data, text)
            except ApiError as error:
                reason, pause_s = self._judge(error, key, voice, pause_s)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            except AudioError as error:
                reason = str(error)
            else:
                key.refusals = 0
                self._given_up_in_a_row = 0
                speech = Speech(samples, self._sample_rate_hz, f"elevenlabs/{self._model}", voice)
                return PaidSpeech(speech, receipt.characters, receipt.request_id)
            finally:
                async with self._changed:
                    key.in_use -= 1
                    self._changed.notify_all()
            if key.set_aside is not None:
                failures -= 1  # the key's fault; there are only so many keys
            elif pause_s and failures < _RETRIES.attempts:
                await self._pause(pause_s)
        self._given_up_in_a_row += 1
        if self._given_up_in_a_row >= _MAX_GIVEN_UP_IN_A_ROW:
            raise VoiceError(f"ElevenLabs does not answer as it should ({self._redact(reason)})", "try again later")
        raise EvoxtralError(f"gave up after {_RETRIES.attempts} attempts: {self._redact(reason)}")

    async def _recall(self, lost: Sequence[LostRequest], known_request_ids: Collection[str]) -> list[PaidSpeech | None]:
        keys = [key for key in self._keys if key.set_aside is None]
        if not keys or not lost:
            return [None] * len(lost)
        try:
            import httpx
            from elevenlabs.core.api_error import ApiError
        except ImportError:
            return [None] * len(lost)
        from evoxtral.tts.elevenlabs_history import recall

        failures = 0
        while True:
            try:
                return await recall(
                    [self._client(key) for key in keys],
                    lost,
                    model=self._model,
                    voice_id=_voice_id,
                    known_request_ids=known_request_ids,
                )
            except (ApiError, httpx.TransportError) as error:
                failures += 1
                status = error.status_code if isinstance(error, ApiError) else None
                reason = _detail(error.body)[1] if isinstance(error, ApiError) else type(error).__name__
                if failures == _RETRIES.attempts or not is_transient(status):
                    raise EvoxtralError(
                        f"ElevenLabs does not tell what it made before: {self._redact(reason)}",
                        "try again later; the same command resumes",
                    ) from None
                await self._pause(_RETRIES.wait_s(failures))

    async def _acquire_key(self, text: str) -> _Key:
        """A key for one request, whose cost is then reserved; waits until a key is free and the budget suffices."""
        cost = self.cost_of(text)
        async with self._changed:
            while True:
                if self._stopping.is_set():
                    raise VoiceError("synthesis was stopped")
                usable = [key for key in self._keys if key.set_aside is None]
                if not usable:
                    raise self._no_key()
                room = self._room()
                if room < cost:
                    raise VoiceError(f"the budget is spent: {self._charged:,} characters were charged", "raise it")
                free = [key for key in usable if key.in_use < key.limit and not key.resting]
                if free and room - self._reserved >= cost:
                    key = min(free, key=lambda key: key.last_used)
                    key.last_used = next(self._turns)
                    key.in_use += 1
                    self._reserved += cost
                    return key
                await self._changed.wait()

    def _room(self) -> float:
        return float("inf") if self._charge_limit is None else self._charge_limit - self._charged

    def _no_key(self) -> VoiceError:
        if not self._keys:
            return VoiceError("there is no ElevenLabs key", "set ELEVENLABS_API_KEY, or use the engine local")
        reasons = "; ".join(f"{key.label}: {key.set_aside}" for key in self._keys)
        return VoiceError(f"no ElevenLabs key is left ({reasons})", "add a key to ELEVENLABS_API_KEYS")

    async def _request(self, key: _Key, text: str, voice_id: str, seed: int, receipt: _Receipt) -> bytes:
        """One request. Once an answer begins it is charged, whatever becomes of it."""
        from elevenlabs import VoiceSettings

        cost = reserved = self.cost_of(text)
        used_at_most = key.in_use
        try:
            async with self._client(key).text_to_speech.with_raw_response.convert(
                voice_id,
                text=text,
                model_id=self._model,
                output_format=self._output_format,
                seed=seed % 2**32,
                voice_settings=VoiceSettings(stability=self._stability),
            ) as response:
                headers = response.headers
                told = _number(headers.get("character-cost"))
                charged = cost if told is None else told
                self._charged += charged
                self._reserved -= reserved
                reserved = 0
                receipt.characters += charged
                receipt.request_id = headers.get("request-id")
                await self._learn(key, headers, max(used_at_most, key.in_use))
                data = b"".join([chunk async for chunk in response.data])
                kind = headers.get("content-type", "")
                if kind.startswith(("text/", "application/json")):
                    raise AudioError(f"ElevenLabs sent {kind} instead of sound")
                return data
        finally:
            self._reserved -= reserved

    def _client(self, key: _Key) -> "AsyncElevenLabs":
        import httpx
        from elevenlabs.client import AsyncElevenLabs

        if self._http is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
            self._http = httpx.AsyncClient(timeout=self._timeout_s, limits=limits)
        if key.label not in self._clients:
            self._clients[key.label] = AsyncElevenLabs(
                api_key=key.secret, base_url=self._base_url, timeout=self._timeout_s, httpx_client=self._http
            )
        return self._clients[key.label]

    async def _learn(self, key: _Key, headers: Mapping[str, str], used_at_most: int) -> None:
        """Take a key's limit from an answer's headers, less what others are using of the same account."""
        maximum = _number(headers.get("maximum-concurrent-requests"))
        current = _number(headers.get("current-concurrent-requests"))
        if maximum is None:
            return
        others = max(0, (current or 0) - used_at_most)
        async with self._changed:
            key.limit = max(1, maximum - others)
            self._changed.notify_all()

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def _judge(self, error: "ApiError", key: _Key, voice: str, pause_s: float) -> tuple[str, float]:
        """What a refusal means: (reason, pause before this text is tried again), or an error if it should not be.

        Raises:
            VoiceError: the voice does not exist.
            EvoxtralError: the service refuses this text.
        """
        status, message = _detail(error.body)
        message = self._redact(message)
        reason = f"{status or error.status_code}: {message}" if message else str(status or error.status_code)
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        asked_s = retry_after_s(headers.get("retry-after"))
        if status == "voice_not_found" or error.status_code == 404:
            raise VoiceError(f"ElevenLabs has no voice {voice!r}: {message}", "name another voice or its id") from None
        if status in _KEY_PROBLEMS or error.status_code in (401, 402, 403):
            self._set_aside(key, reason)
            return reason, 0.0
        if error.status_code == 429:
            maximum = _number(headers.get("maximum-concurrent-requests"))
            if maximum is not None:
                key.limit = max(1, maximum)
            elif status == "too_many_concurrent_requests":
                key.limit = max(1, key.in_use - 1)
            if not key.resting:
                key.refusals += 1
            self._rest(key, asked_s if asked_s is not None else _RETRIES.wait_s(max(1, key.refusals)))
            return reason, 0.0  # another key may be free at once
        if is_transient(error.status_code):
            return reason, asked_s if asked_s is not None else pause_s
        raise EvoxtralError(f"ElevenLabs refuses the text: {reason}") from None

    def _set_aside(self, key: _Key, reason: str) -> None:
        if key.set_aside is not None:
            return
        key.set_aside = reason
        left = sum(other.set_aside is None for other in self._keys)
        _log.warning("ElevenLabs %s is set aside: %s (%d left)", key.label, reason, left)

    def _rest(self, key: _Key, seconds: float) -> None:
        async def wake() -> None:
            await self._pause(seconds)
            async with self._changed:
                key.resting -= 1
                self._changed.notify_all()

        key.resting += 1
        waker = asyncio.ensure_future(wake())
        self._wakers.add(waker)
        waker.add_done_callback(self._wakers.discard)

    def _redact(self, text: str) -> str:
        for key in self._keys:
            text = text.replace(key.secret, "[key]")
        return " ".join(text.split())

    def _decode(self, data: bytes, text: str) -> NDArray[np.float32]:
        """Samples of the raw PCM that was asked for.

        Raises:
            AudioError: it is something else, is cut off, or was already heard for another text.
        """
        for beginning, name in _FOREIGN_BEGINNINGS.items():
            if data.startswith(beginning):
                raise AudioError(f"ElevenLabs sent {name} instead of raw samples")
        if len(data) % 2:
            raise AudioError("ElevenLabs sent half a sample")
        samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32_768)
        seconds = len(samples) / self._sample_rate_hz
        words = len(parse(text).words)
        if not seconds or seconds < words * _MIN_WORD_S:
            raise AudioError(f"ElevenLabs sent {seconds:.2f} s for {words} words")
        rms = float(np.sqrt(np.mean(np.square(samples))))
        if (rms == 0 and words) or rms > _MAX_SPEECH_RMS:
            raise AudioError(f"ElevenLabs sent {'noise' if rms else 'silence'} instead of speech")
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if self._heard.setdefault(digest, text) != text:
            raise AudioError("ElevenLabs sent the sound of another text")
        return samples


def _read_keys(keys_file: str | Path | None) -> list[str]:
    """The keys, each once, in order."""
    if keys_file is not None:
        try:
            lines = Path(keys_file).expanduser().read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise VoiceError(f"the keys file {keys_file} cannot be read: {type(error).__name__}") from None
        found = [line.partition("#")[0].strip() for line in lines]
    else:
        found = [key.get_secret_value() for key in read_settings().elevenlabs_keys]
    return list(dict.fromkeys(key.strip() for key in found if key.strip()))


def _voice_id(voice: str) -> str:
    by_name = {name.casefold(): identifier for name, (identifier, _) in STOCK_VOICES.items()}
    if voice.casefold() in by_name:
        return by_name[voice.casefold()]
    if _VOICE_ID.fullmatch(voice):
        return voice
    raise VoiceError(f"ElevenLabs has no voice {voice!r}", f"use {', '.join(STOCK_VOICES)}, or the id of a voice")


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.strip().isdecimal() else None


def _detail(body: Any) -> tuple[str | None, str]:
    """Status and message of an error body: `{"detail": {"status", "message"}}`, or whatever came instead."""
    if isinstance(body, BaseModel):  # what older SDKs make of a 422
        body = body.model_dump()
    detail = body.get("detail", body) if isinstance(body, dict) else body
    if isinstance(detail, dict):
        status = detail.get("status") or detail.get("code")
        return (str(status) if status else None), str(detail.get("message") or "")[:300]
    return None, str(detail or "")[:300]
