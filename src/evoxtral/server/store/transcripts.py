"""The transcripts of a store: kept, found, changed in versions, deleted with all that belongs to them.

Knows records and files; nothing of HTTP. An `owner` is the key that stored something; what belongs to another is
missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from evoxtral.inference.transcript import Transcript
from evoxtral.server.store.database import Database
from evoxtral.server.store.errors import MissingError, VersionConflictError
from evoxtral.server.store.files import Incoming, StoreFiles, new_id
from evoxtral.server.store.searching import matches, searchable, snippet
from evoxtral.server.store.tables import NAME_CHARACTERS, FileRow, RespeakRow, TranscriptRow, VersionRow, now

# Of a transcript that is saved after each word: the first version, and so many of the newest.
MAX_VERSIONS = 200

_TRANSCRIPT = TypeAdapter(Transcript)


@dataclass(frozen=True, slots=True)
class Document:
    """A transcript as it is kept.

    Attributes:
        version: counts its changes from 1.
        speaker_names: names of the speakers in it, where somebody gave them.
    """

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    version: int
    has_audio: bool
    transcript: Transcript
    speaker_names: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A transcript in a list; `snippet` is a piece of its plain text."""

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    duration_s: float
    language: str
    snippet: str
    version: int
    has_audio: bool


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """When a version was made."""

    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store."""

    id: str
    path: Path
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Respeak:
    """A transcript that was spoken again."""

    id: str
    created_at: datetime
    details: Mapping[str, Any]
    file: StoredFile


class Transcripts:
    """The transcripts of one store. Every method raises MissingError for what is not there, or not the owner's."""

    def __init__(self, database: Database, files: StoreFiles) -> None:
        self._database = database
        self._files = files

    def add(
        self,
        owner: str | None,
        name: str,
        transcript: Transcript,
        audio: Incoming | None,
        speaker_names: Mapping[str, str] | None = None,
    ) -> Document:
        """Keep a transcript, with the audio that it is of."""
        with self._database.publishing() as session:
            if audio is not None:
                record_file(session, self._files, audio)
            row = insert_transcript(session, owner, name, transcript, audio.id if audio else None, speaker_names or {})
            return _document(row, _version(session, row, row.version))

    def get(self, owner: str | None, transcript_id: str, version: int | None = None) -> Document:
        """A transcript as it is, or as it was in a version."""
        with self._database.reading() as session:
            row = _find(session, owner, transcript_id)
            return _document(row, _version(session, row, row.version if version is None else version))

    def page(
        self, owner: str | None, *, query: str = "", limit: int = 50, before: int | None = None
    ) -> tuple[list[Listed], int | None]:
        """Transcripts, newest first.

        Args:
            query: words, or their beginnings, that each of them holds.
            before: where the last list ended.

        Returns:
            the transcripts; and where the next list goes on, None at the end.
        """
        wanted = select(TranscriptRow).where(TranscriptRow.owner.is_not_distinct_from(owner))
        if query.strip():
            condition = matches(query, is_sqlite=self._database.is_sqlite)
            if condition is None:
                return [], None
            wanted = wanted.where(condition)
        if before is not None:
            wanted = wanted.where(TranscriptRow.number < before)
        with self._database.reading() as session:
            rows = list(session.scalars(wanted.order_by(TranscriptRow.number.desc()).limit(limit + 1)))
        listed = [
            Listed(
                row.id,
                row.name,
                row.created_at,
                row.updated_at,
                row.duration_s,
                row.language,
                snippet(row.text, query),
                row.version,
                row.file_id is not None,
            )
            for row in rows[:limit]
        ]
        return listed, rows[limit - 1].number if len(rows) > limit else None

    def change(
        self,
        owner: str | None,
        transcript_id: str,
        version: int,
        *,
        name: str,
        transcript: Transcript,
        speaker_names: Mapping[str, str],
    ) -> Document:
        """Make the next version of a transcript.

        Args:
            version: that the change was made to.

        Raises:
            VersionConflictError: it is not the newest.
        """
        with self._database.writing() as session:
            row = _find(session, owner, transcript_id)
            changed = session.execute(
                update(TranscriptRow)
                .where(TranscriptRow.number == row.number, TranscriptRow.version == version)
                .values(version=version + 1, updated_at=now(), **_searched(name, transcript))
                .returning(TranscriptRow.number)
            ).first()
            if changed is None:
                raise VersionConflictError
            session.refresh(row)
            new = _insert_version(session, row, transcript, speaker_names)
            session.execute(
                delete(VersionRow).where(
                    VersionRow.transcript_number == row.number,
                    VersionRow.version > 1,
                    VersionRow.version <= row.version - MAX_VERSIONS,
                )
            )
            return _document(row, new)

    def versions(self, owner: str | None, transcript_id: str) -> list[VersionEntry]:
        """The versions that are kept, newest first."""
        with self._database.reading() as session:
            row = _find(session, owner, transcript_id)
            found = session.execute(
                select(VersionRow.version, VersionRow.created_at)
                .where(VersionRow.transcript_number == row.number)
                .order_by(VersionRow.version.desc())
            )
            return [VersionEntry(version, created_at) for version, created_at in found]

    def delete(self, owner: str | None, transcript_id: str) -> None:
        """Delete a transcript with its versions, its audio, and what was spoken of it."""
        with self._database.writing() as session:
            file_ids = delete_transcript(session, _find(session, owner, transcript_id))
        self._files.remove(*file_ids)
        self._files.remove_sentences(transcript_id)

    def audio(self, owner: str | None, transcript_id: str) -> StoredFile:
        """The recording of a transcript."""
        with self._database.reading() as session:
            row = _find(session, owner, transcript_id)
            return self._stored(session, row.file_id)

    def add_respeak(
        self, owner: str | None, transcript_id: str, audio: Incoming, details: Mapping[str, Any]
    ) -> Respeak:
        """Keep what was spoken of a transcript."""
        with self._database.publishing() as session:
            row = _find(session, owner, transcript_id)
            record_file(session, self._files, audio)
            spoken = RespeakRow(
                id=new_id(),
                transcript_number=row.number,
                created_at=now(),
                details=dict(details),
                file_id=audio.id,
            )
            session.add(spoken)
            session.flush()
            return self._respeak(session, spoken)

    def respeak(self, owner: str | None, transcript_id: str, respeak_id: str) -> Respeak:
        """One of what was spoken of a transcript."""
        with self._database.reading() as session:
            row = _find(session, owner, transcript_id)
            spoken = session.get(RespeakRow, respeak_id)
            if spoken is None or spoken.transcript_number != row.number:
                raise MissingError
            return self._respeak(session, spoken)

    def respeaks(self, owner: str | None, transcript_id: str) -> list[Respeak]:
        """All that was spoken of a transcript, newest first."""
        with self._database.reading() as session:
            row = _find(session, owner, transcript_id)
            found = session.scalars(
                select(RespeakRow)
                .where(RespeakRow.transcript_number == row.number)
                .order_by(RespeakRow.created_at.desc())
            )
            return [self._respeak(session, spoken) for spoken in found]

    def _respeak(self, session: Session, row: RespeakRow) -> Respeak:
        return Respeak(row.id, row.created_at, row.details, self._stored(session, row.file_id))

    def _stored(self, session: Session, file_id: str | None) -> StoredFile:
        row = session.get(FileRow, file_id) if file_id else None
        if row is None:
            raise MissingError
        return StoredFile(row.id, self._files.path(row.id), row.media_type, row.size_bytes)


