"""The language-model writer against a local endpoint, in both dialects, that misbehaves in every way we know of."""

import json
import random
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from evoxtral.corpus.briefs import Brief, EdgeCase, plan
from evoxtral.corpus.writers.acceptance import find_fault
from evoxtral.corpus.writers.llm import WritingReport, write_scripts
from evoxtral.data.corpus_config import ScriptsConfig
from evoxtral.data.records import Domain, Script, SliceType
from evoxtral.errors import CorpusError
from evoxtral.tags import tag_names

SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "al", "en", "ir", "os", "um")]


class Author:
    """Writes what an item asks for, in words that nobody has heard, so that no two texts are alike."""

    def __init__(self) -> None:
        self._rng = random.Random(1)

    def words(self, count: int) -> str:
        return " ".join("".join(self._rng.choices(SYLLABLES, k=3)) for _ in range(count))

    def write(self, item: str) -> str:
        text = self.write_line(item)
        if "a dialogue of the two" not in item:
            return text
        return f"{self.words(3)}?\n{text}\nB: {self.words(1)}."

    def write_line(self, item: str) -> str:
        tags = re.findall(r"\[[a-z ]+\]", item.partition("tags, all of them: ")[2].partition(";")[0])
        if "one to four words" in item:
            return f"{self.words(1)} {' '.join(tags)} {self.words(2)}."
        more = [self.words(8 if "85 to 115" not in item else 85 - 6 * len(tags))]
        if "one or two words in CAPITALS" in item:
            more.append(f"{self.words(1)} {self.words(1).upper()} {self.words(2)}")
        if "hesitation" in item:
            more.append(f"{self.words(1)}... {self.words(1)}")
        plain = f"{'. '.join(more)}."
        if "begins with a tag" in item:
            inner = "".join(f" {tag} {self.words(4)}." for tag in tags[1:-1])
            return f"{tags[0]} {self.words(3)}.{inner} {plain} {tags[-1]}"
        if "directly one after the other" in item:
            return f"{plain} {self.words(2)} {' '.join(tags)} {self.words(2)}."
        return " ".join([plain, *(f"{self.words(3)} {tag} {self.words(3)}." for tag in tags)])


# What an answer's items become before they are sent, or a reply instead of them.
Spoil = Callable[[list[dict[str, Any]]], Any]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Model"

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.answer(self, body)

    def reply(self, code: int, content: Any, **headers: str) -> None:
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)


