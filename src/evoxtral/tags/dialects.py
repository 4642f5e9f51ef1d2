"""Reading and writing tagged text in the dialects of others; what cannot be said is told, never changed in silence.

Our own language is ElevenLabs v3's. `read` turns a text of a dialect into it, `write` the other way round; both return
the text and a note for each thing that did not come through as it was. What has no note comes back unchanged from the
way there and back. Any string is read and written, in time linear in its length.

A tag of ours that colours words holds until the next of its category or the end of its sentence. Marks that stand
around words become such a tag, repeated at the start of each further sentence; marks that hold until the next one are
ended at the end of ours. Knows how dialects work; which marks they have stands in `dialect_table`.
"""

import html
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import chain
from xml.sax.saxutils import escape

from evoxtral.tags.dialect_table import DIALECTS, Dialect, Mark
from evoxtral.tags.parser import Tag, TaggedText, Word, insert_tags, parse
from evoxtral.tags.taxonomy import Category, lookup, normalise_name


class NoteKind(StrEnum):
    """What became of something that did not come through as it was."""

    LEFT_OUT = "left out"
    RENAMED = "renamed"  # another name of the same tag, or without its details
    RESCOPED = "rescoped"  # it holds for other words than before
    UNLISTED = "unlisted"  # kept under its own name, though the dialect lists no such mark
    AMBIGUOUS = "ambiguous"  # text that counts as a mark on the other side, or the reverse


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one mark or tag.

    Attributes:
        kind: what was done.
        what: the mark, tag or text as it was given.
        at: its character position in the text that was given.
        detail: why, for people.
    """

    kind: NoteKind
    what: str
    at: int
    detail: str

    def __str__(self) -> str:
        return f"{self.what} {self.kind}: {self.detail}"


@dataclass(frozen=True, slots=True)
class DialectText:
    """A text in another dialect than it was given in, and what did not come through as it was, in order."""

    text: str
    notes: tuple[Note, ...]


def read(text: str, dialect: str) -> DialectText:
    """A text of a dialect as tagged text of ours.

    Raises:
        KeyError: there is no such dialect; `DIALECTS` names them all.
    """
    row = DIALECTS[dialect]
    return DialectText(text, ()) if row.name == _OURS else _Reader(row, text).read()


def write(text: str, dialect: str) -> DialectText:
    """Tagged text of ours as a text of a dialect.

    Raises:
        KeyError: there is no such dialect; `DIALECTS` names them all.
    """
    row = DIALECTS[dialect]
    return DialectText(text, ()) if row.name == _OURS else _Writer(row, parse(text)).write()


def count_notes(notes: Iterable[Note]) -> Counter[str]:
    """How often each thing did not come through, for people: `left out [sad]` -> 3."""
    return Counter(f"{note.kind} {note.what.lower()}" for note in notes)


_OURS = "elevenlabs"
_CLOSING = ".,!?;:…"


# --- a text of a dialect, cut into its marks -------------------------------------------------------------------------


class _Kind(StrEnum):
    TEXT = "text"
    POINT = "point"  # a mark that ends nowhere
    OPEN = "open"
    CLOSE = "close"
    OTHER = "other"  # in the form of a mark, but not listed
    STRESS = "stress"
    UNSTRESS = "unstress"
    NOTHING = "nothing"  # markup that says nothing of tags


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of a text.

    Attributes:
        source: as written.
        start: its character position.
        name: of a mark its name here, of one that is not listed its name there.
        end: what closes the span that it opens or closes; of a switch, its kind.
        detail: what of it has no counterpart here.
    """

    kind: _Kind
    source: str
    start: int
    name: str = ""
    end: str = ""
    detail: str = ""


@dataclass(frozen=True)
class _Marks:
    """A dialect's marks by how they are found."""

    pattern: re.Pattern[str]
    by_text: Mapping[str, Mark]
    by_name: Mapping[str, Mark]
    ends: frozenset[str]
    switches: Mapping[str, str]


@cache
def _marks_of(name: str) -> _Marks:
    row = DIALECTS[name]
    ends = frozenset((*(mark.end for mark in row.marks if mark.end), *(end for _, end in row.switches)))
    listed = sorted((*(mark.text for mark in row.marks), *ends), key=len, reverse=True)
    # The list of a markup language is found by its elements: attributes may be written in many ways.
    literal = "" if row.is_xml else "|".join(map(re.escape, listed))
    return _Marks(
        pattern=re.compile(
            "|".join(filter(None, (f"(?P<listed>{literal})" if literal else "", row.form))), re.IGNORECASE
        ),
        by_text={mark.text.lower(): mark for mark in row.marks},
        by_name={name: mark for mark in row.marks for name in mark.names},
        ends=frozenset(end.lower() for end in ends),
        switches=dict(row.switches),
    )


