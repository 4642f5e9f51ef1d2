"""What a server keeps, as a client sees it: documents, versions, audio, files to take away, lists and searches."""

import io
import json
import zipfile

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from running_server import kept

TEXT = "[excited] It WORKS! [laughs]"


@pytest.fixture
def document(store_client, spoken_wav) -> dict:
    return kept(store_client, spoken_wav)


def segments_of(document: dict, *texts: str) -> dict:
    [segment] = document["transcript"]["segments"]
    return {
        "segments": [{key: segment[key] for key in ("start_s", "end_s", "speaker")} | {"text": text} for text in texts]
    }


def put(client: TestClient, document: dict, change: dict, version: int | None = None):
    headers = {"If-Match": f'"{version or document["version"]}"'}
    return client.put(f"/transcripts/{document['id']}", json=change, headers=headers)


def test_a_transcript_is_kept_with_its_audio(store_client, document, spoken_wav):
    answer = store_client.get(f"/transcripts/{document['id']}")
    assert answer.json() == document
    assert answer.headers["etag"] == '"1"'
    assert document["transcript"]["text"] == TEXT
    assert document["transcript"]["path"] == document["name"] == "hello.wav"
    audio = store_client.get(f"/transcripts/{document['id']}/audio")
    assert audio.content == spoken_wav
    assert audio.headers["content-type"].startswith("audio/")


def test_audio_is_given_in_ranges(store_client, document, spoken_wav):
    address = f"/transcripts/{document['id']}/audio"
    part = store_client.get(address, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, spoken_wav[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(spoken_wav)}"
    beyond = store_client.get(address, headers={"Range": f"bytes={len(spoken_wav)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-type"] == "application/problem+json"
    assert beyond.headers["content-range"] == f"bytes */{len(spoken_wav)}"
    head = store_client.head(address)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(spoken_wav)))


def test_an_upload_is_never_shown_as_a_page(store_client, document):
    written = json.dumps(document["transcript"])
    page = ("page.html", b"<script>alert(1)</script>", "text/html")
    kept = store_client.post("/transcripts", files={"file": page}, data={"transcript": written}).json()
    assert store_client.get(f"/transcripts/{kept['id']}/audio").headers["content-type"] == "application/octet-stream"


def test_an_edit_makes_a_version_and_keeps_the_times_of_what_stayed(store_client, document):
    changed = put(store_client, document, segments_of(document, "[sad] It really WORKS! [laughs]"))
    assert changed.status_code == 200
    assert (changed.json()["version"], changed.headers["etag"]) == (2, '"2"')
    before = {word["word"]: (word["start_s"], word["end_s"]) for word in document["transcript"]["words"]}
    after = [(word["word"], word["start_s"], word["end_s"]) for word in changed.json()["transcript"]["words"]]
    assert after == [("It", *before["It"]), ("really", None, None), ("WORKS!", *before["WORKS!"])]
    address = f"/transcripts/{document['id']}"
    assert store_client.get(address).json() == changed.json()
    assert store_client.get(f"{address}/versions/1").json() == document
    assert [entry["version"] for entry in store_client.get(f"{address}/versions").json()] == [2, 1]
    assert store_client.get(f"{address}/versions/3").status_code == 404


def test_names_of_the_recording_and_its_speakers(store_client, document):
    change = {"name": "A talk", "speaker_names": {"SPEAKER_1": "Ann"}}
    changed = put(store_client, document, change).json()
    assert (changed["name"], changed["speaker_names"]) == ("A talk", {"SPEAKER_1": "Ann"})
    assert changed["transcript"]["words"] == document["transcript"]["words"]


def test_who_changes_an_old_version_is_told_what_is_there_now(store_client, document):
    second = put(store_client, document, {"name": "second"}).json()
    refused = put(store_client, document, {"name": "third"})
    assert refused.status_code == 412
    assert refused.json()["version"] == 2
    assert refused.json()["current"] == second
    assert store_client.get(f"/transcripts/{document['id']}").json() == second
    without = store_client.put(f"/transcripts/{document['id']}", json={"name": "third"})
    assert without.status_code == 428
    assert 'If-Match: "2"' in without.json()["hint"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"segments": [{"start_s": 2, "end_s": 1, "speaker": None, "text": "x"}]}, "segment 1"),
        (
            {"segments": [{"start_s": 0, "end_s": 1, "text": "[very"}, {"start_s": 1, "end_s": 2, "text": "good]"}]},
            "[very",
        ),
        ({"colour": "red"}, "colour"),
        ({"name": ""}, "name"),
    ],
)
def test_edits_that_make_no_sense_are_refused(store_client, document, change, told):
    refused = put(store_client, document, change)
    assert refused.status_code == 422
    assert told in refused.json()["detail"]


