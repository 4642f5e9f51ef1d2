"""The first tables: files, transcripts with versions and what was spoken of them, jobs, workers; full-text search."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("store", _id())
    op.create_table(
        "files",
        _id(),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(100), nullable=False),
        _moment("created_at"),
    )
    op.create_table("workers", _id(), _moment("seen_at"))
    op.create_table(
        "jobs",
        _number(),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(32)),
        sa.Column("file_id", sa.String(32)),
        sa.Column("done_s", sa.Double(), nullable=False),
        sa.Column("total_s", sa.Double()),
        sa.Column("transcript_id", sa.String(32)),
        sa.Column("problem", sa.JSON()),
        _moment("created_at"),
        _moment("updated_at"),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_jobs_file_id"),
        sa.UniqueConstraint("file_id", name="uq_jobs_file_id"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
    )
    op.create_index("ix_jobs_owner", "jobs", ["owner", "number"])
    op.create_index("ix_jobs_state", "jobs", ["state", "number"])
    op.create_table(
        "job_texts",
        sa.Column("job_number", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("start_s", sa.Double(), nullable=False),
        sa.Column("end_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("job_number", "seq", name="pk_job_texts"),
        sa.ForeignKeyConstraint(["job_number"], ["jobs.number"], name="fk_job_texts_job_number", ondelete="CASCADE"),
    )
    op.create_table(
        "transcripts",
        _number(),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("name", sa.String(255), nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("file_id", sa.String(32)),
        sa.PrimaryKeyConstraint("number", name="pk_transcripts"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_transcripts_file_id"),
        sa.UniqueConstraint("file_id", name="uq_transcripts_file_id"),
        sa.UniqueConstraint("id", name="uq_transcripts_id"),
    )
    op.create_index("ix_transcripts_owner", "transcripts", ["owner", "number"])
    op.create_table(
        "versions",
        _transcript_number("versions"),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        _moment("created_at"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("speaker_names", sa.JSON(), nullable=False),
        sa.Column("transcript", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("transcript_number", "version", name="pk_versions"),
    )
    op.create_table(
        "respeaks",
        _id(),
        _transcript_number("respeaks"),
        _moment("created_at"),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("file_id", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_respeaks_file_id"),
        sa.UniqueConstraint("file_id", name="uq_respeaks_file_id"),
    )
    op.create_index("ix_respeaks_transcript_number", "respeaks", ["transcript_number"])
    for statement in _SEARCH[op.get_context().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TABLE transcript_search")
    for table in ("respeaks", "versions", "transcripts", "job_texts", "jobs", "workers", "files", "store"):
        op.drop_table(table)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String(32), primary_key=True)


def _number() -> sa.Column[int]:
    return sa.Column("number", sa.Integer(), autoincrement=True, nullable=False)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def _transcript_number(table: str) -> sa.Column[int]:
    key = sa.ForeignKey("transcripts.number", name=f"fk_{table}_transcript_number", ondelete="CASCADE")
    return sa.Column("transcript_number", sa.Integer(), key, nullable=False)


# The words are kept once, in the table of transcripts; triggers tell SQLite's index of every change of them.
_SEARCH = {
    "sqlite": (
        "CREATE VIRTUAL TABLE transcript_search USING fts5(search_text, content='transcripts', content_rowid='number', "
        "tokenize='unicode61 remove_diacritics 0')",
        "CREATE TRIGGER transcript_search_insert AFTER INSERT ON transcripts BEGIN "
        "INSERT INTO transcript_search (rowid, search_text) VALUES (new.number, new.search_text); END",
        "CREATE TRIGGER transcript_search_delete AFTER DELETE ON transcripts BEGIN "
        "INSERT INTO transcript_search (transcript_search, rowid, search_text) "
        "VALUES ('delete', old.number, old.search_text); END",
        "CREATE TRIGGER transcript_search_update AFTER UPDATE OF search_text ON transcripts BEGIN "
        "INSERT INTO transcript_search (transcript_search, rowid, search_text) "
        "VALUES ('delete', old.number, old.search_text); "
        "INSERT INTO transcript_search (rowid, search_text) VALUES (new.number, new.search_text); END",
    ),
    # The expression is that of `evoxtral.server.store.searching`, or the index is of no use.
    "postgresql": (
        "CREATE INDEX ix_transcripts_search ON transcripts USING gin "
        "(array_to_tsvector(string_to_array(left(search_text, 200000), ' ')))",
    ),
}
