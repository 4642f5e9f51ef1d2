"""An engine that speaks by a service: one text at a time, or many at once with several keys.

Takes keys in turn, keeps the budget, retries, and checks what it gets; what a request looks like and what a refusal
means, the service tells. All requests run in one event loop on a thread of its own, so that callers with and without a
loop share keys, connections and the budget.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from evoxtral.errors import AudioError, EvoxtralError, VoiceError
from evoxtral.retries import RetryPolicy
from evoxtral.tts.dialogue import join_turns
from evoxtral.tts.paid.answers import LineBrokeError, Refusal, RefusedError, SoundCheck, Trouble
from evoxtral.tts.paid.keys import Key, KeyRing
from evoxtral.tts.speech_engine import LostRequest, PaidSpeech, Speech, SpokenTurn, Voice

_log = logging.getLogger(__name__)

_RETRIES = RetryPolicy(attempts=8)
# So many texts in a row for which every attempt failed: the service is down.
_MAX_GIVEN_UP_IN_A_ROW = 5

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Begun:
    """What an answer says when it begins; from then on it is charged.

    Attributes:
        characters: what it is charged, or None where the service does not tell.
        request_id: the service's name for the request, or None.
        maximum: how many requests the service takes at once with the key, if it tells.
        under_way: how many it counts now.
    """

    characters: int | None = None
    request_id: str | None = None
    maximum: int | None = None
    under_way: int = 0


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono samples of an answer."""

    samples: NDArray[np.float32]
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Wording:
    """A tagged text as the service takes it.

    Attributes:
        sent: what is sent, and charged.
        spoken: the tagged text that it stands for; empty where it is all of what was given.
        notes: one line for each kind of thing that the service cannot say.
    """

    sent: str
    spoken: str = ""
    notes: tuple[str, ...] = ()


class SpeechService(Protocol):
    """A service that speaks for money.

    Attributes:
        name: of the engine; `title` for messages; `model` what speaks there.
        max_characters: it refuses longer texts.
    """

    name: str
    title: str
    model: str
    max_characters: int

    def voices(self) -> Sequence[Voice]: ...

    def voice_id(self, voice: str) -> str:
        """The service's name of a voice. Raises VoiceError for one that cannot be."""
        ...

    def check_sdk(self) -> None:
        """Raises VoiceError where the service's package is not installed; the hint says which."""
        ...

    def word(self, text: str) -> Wording:
        """The text as it is sent."""
        ...

    async def request(
        self, secret: str, text: str, voice_id: str, seed: int, begin: Callable[[Begun], Awaitable[None]]
    ) -> Sound:
        """Have a text spoken.

        Args:
            secret: the key.
            begin: to be awaited once, as soon as the answer begins, before anything can go wrong with it.

        Raises:
            RefusedError: the service refuses; LineBrokeError: no whole answer came; AudioError: it is no sound.
        """
        ...

    async def recall(
        self, secrets: Sequence[str], lost: Sequence[LostRequest], known_request_ids: Collection[str]
    ) -> list[PaidSpeech | None]:
        """What was made of requests whose answers were lost; None for each where the service keeps nothing.

        Raises:
            RefusedError, LineBrokeError: as `request`.
        """
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class DialogueService(SpeechService, Protocol):
    """A service that speaks the turns of a dialogue, each by its own voice, in one request.

    Attributes:
        max_dialogue_characters: it refuses longer ones.
    """

    max_dialogue_characters: int

    async def request_dialogue(
        self, secret: str, turns: Sequence[SpokenTurn], seed: int, begin: Callable[[Begun], Awaitable[None]]
    ) -> Sound:
        """As `request`; each turn has its text as it is sent, and the service's name of its voice."""
        ...


@dataclass(frozen=True, slots=True)
class _Order:
    """What one request is to speak: a text, or a dialogue.

    Attributes:
        turns: what is sent, by our names of the voices.
        text: what was given; `spoken` and `notes` as of `Wording`.
    """

    turns: tuple[SpokenTurn, ...]
    seed: int
    text: str
    spoken: str = ""
    notes: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        return sum(len(turn.text) for turn in self.turns)

    @property
    def voices(self) -> str:
        return " or ".join(repr(name) for name in dict.fromkeys(turn.voice for turn in self.turns))