def test_transcripts_are_listed_and_found(store_client, scripted_engine, spoken_wav):
    scripted_engine.text = "[sighs] Straße, naïve café — the U.S. team's 2nd try."
    first = kept(store_client, spoken_wav, "first.wav")
    scripted_engine.text = "Something else."
    second = kept(store_client, spoken_wav, "second.wav")

    def found(**query) -> list[str]:
        return [item["id"] for item in store_client.get("/transcripts", params=query).json()["items"]]

    assert found() == [second["id"], first["id"]]
    for query in ("strasse", "CAFE naiv", "team", "2nd", "u s", "first"):
        assert found(query=query) == [first["id"]], query
    assert found(query="else") == [second["id"]]
    assert found(query="wav") == [second["id"], first["id"]]
    for query in ("nothing", "café else", "***", '"; DROP TABLE transcripts; --', "NEAR(", "a:b", "\x00"):
        assert found(query=query) == [], query
    page = store_client.get("/transcripts", params={"limit": 1}).json()
    assert [item["id"] for item in page["items"]] == [second["id"]]
    rest = store_client.get("/transcripts", params={"limit": 1, "cursor": page["next"]}).json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == ([first["id"]], None)
    [item] = store_client.get("/transcripts", params={"query": "cafe"}).json()["items"]
    assert "café" in item["snippet"]
    assert item["has_audio"]
    put(store_client, first, segments_of(first, "Entirely new."))
    assert found(query="cafe") == []
    assert found(query="entirely") == [first["id"]]


def test_what_is_deleted_is_gone_with_its_audio(store_client, document):
    store = store_client.app.state.store
    address = f"/transcripts/{document['id']}"
    assert len(list(store.files.ids())) == 1
    assert store_client.delete(address).status_code == 204
    for path in ("", "/audio", "/versions", "/versions/1", "/export"):
        assert store_client.get(address + path).status_code == 404
    assert store_client.delete(address).status_code == 404
    assert store_client.get("/transcripts").json() == {"items": [], "next": None}
    assert store_client.get("/transcripts", params={"query": "works"}).json()["items"] == []
    assert list(store.files.ids()) == []


def test_files_to_take_away(store_client, document):
    named = put(
        store_client,
        document,
        {"name": "Größe.wav", "speaker_names": {"A": "Ann"}}
        | {"segments": [{"start_s": 0, "end_s": 1.5, "speaker": "A", "text": TEXT}]},
    )
    assert named.status_code == 200
    address = f"/transcripts/{document['id']}/export"

    def text(**query) -> str:
        answer = store_client.get(address, params=query)
        assert answer.status_code == 200
        return answer.text

    assert text() == f"Ann: {TEXT}\n"
    assert text(format="plain") == "Ann: It works!\n"
    assert json.loads(text(format="json"))["segments"][0]["speaker"] == "Ann"
    assert "Ann: [excited]" in text(format="srt")
    assert text(format="vtt").startswith("WEBVTT")
    assert text(format="tsv").splitlines()[0] == "start\tend\tspeaker\ttext"
    answer = store_client.get(address, params={"dialect": "scribe"})
    assert answer.text.startswith("Ann: ")
    assert "(laugh" in answer.text
    assert isinstance(json.loads(answer.headers["x-evoxtral-lost"]), list)
    assert "Gr%C3%B6%C3%9Fe.txt" in answer.headers["content-disposition"]
    word_file = store_client.get(address, params={"format": "docx"})
    with zipfile.ZipFile(io.BytesIO(word_file.content)) as archive:
        inside = archive.read("word/document.xml").decode()
    assert "Ann: " in inside
    assert TEXT in inside
    assert store_client.get(address, params={"format": "srt", "dialect": "scribe"}).status_code == 422
    assert store_client.get(address, params={"dialect": "klingon"}).status_code == 422


@pytest.mark.parametrize(
    "written", ["", "{}", "[]", "nonsense", '{"path": 3}', "null", pytest.param("[" * 100_000, id="deep")]
)
def test_what_is_no_transcript_is_not_kept(store_client, spoken_wav, written):
    answer = store_client.post("/transcripts", files={"file": ("a.wav", spoken_wav)}, data={"transcript": written})
    assert answer.status_code == 422
    assert "transcript" in answer.json()["detail"]


def test_numbers_that_json_does_not_know_are_not_kept(store_client, document, spoken_wav):
    for value in ("NaN", "Infinity", "1e999"):
        written = json.dumps(document["transcript"]).replace('"confidence": 0.9', f'"confidence": {value}', 1)
        assert value in written
        answer = store_client.post("/transcripts", files={"file": ("a.wav", spoken_wav)}, data={"transcript": written})
        assert answer.status_code == 422, value


