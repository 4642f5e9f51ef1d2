"""Parsing and writing tagged text: words, tags, emphasis, scopes; nothing is lost and no string is refused.

A tag is `[`, then 2 to 60 letters, spaces, hyphens and apostrophes with at least two letters among them, then `]`,
on one line. Its name is known or unknown to the taxonomy. Names all in capitals are tags only if known, so that
control tokens and placeholders (`[INST]`, `[NAME]`) are text, as are `[1]`, `[]`, `[ ]`, `[unclosed` and the outer
brackets of nested ones. Everything that is not a tag is text.

A word is a run without white space that holds a letter or digit; an ellipsis (`...`, `…`), a dash (`—`, `--`) or a
tag also ends a word. A sentence ends with a word that closes in `.`, `!` or `?`, or at a blank line; an ellipsis
ends none. Every scan goes over the text a fixed number of times, so that the time is linear in its length.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from unicodedata import normalize

from evoxtral.tags.emphasis import is_emphasised, without_emphasis
from evoxtral.tags.taxonomy import Category, lookup, normalise_name

MAX_NAME_CHARACTERS = 60

_TOKEN = re.compile(r"\S+")
_BREAKS = re.compile(r"[.…—-]+")
_NAME_PUNCTUATION = str.maketrans("", "", " \u00a0\u202f-'’")  # with the spaces that do not break
_OPENING_QUOTES = "\"'“‘(«¿¡"
_CLOSING_PUNCTUATION = ".,!?;:…)”’»%"
_ABBREVIATIONS = frozenset(
    ("mr", "mrs", "ms", "dr", "prof", "st", "mt", "sgt", "capt", "lt", "col", "gen", "rev", "hon", "vs", "e.g", "i.e")
)


@dataclass(frozen=True, slots=True)
class Text:
    """A stretch of source text between tags, as written; `start` and `end` are character positions."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Word:
    """One word.

    Attributes:
        text: as written, with the punctuation that clings to it.
        plain: the same without emphasis.
        emphasis: whether capitals stress it.
        start, end: character positions in the source.
    """

    text: str
    plain: str
    emphasis: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag.

    Attributes:
        text: as written, with its brackets.
        name: canonical name; of an unknown tag its own name in lower case with single spaces.
        category, group: from the taxonomy; None for an unknown tag.
        known: whether the taxonomy knows it, as a tag of the language or as a related event.
        gap: how many words stand before it.
        start, end: character positions in the source.
    """

    text: str
    name: str
    category: Category | None
    group: str | None
    known: bool
    gap: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scope:
    """The words `first_word` to `last_word` (exclusive) that the tag number `tag` colours; may be empty."""

    tag: int
    first_word: int
    last_word: int


@dataclass(frozen=True)
class TaggedText:
    """A parsed text.

    Attributes:
        source: the text as given.
        items: the whole source in order, cut into texts and tags.
        words, tags: in order.
        ellipses: for each ellipsis, how many words stand (or have begun) before it.
    """

    source: str
    items: tuple[Text | Tag, ...]
    words: tuple[Word, ...]
    tags: tuple[Tag, ...]
    ellipses: tuple[int, ...]

    @property
    def emphasised(self) -> tuple[int, ...]:
        """Indices of the words that capitals stress."""
        return tuple(index for index, word in enumerate(self.words) if word.emphasis)

    @cached_property
    def sentence_ends(self) -> tuple[int, ...]:
        """For each word, the index after the last word of its sentence."""
        ends = [0] * len(self.words)
        end = len(self.words)
        for index in range(len(self.words) - 1, -1, -1):
            if index + 1 < len(self.words):
                word = self.words[index]
                if _ends_sentence(word.text, self.source[word.end : self.words[index + 1].start]):
                    end = index + 1
            ends[index] = end
        return tuple(ends)

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """What each emotion and delivery tag colours, in the order of the tags.

        A scope begins at the tag and holds until the next tag of its category or the end of its sentence, the
        sentence being that of the first word after the tag.
        """
        scopes: list[Scope] = []
        next_gap: dict[Category, int] = {}
        for index in range(len(self.tags) - 1, -1, -1):
            tag = self.tags[index]
            if tag.category is None or not tag.category.holds:
                continue
            end = self.sentence_ends[tag.gap] if tag.gap < len(self.words) else tag.gap
            scopes.append(Scope(index, tag.gap, min(end, next_gap.get(tag.category, end))))
            next_gap[tag.category] = tag.gap
        return tuple(reversed(scopes))

    @cached_property
    def plain_text(self) -> str:
        """The words alone: tags removed with the spacing mended, stressed words in lower case."""
        pieces = [""]
        words = iter(self.words)
        word = next(words, None)
        for item in self.items:
            if isinstance(item, Tag):
                pieces.append("")
                continue
            parts: list[str] = []
            position = item.start
            while word is not None and word.start < item.end:
                if word.emphasis:
                    parts += (self.source[position : word.start], word.plain)
                    position = word.end
                word = next(words, None)
            pieces[-1] = "".join([*parts, self.source[position : item.end]]) if parts else item.text
        return _join(pieces)


def parse(text: str) -> TaggedText:
    """Parse any string; `render(parse(text)) == text`."""
    items: list[Text | Tag] = []
    spans: list[tuple[int, int]] = []  # of words
    ellipses: list[int] = []
    position = 0
    written: dict[str, str] = {}  # one object for each spelling of a tag, of which megabytes may be the same
    for start, end, name in _find_tags(text):
        if position < start:
            between = text[position:start]
            items.append(Text(between, position, start))
            if not between.isspace():
                _scan_words(text, position, start, spans, ellipses)
        tag_type = lookup(name)
        spelling = text[start:end]
        items.append(
            Tag(
                text=written.setdefault(spelling, spelling),
                name=normalise_name(name) if tag_type is None else tag_type.name,
                category=None if tag_type is None else tag_type.category,
                group=None if tag_type is None else tag_type.group,
                known=tag_type is not None,
                gap=len(spans),
                start=start,
                end=end,
            )
        )
        position = end
    if position < len(text):
        items.append(Text(text[position:], position, len(text)))
        _scan_words(text, position, len(text), spans, ellipses)
    all_capitals = "".join(item.text for item in items if isinstance(item, Text)).isupper()
    return TaggedText(
        source=text,
        items=tuple(items),
        words=_make_words(text, spans, all_capitals),
        tags=tuple(item for item in items if isinstance(item, Tag)),
        ellipses=tuple(ellipses),
    )


def render(parsed: TaggedText) -> str:
    """Write a parsed text; the inverse of `parse`."""
    return "".join(item.text for item in parsed.items)


def strip_tags(text: str) -> str:
    """The text without its tags, with the spacing mended; emphasis stays."""
    pieces = [""]
    for item in parse(text).items:
        if isinstance(item, Tag):
            pieces.append("")
        else:
            pieces[-1] = item.text
    return _join(pieces)


def plain_text(text: str) -> str:
    """The text without its tags and without emphasis; see `TaggedText.plain_text`."""
    return parse(text).plain_text


def normalise_tags(text: str) -> str:
    """The text with every known tag under its canonical name; unknown tags stay as written."""
    return "".join(
        f"[{item.name}]" if isinstance(item, Tag) and item.known else item.text for item in parse(text).items
    )


def tag_names(text: str) -> list[str]:
    """Names of the tags in order: canonical for known tags, normalised for unknown ones."""
    return [tag.name for tag in parse(text).tags]


def insert_tags(text: str, tags: Iterable[tuple[int, str]]) -> str:
    """The text with `[name]` put before its words.

    Args:
        text: any text; tags that it holds already stay.
        tags: (gap, name) pairs: the tag goes before word number `gap`, or to the end where `gap` is the number of
            words. Several tags of one gap keep their order.

    Raises:
        ValueError: a gap is outside the text.
    """
    words = parse(text).words
    parts: list[str] = []
    position = 0
    for gap, name in sorted(tags, key=lambda tag: tag[0]):
        if not 0 <= gap <= len(words):
            raise ValueError(f"gap {gap} is outside a text of {len(words)} words")
        place = words[gap].start if gap < len(words) else len(text)
        parts.append(text[position:place])
        position = place
        if gap < len(words):
            parts.append(f"[{name}] ")
        else:
            before = next((part for part in reversed(parts) if part), " ")
            parts.append(f"[{name}]" if before[-1].isspace() else f" [{name}]")
    return "".join(parts) + text[position:]


def _find_tags(text: str) -> Iterable[tuple[int, int, str]]:
    """Yield start, end and name of each tag: a closing bracket with the nearest opening one before it."""
    position = 0
    while (close := text.find("]", position)) != -1:
        start = text.rfind("[", position, close)
        position = close + 1
        if start == -1 or close - start - 1 > MAX_NAME_CHARACTERS:
            continue
        name = text[start + 1 : close]
        if _is_name(name):
            yield start, close + 1, name


@lru_cache(maxsize=4096)
def _is_name(name: str) -> bool:
    letters = normalize("NFC", name).translate(_NAME_PUNCTUATION)
    return len(letters) >= 2 and letters.isalpha() and not (letters.isupper() and lookup(name) is None)


def _scan_words(text: str, start: int, end: int, spans: list[tuple[int, int]], ellipses: list[int]) -> None:
    """Append the spans of the words in `text[start:end]`, and the gaps of its ellipses."""
    for token in _TOKEN.finditer(text, start, end):
        first, last = token.span()
        if token.group().isalpha():
            spans.append((first, last))
            continue
        position = first
        begun = False  # whether text[first:position] holds a letter or digit
        cut: int | None = None  # where the word ends if another begins
        for run in _BREAKS.finditer(text, first, last):
            if _has_word(text[position : run.start()]):
                if begun and cut is not None:
                    spans.append((first, cut))
                    first = cut
                begun, cut = True, None
            characters = run.group()
            if "..." in characters or "…" in characters:
                ellipses.append(len(spans) + begun)
            if "…" in characters or "—" in characters or ".." in characters or "--" in characters:
                cut = run.end()
            position = run.end()
        if _has_word(text[position:last]):
            if begun and cut is not None:
                spans.append((first, cut))
                first = cut
            begun = True
        if begun:
            spans.append((first, last))


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _make_words(text: str, spans: list[tuple[int, int]], all_capitals: bool) -> tuple[Word, ...]:
    words = []
    starts_sentence = True
    previous = ""
    for index, (start, end) in enumerate(spans):
        written = text[start:end]
        emphasis = not all_capitals and is_emphasised(written, previous)
        plain = without_emphasis(written, starts_sentence=starts_sentence) if emphasis else written
        words.append(Word(written, plain, emphasis, start, end))
        previous = written
        if index + 1 < len(spans):
            starts_sentence = _ends_sentence(written, text[end : spans[index + 1][0]])
    return tuple(words)


def _ends_sentence(word: str, gap: str) -> bool:
    """Whether a sentence ends with a word that is followed by `gap` (white space, tags, lone punctuation)."""
    length = len(word)
    while not word[length - 1].isalnum():
        length -= 1
    tail = word[length:] + gap
    if any(mark in tail for mark in "!?。！？") or gap.count("\n") >= 2:
        return True
    if "." not in tail.replace("...", ""):
        return False
    core = word[:length].lstrip(_OPENING_QUOTES)
    initial = core.rpartition(".")[2]
    is_initial = len(initial) == 1 and initial.isalpha() and core != "I" and ("." in core or initial.isupper())
    is_abbreviation = is_initial or core.lower() in _ABBREVIATIONS
    return not (tail.startswith(".") and is_abbreviation)


def _join(pieces: list[str]) -> str:
    """Join the texts between which tags stood, so that no double spaces and no orphaned punctuation remain."""
    parts: list[str] = []
    space = ""  # white space since the last part
    left = ""
    for index, piece in enumerate(pieces):
        core = piece.strip()
        if not core:
            space += piece
            continue
        indent = piece[: len(piece) - len(piece.lstrip())]
        if parts:
            parts.append(_joint(left, space, indent, core))
        elif index == 0:
            parts.append(indent)
        parts.append(core)
        left = core
        space = piece[len(indent) + len(core) :]
    if pieces[-1].strip() or len(pieces) == 1:
        parts.append(space)
    return "".join(parts)


def _joint(left: str, space: str, indent: str, right: str) -> str:
    """The white space between two texts that tags separated: `space` came after `left`, `indent` before `right`."""
    all_space = space + indent
    separator = "\n\n" if all_space.count("\n") >= 2 else "\n" if "\n" in all_space else " "
    left_is_word = _has_word(left.rsplit(None, 1)[-1])
    right_is_word = _has_word(right.split(None, 1)[0])
    if left_is_word and right_is_word:
        return separator
    clings = (not indent and not right_is_word and right[0] in _CLOSING_PUNCTUATION) or (
        not space and not left_is_word and left[-1] in _OPENING_QUOTES
    )
    return separator if all_space and not clings else ""
