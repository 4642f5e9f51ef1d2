"""The writer that asks a language model: any OpenAI-compatible endpoint, or Anthropic.

Every script is written to a brief (`evoxtral.corpus.briefs`). The model gets a few briefs at a time, each with a drawn
speaker, occasion and register so that its answers differ, and answers in a JSON schema. What it gets wrong is asked
again with the reason, a limited number of times; what is given up is reported, never dropped in silence. Texts are
kept with their tags under canonical names; everything else about them is derived by `evoxtral.tags`.

Knows two dialects of HTTP; knows nothing of how scripts are stored or spoken. Keys appear in request headers only.
"""

import asyncio
import json
import os
import random
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from evoxtral.corpus.briefs import Brief, EdgeCase, plan
from evoxtral.corpus.composition import MAX_ROUGE_L
from evoxtral.corpus.similarity import SimilarityIndex
from evoxtral.data.corpus_config import ScriptsConfig
from evoxtral.data.records import Domain, Script, SliceType
from evoxtral.errors import CorpusError
from evoxtral.retries import RetryPolicy, is_transient
from evoxtral.tags import CANONICAL, Category, TaggedText, normalise_tags, parse

if TYPE_CHECKING:
    import httpx

_BRIEFS_PER_REQUEST = 5
# How often a brief is sent before it is given up.
_MAX_ASKS = 5
_RETRIES = RetryPolicy(attempts=6)
_TIMEOUT_S = 180.0
_MAX_ANSWER_TOKENS = 4_096
# Beginnings of the latest scripts that the model is asked not to repeat.
_SHOWN_BEGINNINGS = 12
_SHOWN_WORDS = 4
# Used where the endpoint does not say what it counted.
_CHARACTERS_PER_TOKEN = 4

_WORD_LIMITS: Mapping[EdgeCase | None, tuple[int, int]] = {
    None: (3, 70),
    EdgeCase.VERY_SHORT: (1, 4),
    EdgeCase.VERY_LONG: (80, 120),
}


# --- what is asked --------------------------------------------------------------------------------------------------

_TAG_MEANINGS: Mapping[str, str] = {
    "excited": "bright, fast, thrilled",
    "sad": "low, slow, heavy-hearted",
    "angry": "hard and hot",
    "nervous": "unsure, tight, a little shaky",
    "calm": "even, slow, at peace",
    "frustrated": "out of patience",
    "laughs": "a laugh, as a sound between words",
    "sighs": "an audible breath out",
    "gasps": "a sudden breath in",
    "clears throat": "the sound itself",
    "crying": "a sob, as a sound between words",
    "whispers": "the following words without voice",
    "shouts": "the following words at the top of the voice",
    "stammers": "the following words with repeated first sounds, spelled normally",
    "pause": "a clear silence, in the middle of speech",
}

_SYSTEM = """\
You write short scripts for voice actors. A script is what one person says aloud in one go: natural spoken English, \
as people really talk in the given situation, with audio tags in square brackets that direct its delivery.

Tags, and what is heard:
{tags}

Rules:
- Use exactly the tags that an item asks for, each as often as it is listed, spelled as listed, and no others.
- The emotions ({emotions}) and ways of speaking ({ways}) colour the words after them up to the end of the sentence, \
or up to the next tag of their kind: put them right before the words that they colour, and never two of one kind with \
no word between them.
- The others are sounds or silence at the place where they stand. Never begin or end a script with [pause].
- Put tags where a person would do that, at the start, inside and at the end of sentences, in varied places.
- Words in CAPITALS are stressed. Use them only where an item asks for it, on one or two words that carry the weight.
- Only what is heard: no names of speakers, no stage directions, no quotation marks around the whole, no markup, no \
line breaks, no emojis. Write numbers and abbreviations as they are spoken.
- Be concrete. Invent people, places, objects and small surprises; avoid stock phrases and tidy endings. No two \
scripts may share a situation, a beginning or a turn of phrase.

Answer with JSON only: {{"scripts": [{{"number": 1, "text": "..."}}, ...]}}, one entry for each item, same numbers."""

