"""Transcripts of a real store are spoken again by the real local voice, as a client sees it."""

import io
import threading

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from evoxtral.bench import mos
from evoxtral.bench.resemblance import MEASURES
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.server.store.opening import open_store
from evoxtral.tts import local
from running_server import kept, serve_app

TEXT = "[excited] It WORKS! [laughs] We are going home today. [sad] Nobody knew."


@pytest.fixture(autouse=True)
def without_mos(monkeypatch):
    monkeypatch.setattr(mos, "is_installed", lambda: False)  # seconds each, and tested by itself


@pytest.fixture
def document(store_client, scripted_engine, spoken_wav):
    scripted_engine.text = TEXT
    return kept(store_client, spoken_wav)


def respeak(client, document, **wanted):
    return client.post(f"/transcripts/{document['id']}/respeak", json=wanted)


def put(client, document, text):
    [segment] = document["transcript"]["segments"]
    change = {"segments": [{key: segment[key] for key in ("start_s", "end_s", "speaker")} | {"text": text}]}
    headers = {"If-Match": f'"{document["version"]}"'}
    answer = client.put(f"/transcripts/{document['id']}", json=change, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_transcript_is_spoken_again_and_can_be_heard(store_client, document):
    answer = respeak(store_client, document, voice="espeak/amber", seed=3)
    assert answer.status_code == 200, answer.text
    spoken = answer.json()
    assert (spoken["engine"], spoken["voice"], spoken["seed"], spoken["version"]) == (
        "local/espeak",
        "espeak/amber",
        3,
        1,
    )
    assert [one["text"] for one in spoken["sentences"]] == [
        "[excited] It WORKS!",
        "[laughs] We are going home today.",
        "[sad] Nobody knew.",
    ]
    ends = [one["end_s"] for one in spoken["sentences"]]
    assert ends == sorted(ends)
    words = document["transcript"]["words"]
    assert spoken["sentences"][2]["source_start_s"] == words[7]["start_s"]
    assert set(spoken["measures"]) == {name for name in MEASURES if not name.startswith("mos")}
    audio = store_client.get(f"/transcripts/{document['id']}/respeaks/{spoken['id']}/audio")
    assert audio.headers["content-type"] == "audio/wav"
    samples, rate_hz = soundfile.read(io.BytesIO(audio.content))
    assert len(samples) / rate_hz == pytest.approx(spoken["duration_s"], abs=0.001)
    assert np.abs(samples).max() > 0.1
    part = store_client.get(audio.url.path, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"RIFF")
    assert store_client.get(f"/transcripts/{document['id']}/respeaks").json() == [spoken]


def test_after_an_edit_only_what_changed_is_spoken_again(store_client, document, monkeypatch):
    assert [one["cached"] for one in respeak(store_client, document).json()["sentences"]] == [False] * 3
    said = []
    monkeypatch.setattr(local.LocalEngine, "speak", _telling(local.LocalEngine.speak, said))
    changed = put(store_client, document, TEXT.replace("home", "to school"))
    spoken = respeak(store_client, changed).json()
    assert said == ["[laughs] We are going to school today."]
    assert [one["cached"] for one in spoken["sentences"]] == [True, False, True]
    assert spoken["version"] == 2
    assert all(one["cached"] for one in respeak(store_client, changed).json()["sentences"])
    assert len(said) == 1
    assert not any(one["cached"] for one in respeak(store_client, changed, seed=1).json()["sentences"])


def _telling(speak, said):
    def telling(self, text, **options):
        said.append(text)
        return speak(self, text, **options)

    return telling


def test_timing_is_kept_where_it_is_asked_for(store_client, document):
    spoken = respeak(store_client, document, keep_timing=True).json()
    assert spoken["keep_timing"] is True
    assert spoken["duration_s"] >= document["transcript"]["duration_s"] - 0.01
    assert spoken["sentences"][0]["start_s"] == pytest.approx(spoken["sentences"][0]["source_start_s"], abs=0.001)


def test_contours_of_the_recording_and_of_what_was_spoken(store_client, document):
    address = f"/transcripts/{document['id']}/contours"
    alone = store_client.get(address).json()
    assert alone["respeak"] is None
    original = alone["original"]
    assert len(original["f0_hz"]) == len(original["level_db"])
    assert len(original["f0_hz"]) * original["step_s"] == pytest.approx(
        document["transcript"]["duration_s"], abs=original["step_s"]
    )
    voiced = [pitch for pitch in original["f0_hz"] if pitch is not None]
    assert 140 < np.median(voiced) < 300  # a woman's voice
    assert None in original["f0_hz"]
    spoken = respeak(store_client, document, voice="espeak/carl").json()
    both = store_client.get(address, params={"respeak": spoken["id"]}).json()
    assert both["original"] == original
    assert np.median([pitch for pitch in both["respeak"]["f0_hz"] if pitch is not None]) < 140  # a man's


def test_what_is_missing_or_wrong_is_told(store_client, document, client):
    missing = "0" * 32
    other = kept(store_client, store_client.get(f"/transcripts/{document['id']}/audio").content)
    spoken = respeak(store_client, other).json()
    for answer, status in [
        (respeak(store_client, {"id": missing}), 404),
        (respeak(client, document), 404),
        (respeak(store_client, document, engine="festival"), 422),
        (respeak(store_client, document, voice="nobody"), 400),
        (respeak(store_client, document, engine="elevenlabs"), 400),
        (respeak(store_client, document, speed=2), 422),
        (store_client.get(f"/transcripts/{document['id']}/respeaks/{spoken['id']}/audio"), 404),
        (store_client.get(f"/transcripts/{document['id']}/contours", params={"respeak": spoken["id"]}), 404),
    ]:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert "nobody" in respeak(store_client, document, voice="nobody").json()["detail"]


def test_an_empty_transcript_is_nothing_to_speak(store_client, scripted_engine, spoken_wav):
    scripted_engine.text = ""
    answer = respeak(store_client, kept(store_client, spoken_wav))
    assert answer.status_code == 400
    assert "nothing to speak" in answer.json()["detail"]


def test_what_was_spoken_goes_with_its_transcript(store_client, document, tmp_path):
    respeak(store_client, document)
    assert list((tmp_path / "store").rglob("*.flac"))
    assert store_client.delete(f"/transcripts/{document['id']}").status_code == 204
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_file() and "files" in path.parts]
    assert not left
    assert not list((tmp_path / "store").rglob("*.flac"))


