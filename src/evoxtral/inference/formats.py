"""A transcript as text for people and programs: txt, json, srt, vtt, tsv.

Each writer is a function from a transcript to a string that ends in a line break. Knows nothing of files.
"""

import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from evoxtral.inference.transcript import Transcript, TranscriptWord
from evoxtral.tags import Category, parse
from evoxtral.tags.dialects import Note, write

# Subtitle conventions, as broadcasters' guides have them: two lines of 42 characters, no more than seven seconds,
# and shown long enough to be read at 17 characters a second where the next subtitle leaves the time.
LINE_CHARACTERS = 42
LINES = 2
MAX_CUE_S = 7.0
MIN_CUE_S = 1.0
READING_CHARACTERS_PER_S = 17.0
# A silence that is at least so long ends a subtitle.
CUE_PAUSE_S = 1.0

# What it costs to end a subtitle at a place, against 1 for having one more subtitle.
_COST_CUE = 1.0
_COST_AFTER_CLAUSE = 0.4
_COST_INSIDE_CLAUSE = 1.2
_COST_AFTER_COLOURING_TAG = 5.0

# Stands for a space inside a tag while lines are filled, so that no tag is broken.
_GLUE = "\ue000"


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: its lines and when it is shown, in seconds."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]
    speaker: str | None = None


def without_tags(transcript: Transcript) -> Transcript:
    """The same transcript as plain text: no tags, no emphasis; words keep their times."""
    parsed = parse(transcript.text)
    kept = [index for index, segment in enumerate(transcript.segments) if segment.plain_text]
    segments = [replace(transcript.segments[index], text=transcript.segments[index].plain_text) for index in kept]
    new_index = {old: new for new, old in enumerate(kept)}
    words: list[TranscriptWord] = []
    reached: dict[int, int] = {}  # characters of a segment's text that its words so far take
    for word, part in zip(transcript.words, parsed.words, strict=True):
        plain = replace(word, word=part.plain, emphasis=False, segment=None, start_char=None, end_char=None)
        segment = None if word.segment is None else new_index.get(word.segment)
        if segment is not None:
            start = segments[segment].text.find(part.plain, reached.get(segment, 0))
            if start >= 0:
                reached[segment] = start + len(part.plain)
                plain = replace(plain, segment=segment, start_char=start, end_char=reached[segment])
        words.append(plain)
    return replace(transcript, text=transcript.plain_text, segments=tuple(segments), words=tuple(words), tags=())


def in_dialect(transcript: Transcript, dialect: str) -> tuple[Transcript, tuple[Note, ...]]:
    """The transcript with its text, and those of its segments, in another dialect of tags; its words and tags stay,
    without their places in the text, which is another one.

    Its text is then no text of ours: it can be written as it is (txt, json), but subtitles cannot be cut from it.
    """
    text = write(transcript.text, dialect)
    if text.text == transcript.text:
        return transcript, text.notes
    segments = tuple(replace(segment, text=write(segment.text, dialect).text) for segment in transcript.segments)
    words = tuple(replace(word, segment=None, start_char=None, end_char=None) for word in transcript.words)
    tags = tuple(replace(tag, segment=None, start_char=None, end_char=None) for tag in transcript.tags)
    return replace(transcript, text=text.text, segments=segments, words=words, tags=tags), text.notes


def to_txt(transcript: Transcript) -> str:
    """The text alone; where speakers are known, a paragraph for each one's turn."""
    if not any(segment.speaker for segment in transcript.segments):
        return transcript.text + "\n"
    return "".join(f"{speaker}: {text}\n" if speaker else f"{text}\n" for speaker, text in turns(transcript))


def turns(transcript: Transcript) -> list[tuple[str | None, str]]:
    """What each speaker says before the next one does; where no speakers are known, the segments."""
    has_speakers = any(segment.speaker for segment in transcript.segments)
    found: list[tuple[str | None, list[str]]] = []
    for segment in transcript.segments:
        if not has_speakers or not found or found[-1][0] != segment.speaker:
            found.append((segment.speaker, []))
        found[-1][1].append(segment.text)
    return [(speaker, " ".join(texts)) for speaker, texts in found]


