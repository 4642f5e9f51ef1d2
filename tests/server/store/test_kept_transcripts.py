"""Transcripts in a store, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy import text as sql

from evoxtral.server.store import transcripts as transcripts_module
from evoxtral.server.store.errors import MissingError, VersionConflictError
from evoxtral.server.store.searching import matches, searchable, snippet
from evoxtral.server.store.tables import TranscriptRow
from stored import SOUND, incoming, transcript


def ids(store, **wanted) -> list[str]:
    return [item.id for item in store.transcripts.page(None, **wanted)[0]]


def test_what_is_kept_is_there_after_opening_again(opened):
    store = opened()
    kept = store.transcripts.add(
        None, "talk.wav", transcript("[sad] Hello \x00 wörld 👍."), incoming(store), {"A": "Ann"}
    )
    again = opened()
    assert again.transcripts.get(None, kept.id) == kept
    assert kept.transcript == transcript("[sad] Hello \x00 wörld 👍.")
    assert again.transcripts.audio(None, kept.id).path.read_bytes() == SOUND


def test_versions_follow_one_another_and_old_ones_stay(store):
    first = store.transcripts.add(None, "a", transcript("One."), None)
    second = store.transcripts.change(None, first.id, 1, name="b", transcript=transcript("Two."), speaker_names={})
    assert (second.version, second.name, second.created_at) == (2, "b", first.created_at)
    assert store.transcripts.get(None, first.id, 1) == first
    with pytest.raises(VersionConflictError):
        store.transcripts.change(None, first.id, 1, name="c", transcript=transcript("Three."), speaker_names={})
    with pytest.raises(MissingError):
        store.transcripts.get(None, first.id, 3)


def test_of_many_versions_the_first_and_the_newest_are_kept(store, monkeypatch):
    monkeypatch.setattr(transcripts_module, "MAX_VERSIONS", 3)
    kept = store.transcripts.add(None, "a", transcript("One."), None)
    for version in range(1, 7):
        store.transcripts.change(None, kept.id, version, name="a", transcript=transcript("Two."), speaker_names={})
    versions = [entry.version for entry in store.transcripts.versions(None, kept.id)]
    assert versions == [7, 6, 5, 1]


def test_of_changes_at_the_same_time_one_is_made(store):
    kept = store.transcripts.add(None, "a", transcript("One."), None)
    together = threading.Barrier(4)

    def change(number: int) -> bool:
        together.wait(30)
        try:
            store.transcripts.change(None, kept.id, 1, name=str(number), transcript=transcript("x"), speaker_names={})
        except VersionConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(change, range(4))) == 1
    assert store.transcripts.get(None, kept.id).version == 2


def test_what_one_key_keeps_no_other_sees(store):
    mine = store.transcripts.add("me", "a", transcript("Secret words."), incoming(store))
    for owner in ("you", None):
        assert store.transcripts.page(owner) == ([], None)
        assert store.transcripts.page(owner, query="secret") == ([], None)
        for ask in (
            store.transcripts.get, store.transcripts.audio, store.transcripts.versions, store.transcripts.delete,
            store.transcripts.respeaks,
        ):  # fmt: skip
            with pytest.raises(MissingError):
                ask(owner, mine.id)
    assert ids_of(store, "me") == [mine.id]


def ids_of(store, owner: str | None) -> list[str]:
    return [item.id for item in store.transcripts.page(owner)[0]]


def test_deleting_takes_audio_and_what_was_spoken_with_it(store):
    kept = store.transcripts.add(None, "a", transcript("One."), incoming(store))
    other = store.transcripts.add(None, "b", transcript("Two."), incoming(store))
    spoken = store.transcripts.add_respeak(None, kept.id, incoming(store, b"spoken"), {"voice": "v"})
    assert store.transcripts.respeak(None, kept.id, spoken.id) == spoken
    assert store.transcripts.respeaks(None, kept.id) == [spoken]
    assert spoken.file.path.read_bytes() == b"spoken"
    with pytest.raises(MissingError):
        store.transcripts.respeak(None, other.id, spoken.id)
    store.transcripts.delete(None, kept.id)
    assert list(store.files.ids()) == [store.transcripts.audio(None, other.id).id]


def test_words_are_found_by_their_beginnings_in_any_case_and_without_accents(store):
    kept = store.transcripts.add(
        None, "Réunion.wav", transcript("[sighs] Straße, it's 3.5 per cent — v2 U.S. İstanbul"), None
    )
    store.transcripts.add(None, "other", transcript("[laughs] Nothing of the kind."), None)
    for query in ("STRASSE", "stra", "reunion", "it s 3 5", "cent v2", "u s", "istanbul", "per cent", "  v2,  "):
        assert ids(store, query=query) == [kept.id], query
    for query in (
        "sighs",
        "trasse",
        "cent nothing",
        "-",
        "''",
        "'); DROP TABLE transcripts; --",
        "a & b | !c",
        '"',
        "*",
    ):
        assert ids(store, query=query) == [], query


def test_what_is_changed_or_deleted_is_found_no_longer(store):
    kept = store.transcripts.add(None, "a", transcript("Apples."), None)
    store.transcripts.change(None, kept.id, 1, name="a", transcript=transcript("Pears."), speaker_names={})
    assert (ids(store, query="apples"), ids(store, query="pears")) == ([], [kept.id])
    store.transcripts.delete(None, kept.id)
    assert ids(store, query="pears") == []


def test_long_texts_are_kept_and_found(store):
    words = " ".join(f"word{index}é" for index in range(60_000))
    kept = store.transcripts.add(None, "a", transcript(words), None)
    assert ids(store, query="word9999e") == [kept.id]


def test_pages_follow_one_another_without_gaps(store):
    kept = [store.transcripts.add(None, str(number), transcript("x"), None).id for number in range(5)]
    found: list[str] = []
    before = None
    for _ in range(3):
        items, before = store.transcripts.page(None, limit=2, before=before)
        found += [item.id for item in items]
    assert (found, before) == (kept[::-1], None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(text=st.text(max_size=60), query=st.text(max_size=20))
def test_any_text_is_kept_and_any_query_answered(store, text, query):
    text = text.encode("utf-8", "replace").decode()
    kept = store.transcripts.add(None, text, transcript(text), None)
    assert store.transcripts.get(None, kept.id).transcript.text == text
    store.transcripts.page(None, query=query)
    terms = searchable(kept.transcript.plain_text).split()
    if terms:
        assert kept.id in ids(store, query=terms[0])


def test_search_uses_the_index(store):
    """Or it would read every transcript of everybody."""
    is_sqlite = store._database.is_sqlite
    with store._database.reading() as session:
        wanted = select(TranscriptRow.number).where(matches("a", is_sqlite=is_sqlite))
        written = wanted.compile(session.connection(), compile_kwargs={"literal_binds": True})
        if not is_sqlite:
            session.execute(sql("SET LOCAL enable_seqscan = off"))
        plan = session.connection().exec_driver_sql(f"EXPLAIN {'QUERY PLAN' if is_sqlite else ''} {written}")
        assert ("VIRTUAL TABLE INDEX" if is_sqlite else "ix_transcripts_search") in str(plan.all())


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("Short.", "", "Short."),
        ("a\n b", "nothing", "a b"),
        ("word " * 100 + "Näher hier " + "word " * 100, "naher", "Näher hier"),
        ("x" * 1000, "", "x" * 160),
    ],
)
def test_snippets_are_short_and_hold_what_was_looked_for(text, query, shown):
    found = snippet(text, query)
    assert shown in found
    assert len(found) <= 164
