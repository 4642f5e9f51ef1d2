"""Scripts that others wrote, brought into a corpus: JSON lists or JSON lines of objects with `tagged_text` or `turns`.

Texts may be in any dialect of tags. Known tags get their canonical names; unknown ones stay and are counted. Where an
object does not say which slice it belongs to, its tags do. An id that is taken gets a number. Knows nothing of writers
or gates.
"""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from evoxtral.corpus.composition import SLICE_TAGS
from evoxtral.data.json_lines import read_objects
from evoxtral.data.records import Domain, Script, SliceType, Turn
from evoxtral.errors import CorpusError
from evoxtral.tags import Category, TaggedText, normalise_tags, parse
from evoxtral.tags.dialects import count_notes, read

_SUFFIXES = (".json", ".jsonl")
_EXPECTED = "JSON objects with tagged_text or turns, one a line or a list"
# The one reason to skip an object that is no fault: the same import may be started again.
ALREADY_THERE = "the same text again"
# An edge case by length: at most this many words, or at least that many.
_VERY_SHORT_WORDS = 4
_VERY_LONG_WORDS = 80


@dataclass(slots=True)
class ImportReport:
    """What an import found.

    Attributes:
        scripts: new scripts.
        unknown_tags: how often each tag that is not in the vocabulary occurs in them.
        renamed_tags: how often each alias was replaced by its canonical name.
        renamed_ids: "OLD to NEW" of each id that another script had already.
        dialect_notes: how often each thing could not be read from the dialect as it was.
        skipped: reason -> how many objects were left out for it.
    """

    scripts: list[Script] = field(default_factory=list)
    unknown_tags: Counter[str] = field(default_factory=Counter)
    renamed_tags: Counter[str] = field(default_factory=Counter)
    renamed_ids: Counter[str] = field(default_factory=Counter)
    dialect_notes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


def import_scripts(
    paths: Sequence[Path],
    *,
    domain: Domain = Domain.CONVERSATION,
    keep_voices: bool = True,
    dialect: str = "elevenlabs",
    existing: Sequence[Script] = (),
) -> ImportReport:
    """Read scripts from files, and from folders that hold such files.

    Objects may also say `id`, `slice_type`, `domain`, `voice` and `told`; other fields are ignored. A dialogue is a
    list `turns` of objects with `speaker` and `tagged_text`, and perhaps `voice`. A text that the corpus or an earlier
    object has already is skipped.

    Args:
        domain: of objects that name none, or none of the known ones.
        keep_voices: whether a script must be spoken by the voice that its object names.
        dialect: how the texts write tags (`evoxtral.tags.dialects`).

    Raises:
        CorpusError: a file cannot be read or is not JSON.
    """
    report = ImportReport()
    ids = {script.id for script in existing}
    texts = {script.tagged_text for script in existing}
    numbers_of: dict[str, itertools.count[int]] = {}
    for file in _files(paths):
        for _, item in read_objects(file, CorpusError, expected=_EXPECTED):
            script = _script(item, file, domain, dialect, texts, report)
            if script is None:
                continue
            if not keep_voices:
                turns = tuple(turn.model_copy(update={"voice": None}) for turn in script.turns)
                script = script.model_copy(update={"voice": None, "turns": turns})
            if script.id in ids:
                numbers = numbers_of.setdefault(script.id, itertools.count(2))
                free = next(name for number in numbers if (name := f"{script.id}-{number}") not in ids)
                report.renamed_ids[f"{script.id} to {free}"] += 1
                script = script.model_copy(update={"id": free})
            ids.add(script.id)
            texts.add(script.tagged_text)
            report.scripts.append(script)
    return report


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
            if not inside:
                raise CorpusError(f"{path} holds no .json or .jsonl file")
            yield from inside
        else:
            yield path


