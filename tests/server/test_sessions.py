"""A key exchanged for a session: what opens with it, for whom, and what cannot be had from it."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings

KEY = "the-key"
BEARER = {"Authorization": f"Bearer {KEY}"}
OWN_PAGE = {"Origin": "http://testserver"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "_next").mkdir()
    (tmp_path / "_next/a.js").write_text("let a = 1")
    (tmp_path / "index.html").write_text("<p>page</p>")
    return tmp_path


def server(engine, folder, *keys: str) -> TestClient:
    settings = Settings(studio=folder, allowed_hosts=("testserver",), api_keys=keys)
    return TestClient(create_app(settings, engine=engine))


@pytest.fixture
def browser(scripted_engine, folder) -> Iterator[TestClient]:
    """Keeps cookies, and has shown no key yet."""
    with server(scripted_engine, folder, "another", KEY) as client:
        yield client


def test_the_page_that_asks_for_the_key_needs_none(browser):
    assert browser.get("/").text == "<p>page</p>"
    assert browser.head("/_next/a.js").status_code == 200
    for method, path in (("POST", "/"), ("GET", "/nowhere"), ("GET", "/docs"), ("GET", "/capabilities")):
        assert browser.request(method, path).status_code == 401, path


def test_with_a_session_a_browser_needs_no_header(browser):
    answer = browser.post("/session", json={}, headers=BEARER)
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert KEY not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age" not in cookie
    assert "Secure" not in cookie
    assert browser.get("/capabilities").json()["asks_for_key"]
    assert browser.post("/speak", json={"text": "Yes."}, headers=OWN_PAGE).status_code == 200
    with browser.websocket_connect("/transcribe/stream", headers=OWN_PAGE) as socket:
        socket.send_json({"type": "start"})
        assert socket.receive_json()["type"] == "ready"
    assert browser.delete("/session", headers=OWN_PAGE).status_code == 204
    assert browser.get("/capabilities").status_code == 401


def test_a_session_can_be_remembered_and_is_kept_from_open_networks(browser):
    page = {"Origin": "https://testserver"}
    cookie = browser.post("/session", json={"remember": True}, headers=BEARER | page).headers["set-cookie"]
    assert {"Max-Age=2592000", "Secure"} <= set(cookie.split("; "))


def test_only_a_key_begins_a_session(browser):
    assert browser.post("/session", json={}).status_code == 401
    assert browser.post("/session", json={}, headers={"Authorization": "Bearer wrong"}).status_code == 401
    browser.cookies.set("evoxtral_session", KEY)  # the key itself is no session
    assert browser.get("/capabilities").status_code == 401


@pytest.mark.parametrize(
    "asker",
    [
        {},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "http://testserver:3000"},
        {"Origin": "null"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_others_cannot_use_a_session(browser, asker):
    browser.post("/session", json={}, headers=BEARER)
    refused = browser.post("/speak", json={"text": "Yes."}, headers=asker)
    assert refused.status_code == 403
    assert "own pages" in refused.json()["detail"]
    with pytest.raises(WebSocketDisconnect), browser.websocket_connect("/transcribe/stream", headers=asker):
        pass
    assert browser.post("/speak", json={"text": "Yes."}, headers=asker | BEARER).status_code == 200


def test_a_session_is_the_same_person_as_its_key_and_ends_with_it(scripted_engine, folder, spoken_wav):
    place = folder / "store"
    upload = {"file": ("a.wav", spoken_wav)}

    def kept_by(*keys: str) -> TestClient:
        settings = Settings(studio=folder, allowed_hosts=("testserver",), api_keys=keys, store=str(place))
        return TestClient(create_app(settings, engine=scripted_engine))

    with kept_by(KEY) as browser:
        browser.post("/session", json={}, headers=BEARER)
        job = browser.post("/jobs", files=upload, headers=OWN_PAGE).json()
        assert [known["id"] for known in browser.get("/jobs", headers=BEARER).json()] == [job["id"]]
        session = browser.cookies["evoxtral_session"]
    with kept_by("new-key") as later:
        later.cookies.set("evoxtral_session", session)
        refused = later.get("/jobs")
        assert refused.status_code == 401
        assert "a session of none" in refused.json()["detail"]


def test_a_server_without_keys_begins_no_session(scripted_engine, folder):
    with server(scripted_engine, folder) as browser:
        answer = browser.post("/session", json={})
        assert answer.status_code == 404
        assert "set-cookie" not in answer.headers
        assert not browser.get("/capabilities").json()["asks_for_key"]
