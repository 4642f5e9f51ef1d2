"""How the Studio's files are served: what browsers keep, what they ask for again, and what replaces a missing build."""

import os

import pytest
from fastapi.testclient import TestClient

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "_next/static/chunks").mkdir(parents=True)
    (tmp_path / "_next/static/chunks/a1b2.js").write_text("let a = 1")
    (tmp_path / "index.html").write_text("<p>version 1</p>")
    (tmp_path / "404.html").write_text("<p>lost</p>")
    return tmp_path


@pytest.fixture
def browser(folder, scripted_engine):
    with TestClient(
        create_app(Settings(studio=folder, allowed_hosts=("testserver",)), engine=scripted_engine)
    ) as client:
        yield client


def test_the_page_is_at_the_root_and_the_api_stays_where_it_was(browser):
    page = browser.get("/")
    assert page.text == "<p>version 1</p>"
    assert page.headers["content-type"].startswith("text/html")
    assert browser.get("/health").json()["status"] == "ok"
    assert browser.get("/docs").status_code == 200


def test_hashed_files_are_kept_for_good(browser):
    response = browser.get("/_next/static/chunks/a1b2.js")
    assert response.headers["content-type"].startswith("text/javascript")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_the_page_is_asked_for_again_and_sent_only_when_it_changed(browser, folder):
    first = browser.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = browser.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")

    # Another version of the same size and date, as reproducible images have it.
    date = (folder / "index.html").stat()
    (folder / "index.html").write_text("<p>version 2</p>")
    os.utime(folder / "index.html", ns=(date.st_atime_ns, date.st_mtime_ns))
    changed = browser.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, changed.text) == (200, "<p>version 2</p>")


def test_what_does_not_exist_is_not_found_whatever_the_method(browser):
    assert browser.get("/nowhere").status_code == 404
    missing = browser.post("/v1/nothing", json={})
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


def test_files_outside_the_folder_stay_there(browser, folder):
    (folder.parent / "secret.txt").write_text("secret")
    for path in ("/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt"):
        assert "secret" not in browser.get(path).text


def test_without_a_build_the_root_says_how_to_get_one(client):
    page = client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "make studio" in page.text
    problem = client.get("/", headers={"Accept": "application/json"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert "make studio" in problem.json()["hint"]
