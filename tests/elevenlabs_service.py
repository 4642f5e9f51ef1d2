"""A service on 127.0.0.1 that behaves, and misbehaves, like ElevenLabs' speech endpoints; for tests of the real SDK."""

import io
import json
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import soundfile
from numpy.typing import NDArray


def pcm_of(text: str, seed: int, rate_hz: int = 16_000) -> NDArray[np.int16]:
    """What the service speaks: noise that depends on text and seed, 0.3 s a word, the last 100 samples silent."""
    rng = np.random.default_rng([seed, *text.encode()])
    samples = rng.normal(0, 2_000, int(0.3 * rate_hz) * max(1, len(text.split())))
    samples[-100:] = 0
    return samples.astype(np.int16)


def as_mp3(samples: NDArray[np.int16]) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="MP3", subtype="MPEG_LAYER_III")
    return buffer.getvalue()


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    key: str
    voice_id: str
    output_format: str
    body: dict[str, Any]

    @property
    def text(self) -> str:
        if "inputs" in self.body:
            return " ".join(turn["text"] for turn in self.body["inputs"])
        return str(self.body["text"])

    @property
    def characters(self) -> int:
        return sum(len(turn["text"]) for turn in self.body.get("inputs", [{"text": self.text}]))


@dataclass
class Account:
    """What belongs to a key: how many requests at once, how many characters are left, and what was seen."""

    limit: int = 5
    quota: int = 10**9
    reserved: int = 0
    others: int = 0
    current: int = 0
    peak: int = 0
    requests: int = 0
    may_read_history: bool = True
    history: list[dict[str, Any]] = field(default_factory=list)
    sounds: dict[str, NDArray[np.int16]] = field(default_factory=dict)


