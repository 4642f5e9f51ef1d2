"""One text for one brief: sentences from a situation, with the brief's tags set where people would do these things.

About a third of the sentences under a tag are neutral or of another mood than the tag, so that the tag cannot be told
from the words. Knows the rows of the taxonomy by their use; knows no tag by name and nothing of other texts.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from evoxtral.corpus.briefs import Brief, EdgeCase, clash
from evoxtral.corpus.writers.language import Expander
from evoxtral.corpus.writers.situations import PRESENT, Situation, load_rules, proper_names, word_list
from evoxtral.data.records import Domain, SliceType
from evoxtral.tags import CANONICAL, USES, Category, Word, parse, tag_names
from evoxtral.tags.emphasis import is_emphasised

_MAX_WORDS = 70
MOODS = ("excited", "sad", "angry", "nervous", "calm", "frustrated", "funny", "shock", "secret")
_SUITING_SHARE = 0.64
_NEUTRAL_SHARE = 0.24  # the rest is of a mood that contradicts the tag
# Sentences of the situation itself, which hang together; less of them where a text has to be drawn again.
_OWN_SHARE = 0.90
_LEAST_OWN_SHARE = 0.35
# Where a situation has no sentence of a mood: how often a neutral one of its own stands for one of any situation.
_NEUTRAL_INSTEAD_SHARE = 0.5
# Sentences drawn beside those wanted: one that takes up a word that was said is preferred.
_MORE_DRAWN = 2
# Where people speak unprepared: sentences with a filled pause or a repeated word, and how many of them repeat. In the
# ICSI meetings it is three of ten sentences and a third of them.
PREPARED = (Domain.PRESENTATION, Domain.STORYTELLING)
_STUMBLING_SHARE = 0.15
_REPEATING_SHARE = 0.35
# Of untagged sentences: emotional words, flatly spoken, keep a model from tagging by the words.
_PLAIN_MOOD_SHARE = 0.35

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
class _Line:
    """Sentences with their tags: `tags[gap]` stand before word number `gap`."""

    words: list[str]
    mood: str
    place: int | None = None  # among the situation's sentences of the mood; None for one of any situation
    tags: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def boundaries(self) -> list[int]:
        """Gaps inside the line that follow a comma or the end of a sentence."""
        return [gap for gap in range(1, len(self.words)) if self.words[gap - 1][-1] in ",.!?"]

    def names(self) -> list[str]:
        return [tag for gap in sorted(self.tags) for tag in self.tags[gap]]

    def suits(self, tag: str) -> bool:
        """Whether people would do this in such a sentence, tagged as it is."""
        held = self.names()
        return not (tag in held or any(clash(tag, other) for other in held) or _jars(tag, self.mood))


def _jars(tag: str, mood: str) -> bool:
    return mood in USES[tag].jarring


def _is_silence(tag: str) -> bool:
    return CANONICAL[tag].category is Category.PAUSE


def _is_disfluent(tag: str) -> bool:
    return CANONICAL[tag].group == "disfluency"


def _is_held(tag: str) -> bool:
    """Whether a tag colours the words after it; the others are points in time."""
    return CANONICAL[tag].category.holds


class Composer:
    """Writes one text for one brief."""

    def __init__(self, brief: Brief, situation: Situation, rng: random.Random, draw: int = 0) -> None:
        self._brief = brief
        self._situation = situation
        self._rng = rng
        self._draw = draw
        self._spent: set[str] = set()
        self._said: set[str] = set()  # words of content so far
        self._openers = 0
        rules = dict(load_rules())
        theme = rng.choice(situation.themes)
        for kind in ("good", "bad", "do"):
            rules[kind] = rules[f"{theme}.{kind}"]
        rules["topic"] = (situation.topic,)
        self.language = Expander(rules, rng)
        for key, template in situation.names:
            self.language.bound[key.removesuffix(PRESENT)] = self.language.expand(template)
        # A small cast: whoever is named again is mostly somebody the text has named before.
        absent = [key for key, _ in situation.names if not key.endswith(PRESENT)]
        cast = [self.language.bound[key] for key in absent if self.language.bound[key].person]
        cast.append(self.language.expand("<person>"))
        self._cast = tuple(phrase.text for phrase in cast)
        rules["person"] = (*(f"{phrase.text}/{phrase.person}" for phrase in cast), "<anyone>")

    def compose(self) -> str | None:
        """A text, or None where the draw went wrong and another is needed."""
        brief = self._brief
        match brief.edge_case:
            case EdgeCase.VERY_SHORT:
                lines = self._very_short()
            case EdgeCase.VERY_LONG:
                lines = self._grow(self._place_tags(), self._rng.randint(80, 108))
            case EdgeCase.BACK_TO_BACK:
                lines = self._back_to_back()
            case EdgeCase.BOUNDARY:
                lines = self._boundary()
            case _:
                lines = self._grow(self._place_tags(), self._draw_length())
        _put_in_order(lines)
        if brief.emphasis and brief.edge_case is not EdgeCase.VERY_SHORT:
            self._stress(lines)
        if brief.ellipsis and brief.tags:
            self._hesitate(lines)
        text = _join(lines)
        return text if self._is_sound(text) else None

    def _draw_length(self) -> int:
        low, high = {
            SliceType.PLAIN: (6, 40),
            SliceType.LIGHT: (6, 34),
            SliceType.MODERATE: (14, 42),
            SliceType.DENSE: (22, 48),
            SliceType.EDGE: (6, 26),
        }[self._brief.slice_type]
        return self._rng.randint(low, high)

    def _is_sound(self, text: str) -> bool:
        """Whether the text holds exactly the brief's tags, none of them where it could not be heard."""
        parsed = parse(text)
        if Counter(tag_names(text)) != Counter(self._brief.tags) or not parsed.words:
            return False
        if _repeats(parsed.words):
            return False
        if any(tag.category is Category.PAUSE and tag.gap in (0, len(parsed.words)) for tag in parsed.tags):
            return False
        if any(scope.first_word >= scope.last_word for scope in parsed.scopes):
            return False
        words = len(parsed.words)
        match self._brief.edge_case:
            case EdgeCase.VERY_SHORT:
                return words <= 4
            case EdgeCase.VERY_LONG:
                return 78 <= words <= 125
            case _:
                return 3 <= words <= _MAX_WORDS

    # sentences

    def _sentence(self, mood: str) -> _Line:
        """A sentence of a mood that this text does not hold yet; from the situation or for any situation."""
        own = self._own(mood)
        if not own and self._rng.random() < _NEUTRAL_INSTEAD_SHARE and self._own("neutral"):
            mood = "neutral"
            own = self._own(mood)
        shared = [line for line in self.language.rules[mood] if line not in self._spent]
        own_share = max(_LEAST_OWN_SHARE, _OWN_SHARE - 0.02 * self._draw)
        drawn: list[tuple[bool, int, str, str]] = []
        # Many tags need many sentences: the shortest of several keeps the whole speakable.
        wanted = 1 + max(0, len(self._brief.tags) - 3) // 2 + self._draw // 10
        for _ in range(20):
            pool = own if own and self._rng.random() < own_share else shared
            template = self._rng.choice(pool)
            text = self.language.sentence(template)
            if _is_sensible(text, self._cast) and not _echoes(text, template):
                takes_up = bool(self._said & _content(text))
                drawn.append((not takes_up, len(text.split()) if wanted > 1 else 0, text, template))
            if len(drawn) == wanted + _MORE_DRAWN:
                break
        *_, text, template = min(drawn, key=lambda draw: draw[:2], default=(False, 0, text, template))
        self._spent.add(template)
        self._said |= _content(text)
        lines = self._situation.sentences.get(mood, ())
        place = lines.index(template) if template in lines else None
        return _Line(self._stumbled(self._spoken(text, mood)).split(), mood, place)

    def _own(self, mood: str) -> list[str]:
        return [line for line in self._situation.sentences.get(mood, ()) if line not in self._spent]

    def _spoken(self, text: str, mood: str) -> str:
        """The sentence with what people put around it: openers, tails, false starts."""
        rng = self._rng
        draw = rng.random()
        starts_freely = self._openers < 2 and text.split()[0].strip(",.!?").lower() not in word_list("openers")
        if draw < 0.14 and starts_freely:
            self._openers += 1
            return f"{self.language.rule('opener').rstrip('.')}, {_lower_first(text)}"
        if draw < 0.22 and mood in ("neutral", "calm", "sad", "secret", "funny") and text.endswith("."):
            tail = self.language.rule("tail.question" if rng.random() < 0.35 else "tail.statement").rstrip(".")
            return f"{text[:-1]}, {_lower_first(tail)}{'?' if tail in _QUESTION_TAILS else '.'}"
        if 0.22 < draw < 0.26 and starts_freely:
            self._openers += 1
            turn = self.language.rule("turn").rstrip(".")
            return f"{turn}, {_lower_first(text)}"
        return text

    def _stumbled(self, text: str) -> str:
        """The sentence as people get it out who have not written it down: with an "uh" or a word said twice, or not."""
        rng = self._rng
        if self._brief.domain in PREPARED or "!" in text or rng.random() >= _STUMBLING_SHARE:
            return text
        filler = rng.choice(("uh", "uh", "um"))
        words = text.split()
        places = [index for index, word in enumerate(words[:-2]) if word.lower() in word_list("stumbled at")]
        if not places or rng.random() < 0.3:
            return f"{filler.capitalize()}, {_lower_first(text)}" if self._openers < 2 else text
        index = rng.choice(places)
        again = words[index] if words[index].startswith("I") else words[index].lower()
        words[index] += f", {again}" if rng.random() < _REPEATING_SHARE else f", {filler},"
        return " ".join(words)

    def _mood_for(self, tag: str) -> str:
        """The mood of a text under a tag: mostly one that suits it, else neutral, else one that does not."""
        if self._brief.edge_case is EdgeCase.AMBIGUOUS:
            return self._rng.choice(("ambiguous", "ambiguous", "neutral", self._contrary(tag)))
        draw = self._rng.random()
        if draw < _SUITING_SHARE:
            return self._rng.choice(USES[tag].moods)
        return "neutral" if draw < _SUITING_SHARE + _NEUTRAL_SHARE else self._contrary(tag)

    def _contrary(self, tag: str) -> str:
        return self._rng.choice([mood for mood in MOODS if mood not in USES[tag].moods and not _jars(tag, mood)])

    def _untagged_sentence(self) -> _Line:
        if self._brief.tags or self._rng.random() >= _PLAIN_MOOD_SHARE:
            return self._sentence("neutral")
        return _soften(self._sentence(self._rng.choice(MOODS)), self._rng)

    # tags

    def _place_tags(self) -> list[_Line]:
        """Lines that hold the brief's tags."""
        lines: list[_Line] = []
        for tag in self._brief.tags:
            share = 0.35 if _is_held(tag) else 0.55
            if lines and self._rng.random() < share and self._add(lines[-1], tag, is_first=len(lines) == 1):
                continue
            line = self._sentence(self._mood_for(tag))
            if USES[tag].is_quiet:
                line = _soften(line, self._rng)
            if not self._add(line, tag, is_first=not lines):
                line.tags[0].append(tag)
            lines.append(line)
        return lines

    def _add(self, line: _Line, tag: str, *, is_first: bool) -> bool:
        """Set a tag into a line where it can be heard; False where it does not fit."""
        held = line.names()
        if len(held) >= 3 or not line.suits(tag):
            return False
        size, inner = len(line.words), line.boundaries
        if _is_held(tag):
            if any(CANONICAL[other].category is CANONICAL[tag].category for other in held):
                inner = [gap for gap in inner if gap > min(line.tags)]
                places = dict.fromkeys(inner, 1.0)
            else:
                places = {0: 3.0 if not held else 1.0, **{gap: 1.0 / len(inner) for gap in inner}}
            places = {gap: weight for gap, weight in places.items() if gap == 0 or size - gap >= 3}
        else:
            inside = [gap for gap in range(1, size) if gap not in inner]
            weights = USES[tag].places
            places = {
                0: weights.start,
                size: weights.end,
                **{gap: weights.boundary / len(inner) for gap in inner},
                **{gap: weights.inside / len(inside) for gap in inside},
            }
            if _is_silence(tag) and is_first:
                places[0] = 0.0
        may_combine = self._brief.slice_type in (SliceType.DENSE, SliceType.EDGE)
        for gap in list(places):
            if line.tags.get(gap):
                places[gap] = places[gap] * 0.5 if may_combine else 0.0
        if not any(places.values()):
            return False
        gap = self._rng.choices(list(places), list(places.values()))[0]
        slot = line.tags[gap]
        slot.insert(self._rng.randint(0, len(slot)), tag)
        return True

    def _grow(self, lines: list[_Line], words: int) -> list[_Line]:
        """Add untagged sentences, at any place, until the text is about as long as wanted."""
        while (total := sum(len(line.words) for line in lines)) < words:
            line = self._untagged_sentence()
            if lines and total + len(line.words) > words * 1.25 + 4:
                break
            # Not behind a last line that ends in a tag: people also end on a laugh or a sigh.
            is_closed = bool(lines) and bool(lines[-1].tags.get(len(lines[-1].words)))
            lines.insert(self._rng.randint(0, len(lines) - is_closed), line)
        return lines

    # edge cases

    def _very_short(self) -> list[_Line]:
        tags = self._brief.tags
        rule = "short.mood" if tags and self._rng.random() < 0.6 else "short.neutral"
        line = _Line(self.language.rule(rule).split()[:4], rule)
        if line.words[-1][-1] == ",":
            line.words[-1] = line.words[-1][:-1] + "."
        for tag in tags:
            if _is_silence(tag):
                line.tags[self._rng.randint(1, max(1, len(line.words) - 1))].append(tag)
            elif _is_held(tag) or self._rng.random() < 0.5:
                line.tags[0].append(tag)
            else:
                line.tags[len(line.words)].append(tag)
        return [line]

    def _back_to_back(self) -> list[_Line]:
        """All tags in one gap."""
        tags = list(self._brief.tags)
        mood = self._mood_for(tags[0])
        line = self._sentence("neutral" if any(_jars(tag, mood) for tag in tags) else mood)
        lines = self._grow([line], self._draw_length())
        places = (
            [0, 0, *line.boundaries] if not any(map(_is_silence, tags)) or lines[0] is not line else line.boundaries
        )
        if not places and not any(map(_is_held, tags)):
            places = [self._rng.randrange(1, len(line.words))]
        if places:
            line.tags[self._rng.choice(places)] = tags
        return lines

    def _boundary(self) -> list[_Line]:
        """The first tag at the very start, the last at the very end."""
        first, *others, last = self._brief.tags
        start = self._sentence(self._mood_for(first))
        start.tags[0].append(first)
        lines = [start]
        for tag in others:
            if not self._add(lines[-1], tag, is_first=len(lines) == 1):
                lines.append(self._sentence(self._mood_for(tag)))
                lines[-1].tags[0].append(tag)
        if self._rng.random() < 0.6 or not lines[-1].suits(last):
            lines.append(self._sentence(self._mood_for(last)))
        lines[-1].tags[len(lines[-1].words)].append(last)
        return lines

    # emphasis and hesitation

    def _stress(self, lines: list[_Line]) -> None:
        """Put one or two words into capitals."""
        tagged = [line for line in lines if line.tags] or lines
        places = [(line, index) for line in tagged for index, word in enumerate(line.words) if _can_stress(word, index)]
        strong = [
            (line, index) for line, index in places if _bare(line.words[index]).lower() in word_list("stressed often")
        ]
        for _ in range(self._rng.choice((1, 1, 2))):
            pool = strong if strong and self._rng.random() < 0.6 else places
            if pool:
                line, index = self._rng.choice(pool)
                line.words[index] = line.words[index].upper()

    def _hesitate(self, lines: list[_Line]) -> None:
        """Put an ellipsis for a comma, behind a first word, or at the very end."""
        tagged = [line for line in lines if line.tags] or lines
        commas = [(line, index) for line in tagged for index, word in enumerate(line.words[:-1]) if word.endswith(",")]
        last = lines[-1]
        draw = self._rng.random()
        if commas and draw < 0.6:
            for line, index in self._rng.sample(commas, min(len(commas), self._rng.choice((1, 1, 2)))):
                line.words[index] = line.words[index][:-1] + "..."
        elif draw < 0.8 and last.words[-1].endswith("."):
            last.words[-1] = last.words[-1][:-1] + "..."
        else:
            line = self._rng.choice(tagged)
            if line.words[0].lower() in word_list("hesitated at") and len(line.words) > 2:
                first = line.words[0]
                repeats = first == "I" or any(map(_is_disfluent, line.names()))
                line.words[0] = f"{first}... {first}" if repeats else f"{first}..."


