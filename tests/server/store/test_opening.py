"""Opening a store: migrations, orphans of killed processes, folders that are another's, what is not kept for ever."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text as sql
from sqlalchemy import update

from disk_calls import noted_calls
from evoxtral.server.store import database
from evoxtral.server.store.errors import MissingError, StoreError
from evoxtral.server.store.opening import open_store
from evoxtral.server.store.tables import Base, TranscriptRow, is_for_search, now
from stored import incoming, job, transcript


def test_migrations_make_the_tables_that_the_models_describe(store):
    def is_ours(thing, name, kind, reflected, compare_to) -> bool:
        return not (kind in ("table", "index") and is_for_search(name))

    with store._database.reading() as session:
        options = {"include_object": is_ours, "compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(session.connection(), opts=options), Base.metadata) == []


def test_migrations_can_be_undone_and_made_again(store):
    from alembic import command
    from alembic.config import Config

    with store._database.writing() as session:
        config = Config()
        config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
        config.attributes["connection"] = session.connection()
        command.downgrade(config, "base")
        database.migrate(session.connection())
        assert session.execute(sql("SELECT count(*) FROM transcripts")).scalar() == 0
        [head] = ScriptDirectory.from_config(config).get_heads()
        assert session.execute(sql("SELECT version_num FROM alembic_version")).scalar() == head


def test_processes_that_start_together_all_find_the_tables(place, tmp_path):
    program = (
        "import sys; from pathlib import Path; from evoxtral.server.store.opening import open_store;"
        "open_store(sys.argv[1], Path(sys.argv[2])).close()"
    )
    command = [sys.executable, "-c", program, place, str(tmp_path / "files")]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors


def test_a_store_of_a_newer_version_is_left_alone(opened):
    store = opened()
    with store._database.writing() as session:
        session.execute(sql("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        opened()
    with store._database.writing() as session:
        session.execute(sql("UPDATE alembic_version SET version_num = '0001'"))


def test_files_without_a_record_and_records_without_a_file_are_collected(opened):
    store = opened()
    whole = store.transcripts.add(None, "whole", transcript("One."), incoming(store))
    lost = store.transcripts.add(None, "lost", transcript("Two."), incoming(store))
    spoken = store.transcripts.add_respeak(None, whole.id, incoming(store), {})
    lost_job, kept_job = job(store), job(store)
    store.transcripts.audio(None, lost.id).path.unlink()
    spoken.file.path.unlink()
    claims = [store.jobs.claim(), store.jobs.claim()]
    claims[0].path.unlink()
    store.jobs.release(claims[0])
    store.jobs.release(claims[1])
    (store.files.folder / "files" / ("a" * 32)).write_bytes(b"published, and killed before the record")
    (store.files.folder / "peaks" / ("b" * 32)).write_bytes(b"of what was deleted")
    dead = store.files.folder / "incoming" / ("c" * 32)
    dead.mkdir()
    (dead / "half").write_bytes(b"half an upload")
    alive = incoming(store)

    again = opened()
    assert set(again.files.ids()) == {again.transcripts.audio(None, whole.id).id, claims[1].path.name}
    assert not dead.exists()
    assert alive.path.exists()
    assert not again.transcripts.get(None, lost.id).has_audio
    assert again.transcripts.respeaks(None, whole.id) == []
    with pytest.raises(MissingError):
        again.transcripts.audio(None, lost.id)
    assert again.jobs.get(None, lost_job).state == "failed"
    assert "disk" in again.jobs.get(None, lost_job).problem["detail"]
    assert again.jobs.get(None, kept_job).state == "queued"


def test_accepted_means_on_disk_before_it_is_recorded(store, monkeypatch):
    with noted_calls(monkeypatch) as calls:
        accepted = job(store)
    claim = store.jobs.claim()
    assert store.jobs.get(None, accepted).state == "running"
    on_disk = [call for call in calls if "incoming" in call[1] or "/files" in call[1]]
    assert [(what, Path(path).name) for what, path, _ in on_disk] == [
        ("fsync", claim.path.name), ("rename", claim.path.name), ("fsync", "files"),
    ]  # fmt: skip
    assert on_disk[0][2] == claim.path.stat().st_size


def test_sqlite_promises_what_is_committed(tmp_path):
    store = open_store(str(tmp_path))
    with store._database.reading() as session:
        assert session.execute(sql("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(sql("PRAGMA synchronous")).scalar() == 2
        assert session.execute(sql("PRAGMA foreign_keys")).scalar() == 1
    store.close()


def test_a_folder_of_another_store_is_refused(opened, tmp_path):
    kept = opened()
    kept.transcripts.add(None, "a", transcript("One."), incoming(kept))
    with pytest.raises(StoreError, match="another store"):
        open_store(str(tmp_path / "other"), tmp_path / "files")
    assert len(list(kept.files.ids())) == 1


def test_a_store_whose_files_are_elsewhere_is_refused(opened, place, tmp_path):
    kept = opened()
    document = kept.transcripts.add(None, "a", transcript("One."), incoming(kept))
    with pytest.raises(StoreError, match="EVOXTRAL_SERVER_STORE_FILES"):
        open_store(place, tmp_path / "elsewhere")
    assert kept.transcripts.audio(None, document.id).path.exists()
    assert opened().transcripts.get(None, document.id).has_audio


def test_old_transcripts_are_deleted_where_a_limit_says_so(opened):
    store = opened()
    old = store.transcripts.add(None, "old", transcript("One."), incoming(store))
    new = store.transcripts.add(None, "new", transcript("Two."), incoming(store))
    with store._database.writing() as session:
        long_ago = now() - timedelta(days=31)
        session.execute(update(TranscriptRow).where(TranscriptRow.id == old.id).values(updated_at=long_ago))
    opened()
    assert len(store.transcripts.page(None)[0]) == 2
    opened(max_age_days=30)
    assert [item.id for item in store.transcripts.page(None)[0]] == [new.id]
    assert len(list(store.files.ids())) == 1


def test_the_oldest_are_deleted_while_the_audio_is_too_much(opened):
    store = opened()
    kept = [
        store.transcripts.add(None, str(number), transcript("One."), incoming(store, bytes(1000)))
        for number in range(5)
    ]
    without = store.transcripts.add(None, "text alone", transcript("One."), None)
    opened(max_bytes=2500)
    left = [item.id for item in store.transcripts.page(None)[0]]
    assert left == [without.id, kept[4].id, kept[3].id]
    assert len(list(store.files.ids())) == 2


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("mysql://host/name", "no store"),
        ("sqlite://", "no store"),
        ("://", "cannot be read"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "cannot be opened"),
    ],
)
def test_places_that_are_none_are_named_without_their_password(place, told, tmp_path):
    with pytest.raises(StoreError, match=told) as error:
        open_store(place, tmp_path)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"file.*--no-store"):
        open_store(str(tmp_path / "file"))
