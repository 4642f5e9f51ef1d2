"""Transcripts of other systems, as their services answer, made into predictions that the bench scores like any other.

One row a service: what it is called, the dialect of its tags, and how its answer becomes one text. Answers are files
of JSON named by the clip's id, or JSON lines `{"id", "response"}`. Knows the services' answers, asks no service and
scores nothing. Sources: the answers' published schemas (ElevenLabs speech to text, Deepgram pre-recorded audio, Google
`generateContent`, OpenAI transcriptions).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evoxtral.data.json_lines import read_objects
from evoxtral.data.records import Prediction
from evoxtral.errors import ScoreError
from evoxtral.tags.dialects import Note, read

_EXPECTED = 'JSON as the service answers, or JSON lines {"id", "response"}'


@dataclass(frozen=True, slots=True)
class Vendor:
    """One service.

    Attributes:
        title: for people; stands for the model where no name is given.
        dialect: of the tags in its texts, unless the caller knows better.
        text: the transcript in an answer; raises KeyError, IndexError, TypeError or AttributeError if it is none.
    """

    title: str
    dialect: str
    text: Callable[[Any], str]


def read_responses(
    paths: Sequence[Path], vendor: str, *, name: str | None = None, dialect: str | None = None
) -> tuple[list[Prediction], list[Note]]:
    """Predictions from a service's answers, and a note for each tag that did not come through as it was.

    Args:
        paths: files, and folders of them (`*.json`); a file with one answer gives the clip's id by its name.
        vendor: a key of `VENDORS`.
        name: of the model, for reports.
        dialect: of the tags, where it is not the service's own (a prompt may have asked for another).

    Raises:
        ScoreError: a file cannot be read or is no such answer, an id occurs twice, or there are no files.
    """
    row = VENDORS[vendor]
    predictions: dict[str, Prediction] = {}
    notes: list[Note] = []
    for path, id, response in _responses(paths):
        try:
            text = row.text(response)
        except (KeyError, IndexError, TypeError, AttributeError):
            raise ScoreError(f"{path}: not an answer of {row.title}", f"give {_EXPECTED}") from None
        if id in predictions:
            raise ScoreError(f"{path}: id {id!r} occurs twice", "give each clip one answer")
        found = read(text, dialect or row.dialect)
        notes += found.notes
        predictions[id] = Prediction(id=id, text=" ".join(found.text.split()), model=name or row.title, engine=vendor)
    if not predictions:
        raise ScoreError("there are no answers to read", "name files of JSON, or a folder that holds some")
    return list(predictions.values()), notes


def _responses(paths: Sequence[Path]) -> Iterator[tuple[Path, str, Any]]:
    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    for file in files:
        for _, value in read_objects(file, ScoreError, expected=_EXPECTED):
            if isinstance(value, Mapping) and "response" in value and "id" in value:
                yield file, str(value["id"]), value["response"]
            else:
                yield file, file.stem, value


def _scribe(response: Any) -> str:
    """The words, spaces and audio events of each channel; events stand in round brackets."""
    if "transcripts" in response:
        return " ".join(_scribe(channel) for channel in response["transcripts"])
    words = response.get("words")
    if not words:
        return str(response["text"])
    pieces = []
    for word in words:
        piece = str(word["text"])
        if word.get("type") == "audio_event":
            event = piece.strip()
            piece = f" {event if event.startswith('(') else f'({event})'} "
        pieces.append(piece)
    is_spaced = any(word.get("type") == "spacing" for word in words)
    return ("" if is_spaced else " ").join(pieces)


def _deepgram(response: Any) -> str:
    """The first alternative of each channel. The service has no tags."""
    return " ".join(str(channel["alternatives"][0]["transcript"]) for channel in response["results"]["channels"])


def _gemini(response: Any) -> str:
    """The text of the first candidate, without its thoughts and without a fence around it."""
    parts = response["candidates"][0]["content"]["parts"]
    text = "".join(str(part["text"]) for part in parts if "text" in part and not part.get("thought"))
    lines = text.strip().splitlines()
    if len(lines) >= 2 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return text


def _plain(response: Any) -> str:
    return str(response["text"])


VENDORS: Mapping[str, Vendor] = {
    "scribe": Vendor("ElevenLabs Scribe", "scribe", _scribe),
    "deepgram": Vendor("Deepgram", "elevenlabs", _deepgram),
    "gemini": Vendor("Google Gemini", "elevenlabs", _gemini),
    "openai": Vendor("OpenAI transcription", "elevenlabs", _plain),
    "evoxtral": Vendor("evoxtral transcribe", "elevenlabs", _plain),
}
"""Services by the name that options use; `openai` is the form of many others (Mistral, Groq, vLLM)."""
