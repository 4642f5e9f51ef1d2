"""The `remote` engine: windows sent to an OpenAI-compatible transcription endpoint (vLLM, our own server, OpenAI).

Named by the address of the API and, after `#`, the model's name there: `http://gpu-box:8000/v1#evoxtral`. The key, if
one is needed, comes from the environment variable EVOXTRAL_REMOTE_KEY or OPENAI_API_KEY.
"""

import io
import os
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urldefrag, urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, write_audio
from evoxtral.errors import ModelError
from evoxtral.inference.engine import Hypothesis

_KEY_VARIABLES = ("EVOXTRAL_REMOTE_KEY", "OPENAI_API_KEY")
# Requests at a time: enough for a server that batches, few enough for one that counts.
_CONCURRENCY = 8
_TIMEOUT_S = httpx.Timeout(120.0, connect=10.0)
_ATTEMPTS = 6
_LONGEST_WAIT_S = 60.0
# The server is busy or stumbled: the same request may succeed later (RFC 9110).
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


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

    def __init__(self, model: str, *, first_wait_s: float = 0.5) -> None:
        address, served = urldefrag(model)
        if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
            raise ModelError(f"{model}: is not an address", "write http://HOST:PORT/v1#MODEL")
        self.model = model
        self._address = address.rstrip("/") + "/audio/transcriptions"
        self._served = served or "evoxtral"
        self._first_wait_s = first_wait_s
        key = next((os.environ[name] for name in _KEY_VARIABLES if os.environ.get(name)), None)
        self._client = httpx.Client(
            timeout=_TIMEOUT_S,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            limits=httpx.Limits(max_connections=_CONCURRENCY),
        )

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        """See `TranscriptionEngine`. Raises ModelError when the endpoint refuses or stays out of reach."""
        with ThreadPoolExecutor(_CONCURRENCY) as pool:
            return list(pool.map(lambda window: self._transcribe(window, language), windows))

    def _transcribe(self, window: NDArray[np.float32], language: str) -> Hypothesis:
        sound = io.BytesIO()
        write_audio(sound, window, SAMPLE_RATE_HZ, suffix=".flac")
        cause = ""
        for attempt in range(_ATTEMPTS):
            try:
                answer = self._client.post(
                    self._address,
                    data={"model": self._served, "language": language, "response_format": "json", "temperature": "0"},
                    files={"file": ("window.flac", sound.getvalue(), "audio/flac")},
                )
            except httpx.TransportError as error:
                cause, wait_s = str(error) or type(error).__name__, None
            else:
                if answer.status_code not in _TRANSIENT:
                    return self._read(answer)
                cause, wait_s = f"answered {answer.status_code}", _retry_after_s(answer)
            if attempt + 1 < _ATTEMPTS:
                growing_s = self._first_wait_s * 2**attempt * random.uniform(0.75, 1.25)
                time.sleep(min(growing_s if wait_s is None else wait_s, _LONGEST_WAIT_S))
        raise ModelError(
            f"{self._address}: {cause}, {_ATTEMPTS} times in a row", "check that the server runs and is not overloaded"
        )

    def _read(self, answer: httpx.Response) -> Hypothesis:
        if answer.status_code in (401, 403):
            raise ModelError(f"{self._address}: refused the key", f"set {' or '.join(_KEY_VARIABLES)}")
        try:
            body: Any = answer.json()
        except ValueError:
            body = None
        if answer.is_success and isinstance(body, dict) and isinstance(body.get("text"), str):
            return Hypothesis(body["text"].strip())
        raise ModelError(f"{self._address}: answered {answer.status_code}: {_reason(answer, body)}")


def _reason(answer: httpx.Response, body: Any) -> str:
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
    return " ".join(answer.text.split())[:300] or answer.reason_phrase


def _retry_after_s(answer: httpx.Response) -> float | None:
    """How long the server asks to wait: seconds or a date (RFC 9110, section 10.2.3)."""
    value = answer.headers.get("Retry-After", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
