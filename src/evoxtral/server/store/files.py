"""The files of a store: written whole and durably before any record names them, and collected when none does.

Knows a folder, and which process is alive; nothing of what is in the files.

    FOLDER/store-id         the store that this folder belongs to
    FOLDER/files/ID         files, which never change
    FOLDER/sentences/TRANSCRIPT what was spoken of a transcript, sentence by sentence; a cache, which goes with it
    FOLDER/peaks/ID         of a waveform, which can be computed again
    FOLDER/incoming/WORKER/ID   files that a process is writing
    FOLDER/sweep.lock       held by who begins, or sweeps
    FOLDER/workers/WORKER.lock  locked for as long as the process lives; the system frees it whatever ends it
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from evoxtral.data.files import sync_folder, write_atomically
from evoxtral.server.store.errors import StoreError

_COPY_BYTES = 2**20
_WHERE = "name their folder with EVOXTRAL_SERVER_STORE_FILES"


def new_id() -> str:
    """A name for anything, which nobody guesses: 32 hexadecimal digits."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that is whole and on disk, and has no record yet: published with one, or thrown away."""

    id: str
    path: Path
    size_bytes: int
    media_type: str

    def discard(self) -> None:
        """Remove it, unless it was published."""
        self.path.unlink(missing_ok=True)


class StoreFiles:
    """The folder of one store, as one process uses it.

    Raises:
        StoreError: it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.worker_id = new_id()
        self._files, self._peaks, self._workers = folder / "files", folder / "peaks", folder / "workers"
        self._sentences = folder / "sentences"
        self._incoming = folder / "incoming" / self.worker_id
        # A release may come from another thread.
        self._lock = FileLock(self._lock_path(self.worker_id), thread_local=False)
        try:
            for place in (self._files, self._peaks, self._workers, self._incoming.parent):
                place.mkdir(parents=True, exist_ok=True)
            sync_folder(folder)
            with self._alone():
                self._lock.acquire(timeout=0)
                self._incoming.mkdir()
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot be written: {error.strerror}", "name another with --store, or use --no-store"
            ) from error

    def close(self) -> None:
        """Give up the process's place."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._lock.release()
        self._lock_path(self.worker_id).unlink(missing_ok=True)

    def belong_to(self, store_id: str, *, is_new: bool) -> None:
        """Make sure that the folder is that of a store.

        Args:
            is_new: whether the store keeps nothing yet, so that any unused folder will do.

        Raises:
            StoreError: it is another's. Its files would count as orphans, and those of this store as lost.
        """
        mark = self.folder / "store-id"
        found = mark.read_text().strip() if mark.exists() else None
        if found == store_id:
            return
        if found is None and is_new:
            write_atomically(mark, f"{store_id}\n".encode())
            return
        if found is not None:
            raise StoreError(f"{self.folder}: holds the files of another store", f"{_WHERE}, or an empty one")
        raise StoreError(
            f"{self.folder}: is not where the files of this store are",
            f"{_WHERE}; if they are lost, write {store_id} into {mark}",
        )

    def receive(self, content: BinaryIO, media_type: str) -> Incoming:
        """Write a file to disk; it has no record yet."""
        file_id = new_id()
        path = self._incoming / file_id
        try:
            with path.open("xb") as file:
                shutil.copyfileobj(content, file, _COPY_BYTES)
                file.flush()
                os.fsync(file.fileno())
                size_bytes = file.tell()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Incoming(file_id, path, size_bytes, media_type)

    def publish(self, incoming: Incoming) -> None:
        """Give a file its name for good; to be done in the transaction that records it (`Database.publishing`)."""
        incoming.path.rename(self.path(incoming.id))
        sync_folder(self._files)

    def path(self, file_id: str) -> Path:
        """Where a file is."""
        return self._files / file_id

    def remove(self, *file_ids: str | None) -> None:
        """Remove files whose records are gone."""
        for file_id in file_ids:
            if file_id is not None:
                self.path(file_id).unlink(missing_ok=True)
                self.peaks_path(file_id).unlink(missing_ok=True)

    def peaks_path(self, file_id: str) -> Path:
        """Where the peaks of a recording are kept, if they are."""
        return self._peaks / file_id

    def sentences(self, transcript_id: str) -> Path:
        """Folder of the sentences that were spoken of a transcript; whoever speaks them makes it."""
        return self._sentences / transcript_id

    def remove_sentences(self, *transcript_ids: str) -> None:
        """Remove what was spoken of transcripts that are gone."""
        for transcript_id in transcript_ids:
            shutil.rmtree(self.sentences(transcript_id), ignore_errors=True)

    def spoken_transcripts(self) -> list[str]:
        """All transcripts of which sentences are kept."""
        return [path.name for path in self._sentences.iterdir()] if self._sentences.is_dir() else []

    def ids(self) -> Iterator[str]:
        """All files that are there."""
        yield from sorted({path.name for folder in (self._files, self._peaks) for path in folder.iterdir()})

    def is_alive(self, worker_id: str) -> bool:
        """Whether a process lives."""
        path = self._lock_path(worker_id)
        if worker_id == self.worker_id:
            return True
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True

    def sweep(self) -> None:
        """Remove what dead processes left of files that they were writing."""
        with self._alone():
            for place in self._incoming.parent.iterdir():
                if not self.is_alive(place.name):
                    shutil.rmtree(place, ignore_errors=True)
            for path in self._workers.glob("*.lock"):
                if not self.is_alive(path.stem):
                    path.unlink(missing_ok=True)

    def _alone(self) -> FileLock:
        """While it is held nobody else begins, or sweeps."""
        return FileLock(self.folder / "sweep.lock")

    def _lock_path(self, worker_id: str) -> Path:
        return self._workers / f"{worker_id}.lock"