def _tokens(row: Dialect, text: str) -> Iterator[_Token]:
    marks = _marks_of(row.name)
    position = searched = 0
    while (found := marks.pattern.search(text, searched)) is not None:
        token = _element(marks, found) if row.is_xml else _token(row, marks, found)
        if token.kind is _Kind.TEXT:  # its end may be the beginning of a mark
            searched = found.start() + 1
            continue
        if position < token.start:
            yield _Token(_Kind.TEXT, text[position : token.start], position)
        yield token
        position = searched = found.end()
    if position < len(text):
        yield _Token(_Kind.TEXT, text[position:], position)


def _token(row: Dialect, marks: _Marks, found: re.Match[str]) -> _Token:
    source, start = found[0], found.start()
    kind = next((kind for kind in marks.switches if source.lower().startswith(kind)), "")
    if source.lower() in marks.ends:
        return _Token(_Kind.CLOSE, source, start, end=kind or source.lower())
    mark = marks.by_text.get(source.lower())
    if mark is not None:
        is_open = bool(kind or mark.end)
        return _Token(_Kind.OPEN if is_open else _Kind.POINT, source, start, mark.names[0], kind or mark.end.lower())
    name = normalise_name(next(filter(None, found.groups()), "").replace("_", " "))
    is_name = bool(parse(f"[{name}]").tags) and (not row.is_known_only or lookup(name) is not None)
    return _Token(_Kind.OTHER if is_name else _Kind.TEXT, source, start, name, kind)


_ATTRIBUTE = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def _element(marks: _Marks, found: re.Match[str]) -> _Token:
    """A token for an element of SSML."""
    source, start, element = found[0], found.start(), found[1].lower()
    attributes = {match[1].lower(): match[2] or match[3] or "" for match in _ATTRIBUTE.finditer(source)}
    is_end = source.startswith("</")
    if element == "speak":
        return _Token(_Kind.NOTHING, source, start)
    if element == "emphasis" and attributes.get("level") not in ("none", "reduced"):
        return _Token(_Kind.UNSTRESS if is_end else _Kind.STRESS, source, start)
    if element == "break" and not is_end:
        detail = " ".join(f'{name}="{value}"' for name, value in attributes.items())
        return _Token(_Kind.POINT, source, start, "pause", detail=detail and f"a pause here has no {detail}")
    if element in ("mstts:express-as", "amazon:effect"):
        end = f"</{element}>"
        if is_end:
            return _Token(_Kind.CLOSE, source, start, end=end)
        key, value = ("style", attributes.get("style")) if element[0] == "m" else ("name", attributes.get("name"))
        mark = marks.by_text.get(f'<{element} {key}="{value}">'.lower())
        if mark is not None:
            rest = " ".join(name for name in attributes if name != key)
            return _Token(_Kind.OPEN, source, start, mark.names[0], end, rest and f"its {rest} has no counterpart")
        if value and parse(f"[{value}]").tags:
            return _Token(_Kind.OTHER, source, start, normalise_name(value), end)
    return _Token(_Kind.NOTHING, source, start, detail="it says nothing that a tag could")


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Span:
    """Words that a mark stands around: character positions in the text that is made, as far as it is read."""

    token: _Token
    tag_start: int
    first: int
    last: int = -1
    is_closed: bool = False


