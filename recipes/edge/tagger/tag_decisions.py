"""From words with times and what the tagger's network heard in each frame to tagged text.

    python eval_runtime.py score --dump DUMP --references REFERENCES.jsonl

runs it on dumped frames; `tagging_engine.py` uses it. Decides where a sound, a delivery, an emotion, a stammer, a
stressed word or a pause is written; one option, `sensitivity`, moves all thresholds together. Knows frames, words and
tags; nothing of audio files or models.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FRAMES_PER_S = 50
# Classes of the network. The five sounds that are tags, and those that are not: each a class of its own, so that a
# cough is a cough and no throat clearing.
EVENTS = ("none", "laughs", "sighs", "gasps", "clears throat", "crying", "cough", "sneeze", "hum", "other", "baby cry")
SOUND_TAGS = EVENTS[1:6]
EMOTIONS = ("neutral", "excited", "sad", "angry", "nervous", "calm", "frustrated")

# A sound lasts at least so long, and breaks of less than this are part of it.
_LEAST_SOUND_S = {"laughs": 0.20, "sighs": 0.22, "gasps": 0.12, "clears throat": 0.14, "crying": 0.24}
_SOUND_BREAK_S = 0.4
_SMOOTH_FRAMES = 7
# A word that lies under a sound to this share, and that the decoder is less sure of than this, was not said.
_COVERED, _UNSURE = 0.65, 0.6
# Between sentences a speaker rests for at least so long; a full stop without it is the decoder's taste.
_SENTENCE_REST_S = 0.2
_SHORTEST_CLAUSE_S = 0.45
# Sound reaches so far below the loudest moments of a window.
_SILENCE_RANGE_DB = 38.0
# What is added to the logit of no emotion, so that plain speech of strangers keeps none.
NEUTRAL_BIAS = 1.0
# Cost, in nats, of a change of emotion inside a sentence.
_CHANGE_COST = 4.0
_LAUGH_WORDS = re.compile(
    r"(?:[hn]?[aeo]?h+[aeo]*h*[,.!]?|oh|ah|hmm+|mm+|uh|ugh|ew+|whoa|wow|yeah)[,.!?]*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Probabilities above which a tag is written, at sensitivity 0; chosen on validation clips.

    Attributes:
        pause_s, pause_between_sentences_s: silence between two words that is a pause, inside a sentence and after it.
    """

    sounds: Mapping[str, float] = field(
        default_factory=lambda: {"laughs": 0.45, "sighs": 0.5, "gasps": 0.45, "clears throat": 0.45, "crying": 0.5}
    )
    whispers: float = 0.7
    shouts: float = 0.7
    stammers: float = 0.7
    stress: float = 0.55
    emotion: float = 0.6
    pause_s: float = 0.55
    pause_between_sentences_s: float = 0.8

    def moved(self, sensitivity: float) -> "Thresholds":
        """All thresholds lowered by so many logits."""

        def move(value: float) -> float:
            return float(1 / (1 + np.exp(sensitivity - np.log(value / (1 - value)))))

        return Thresholds(
            {name: move(value) for name, value in self.sounds.items()},
            move(self.whispers),
            move(self.shouts),
            move(self.stammers),
            move(self.stress),
            move(self.emotion),
            self.pause_s,
            self.pause_between_sentences_s,
        )


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word of the decoder's text: its characters `start` to `end` (exclusive), when it is heard, how sure it is."""

    start: int
    end: int
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class HeardFrames:
    """What the network says of each frame of 20 ms.

    Attributes:
        events: probabilities of `EVENTS`, shape (n, 11).
        whispers, shouts, stammers: probabilities, shape (n,).
        stress: logits, shape (n,).
        emotion: logits of `EMOTIONS`, shape (n, 7).
        level_db: level of the samples, shape (n,).
    """

    events: NDArray[np.float32]
    whispers: NDArray[np.float32]
    shouts: NDArray[np.float32]
    stammers: NDArray[np.float32]
    stress: NDArray[np.float32]
    emotion: NDArray[np.float32]
    level_db: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sound:
    """A vocal sound: its class, when it is heard, and its probability."""

    tag: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Clause:
    """Words `first` to `last` (exclusive) up to a punctuation mark; whether a sentence ends with it."""

    first: int
    last: int
    ends_sentence: bool


