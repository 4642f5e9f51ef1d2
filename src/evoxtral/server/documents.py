"""A transcript as a file to take away, in any of the formats; what a dialect of tags cannot say is told."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from evoxtral.inference.editing import with_speaker_names
from evoxtral.inference.formats import WRITERS, in_dialect, turns, without_tags
from evoxtral.inference.transcript import Transcript
from evoxtral.server.problems import Problem
from evoxtral.tags.dialects import count_notes

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MEDIA_TYPES = {
    "txt": "text/plain; charset=utf-8",
    "plain": "text/plain; charset=utf-8",
    "json": "application/json",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "docx": DOCX,
}
OWN_DIALECT = "elevenlabs"
_OF_DIALECTS = ("txt", "json", "docx")


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file; `lost` says what the dialect could not say, with how often."""

    content: bytes
    media_type: str
    suffix: str
    lost: tuple[str, ...]


def export(
    transcript: Transcript, title: str, speaker_names: Mapping[str, str], file_format: str, dialect: str
) -> ExportedFile:
    """Write a transcript.

    Raises:
        Problem: the format cannot be written in another dialect than ours.
    """
    if dialect != OWN_DIALECT and file_format not in _OF_DIALECTS:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"dialect: {file_format} is written in our own dialect only",
            f"ask for {', '.join(_OF_DIALECTS)}, or leave dialect out",
        )
    named = with_speaker_names(transcript, speaker_names)
    if file_format == "plain":
        named = without_tags(named)
    written, notes = in_dialect(named, dialect)
    lost = tuple(f"{what} ({count})" for what, count in count_notes(notes).most_common())
    if file_format == "docx":
        return ExportedFile(_docx(written, title), DOCX, "docx", lost)
    suffix = "txt" if file_format == "plain" else file_format
    content = WRITERS[suffix](written).encode("utf-8", "replace")
    return ExportedFile(content, MEDIA_TYPES[file_format], suffix, lost)


def _docx(transcript: Transcript, title: str) -> bytes:
    """A text document: a paragraph for each turn of a speaker, or each segment where no speakers are known."""
    import docx

    document = docx.Document()
    document.core_properties.title = document.core_properties.author = ""
    document.add_heading(_printable(title), level=1)
    for speaker, text in turns(transcript):
        paragraph = document.add_paragraph()
        if speaker:
            paragraph.add_run(f"{_printable(speaker)}: ").bold = True
        paragraph.add_run(_printable(text))
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _printable(text: str) -> str:
    """The text without the characters that XML has no way to write."""
    return "".join(character for character in text if character in "\t\n" or character.isprintable())
