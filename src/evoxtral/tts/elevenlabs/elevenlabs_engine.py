"""The engine: one text at a time, or many at once with several keys.

Knows the service's limits, prices and requests; keys, answers and voices are its neighbours here. All requests run in
one event loop on a thread of its own, so that callers with and without a loop share keys, connections and the budget.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from evoxtral.errors import AudioError, EvoxtralError, VoiceError
from evoxtral.retries import RetryPolicy
from evoxtral.tts.elevenlabs.answers import Refusal, SoundCheck, Trouble, judge, number_of
from evoxtral.tts.elevenlabs.keys import Key, KeyRing
from evoxtral.tts.elevenlabs.voices import STOCK_VOICES
from evoxtral.tts.elevenlabs.voices import voice_id as find_voice_id
from evoxtral.tts.speech_engine import LostRequest, PaidSpeech, Speech, Voice

if TYPE_CHECKING:
    import httpx
    from elevenlabs.client import AsyncElevenLabs

_log = logging.getLogger(__name__)

# creative, natural, robust: v3 takes no value between them
_STABILITIES = (0.0, 0.5, 1.0)
# The service refuses longer texts; one must not use up the budget of the others before it is refused.
_MAX_CHARACTERS = 5_000

_RETRIES = RetryPolicy(attempts=8)
# So many texts in a row for which every attempt failed: the service is down.
_MAX_GIVEN_UP_IN_A_ROW = 5

Result = TypeVar("Result")


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
        self._ring = KeyRing(keys_file)
        self._model = model
        self._stability = stability
        self._output_format: Literal["pcm_16000", "pcm_24000"] = output_format
        self._sample_rate_hz = int(output_format.removeprefix("pcm_"))
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._charged = 0
        self._reserved = 0
        self._charge_limit: int | None = None
        self._given_up_in_a_row = 0
        self._check = SoundCheck(self._sample_rate_hz)
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
        return self._ring.concurrency

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
        voice_id = find_voice_id(voice)
        receipt = _Receipt()
        failures = 0
        while failures < _RETRIES.attempts:
            key = await self._acquire_key(text)
            failures += 1
            pause_s = _RETRIES.wait_s(failures)
            try:
                data = await self._request(key, text, voice_id, seed, receipt)
                samples = self._check.decode(data, text)
            except ApiError as error:
                refusal = judge(error.status_code, error.body, error.headers)
                refusal = replace(refusal, reason=self._ring.redact(refusal.reason))
                reason = refusal.reason
                told_s = self._take_refusal(refusal, key, voice)
                pause_s = pause_s if told_s is None else told_s
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
        reason = self._ring.redact(reason)
        if self._given_up_in_a_row >= _MAX_GIVEN_UP_IN_A_ROW:
            raise VoiceError(f"ElevenLabs does not answer as it should ({reason})", "try again later")
        raise EvoxtralError(f"gave up after {_RETRIES.attempts} attempts: {reason}")

    async def _recall(self, lost: Sequence[LostRequest], known_request_ids: Collection[str]) -> list[PaidSpeech | None]:
        if not self._ring.usable or not lost:
            return [None] * len(lost)
        try:
            import httpx
            from elevenlabs.core.api_error import ApiError
        except ImportError:
            return [None] * len(lost)
        from evoxtral.tts.elevenlabs.history import recall

        failures = 0
        while True:
            try:
                return await recall(
                    [self._client(key) for key in self._ring.usable],
                    lost,
                    model=self._model,
                    voice_id=find_voice_id,
                    known_request_ids=known_request_ids,
                )
            except (ApiError, httpx.TransportError) as error:
                failures += 1
                refused = judge(error.status_code, error.body, error.headers) if isinstance(error, ApiError) else None
                passing = refused is None or refused.trouble in (Trouble.BUSY, Trouble.PASSING)
                if failures == _RETRIES.attempts or not passing:
                    reason = type(error).__name__ if refused is None else self._ring.redact(refused.reason)
                    raise EvoxtralError(
                        f"ElevenLabs does not tell what it made before: {reason}",
                        "try again later; the same command resumes",
                    ) from None
                await self._pause(_RETRIES.wait_s(failures))

    async def _acquire_key(self, text: str) -> Key:
        """A key for one request, whose cost is then reserved; waits until a key is free and the budget suffices."""
        cost = self.cost_of(text)
        async with self._changed:
            while True:
                if self._stopping.is_set():
                    raise VoiceError("synthesis was stopped")
                if not self._ring.usable:
                    raise self._ring.none_left()
                room = self._room()
                if room < cost:
                    raise VoiceError(f"the budget is spent: {self._charged:,} characters were charged", "raise it")
                if room - self._reserved >= cost and (key := self._ring.take()) is not None:
                    self._reserved += cost
                    return key
                await self._changed.wait()

    def _room(self) -> float:
        return float("inf") if self._charge_limit is None else self._charge_limit - self._charged

    async def _request(self, key: Key, text: str, voice_id: str, seed: int, receipt: _Receipt) -> bytes:
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
                told = number_of(headers.get("character-cost"))
                charged = cost if told is None else told
                self._charged += charged
                self._reserved -= reserved
                reserved = 0
                receipt.characters += charged
                receipt.request_id = headers.get("request-id")
                async with self._changed:
                    self._ring.learn(key, headers, max(used_at_most, key.in_use))
                    self._changed.notify_all()
                data = b"".join([chunk async for chunk in response.data])
                kind = headers.get("content-type", "")
                if kind.startswith(("text/", "application/json")):
                    raise AudioError(f"ElevenLabs sent {kind} instead of sound")
                return data
        finally:
            self._reserved -= reserved

    def _client(self, key: Key) -> "AsyncElevenLabs":
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

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def _take_refusal(self, refusal: Refusal, key: Key, voice: str) -> float | None:
        """Do what a refusal asks for; the pause before this text is tried again, None for the usual one.

        Raises:
            VoiceError: the voice does not exist.
            EvoxtralError: the service refuses this text.
        """
        match refusal.trouble:
            case Trouble.VOICE:
                problem = f"ElevenLabs has no voice {voice!r}: {refusal.reason}"
                raise VoiceError(problem, "name another voice or its id") from None
            case Trouble.KEY:
                self._ring.set_aside(key, refusal.reason)
                return 0.0
            case Trouble.BUSY:
                self._ring.slow_down(key, refusal)
                asked_s = refusal.asked_s
                self._rest(key, asked_s if asked_s is not None else _RETRIES.wait_s(max(1, key.refusals)))
                return 0.0  # another key may be free at once
            case Trouble.PASSING:
                return refusal.asked_s
        raise EvoxtralError(f"ElevenLabs refuses the text: {refusal.reason}") from None

    def _rest(self, key: Key, seconds: float) -> None:
        async def wake() -> None:
            await self._pause(seconds)
            async with self._changed:
                key.resting -= 1
                self._changed.notify_all()

        key.resting += 1
        waker = asyncio.ensure_future(wake())
        self._wakers.add(waker)
        waker.add_done_callback(self._wakers.discard)
