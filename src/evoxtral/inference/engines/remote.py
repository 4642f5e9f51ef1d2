"""The `remote` engine: windows sent to an OpenAI-compatible transcription endpoint (vLLM, our own server, OpenAI).

Named by the address of the API and, after `#`, the model's name there: `http://gpu-box:8000/v1#evoxtral`. The key, if
one is needed, comes from the environment variable EVOXTRAL_REMOTE_KEY; for OpenAI's own endpoint also OPENAI_API_KEY,
which no other is given.
"""

import io
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urldefrag, urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, write_audio
from evoxtral.errors import ModelError
from evoxtral.findings import Finding
from evoxtral.inference.engines.detokenizer import stripped
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.engines.registry import EngineRequest, EngineRow
from evoxtral.models import without_credentials
from evoxtral.retries import RetryPolicy, is_transient
from evoxtral.settings import read_settings

KEY_VARIABLE = "EVOXTRAL_REMOTE_KEY"
OPENAI_KEY_VARIABLE = "OPENAI_API_KEY"
_OPENAI_HOST = "api.openai.com"
# Requests at a time: enough for a server that batches, few enough for one that counts.
_CONCURRENCY = 8
_TIMEOUT_S = httpx.Timeout(120.0, connect=10.0)
_FIRST_WAIT_S = 0.5


class RemoteEngine:
    """Sends each window as a FLAC file, several at a time, and again with growing waits where that may help.

    Args:
        model: ADDRESS or ADDRESS#MODEL.
        first_wait_s: wait before the second attempt; doubles with each further one, unless the server names a time.

    Raises:
        ModelError: the address is not one.
    """

    name = "remote"
    max_window_s = 30.0
    batch_size = _CONCURRENCY
    takes_keywords = True

    def __init__(self, model: str, *, first_wait_s: float = _FIRST_WAIT_S) -> None:
        address, served = urldefrag(model)
        if "@" in address:
            # It would be written into transcripts with the model's name.
            host = address.rpartition("@")[2].partition("/")[0]
            raise ModelError(f"{host}: an address must not hold a key", f"set {KEY_VARIABLE} instead")
        try:
            parts = urlsplit(address)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # brackets without an end, a port that is no number
            is_address = False
        if not is_address:
            raise ModelError(f"{without_credentials(model)}: is not an address", "write http://HOST:PORT/v1#MODEL")
        self.model = model
        self._address = address.rstrip("/") + "/audio/transcriptions"
        self._served = served or "evoxtral"
        self._retries = RetryPolicy(first_wait_s=first_wait_s)
        settings = read_settings()
        is_openai = parts.hostname == _OPENAI_HOST
        self._key_variables = (KEY_VARIABLE, *([OPENAI_KEY_VARIABLE] if is_openai else ()))
        key = settings.remote_key or (settings.openai_key if is_openai else None)
        self._client = httpx.Client(
            timeout=_TIMEOUT_S,
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            limits=httpx.Limits(max_connections=_CONCURRENCY),
        )

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        """See `TranscriptionEngine`. Raises ModelError when the endpoint refuses or stays out of reach."""
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            return list(pool.map(lambda window: Hypothesis(self._transcribe(window, language)), windows))

    def transcribe_prompted(
        self, windows: Sequence[NDArray[np.float32]], keywords: Sequence[Sequence[str]], *, language: str = "en"
    ) -> list[Hypothesis]:
        """See `KeywordListener`; by the field `prompt`, which all such servers know. Errors as above."""
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            prompts = [", ".join(asked) for asked in keywords]
            return list(
                pool.map(
                    lambda window, prompt: Hypothesis(self._transcribe(window, language, prompt)), windows, prompts
                )
            )

    def stream_window(self, window: NDArray[np.float32], *, language: str = "en") -> Iterator[str]:
        """See `TokenStreamer`; a server that does not stream gives one piece.

        Raises:
            ModelError: as for `transcribe_windows`, or the server breaks off.
        """
        answer = self._send(window, language, streamed=True)
        try:
            if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                yield from stripped(self._read_events(answer))
            else:
                answer.read()
                if text := self._read(answer):
                    yield text
        except httpx.TransportError as error:
            raise ModelError(f"{self._address}: broke off: {error}", "try again") from error
        finally:
            answer.close()

    def _transcribe(self, window: NDArray[np.float32], language: str, prompt: str = "") -> str:
        return self._read(self._send(window, language, streamed=False, prompt=prompt))

    def _send(self, window: NDArray[np.float32], language: str, *, streamed: bool, prompt: str = "") -> httpx.Response:
        """The answer to a window, good or bad, but none that may get better by itself."""
        sound = io.BytesIO()
        write_audio(sound, window, SAMPLE_RATE_HZ, suffix=".flac")
        fields = {"model": self._served, "language": language, "response_format": "json", "temperature": "0"}
        cause = ""
        for failures in range(1, self._retries.attempts + 1):
            request = self._client.build_request(
                "POST",
                self._address,
                data=fields | ({"stream": "true"} if streamed else {}) | ({"prompt": prompt} if prompt else {}),
                files={"file": ("window.flac", sound.getvalue(), "audio/flac")},
            )
            try:
                answer = self._client.send(request, stream=streamed)
            except httpx.TransportError as error:
                cause, asked = str(error) or type(error).__name__, None
            else:
                if not is_transient(answer.status_code):
                    return answer
                answer.close()
                cause, asked = f"answered {answer.status_code}", answer.headers.get("Retry-After")
            if failures < self._retries.attempts:
                time.sleep(self._retries.wait_s(failures, asked))
        raise ModelError(
            f"{self._address}: {cause}, {self._retries.attempts} times in a row",
            "check that the server runs and is not overloaded",
        )

    def _read(self, answer: httpx.Response) -> str:
        if answer.status_code in (401, 403):
            raise ModelError(f"{self._address}: refused the key", f"set {' or '.join(self._key_variables)}")
        try:
            body: Any = answer.json()
        except ValueError:
            body = None
        if answer.is_success and isinstance(body, dict) and isinstance(body.get("text"), str):
            text: str = body["text"]
            return text.strip()
        raise ModelError(f"{self._address}: answered {answer.status_code}: {_reason(answer.text, body)}")

    def _read_events(self, answer: httpx.Response) -> Iterator[str]:
        """The pieces of text in server-sent events, in the dialects of OpenAI and vLLM."""
        for data in _data_of_events(answer.iter_lines()):
            if data == "[DONE]":
                return
            try:
                event: Any = json.loads(data)
            except ValueError:
                event = None
            if not isinstance(event, dict) or event.get("error"):
                raise ModelError(f"{self._address}: broke off: {_reason(data, event)}")
            if event.get("type") == "transcript.text.done":
                return
            choices = event.get("choices") or ()
            pieces = [event.get("delta"), *((choice.get("delta") or {}).get("content") for choice in choices)]
            yield from (piece for piece in pieces if isinstance(piece, str))
        raise ModelError(f"{self._address}: broke off in the middle of a text", "try again")