def printable_name(name: str) -> str:
    """A name for people, as both databases take it."""
    shown = " ".join("".join(character if character.isprintable() else " " for character in name).split())
    return shown[:NAME_CHARACTERS] or "recording"


def record_file(session: Session, files: StoreFiles, incoming: Incoming) -> None:
    """Publish a file and record it, in a transaction of `Database.publishing`."""
    files.publish(incoming)
    session.add(
        FileRow(id=incoming.id, size_bytes=incoming.size_bytes, media_type=incoming.media_type, created_at=now())
    )
    session.flush()


def insert_transcript(
    session: Session,
    owner: str | None,
    name: str,
    transcript: Transcript,
    file_id: str | None,
    speaker_names: Mapping[str, str],
) -> TranscriptRow:
    """Record a transcript with its first version."""
    at = now()
    row = TranscriptRow(
        id=new_id(),
        owner=owner,
        created_at=at,
        updated_at=at,
        version=1,
        duration_s=transcript.duration_s,
        language=transcript.language[:35],
        file_id=file_id,
        **_searched(printable_name(name), transcript),
    )
    session.add(row)
    session.flush()
    _insert_version(session, row, transcript, speaker_names)
    return row


def delete_transcript(session: Session, row: TranscriptRow) -> list[str]:
    """Delete a transcript's records; gives its files, to be removed when that is durable."""
    file_ids = list(session.scalars(select(RespeakRow.file_id).where(RespeakRow.transcript_number == row.number)))
    session.execute(delete(RespeakRow).where(RespeakRow.transcript_number == row.number))
    if row.file_id is not None:
        file_ids.append(row.file_id)
    session.execute(delete(TranscriptRow).where(TranscriptRow.number == row.number))
    session.execute(delete(FileRow).where(FileRow.id.in_(file_ids)))
    return file_ids


def _searched(name: str, transcript: Transcript) -> dict[str, str]:
    return {
        "name": name,
        "text": transcript.plain_text.replace("\0", " "),  # which PostgreSQL takes in no text
        "search_text": searchable(f"{name} {transcript.plain_text}"),
    }


def _insert_version(
    session: Session, row: TranscriptRow, transcript: Transcript, speaker_names: Mapping[str, str]
) -> VersionRow:
    version = VersionRow(
        transcript_number=row.number,
        version=row.version,
        created_at=row.updated_at,
        name=row.name,
        speaker_names=dict(speaker_names),
        transcript=transcript.to_json(),
    )
    session.add(version)
    session.flush()
    return version


def _find(session: Session, owner: str | None, transcript_id: str) -> TranscriptRow:
    row = session.scalar(
        select(TranscriptRow).where(TranscriptRow.id == transcript_id, TranscriptRow.owner.is_not_distinct_from(owner))
    )
    if row is None:
        raise MissingError
    return row


def _version(session: Session, row: TranscriptRow, version: int) -> VersionRow:
    found = session.get(VersionRow, (row.number, version))
    if found is None:
        raise MissingError
    return found


def _document(row: TranscriptRow, version: VersionRow) -> Document:
    return Document(
        id=row.id,
        name=version.name,
        created_at=row.created_at,
        updated_at=version.created_at,
        version=version.version,
        has_audio=row.file_id is not None,
        transcript=_TRANSCRIPT.validate_python(version.transcript),
        speaker_names=version.speaker_names,
    )