def words_of(text: str, tokens: Sequence[tuple[int, int, float, float, float]]) -> list[HeardWord]:
    """Words of a text from its aligned tokens (characters, times, probability), their times rising."""
    made: list[HeardWord] = []
    for match in re.finditer(r"\S+", text):
        heard = [token for token in tokens if token[0] < match.end() and token[1] > match.start()]
        spoken = [token for token in heard if re.search(r"\w", text[token[0] : token[1]])] or heard
        earliest_s = made[-1].end_s if made else 0.0
        start_s = max(earliest_s, spoken[0][2]) if spoken else earliest_s
        end_s = max(start_s, spoken[-1][3]) if spoken else start_s
        chance = float(np.mean([token[4] for token in heard])) if heard else 0.0
        made.append(HeardWord(match.start(), match.end(), start_s, end_s, chance))
    return made


def fit_to_sound(words: Sequence[HeardWord], level_db: NDArray[np.float32]) -> list[HeardWord]:
    """Words without the silence that an alignment gives to their ends."""
    loud = level_db > _floor_db(level_db)
    made = []
    for word in words:
        first, last = round(word.start_s * FRAMES_PER_S), round(word.end_s * FRAMES_PER_S)
        inside = np.flatnonzero(loud[first:last])
        if len(inside) >= 2:
            # of a word cut by silence, the longest part
            breaks = np.flatnonzero(np.diff(inside) > 10)
            parts = np.split(inside, breaks + 1)
            part = max(parts, key=len)
            word = HeardWord(
                word.start, word.end, (first + int(part[0])) / FRAMES_PER_S, (first + int(part[-1]) + 1) / FRAMES_PER_S,
                word.probability,
            )  # fmt: skip
        made.append(word)
    return made


def _floor_db(level_db: NDArray[np.float32]) -> float:
    if len(level_db) == 0:
        return 0.0
    loud = float(np.quantile(level_db, 0.95))
    quiet = float(np.quantile(level_db, 0.05))
    return max(loud - _SILENCE_RANGE_DB, min(quiet + 6.0, loud - 18.0), -75.0)


def find_sounds(events: NDArray[np.float32], thresholds: Thresholds) -> list[Sound]:
    """Stretches in which one of the five sounds is likelier than its threshold, in order."""
    if len(events) == 0:
        return []
    kernel = np.ones(_SMOOTH_FRAMES) / _SMOOTH_FRAMES
    smooth = np.stack([np.convolve(column, kernel, "same") for column in events.T], 1)
    found: list[Sound] = []
    vocal = smooth[:, 1:].sum(1)
    active = vocal > 0.5
    for first, last in _runs(active, round(_SOUND_BREAK_S * FRAMES_PER_S)):
        mass = smooth[first:last].sum(0)
        best = 1 + int(np.argmax(mass[1:]))
        tag = EVENTS[best]
        if tag not in SOUND_TAGS:
            continue
        here = smooth[first:last, best]
        length = int((here > 0.4).sum())
        share = float(mass[best] / mass[1:].sum())
        peak = float(np.sort(here)[-max(1, min(len(here), 10)) :].mean()) * share
        if length / FRAMES_PER_S >= _LEAST_SOUND_S[tag] and peak > thresholds.sounds[tag]:
            found.append(Sound(tag, first / FRAMES_PER_S, last / FRAMES_PER_S, peak))
    return found


def _runs(active: NDArray[np.bool_], largest_break: int) -> list[tuple[int, int]]:
    places = np.flatnonzero(active)
    if len(places) == 0:
        return []
    cuts = np.flatnonzero(np.diff(places) > largest_break)
    starts = places[np.concatenate([[0], cuts + 1])]
    ends = places[np.concatenate([cuts, [len(places) - 1]])] + 1
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def invented_words(text: str, words: Sequence[HeardWord], events: NDArray[np.float32]) -> set[int]:
    """Numbers of the words that the decoder wrote for a sound: "Ha, ha!" for a laugh, "Thank you." for a sigh."""
    sounding = 1.0 - events[:, 0]
    made = set()
    for number, word in enumerate(words):
        first, last = round(word.start_s * FRAMES_PER_S), round(word.end_s * FRAMES_PER_S)
        covered = float((sounding[first : max(last, first + 1)] > 0.5).mean()) if first < len(sounding) else 0.0
        said = text[word.start : word.end]
        if covered > _COVERED and (word.probability < _UNSURE or _LAUGH_WORDS.fullmatch(said)):
            made.add(number)
    return made


