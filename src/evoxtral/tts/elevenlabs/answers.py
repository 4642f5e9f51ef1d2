"""What ElevenLabs answers: what a refusal means, and whether the sound is what was asked for.

Knows statuses, headers and bodies; nothing of keys or of what is done about an answer.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from evoxtral.audio.levels import rms
from evoxtral.errors import AudioError
from evoxtral.retries import is_transient, retry_after_s
from evoxtral.tags import parse

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


class Trouble(Enum):
    """What a refusal is about."""

    VOICE = "the voice does not exist"
    KEY = "the key can be used no more"
    BUSY = "the key has too many requests under way"
    PASSING = "the same request may succeed later"
    TEXT = "this text is not taken"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, understood.

    Attributes:
        reason: one line, with whatever the service quotes.
        asked_s: how long the service asks to wait, or None.
        maximum: how many requests it takes at once, if it tells.
        is_crowded: whether it is our own requests that are too many.
    """

    trouble: Trouble
    reason: str
    asked_s: float | None = None
    maximum: int | None = None
    is_crowded: bool = False


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


class SoundCheck:
    """Turns answers into samples, and remembers them: a service in trouble may send one text's sound for another's."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._heard: dict[bytes, str] = {}

    def decode(self, data: bytes, text: str) -> NDArray[np.float32]:
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
        level = rms(samples)
        if (level == 0 and words) or level > _MAX_SPEECH_RMS:
            raise AudioError(f"ElevenLabs sent {'noise' if level else 'silence'} instead of speech")
        digest = hashlib.blake2b(data, digest_size=16).digest()
        if self._heard.setdefault(digest, text) != text:
            raise AudioError("ElevenLabs sent the sound of another text")
        return samples


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
