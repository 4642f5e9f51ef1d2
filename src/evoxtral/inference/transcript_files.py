"""Transcripts that `evoxtral transcribe --format json` or the server wrote, read back.

Knows files and the JSON form; nothing of how a transcript comes about.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evoxtral.errors import EvoxtralError
from evoxtral.inference.transcript import Transcript


def read_transcript(path: Path) -> Transcript:
    """The transcript in a JSON file; what it holds beside is left out.

    Raises:
        EvoxtralError: it cannot be read or is no transcript.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise EvoxtralError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise EvoxtralError(f"{path}: is not JSON: {error}") from error
    return transcript_of(value, str(path))


def transcript_of(value: Any, name: str) -> Transcript:
    """The transcript that plain lists and dicts hold.

    Args:
        name: what messages call it.

    Raises:
        EvoxtralError: they hold none.
    """
    try:
        return TypeAdapter(Transcript).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise EvoxtralError(
            f"{name}: is no transcript: {place + ': ' if place else ''}{fault['msg']}",
            "make one: evoxtral transcribe RECORDING --format json",
        ) from error
