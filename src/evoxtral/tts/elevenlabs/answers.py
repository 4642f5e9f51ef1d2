"""What ElevenLabs answers: what a refusal means, and the samples in an answer.

Knows statuses, headers and bodies; nothing of keys or of what is done about an answer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from evoxtral.errors import AudioError
from evoxtral.retries import is_transient, retry_after_s
from evoxtral.tts.paid.answers import Refusal, Trouble

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
_FOREIGN_BEGINNINGS = {b"RIFF": "WAV", b"ID3": "MP3", b"\xff\xfb": "MP3", b"OggS": "Ogg", b"fLaC": "FLAC"}


def judge(code: int | None, body: Any, headers: Mapping[str, str] | None) -> Refusal:
    """What a refusal means.

    Args:
        code: status of HTTP; None for no answer.
        body: as the SDK gives it.
    """
    status, message = _detail(body)
    reason = f"{status or code}: {message}" if message else str(status or code)
    told = {name.lower(): value for name, value in (headers or {}).items()}
    if status == "voice_not_found" or code == 404:
        trouble = Trouble.VOICE
    elif status in _KEY_PROBLEMS or code in (401, 402, 403):
        trouble = Trouble.KEY
    elif code == 429:
        trouble = Trouble.BUSY
    elif is_transient(code):
        trouble = Trouble.PASSING
    else:
        trouble = Trouble.TEXT
    return Refusal(
        trouble,
        reason,
        retry_after_s(told.get("retry-after")),
        number_of(told.get("maximum-concurrent-requests")),
        status == "too_many_concurrent_requests",
    )


def decode(data: bytes) -> NDArray[np.float32]:
    """Samples of the raw PCM that was asked for.

    Raises:
        AudioError: it is something else.
    """
    for beginning, name in _FOREIGN_BEGINNINGS.items():
        if data.startswith(beginning):
            raise AudioError(f"ElevenLabs sent {name} instead of raw samples")
    if len(data) % 2:
        raise AudioError("ElevenLabs sent half a sample")
    return np.asarray(np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32_768))


def number_of(value: str | None) -> int | None:
    """A header's number; None where there is none."""
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