_SITUATIONS: Mapping[Domain, str] = {
    Domain.CONVERSATION: "one turn of a chat between people who know each other",
    Domain.MONOLOGUE: "somebody thinking aloud, alone or to a silent listener",
    Domain.PODCAST: "a host or guest in the middle of an episode",
    Domain.PRESENTATION: "somebody speaking to a room or a video call, with something to show",
    Domain.ARGUMENT: "one side of a quarrel, in the heat of it",
    Domain.STORYTELLING: "somebody telling what happened, or a tale, with voices and suspense",
    Domain.INTERVIEW: "an answer, or a question, in an interview",
    Domain.VOICEMAIL: "a message left after the beep",
}

_SPEAKERS = (
    "a teenager", "a retired bus driver", "a nurse after a night shift", "a chess coach", "a new father",
    "a landlady", "a physics student", "a wedding photographer", "a farmer", "a call-centre agent", "a grandmother",
    "a stage technician", "a locksmith", "a choir leader", "a long-distance runner", "a junior lawyer",
    "a hotel receptionist", "a carpenter", "a primary school teacher", "a paramedic", "a street musician",
    "a software tester", "a museum guard", "an amateur astronomer", "a baker", "a flight attendant", "a vet",
    "a delivery rider", "a piano tuner", "a twin", "a librarian", "a mountain guide", "a stepmother",
    "a recently divorced man", "an exchange student", "a beekeeper", "a mayor of a small town", "a tailor",
    "a football referee", "a night-train conductor",
)  # fmt: skip

_OCCASIONS = (
    "a lost key", "a surprise visit", "the wrong parcel", "a broken boiler", "an exam result", "a missed train",
    "a recipe that failed", "a neighbour's dog", "an inheritance", "a promise not kept", "a flat tyre",
    "first snow", "a medical test", "an old photograph", "a bet", "a power cut", "a job offer", "a stain on a suit",
    "a concert ticket", "the last piece of cake", "a strange noise at night", "a wrong number", "moving house",
    "a forgotten birthday", "a record harvest", "a leaking tent", "a school play", "a secret kept too long",
    "a goodbye at the station", "a parking fine", "a rare bird", "an unexpected bill", "a haircut", "a rehearsal",
    "a software update", "a stolen bicycle", "a marathon", "a found letter", "a delayed flight", "a budget cut",
    "a garden wall", "a blind date", "a new colleague", "the reading of a poem", "a small fire", "a lottery ticket",
    "a heatwave", "a translation mistake", "a cat on the roof", "an apology",
)  # fmt: skip

_REGISTERS = (
    "casual, with fillers", "dry and ironic", "formal and careful", "breathless, in half sentences",
    "warm and rambling", "clipped and factual", "playful", "old-fashioned and polite", "blunt", "thoughtful",
    "slangy", "precise, almost technical", "gently teasing", "tired", "matter-of-fact",
)  # fmt: skip

_EDGE_WISHES: Mapping[EdgeCase, str] = {
    EdgeCase.AMBIGUOUS: "the words alone must not tell the emotion, or suggest another one than the tags",
    EdgeCase.BACK_TO_BACK: "at least two tags stand directly one after the other, with no word between them",
    EdgeCase.BOUNDARY: "the script begins with a tag and ends with a tag, in the listed order",
    EdgeCase.VERY_SHORT: "one to four words, no more",
    EdgeCase.VERY_LONG: "85 to 115 words",
}
# In so many tagged scripts the delivery must not be guessed from the words: who learns from them has to listen.
_UNTOLD_SHARE = 0.3

