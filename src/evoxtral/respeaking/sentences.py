"""A transcript cut into what is spoken at a time: sentences that sound alone as they do in the whole text.

Knows the tag language and times; nothing of voices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evoxtral.inference.transcript import Transcript
from evoxtral.tags import TaggedText, parse

# Longer sentences (of text without full stops) are cut at a clause; engines take 5,000 characters at most, and what is
# cut small is spoken again in small pieces.
_MOST_CHARACTERS = 800
_CLAUSE_ENDS = (",", ";", ":", "—", "–", "-", "...", "…")


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is spoken at a time.

    Attributes:
        text: tagged text, with the emotion and delivery that are in force where it begins.
        start_s, end_s: where it is heard in the recording; None where no word or sound of it has times.
    """

    text: str
    start_s: float | None
    end_s: float | None


def cut_sentences(transcript: Transcript) -> list[Sentence]:
    """The sentences of a transcript, in order.

    Tags between two sentences belong to the second, as their scope does. A sentence that alone would be stressed
    otherwise (one that is all capitals) stays with its neighbour. Times are those of the transcript's words and sounds.
    """
    parsed = parse(transcript.text)
    return [
        Sentence(text, *_span(transcript, parsed, first, last))
        for text, first, last in _merged(parsed, [*_cut(parsed)])
        if text
    ]


def _cut(parsed: TaggedText) -> Iterator[int]:
    """For each piece the index after its last word."""
    count = len(parsed.words)
    first = 0
    while first < count:
        end = parsed.sentence_ends[first]
        while parsed.words[end - 1].end - parsed.words[first].start > _MOST_CHARACTERS and end - first > 1:
            end = _clause_end(parsed, first, end)
            yield end
            first, end = end, parsed.sentence_ends[end]
        yield end
        first = end


def _clause_end(parsed: TaggedText, first: int, end: int) -> int:
    """Where to cut words `first` to `end`, which are too long: at the last clause end that fits, else at any word."""
    limit = parsed.words[first].start + _MOST_CHARACTERS
    fitting = [index for index in range(first + 1, end) if parsed.words[index - 1].end <= limit] or [first + 1]
    clauses = [index for index in fitting if parsed.words[index - 1].text.endswith(_CLAUSE_ENDS)]
    return clauses[-1] if clauses else fitting[-1]


def _merged(parsed: TaggedText, ends: Sequence[int]) -> list[tuple[str, int, int]]:
    """Text, first word and end of each sentence; neighbours that stress each other are one."""
    pieces: list[tuple[str, int, int]] = []
    first = 0
    for end in ends:
        text = _text(parsed, first, end)
        if _sounds_alike(parsed, text, first, end):
            pieces.append((text, first, end))
            first = end
    if first < len(parsed.words) or not ends:
        # The last ones are stressed otherwise alone: they go with those before them, as many as it takes.
        while pieces:
            _, first, _ = pieces.pop()
            if _sounds_alike(parsed, _text(parsed, first, len(parsed.words)), first, len(parsed.words)):
                break
        pieces.append((_text(parsed, first, len(parsed.words)), first, len(parsed.words)))
    return pieces


def _sounds_alike(parsed: TaggedText, text: str, first: int, end: int) -> bool:
    """Whether the words are stressed alone as they are in the whole."""
    alone = [word.emphasis for word in parse(text).words]
    return alone == [word.emphasis for word in parsed.words[first:end]]


def _text(parsed: TaggedText, first: int, end: int) -> str:
    """The source of words `first` to `end` with the tags before them, after what is in force there."""
    begin = _cut_place(parsed, first) if first else 0
    stop = _cut_place(parsed, end) if end < len(parsed.words) else len(parsed.source)
    in_force = [
        parsed.tags[scope.tag].text
        for scope in parsed.scopes
        if parsed.tags[scope.tag].start < begin and scope.first_word < first < scope.last_word
    ]
    return " ".join([*in_force, parsed.source[begin:stop].strip()]).strip()


def _cut_place(parsed: TaggedText, word: int) -> int:
    """Where the source is cut before a word: at the first tag between it and the word before it, or at itself."""
    tags = [tag.start for tag in parsed.tags if tag.gap == word]
    return min([*tags, parsed.words[word].start])


def _span(transcript: Transcript, parsed: TaggedText, first: int, end: int) -> tuple[float | None, float | None]:
    """Start and end in the recording of words and of the sounds between them."""
    if len(transcript.words) != len(parsed.words):
        return None, None
    is_last = end == len(parsed.words)
    heard = [(word.start_s, word.end_s) for word in transcript.words[first:end]]
    heard += [
        (tag.start_s, tag.end_s)
        for tag in transcript.tags
        if tag.category == "non-verbal" and (first <= tag.gap < end or (is_last and tag.gap == end))
    ]
    starts = [start_s for start_s, _ in heard if start_s is not None]
    ends = [end_s for _, end_s in heard if end_s is not None]
    return (min(starts), max(ends)) if starts and ends else (None, None)
