"""Voices of paid services by name and by id: one look-up for all of them. Knows no service."""

import re
from collections.abc import Mapping

from evoxtral.errors import VoiceError


def find_voice_id(voice: str, named: Mapping[str, tuple[str, str]], ids: re.Pattern[str], service: str) -> str:
    """The id of a named voice, whatever the case of its name, or the id itself.

    Args:
        named: name -> (id, description).
        ids: what all ids of the service look like.
        service: how messages call it.

    Raises:
        VoiceError: it is neither.
    """
    by_name = {name.casefold(): identifier for name, (identifier, _) in named.items()}
    if voice.casefold() in by_name:
        return by_name[voice.casefold()]
    if ids.fullmatch(voice):
        return voice
    raise VoiceError(f"{service} has no voice {voice!r}", f"use {', '.join(named)}, or the id of a voice")
