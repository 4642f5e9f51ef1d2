"""Names and terms that are likely in a recording: written right where they are said, and nowhere else.

A text is first written without them. Where it says something that sounds like a keyword, the engine writes the window
again with the likeliest keywords as its prompt, and of what it then writes a keyword alone is taken, in the place of
the words that were heard there: everything else stays as it was, tags too. So silence stays silence, and speech without
keywords stays as it is but for words that sound like one. Knows texts, and engines by their protocol.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from evoxtral.inference.engines.protocol import Hypothesis, KeywordListener
from evoxtral.tags import Word, parse

# So many keywords are in a prompt: more, and the model mixes them up. All figures: benchmarks/keywords.py.
_MOST_IN_PROMPT = 6
# How alike, of 100, the sounds of a keyword and of a text must be to be worth a second look, and those of a keyword and
# of the words in whose place it stands.
_WORTH_A_LOOK = 55.0
_ALIKE = 45.0
# A keyword stands for at most so many more words than it has, and may bring at most so many others along.
_MOST_WORDS_MORE = 4
_MOST_OTHER_WORDS = 1

_APOSTROPHES = str.maketrans("’`", "''")
_POSSESSIVE = re.compile(r"'s?$")
# Letters that are heard and misheard for each other, in the languages that use them: one of each kind stands for all.
_ALIKE_LETTERS = str.maketrans(
    {"c": "k", "q": "k", "g": "k", "x": "ks", "z": "s", "j": "s", "v": "f", "w": "f", "b": "p", "d": "t", "y": "i"}
)
_VOWELS = re.compile(r"[aeiouh]+")
_REPEATED = re.compile(r"(.)\1+")


def split_keywords(lists: Iterable[str]) -> tuple[str, ...]:
    """The keywords in texts that list them, between commas or on lines of their own; each once."""
    parts = (part.strip() for text in lists for part in re.split(r"[,;\n]", text))
    return tuple(dict.fromkeys(part for part in parts if part))


def hear_keywords(
    windows: Sequence[NDArray[np.float32]],
    hypotheses: Sequence[Hypothesis],
    engine: KeywordListener,
    keywords: Sequence[str],
    *,
    language: str,
) -> list[Hypothesis]:
    """The hypotheses with the keywords that are heard in their windows."""
    heard = list(hypotheses)
    likely = [likeliest(hypothesis.text, keywords) for hypothesis in hypotheses]
    asked = [index for index, found in enumerate(likely) if found]
    if not asked:
        return heard
    prompted = engine.transcribe_prompted(
        [windows[index] for index in asked], [likely[index] for index in asked], language=language
    )
    for index, found in zip(asked, prompted, strict=True):
        heard[index] = replace(heard[index], text=with_keywords(heard[index].text, found.text, likely[index]))
    return heard


def likeliest(text: str, keywords: Sequence[str]) -> list[str]:
    """The keywords that a text may have misheard, at most six, the likeliest last, next to the text to be written."""
    words = [_plain(word) for word in parse(text).words]
    if not words:
        return []
    sounds = _sounds("".join(words))
    scored = [
        (_likeness_in(_sounds(keyword), sounds), keyword)
        for keyword in dict.fromkeys(keywords)
        if not _places(_split(keyword), words)
    ]
    likely = sorted((score, keyword) for score, keyword in scored if score >= _WORTH_A_LOOK)
    return [keyword for _, keyword in likely[-_MOST_IN_PROMPT:]]


def with_keywords(text: str, prompted: str, keywords: Sequence[str]) -> str:
    """A text with the keywords of another hypothesis of the same sound, where they stand for words that sound alike."""
    words, others = parse(text).words, parse(prompted).words
    plain, other_plain = [_plain(word) for word in words], [_plain(word) for word in others]
    of_keyword: dict[int, list[str]] = {}
    for keyword in keywords:
        parts = _split(keyword)
        for first in _places(parts, other_plain):
            of_keyword.update(dict.fromkeys(range(first, first + len(parts)), parts))
    changes: list[tuple[int, int, str]] = []
    for kind, first, last, other_first, other_last in SequenceMatcher(
        None, plain, other_plain, autojunk=False
    ).get_opcodes():
        said = [index for index in range(other_first, other_last) if index in of_keyword]
        if kind != "replace" or not said:
            continue
        count = other_last - other_first
        is_short = last - first <= count + _MOST_WORDS_MORE and count - len(said) <= _MOST_OTHER_WORDS
        before, after = _sounds("".join(plain[first:last])), _sounds("".join(other_plain[other_first:other_last]))
        if is_short and fuzz.ratio(before, after) >= _ALIKE:
            new = prompted[others[other_first].start : others[other_last - 1].end]
            changes.append((words[first].start, words[last - 1].end, _in_place_of(words[first:last], new)))
    for start, end, new in reversed(changes):
        text = text[:start] + new + text[end:]
    return text


def _likeness_in(keyword: str, text: str) -> float:
    """How alike a keyword and the most alike part of a text are, of 100."""
    return fuzz.partial_ratio(keyword, text) if len(keyword) <= len(text) else fuzz.ratio(keyword, text)


def _in_place_of(words: Sequence[Word], new: str) -> str:
    """The new words with the punctuation around those that they stand for."""
    opening = re.match(r"\W*", words[0].text)
    closing = re.search(r"\W*$", words[-1].text)
    bare = re.sub(r"^\W+|\W+$", "", new)
    return f"{opening[0] if opening else ''}{bare}{closing[0] if closing else ''}"


def _places(parts: Sequence[str], words: Sequence[str]) -> list[int]:
    """Where a keyword's words stand in a text's."""
    count = len(parts)
    return [first for first in range(len(words) - count + 1) if count and list(words[first : first + count]) == parts]


def _split(keyword: str) -> list[str]:
    """A keyword's words, as those of a text are compared."""
    return [_plain(word) for word in parse(keyword).words]


def _plain(word: Word) -> str:
    folded = word.text.casefold().translate(_APOSTROPHES)
    return _POSSESSIVE.sub("", re.sub(r"^\W+|[^\w']+$", "", folded))


def _sounds(text: str) -> str:
    """A rough spelling of how letters sound: consonants in kinds, vowels all one."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in letters if letter.isalnum()).translate(_ALIKE_LETTERS)
    return _REPEATED.sub(r"\1", _VOWELS.sub("a", bare))