@dataclass(slots=True)
class _Receipt:
    """What one text was charged so far, over all attempts."""

    characters: int = 0
    request_id: str | None = None


class PaidEngine:
    """Speaks tagged text by a service. Without any key, voices and costs can be told, but nothing spoken.

    Args:
        ring: the keys.
        sleep: how pauses are made.
    """

    def __init__(
        self,
        service: SpeechService,
        ring: KeyRing,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = service.name
        self._service = service
        self._ring = ring
        self._sleep = sleep
        self._charged = 0
        self._reserved = 0
        self._charge_limit: int | None = None
        self._given_up_in_a_row = 0
        self._check = SoundCheck(service.title)
        self._start_lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._changed = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._wakers: set[asyncio.Task[None]] = set()

    def voices(self) -> Sequence[Voice]:
        """The voices that every account has; others can be named by their ids."""
        return self._service.voices()

    def speak(self, text: str, *, voice: str | None = None, seed: int = 0) -> Speech:
        """Speak tagged text and wait for it. What the service cannot say is left out and noted.

        Raises:
            VoiceError: no key can be used, the service's package is not installed, the voice is unknown.
            EvoxtralError: the service refuses the text or does not answer.
        """
        order = self._order([SpokenTurn(text, voice or self.voices()[0].name)], seed)
        return self._submit(self._speak(order)).result().speech

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
        """One for each character that is sent; nothing for a text that is not sent."""
        worded = self._service.word(text)
        return 0 if len(worded.sent) > self._service.max_characters else len(worded.sent)

    async def speak_paid(self, text: str, *, voice: str, seed: int = 0) -> PaidSpeech:
        return await self._paid(self._order([SpokenTurn(text, voice)], seed))

    async def speak_dialogue_paid(self, turns: Sequence[SpokenTurn], *, seed: int = 0) -> PaidSpeech:
        """The turns in one request, or, where the service takes one voice at a time, one after the other.

        In the latter case a turn that fails loses those before it, which were paid.
        """
        if isinstance(self._service, DialogueService):
            return await self._paid(self._order(turns, seed))
        orders = [self._order([turn], (seed + index) % 2**32) for index, turn in enumerate(turns)]
        paid = [await self._paid(order) for order in orders]
        return PaidSpeech(
            join_turns(turns, [one.speech for one in paid], seed=seed),
            sum(one.characters for one in paid),
            paid[0].request_id,
        )

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
            await self._service.aclose()

        await asyncio.wrap_future(self._submit(close()))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    # --- the loop ----------------------------------------------------------------------------------------------------

    def _submit(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        with self._start_lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name=self.name, daemon=True)
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

    def _order(self, turns: Sequence[SpokenTurn], seed: int) -> _Order:
        worded = [self._service.word(turn.text) for turn in turns]
        is_whole = not any(one.spoken for one in worded)
        return _Order(
            tuple(SpokenTurn(one.sent, turn.voice) for one, turn in zip(worded, turns, strict=True)),
            seed,
            " ".join(turn.text for turn in turns),
            "" if is_whole else " ".join(one.spoken or turn.text for one, turn in zip(worded, turns, strict=True)),
            tuple(dict.fromkeys(note for one in worded for note in one.notes)),
        )

    async def _paid(self, order: _Order) -> PaidSpeech:
        if order.notes:  # what is paid for is kept with its text, which must be what is heard
            raise EvoxtralError(f"{self._service.title} cannot say all of the text: {'; '.join(order.notes)}")
        return await asyncio.wrap_future(self._submit(self._speak(order)))

    async def _speak(self, order: _Order) -> PaidSpeech:
        title, most, kind = self._service.title, self._service.max_characters, "text"
        self._service.check_sdk()
        if len(order.turns) > 1 and isinstance(self._service, DialogueService):
            most, kind = self._service.max_dialogue_characters, "dialogue"
        if order.characters > most:
            raise EvoxtralError(
                f"the {kind} has {order.characters:,} characters; {title} takes at most {most:,} at once",
                "cut it into parts",
            )
        for turn in order.turns:
            self._service.voice_id(turn.voice)
        receipt = _Receipt()
        failures = 0
        while failures < _RETRIES.attempts:
            key = await self._acquire_key(order.characters)
            failures += 1
            pause_s = _RETRIES.wait_s(failures)
            try:
                sound = await self._request(key, order, receipt)
                self._check.check(sound.samples, sound.sample_rate_hz, order.text)
            except RefusedError as error:
                refusal = replace(error.refusal, reason=self._ring.redact(error.refusal.reason))
                reason = refusal.reason
                told_s = self._take_refusal(refusal, key, order.voices)
                pause_s = pause_s if told_s is None else told_s
            except (LineBrokeError, AudioError) as error:
                reason = str(error)
            else:
                key.refusals = 0
                self._given_up_in_a_row = 0
                speech = Speech(
                    sound.samples,
                    sound.sample_rate_hz,
                    f"{self.name}/{self._service.model}",
                    order.turns[0].voice,
                    text=order.spoken,
                    notes=order.notes,
                )
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
            raise VoiceError(f"{title} does not answer as it should ({reason})", "try again later")
        raise EvoxtralError(f"gave up after {_RETRIES.attempts} attempts: {reason}")

    async def _recall(self, lost: Sequence[LostRequest], known_request_ids: Collection[str]) -> list[PaidSpeech | None]:
        if not self._ring.usable or not lost:
            return [None] * len(lost)
        failures = 0
        while True:
            try:
                return await self._service.recall([key.secret for key in self._ring.usable], lost, known_request_ids)
            except (RefusedError, LineBrokeError) as error:
                failures += 1
                refused = error.refusal if isinstance(error, RefusedError) else None
                passing = refused is None or refused.trouble in (Trouble.BUSY, Trouble.PASSING)
                if failures == _RETRIES.attempts or not passing:
                    reason = str(error).partition(":")[0] if refused is None else self._ring.redact(refused.reason)
                    raise EvoxtralError(
                        f"{self._service.title} does not tell what it made before: {reason}",
                        "try again later; the same command resumes",
                    ) from None
                await self._pause(_RETRIES.wait_s(failures))

    async def _acquire_key(self, cost: int) -> Key:
        """A key for one request, whose cost is then reserved; waits until a key is free and the budget suffices."""
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

    async def _request(self, key: Key, order: _Order, receipt: _Receipt) -> Sound:
        """One request. Once an answer begins it is charged, whatever becomes of it."""
        cost = reserved = order.characters
        used_at_most = key.in_use

        async def begin(answer: Begun) -> None:
            nonlocal reserved
            charged = cost if answer.characters is None else answer.characters
            self._charged += charged
            self._reserved -= reserved
            reserved = 0
            receipt.characters += charged
            receipt.request_id = answer.request_id
            if answer.maximum is not None:
                async with self._changed:
                    self._ring.learn(key, answer.maximum, answer.under_way - max(used_at_most, key.in_use))
                    self._changed.notify_all()

        try:
            turns = [SpokenTurn(turn.text, self._service.voice_id(turn.voice)) for turn in order.turns]
            if len(turns) > 1:
                assert isinstance(self._service, DialogueService)
                return await self._service.request_dialogue(key.secret, turns, order.seed, begin)
            return await self._service.request(key.secret, turns[0].text, turns[0].voice, order.seed, begin)
        finally:
            self._reserved -= reserved

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def _take_refusal(self, refusal: Refusal, key: Key, voices: str) -> float | None:
        """Do what a refusal asks for; the pause before this text is tried again, None for the usual one.

        Raises:
            VoiceError: the voice does not exist.
            EvoxtralError: the service refuses this text.
        """
        match refusal.trouble:
            case Trouble.VOICE:
                problem = f"{self._service.title} has no voice {voices}: {refusal.reason}"
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
        raise EvoxtralError(f"{self._service.title} refuses the text: {refusal.reason}") from None

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
