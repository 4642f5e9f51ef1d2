"""The remote engine against a local server that answers as real ones do on bad days."""

import email.message
import email.parser
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, resample
from evoxtral.errors import ModelError
from evoxtral.inference import load_engine
from evoxtral.inference.engines.remote import RemoteEngine
from evoxtral.inference.pipeline import transcribe
from evoxtral.models import ModelStore
from evoxtral.tts.espeak import SAMPLE_RATE_HZ as ESPEAK_RATE_HZ
from evoxtral.tts.espeak import synthesize

TEXT = "[excited] It WORKS! [laughs]"


@dataclass
class Server:
    """Answers request number n with `answers[n]` (the last one for all further), and remembers what it was sent."""

    address: str = ""
    answers: list[Any] = field(default_factory=lambda: [(200, {"text": TEXT})])
    forms: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def parse_form(content_type: str, body: bytes) -> dict[str, Any]:
    message = email.parser.BytesParser().parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    form = {}
    for part in message.get_payload():
        name = part.get_param("name", header="Content-Disposition")
        data = part.get_payload(decode=True)
        form[name] = data if part.get_filename() else data.decode()
    return form


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with state.lock:
                state.forms.append(parse_form(self.headers["Content-Type"], body))
                state.keys.append(self.headers["Authorization"])
                state.paths.append(self.path)
                answer = state.answers[min(len(state.forms), len(state.answers)) - 1]
            if answer == "cut":
                self.close_connection = True
                self.connection.close()
                return
            if callable(answer):
                answer = answer(state.forms[-1])
            status, content, *headers = answer
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    state.address = f"http://127.0.0.1:{http.server_address[1]}/v1"
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def engine(server: Server) -> RemoteEngine:
    return RemoteEngine(f"{server.address}#some-model", first_wait_s=0.001)


def sound(length: int = 8000) -> NDArray[np.float32]:
    return np.random.default_rng(length).uniform(-0.5, 0.5, length).astype(np.float32)


def test_sends_what_openais_clients_send(server: Server) -> None:
    window = sound()
    assert engine(server).transcribe_windows([window], language="de")[0].text == TEXT
    (form,) = server.forms
    np.testing.assert_allclose(load_audio(io.BytesIO(form.pop("file"))), window, atol=1 / 32768)
    assert form == {"model": "some-model", "language": "de", "response_format": "json", "temperature": "0"}
    assert server.paths == ["/v1/audio/transcriptions"]
    assert SAMPLE_RATE_HZ == 16_000


def test_windows_come_back_in_order_though_sent_together(server: Server) -> None:
    server.answers = [lambda form: (200, {"text": str(len(load_audio(io.BytesIO(form["file"]))))})]
    windows = [sound(1000 + index) for index in range(20)]
    texts = [hypothesis.text for hypothesis in engine(server).transcribe_windows(windows)]
    assert texts == [str(1000 + index) for index in range(20)]


@pytest.mark.parametrize(
    "trouble",
    [
        [(500, {"detail": "oops"})],
        [(409, {"detail": "the model is being loaded"}), (425, b"")],
        [(503, b"", ("Retry-After", "0"))],
        [(429, b"slow down", ("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"))],
        ["cut"],
        [(502, b"<html>"), "cut", (429, b"", ("Retry-After", "nonsense")), (504, b"")],
    ],
    ids=["500", "409 and 425", "503", "429 with a date", "cut connection", "all of it"],
)
def test_passing_trouble_is_waited_out(server: Server, trouble: list[Any]) -> None:
    server.answers = [*trouble, (200, {"text": TEXT})]
    assert engine(server).transcribe_windows([sound()])[0].text == TEXT
    assert len(server.forms) == len(trouble) + 1


def test_waits_grow_from_one_failure_to_the_next(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits_s: list[float] = []
    monkeypatch.setattr("evoxtral.inference.engines.remote.time.sleep", waits_s.append)
    server.answers = [(429, b"")]
    with pytest.raises(ModelError):
        RemoteEngine(f"{server.address}#m", first_wait_s=8.0).transcribe_windows([sound()])
    assert len(waits_s) == 5
    # 8, 16, 32, 60, 60 s at most, and half of that at least.
    for waited_s, step_s in zip(waits_s, (8, 16, 32, 60, 60), strict=True):
        assert step_s / 2 <= waited_s <= step_s


@pytest.mark.parametrize(
    "address",
    [
        "http://me:sk-secret@gpu-box:8000/v1#m",
        "HTTPS://sk-secret@gpu-box/v1",
        "http://:sk-secret@gpu-box",
        "http://me:sk/secret@gpu-box/v1",
        "http://me:sk#secret@gpu-box/v1",
        "me:sk-secret@gpu-box/v1",
        "edge+https://me:sk-secret@gpu-box/x",
    ],
)
@pytest.mark.parametrize("offline", [False, True])
def test_a_password_in_an_address_is_never_told(address: str, offline: bool) -> None:
    with pytest.raises(ModelError) as caught:
        load_engine(address, store=ModelStore(offline=offline))
    assert "secret" not in str(caught.value)


def test_lasting_trouble_is_reported_after_a_few_attempts(server: Server) -> None:
    server.answers = [(503, b"")]
    with pytest.raises(ModelError, match=r"answered 503, 6 times in a row"):
        engine(server).transcribe_windows([sound()])
    assert len(server.forms) == 6


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match=r"http://127\.0\.0\.1:9/v1/audio/transcriptions: "):
        RemoteEngine("http://127.0.0.1:9/v1", first_wait_s=0.001).transcribe_windows([sound()])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, {"error": {"message": "The model `x` does not exist."}}), "The model `x` does not exist."),
        ((413, {"title": "Too large", "detail": "At most 25 MB."}), "At most 25 MB."),
        ((400, b"plain\nwords"), "plain words"),
        ((200, b"<html>a login page</html>"), "a login page"),
        ((200, {"segments": []}), "segments"),
    ],
)
def test_a_refusal_is_given_in_the_servers_words_and_not_repeated(
    server: Server, answer: tuple[int, Any], message: str
) -> None:
    server.answers = [answer]
    with pytest.raises(ModelError, match=f"answered {answer[0]}: .*{message}"):
        engine(server).transcribe_windows([sound()])
    assert len(server.forms) == 1