_QUESTION_TAILS = frozenset(("Right", "Don't you think", "Okay", "Yes", "Understand"))


def _put_in_order(lines: list[_Line]) -> None:
    """Give the untagged sentences of the situation the order in which it tells them; all others keep their places."""
    places = [index for index, line in enumerate(lines) if line.place is not None and not line.names()]
    neutral = [index for index in places if lines[index].mood == "neutral"]
    told = sorted((lines[index] for index in neutral), key=lambda line: line.place or 0)
    for index, line in zip(neutral, told, strict=True):
        lines[index] = line


def _join(lines: Sequence[_Line]) -> str:
    pieces = []
    for line in lines:
        for gap in range(len(line.words) + 1):
            pieces += [f"[{tag}]" for tag in line.tags.get(gap, ())]
            pieces += line.words[gap : gap + 1]
    return " ".join(pieces)


def _is_sensible(text: str, cast: Sequence[str]) -> bool:
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


def _content(text: str) -> set[str]:
    """The words of a text that say what it is about."""
    words = {word.lower() for word in re.findall(r"[A-Za-z']+", text) if len(word) > 3}
    return words - word_list("stressed never") - word_list("stressed often")


def _echoes(text: str, template: str) -> bool:
    """Whether three words in a row come twice that the template did not mean to repeat."""
    words = re.findall(r"[\w'-]+", text.lower())
    runs = Counter(" ".join(words[index : index + 3]) for index in range(len(words) - 2))
    return any(count > 1 and run not in template.lower() for run, count in runs.items())


def _repeats(words: Sequence[Word]) -> bool:
    """Whether four words in a row come twice."""
    plain = [_bare(word.plain).lower() for word in words]
    runs = [tuple(plain[index : index + 4]) for index in range(len(plain) - 3)]
    return len(set(runs)) < len(runs)


def _soften(line: _Line, rng: random.Random) -> _Line:
    """Take most exclamation marks out."""
    if rng.random() < 0.7:
        line.words = [re.sub(r"!$", ".", word) for word in line.words]
    return line


def _lower_first(text: str) -> str:
    """Begin in lower case, unless the first word is a name or "I"."""
    first = text.split(" ", 1)[0].rstrip(",.!?")
    if first.split("'")[0] in ("I", "Doctor", "Grandma", "Dad", "Mum") or first in proper_names():
        return text
    return text[:1].lower() + text[1:]


def _bare(word: str) -> str:
    return word.strip(".,!?;:\"'")


def _can_stress(word: str, index: int) -> bool:
    bare = _bare(word)
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