@dataclass
class _Reader:
    """One text being read."""

    row: Dialect
    source: str
    notes: list[Note] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    length: int = 0
    tag_starts: set[int] = field(default_factory=set)
    spans: list[_Span] = field(default_factory=list)
    open: dict[str, list[_Span]] = field(default_factory=dict)  # by what ends them, the last begun last
    stresses: list[tuple[int, int, _Token]] = field(default_factory=list)

    def read(self) -> DialectText:
        stress: tuple[int, _Token] | None = None
        for token in _tokens(self.row, self.source):
            match token.kind:
                case _Kind.TEXT:
                    text = html.unescape(token.source) if self.row.is_xml else token.source
                    self._add(text.upper() if stress else text)
                case _Kind.POINT:
                    self._add_tag(token)
                case _Kind.OTHER:
                    if self.row.template is None:
                        self._note(NoteKind.UNLISTED, token, f"{self.row.title} lists no such mark")
                    self._open(token) if token.end else self._add_tag(token)
                case _Kind.OPEN:
                    self._open(token)
                case _Kind.CLOSE:
                    self._close(token)
                case _Kind.STRESS:
                    stress = stress or (self.length, token)
                case _Kind.UNSTRESS if stress is not None:
                    self.stresses.append((stress[0], self.length, stress[1]))
                    stress = None
                case _Kind.UNSTRESS:
                    self._note(NoteKind.LEFT_OUT, token, "nothing is to be ended")
            if token.detail:
                kind = NoteKind.LEFT_OUT if token.kind is _Kind.NOTHING else NoteKind.RENAMED
                self._note(kind, token, token.detail)
        if stress is not None:
            self.stresses.append((stress[0], self.length, stress[1]))
            self._note(NoteKind.RESCOPED, stress[1], "it is never ended")
        for span in chain(*self.open.values()):
            span.last = self.length
            if span.token.end not in _marks_of(self.row.name).switches:
                self._note(NoteKind.RESCOPED, span.token, "it is never ended")
        text = "".join(self.parts)
        parsed = parse(text)
        repeats = list(self._repeats(parsed))
        self._check_text(parsed)
        return DialectText(insert_tags(text, repeats), tuple(sorted(self.notes, key=lambda note: note.at)))

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def _add_tag(self, token: _Token) -> None:
        self.tag_starts.add(self.length)
        self._add(f"[{token.name}]")

    def _note(self, kind: NoteKind, token: _Token, detail: str) -> None:
        self.notes.append(Note(kind, token.source, token.start, detail))

    def _open(self, token: _Token) -> None:
        if token.end in _marks_of(self.row.name).switches:  # ends the one before
            self._pop(token.end)
        start = self.length
        self._add_tag(token)
        span = _Span(token, start, self.length)
        self.spans.append(span)
        self.open.setdefault(token.end, []).append(span)

    def _close(self, token: _Token) -> None:
        span = self._pop(token.end)
        if span is None:
            self._note(NoteKind.LEFT_OUT, token, "nothing is to be ended")
        else:
            span.is_closed = True

    def _pop(self, end: str) -> _Span | None:
        spans = self.open.get(end)
        if not spans:
            return None
        span = spans.pop()
        span.last = self.length
        return span

    def _repeats(self, parsed: TaggedText) -> Iterator[tuple[int, str]]:
        """Yield where tags must be repeated so that they hold for the words of their spans; tell where they do not."""
        starts = [word.start for word in parsed.words]
        next_gap: dict[Category | None, int] = {}  # of the next tag of a category
        tags: dict[int, tuple[Category | None, int]] = {}  # where a tag starts -> its category, the next one's gap
        for tag in reversed(parsed.tags):
            tags[tag.start] = tag.category, next_gap.get(tag.category, len(starts))
            next_gap[tag.category] = tag.gap
        for span in self.spans:
            category, cut = tags[span.tag_start]
            first, last = bisect_left(starts, span.first), bisect_left(starts, span.last)
            if category is None or not category.holds:
                if span.is_closed:
                    self._note(NoteKind.RESCOPED, span.token, f"[{span.token.name}] has no end here")
            elif first < last:
                yield from self._repeats_of(parsed, span, first, last, cut)
            elif span.is_closed:
                self._note(NoteKind.RESCOPED, span.token, "it stands around no word")

    def _repeats_of(
        self, parsed: TaggedText, span: _Span, first: int, last: int, cut: int
    ) -> Iterator[tuple[int, str]]:
        """The repeats of one tag over the words `first` to `last`; the next tag of its category stands at `cut`."""
        gap = first
        while gap < min(last, cut):
            if gap > first:
                yield gap, span.token.name
            gap = min(parsed.sentence_ends[gap], cut)
        if gap > last:
            self._note(NoteKind.RESCOPED, span.token, "it goes on to the end of the sentence")
        elif gap < last:
            self._note(NoteKind.RESCOPED, span.token, "the next of its kind ends it")

    def _check_text(self, parsed: TaggedText) -> None:
        """Tell of text that counts as a tag or as stressed here, and of stress that does not."""
        for tag in parsed.tags:
            if tag.start not in self.tag_starts:
                self.notes.append(Note(NoteKind.AMBIGUOUS, tag.text, min(tag.start, len(self.source)), "text there"))
        if not self.row.is_xml:
            return
        for word in parsed.words:
            around = [token for first, last, token in self.stresses if first < word.end and word.start < last]
            if around and not word.emphasis:
                self._note(NoteKind.LEFT_OUT, around[0], f"capitals do not stress {word.text!r}")
            elif word.emphasis and not around:
                self.notes.append(
                    Note(NoteKind.AMBIGUOUS, word.text, min(word.start, len(self.source)), "capitals stress it here")
                )


