"""How sentences become talk: who says which, what the listener says to it, and how the next takes up the last.

Knows the domains in which people talk to each other; knows nothing of briefs, or where sentences come from.
"""

import random
from collections.abc import Sequence
from itertools import pairwise

from evoxtral.corpus.writers.language import Expander
from evoxtral.corpus.writers.lines import Line, bare_word, is_silence
from evoxtral.corpus.writers.situations import proper_names, word_list
from evoxtral.data.records import Domain

# Who tells of the situation does so mostly; in a quarrel both do.
_TELLING_SHARE = 0.85
_TELLING_SHARE_ARGUED = 0.6
# Sentences in a row by one speaker between which the listener says something. In the ICSI meetings 36 % of the turns
# are of one or two words.
_REPLYING_SHARE = 0.85
_BACKCHANNEL_SHARE = 0.7  # of replies that answer no question
_NAMING_SHARE = 0.25  # of the other replies to a statement that names somebody or a day: "Thursday?"
# Sentences that are joined to the one before by a word or two: in the meetings about half of the segments of four words
# and more begin with one.
_CONNECTED_SHARE = 0.45
_CONNECTED_SHARE_PREPARED = 0.12
_OPENED_SHARE = 0.3
# Of connected sentences that exclaim: few.
_EXCLAIMED_SHARE = 0.3
# Ends of a statement, not of a question.
_SEEKING_ASSENT = ("you know?", "you see?", "right?", "okay?", "don't you think?")


def share_out(
    lines: Sequence[Line], domain: Domain, language: Expander, rng: random.Random, *, replying: float = 1.0
) -> list[Line]:
    """Give each line one of two speakers, and let the listener reply.

    Args:
        replying: how often the listener does, as a part of how often one does.
    """
    if domain is Domain.INTERVIEW:
        lines = _questions_first(lines)
    telling = _TELLING_SHARE_ARGUED if domain is Domain.ARGUMENT else _TELLING_SHARE
    speaker = 0
    for number, line in enumerate(lines):
        if domain is Domain.INTERVIEW:
            speaker = 0 if line.mood == "neutral" and _is_for_interviewer(line) else 1
        elif line.place is not None:
            speaker = 0 if rng.random() < telling else 1
        elif number and rng.random() < 0.5:
            speaker = 1 - speaker
        line.speaker = speaker
    spoken: list[Line] = []
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        spoken.append(line)
        goes_on = after is not None and after.speaker == line.speaker
        is_alone = after is None and len({one.speaker for one in spoken}) == 1
        if is_alone or (goes_on and rng.random() < _REPLYING_SHARE * replying):
            spoken.append(_reply(line, language, rng))
    _hear_silences(spoken)
    return spoken


def _is_for_interviewer(line: Line) -> bool:
    return line.asks or " ".join(line.words[:2]).lower() in ("tell me", "walk me", "take your")


def _questions_first(lines: Sequence[Line]) -> list[Line]:
    """An interview begins with a question, if it has one without a tag."""
    first = next((line for line in lines if line.asks and line.mood == "neutral" and not line.names()), None)
    return [first, *(line for line in lines if line is not first)] if first is not None else list(lines)


def _reply(line: Line, language: Expander, rng: random.Random) -> Line:
    """What the listener says: an answer to a question, else "mm-hm", or what such a mood is answered with."""
    if line.asks and not " ".join(line.words).lower().endswith(_SEEKING_ASSENT):
        rule = "answer.open" if line.asks_openly else "answer"
    elif rng.random() < _BACKCHANNEL_SHARE:
        rule = f"backchannel.{line.mood}" if f"backchannel.{line.mood}" in language.rules else "backchannel"
    else:
        rule = f"back.{line.mood}"
        names = [bare for word in line.words[1:] if (bare := bare_word(word)) in proper_names()]
        if names and rng.random() < _NAMING_SHARE:
            return Line([f"{names[-1]}?"], "neutral", speaker=1 - line.speaker, is_reply=True)
    text = language.sentence(rng.choice(language.rules[rule]))
    return Line(text.split(), "neutral", speaker=1 - line.speaker, is_reply=True)


def _hear_silences(lines: Sequence[Line]) -> None:
    """Silence before a turn is not the speaker's: move it behind the first words."""
    for before, line in pairwise(lines):
        silences = [tag for tag in line.tags.get(0, ()) if is_silence(tag)]
        if silences and before.speaker != line.speaker and len(line.words) > 1:
            line.tags[0] = [tag for tag in line.tags[0] if not is_silence(tag)]
            line.tags[min(2, len(line.words) - 1)] += silences


def connect(lines: Sequence[Line], language: Expander, rng: random.Random, *, is_prepared: bool) -> None:
    """Have lines begin as people begin: with what joins them to the last one, their own or another's."""
    used: set[str] = set()
    for before, line in zip([None, *lines[:-1]], lines, strict=True):
        if line.is_reply or line.words[0].strip(",.!?").lower() in word_list("openers"):
            continue
        share = _CONNECTED_SHARE_PREPARED if is_prepared else _OPENED_SHARE if before is None else _CONNECTED_SHARE
        if "!" in "".join(line.words):
            share *= _EXCLAIMED_SHARE
        if rng.random() >= share or len(line.words) < 4:
            continue
        kind = "opens" if before is None else "goes.on" if before.speaker == line.speaker else "takes.up"
        rules = [kind]
        if kind != "opens" and not line.asks and _is_statement(line.words[0]):
            rules.append(f"{kind}.statement")
        beginning = language.sentence(rng.choice(language.rules[rng.choice(rules)])).rstrip(".")
        if beginning not in used:
            used.add(beginning)
            line.begin_with(beginning.split())


def _is_statement(word: str) -> bool:
    bare = word.rstrip(",.!?")
    return bare.lower() in word_list("statement starts") or bare in proper_names()
