"""What of a language model's answer is accepted: its form, and whether a text is what its brief asks for.

Knows briefs and tags; knows nothing of requests.
"""

import json
import re
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from evoxtral.corpus.briefs import Brief, EdgeCase
from evoxtral.data.records import Turn
from evoxtral.tags import Category, TaggedText, parse, strip_tags

_WORD_LIMITS: Mapping[EdgeCase | None, tuple[int, int]] = {
    None: (3, 70),
    EdgeCase.VERY_SHORT: (1, 4),
    EdgeCase.VERY_LONG: (80, 120),
}

_MARKUP = re.compile(r"[\n\r<>*_#{}()|~^=\\]|https?:")
_UNSPOKEN = ("Cc", "Cf", "Cn", "Co", "So")  # control and invisible characters, emojis
_SENTENCE_END = re.compile(r"[.!?…][\"'”’]?$")
_TURN_LABEL = re.compile(r"^[AB]: ?")
_SPEAKER_LABEL = re.compile(r"^\s*(?:\[[^\]]*\]\s*)*[A-Z][\w ]{0,20}:\s")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an answer: its kind, to be counted, and the reason that the model is told."""

    kind: str
    reason: str


def read_turns(text: str, brief: Brief) -> tuple[Turn, ...]:
    """The turns of a dialogue, which stand on lines of their own; none where the brief asks for one speaker."""
    if brief.speakers == 1:
        return ()
    lines = [_TURN_LABEL.sub("", " ".join(line.split())) for line in text.splitlines() if line.strip()]
    return tuple(Turn(speaker="AB"[number % 2], tagged_text=line) for number, line in enumerate(lines) if line)


def labels_for(parsed: TaggedText, brief: Brief) -> tuple[bool, ...]:
    """For each tag of the text whether the words were to tell it: as the brief asked, which nobody checks."""
    asked: dict[str, deque[bool]] = defaultdict(deque)
    for tag, told in zip(brief.tags, brief.told, strict=True):
        asked[tag].append(told)
    return tuple(asked[tag.name].popleft() for tag in parsed.tags)


def find_fault(text: str, brief: Brief) -> Fault | None:
    """What keeps a text from being the script that a brief asks for, or None."""
    turns = read_turns(text, brief)
    if brief.speakers == 2:
        text = " ".join(turn.tagged_text for turn in turns)
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
    if any(_SPEAKER_LABEL.match(part) for part in (text, *(turn.tagged_text for turn in turns))):
        return Fault("markup", "no names of speakers before the text")
    return _shape_fault(parsed, brief) or _emphasis_fault(parsed, brief) or _dialogue_fault(turns, brief)


def _dialogue_fault(turns: Sequence[Turn], brief: Brief) -> Fault | None:
    if len(turns) < brief.speakers == 2:
        return Fault("no dialogue", "it must be a dialogue, each turn on a line of its own")
    for turn in turns:
        words = strip_tags(turn.tagged_text).strip()
        if not _SENTENCE_END.search(words):
            return Fault("open turn", f"each turn must say something and end a sentence; {words[-40:]!r} does not")
    return None


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


class Answer(BaseModel):
    """What the model is to answer; its schema goes into the request."""

    model_config = ConfigDict(extra="forbid")

    scripts: list[_Item]


def read_answer(content: str) -> dict[int, str] | Fault:
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
