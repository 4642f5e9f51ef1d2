"""Requests to Mistral's speech service: how a text is written for it, how its answers and refusals are read.

Knows the SDK and the service's limits; keys, budgets and retries are `tts.paid`'s. The service takes no seed, so that
each take is another one; it keeps no history, so that an answer that is lost is paid again.
"""

import asyncio
import base64
import binascii
import io
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evoxtral.errors import AudioError, VoiceError
from evoxtral.retries import is_transient, retry_after_s
from evoxtral.settings import read_settings
from evoxtral.tags.dialects import count_notes, read, write
from evoxtral.tts.mistral.mistral_voices import PRESET_VOICES
from evoxtral.tts.mistral.mistral_voices import voice_id as find_voice_id
from evoxtral.tts.paid.answers import LineBrokeError, Refusal, RefusedError, Trouble
from evoxtral.tts.paid.keys import KeyRing, read_keys
from evoxtral.tts.paid.paid_engine import Begun, PaidEngine, Sound, Wording
from evoxtral.tts.speech_engine import LostRequest, PaidSpeech, Voice

if TYPE_CHECKING:
    import httpx2
    from mistralai.client import Mistral

_DIALECT = "voxtral-tts"
_MOST_REASON_CHARACTERS = 300


def mistral_engine(
    *,
    keys_file: str | Path | None = None,
    model: str = "voxtral-mini-tts-3-0",
    expressiveness: float | None = None,
    base_url: str | None = None,
    timeout_s: float = 120.0,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> PaidEngine:
    """An engine that speaks by Mistral's Voxtral TTS 3; needs the extra `mistral` and a key.

    Tags are written in the service's own way, `[emotion=happy]`; what it has no mark for is left out and noted.
    Keys come from `keys_file` (one a line), or else from the variables MISTRAL_API_KEYS (separated by commas) and
    MISTRAL_API_KEY.

    Args:
        keys_file: path of a file with keys.
        expressiveness: how closely delivery follows voice and tags, at least 1; None for the service's default.
        base_url: another address of the service.
        timeout_s: how long the service may take.
        sleep: how pauses are made.

    Raises:
        VoiceError: an argument is wrong or the keys file cannot be read.
    """
    if expressiveness is not None and not 1.0 <= expressiveness < float("inf"):
        raise VoiceError(f"{model} has no expressiveness {expressiveness}", "choose a number from 1")
    secrets = read_keys(keys_file, read_settings().mistral_keys)
    service = _Mistral(model, expressiveness, base_url, timeout_s)
    return PaidEngine(service, KeyRing(service.title, "MISTRAL_API_KEY", secrets), sleep)


class _Mistral:
    """The service; arguments as of `mistral_engine`."""

    name = "mistral"
    title = "Mistral"
    # The service documents no limit (it advises 300 words); nobody should pay for a whole book by mistake.
    max_characters = 5_000

    def __init__(self, model: str, expressiveness: float | None, base_url: str | None, timeout_s: float) -> None:
        self.model = model
        self._expressiveness = expressiveness
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._http: httpx2.AsyncClient | None = None
        self._clients: dict[str, Mistral] = {}  # by key

    def voices(self) -> Sequence[Voice]:
        return [Voice(name, description) for name, (_, description) in PRESET_VOICES.items()]

    def voice_id(self, voice: str) -> str:
        return find_voice_id(voice)

    def check_sdk(self) -> None:
        try:
            import httpx2  # noqa: F401
            from mistralai.client import Mistral  # noqa: F401
        except ImportError:
            raise VoiceError("Mistral's SDK is not installed", "pip install 'evoxtral[mistral]'") from None

    def word(self, text: str) -> Wording:
        """In the dialect of Voxtral TTS 3, whose tags hold until the next and not to the end of the sentence."""
        written = write(text, _DIALECT)
        if not written.notes:
            return Wording(written.text)
        return Wording(written.text, read(written.text, _DIALECT).text, tuple(count_notes(written.notes)))

    async def request(
        self, secret: str, text: str, voice_id: str, seed: int, begin: Callable[[Begun], Awaitable[None]]
    ) -> Sound:
        import httpx2
        from mistralai.client import errors
        from mistralai.client.types import UNSET

        try:
            answer = await self._client(secret).audio.speech.complete_async(
                input=text,
                model=self.model,
                voice_id=voice_id,
                response_format="wav",
                stream=False,
                expressiveness=UNSET if self._expressiveness is None else self._expressiveness,
            )
        except errors.MistralError as error:
            if error.status_code < 400:
                await begin(Begun())
                raise AudioError("Mistral sent something else than the sound that was asked for") from None
            raise RefusedError(judge(error.status_code, error.body, error.headers)) from None
        except (errors.NoResponseError, httpx2.TransportError) as error:
            kind = type(error).__name__
            raise LineBrokeError(f"{kind}: {error}" if str(error) else kind) from None
        await begin(Begun())
        return decode(answer.audio_data)

    async def recall(
        self, secrets: Sequence[str], lost: Sequence[LostRequest], known_request_ids: Collection[str]
    ) -> list[PaidSpeech | None]:
        """The service keeps nothing."""
        return [None] * len(lost)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def _client(self, secret: str) -> "Mistral":
        import httpx2
        from mistralai.client import Mistral

        if self._http is None:
            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
            self._http = httpx2.AsyncClient(timeout=self._timeout_s, limits=limits)
        if secret not in self._clients:
            self._clients[secret] = Mistral(
                api_key=secret,
                server_url=self._base_url,
                async_client=self._http,
                timeout_ms=round(self._timeout_s * 1000),
            )
        return self._clients[secret]


def judge(code: int, body: str, headers: Mapping[str, str]) -> Refusal:
    """What a refusal means.

    Args:
        code: status of HTTP.
        body: `{"object": "error", "message", "type", "code", ...}`, or `{"detail": ...}`, or whatever came instead.
    """
    kind, message = _detail(body)
    reason = f"{kind or code}: {message}" if message else str(kind or code)
    if kind == "invalid_voice":
        trouble = Trouble.VOICE
    elif code in (401, 402):
        trouble = Trouble.KEY
    elif code == 429:
        trouble = Trouble.BUSY
    elif is_transient(code):
        trouble = Trouble.PASSING
    else:  # 403 too: it is how the service moderates texts
        trouble = Trouble.TEXT
    return Refusal(trouble, reason, retry_after_s(headers.get("retry-after")), is_crowded=code == 429)


def decode(audio_data: str) -> Sound:
    """Samples of an answer: a WAV file in base64.

    Raises:
        AudioError: it is something else.
    """
    import soundfile

    try:
        samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(audio_data, validate=True)), dtype="float32")
    except (binascii.Error, soundfile.LibsndfileError):
        raise AudioError("Mistral sent something else than a WAV file") from None
    return Sound(np.asarray(samples if samples.ndim == 1 else samples.mean(axis=1), np.float32), int(rate_hz))


def _detail(body: str) -> tuple[str | None, str]:
    """Type and message of an error body."""
    try:
        value: Any = json.loads(body)
    except ValueError:
        return None, body[:_MOST_REASON_CHARACTERS]
    if not isinstance(value, dict):
        return None, str(value)[:_MOST_REASON_CHARACTERS]
    message = value.get("message") or value.get("detail") or ""
    if isinstance(message, dict):  # a validation error inside an error
        message = message.get("detail", message)
    if isinstance(message, list):
        message = "; ".join(str(fault.get("msg", fault) if isinstance(fault, dict) else fault) for fault in message)
    kind = value.get("type")
    return (str(kind) if kind else None), str(message)[:_MOST_REASON_CHARACTERS]
