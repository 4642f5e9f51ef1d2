"""Voices of ElevenLabs by name and by id."""

import re
from collections.abc import Mapping

from evoxtral.tts.paid.voices import find_voice_id

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


def voice_id(voice: str) -> str:
    """The id of a stock voice's name, or the id itself.

    Raises:
        VoiceError: it is neither.
    """
    return find_voice_id(voice, STOCK_VOICES, _VOICE_ID, "ElevenLabs")