# --- writing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wrap:
    """A mark around words: from its tag to the end of the word before number `last`."""

    mark: Mark
    tag: int
    first: int
    last: int


@dataclass
class _Writer:
    """One text being written: `out` grows while `position` moves through the source."""

    row: Dialect
    parsed: TaggedText
    notes: list[Note] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    length: int = 0
    position: int = 0
    marks: set[int] = field(default_factory=set)  # where marks were written
    origins: list[tuple[int, int]] = field(default_factory=list)  # (position written, position in the source)
    open: list[_Wrap] = field(default_factory=list)

    def write(self) -> DialectText:
        points, wraps = self._plan()
        if self.row.is_xml:
            self._mark("<speak>")
        for start, _, act in sorted(self._events(points, wraps), key=lambda event: event[:2]):
            self._copy(start)
            if isinstance(act, _Wrap):
                self._end(act)
            elif isinstance(act, Word):
                self._stress(act)
            else:
                tag = self.parsed.tags[act]
                if act in points:
                    self._mark(points[act])
                elif act in wraps:
                    self._mark(wraps[act].mark.text)
                    self.open.append(wraps[act])
                else:
                    self._mend(tag)
                self.position = max(self.position, tag.end)
        self._copy(len(self.parsed.source))
        if self.row.is_xml:
            self._mark("</speak>")
        text = "".join(self.parts)
        self._check_text(text)
        return DialectText(text, tuple(sorted(self.notes, key=lambda note: note.at)))

    def _plan(self) -> tuple[dict[int, str], dict[int, _Wrap]]:
        """What is written for each tag, by its number: a mark at its place, or one around words; nothing if absent."""
        points: dict[int, str] = {}
        wraps: dict[int, _Wrap] = {}
        scopes = {scope.tag: scope for scope in self.parsed.scopes}
        latest: dict[str, int] = {}  # kind of span -> number of the tag that began the last one
        for index, tag in enumerate(self.parsed.tags):
            mark, why = self._mark_for(tag)
            scope = scopes.get(index)
            kind = "" if mark is None else self._kind_of(mark)
            if mark is not None and kind and scope is None and mark.end:
                mark, why = None, f"{self.row.title} can only say it of words"
            elif mark is not None and kind and scope is not None and scope.first_word >= scope.last_word:
                mark, why = None, "it colours no word"
            if mark is None:
                self._note(NoteKind.LEFT_OUT, tag, why)
                continue
            if why:
                self._note(NoteKind.RENAMED, tag, why)
            if not kind or scope is None:
                points[index] = mark.text
                continue
            wrap = _Wrap(mark, index, scope.first_word, scope.last_word)
            before = wraps.get(latest.get(kind, -1))
            if before is not None and before.mark is mark and self._goes_on(before, index):
                wraps[before.tag] = _Wrap(mark, before.tag, before.first, wrap.last)
            else:
                wraps[index] = wrap
                latest[kind] = index
        return points, wraps

    def _mark_for(self, tag: Tag) -> tuple[Mark | None, str]:
        """The mark for a tag and, if it says less than the tag, how; or None and the reason."""
        marks = _marks_of(self.row.name)
        written = normalise_name(tag.text[1:-1])
        mark, why = marks.by_name.get(written), ""
        if mark is None and self.row.template is not None and tag.category in self.row.writes:
            text = self.row.template.format(written)
            if [token.kind for token in _tokens(self.row, text)] == [_Kind.OTHER]:
                mark = Mark(text, (written,))
        if mark is None and tag.known and (mark := marks.by_name.get(tag.name)) is not None:
            why = f"as [{mark.names[0]}]"
        if mark is None:
            return None, f"{self.row.title} has no mark for it"
        if tag.category in self.row.starts_sentences and not self._starts_sentence(tag.gap):
            return None, f"{self.row.title} can say it at the start of a sentence only"
        return mark, why

    def _kind_of(self, mark: Mark) -> str:
        """What spans of the mark's kind have in common; nothing for a mark that ends nowhere."""
        return mark.end or next(
            (kind for kind in _marks_of(self.row.name).switches if mark.text.lower().startswith(kind)), ""
        )

    def _starts_sentence(self, gap: int) -> bool:
        return gap == 0 or self.parsed.sentence_ends[gap - 1] == gap

    def _goes_on(self, wrap: _Wrap, index: int) -> bool:
        """Whether a tag only repeats at the start of a sentence, alone there, what a mark has held up to there."""
        tag = self.parsed.tags[index]
        around = self.parsed.tags[max(0, index - 1) : index + 2]
        if wrap.last != tag.gap or not self._starts_sentence(tag.gap) or sum(t.gap == tag.gap for t in around) > 1:
            return False
        return not self.parsed.source[self.parsed.words[wrap.last - 1].end : tag.start].strip()

    def _events(
        self, points: Mapping[int, str], wraps: Mapping[int, _Wrap]
    ) -> Iterator[tuple[int, int, "_Wrap | Word | int"]]:
        """Yield what is to be done where: (position, rank among those at one position, wrap to end, word or tag)."""
        words = self.parsed.words
        for index, tag in enumerate(self.parsed.tags):
            yield tag.start, len(self.parsed.tags) + 1 + index, index
        begins = {(self._kind_of(wrap.mark), wrap.first) for wrap in wraps.values()}
        for wrap in wraps.values():
            if wrap.mark.end:  # of those that end together the last begun ends first
                yield words[wrap.last - 1].end, len(self.parsed.tags) - wrap.tag, wrap
            elif wrap.last < len(words) and (self._kind_of(wrap.mark), wrap.last) not in begins:
                yield words[wrap.last].start, 0, wrap
        if self.row.is_xml:
            for word in words:
                if word.emphasis:
                    yield word.start, 3 * len(self.parsed.tags) + 2, word

    def _end(self, wrap: _Wrap) -> None:
        if not wrap.mark.end:
            self.open.remove(wrap)
            self._mark(_marks_of(self.row.name).switches[self._kind_of(wrap.mark)])
            return
        crossed: list[_Wrap] = []
        while self.open[-1] is not wrap:
            crossed.append(self.open.pop())
            self._mark(crossed[-1].mark.end)
        self.open.pop()
        self._mark(wrap.mark.end)
        for other in reversed(crossed):
            self._note(NoteKind.RESCOPED, self.parsed.tags[other.tag], "it is cut in two: marks cannot cross")
            self._mark(other.mark.text)
            self.open.append(other)

    def _stress(self, word: Word) -> None:
        self._mark("<emphasis>")
        self._add(escape(word.plain))
        self._mark("</emphasis>")
        if word.plain.upper() != word.text:
            self.notes.append(Note(NoteKind.RENAMED, word.text, word.start, "the whole word is stressed"))
        self.position = word.end

    def _mend(self, tag: Tag) -> None:
        """Close the space that a tag leaves where nothing is written for it."""
        self.position = tag.end
        before = self.parts[-1][-1:] if self.parts else " "
        after = self.parsed.source[tag.end : tag.end + 1]
        if (not before or before.isspace()) and after == " ":
            self.position += 1
        elif before and after and not before.isspace() and not after.isspace() and after not in _CLOSING:
            self._add(" ")

    def _copy(self, end: int) -> None:
        if self.position < end:
            self.origins.append((self.length, self.position))
            text = self.parsed.source[self.position : end]
            self._add(escape(text) if self.row.is_xml else text)
            self.position = end

    def _mark(self, text: str) -> None:
        self.marks.add(self.length)
        self.origins.append((self.length, self.position))
        self._add(text)

    def _add(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def _note(self, kind: NoteKind, tag: Tag, detail: str) -> None:
        self.notes.append(Note(kind, tag.text, tag.start, detail))

    def _check_text(self, text: str) -> None:
        """Tell of text that counts as a mark there."""
        for token in _tokens(self.row, text):
            if token.kind is not _Kind.TEXT and token.start not in self.marks:
                written, source = self.origins[bisect_right(self.origins, (token.start, len(text))) - 1]
                at = min(source + token.start - written, len(self.parsed.source))
                self.notes.append(Note(NoteKind.AMBIGUOUS, token.source, at, f"a mark in {self.row.title}"))