def test_the_key_comes_from_the_environment_and_stays_out_of_messages(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOXTRAL_REMOTE_KEY", "sk-secret")
    engine(server).transcribe_windows([sound()])
    assert server.keys == ["Bearer sk-secret"]
    server.answers = [(401, {"error": {"message": "bad key sk-secret"}})]
    with pytest.raises(ModelError, match=r"refused the key \(set EVOXTRAL_REMOTE_KEY\)") as caught:
        engine(server).transcribe_windows([sound()])
    assert "sk-secret" not in str(caught.value)
    with pytest.raises(ModelError, match="gpu-box: an address must not hold a key") as caught:
        RemoteEngine("https://me:sk-secret@gpu-box/v1")
    assert "sk-secret" not in str(caught.value)


def test_openais_key_is_for_openai_only(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVOXTRAL_REMOTE_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-general")
    engine(server).transcribe_windows([sound()])
    assert server.keys == [None]
    openai = RemoteEngine("https://api.openai.com/v1#whisper-1")
    assert openai._client.headers["Authorization"] == "Bearer sk-general"


def events(*data: object, kind: str = "text/event-stream; charset=utf-8") -> tuple[int, bytes, tuple[str, str]]:
    lines = [item if isinstance(item, str) else json.dumps(item) for item in data]
    return 200, "".join(f"data: {line}\n\n" for line in lines).encode(), ("Content-Type", kind)


# As https://platform.openai.com/docs/api-reference/audio/transcript-text-delta-event and vLLM's server have them.
OPENAI = events(
    {"type": "transcript.text.delta", "delta": "[excited] It"},
    {"type": "transcript.text.delta", "delta": " WORKS!"},
    {"type": "transcript.text.delta", "delta": " [laughs]"},
    {"type": "transcript.text.done", "text": TEXT},
)
VLLM = events(
    {"object": "transcription.chunk", "choices": [{"delta": {"content": " [excited] It"}}]},
    {"object": "transcription.chunk", "choices": [{"delta": {"content": " WORKS!"}}]},
    {"object": "transcription.chunk", "choices": [{"delta": {"content": " [laughs]"}, "finish_reason": "stop"}]},
    {"object": "transcription.chunk", "choices": [], "usage": {"completion_tokens": 9}},
    "[DONE]",
)


@pytest.mark.parametrize("answer", [OPENAI, VLLM], ids=["OpenAI", "vLLM"])
def test_texts_stream_in_the_dialects_of_the_servers(server: Server, answer: Any) -> None:
    server.answers = [(503, b"", ("Retry-After", "0")), answer]
    assert list(engine(server).stream_window(sound())) == ["[excited] It", " WORKS!", " [laughs]"]
    assert server.forms[-1]["stream"] == "true"


def test_a_server_that_does_not_stream_gives_the_text_at_once(server: Server) -> None:
    assert list(engine(server).stream_window(sound())) == [TEXT]
    server.answers = [(200, {"text": " "})]
    assert list(engine(server).stream_window(sound())) == []
    server.answers = [(404, {"error": {"message": "no such model"}})]
    with pytest.raises(ModelError, match="answered 404: no such model"):
        list(engine(server).stream_window(sound()))


@pytest.mark.parametrize(
    ("trouble", "message"),
    [
        ([{"error": {"message": "the GPU is gone"}}], "broke off: the GPU is gone"),
        (["<html>"], "broke off: <html>"),
        ([], "broke off in the middle of a text"),
    ],
)
def test_a_stream_that_breaks_off_is_an_error_after_what_came(server: Server, trouble: Any, message: str) -> None:
    server.answers = [events({"type": "transcript.text.delta", "delta": "[excited]"}, *trouble)]
    stream = engine(server).stream_window(sound())
    assert next(stream) == "[excited]"
    with pytest.raises(ModelError, match=message):
        next(stream)


def test_a_remote_model_is_named_by_its_address(server: Server) -> None:
    loaded = load_engine(f"{server.address}#some-model")
    assert (loaded.name, loaded.model) == ("remote", f"{server.address}#some-model")
    with pytest.raises(ModelError, match="is not an address"):
        RemoteEngine("http:///nowhere")
    with pytest.raises(ModelError, match="adapter"):
        load_engine(server.address, "some/adapter")


def test_an_endpoint_that_turns_french_into_english_is_not_believed(server: Server) -> None:
    samples, _ = synthesize("Bonjour à tous, la réunion commence à neuf heures dans la grande salle.", "fr")
    french = resample(samples, ESPEAK_RATE_HZ, SAMPLE_RATE_HZ)
    # What servers answer as the language is the one that they were asked for.
    server.answers = [(200, {"text": "I will call the police.", "language": "en"})]
    heard = transcribe(french, engine=engine(server), times=False)
    assert (heard.text, len(heard.notes)) == ("", 1)