def _script(
    item: Any, file: Path, domain: Domain, dialect: str, texts: Container[str], report: ImportReport
) -> Script | None:
    """The script that an object stands for, or None, with the reason in the report."""
    foreign = _foreign_turns(item)
    if foreign is None:
        report.skipped["turns are no list of speakers with their texts"] += 1
        return None
    if not foreign:
        report.skipped["no tagged_text"] += 1
        return None
    translated = [read(turn.tagged_text, dialect) for turn in foreign]
    parts = [" ".join(part.text.split()) for part in translated]
    written = " ".join(parts)
    turns = tuple(
        turn.model_copy(update={"tagged_text": normalise_tags(part)})
        for turn, part in zip(foreign, parts, strict=True)
        if part
    )
    text = " ".join(turn.tagged_text for turn in turns)
    parsed = parse(text)
    if not parsed.words and not any(tag.category is Category.NON_VERBAL for tag in parsed.tags):
        report.skipped["nothing to say"] += 1
        return None
    voice = item.get("voice")
    voice = voice if isinstance(voice, str) and voice else None
    given = item.get("id")
    name = "" if given is None or isinstance(given, bool | dict | list) else str(given)
    names = "".join(f"{turn.speaker}{turn.voice}" for turn in turns)
    if any("\ud800" <= character <= "\udfff" for character in f"{text}{name}{voice}{names}"):
        report.skipped["half a character (an unpaired surrogate)"] += 1
        return None
    if text in texts:
        report.skipped[ALREADY_THERE] += 1
        return None
    for part in translated:
        report.dialect_notes.update(count_notes(part.notes))
    report.unknown_tags.update(tag.name for tag in parsed.tags if not tag.known)
    if written != text:
        report.renamed_tags.update(
            name
            for tag in parse(written).tags
            if tag.known and (name := re.sub(r"\s+", " ", tag.text[1:-1].strip())) != tag.name
        )
    named_slice, named_domain = str(item.get("slice_type", "")).lower(), str(item.get("domain", "")).lower()
    return Script(
        id=name or f"import-{hashlib.sha256(text.encode()).hexdigest()[:12]}",
        tagged_text=text,
        slice_type=SliceType(named_slice) if named_slice in set(SliceType) else derive_slice(parsed),
        domain=Domain(named_domain) if named_domain in set(Domain) else domain,
        writer=f"import:{file.name}",
        voice=voice,
        turns=turns if len({turn.speaker for turn in turns}) > 1 else (),
        told=_labels(item, len(parsed.tags)),
    )


def _foreign_turns(item: Any) -> list[Turn] | None:
    """Who says what in the object, as it is written there; one turn where it tells no speakers. None: malformed."""
    if not isinstance(item, dict):
        return []
    if item.get("turns"):
        try:
            turns = TypeAdapter(list[Turn]).validate_python(item["turns"])
        except ValidationError:
            return None
        return [turn for turn in turns if turn.tagged_text.strip()]
    written = item.get("tagged_text")
    is_text = isinstance(written, str) and bool(written.strip())
    # Not validated: half characters are told apart from other faults later.
    return [Turn.model_construct(speaker="A", tagged_text=written)] if is_text else []


def _labels(item: dict[str, Any], tags: int) -> tuple[bool, ...] | None:
    """Whether the words tell each tag, where the object says so for every one."""
    told = item.get("told")
    if isinstance(told, list) and len(told) == tags and all(isinstance(label, bool) for label in told):
        return tuple(told)
    return None


def derive_slice(parsed: TaggedText) -> SliceType:
    """The slice that a text belongs to: an edge case by its form, or else by its number of tags.

    Edge cases that can be seen: two tags with no word between them, tags at the very start and the very end, at most
    four words, eighty and more.
    """
    gaps = [tag.gap for tag in parsed.tags]
    words = len(parsed.words)
    if (
        len(set(gaps)) < len(gaps)
        or (gaps and gaps[0] == 0 and gaps[-1] == words)
        or not _VERY_SHORT_WORDS < words < _VERY_LONG_WORDS
    ):
        return SliceType.EDGE
    for kind, (low, high) in SLICE_TAGS.items():
        if low <= len(gaps) and (high is None or len(gaps) <= high):
            return kind
    raise AssertionError("the slices cover every number of tags")
