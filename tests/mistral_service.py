"""A service on 127.0.0.1 that speaks the wire format of Mistral's `/v1/audio/speech`, by the SDK's own types."""

import base64
import io
import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import soundfile
from mistralai.client.models import SpeechRequest, SpeechResponse
from numpy.typing import NDArray

VOICES = frozenset({"voice_478", "voice_447", "voice_485", "voice_484"}) | frozenset(
    {"en_paul_neutral", "gb_jane_neutral", "gb_oliver_neutral"}
)
RATE_HZ = 24_000


def sound_of(text: str) -> NDArray[np.int16]:
    """What the service speaks: noise that depends on the text, 0.3 s a word."""
    rng = np.random.default_rng([*text.encode()])
    return rng.normal(0, 2_000, int(0.3 * RATE_HZ) * max(1, len(text.split()))).astype(np.int16)


def as_wav(samples: NDArray[np.int16]) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


@dataclass(frozen=True)
class Asked:
    """What a client sent."""

    key: str
    body: SpeechRequest


Fault = Callable[["SpeechHandler"], None]


class SpeechHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "MistralService"

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        body = SpeechRequest.model_validate_json(self.rfile.read(int(self.headers["content-length"])))
        asked = Asked(self.headers["authorization"].removeprefix("Bearer "), body)
        with self.server.lock:
            self.server.asked.append(asked)
            fault = self.server.faults.popleft() if self.server.faults else None
        if self.path != "/v1/audio/speech":
            self.refuse(404, "not_found", "no Route matched")
        elif asked.key not in self.server.keys:
            self.reply(401, json.dumps({"detail": "Unauthorized"}).encode())
        elif fault is not None:
            fault(self)
        elif body.additional_properties:
            faults = [{"loc": [name], "msg": "Extra inputs are not permitted"} for name in body.additional_properties]
            self.reply(422, json.dumps({"object": "error", "message": {"detail": faults}}).encode())
        elif body.voice_id not in VOICES:
            self.refuse(404, "invalid_voice", f"Voice '{body.voice_id}' not found.")
        else:
            self.speak(as_wav(sound_of(body.input)))

    def speak(self, wav: bytes) -> None:
        with self.server.lock:
            self.server.paid[self.server.asked[-1].body.input] += 1
        self.reply(200, SpeechResponse(audio_data=base64.b64encode(wav).decode()).model_dump_json().encode())

    def refuse(self, code: int, kind: str, message: str, **headers: str) -> None:
        body = {
            "object": "error",
            "message": message,
            "type": kind,
            "param": None,
            "code": "1",
            "raw_status_code": code,
        }
        self.reply(code, json.dumps(body).encode(), **headers)

    def reply(self, code: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(code)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def cut(self) -> None:
        """Close the connection without another word."""
        self.close_connection = True
        self.connection.shutdown(2)


class MistralService(ThreadingHTTPServer):
    """The service. `faults` are used up by the requests as they come.

    Attributes:
        asked: every request, in order of arrival.
        paid: how often a right answer was sent, by text.
    """

    daemon_threads = True

    def __init__(self, *keys: str) -> None:
        super().__init__(("127.0.0.1", 0), SpeechHandler)
        self.keys = frozenset(keys)
        self.faults: deque[Fault] = deque()
        self.asked: list[Asked] = []
        self.paid: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news."""


def refused(code: int, kind: str, message: str = "no", **headers: str) -> Fault:
    return lambda handler: handler.refuse(code, kind, message, **headers)