def to_json(transcript: Transcript) -> str:
    """The object of `Transcript.to_json`."""
    return json.dumps(transcript.to_json(), ensure_ascii=False, indent=2) + "\n"


def to_srt(transcript: Transcript) -> str:
    """SubRip subtitles, which begin with their speakers' names where they are known."""
    blocks = []
    for number, cue in enumerate(cues(transcript, name_speakers=True), start=1):
        text = "\n".join(cue.lines)
        blocks.append(f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{text}\n")
    return "\n".join(blocks)


def to_vtt(transcript: Transcript) -> str:
    """WebVTT subtitles (https://www.w3.org/TR/webvtt1/); speakers in voice spans."""
    blocks = ["WEBVTT\n"]
    for cue in cues(transcript):
        text = "\n".join(line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in cue.lines)
        if cue.speaker is not None:
            text = f"<v {cue.speaker}>{text}"
        blocks.append(f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{text}\n")
    return "\n".join(blocks)


def to_tsv(transcript: Transcript) -> str:
    """A table of segments: start and end in milliseconds, speaker (if any is known), text."""
    has_speakers = any(segment.speaker for segment in transcript.segments)
    rows = [["start", "end", *(["speaker"] if has_speakers else []), "text"]]
    for segment in transcript.segments:
        times = [str(round(segment.start_s * 1000)), str(round(segment.end_s * 1000))]
        rows.append([*times, *([segment.speaker or ""] if has_speakers else []), " ".join(segment.text.split())])
    return "".join("\t".join(row) + "\n" for row in rows)


Writer = Callable[[Transcript], str]
WRITERS: Mapping[str, Writer] = {"txt": to_txt, "json": to_json, "srt": to_srt, "vtt": to_vtt, "tsv": to_tsv}


def cues(transcript: Transcript, *, name_speakers: bool = False) -> list[Cue]:
    """Cut a transcript into subtitles, which end with its sentences, clauses and pauses as far as their size allows.

    Needs the times of the words; where there are none, a subtitle is a whole segment with the segment's times.

    Args:
        name_speakers: whether the name of the speaker is part of the text.
    """

    def name(speaker: str | None) -> str:
        return f"{speaker}: " if name_speakers and speaker else ""

    if any(word.start_s is None for word in transcript.words):
        return [
            Cue(segment.start_s, segment.end_s, _lines(name(segment.speaker) + segment.text), segment.speaker)
            for segment in transcript.segments
        ]
    source = " ".join(segment.text for segment in transcript.segments)
    items = _items(source, transcript)
    found: list[Cue] = []
    start = position = 0
    for segment in transcript.segments:
        end = start + len(segment.text)
        first = position
        while position < len(items) and items[position].start < end:
            position += 1
        piece = _Piece(source[start:end], start, items[first:position], name(segment.speaker))
        found += _fill(piece, segment.speaker)
        start = end + 1
    return _stretched(found, transcript.duration_s)


@dataclass(frozen=True, slots=True)
class _Item:
    """A word, or a tag of the category `tag`: its characters in the text, and its times.

    `ends_sentence` is known of words only.
    """

    start: int
    end: int
    start_s: float
    end_s: float
    tag: str | None = None
    ends_sentence: bool = False


def _items(source: str, transcript: Transcript) -> list[_Item]:
    """The words and tags of a transcript in the order of its text."""
    parsed = parse(source)
    items = [
        _Item(tag.start, tag.end, time.start_s or 0.0, time.end_s or 0.0, tag.category or "unknown")
        for tag, time in zip(parsed.tags, transcript.tags, strict=True)
    ]
    for index, (word, timed) in enumerate(zip(parsed.words, transcript.words, strict=True)):
        ends = parsed.sentence_ends[index] == index + 1
        items.append(_Item(word.start, word.end, timed.start_s or 0.0, timed.end_s or 0.0, None, ends))
    return sorted(items, key=lambda item: item.start)


class _Piece:
    """A segment to be cut into subtitles; a subtitle holds its items `first` to `last` (exclusive).

    Args:
        source: the segment's text, which begins with character `offset` of the whole text.
        name: what each subtitle begins with.
    """

    def __init__(self, source: str, offset: int, items: list[_Item], name: str) -> None:
        self.items = items
        self._name = name
        for item in items:
            if item.tag is not None:
                start, end = item.start - offset, item.end - offset
                source = source[:start] + source[start:end].replace(" ", _GLUE) + source[end:]
        self._source = source
        self._offset = offset

    def text(self, first: int, last: int) -> str:
        """The text of these items with the punctuation between and after them, spaces inside tags glued."""
        start = self.items[first].start - self._offset if first else 0
        end = self.items[last].start - self._offset if last < len(self.items) else len(self._source)
        return " ".join((self._name + self._source[start:end]).split())

    def start_s(self, first: int, last: int) -> float:
        # A tag that colours words is heard with them and not by itself.
        return min(item.start_s for item in self.items[first:last])

    def end_s(self, first: int, last: int) -> float:
        heard = [item.end_s for item in self.items[first:last] if item.tag not in (Category.EMOTION, Category.DELIVERY)]
        return max(heard, default=self.items[last - 1].start_s)

    def cost_of_end(self, last: int) -> float:
        """What it costs to end a subtitle before item `last`."""
        if last == len(self.items):
            return 0.0
        item, after = self.items[last - 1], self.items[last]
        if item.tag in (Category.EMOTION, Category.DELIVERY):
            return _COST_AFTER_COLOURING_TAG
        if item.ends_sentence or (item.tag and last > 1 and self.items[last - 2].ends_sentence):
            return 0.0
        between = self._source[item.start - self._offset : after.start - self._offset].rstrip()
        return _COST_AFTER_CLAUSE if item.tag or between[-1:] in tuple(",;:—–-…") else _COST_INSIDE_CLAUSE


def _fill(piece: _Piece, speaker: str | None) -> list[Cue]:
    """The cheapest way to cut a segment into subtitles that are small enough, by dynamic programming."""
    count = len(piece.items)
    best: list[tuple[float, int]] = [(0.0, 0)] + [(float("inf"), 0)] * count
    for last in range(1, count + 1):
        for first in range(last - 1, -1, -1):
            lines = _lines(piece.text(first, last))
            too_long = len(lines) > LINES or piece.end_s(first, last) - piece.start_s(first, last) > MAX_CUE_S
            pauses = last - first > 1 and piece.items[first + 1].start_s - piece.items[first].end_s >= CUE_PAUSE_S
            if (too_long or pauses) and last - first > 1:
                break
            cost = best[first][0] + _COST_CUE + piece.cost_of_end(last)
            if cost < best[last][0]:
                best[last] = (cost, first)
    if count == 0:
        return []
    bounds = [count]
    while bounds[-1] > 0:
        bounds.append(best[bounds[-1]][1])
    found = []
    for first, last in zip(bounds[:0:-1], bounds[-2::-1], strict=True):
        lines = _lines(piece.text(first, last))
        found.append(Cue(piece.start_s(first, last), piece.end_s(first, last), lines, speaker))
    return found


def _lines(text: str) -> tuple[str, ...]:
    """Fill lines; two are made about equally long."""
    lines = textwrap.wrap(text, LINE_CHARACTERS, break_long_words=False, break_on_hyphens=False)
    if len(lines) == 2:
        for width in range((len(text) + 1) // 2, LINE_CHARACTERS):
            even = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
            if len(even) == 2:
                lines = even
                break
    return tuple(line.replace(_GLUE, " ") for line in lines)


def _stretched(found: list[Cue], duration_s: float) -> list[Cue]:
    """Let subtitles stay until they can be read, though not into the next one or past the end of the recording."""
    stretched = []
    for index, cue in enumerate(found):
        limit_s = found[index + 1].start_s if index + 1 < len(found) else max(duration_s, cue.end_s)
        reading_s = sum(map(len, cue.lines)) / READING_CHARACTERS_PER_S
        wanted_s = cue.start_s + min(max(MIN_CUE_S, reading_s), MAX_CUE_S)
        end_s = min(max(cue.end_s, wanted_s), max(limit_s, cue.start_s))
        stretched.append(Cue(cue.start_s, end_s, cue.lines, cue.speaker))
    return stretched


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
