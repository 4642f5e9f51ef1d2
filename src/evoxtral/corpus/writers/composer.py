"""One text for one brief: sentences from a situation, with the brief's tags set where people would do these things.

A sentence under a tag is of a mood that suits it where the brief says that the words tell the tag, else neutral or of
another mood. What the situation has to say is mixed with what people say in any: short clauses, pronouns for what was
named. In a dialogue the listener answers (`conversing`). Knows the rows of the taxonomy by their use; knows no tag by
name and nothing of other texts.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evoxtral.corpus.briefs import Brief, EdgeCase
from evoxtral.corpus.writers.conversing import connect, share_out
from evoxtral.corpus.writers.language import Expander
from evoxtral.corpus.writers.lines import (
    Line,
    bare_word,
    can_stress,
    content_of,
    echoes,
    is_disfluent,
    is_held,
    is_sensible,
    is_silence,
    jars,
    join,
    labels_of,
    lower_first,
    repeats,
    soften,
    turns_of,
)
from evoxtral.corpus.writers.situations import PRESENT, Situation, load_rules, word_list
from evoxtral.data.records import Domain, SliceType, Turn
from evoxtral.tags import CANONICAL, USES, Category, parse, tag_names

_MAX_WORDS = 70
_PRONOUN = re.compile(r"<(\w+)\.(he|him|his)>(?!self)", re.IGNORECASE)
MOODS = ("excited", "sad", "angry", "nervous", "calm", "frustrated", "funny", "shock", "secret")
# Of sentences that do not tell their tag; the others are of a mood that contradicts it.
_NEUTRAL_SHARE = 0.8
# Sentences of the situation itself, where people have prepared what they say and where not; less of them where a text
# has to be drawn again. The others are talk, and a few are what happened to somebody.
_OWN_SHARE_PREPARED = 0.82
_OWN_SHARE = 0.60
_OWN_MOOD_SHARE = 0.15  # more where it has a sentence of the mood
_LEAST_OWN_SHARE = 0.30
_EVENT_SHARE = 0.08
# Texts that say first what they are about, where their first sentence under a tag does not.
_GROUNDED_SHARE = 0.85
_MAX_GROUNDED_DRAWS = 15
# Texts in which somebody says what they want of it all.
_WANTING_SHARE = 0.30
# Sentences drawn beside those wanted: one that takes up a word that was said is preferred.
_MORE_DRAWN = 8
# Where people speak unprepared: sentences with a filled pause or a repeated word, and how many of them repeat. In the
# ICSI meetings it is three of ten sentences and a third of them.
PREPARED = (Domain.PRESENTATION, Domain.STORYTELLING)
_STUMBLING_SHARE = 0.2
_REPEATING_SHARE = 0.35
_RESTARTING_SHARE = 0.15  # begin the clause again: "I was, I was there"
# Of untagged sentences: emotional words, flatly spoken, keep a model from tagging by the words.
_PLAIN_MOOD_SHARE = 0.35
# Of a dialogue's words those that are not the listener's short replies, which come on top.
_DIALOGUE_LENGTH, _LONG_DIALOGUE_LENGTH = 0.60, 0.8


@dataclass(frozen=True, slots=True)
class Written:
    """A text, who says what of it where two speak, and which of its tags the words give away."""

    text: str
    turns: tuple[Turn, ...]
    told: tuple[bool, ...]


class Composer:
    """Writes one text for one brief."""

    def __init__(self, brief: Brief, situation: Situation, rng: random.Random, draw: int = 0) -> None:
        self._brief = brief
        self._situation = situation
        self._rng = rng
        self._draw = draw
        self._spent: set[str] = set()
        self._spoken = ""  # sentences so far, in lower case
        self._said: set[str] = set()  # their words of content
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
        # Whom talk speaks of as somebody that both know.
        self.language.bound["absent"] = next(phrase for phrase in cast if not phrase.text.startswith("a "))
        self._known = {name: self.language.bound[name] for name in (*absent, "absent")}
        rules["person"] = (*(f"{phrase.text}/{phrase.person}" for phrase in cast), "<anyone>")

    def compose(self) -> Written | None:
        """A text, or None where the draw went wrong and another is needed."""
        brief = self._brief
        match brief.edge_case:
            case EdgeCase.VERY_SHORT:
                lines = self._very_short()
            case EdgeCase.VERY_LONG:
                lines = self._grow(self._framed(), self._scaled(self._rng.randint(80, 104), _LONG_DIALOGUE_LENGTH))
            case EdgeCase.BACK_TO_BACK:
                lines = self._back_to_back()
            case EdgeCase.BOUNDARY:
                lines = self._boundary()
            case _:
                lines = self._grow(self._framed(), self._scaled(self._draw_length(), _DIALOGUE_LENGTH))
        _put_in_order(lines)
        if brief.speakers == 2:
            lines = share_out(lines, brief.domain, self.language, self._rng, replying=self._replying)
        if brief.edge_case is not EdgeCase.VERY_SHORT:
            connect(lines, self.language, self._rng, is_prepared=brief.domain in PREPARED)
        if brief.emphasis and brief.edge_case is not EdgeCase.VERY_SHORT:
            self._stress(lines)
        if brief.ellipsis and brief.tags:
            self._hesitate(lines)
        written = Written(join(lines), turns_of(lines), labels_of(lines))
        return written if self._is_sound(written) else None

    def _scaled(self, words: int, share: float) -> int:
        """How many of a text's words are not the listener's: in a dialogue the share, and more where little is said."""
        return round(words * (1 - (1 - share) * self._replying)) if self._brief.speakers == 2 else words

    @property
    def _replying(self) -> float:
        """How often the listener says something, as a part of how often one does: less where texts came too long."""
        return max(0.0, 1 - self._draw / 15) / (1 if len(self._brief.tags) < 5 else 2)

    def _draw_length(self) -> int:
        low, high = {
            SliceType.PLAIN: (6, 40),
            SliceType.LIGHT: (6, 34),
            SliceType.MODERATE: (14, 42),
            SliceType.DENSE: (22, 48),
            SliceType.EDGE: (6, 26),
        }[self._brief.slice_type]
        return self._rng.randint(low, high)

    def _is_sound(self, written: Written) -> bool:
        """Whether the text holds exactly the brief's tags, none of them where it could not be heard."""
        parsed = parse(written.text)
        if Counter(tag_names(written.text)) != Counter(self._brief.tags) or not parsed.words:
            return False
        if bool(written.turns) != (self._brief.speakers == 2):
            return False
        if self._brief.edge_case is None and written.told.count(True) != self._brief.told.count(True):
            return False
        if repeats(parsed.words):
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

    def _sentence(self, mood: str, only: Sequence[str] = ()) -> Line:
        """A sentence of a mood that this text does not hold yet: the situation's, or what people say in any.

        Args:
            only: templates of the situation to choose from; empty for all.
        """
        own, talk = self._own(mood), self._unspent(f"talk.{mood}")
        share = _OWN_SHARE_PREPARED if self._brief.domain in PREPARED else _OWN_SHARE
        if mood != "neutral":
            share += _OWN_MOOD_SHARE
        own_share = max(_LEAST_OWN_SHARE, share - 0.02 * self._draw)
        drawn: list[tuple[bool, int, str, str]] = []
        # Many tags need many sentences: the shortest of several keeps the whole speakable.
        wanted = 1 + max(0, len(self._brief.tags) - 3) // 2 + self._draw // 10
        for _ in range(20):
            draw = self._rng.random()
            if only or (own and draw < own_share):
                pool = only or own
            else:
                pool = self._unspent(mood) if draw > 1 - _EVENT_SHARE else talk
            template = self._rng.choice(list(pool))
            text = self.language.sentence(self._naming(template))
            if is_sensible(text, self._cast) and not echoes(text, template):
                takes_up = bool(self._said & content_of(text))
                drawn.append((not takes_up, len(text.split()) if wanted > 1 else 0, text, template))
            if len(drawn) == wanted + _MORE_DRAWN:
                break
        *_, text, template = min(drawn, key=lambda draw: draw[:2], default=(False, 0, text, template))
        self._spent.add(template)
        self._spoken += f" {text.lower()}"
        self._said |= content_of(text)
        lines = self._situation.told(mood)
        place = lines.index(template) if template in lines else None
        return Line(self._stumbled(self._trailed(text, mood)).split(), mood, place)

    def _naming(self, template: str) -> str:
        """The template with a name for the first pronoun of somebody whom the text has not named."""
        found = _PRONOUN.search(template)
        person = self._known.get(found[1]) if found else None
        if found is None or person is None or f"<{found[1]}>" in template or person.text.lower() in self._spoken:
            return template
        possessive = "'s" if found[2] == "his" else ""
        return f"{template[: found.start()]}<{found[1]}>{possessive}{template[found.end() :]}"

    def _unspent(self, rule: str) -> list[str]:
        """Alternatives of a rule that the text does not hold; all of them where it holds each."""
        lines = self.language.rules[rule]
        return [line for line in lines if line not in self._spent] or list(lines)

    def _own(self, mood: str) -> list[str]:
        return [line for line in self._situation.sentences.get(mood, ()) if line not in self._spent]

    def _trailed(self, text: str, mood: str) -> str:
        """The sentence with what people put behind it, or not."""
        rng = self._rng
        if rng.random() < 0.08 and mood in ("neutral", "calm", "sad", "secret", "funny") and text.endswith("."):
            tail = self.language.rule("tail.question" if rng.random() < 0.35 else "tail.statement").rstrip(".")
            return f"{text[:-1]}, {lower_first(tail)}{'?' if tail in _QUESTION_TAILS else '.'}"
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
            return f"{filler.capitalize()}, {lower_first(text)}"
        index = rng.choice(places)
        if rng.random() < _RESTARTING_SHARE and words[index][-1] not in ",.?!" and words[index + 1].isalpha():
            again = f"{words[index]} {words[index + 1]}"
            words[index + 1] += f", {again if again.startswith('I') else again.lower()}"
            return " ".join(words)
        again = words[index] if words[index].startswith("I") else words[index].lower()
        words[index] += f", {again}" if rng.random() < _REPEATING_SHARE else f", {filler},"
        return " ".join(words)

    def _mood_for(self, tag: str, told: bool) -> str:
        """The mood of a text under a tag: one that tells it, or a neutral one, or one that contradicts it."""
        if self._brief.edge_case is EdgeCase.AMBIGUOUS:
            return self._rng.choice(("ambiguous", "ambiguous", "neutral", self._contrary(tag)))
        if told:
            moods = [mood for mood in USES[tag].moods if mood in self._brief.arc] or list(USES[tag].moods)
            return self._rng.choice(self._at_hand(moods))
        is_neutral = "neutral" not in USES[tag].moods and self._rng.random() < _NEUTRAL_SHARE
        return "neutral" if is_neutral else self._contrary(tag)

    def _contrary(self, tag: str) -> str:
        moods = [mood for mood in MOODS if mood not in USES[tag].moods and not jars(tag, mood)]
        return self._rng.choice(self._at_hand(moods))

    def _at_hand(self, moods: list[str]) -> list[str]:
        """Those in which the situation has something to say, if there are any."""
        return [mood for mood in moods if self._own(mood)] or moods

    def _untagged_sentence(self) -> Line:
        if self._brief.tags or self._rng.random() >= _PLAIN_MOOD_SHARE:
            return self._sentence("neutral")
        return soften(self._sentence(self._rng.choice(MOODS)), self._rng)

    # tags

    def _place_tags(self) -> list[Line]:
        """Lines that hold the brief's tags."""
        lines: list[Line] = []
        for tag, told in self._labelled():
            share = 0.35 if is_held(tag) else 0.55
            may_add = lines and lines[-1].tells(tag) == told and self._rng.random() < share
            if may_add and self._add(lines[-1], tag, is_first=len(lines) == 1):
                continue
            line = self._sentence(self._mood_for(tag, told))
            if USES[tag].is_quiet:
                line = soften(line, self._rng)
            if not self._add(line, tag, is_first=not lines):
                line.tags[0].append(tag)
            lines.append(line)
        return lines

    def _labelled(self) -> list[tuple[str, bool]]:
        """The brief's tags, each with whether the words should tell it."""
        return list(zip(self._brief.tags, self._brief.told or (True,) * len(self._brief.tags), strict=True))

    def _add(self, line: Line, tag: str, *, is_first: bool) -> bool:
        """Set a tag into a line where it can be heard; False where it does not fit."""
        held = line.names()
        if len(held) >= 3 or not line.suits(tag):
            return False
        size, inner = len(line.words), line.boundaries
        if is_held(tag):
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
            if is_silence(tag) and is_first:
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

    def _grounded(self, lines: list[Line]) -> list[Line]:
        """The lines, and before them mostly one that says what they are about; in an interview a question."""
        own = self._own("neutral")
        if self._brief.domain is Domain.INTERVIEW and self._brief.speakers == 2:
            own = [line for line in own if line.endswith("?")] or own
        elif lines and (lines[0].place is not None or self._rng.random() >= _GROUNDED_SHARE):
            return lines
        if lines and self._draw > _MAX_GROUNDED_DRAWS:
            return lines
        return [self._sentence("neutral", own), *lines] if own else lines

    def _framed(self) -> list[Line]:
        """Lines with the brief's tags, before them what they are about, and perhaps behind them what is wanted."""
        lines = self._grounded(self._place_tags())
        wants = self._situation.wants
        if wants and self._draw <= _MAX_GROUNDED_DRAWS and self._rng.random() < _WANTING_SHARE:
            lines.append(self._sentence("neutral", wants))
        return lines

    def _grow(self, lines: list[Line], words: int) -> list[Line]:
        """Add untagged sentences, behind what they take up or at any place, until the text has about as many words."""
        while (total := sum(len(line.words) for line in lines)) < words:
            line = self._untagged_sentence()
            if lines and total + len(line.words) > words * 1.25 + 4:
                break
            # Not behind a last line that ends in a tag: people also end on a laugh or a sigh.
            is_closed = bool(lines) and bool(lines[-1].tags.get(len(lines[-1].words)))
            last = len(lines) - is_closed
            said = content_of(" ".join(line.words))
            taken_up = [place for place, other in enumerate(lines, 1) if said & content_of(" ".join(other.words))]
            places = [place for place in taken_up if place <= last] or range(last + 1)
            lines.insert(self._rng.choice(places), line)
        return lines

    # edge cases

    def _very_short(self) -> list[Line]:
        tags = self._brief.tags
        rule = "short.mood" if tags and self._rng.random() < 0.6 else "short.neutral"
        line = Line(self.language.rule(rule).split()[:4], rule)
        if line.words[-1][-1] == ",":
            line.words[-1] = line.words[-1][:-1] + "."
        for tag in tags:
            if is_silence(tag):
                line.tags[self._rng.randint(1, max(1, len(line.words) - 1))].append(tag)
            elif is_held(tag) or self._rng.random() < 0.5:
                line.tags[0].append(tag)
            else:
                line.tags[len(line.words)].append(tag)
        return [line]

    def _back_to_back(self) -> list[Line]:
        """All tags in one gap."""
        tags = list(self._brief.tags)
        mood = self._mood_for(*self._labelled()[0])
        line = self._sentence("neutral" if any(jars(tag, mood) for tag in tags) else mood)
        lines = self._grow([line], self._draw_length())
        places = [0, 0, *line.boundaries] if not any(map(is_silence, tags)) or lines[0] is not line else line.boundaries
        if not places and not any(map(is_held, tags)):
            places = [self._rng.randrange(1, len(line.words))]
        if places:
            line.tags[self._rng.choice(places)] = tags
        return lines

    def _boundary(self) -> list[Line]:
        """The first tag at the very start, the last at the very end."""
        (first, first_told), *others, (last, last_told) = self._labelled()
        start = self._sentence(self._mood_for(first, first_told))
        start.tags[0].append(first)
        lines = [start]
        for tag, told in others:
            if not self._add(lines[-1], tag, is_first=len(lines) == 1):
                lines.append(self._sentence(self._mood_for(tag, told)))
                lines[-1].tags[0].append(tag)
        if self._rng.random() < 0.6 or not lines[-1].suits(last):
            lines.append(self._sentence(self._mood_for(last, last_told)))
        lines[-1].tags[len(lines[-1].words)].append(last)
        return lines

    # emphasis and hesitation

    def _stress(self, lines: list[Line]) -> None:
        """Put one or two words into capitals: words of degree and contrast, or the last new one of a clause."""
        tagged = [line for line in lines if line.tags] or lines
        strong, last_new = [], []
        said: set[str] = set()
        for line in lines:
            latest = None
            for index, word in enumerate(line.words):
                if can_stress(word, index):
                    if bare_word(word).lower() in word_list("stressed often"):
                        strong.append((line, index))
                    elif bare_word(word).lower() not in said:
                        latest = index
                if latest is not None and (word[-1] in ",.!?" or index == len(line.words) - 1):
                    last_new.append((line, latest))
                    latest = None
            said |= {bare_word(word).lower() for word in line.words}
        strong, last_new = ([place for place in places if place[0] in tagged] for places in (strong, last_new))
        for _ in range(self._rng.choice((1, 1, 2))):
            pool = strong if strong and (not last_new or self._rng.random() < 0.6) else last_new
            if pool:
                line, index = self._rng.choice(pool)
                line.words[index] = line.words[index].upper()

    def _hesitate(self, lines: list[Line]) -> None:
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
                repeats = first == "I" or any(map(is_disfluent, line.names()))
                line.words[0] = f"{first}... {first}" if repeats else f"{first}..."


_QUESTION_TAILS = frozenset(("Right", "You see", "Don't you think", "Okay", "You know"))


def _put_in_order(lines: list[Line]) -> None:
    """Give the untagged sentences of the situation the order in which it tells them; all others keep their places."""
    places = [index for index, line in enumerate(lines) if line.place is not None and not line.names()]
    neutral = [index for index in places if lines[index].mood == "neutral"]
    told = sorted((lines[index] for index in neutral), key=lambda line: line.place or 0)
    for index, line in zip(neutral, told, strict=True):
        lines[index] = line