def test_sentences_of_a_transcript_that_nobody_knows_are_collected_when_the_store_opens(tmp_path, scripted_engine):
    orphan = tmp_path / "store" / "sentences" / ("a" * 32) / "ab"
    orphan.mkdir(parents=True)
    (orphan / "x.flac").write_bytes(b"")
    open_store(str(tmp_path / "store")).close()
    assert not orphan.exists()


def settings_of(tmp_path, **more):
    return Settings(
        studio=tmp_path / "no-studio", allowed_hosts=("testserver", "127.0.0.1"), store=str(tmp_path / "store"), **more
    )


def test_limits(tmp_path, scripted_engine, spoken_wav):
    scripted_engine.text = TEXT
    with TestClient(create_app(settings_of(tmp_path, max_respeak_characters=20), engine=scripted_engine)) as client:
        answer = respeak(client, kept(client, spoken_wav))
    assert answer.status_code == 413
    assert "MAX_RESPEAK_CHARACTERS" in answer.json()["hint"]


def test_who_leaves_is_not_spoken_for_any_more_and_too_many_are_told_to_come_again(
    tmp_path, scripted_engine, spoken_wav, monkeypatch
):
    scripted_engine.text = TEXT
    speaking, go_on, said = threading.Event(), threading.Event(), []
    speak = local.LocalEngine.speak

    def waiting(self, text, **options):
        said.append(text)
        speaking.set()
        assert go_on.wait(60)
        return speak(self, text, **options)

    app = create_app(settings_of(tmp_path, max_respeaks=1), engine=scripted_engine)
    with serve_app(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        document = kept(client, spoken_wav)
        monkeypatch.setattr(local.LocalEngine, "speak", waiting)
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"/transcripts/{document['id']}/respeak", json={}, timeout=0.5)
        assert speaking.wait(60)
        full = respeak(client, document)
        assert full.status_code == 503
        assert full.headers["retry-after"] == "5"
        go_on.set()
        answer = respeak(client, document)
        while answer.status_code == 503:  # until the thread has ended the sentence that it was at
            answer = respeak(client, document)
    assert answer.status_code == 200
    assert [one["cached"] for one in answer.json()["sentences"]] == [True, False, False]
    assert len(said) == 3
