"""The lines that a text is made of: words with tags in the gaps between them, and what is asked of their words.

Knows nothing of briefs, situations or who draws the lines.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from evoxtral.corpus.briefs import clash
from evoxtral.corpus.writers.situations import proper_names, word_list
from evoxtral.data.records import Turn
from evoxtral.tags import CANONICAL, USES, Category, Word
from evoxtral.tags.emphasis import is_emphasised

# Two of these in one clause make no sense.
_TIME_WORDS = re.compile(
    r"\b(yesterday|tonight|tomorrow|this (?:morning|weekend)|earlier today|(?:days|weeks) ago|over the weekend"
    r"|last (?!piece|slice|dumpling|cherry|ferry|train|bus|bakery|flight|step)|the other day|around lunchtime"
    r"|next (?:week|\w+day)|(?:on|before|every) \w+day|in (?:January|February|March|April|May|June|July|August"
    r"|September|October|November|December)|after lunch|before (?:breakfast|the holidays)|by the end)\b"
)
_DATES = re.compile(
    r"\b((?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|January|February|March|April|May|June|July|August|September|October"
    r"|November|December)"
)
_CLAUSE_END = re.compile(r"[,.!?]")


@dataclass
class Line:
    """Sentences with their tags: `tags[gap]` stand before word number `gap`.

    Attributes:
        mood: of what is said.
        place: among the situation's sentences of the mood; None for one that is said in any situation.
        speaker: who says it; 0 or 1.
        is_reply: whether it is what a listener says to the line before.
    """

    words: list[str]
    mood: str
    place: int | None = None
    speaker: int = 0
    is_reply: bool = False
    tags: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def boundaries(self) -> list[int]:
        """Gaps inside the line that follow a comma or the end of a sentence."""
        return [gap for gap in range(1, len(self.words)) if self.words[gap - 1][-1] in ",.!?"]

    def names(self) -> list[str]:
        return [tag for gap in sorted(self.tags) for tag in self.tags[gap]]

    @property
    def asks(self) -> bool:
        return self.words[-1].endswith("?")

    @property
    def asks_openly(self) -> bool:
        """Whether yes or no is no answer."""
        return self.asks and any(
            bare_word(word).lower().split("'")[0] in word_list("question words") for word in self.words
        )

    def tells(self, tag: str) -> bool:
        """Whether the words give the tag away: a reader would expect it of them."""
        return self.mood in USES[tag].moods

    def begin_with(self, words: Sequence[str]) -> None:
        """Put words before the line; a tag at its start stays there."""
        self.tags = defaultdict(list, {gap and gap + len(words): tags for gap, tags in self.tags.items()})
        self.words[0] = lower_first(self.words[0])
        self.words[:0] = [words[0][:1].upper() + words[0][1:], *words[1:]]

    def suits(self, tag: str) -> bool:
        """Whether people would do this in such a sentence, tagged as it is."""
        held = self.names()
        return not (tag in held or any(clash(tag, other) for other in held) or jars(tag, self.mood))


def jars(tag: str, mood: str) -> bool:
    return mood in USES[tag].jarring


def is_silence(tag: str) -> bool:
    return CANONICAL[tag].category is Category.PAUSE


def is_disfluent(tag: str) -> bool:
    return CANONICAL[tag].group == "disfluency"


def is_held(tag: str) -> bool:
    """Whether a tag colours the words after it; the others are points in time."""
    return CANONICAL[tag].category.holds


def join(lines: Sequence[Line]) -> str:
    pieces = []
    for line in lines:
        for gap in range(len(line.words) + 1):
            pieces += [f"[{tag}]" for tag in line.tags.get(gap, ())]
            pieces += line.words[gap : gap + 1]
    return " ".join(pieces)


def turns_of(lines: Sequence[Line]) -> tuple[Turn, ...]:
    """The lines of each speaker, A first, before the other speaks again; none where one person speaks."""
    if len({line.speaker for line in lines}) < 2:
        return ()
    groups = groupby(lines, key=lambda line: line.speaker != lines[0].speaker)
    return tuple(Turn(speaker="AB"[is_second], tagged_text=join(list(group))) for is_second, group in groups)


def labels_of(lines: Sequence[Line]) -> tuple[bool, ...]:
    """For each tag of the text whether the words of its line tell it."""
    return tuple(line.tells(tag) for line in lines for tag in line.names())


def is_sensible(text: str, cast: Sequence[str]) -> bool:
    """Whether nobody and no date is named twice, no clause has two times, and no long word follows itself."""
    if any(text.lower().count(name.lower()) > 1 for name in cast):
        return False
    if any(len(_TIME_WORDS.findall(clause)) > 1 for clause in _CLAUSE_END.split(text)):
        return False
    dates = _DATES.findall(text)
    if len(set(dates)) < len(dates):
        return False
    words = [word.lower() for word in re.findall(r"[\w']+", text)]
    return not any(a == b and len(a) > 3 for a, b in pairwise(words))


def content_of(text: str) -> set[str]:
    """The words of a text that say what it is about."""
    words = {word.lower() for word in re.findall(r"[A-Za-z']+", text) if len(word) > 3}
    return words - word_list("stressed never") - word_list("stressed often")


def echoes(text: str, template: str) -> bool:
    """Whether three words in a row come twice that the template did not mean to repeat."""
    words = re.findall(r"[\w'-]+", text.lower())
    runs = Counter(" ".join(words[index : index + 3]) for index in range(len(words) - 2))
    return any(count > 1 and run not in template.lower() for run, count in runs.items())


def repeats(words: Sequence[Word]) -> bool:
    """Whether four words in a row come twice."""
    plain = [bare_word(word.plain).lower() for word in words]
    runs = [tuple(plain[index : index + 4]) for index in range(len(plain) - 3)]
    return len(set(runs)) < len(runs)


def soften(line: Line, rng: random.Random) -> Line:
    """Take most exclamation marks out."""
    if rng.random() < 0.7:
        line.words = [re.sub(r"!$", ".", word) for word in line.words]
    return line


def lower_first(text: str) -> str:
    """Begin in lower case, unless the first word is a name or "I"."""
    first = text.split(" ", 1)[0].rstrip(",.!?")
    if first.split("'")[0] in ("I", "Doctor", "Grandma", "Dad", "Mum") or first in proper_names():
        return text
    return text[:1].lower() + text[1:]


def bare_word(word: str) -> str:
    return word.strip(".,!?;:\"'")


def can_stress(word: str, index: int) -> bool:
    bare = bare_word(word)
    if (
        not bare.isalpha()
        or len(bare) < 2
        or bare.lower() in word_list("stressed never")
        or not is_emphasised(bare.upper())
    ):
        return False
    if bare.lower() in word_list("stressed often"):
        return True
    return len(bare) >= 4 and bare.islower() and index > 0
