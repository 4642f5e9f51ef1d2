"""Recordings at addresses, from a server on this machine that answers as servers do."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evoxtral.errors import AudioError
from evoxtral.inference.fetching import fetched
from evoxtral.retries import RetryPolicy

ONCE = RetryPolicy(attempts=1)
TWICE = RetryPolicy(attempts=2, first_wait_s=0.0)
SOUND = bytes(range(256)) * 300


@dataclass
class Site:
    """Answers `pages[path]` in turn, the last one for ever: status, headers, body; `authorizations` are those sent."""

    pages: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    authorizations: list[str | None] = field(default_factory=list)
    host: str = ""

    @property
    def address(self) -> str:
        return f"http://{self.host}"


@pytest.fixture
def site() -> Iterator[Site]:
    pages = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = pages.pages.get(self.path, [(404, {}, b"nothing here")])
            status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            pages.authorizations.append(self.headers["Authorization"])
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pages.host = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield pages
        server.shutdown()


def fetch(address: str, **options: object) -> bytes:
    with fetched(address, **({"retries": ONCE} | options)) as file:
        return file.read()


def test_what_is_there_is_fetched_also_by_way_of_another_address(site: Site) -> None:
    site.pages["/talk.ogg"] = [(200, {"Content-Type": "audio/ogg"}, SOUND)]
    site.pages["/latest"] = [(302, {"Location": "/talk.ogg"}, b"")]
    assert fetch(f"{site.address}/latest") == SOUND


def test_a_server_that_is_busy_or_breaks_off_is_asked_again(site: Site) -> None:
    whole = (200, {}, SOUND)
    site.pages["/busy"] = [(503, {"Retry-After": "0"}, b""), whole]
    site.pages["/breaks"] = [(200, {"Content-Length": str(len(SOUND) + 1)}, SOUND), whole]
    assert fetch(f"{site.address}/busy", retries=TWICE) == SOUND
    assert fetch(f"{site.address}/breaks", retries=TWICE) == SOUND


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {}, b""), "answered 404 (Not Found)"),
        ((401, {}, b""), "may want a login"),
        ((500, {}, b""), "cannot be fetched: answered 500 (Internal Server Error), 1 times"),
        ((200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>"), "is a page (text/html)"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "cannot be fetched: Request URL has an unsupported protocol"),
        ((302, {"Location": "/answer"}, b""), "maximum allowed redirects"),
        ((200, {"Content-Length": "9"}, b"short"), "cannot be fetched: peer closed connection"),
        ((200, {}, b"x" * 2001), "is larger than the"),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), "cannot be fetched"),
    ],
)
def test_anything_else_is_one_line_that_names_the_address(
    answer: tuple[int, dict[str, str], bytes], message: str, site: Site
) -> None:
    site.pages["/answer"] = [answer]
    with pytest.raises(AudioError) as raised:
        fetch(f"{site.address}/answer", max_bytes=2000)
    assert str(raised.value).startswith(f"{site.address}/answer: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_body_that_does_not_say_its_length_is_cut_at_the_limit(site: Site) -> None:
    """Compressed a thousand times, as a hostile server might: it is what comes out that counts."""
    import gzip

    site.pages["/bomb"] = [(200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(10**6)))]
    with pytest.raises(AudioError, match="is larger than the"):
        fetch(f"{site.address}/bomb", max_bytes=10**5)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://host/a.ogg", "http://", "http://[", "https:///a.ogg"])
def test_what_is_no_address_of_the_web_is_refused(address: str) -> None:
    with pytest.raises(AudioError):
        fetch(address)


def test_a_password_is_sent_and_never_shown(site: Site) -> None:
    site.pages["/secret"] = [(200, {}, SOUND)]
    assert fetch(f"http://me:hidden@{site.host}/secret") == SOUND
    assert site.authorizations == ["Basic bWU6aGlkZGVu"]  # base64 of "me:hidden"
    with pytest.raises(AudioError) as raised:
        fetch(f"http://me:hidden@{site.host}/none")
    assert "hidden" not in str(raised.value)
