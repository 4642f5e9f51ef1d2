"""The lines that the bench reads and writes: references (what was said) and predictions (what a system heard).

Both are JSON objects with at least `id` and `text`, one a line. Knows their fields and files, nothing of scores.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evoxtral.errors import ScoreError


class Reference(BaseModel):
    """The truth about one clip.

    Attributes:
        id: unique in its set.
        text: the tagged text that was spoken.
        script_id: clips of one script count as one unit when intervals are estimated; None: the clip is its own.
        slice_type, domain, voice, engine: as in the corpus; None where unknown.
        duration_s: length of the audio; needed for rates by time only.
        audio: path of the audio file, relative to the file that holds the line.
    """

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1)
    text: str
    script_id: str | None = None
    slice_type: str | None = None
    domain: str | None = None
    voice: str | None = None
    engine: str | None = None
    duration_s: float | None = None
    audio: str | None = None

    @property
    def unit(self) -> str:
        """What is drawn as a whole when clips are resampled."""
        return self.id if self.script_id is None else self.script_id


class Prediction(BaseModel):
    """What one system made of one clip; lines of other systems may hold `id` and `text` only.

    Attributes:
        id: of the reference.
        text: tagged text.
        model: name of the model as the user gave it; `model_digest`: SHA-256 over its local files.
        adapter: name of its adapter, if any; `engine`: the kind of engine that ran it.
        options: what else decided the text, such as the language.
        time: when it was made, ISO 8601, UTC.
        compute_s: how long it took.
        audio_sha256: of the audio file.
        version: of evoxtral.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    id: str = Field(min_length=1)
    text: str
    model: str | None = None
    model_digest: str | None = None
    adapter: str | None = None
    engine: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    time: str | None = None
    compute_s: float | None = None
    audio_sha256: str | None = None
    version: str | None = None


Record = TypeVar("Record", Reference, Prediction)


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """All lines of a file, in order; other fields than those of the record are ignored.

    Raises:
        ScoreError: the file is missing or empty, a line is no such record, or an id occurs twice.
    """
    try:
        lines = path.read_text("utf-8").split("\n")  # not splitlines: JSON may hold other line separators
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ScoreError(f"cannot read {path}: {reason}", 'give a file of JSON lines {"id", "text"}') from error
    records: dict[str, Record] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = kind.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            message = f"{path}, line {number}: {where + ': ' if where else ''}{first['msg']}"
            raise ScoreError(message, 'each line is a JSON object with "id" and "text"') from error
        if record.id in records:
            raise ScoreError(f"{path}, line {number}: id {record.id!r} occurs twice", "keep one line an id")
        records[record.id] = record
    if not records:
        raise ScoreError(f"{path} holds no lines", 'give a file of JSON lines {"id", "text"}')
    return list(records.values())


def match_ids(
    references: Sequence[Reference], hypotheses: Mapping[str, str], *, allow_missing: bool
) -> tuple[list[str], list[str]]:
    """The hypothesis text of each reference, and the ids that have none (their text is "").

    Raises:
        ScoreError: ids are missing on either side and that is not allowed, or no id matches.
    """
    missing = [reference.id for reference in references if reference.id not in hypotheses]
    foreign = [id for id in hypotheses if id not in {reference.id for reference in references}]
    if len(missing) == len(references):
        raise ScoreError("no hypothesis has the id of a reference", "check that both files are of the same test set")
    if not allow_missing:
        hint = "pass --allow-missing to score missing ones as empty and to ignore superfluous ones"
        if missing:
            raise ScoreError(f"{_count(missing, 'reference')} without hypothesis: {_some(missing)}", hint)
        if foreign:
            raise ScoreError(f"{_count(foreign, 'hypothesis', 'hypotheses')} without reference: {_some(foreign)}", hint)
    return [hypotheses.get(reference.id, "") for reference in references], missing


def _count(ids: Sequence[str], one: str, many: str | None = None) -> str:
    return f"{len(ids)} {one if len(ids) == 1 else many or one + 's'}"


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
