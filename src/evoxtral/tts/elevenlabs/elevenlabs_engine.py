"""ElevenLabs' requests: what is sent, how an answer is read, what its headers tell.

Knows the SDK and the service's limits; keys, budgets and retries are `tts.paid`'s.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evoxtral.errors import AudioError, VoiceError
from evoxtral.settings import read_settings
from evoxtral.tts.elevenlabs.answers import decode, judge, number_of
from evoxtral.tts.elevenlabs.voices import STOCK_VOICES
from evoxtral.tts.elevenlabs.voices import voice_id as find_voice_id
from evoxtral.tts.paid.answers import LineBrokeError, RefusedError
from evoxtral.tts.paid.keys import KeyRing, read_keys
from evoxtral.tts.paid.paid_engine import Begun, PaidEngine, Sound, Wording
from evoxtral.tts.speech_engine import LostRequest, PaidSpeech, SpokenTurn, Voice

if TYPE_CHECKING:
    import httpx
    from elevenlabs.client import AsyncElevenLabs
    from elevenlabs.core.http_response import AsyncHttpResponse

# creative, natural, robust: v3 takes no value between them
_STABILITIES = (0.0, 0.5, 1.0)


def elevenlabs_engine(
    *,
    keys_file: str | Path | None = None,
    model: str = "eleven_v3",
    stability: float = 0.5,
    output_format: Literal["pcm_16000", "pcm_24000"] = "pcm_16000",
    base_url: str | None = None,
    timeout_s: float = 120.0,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> PaidEngine:
    """An engine that speaks by ElevenLabs' `eleven_v3`; needs the extra `elevenlabs` and a key.

    Keys come from `keys_file` (one a line), or else from the variables ELEVENLABS_API_KEYS (separated by commas) and
    ELEVENLABS_API_KEY.

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
    if stability not in _STABILITIES:
        raise VoiceError(f"{model} has no stability {stability}", "choose 0.0, 0.5 or 1.0")
    if output_format not in ("pcm_16000", "pcm_24000"):
        raise VoiceError(f"cannot read ElevenLabs' format {output_format}", "choose pcm_16000 or pcm_24000")
    secrets = read_keys(keys_file, read_settings().elevenlabs_keys)
    service = _ElevenLabs(model, stability, output_format, base_url, timeout_s)
    return PaidEngine(service, KeyRing(service.title, "ELEVENLABS_API_KEY", secrets), sleep)


class _ElevenLabs:
    """The service; arguments as of `elevenlabs_engine`."""

    name = "elevenlabs"
    title = "ElevenLabs"
    # The service refuses longer texts; one must not use up the budget of the others before it is refused.
    max_characters = 5_000
    max_dialogue_characters = 2_000

    def __init__(
        self,
        model: str,
        stability: float,
        output_format: Literal["pcm_16000", "pcm_24000"],
        base_url: str | None,
        timeout_s: float,
    ) -> None:
        self.model = model
        self._stability = stability
        self._output_format: Literal["pcm_16000", "pcm_24000"] = output_format
        self._sample_rate_hz = int(output_format.removeprefix("pcm_"))
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._http: httpx.AsyncClient | None = None
        self._clients: dict[str, AsyncElevenLabs] = {}  # by key

    def voices(self) -> Sequence[Voice]:
        return [Voice(name, description) for name, (_, description) in STOCK_VOICES.items()]

    def voice_id(self, voice: str) -> str:
        return find_voice_id(voice)

    def check_sdk(self) -> None:
        try:
            import httpx  # noqa: F401
            from elevenlabs.core.api_error import ApiError  # noqa: F401
        except ImportError:
            raise VoiceError("the ElevenLabs SDK is not installed", "pip install 'evoxtral[elevenlabs]'") from None

    def word(self, text: str) -> Wording:
        """Its tags are ours."""
        return Wording(text)

    async def request(
        self, secret: str, text: str, voice_id: str, seed: int, begin: Callable[[Begun], Awaitable[None]]
    ) -> Sound:
        from elevenlabs import VoiceSettings

        return await self._read(
            self._client(secret).text_to_speech.with_raw_response.convert(
                voice_id,
                text=text,
                model_id=self.model,
                output_format=self._output_format,
                seed=seed % 2**32,
                voice_settings=VoiceSettings(stability=self._stability),
            ),
            begin,
        )

    async def request_dialogue(
        self, secret: str, turns: Sequence[SpokenTurn], seed: int, begin: Callable[[Begun], Awaitable[None]]
    ) -> Sound:
        from elevenlabs import DialogueInput, ToDialogueSettingsResponseModel

        return await self._read(
            self._client(secret).text_to_dialogue.with_raw_response.convert(
                inputs=[DialogueInput(text=turn.text, voice_id=turn.voice) for turn in turns],
                model_id=self.model,
                output_format=self._output_format,
                seed=seed % 2**32,
                settings=ToDialogueSettingsResponseModel(stability=self._stability),
            ),
            begin,
        )

    async def _read(
        self,
        answering: "AbstractAsyncContextManager[AsyncHttpResponse[AsyncIterator[bytes]]]",
        begin: Callable[[Begun], Awaitable[None]],
    ) -> Sound:
        with _understood():
            async with answering as response:
                headers = response.headers
                await begin(
                    Begun(
                        number_of(headers.get("character-cost")),
                        headers.get("request-id"),
                        number_of(headers.get("maximum-concurrent-requests")),
                        number_of(headers.get("current-concurrent-requests")) or 0,
                    )
                )
                data = b"".join([chunk async for chunk in response.data])
                kind = headers.get("content-type", "")
        if kind.startswith(("text/", "application/json")):
            raise AudioError(f"ElevenLabs sent {kind} instead of sound")
        return Sound(decode(data), self._sample_rate_hz)

    async def recall(
        self, secrets: Sequence[str], lost: Sequence[LostRequest], known_request_ids: Collection[str]
    ) -> list[PaidSpeech | None]:
        """From the accounts' histories."""
        try:
            from evoxtral.tts.elevenlabs.history import recall

            with _understood():
                return await recall(
                    [self._client(secret) for secret in secrets],
                    lost,
                    model=self.model,
                    voice_id=find_voice_id,
                    known_request_ids=known_request_ids,
                )
        except ImportError:
            return [None] * len(lost)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def _client(self, secret: str) -> "AsyncElevenLabs":
        import httpx
        from elevenlabs.client import AsyncElevenLabs

        if self._http is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
            self._http = httpx.AsyncClient(timeout=self._timeout_s, limits=limits)
        if secret not in self._clients:
            self._clients[secret] = AsyncElevenLabs(
                api_key=secret, base_url=self._base_url, timeout=self._timeout_s, httpx_client=self._http
            )
        return self._clients[secret]


@contextmanager
def _understood() -> Iterator[None]:
    """The SDK's errors as those that `tts.paid` knows."""
    import httpx
    from elevenlabs.core.api_error import ApiError

    try:
        yield
    except ApiError as error:
        raise RefusedError(judge(error.status_code, error.body, error.headers)) from None
    except httpx.TransportError as error:
        kind = type(error).__name__
        raise LineBrokeError(f"{kind}: {error}" if str(error) else kind) from None
