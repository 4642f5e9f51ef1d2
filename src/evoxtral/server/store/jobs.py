"""The jobs of a store: what was accepted is claimed by a process, and finished or reported whatever ends that process.

    queued -> running -> done | failed
    queued | running -> cancelled

A process claims jobs, and says now and then that it lives. A job of a dead process is queued again, and failed when it
was the last thing that several processes did. Each change is made only while the job is still its claimant's. Knows
records and files; nothing of how a recording is transcribed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session, aliased

from evoxtral.inference.transcript import Transcript
from evoxtral.server.problems import problem_document
from evoxtral.server.store.database import Database
from evoxtral.server.store.errors import JobsFullError, MissingError
from evoxtral.server.store.files import Incoming, StoreFiles, new_id
from evoxtral.server.store.tables import FileRow, JobRow, JobTextRow, WorkerRow, now
from evoxtral.server.store.transcripts import insert_transcript, printable_name, record_file

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
OPEN_STATES = ("queued", "running")

# A process that said nothing for so long is taken for dead even if its lock is held: its machine is gone, or it hangs.
LEASE_S = 60.0
MAX_ATTEMPTS = 3
# What became of a job can be asked for so long.
_KEEP_ENDED = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its sender sees it.

    Attributes:
        done_s, total_s: how much of the recording is transcribed; `total_s` is None where nobody knows.
        transcript_id: once it is done.
        problem: why it failed, as a problem document.
    """

    id: str
    name: str
    state: JobState
    done_s: float
    total_s: float | None
    transcript_id: str | None
    problem: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JobText:
    """Tagged text of a window of a job under way; `seq` counts from 1."""

    seq: int
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this process is at."""

    number: int
    name: str
    options: Mapping[str, Any]
    path: Path


class Jobs:
    """The jobs of one store. Methods with an owner raise MissingError for what is not there, or not the owner's."""

    def __init__(self, database: Database, files: StoreFiles) -> None:
        self._database = database
        self._files = files
        self._worker_id = files.worker_id

    # --- for who sends them -------------------------------------------------------------------------------------------

    def accept(
        self,
        owner: str | None,
        name: str,
        options: Mapping[str, Any],
        audio: Incoming,
        *,
        max_open: int,
        max_open_of_owner: int | None = None,
    ) -> Job:
        """Accept a recording: when this returns, it is on disk and recorded.

        Raises:
            JobsFullError: so many wait already, or so many of this owner.
        """
        is_open = select(func.count()).select_from(JobRow).where(JobRow.state.in_(OPEN_STATES))
        with self._database.publishing() as session:
            if (session.scalar(is_open) or 0) >= max_open:
                raise JobsFullError(of_owner=False)
            own = session.scalar(is_open.where(JobRow.owner.is_not_distinct_from(owner))) or 0
            if max_open_of_owner is not None and own >= max_open_of_owner:
                raise JobsFullError(of_owner=True)
            record_file(session, self._files, audio)
            at = now()
            row = JobRow(
                id=new_id(),
                owner=owner,
                name=printable_name(name),
                options=dict(options),
                state="queued",
                attempts=0,
                file_id=audio.id,
                done_s=0.0,
                created_at=at,
                updated_at=at,
            )
            session.add(row)
            session.flush()
            return _job(row)

    def get(self, owner: str | None, job_id: str) -> Job:
        """A job."""
        with self._database.reading() as session:
            return _job(_find(session, owner, job_id))

    def newest(self, owner: str | None, limit: int) -> list[Job]:
        """The jobs of an owner, newest first."""
        with self._database.reading() as session:
            found = session.scalars(
                select(JobRow)
                .where(JobRow.owner.is_not_distinct_from(owner))
                .order_by(JobRow.number.desc())
                .limit(limit)
            )
            return [_job(row) for row in found]

    def news(self, owner: str | None, job_id: str, after: int) -> tuple[Job, list[JobText]]:
        """A job, and its texts after number `after`."""
        with self._database.reading() as session:
            row = _find(session, owner, job_id)
            texts = session.scalars(
                select(JobTextRow)
                .where(JobTextRow.job_number == row.number, JobTextRow.seq > after)
                .order_by(JobTextRow.seq)
            )
            return _job(row), [JobText(text.seq, text.text, text.start_s, text.end_s) for text in texts]

    def cancel(self, owner: str | None, job_id: str) -> Job:
        """Cancel a job that is not ended; who is at it notices."""
        with self._database.writing() as session:
            row = _find(session, owner, job_id)
            gone = _end(session, row.number, OPEN_STATES, None, state="cancelled")
            session.refresh(row)
            job = _job(row)
        self._files.remove(*gone)
        return job

    # --- for who does them --------------------------------------------------------------------------------------------

    def claim(self) -> Claim | None:
        """The next job: of who has the fewest under way, the oldest. None where none waits."""
        running = aliased(JobRow)
        under_way = (
            select(func.count())
            .select_from(running)
            .where(running.owner.is_not_distinct_from(JobRow.owner), running.state == "running")
            .scalar_subquery()
        )
        with self._database.reading() as session:
            if session.scalar(select(JobRow.number).where(JobRow.state == "queued").limit(1)) is None:
                return None
        with self._database.writing() as session:
            row = session.scalar(
                select(JobRow)
                .where(JobRow.state == "queued", JobRow.file_id.is_not(None))
                .order_by(under_way, JobRow.number)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if row is None or row.file_id is None:
                return None
            row.state, row.worker_id, row.attempts, row.updated_at = "running", self._worker_id, row.attempts + 1, now()
            # The texts of an attempt that was cut off would come twice.
            session.execute(delete(JobTextRow).where(JobTextRow.job_number == row.number))
            return Claim(row.number, row.name, row.options, self._files.path(row.file_id))

    def report(self, claim: Claim, done_s: float, total_s: float | None, texts: Sequence[JobText]) -> bool:
        """Tell how far a job is; False where it is not ours any more (cancelled, or taken for dead)."""
        with self._database.writing() as session:
            ours = session.execute(
                self._update(claim).values(done_s=done_s, total_s=total_s, updated_at=now()).returning(JobRow.number)
            ).first()
            if ours is None:
                return False
            session.add_all(
                JobTextRow(
                    job_number=claim.number,
                    seq=text.seq,
                    text=text.text.replace("\0", " "),
                    start_s=text.start_s,
                    end_s=text.end_s,
                )
                for text in texts
            )
            return True

    def finish(self, claim: Claim, transcript: Transcript) -> str | None:
        """Keep the transcript of a job, which is done; gives its id, None where the job is not ours any more."""
        with self._database.writing() as session:
            row = session.scalar(
                select(JobRow)
                .where(JobRow.number == claim.number, JobRow.state == "running", JobRow.worker_id == self._worker_id)
                .with_for_update()
            )
            if row is None:
                return None
            file_id, row.file_id = row.file_id, None
            session.flush()
            kept = insert_transcript(session, row.owner, row.name, transcript, file_id, {})
            row.state, row.transcript_id, row.worker_id, row.updated_at = "done", kept.id, None, now()
            row.done_s = row.total_s = transcript.duration_s
            session.execute(delete(JobTextRow).where(JobTextRow.job_number == row.number))
            return kept.id

    def fail(self, claim: Claim, problem: Mapping[str, Any]) -> None:
        """Report that a job of ours cannot be done."""
        with self._database.writing() as session:
            gone = _end(session, claim.number, ("running",), self._worker_id, state="failed", problem=dict(problem))
        self._files.remove(*gone)

    def release(self, claim: Claim) -> None:
        """Give a job of ours back, to be done later or elsewhere; it does not count as tried."""
        with self._database.writing() as session:
            session.execute(
                self._update(claim).values(state="queued", worker_id=None, attempts=JobRow.attempts - 1, done_s=0.0)
            )

    def say_alive(self) -> None:
        """Tell the others that this process lives."""
        with self._database.writing() as session:
            row = session.get(WorkerRow, self._worker_id)
            if row is None:
                session.add(WorkerRow(id=self._worker_id, seen_at=now()))
            else:
                row.seen_at = now()

    def leave(self) -> None:
        """Tell the others that this process ends, and give its jobs back."""
        with self._database.writing() as session:
            session.execute(
                update(JobRow)
                .where(JobRow.worker_id == self._worker_id, JobRow.state == "running")
                .values(state="queued", worker_id=None, attempts=JobRow.attempts - 1, done_s=0.0)
            )
            session.execute(delete(WorkerRow).where(WorkerRow.id == self._worker_id))

    def take_over(self) -> None:
        """Queue the jobs of dead processes again; those that killed several are failed."""
        stale = now() - timedelta(seconds=LEASE_S)
        with self._database.reading() as session:
            workers = {row.id: row.seen_at for row in session.scalars(select(WorkerRow))}
            claimants = set(session.scalars(select(JobRow.worker_id).where(JobRow.state == "running").distinct()))
        dead = [
            worker_id
            for worker_id in {*workers, *(claimant for claimant in claimants if claimant)}
            if worker_id != self._worker_id
            and (not self._files.is_alive(worker_id) or (worker_id in workers and workers[worker_id] < stale))
        ]
        if not dead:
            return
        gone: list[str] = []
        with self._database.writing() as session:
            of_the_dead = (JobRow.worker_id.in_(dead), JobRow.state == "running")
            for number in list(
                session.scalars(select(JobRow.number).where(*of_the_dead, JobRow.attempts >= MAX_ATTEMPTS))
            ):
                gone += _end(session, number, ("running",), None, state="failed", problem=_KILLED)
            session.execute(
                update(JobRow).where(*of_the_dead).values(state="queued", worker_id=None, done_s=0.0, updated_at=now())
            )
            session.execute(delete(WorkerRow).where(WorkerRow.id.in_(dead)))
        self._files.remove(*gone)

    def fail_lost(self, session: Session, file_ids: Sequence[str]) -> None:
        """Report the jobs whose recordings are gone from disk, in a transaction."""
        for number in list(session.scalars(select(JobRow.number).where(JobRow.file_id.in_(file_ids)))):
            _end(session, number, OPEN_STATES, None, state="failed", problem=_LOST)

    def forget_ended(self) -> None:
        """Delete what became of jobs long ago."""
        with self._database.writing() as session:
            session.execute(
                delete(JobRow).where(JobRow.state.not_in(OPEN_STATES), JobRow.updated_at < now() - _KEEP_ENDED)
            )

    def _update(self, claim: Claim) -> Any:
        return update(JobRow).where(
            JobRow.number == claim.number, JobRow.state == "running", JobRow.worker_id == self._worker_id
        )


_KILLED = problem_document(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    f"The server ended {MAX_ATTEMPTS} times while it was at this recording.",
    "its log may tell why; send the recording in parts, or in another format",
)
_LOST = problem_document(
    HTTPStatus.INTERNAL_SERVER_ERROR, "The recording is gone from the server's disk.", "send the recording again"
)


def _end(session: Session, number: int, states: Sequence[str], worker_id: str | None, **values: Any) -> list[str]:
    """End a job that is in one of these states (and a worker's); gives its file, to be removed when that is durable."""
    wanted = [JobRow.number == number, JobRow.state.in_(states)]
    if worker_id is not None:
        wanted.append(JobRow.worker_id == worker_id)
    row = session.scalar(select(JobRow).where(*wanted).with_for_update())
    if row is None:
        return []
    file_id, row.file_id = row.file_id, None
    row.worker_id, row.updated_at = None, now()
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    session.execute(delete(JobTextRow).where(JobTextRow.job_number == number))
    session.execute(delete(FileRow).where(FileRow.id == file_id))
    return [file_id] if file_id is not None else []


def _find(session: Session, owner: str | None, job_id: str) -> JobRow:
    row = session.scalar(select(JobRow).where(JobRow.id == job_id, JobRow.owner.is_not_distinct_from(owner)))
    if row is None:
        raise MissingError
    return row


def _job(row: JobRow) -> Job:
    return Job(
        row.id,
        row.name,
        row.state,  # type: ignore[arg-type]
        row.done_s,
        row.total_s,
        row.transcript_id,
        row.problem,
        row.created_at,
    )