# A fault gets the request and the handler, and answers in the service's place.
Fault = Callable[[Request, "Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Service"

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        output_format = parse_qs(url.query)["output_format"][0]
        request = Request(self.headers["xi-api-key"], url.path.rsplit("/", 1)[1], output_format, body)
        self.server.answer(request, self)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        account = self.server.accounts.get(self.headers["xi-api-key"])
        if account is None or not account.may_read_history:
            self.refuse(401, "missing_permissions", "The API key is missing the permission speech_history_read")
            return
        self.server.histories_asked += 1
        if self.server.history_failures > 0:
            self.server.history_failures -= 1
            self.refuse(503, "oops")
            return
        if url.path == "/v1/history":
            asked = parse_qs(url.query)
            items = [item for item in account.history if item["date_unix"] >= int(asked["date_after_unix"][0])][::-1]
            names = [item["history_item_id"] for item in items]
            if "start_after_history_item_id" in asked:
                items = items[names.index(asked["start_after_history_item_id"][0]) + 1 :]
            page = items[: self.server.history_page]
            body = {"history": page, "has_more": len(page) < len(items), "scanned_until": None}
            body["last_history_item_id"] = page[-1]["history_item_id"] if page else None
            self.reply(200, json.dumps(body).encode())
            return
        name = url.path.removeprefix("/v1/history/").removesuffix("/audio")
        self.reply(200, as_mp3(account.sounds[name]), "audio/mpeg")

    def do_HEAD(self) -> None:
        self.send_error(404)

    def refuse(self, code: int, status: str, message: str = "no", **headers: str) -> None:
        self.reply(code, json.dumps({"detail": {"status": status, "message": message}}).encode(), **headers)

    def reply(self, code: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.begin(code, len(content), kind, **headers)
        self.wfile.write(content)

    def begin(self, code: int, length: int, kind: str, **headers: str) -> None:
        account = self.server.accounts.get(self.headers["xi-api-key"])
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(length))
        if account is not None:
            self.send_header("current-concurrent-requests", str(account.current + account.others))
            self.send_header("maximum-concurrent-requests", str(account.limit))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def cut(self) -> None:
        """Close the connection without another word."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(2)


class Service(ThreadingHTTPServer):
    """The service. `faults` are used up by the requests as they come; None in it is a right answer.

    Attributes:
        requests: every request, in order of arrival.
        paid: how often an answer with sound was begun, by text.
        charged: characters charged.
        hold: while this is cleared, right answers wait.
        waiting: set (by the service) when an answer waits for `hold`.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, **accounts: Account) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.accounts = accounts
        self.faults: deque[Fault | None] = deque()
        self.requests: list[Request] = []
        self.paid: Counter[str] = Counter()
        self.charged = 0
        self.tells_cost = True
        self.history_page = 1_000
        self.histories_asked = 0
        self.history_failures = 0
        self.hold = threading.Event()
        self.hold.set()
        self.waiting = threading.Event()
        self.meeting: threading.Barrier | None = None
        self._lock = threading.Lock()
        self._connections = 0
        self._charges = 0
        self._all_closed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def wait_for_silence(self) -> None:
        """Return when every request that was ever sent is dealt with; clients must be gone or have hung up."""
        with socket.create_connection(self.server_address[:2]) as last:  # queued behind all others
            last.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            last.recv(1)
        with self._all_closed:
            assert self._all_closed.wait_for(lambda: self._connections == 0, 20)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._all_closed:
            self._connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._all_closed:
            self._connections -= 1
            self._all_closed.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no news."""

    def answer(self, request: Request, handler: Handler) -> None:
        with self._lock:
            self.requests.append(request)
            fault = self.faults.popleft() if self.faults else None
            account = self.accounts.get(request.key)
            crowded = account is not None and account.current + account.others >= account.limit
            if account is not None:
                account.requests += 1
                if not crowded:
                    account.current += 1
                    account.peak = max(account.peak, account.current)
            # Taken together: two requests must not both be given what is left for one.
            is_affordable = account is not None and account.quota - account.reserved >= len(request.text)
            if account is not None and not crowded and is_affordable:
                account.reserved += len(request.text)
        if account is None:
            handler.refuse(401, "invalid_api_key", f"Invalid API key {request.key}")
            return
        if crowded:
            handler.refuse(429, "too_many_concurrent_requests")
            return
        try:
            if fault is not None:
                fault(request, handler)
            elif not is_affordable:
                handler.refuse(401, "quota_exceeded", f"This request exceeds your quota of {account.quota}.")
            else:
                self.speak(request, handler)
        finally:
            with self._lock:
                account.current -= 1
                account.reserved -= len(request.text) if is_affordable else 0

    def charge(self, request: Request) -> dict[str, str]:
        """Take the price of a request; the headers that tell of it."""
        with self._lock:
            self.paid[request.text] += 1
            self.charged += request.characters
            account = self.accounts[request.key]
            number = self._charges = self._charges + 1
            # As the SDK's `SpeechHistoryItemResponse`; the seed is not among its fields.
            item = {
                "history_item_id": f"item-{number}",
                "request_id": f"request-{number}",
                "voice_id": request.voice_id,
                "model_id": request.body["model_id"],
                "text": request.text,
                "date_unix": int(time.time()),
                "character_count_change_from": 10**9 - account.quota,
                "character_count_change_to": 10**9 - account.quota + request.characters,
                "content_type": "audio/mpeg",
                "state": "created",
                "source": "TTS",
            }
            if "inputs" in request.body:
                item |= {"text": None, "voice_id": None}
                item["dialogue"] = [{**turn, "voice_name": "?"} for turn in request.body["inputs"]]
            account.quota -= request.characters
            account.history.append(item)
            account.sounds[f"item-{number}"] = pcm_of(request.text, request.body["seed"])
        told = {"character_cost": str(request.characters)} if self.tells_cost else {}
        return {"request_id": f"request-{number}", **told}

    def speak(self, request: Request, handler: Handler) -> None:
        if self.meeting is not None:
            self.meeting.wait(20)
        if not self.hold.is_set():
            self.waiting.set()
            self.hold.wait(20)
        rate_hz = int(request.output_format.removeprefix("pcm_"))
        content = pcm_of(request.text, request.body["seed"], rate_hz).tobytes()
        handler.reply(200, content, "audio/pcm", **self.charge(request))


def refusal(code: int, status: str, message: str = "no", **headers: str) -> Fault:
    return lambda request, handler: handler.refuse(code, status, message, **headers)


def cut_at_once(request: Request, handler: Handler) -> None:
    handler.cut()


def cut_in_the_middle(request: Request, handler: Handler) -> None:
    content = pcm_of(request.text, request.body["seed"]).tobytes()
    handler.begin(200, len(content), "audio/pcm", **handler.server.charge(request))
    handler.wfile.write(content[: len(content) // 2])
    handler.cut()


def silence_until_hung_up(request: Request, handler: Handler) -> None:
    """Say nothing at all until the client has closed the connection."""
    handler.connection.recv(1)
    handler.close_connection = True


def sound(content: bytes, kind: str = "audio/pcm") -> Fault:
    """Charge the request, and send something else."""
    return lambda request, handler: handler.reply(200, content, kind, **handler.server.charge(request))


GARBAGE: dict[str, Fault] = {
    "empty": sound(b""),
    "half a sample": sound(bytes(pcm_of("one two three", 0).tobytes()[:-1])),
    "too short": sound(pcm_of("one", 0)[:500].tobytes()),
    "all zeros": sound(bytes(64_000)),
    "random bytes": sound(np.random.default_rng(0).bytes(64_000)),
    "WAV": sound(b"RIFF" + pcm_of("one two three", 0).tobytes()),
    "MP3": sound(b"ID3\x04" + np.random.default_rng(1).bytes(64_000)),
    "HTML": sound(b"<html><body>Bad gateway</body></html>" * 2_000, "text/html"),
    "JSON": sound(json.dumps({"audio": "x" * 64_000}).encode(), "application/json"),
}


@dataclass
class Naps:
    """Pauses that take no time; those asked for are noted."""

    taken_s: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.taken_s.append(seconds)


def running(accounts: Iterable[tuple[str, Account]]) -> Service:
    """A service that answers from a thread of its own; `shutdown()` ends it."""
    service = Service(**dict(accounts))
    threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
    return service
