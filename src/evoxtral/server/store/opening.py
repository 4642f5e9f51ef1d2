"""A store as a whole: where it is, what happens when it is opened, what is deleted as it grows."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL, delete, func, make_url, select, update
from sqlalchemy.exc import ArgumentError

from evoxtral.server.store.database import Database
from evoxtral.server.store.errors import StoreError
from evoxtral.server.store.files import StoreFiles, new_id
from evoxtral.server.store.jobs import Jobs
from evoxtral.server.store.place import default_store_folder
from evoxtral.server.store.tables import FileRow, RespeakRow, StoreRow, TranscriptRow, now
from evoxtral.server.store.transcripts import Transcripts, delete_transcript

_DATABASE_NAME = "store.sqlite3"
_DELETED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: no transcript that was not touched for `max_age`, and audio of `max_bytes` in all; None for all."""

    max_age: timedelta | None = None
    max_bytes: int | None = None


KEEP_ALL = Retention()


class Store:
    """A store that is open in this process; `close` it.

    Args:
        place: a folder (for SQLite), or the URL of a SQLite or PostgreSQL database.
        files: folder of the files; None for the folder of SQLite's database.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, place: str, files: Path | None = None, retention: Retention = KEEP_ALL) -> None:
        url, folder = _where(place, files)
        self.files = StoreFiles(folder)
        try:
            self._database = Database(url)
            self.shown = f"{self._database.shown} and {folder}" if "://" in place else str(folder)
            self._retention = retention
            self._check_folder()
        except BaseException:
            self.files.close()
            raise
        self.transcripts = Transcripts(self._database, self.files)
        self.jobs = Jobs(self._database, self.files)
        self.jobs.say_alive()
        self.tidy()

    def close(self) -> None:
        """Give the jobs of this process back and close the store."""
        self.jobs.leave()
        self._database.close()
        self.files.close()

    def tidy(self) -> None:
        """Take over what dead processes left, collect orphans, and delete what is not to be kept any longer."""
        self.jobs.take_over()
        self.collect_orphans()
        self.jobs.forget_ended()
        self.delete_old()

    def collect_orphans(self) -> None:
        """Remove files that no record names, and the records of files that are gone."""
        self.files.sweep()
        with self._database.collecting() as session:
            recorded = set(session.scalars(select(FileRow.id)))
            there = set(self.files.ids())
            self.files.remove(*there - recorded)
            gone = sorted(recorded - there)
            if gone:
                self.jobs.fail_lost(session, gone)
                session.execute(update(TranscriptRow).where(TranscriptRow.file_id.in_(gone)).values(file_id=None))
                session.execute(delete(RespeakRow).where(RespeakRow.file_id.in_(gone)))
                session.execute(delete(FileRow).where(FileRow.id.in_(gone)))
            spoken = set(self.files.spoken_transcripts())
            known = set(session.scalars(select(TranscriptRow.id).where(TranscriptRow.id.in_(spoken))))
        self.files.remove_sentences(*spoken - known)

    def delete_old(self) -> None:
        """Delete transcripts that are too old, and the oldest while the audio is too much."""
        while self._delete_some():
            pass

    def _delete_some(self) -> bool:
        file_ids: list[str] = []
        transcript_ids: list[str] = []
        with self._database.writing() as session:
            excess = 0
            if self._retention.max_bytes is not None:
                total = session.scalar(select(func.coalesce(func.sum(FileRow.size_bytes), 0)))
                excess = int(total or 0) - self._retention.max_bytes
            oldest = select(TranscriptRow).order_by(TranscriptRow.updated_at, TranscriptRow.number)
            deleted = 0
            for row in list(session.scalars(oldest.limit(_DELETED_AT_ONCE))):
                is_old = self._retention.max_age is not None and row.updated_at < now() - self._retention.max_age
                if not is_old and excess <= 0:
                    break
                size = session.scalar(select(FileRow.size_bytes).where(FileRow.id == row.file_id)) or 0
                excess -= size
                transcript_ids.append(row.id)
                file_ids += delete_transcript(session, row)
                deleted += 1
        self.files.remove(*file_ids)
        self.files.remove_sentences(*transcript_ids)
        return deleted == _DELETED_AT_ONCE

    def _check_folder(self) -> None:
        """The record first: a folder that bears an id which no database knows would be of no use to anybody."""
        with self._database.writing() as session:
            row = session.scalar(select(StoreRow))
            if row is None:
                row = StoreRow(id=new_id())
                session.add(row)
            has_files = session.scalar(select(FileRow.id).limit(1)) is not None
        self.files.belong_to(row.id, is_new=not has_files)


def open_store(
    place: str, files: Path | None = None, *, max_age_days: float | None = None, max_bytes: int | None = None
) -> Store:
    """Open a store; see `Store`.

    Args:
        max_age_days: transcripts that nobody changed for longer are deleted.
        max_bytes: while the audio is more, the oldest transcripts are deleted.
    """
    age = None if max_age_days is None else timedelta(days=max_age_days)
    return Store(place, files, Retention(age, max_bytes))


def _where(place: str, files: Path | None) -> tuple[URL, Path]:
    """The database's address, and the folder of the files."""
    if "://" not in place:
        folder = Path(place).expanduser().absolute()
        return URL.create("sqlite", database=str(folder / _DATABASE_NAME)), (files or folder)
    try:
        url = make_url(place.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise StoreError(
            "the store's address cannot be read", "it looks like postgresql://USER:PASSWORD@HOST/NAME, or is a folder"
        ) from None
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg"), (files or default_store_folder()).absolute()
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        database = Path(url.database).expanduser().absolute()
        return url.set(database=str(database), drivername="sqlite"), (files or database.parent).absolute()
    raise StoreError(
        f"{url.render_as_string(hide_password=True)}: is no store",
        "name a folder, a SQLite file (sqlite:///PATH) or a PostgreSQL database (postgresql://USER:PASSWORD@HOST/NAME)",
    )
