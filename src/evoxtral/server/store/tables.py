"""The tables of the store, for SQLite and PostgreSQL alike. A change here wants a migration in `migrations/versions`.

What searches texts differs between the two and is made by the migrations alone (`SEARCH_OBJECTS`).
"""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, DateTime, ForeignKey, Index, MetaData, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ID_CHARACTERS = 32
NAME_CHARACTERS = 255

# The full-text table of SQLite with the tables that it is made of, and the index of PostgreSQL.
SEARCH_TABLE = "transcript_search"
SEARCH_INDEX = "ix_transcripts_search"


def is_for_search(name: str | None) -> bool:
    """Whether a table or index is one that only the migrations know."""
    return name is not None and (name == SEARCH_INDEX or name.startswith(SEARCH_TABLE))


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """All tables."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Moment(), dict[str, Any]: JSON(none_as_null=True)}


class StoreRow(Base):
    """One row: which store this is. A folder of files bears the same id, so that no other store uses it."""

    __tablename__ = "store"

    id: Mapped[str] = mapped_column(String(ID_CHARACTERS), primary_key=True)


class FileRow(Base):
    """A file in the store's folder, there whole before this row is."""

    __tablename__ = "files"

    id: Mapped[str] = mapped_column(String(ID_CHARACTERS), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]


class TranscriptRow(Base):
    """A transcript as it is now; what it says is in its newest version.

    `owner` is of the key that stored it, None on a server without keys. `search_text` holds the words that are
    searched.
    """

    __tablename__ = "transcripts"
    __table_args__ = (Index("ix_transcripts_owner", "owner", "number"),)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(ID_CHARACTERS), unique=True)
    owner: Mapped[str | None] = mapped_column(String(ID_CHARACTERS))
    name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]
    duration_s: Mapped[float]
    language: Mapped[str] = mapped_column(String(35))
    text: Mapped[str] = mapped_column(Text)
    search_text: Mapped[str] = mapped_column(Text)
    file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"), unique=True)


class VersionRow(Base):
    """A transcript as it was once; `transcript` is the JSON form of `inference.transcript.Transcript`."""

    __tablename__ = "versions"

    transcript_number: Mapped[int] = mapped_column(
        ForeignKey("transcripts.number", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime]
    name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    speaker_names: Mapped[dict[str, Any]]
    transcript: Mapped[dict[str, Any]]


class RespeakRow(Base):
    """A transcript that was spoken again; `details` is known to who spoke it."""

    __tablename__ = "respeaks"

    id: Mapped[str] = mapped_column(String(ID_CHARACTERS), primary_key=True)
    transcript_number: Mapped[int] = mapped_column(ForeignKey("transcripts.number", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    details: Mapped[dict[str, Any]]
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id"), unique=True)


class JobRow(Base):
    """A recording that was accepted, and what became of it.

    `worker_id` is of the process that is at it, `attempts` counts those that were. The file goes over to
    the transcript.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_owner", "owner", "number"), Index("ix_jobs_state", "state", "number"))

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(ID_CHARACTERS), unique=True)
    owner: Mapped[str | None] = mapped_column(String(ID_CHARACTERS))
    name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    options: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    worker_id: Mapped[str | None] = mapped_column(String(ID_CHARACTERS))
    file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"), unique=True)
    done_s: Mapped[float]
    total_s: Mapped[float | None]
    transcript_id: Mapped[str | None] = mapped_column(String(ID_CHARACTERS))
    problem: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class JobTextRow(Base):
    """Text of a window of a job that is under way."""

    __tablename__ = "job_texts"

    job_number: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    start_s: Mapped[float]
    end_s: Mapped[float]


class WorkerRow(Base):
    """A process that serves this store, and when it last said so."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(ID_CHARACTERS), primary_key=True)
    seen_at: Mapped[datetime]