def test_each_key_sees_its_own(scripted_engine, spoken_wav, tmp_path):
    settings = Settings(
        store=str(tmp_path / "store"), studio=tmp_path, allowed_hosts=("testserver",), api_keys=("one", "two")
    )
    with TestClient(create_app(settings, engine=scripted_engine)) as client:
        one, two = {"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}
        document = kept(client, spoken_wav, headers=one)
        address = f"/transcripts/{document['id']}"
        assert client.get(address, headers=one).status_code == 200
        assert client.get(address, headers=two).status_code == 404
        assert client.delete(address, headers=two).status_code == 404
        assert client.put(address, json={"name": "x"}, headers={**two, "If-Match": "*"}).status_code == 404
        assert client.get("/transcripts", headers=two).json()["items"] == []
        assert len(client.get("/transcripts", headers=one).json()["items"]) == 1


def test_without_a_store_its_addresses_say_so(client, spoken_wav):
    assert client.get("/capabilities").json()["store"] is False
    for path in ("/transcripts", f"/transcripts/{'0' * 32}", "/jobs"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "--no-store" in answer.json()["hint"]
    assert client.post("/jobs", files={"file": ("a.wav", spoken_wav)}).status_code == 404


def test_capabilities_tell_what_a_page_can_offer(store_client, monkeypatch):
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    monkeypatch.delenv("ELEVENLABS_API_KEYS", raising=False)
    told = store_client.get("/capabilities").json()
    assert (told["store"], told["model"], told["diarization"]) == (True, "test", True)
    engines = {engine["name"]: engine for engine in told["engines"]}
    local, elevenlabs = engines["local"], engines["elevenlabs"]
    assert (local["name"], local["available"]) == ("local", True)
    assert any(voice["id"] == "espeak/amber" for voice in local["voices"])
    assert (elevenlabs["name"], elevenlabs["available"], elevenlabs["voices"]) == ("elevenlabs", False, [])
    assert elevenlabs["why_not"]
    assert {"tag": "laughs", "category": "non-verbal", "group": "laughter"}.items() <= next(
        tag.items() for tag in told["tags"] if tag["tag"] == "laughs"
    )


def test_peaks_of_a_recording(store_client, document):
    """A recording of 2.005 s: silence, but for a click of 0.5 at 0.75 s and one of -1 at its very end."""
    samples = np.zeros(32_080, np.float32)
    samples[12_000], samples[-1] = 0.5, -1.0
    clip = io.BytesIO()
    soundfile.write(clip, samples, 16_000, format="WAV", subtype="FLOAT")
    written = {"transcript": json.dumps(document["transcript"])}
    made = store_client.post("/transcripts", files={"file": ("clicks.wav", clip.getvalue())}, data=written).json()

    def peaks(count: int) -> list[float]:
        return store_client.get(f"/transcripts/{made['id']}/peaks", params={"count": count}).json()["peaks"]

    assert peaks(1) == [1.0]
    assert peaks(4) == [0.0, pytest.approx(0.5, abs=0.01), 0.0, 1.0]
    many = peaks(1000)
    assert len(many) == 1000
    assert [index for index, peak in enumerate(many) if peak > 0.9] == list(range(991, 1000))
    for count in (0, 20_001):
        assert store_client.get(f"/transcripts/{made['id']}/peaks", params={"count": count}).status_code == 422
    store_client.delete(f"/transcripts/{made['id']}")
    assert len(list(store_client.app.state.store.files.ids())) == 1


def test_a_passage_is_transcribed_again_at_its_place(store_client, document, scripted_engine):
    scripted_engine.text = "Heard again."
    address = f"/transcripts/{document['id']}/retranscribe"
    heard = store_client.post(address, json={"start_s": 0.5, "end_s": 1.5}).json()
    assert heard["text"] == "Heard again."
    assert heard["duration_s"] == 1.0
    assert all(0.5 <= word["start_s"] <= word["end_s"] <= 1.5 for word in heard["words"])
    assert heard["segments"][0]["start_s"] >= 0.5
    assert store_client.get(f"/transcripts/{document['id']}").json() == document
    refused = store_client.post(address, json={"start_s": 1000, "end_s": 1001})
    assert refused.status_code == 422
    assert "lasts" in refused.json()["hint"]
    assert store_client.post(address, json={"start_s": 1.5, "end_s": 0.5}).status_code == 422


def test_a_transcript_whose_audio_cannot_be_decoded_is_kept_and_says_so(store_client, document):
    written = {"transcript": json.dumps(document["transcript"])}
    made = store_client.post("/transcripts", files={"file": ("a.wav", b"nonsense")}, data=written).json()
    answer = store_client.get(f"/transcripts/{made['id']}/peaks")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
