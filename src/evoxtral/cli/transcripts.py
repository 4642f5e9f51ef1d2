"""Where transcripts go: standard output, or files named by their recordings. Knows nothing of how they are made."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from evoxtral.errors import EvoxtralError

if TYPE_CHECKING:
    from evoxtral.inference.inputs import Input
    from evoxtral.inference.transcript import Transcript

FORMATS = ("txt", "json", "srt", "vtt", "tsv")


class StandardOutputLostError(EvoxtralError):
    """Nothing more can be written to standard output."""


class TranscriptOutput(Protocol):
    """What takes the transcripts of a call, one after the other."""

    def write(self, item: "Input", transcript: "Transcript") -> None:
        """Put out the transcript of one recording.

        Raises:
            EvoxtralError: it cannot be written; StandardOutputLostError: nor can any other.
        """

    def finish(self) -> None:
        """Close what is open, after the last recording."""
        return


class StandardOutput(TranscriptOutput):
    """Text, with a heading for each of several recordings; a JSON object, or a list for several.

    Raises:
        StandardOutputLostError: it was closed by whoever started the command.
    """

    def __init__(self, output_format: str, inputs: int) -> None:
        if sys.stdout is None:
            raise StandardOutputLostError("standard output: is closed", "open it, or use --output-dir")
        self._format = output_format
        self._several = inputs > 1
        self._written = 0

    def write(self, item: "Input", transcript: "Transcript") -> None:
        from evoxtral.inference.formats import WRITERS

        text = WRITERS[self._format](transcript)
        if self._several and self._format == "json":
            text = ("[\n" if self._written == 0 else ",\n") + json.dumps(transcript.to_json(), ensure_ascii=False)
        elif self._several:
            text = ("\n" if self._written else "") + f"==> {item.name} <==\n{text}"
        self._written += 1
        self._put(text)

    def finish(self) -> None:
        if self._several and self._format == "json":
            self._put("\n]\n" if self._written else "[]\n")

    @staticmethod
    def _put(text: str) -> None:
        stream = sys.stdout.buffer
        try:
            stream.write(_encoded(text))
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            # What is left in the buffer must not be tried again when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            raise StandardOutputLostError(f"standard output: cannot be written: {error.strerror}") from error


class OutputFolder(TranscriptOutput):
    """Files named by their recordings, each whole or not there, written as soon as its recording is done.

    Raises:
        EvoxtralError: the folder cannot be made.
    """

    def __init__(self, folder: Path, formats: Sequence[str]) -> None:
        self._folder = folder
        self._formats = formats
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvoxtralError(f"{folder}: cannot be made: {error.strerror}") from error

    def write(self, item: "Input", transcript: "Transcript") -> None:
        from evoxtral.data.files import write_atomically
        from evoxtral.inference.formats import WRITERS

        for name in self._formats:
            path = self._folder / f"{item.output}.{name}"
            content = _encoded(WRITERS[name](transcript))
            try:
                write_atomically(path, content)
            except OSError as error:
                raise EvoxtralError(f"{path}: cannot be written: {error.strerror}") from error


def _encoded(text: str) -> bytes:
    """UTF-8 whatever the locale says, for other programs too; a file's name may hold what is no character."""
    return text.encode("utf-8", "replace")