_LENGTHS: Mapping[SliceType, tuple[int, int]] = {
    SliceType.PLAIN: (6, 40),
    SliceType.LIGHT: (6, 35),
    SliceType.MODERATE: (14, 45),
    SliceType.DENSE: (22, 60),
    SliceType.EDGE: (6, 30),
}


def _system_prompt() -> str:
    def names(category: Category) -> str:
        return ", ".join(name for name in _TAG_MEANINGS if CANONICAL[name].category is category)

    return _SYSTEM.format(
        tags="\n".join(f"[{name}]: {meaning}" for name, meaning in _TAG_MEANINGS.items()),
        emotions=names(Category.EMOTION),
        ways=names(Category.DELIVERY),
    )


def _describe(brief: Brief, rng: random.Random) -> str:
    """What the model is told of one brief; draws speaker, occasion and so on anew at each call."""
    lines = [
        f"{brief.domain.value}: {_SITUATIONS[brief.domain]}",
        f"speaker: {rng.choice(_SPEAKERS)}; about: {rng.choice(_OCCASIONS)}; register: {rng.choice(_REGISTERS)}",
    ]
    if brief.tags:
        lines.append("tags, all of them: " + ", ".join(f"[{tag}]" for tag in brief.tags))
    else:
        lines.append("tags: none at all")
    if brief.edge_case is not None:
        lines.append(_EDGE_WISHES[brief.edge_case])
    elif brief.tags and rng.random() < _UNTOLD_SHARE:
        lines.append("the words alone should not give the delivery away")
    if brief.edge_case not in (EdgeCase.VERY_SHORT, EdgeCase.VERY_LONG):
        low, high = _LENGTHS[brief.slice_type]
        wish = rng.randint(low, high)
        lines.append(f"about {wish} words")
    lines.append("one or two words in CAPITALS" if brief.emphasis else "no word in CAPITALS")
    if brief.ellipsis:
        lines.append('a hesitation written as "..."')
    return "; ".join(lines)


# --- what is accepted -----------------------------------------------------------------------------------------------

