"""Voices of Mistral's speech service by name and by id."""

import re
from collections.abc import Mapping

from evoxtral.tts.paid.voices import find_voice_id

# Name -> (id, description) of the preset voices that speak English: the four of Voxtral 3, and the plain variants of
# those of Voxtral 2, which Voxtral 3 takes too (the others have a fixed temper, which would speak against the tags).
PRESET_VOICES: Mapping[str, tuple[str, str]] = {
    "Sarah": ("voice_478", "English"),
    "Yael": ("voice_447", "English"),
    "Eric": ("voice_485", "American English"),
    "Jesse": ("voice_484", "American English"),
    "Paul": ("en_paul_neutral", "American English"),
    "Jane": ("gb_jane_neutral", "British English"),
    "Oliver": ("gb_oliver_neutral", "British English"),
}
# Of presets, and of voices that a workspace has saved.
_VOICE_ID = re.compile(r"voice_\d+|[a-z]{2}_[a-z]+_[a-z]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def voice_id(voice: str) -> str:
    """The id of a preset voice's name, or the id itself.

    Raises:
        VoiceError: it is neither.
    """
    return find_voice_id(voice, PRESET_VOICES, _VOICE_ID, "Mistral")