def clauses_of(text: str, words: Sequence[HeardWord]) -> list[Clause]:
    """Clauses in order: words up to a punctuation mark or a rest."""
    made: list[Clause] = []
    first = 0
    for number, word in enumerate(words):
        said = text[word.start : word.end]
        last_word = number + 1 == len(words)
        rest_s = 9.0 if last_word else words[number + 1].start_s - word.end_s
        stops = said[-1] in ".!?…" or said[-2:-1] in (".", "!", "?")
        if last_word or stops or said[-1] in ",;:—–-" or rest_s > 0.45:
            made.append(Clause(first, number + 1, last_word or (stops and rest_s >= _SENTENCE_REST_S)))
            first = number + 1
    return made


def _frames(words: Sequence[HeardWord], first: int, last: int, count: int) -> NDArray[np.intp]:
    """Frames in which words `first` to `last` are heard."""
    parts = [
        np.arange(
            round(word.start_s * FRAMES_PER_S),
            max(round(word.end_s * FRAMES_PER_S), round(word.start_s * FRAMES_PER_S) + 1),
        )
        for word in words[first:last]
    ]
    frames = np.concatenate(parts) if parts else np.zeros(0, np.intp)
    return frames[frames < count]


def clause_emotions(
    clauses: Sequence[Clause], words: Sequence[HeardWord], heard: HeardFrames, bias: NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
    """Log-probabilities of `EMOTIONS` for each clause, shape (clauses, 7), of at least half a second around it."""
    made = np.zeros((len(clauses), len(EMOTIONS)))
    for number, clause in enumerate(clauses):
        frames = _frames(words, clause.first, clause.last, len(heard.emotion))
        if len(frames) == 0:
            made[number, 0] = 10.0
            continue
        made[number] = heard.emotion[frames].mean(0)
        made[number] *= min(1.0, 0.5 + len(frames) / FRAMES_PER_S)  # of a moment little is certain
    if bias is not None:
        made = made + bias
    made[:, 0] += NEUTRAL_BIAS
    made -= made.max(1, keepdims=True)
    return made - np.log(np.exp(made).sum(1, keepdims=True))


def _best_path(log_probabilities: NDArray[np.float64], cost: float) -> list[int]:
    """The likeliest emotion of each clause of a sentence where a change costs so much (Viterbi)."""
    score, back = log_probabilities[0].copy(), []
    for row in log_probabilities[1:]:
        stay, move = score, score.max() - cost
        back.append(np.where(stay >= move, np.arange(len(score)), int(score.argmax())))
        score = np.maximum(stay, move) + row
    path = [int(score.argmax())]
    for step in reversed(back):
        path.append(int(step[path[-1]]))
    return path[::-1]


def write_tags(
    text: str, words: Sequence[HeardWord], heard: HeardFrames, thresholds: Thresholds,
    emotion_bias: NDArray[np.float32] | None = None,
) -> str:  # fmt: skip
    """The text with its tags; without words, the sounds alone."""
    sounds = find_sounds(heard.events, thresholds)
    invented = invented_words(text, words, heard.events)
    if invented and len(invented) < len(words):
        # Of a text that is speech only words at its joints are taken away.
        kept = [number for number in range(len(words)) if number not in invented]
    else:
        kept = [] if invented else list(range(len(words)))
    said = [text[words[number].start : words[number].end] for number in kept]
    plain = " ".join(said)
    spans, at = [], 0
    for number, piece in zip(kept, said, strict=True):
        word = words[number]
        spans.append(HeardWord(at, at + len(piece), word.start_s, word.end_s, word.probability))
        at += len(piece) + 1
    spans = fit_to_sound(spans, heard.level_db)
    before: list[list[str]] = [[] for _ in range(len(spans) + 1)]
    clauses = clauses_of(plain, spans)
    _write_manners(before, plain, clauses, spans, heard, thresholds, emotion_bias)
    for sound in sounds:
        middle_s = (sound.start_s + sound.end_s) / 2
        gap = sum((word.start_s + word.end_s) / 2 < middle_s for word in spans)
        covered = [w for w in spans if w.start_s > sound.start_s - 0.1 and w.end_s < sound.end_s + 0.1]
        if covered and len(covered) > 2:
            continue  # laughing while speaking: too unsure where it stands
        before[gap].insert(0, f"[{sound.tag}]")
    loud = heard.level_db > _floor_db(heard.level_db)
    for gap in range(1, len(spans)):
        if any(tag[1:-1] in SOUND_TAGS for tag in before[gap]):
            continue
        first, last = round(spans[gap - 1].end_s * FRAMES_PER_S), round(spans[gap].start_s * FRAMES_PER_S)
        quiet = ~loud[first:last]
        stops = plain[spans[gap - 1].end - 1] in ".!?"
        least_s = thresholds.pause_between_sentences_s if stops else thresholds.pause_s
        longest = max((b - a for a, b in _runs(quiet, 1)), default=0)
        if longest / FRAMES_PER_S >= least_s:
            before[gap].insert(0, "[pause]")
    stressed = _stressed(plain, spans, heard, thresholds)
    pieces: list[str] = []
    for number, word in enumerate(spans):
        pieces += before[number]
        piece = plain[word.start : word.end]
        pieces.append(piece.upper() if number in stressed else piece)
    return " ".join([*pieces, *before[-1]])


def _write_manners(
    before: list[list[str]], text: str, clauses: Sequence[Clause], words: Sequence[HeardWord], heard: HeardFrames,
    thresholds: Thresholds, bias: NDArray[np.float32] | None,
) -> None:  # fmt: skip
    """Emotion, delivery and stammering, sentence by sentence, before the clause where they begin."""
    emotions = clause_emotions(clauses, words, heard, bias)
    first = 0
    for number, clause in enumerate(clauses):
        if not clause.ends_sentence:
            continue
        sentence = range(first, number + 1)
        first = number + 1
        path = _best_path(emotions[sentence.start : sentence.stop], _CHANGE_COST)
        current, manner = 0, ""
        for offset, index in enumerate(sentence):
            of = clauses[index]
            state = path[offset]
            same = [i for i, s in zip(sentence, path, strict=True) if s == state]
            weight = np.array(
                [len(_frames(words, clauses[i].first, clauses[i].last, len(heard.emotion))) for i in same]
            )
            chance = float((np.exp(emotions[same, state]) * weight).sum() / max(weight.sum(), 1))
            frames = _frames(words, of.first, of.last, len(heard.emotion))
            if len(frames) == 0:
                continue
            whisper, shout = float(heard.whispers[frames].mean()), float(heard.shouts[frames].mean())
            now = "whispers" if whisper > thresholds.whispers else "shouts" if shout > thresholds.shouts else ""
            if state not in (0, current) and chance > thresholds.emotion:
                before[of.first].append(f"[{EMOTIONS[state]}]")
                current = state
            if now and now != manner:
                before[of.first].append(f"[{now}]")
                manner = now
        begin, end = words[clauses[sentence.start].first], words[clauses[sentence.stop - 1].last - 1]
        span = heard.stammers[round(begin.start_s * FRAMES_PER_S) : round(end.end_s * FRAMES_PER_S) + 1]
        if len(span) and float(np.sort(span)[-3:].mean()) > thresholds.stammers:
            at_s = begin.start_s + int(np.argmax(span)) / FRAMES_PER_S
            # The tag stands before the sentence's part that holds the stammer, behind an earlier tag.
            inside = [clauses[i] for i in sentence if words[clauses[i].last - 1].end_s >= at_s]
            start = clauses[sentence.start]
            tagged = (
                [c for c in (clauses[i] for i in sentence) if before[c.first] and c.first <= inside[0].first]
                if inside
                else []
            )
            before[(tagged[-1] if tagged else start).first].append("[stammers]")


def _stressed(text: str, words: Sequence[HeardWord], heard: HeardFrames, thresholds: Thresholds) -> set[int]:
    limit = float(np.log(thresholds.stress / (1 - thresholds.stress)))
    made = set()
    for number, word in enumerate(words):
        said = re.sub(r"\W", "", text[word.start : word.end])
        frames = _frames(words, number, number + 1, len(heard.stress))
        if len(frames) and len(said) > 1 and said.upper() != said and float(heard.stress[frames].mean()) > limit:
            made.add(number)
    return made