_MARKUP = re.compile(r"[\n\r<>*_#{}()|~^=\\]|https?:")
_UNSPOKEN = ("Cc", "Cf", "Cn", "Co", "So")  # control and invisible characters, emojis
_SPEAKER_LABEL = re.compile(r"^\s*(?:\[[^\]]*\]\s*)*[A-Z][\w ]{0,20}:\s")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an answer: its kind, to be counted, and the reason that the model is told."""

    kind: str
    reason: str


def find_fault(text: str, brief: Brief) -> Fault | None:
    """What keeps a text from being the script that a brief asks for, or None."""
    parsed = parse(text)
    unknown = [tag.text for tag in parsed.tags if not tag.known]
    if unknown:
        return Fault("unknown tag", f"{', '.join(unknown)} is no tag of the list")
    wrong = _tag_difference(parsed, brief)
    if wrong:
        return Fault("wrong tags", wrong)
    if found := _MARKUP.search(text):
        return Fault("markup", f"{found[0]!r} is not spoken text")
    if unspoken := next((character for character in text if unicodedata.category(character) in _UNSPOKEN), None):
        return Fault("markup", f"{unspoken!a} is not spoken text")
    if "[" in re.sub(r"\[[^\[\]]*\]", "", text) or len(parsed.tags) != text.count("["):
        return Fault("markup", "there are brackets that are no tag")
    if _SPEAKER_LABEL.match(text):
        return Fault("markup", "no names of speakers before the text")
    return _shape_fault(parsed, brief) or _emphasis_fault(parsed, brief)


def _tag_difference(parsed: TaggedText, brief: Brief) -> str | None:
    found, wanted = Counter(tag.name for tag in parsed.tags), Counter(brief.tags)
    notes = [f"{count} x [{name}] too many" for name, count in (found - wanted).items()]
    notes += [f"{count} x [{name}] missing" for name, count in (wanted - found).items()]
    return f"it must have {len(brief.tags)} tags: {', '.join(notes)}" if notes else None


def _shape_fault(parsed: TaggedText, brief: Brief) -> Fault | None:
    words = len(parsed.words)
    low, high = _WORD_LIMITS.get(brief.edge_case, _WORD_LIMITS[None])
    if not low <= words <= high:
        return Fault("wrong length", f"it has {words} words, and must have {low} to {high}")
    for scope in parsed.scopes:
        if scope.first_word >= scope.last_word:
            return Fault("idle tag", f"{parsed.tags[scope.tag].text} colours no word")
    for tag in parsed.tags:
        if tag.category is Category.PAUSE and tag.gap in (0, words):
            return Fault("idle tag", f"{tag.text} at the very start or end is not heard")
    gaps = [tag.gap for tag in parsed.tags]
    if brief.edge_case is EdgeCase.BOUNDARY and gaps and (gaps[0] != 0 or gaps[-1] != words):
        return Fault("wrong shape", "it must begin with a tag and end with a tag")
    if brief.edge_case is EdgeCase.BACK_TO_BACK and len(set(gaps)) == len(gaps):
        return Fault("wrong shape", "two tags must stand directly one after the other")
    return None


def _emphasis_fault(parsed: TaggedText, brief: Brief) -> Fault | None:
    stressed = [parsed.words[index].text for index in parsed.emphasised]
    if brief.emphasis and not stressed and brief.edge_case is not EdgeCase.VERY_SHORT:
        return Fault("wrong emphasis", "one or two words must be in CAPITALS")
    if not brief.emphasis and stressed:
        return Fault("wrong emphasis", f"{', '.join(stressed)} must not be in capitals")
    if brief.ellipsis and not parsed.ellipses and brief.edge_case is not EdgeCase.VERY_SHORT:
        return Fault("no hesitation", 'it must hold a hesitation written as "..."')
    return None


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    text: str


class _Answer(BaseModel):
    """What the model is to answer; its schema goes into the request."""

    model_config = ConfigDict(extra="forbid")

    scripts: list[_Item]


def _read_answer(content: str) -> dict[int, str] | Fault:
    """Texts by item number; items that are malformed are left out."""
    content = content.strip()
    if fenced := re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", content, re.DOTALL):
        content = fenced[1]
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):  # the latter for a model that repeats "[" without end
        return Fault("not JSON", "the answer was not JSON")
    items = answer.get("scripts") if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        return Fault("wrong schema", 'the answer had no list "scripts"')
    texts: dict[int, str] = {}
    for raw in items:
        try:
            item = _Item.model_validate(raw)
        except ValidationError:
            continue
        texts.setdefault(item.number, item.text.strip())
    return texts


# --- a run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A brief that the model never met, and what was wrong with its last answer."""

    brief: Brief
    reason: str


@dataclass(slots=True)
class WritingReport:
    """What a run has done so far, and at its end.

    Attributes:
        wanted: scripts that were missing at the start.
        written: scripts accepted.
        rejections: answers refused, by kind of fault.
        given_up: briefs that were asked for the full number of times.
        requests: answers that came.
        tokens: what they used in both directions.
        stopped: why the run ended before every brief was met or given up, or None.
    """

    wanted: int
    written: int = 0
    rejections: Counter[str] = field(default_factory=Counter)
    given_up: list[GivenUp] = field(default_factory=list)
    requests: int = 0
    tokens: int = 0
    stopped: str | None = None

    @property
    def left(self) -> int:
        return self.wanted - self.written - len(self.given_up)


@dataclass(slots=True, eq=False)
class _Task:
    """A brief on its way to a script."""

    brief: Brief
    asks: int = 0
    last_text: str | None = None
    fault: Fault | None = None