class Model(ThreadingHTTPServer):
    """The endpoint.

    Attributes:
        spoils: used up by the answers as they are made; None leaves one as it is.
        faults: used up by the requests as they come; each answers in the model's place.
        requests: (path, headers, body) of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.author = Author()
        self.spoils: deque[Spoil | None] = deque()
        self.spoil_always: Spoil | None = None
        self.faults: deque[Callable[[Handler], None]] = deque()
        self.formats: tuple[str | None, ...] = ("json_schema", "json_object", None)
        self.tells_usage = True
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.meeting: threading.Barrier | None = None
        self.current = self.peak = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][-1]["content"] for _, _, body in self.requests]

    def answer(self, handler: Handler, body: dict[str, Any]) -> None:
        with self._lock:
            headers = {name.lower(): value for name, value in handler.headers.items()}
            self.requests.append((handler.path, headers, body))
            self.current += 1
            self.peak = max(self.peak, self.current)
            fault = self.faults.popleft() if self.faults else None
            prompt = body["messages"][-1]["content"]
            items = [
                {"number": int(line.partition(".")[0]), "text": self.author.write(line), "asked": line}
                for line in prompt.splitlines()
                if re.match(r"\d+\. ", line)
            ]
            spoil = self.spoils.popleft() if self.spoils else self.spoil_always
        if self.meeting is not None:
            self.meeting.wait(20)
        with self._lock:
            self.current -= 1
        if fault is not None:
            fault(handler)
            return
        if body.get("response_format", {}).get("type") not in self.formats:
            handler.reply(400, {"error": {"message": "This server does not support 'response_format'."}})
            return
        answer: Any = {"scripts": items}
        if spoil is not None:
            spoiled = spoil(items)
            answer = answer if spoiled is None else spoiled
        if isinstance(answer, dict):
            for item in answer.get("scripts", []):
                if isinstance(item, dict):
                    item.pop("asked", None)
        if handler.path.endswith("/v1/messages"):
            self._answer_as_anthropic(handler, answer)
        else:
            self._answer_as_openai(handler, answer)

    def _answer_as_openai(self, handler: Handler, answer: Any) -> None:
        content = answer if isinstance(answer, str) or answer is REFUSAL else json.dumps(answer)
        message = {"role": "assistant", "content": None if answer is REFUSAL else content}
        usage = {"usage": {"prompt_tokens": 900, "completion_tokens": 100}} if self.tells_usage else {}
        handler.reply(200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **usage})

    def _answer_as_anthropic(self, handler: Handler, answer: Any) -> None:
        if isinstance(answer, str):
            content: list[dict[str, Any]] = [{"type": "text", "text": answer}]
        elif answer is REFUSAL:
            content = []
        else:
            content = [{"type": "tool_use", "id": "t", "name": "scripts", "input": answer}]
        stop_reason = "refusal" if answer is REFUSAL else "tool_use"
        usage = {"input_tokens": 900, "output_tokens": 100}
        handler.reply(200, {"role": "assistant", "content": content, "stop_reason": stop_reason, "usage": usage})


REFUSAL = object()


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    threading.Thread(target=model.serve_forever, args=(0.05,), daemon=True).start()
    yield model
    model.shutdown()
    model.server_close()


class Naps:
    def __init__(self) -> None:
        self.taken_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken_s.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def write(model: Model, naps: Naps, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have `count` scripts written; returns them and the report."""
    monkeypatch.setenv("WRITER_KEY", "secret-key")

    def write(
        count: int, *, existing: list[Script] | None = None, **choices: Any
    ) -> tuple[list[Script], WritingReport]:
        given = {"writer": "openai", "model": "m-1", "base_url": model.url, "api_key_variable": "WRITER_KEY"}
        config = ScriptsConfig(count=count, **{**given, **choices})
        scripts: list[Script] = []
        report = write_scripts(config, existing=existing or [], on_script=scripts.append, sleep=naps)
        assert report.written == len(scripts)
        return scripts, report

    return write


def assert_as_planned(scripts: list[Script], count: int) -> None:
    """The scripts are what the plan for a new corpus asks for, one for each brief."""

    def kinds(items: Any) -> Counter[Any]:
        return Counter((item.slice_type, item.domain, tuple(sorted(tags(item)))) for item in items)

    def tags(item: Any) -> Any:
        return item.tags if isinstance(item, Brief) else tag_names(item.tagged_text)

    assert kinds(scripts) == kinds(plan(count))
    assert len({script.id for script in scripts}) == count
    assert len({script.tagged_text for script in scripts}) == count
    assert Counter((script.domain, len(script.turns) > 0) for script in scripts) == Counter(
        (brief.domain, brief.speakers == 2) for brief in plan(count)
    )
    for script in scripts:
        assert script.told is not None
        assert len(script.told) == len(tag_names(script.tagged_text))


# --- what is asked and answered -------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", ["openai", "anthropic"])
def test_every_brief_gets_its_script(model: Model, write: Any, writer: str) -> None:
    scripts, report = write(120, writer=writer)
    assert_as_planned(scripts, 120)
    assert {script.writer for script in scripts} == {f"{writer}:m-1"}
    assert report.rejections == {}
    assert (report.wanted, report.left, report.stopped) == (120, 0, None)
    assert report.requests == len(model.requests) == 24
    assert report.tokens == 24_000