def _data_of_events(lines: Iterator[str]) -> Iterator[str]:
    """The data of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def _reason(text: str, body: Any) -> str:
    """The server's own words, in the forms of OpenAI, RFC 9457 and FastAPI, on one line."""
    if isinstance(body, dict):
        error = body.get("error")
        for words in (
            error.get("message") if isinstance(error, dict) else error,
            body.get("detail"),
            body.get("title"),
        ):
            if isinstance(words, str) and words:
                return " ".join(words.split())[:300]
    return " ".join(text.split())[:300] or "nothing"


def _load(request: EngineRequest) -> RemoteEngine:
    if request.offline:
        shown = without_credentials(request.model)
        raise ModelError(f"{shown}: is an address, and offline none is called", "name a model on this machine")
    if request.adapter is not None:
        shown = without_credentials(request.model)
        raise ModelError(f"{shown}: takes no adapter", "name what the server serves after the #")
    return RemoteEngine(request.model)


ENGINE = EngineRow(
    name="remote",
    named_by="the address of a server: http://HOST:PORT/v1#MODEL",
    extra=None,
    probe=lambda: Finding("remote", True, "any OpenAI-compatible server: --model http://HOST:PORT/v1#MODEL"),
    load=_load,
    claims_name=lambda name: name.lower().startswith(("http://", "https://")),
    order=30,
)