def write_scripts(
    config: ScriptsConfig,
    *,
    existing: Sequence[Script] = (),
    on_script: Callable[[Script], None],
    on_progress: Callable[[WritingReport], None] = lambda report: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> WritingReport:
    """Have a language model write the scripts that bring a corpus to `config.count`, counting the existing ones.

    Args:
        on_script: gets each script as soon as it is accepted; what it keeps, a run that is cut short does not lose.
        on_progress: called after every answer.
        sleep: how pauses between attempts are made.

    Raises:
        CorpusError: the model or its key is missing or refused, or the endpoint does not answer as it should.
    """
    endpoint = _endpoint(config)
    return asyncio.run(_Run(config, endpoint, existing, on_script, on_progress, sleep).run())


class _Run:
    """One run: the briefs that wait, the texts that exist, and what was spent."""

    def __init__(
        self,
        config: ScriptsConfig,
        endpoint: "_Endpoint",
        existing: Sequence[Script],
        on_script: Callable[[Script], None],
        on_progress: Callable[[WritingReport], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._config = config
        self._endpoint = endpoint
        self._on_script = on_script
        self._on_progress = on_progress
        self._sleep = sleep
        self._rng = random.Random(f"llm:{config.seed}:{len(existing)}")
        self._waiting = deque(_Task(brief) for brief in plan(config.count, seed=config.seed, existing=existing))
        self._index = SimilarityIndex()
        for script in existing:
            self._index.add(script.tagged_text)
        self._ids = {script.id for script in existing}
        self._number = len(existing)
        self._beginnings: deque[str] = deque(maxlen=_SHOWN_BEGINNINGS)
        self._under_way = 0
        self.report = WritingReport(wanted=len(self._waiting))

    async def run(self) -> WritingReport:
        try:
            import httpx
        except ImportError:
            raise CorpusError("httpx is not installed", "pip install 'evoxtral[llm]'") from None

        self._on_progress(self.report)
        requests: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            try:
                while True:
                    while self._waiting and len(requests) < self._config.concurrency and self._affords_another():
                        self._under_way += 1
                        requests.add(asyncio.create_task(self._ask(client, self._take_batch())))
                    if not requests:
                        return self.report
                    done, requests = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
                    for request in done:
                        self._under_way -= 1
                        request.result()
                    self._on_progress(self.report)
            finally:
                for request in requests:
                    request.cancel()
                await asyncio.gather(*requests, return_exceptions=True)

    def _affords_another(self) -> bool:
        config, report = self._config, self.report
        if config.max_requests is not None and report.requests + self._under_way >= config.max_requests:
            if not self._under_way:
                report.stopped = f"the budget of {config.max_requests:,} requests is spent"
            return False
        if config.max_tokens is not None:
            # What the others under way will use is not known yet: take the mean so far, or a guess from the prompt.
            mean = report.tokens / report.requests if report.requests else len(_system_prompt()) / 2
            if report.tokens + (self._under_way + 1) * mean > config.max_tokens:
                if not self._under_way:
                    report.stopped = f"the budget of {config.max_tokens:,} tokens is spent"
                return False
        return True

    def _take_batch(self) -> list[_Task]:
        """A few new briefs, or one that was answered wrongly before."""
        batch = [self._waiting.popleft()]
        while not batch[0].asks and len(batch) < _BRIEFS_PER_REQUEST and self._waiting and not self._waiting[0].asks:
            batch.append(self._waiting.popleft())
        return batch

    async def _ask(self, client: "httpx.AsyncClient", batch: Sequence[_Task]) -> None:
        """Send briefs, and sort the answers into accepted, to be asked again and given up."""
        prompt = self._prompt(batch)
        content = await self._send(client, prompt)
        texts = _read_answer(content) if content is not None else Fault("refused", "the model refused to answer")
        for number, task in enumerate(batch, 1):
            task.asks += 1
            if isinstance(texts, Fault):
                task.last_text, task.fault = None, texts
            elif number not in texts:
                task.last_text, task.fault = None, Fault("missing", "the answer did not have this item")
            else:
                task.last_text = normalise_tags(texts[number])
                task.fault = find_fault(task.last_text, task.brief)
                if task.fault is None and self._index.has_similar(task.last_text, MAX_ROUGE_L):
                    task.fault = Fault("near duplicate", "it is too much like another script")
            if task.fault is None:
                assert task.last_text is not None
                self._accept(task.brief, task.last_text)
                continue
            self.report.rejections[task.fault.kind] += 1
            if task.asks < _MAX_ASKS:
                self._waiting.append(task)
            else:
                self.report.given_up.append(GivenUp(task.brief, task.fault.reason))

    def _prompt(self, batch: Sequence[_Task]) -> str:
        parts = [f"Write {len(batch)} script{'s' if len(batch) > 1 else ''}."]
        for number, task in enumerate(batch, 1):
            parts.append(f"{number}. {_describe(task.brief, self._rng)}")
            if task.fault is not None:
                earlier = f" (it read: {task.last_text})" if task.last_text else ""
                parts.append(f"   An earlier answer was refused: {task.fault.reason}{earlier}")
        if self._beginnings:
            parts.append("Do not begin like these: " + "; ".join(self._beginnings))
        return "\n".join(parts)

    def _accept(self, brief: Brief, text: str) -> None:
        while (name := f"llm-{self._number:06d}") in self._ids:
            self._number += 1
        self._ids.add(name)
        self._index.add(text)
        self._beginnings.append(" ".join(word.text for word in parse(text).words[:_SHOWN_WORDS]))
        self._on_script(
            Script(
                id=name,
                tagged_text=text,
                slice_type=brief.slice_type,
                domain=brief.domain,
                writer=f"{self._config.writer}:{self._config.model}",
            )
        )
        self.report.written += 1

    # --- one request, until it is answered ---------------------------------------------------------------------------

    async def _send(self, client: "httpx.AsyncClient", prompt: str) -> str | None:
        """The model's answer, or None if it refused.

        Raises:
            CorpusError: the request is refused, or not answered in any attempt.
        """
        import httpx

        system = _system_prompt()
        failures = 0
        while True:
            body = self._endpoint.body(system, prompt)
            asked: str | None = None
            try:
                response = await client.post(self._endpoint.url, headers=self._endpoint.headers, json=body)
                if response.status_code == 200:
                    self.report.requests += 1
                    content, tokens = self._endpoint.read(response.json())
                    self.report.tokens += tokens or (len(system + prompt) + len(content or "")) // _CHARACTERS_PER_TOKEN
                    return content
                reason = f"{response.status_code}: {self._endpoint.redact(response.text)[:300]}"
                if self._endpoint.simplify(body, response.status_code, response.text):
                    continue
                if not is_transient(response.status_code):
                    raise CorpusError(f"{self._endpoint.url} refuses the request: {reason}", self._hint(response))
                asked = response.headers.get("retry-after")
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}".rstrip(": ")
            except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
                reason = "an answer that is none of the API's"
            failures += 1
            if failures == _RETRIES.attempts:
                raise CorpusError(
                    f"{self._endpoint.url} does not answer as it should ({reason})", "the same command resumes"
                )
            await self._sleep(_RETRIES.wait_s(failures, asked))

    def _hint(self, response: "httpx.Response") -> str:
        if response.status_code in (401, 403):
            return f"check the key in {_key_variable(self._config)}, or name its variable: scripts.api_key_variable"
        return "check the model's name and base_url"


# --- two dialects ---------------------------------------------------------------------------------------------------


class _Endpoint(Protocol):
    """A chat endpoint: how it is asked, and how its answers read."""

    url: str
    headers: dict[str, str]

    def body(self, system: str, prompt: str) -> dict[str, Any]:
        """The request."""
        ...

    def read(self, answer: Any) -> tuple[str | None, int]:
        """What the model wrote (None: it refused) and the tokens in both directions (0: not told).

        Raises:
            KeyError, IndexError, TypeError, AttributeError: it is no answer of this API.
        """
        ...

    def simplify(self, body: Mapping[str, Any], status: int, message: str) -> bool:
        """After a refusal of `body`: ask for less if that was the reason; whether it is worth asking again."""
        ...

    def redact(self, text: str) -> str:
        """The text without the key."""
        ...


class _OpenAI:
    """`/chat/completions` as OpenAI, Mistral, vLLM and Ollama understand it."""

    # How the form of the answer is asked for; not every server knows the first two.
    _FORMATS: tuple[dict[str, Any], ...] = (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "scripts", "strict": True, "schema": _Answer.model_json_schema()},
            }
        },
        {"response_format": {"type": "json_object"}},
        {},
    )

    def __init__(self, base_url: str, model: str, key: str) -> None:
        self.url = f"{base_url.rstrip('/')}/chat/completions"
        self.headers = {"authorization": f"Bearer {key}"} if key else {}
        self._model = model
        self._key = key
        self._format = 0

    def body(self, system: str, prompt: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
        return {"model": self._model, "messages": messages, **self._FORMATS[self._format]}

    def read(self, answer: Any) -> tuple[str | None, int]:
        message = answer["choices"][0]["message"]
        usage = answer.get("usage") or {}
        return message["content"], usage.get("prompt_tokens", 0) + usage.get("completion_tokens", 0)

    def simplify(self, body: Mapping[str, Any], status: int, message: str) -> bool:
        asked = body.get("response_format")
        if status not in (400, 422) or asked is None:
            return False
        if "response_format" not in message and asked["type"] not in message:
            return False
        if asked == self._FORMATS[self._format].get("response_format"):  # else a request beside this one was faster
            self._format += 1
        return True

    def redact(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


class _Anthropic:
    """`/v1/messages`; the answer is the input of a tool that the model must call."""

    def __init__(self, base_url: str, model: str, key: str) -> None:
        self.url = f"{base_url.rstrip('/')}/v1/messages"
        self.headers = {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
        self._model = model
        self._key = key

    def body(self, system: str, prompt: str) -> dict[str, Any]:
        return {
            "model": self._model,
            "max_tokens": _MAX_ANSWER_TOKENS,
            "system": system,
            "messages": [{"role": "user", "content": prompt}],
            "tools": [
                {"name": "scripts", "description": "Hand in scripts.", "input_schema": _Answer.model_json_schema()}
            ],
            "tool_choice": {"type": "tool", "name": "scripts"},
        }

    def read(self, answer: Any) -> tuple[str | None, int]:
        tokens = answer["usage"]["input_tokens"] + answer["usage"]["output_tokens"]
        if answer.get("stop_reason") == "refusal":
            return None, tokens
        for block in answer["content"]:
            if block["type"] == "tool_use":
                return json.dumps(block["input"]), tokens
        return "".join(block.get("text", "") for block in answer["content"]), tokens

    def simplify(self, body: Mapping[str, Any], status: int, message: str) -> bool:
        return False

    def redact(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


_BASE_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}


def _key_variable(config: ScriptsConfig) -> str | None:
    """Where the key is; None for an endpoint of the user's own, which must not get a key that is meant for another."""
    if config.api_key_variable is not None or config.base_url is not None:
        return config.api_key_variable
    return f"{config.writer.upper()}_API_KEY"


def _endpoint(config: ScriptsConfig) -> _Endpoint:
    if config.model is None:
        raise CorpusError(f"the writer {config.writer} needs a model", "name one: scripts.model")
    variable = _key_variable(config)
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise CorpusError(f"there is no key in {variable}", "set it, or use the writer grammar")
    kind = _Anthropic if config.writer == "anthropic" else _OpenAI
    return kind(config.base_url or _BASE_URLS[config.writer], config.model, key)
