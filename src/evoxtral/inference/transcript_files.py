"""Transcripts that `evoxtral transcribe --format json` or the server wrote, read back.

Knows files and the JSON form; nothing of how a transcript comes about.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evoxtral.errors import EvoxtralError
from evoxtral.inference.editing import EditedSegment, with_segments
from evoxtral.inference.transcript import Transcript
from evoxtral.tags import parse


def read_transcript(path: Path) -> Transcript:
    """The transcript in a JSON file, whose `text` or segments somebody may have corrected.

    Words that stayed keep their times (see `editing.with_segments`); what else the file holds is left out.

    Raises:
        EvoxtralError: it cannot be read or is no transcript.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise EvoxtralError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise EvoxtralError(f"{path}: is not JSON: {error}") from error
    return as_corrected(_transcript_of(value, str(path)))


def as_corrected(transcript: Transcript) -> Transcript:
    """A transcript whose words and tags are those of its text, or of its segments where only they were corrected."""
    heard = [word.word for word in transcript.words]
    in_segments = " ".join(segment.text for segment in transcript.segments)
    if [word.text for word in parse(transcript.text).words] != heard or not transcript.segments:
        return with_segments(transcript, [EditedSegment(0.0, transcript.duration_s, transcript.text)])
    if in_segments == transcript.text:
        return transcript
    segments = [EditedSegment(one.start_s, one.end_s, one.text, one.speaker) for one in transcript.segments]
    return with_segments(transcript, segments)


def _transcript_of(value: Any, name: str) -> Transcript:
    try:
        return TypeAdapter(Transcript).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise EvoxtralError(
            f"{name}: is no transcript: {place + ': ' if place else ''}{fault['msg']}",
            "make one: evoxtral transcribe RECORDING --format json",
        ) from error