def test_the_openai_dialect(model: Model, write: Any) -> None:
    write(5)
    path, headers, body = model.requests[0]
    assert path == "/chat/completions"
    assert headers["authorization"] == "Bearer secret-key"
    assert body["model"] == "m-1"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    form = body["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["properties"]["scripts"]["type"] == "array"
    assert form["schema"]["additionalProperties"] is False
    for name in ("excited", "clears throat", "stammers", "pause"):
        assert f"[{name}]" in body["messages"][0]["content"]


def test_the_anthropic_dialect(model: Model, write: Any) -> None:
    write(5, writer="anthropic")
    path, headers, body = model.requests[0]
    assert path == "/v1/messages"
    assert headers["x-api-key"] == "secret-key"
    assert headers["anthropic-version"] == "2023-06-01"
    assert body["max_tokens"] > 1_000
    assert body["tool_choice"] == {"type": "tool", "name": body["tools"][0]["name"]}
    assert body["tools"][0]["input_schema"]["required"] == ["scripts"]


def test_briefs_differ_in_who_speaks_about_what_and_how(model: Model, write: Any) -> None:
    write(100)
    items = [line for prompt in model.prompts for line in prompt.splitlines() if "speaker: " in line]
    drawn = [re.search(r"speaker: (.*?); to: .*?; about: (.*?); wants: .*?; register: (.*?);", item) for item in items]
    assert len(items) == 100
    for group, at_least in ((1, 25), (2, 30), (3, 12)):
        assert len({found[group] for found in drawn if found}) >= at_least
    assert len({found[0] for found in drawn if found}) >= 99


def test_a_brief_is_told_its_speakers_moods_and_what_the_words_must_not_give_away(model: Model, write: Any) -> None:
    scripts, _ = write(100, concurrency=1)
    items = [line for prompt in model.prompts for line in prompt.splitlines() if "speaker: " in line]
    for brief, item, script in zip(plan(100), items, scripts, strict=True):
        assert ("a dialogue of the two" in item) == (brief.speakers == 2) == bool(script.turns)
        assert not brief.arc or "mood: " in item
        hidden = [tag for tag, told in zip(brief.tags, brief.told, strict=True) if not told]
        if brief.edge_case is None and hidden:
            assert "not to be given away by the words: " + ", ".join(f"[{tag}]" for tag in hidden) in item
        assert Counter(zip(tag_names(script.tagged_text), script.told, strict=True)) == Counter(
            zip(brief.tags, brief.told, strict=True)
        )


def test_the_rules_say_where_people_do_what_tags_stand_for(model: Model, write: Any) -> None:
    write(1)
    system = model.requests[0][2]["messages"][0]["content"]
    # The row's weights: 0.18 start, 0.17 behind commas, 0.06 inside, 0.59 end.
    assert "[laughs] at a sentence's end 59%, at a sentence's start 18%, behind a comma 17%" in system


def test_beginnings_are_not_to_be_repeated(model: Model, write: Any) -> None:
    scripts, _ = write(10, concurrency=1)
    first = re.sub(r"\[[^]]*\] ?", "", scripts[0].tagged_text)
    assert "Do not begin like these" in model.prompts[1]
    assert " ".join(first.split()[:2]) in model.prompts[1]


def test_requests_are_sent_together_up_to_the_limit(model: Model, write: Any) -> None:
    model.meeting = threading.Barrier(3)  # broken, if not three are under way at once
    write(45, concurrency=3)
    assert model.peak == 3


def test_an_alias_is_kept_as_the_tag_that_it_means(model: Model, write: Any) -> None:
    def rename(items: list[dict[str, Any]]) -> None:
        for item in items:
            item["text"] = item["text"].replace("[laughs]", "[Giggles]").replace("[whispers]", "[softly whispering]")

    model.spoil_always = rename
    scripts, report = write(80)
    assert report.rejections == {}
    assert "Giggles" not in " ".join(script.tagged_text for script in scripts)
    assert_as_planned(scripts, 80)


# --- what the model gets wrong --------------------------------------------------------------------------------------


def each(change: Callable[[str], str]) -> Spoil:
    def spoil(items: list[dict[str, Any]]) -> None:
        for item in items:
            item["text"] = change(item["text"])

    return spoil


def drop_last(items: list[dict[str, Any]]) -> None:
    items.pop()


def number_wrongly(items: list[dict[str, Any]]) -> None:
    for item in items:
        item["number"] += 100


def forget_the_text(items: list[dict[str, Any]]) -> None:
    del items[0]["text"]


# name -> (spoil, kind of fault, what the model is told)
WRONG: dict[str, tuple[Spoil, str, str]] = {
    "unknown tag": (each(lambda text: f"[gunshot] {text}"), "unknown tag", "[gunshot] is no tag of the list"),
    "a tag too many": (each(lambda text: f"[sad] {text}"), "wrong tags", "1 x [sad] too many"),
    "markup": (each(lambda text: f"{text} *waves*"), "markup", "'*' is not spoken text"),
    "stage direction": (each(lambda text: f"(quietly) {text}"), "markup", "'(' is not spoken text"),
    "speaker": (each(lambda text: f"Anna: {text}"), "markup", "no names of speakers"),
    "open bracket": (each(lambda text: f"{text} and ["), "markup", "brackets that are no tag"),
    "too long": (each(lambda text: text + " so" * 150), "wrong length", "words, and must have"),
    "empty": (each(lambda text: ""), "wrong", "must have"),
    "not JSON": (lambda items: "Sure! Here are your scripts: 1. Hello", "not JSON", "was not JSON"),
    "brackets without end": (lambda items: "[" * 50_000, "not JSON", "was not JSON"),
    "cut off": (lambda items: json.dumps({"scripts": items})[:-40], "not JSON", "was not JSON"),
    "other JSON": (lambda items: {"texts": "none"}, "wrong schema", 'no list "scripts"'),
    "an item missing": (drop_last, "missing", "did not have this item"),
    "other numbers": (number_wrongly, "missing", "did not have this item"),
    "a malformed item": (forget_the_text, "missing", "did not have this item"),
    "refusal": (lambda items: REFUSAL, "refused", "refused to answer"),
}


@pytest.mark.parametrize("writer", ["openai", "anthropic"])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_asked_again_with_the_reason(model: Model, write: Any, name: str, writer: str) -> None:
    spoil, kind, told = WRONG[name]
    model.spoils.append(spoil)
    scripts, report = write(20, writer=writer, concurrency=1)
    assert_as_planned(scripts, 20)
    assert report.given_up == []
    assert 1 <= sum(report.rejections.values()) <= 5
    assert all(found.startswith(kind) for found in report.rejections)
    asked_again = [prompt for prompt in model.prompts if "An earlier answer was refused" in prompt]
    assert len(asked_again) == sum(report.rejections.values())
    assert all(told in prompt for prompt in asked_again)


def test_near_duplicates_are_asked_again(model: Model, write: Any) -> None:
    seen: dict[str, str] = {}

    def repeat(items: list[dict[str, Any]]) -> None:
        for item in items:
            is_line = "dialogue" not in item["asked"]
            if is_line and "tags: none" in item["asked"] and "words; no" in item["asked"]:
                first = seen.setdefault("text", item["text"])
                item["text"] = first.rsplit(" ", 1)[0] + " changed."

    model.spoils.extend([repeat] * 6)
    scripts, report = write(40, concurrency=1)
    assert_as_planned(scripts, 40)
    assert set(report.rejections) == {"near duplicate"}
    assert any("too much like another script" in prompt for prompt in model.prompts)


def test_a_text_like_an_existing_script_is_refused(model: Model, write: Any) -> None:
    old = Script(
        id="llm-000001",
        tagged_text="We sold the boat before anybody asked why it was there.",
        slice_type=SliceType.PLAIN,
        domain=Domain.PODCAST,
        writer="import:old",
    )

    def copy(items: list[dict[str, Any]]) -> None:
        for item in items:
            if "tags: none" in item["asked"] and "dialogue" not in item["asked"]:
                item["text"] = "We sold the boat before anyone asked why it was there."

    model.spoils.extend([copy] * 4)
    scripts, report = write(21, existing=[old], concurrency=1)
    assert len(scripts) == 20
    assert set(report.rejections) <= {"near duplicate", "wrong length"}
    assert report.rejections["near duplicate"] >= 1
    assert "llm-000001" not in {script.id for script in scripts}


def test_what_never_gets_right_is_replaced_by_another_brief_of_its_slice(model: Model, write: Any) -> None:
    def shout(items: list[dict[str, Any]]) -> None:
        for item in items:
            if "voicemail" in item["asked"]:
                item["text"] += " [beeps]"

    model.spoil_always = shout
    scripts, report = write(40)
    voicemails = [brief for brief in plan(40) if brief.domain is Domain.VOICEMAIL]
    assert len(voicemails) >= 4
    assert Counter(script.slice_type for script in scripts) == Counter(brief.slice_type for brief in plan(40))
    assert Domain.VOICEMAIL not in {script.domain for script in scripts}
    assert report.redealt == len(voicemails)
    assert report.given_up == []
    assert report.rejections == {"unknown tag": 5 * len(voicemails)}
    assert report.left == 0


def test_what_its_replacement_does_not_get_right_either_is_given_up_and_counted(model: Model, write: Any) -> None:
    model.spoil_always = each(lambda text: f"{text} [beeps]")
    scripts, report = write(10)
    assert scripts == []
    assert (report.redealt, len(report.given_up), report.left) == (10, 10, 0)
    assert {item.reason for item in report.given_up} == {"[beeps] is no tag of the list"}
    assert report.rejections == {"unknown tag": 100}


def test_json_in_a_code_fence_is_read(model: Model, write: Any) -> None:
    def fence(items: list[dict[str, Any]]) -> str:
        items = [{"number": item["number"], "text": item["text"]} for item in items]
        return f"```json\n{json.dumps({'scripts': items}, indent=1)}\n```"

    model.spoil_always = fence
    scripts, report = write(20)
    assert_as_planned(scripts, 20)
    assert report.rejections == {}


# --- what the endpoint gets wrong -----------------------------------------------------------------------------------

TROUBLES: dict[str, Callable[[Handler], None]] = {
    "500": lambda handler: handler.reply(500, "oops"),
    "429": lambda handler: handler.reply(429, {"error": {"message": "slow down"}}),
    "529": lambda handler: handler.reply(529, {"error": {"type": "overloaded_error"}}),
    "cut": lambda handler: handler.cut(),
    "HTML": lambda handler: handler.reply(200, "<html>welcome</html>"),
    "another API": lambda handler: handler.reply(200, {"data": []}),
    "a list": lambda handler: handler.reply(200, []),
}


@pytest.mark.parametrize("writer", ["openai", "anthropic"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_passing_troubles_are_retried(model: Model, write: Any, naps: Naps, trouble: str, writer: str) -> None:
    model.faults.extend([TROUBLES[trouble]] * 3)
    scripts, report = write(10, writer=writer, concurrency=1)
    assert_as_planned(scripts, 10)
    assert report.rejections == {}
    assert len(naps.taken_s) == 3
    for nap_s, longest_s in zip(naps.taken_s, (1, 2, 4), strict=True):
        assert longest_s / 2 <= nap_s <= longest_s


def test_retry_after_is_obeyed(model: Model, write: Any, naps: Naps) -> None:
    model.faults.append(lambda handler: handler.reply(429, {}, retry_after="23"))
    write(5)
    assert naps.taken_s == [23.0]


def test_an_endpoint_that_stays_down_is_given_up(model: Model, write: Any) -> None:
    model.faults.extend([TROUBLES["500"]] * 100)
    with pytest.raises(CorpusError, match="500: oops"):
        write(5)
    assert len(model.requests) == 6


@pytest.mark.parametrize(("code", "hint"), [(401, "WRITER_KEY"), (404, "the model's name")])
def test_a_refused_request_is_not_repeated_and_shows_no_key(model: Model, write: Any, code: int, hint: str) -> None:
    model.faults.extend([lambda handler: handler.reply(code, "not with secret-key")] * 100)
    with pytest.raises(CorpusError, match=hint) as caught:
        write(5)
    assert "secret-key" not in str(caught.value)
    assert len(model.requests) == 1


@pytest.mark.parametrize("formats", [("json_object", None), (None,)])
def test_a_server_without_json_schemas_is_asked_for_less(model: Model, write: Any, formats: Any) -> None:
    model.formats = formats
    scripts, _ = write(60, concurrency=4)
    assert_as_planned(scripts, 60)
    last = model.requests[-1][2].get("response_format", {}).get("type")
    assert last == formats[0]
    refused = len(model.requests) - 12
    assert refused <= 4 * (3 - len(formats))


# --- budgets and interruptions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [{"max_requests": 7}, {"max_tokens": 7_500}])
def test_a_budget_stops_the_run_and_the_next_run_fills_up(model: Model, write: Any, budget: dict[str, int]) -> None:
    scripts, report = write(60, **budget)
    assert len(model.requests) == 7
    assert len(scripts) == 35
    assert report.stopped is not None
    assert "budget" in report.stopped
    assert report.left == 25
    rest, report = write(60, existing=scripts)
    assert report.stopped is None
    slices = Counter(script.slice_type for script in [*scripts, *rest])
    assert slices == {"plain": 15, "light": 15, "moderate": 15, "dense": 9, "edge": 6}
    assert len({script.id for script in [*scripts, *rest]}) == 60


def test_tokens_that_are_not_told_are_estimated(model: Model, write: Any) -> None:
    model.tells_usage = False
    _, report = write(5)
    characters = sum(len(message["content"]) for message in model.requests[0][2]["messages"])
    assert characters / 4 <= report.tokens <= characters / 2


def test_what_was_accepted_before_an_interruption_is_kept(model: Model, naps: Naps) -> None:
    kept: list[Script] = []

    def keep(script: Script) -> None:
        if len(kept) == 13:
            raise KeyboardInterrupt
        kept.append(script)

    config = ScriptsConfig(count=40, writer="openai", model="m-1", base_url=model.url)
    with pytest.raises(KeyboardInterrupt):
        write_scripts(config, on_script=keep, sleep=naps)
    rest: list[Script] = []
    write_scripts(config, existing=kept, on_script=rest.append, sleep=naps)
    assert (len(kept), len(rest)) == (13, 27)
    assert len({script.id for script in [*kept, *rest]}) == 40


def test_a_key_goes_only_where_it_is_meant_to(model: Model, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "meant for OpenAI")
    write(1, api_key_variable=None)
    assert "authorization" not in model.requests[0][1]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"model": None}, "needs a model"),
        ({"api_key_variable": "NO_SUCH_KEY"}, "no key in NO_SUCH_KEY"),
        ({"api_key_variable": None, "base_url": None}, "no key in OPENAI_API_KEY"),
        ({"api_key_variable": None, "base_url": None, "writer": "anthropic"}, "no key in ANTHROPIC_API_KEY"),
    ],
)
def test_what_is_missing_is_named(
    write: Any, choices: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(CorpusError, match=message):
        write(1, **choices)


# --- what is accepted, by hand --------------------------------------------------------------------------------------

LIGHT = Brief(SliceType.LIGHT, Domain.PODCAST, ("sad", "pause"))
DIALOGUE = Brief(SliceType.LIGHT, Domain.ARGUMENT, ("sad",), told=(True,), speakers=2)
HESITANT = Brief(SliceType.LIGHT, Domain.PODCAST, ("sad", "pause"), ellipsis=True)
PLAIN = Brief(SliceType.PLAIN, Domain.PODCAST)


def edge(case: EdgeCase, *tags: str) -> Brief:
    return Brief(SliceType.EDGE, Domain.PODCAST, tags, case)


@pytest.mark.parametrize(
    ("text", "brief"),
    [
        ("[sad] We waited there [pause] until it was dark.", LIGHT),
        ("We waited there, and NASA called at nine. I said OK.", PLAIN),
        ("It's fine - really: ten, maybe twelve; who knows?", PLAIN),
        ("[nervous] You came [whispers] back [laughs]", edge(EdgeCase.BOUNDARY, "nervous", "whispers", "laughs")),
        ("So you are [sighs] [calm] home at last.", edge(EdgeCase.BACK_TO_BACK, "sighs", "calm")),
        ("[shouts] Get OUT!", Brief(SliceType.EDGE, Domain.ARGUMENT, ("shouts",), EdgeCase.VERY_SHORT, emphasis=True)),
        ("[sad] I never... [pause] well, it's gone.", HESITANT),
        ("A: Where were you?\nB: [sad] At home.\n\nA: Oh...", DIALOGUE),
    ],
)  # fmt: skip
def test_a_right_text_has_no_fault(text: str, brief: Brief) -> None:
    assert find_fault(text, brief) is None


@pytest.mark.parametrize(
    ("text", "brief", "kind"),
    [
        ("[sad] We waited there until it was dark.", LIGHT, "wrong tags"),
        ("[sad] We [pause] waited [sad] there for it.", LIGHT, "wrong tags"),
        ("[sad] We [pause] waited [explosion] there for it.", LIGHT, "unknown tag"),
        ("[pause] We waited there [sad] until it was dark.", LIGHT, "idle tag"),
        ("[sad] We waited there until it was dark. [pause]", LIGHT, "idle tag"),
        ("We waited [pause] there until it was dark. [sad]", LIGHT, "idle tag"),
        ("We waited.", PLAIN, "wrong length"),
        ("We waited there until it was DARK outside.", PLAIN, "wrong emphasis"),
        ("We waited there until it was\ndark outside.", PLAIN, "markup"),
        ("Look at [1] and tell me what it says.", PLAIN, "markup"),
        ("MARIA: We waited there until it was dark.", PLAIN, "markup"),
        ("We waited there until it was dark \U0001f642.", PLAIN, "markup"),
        ("We waited there un\u200btil it was dark.", PLAIN, "markup"),
        ("We waited there until \x07 it was dark.", PLAIN, "markup"),
        ("We waited [nervous] there so long [laughs]", edge(EdgeCase.BOUNDARY, "nervous", "laughs"), "wrong shape"),
        ("[nervous] We waited [laughs] there so long.", edge(EdgeCase.BOUNDARY, "nervous", "laughs"), "wrong shape"),
        ("So [sighs] you are [calm] home at last.", edge(EdgeCase.BACK_TO_BACK, "sighs", "calm"), "wrong shape"),
        ("This has certainly five words.", edge(EdgeCase.VERY_SHORT), "wrong length"),
        ("We waited there until it was dark.", edge(EdgeCase.VERY_LONG), "wrong length"),
        ("We waited there until it was dark.", Brief(SliceType.PLAIN, Domain.PODCAST, emphasis=True), "wrong emphasis"),
        ("[sad] I never [pause] said so.", HESITANT, "no hesitation"),
        ("[sad] Where were you? At home.", DIALOGUE, "no dialogue"),
        ("Where were you\n[sad] At home.", DIALOGUE, "open turn"),
        ("Where were you?\nAnna: [sad] At home.", DIALOGUE, "markup"),
    ],
)  # fmt: skip
def test_a_wrong_text_has_its_fault(text: str, brief: Brief, kind: str) -> None:
    fault = find_fault(text, brief)
    assert fault is not None
    assert fault.kind == kind
