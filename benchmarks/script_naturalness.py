"""How much scripts are like what people say: words, coherence, places of tags, and how far tags follow from the words.

    python benchmarks/script_naturalness.py icsi_meetings.jsonl.xz common_voice_en.txt goemotions.jsonl \
        NAME=corpus/scripts.jsonl ... > benchmarks/results/script_naturalness.txt

The yardsticks are the ICSI meetings (segments as JSON lines, CC BY 4.0), Common Voice's sentences (CC0) and comments
with emotions by other writers (GoEmotions, CC BY 4.0; lines of `text` and `tag`). Each corpus of scripts is the
`scripts.jsonl` of a folder that `evoxtral corpus scripts` wrote, or lines of objects with `text`.

- perplexity: of the spoken words under a trigram model of nine tenths of ICSI's meetings and of Common Voice's
  sentences, interpolated with fixed weights (Jelinek and Mercer 1980); the yardsticks' own rows are the meetings and
  sentences that it has not seen. Also of sentences of four words and more: a meeting is full of "yeah".
- words: the share of the 50 and the 300 most frequent words of the meetings; what is left is content.
- turns: the share of dialogues' turns (of a meeting's segments) with one or two words, which are mostly a listener's.
- echo: how often neighbouring sentences of a script (segments of a meeting), of four words and more, share a word of
  content, and how often two sentences of different scripts do; their ratio is what holds the sentences together.
- places: where [laughs] and [pause] stand: at a sentence's edge, behind a comma, inside a clause.
- emotion: how often a text-only classifier (logistic regression on words, five folds over texts) finds the emotion of a
  sentence, and how often the most frequent emotion would be right; of scripts that say so apart for told and untold.
- tagger: whether a text-only tagger (logistic regression on the words around a gap and the gap's place) tells the gaps
  with a tag from those without: area under the ROC curve, three folds over texts; and trained on the scripts, of ICSI.
  Only tags that ICSI marks often.
- copied: sentences of eight words and more of which eight in a row stand in a meeting; and the greatest ROUGE-L of 100
  sentences of eight words and more to any segment.
"""

import json
import lzma
import math
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from evoxtral.tags import Category, TaggedText, parse

_WEIGHTS = (0.4, 0.35, 0.2, 0.05)  # of trigrams, pairs, words, and of any word at all
_COMMON_WORDS = 300  # the most frequent words of the meetings carry no content
_TAGS = ("laughs", "pause", "CAPITALS")
_RUN_WORDS = 8
_ECHO_WORDS = 4  # shorter sentences and segments ("yeah") take up nothing, in meetings as in scripts
_MOST_TEXTS = 3_000  # of ICSI, for the tagger


def main() -> int:
    meetings, voices, comments = map(Path, sys.argv[1:4])
    with lzma.open(meetings, "rt", encoding="utf-8") as lines:
        segments = [json.loads(line) for line in lines]
    held_out = set(sorted({segment["meeting"] for segment in segments})[::10])
    talk = [spoken(re.sub(r"\[[^\]]+\]", " ", segment["tagged"])) for segment in segments]
    unseen = [segment["meeting"] in held_out for segment in segments]
    read = [spoken(line) for line in voices.read_text("utf-8").splitlines()]
    seen = [text for text, is_unseen in zip(talk, unseen, strict=True) if not is_unseen]
    model = Trigrams([*seen, *(text for index, text in enumerate(read) if index % 10)])
    frequent = [word for word, _ in Counter(word for text in talk for word in text).most_common(_COMMON_WORDS)]
    parsed = [parse(segment["tagged"]) for segment in segments]
    told = [(" ".join(item["text"].split()), item["tag"][0]) for item in map(json.loads, comments.open())]
    told = [(text, tag) for text, tag in told if tag != "neutral"]

    sources: dict[str, dict[str, Any]] = {
        "ICSI": {
            "texts": [text for text, is_unseen in zip(talk, unseen, strict=True) if is_unseen and text],
            "scripts": talk,
            "turns": [len(text) for text in talk if text],
            "parsed": [text for text in parsed if len(text.words) >= 4],
        },
        "Common Voice": {"texts": read[::10]},
        "GoEmotions": {"texts": [spoken(text) for text, _ in told[::10]], "emotions": told[:4_000]},
    }
    for argument in sys.argv[4:]:
        name, _, file = argument.partition("=")
        items = [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]
        texts = [parse(item.get("tagged_text") or item["text"]) for item in items]
        sentences = [list(sentences_of(text)) for text in texts]
        labels = [item.get("told") for item in items]
        sources[name] = {
            "texts": [sentence for script in sentences for sentence in script],
            "scripts": sentences,
            "parsed": texts,
            "turns": [
                len(spoken(parse(turn["tagged_text"]).plain_text)) for item in items for turn in item.get("turns") or ()
            ],
            "emotions": emotions_of(texts),
            "told": [*emotions_of(texts, labels, True)] if any(labels) else [],
            "untold": [*emotions_of(texts, labels, False)] if any(labels) else [],
            "is_written": True,
        }
    names = list(sources)
    table(names, sources, model, frequent, talk)
    return 0


def table(
    names: Sequence[str],
    sources: dict[str, dict[str, Any]],
    model: "Trigrams",
    frequent: Sequence[str],
    talk: Sequence[Sequence[str]],
) -> None:
    top, common = set(frequent[:50]), set(frequent)
    rows: dict[str, list[str]] = {}

    def put(label: str, value: str) -> None:
        rows.setdefault(label, []).append(value)

    runs = {tuple(text[at : at + _RUN_WORDS]) for text in talk for at in range(len(text) - _RUN_WORDS + 1)}
    for name in names:
        source = sources[name]
        texts = source["texts"]
        perplexity, unknown = model.perplexity(texts)
        put("perplexity", f"{perplexity:.0f}")
        put("  of 4 words and more", f"{model.perplexity([text for text in texts if len(text) >= 4])[0]:.0f}")
        put("unknown words", f"{unknown:.1%}")
        words = Counter(word for text in texts for word in text)
        put("words: 50 commonest", f"{sum(words[word] for word in top) / words.total():.1%}")
        put("words: next 250", f"{sum(words[word] for word in common - top) / words.total():.1%}")
        turns = source.get("turns")
        put("turns of one or two words", f"{sum(size <= 2 for size in turns) / len(turns):.0%}" if turns else "")
        echo = None
        if "scripts" in source:
            scripts = source["scripts"] if source.get("is_written") else [source["scripts"]]
            nested = [[text for text in script if len(text) >= _ECHO_WORDS] for script in scripts]
            echo = echoes([text for script in nested for text in script], nested, common)
        put("echo, at random", f"{echo[0]:.1%}, {echo[1]:.1%}" if echo else "")
        for tag in ("laughs", "pause"):
            shares = places(source.get("parsed", ()), tag)
            put(f"[{tag}] edge / comma / inside", " / ".join(f"{share:.0%}" for share in shares))
        emotions = source.get("emotions")
        put("emotion from the words", "{:.0%} (majority {:.0%})".format(*told_by_words(emotions)) if emotions else "")
        for kind in ("told", "untold"):
            found = source.get(kind)
            put(f"  {kind}", "{:.0%} (majority {:.0%})".format(*told_by_words(emotions, found)) if found else "")
        for tag in _TAGS:
            put(f"tagger [{tag}], itself", f"{gap_score(source['parsed'], tag):.2f}" if "parsed" in source else "")
        for tag in _TAGS:
            score = gap_score(source["parsed"], tag, sources["ICSI"]["parsed"]) if source.get("is_written") else None
            put(f"tagger [{tag}], of ICSI", f"{score:.2f}" if score else "")
        if source.get("is_written"):
            long = [text for text in texts if len(text) >= _RUN_WORDS]
            copied = sum(
                any(tuple(text[at : at + _RUN_WORDS]) in runs for at in range(len(text) - _RUN_WORDS + 1))
                for text in long
            )
            put("copied from ICSI", f"{copied} of {len(long):,}")
            put("greatest ROUGE-L to ICSI", f"{nearest(random.Random(0).sample(long, 100), talk):.2f}")
        else:
            put("copied from ICSI", "")
            put("greatest ROUGE-L to ICSI", "")
    width = max(map(len, rows)) + 2
    print("".ljust(width) + "".join(name.rjust(22) for name in names))
    for label, values in rows.items():
        print(label.ljust(width) + "".join(value.rjust(22) for value in values))


def spoken(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def sentences_of(text: TaggedText) -> Iterator[list[str]]:
    first = 0
    for last in sorted(set(text.sentence_ends)):
        yield spoken(" ".join(word.plain for word in text.words[first:last]))
        first = last


class Trigrams:
    """An interpolated trigram model; words that were seen once count as unknown."""

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        texts = list(texts)
        counts = Counter(word for text in texts for word in text)
        self._words = {word for word, count in counts.items() if count > 1}
        self._counts = [Counter[tuple[str, ...]]() for _ in range(4)]
        for text in texts:
            padded = self._padded(text)
            for size in range(4):
                self._counts[size].update(tuple(padded[at - size : at]) for at in range(2, len(padded) + 1))

    def _padded(self, text: Sequence[str]) -> list[str]:
        return ["<s>", "<s>", *(word if word in self._words else "<unknown>" for word in text), "</s>"]

    def perplexity(self, texts: Iterable[Sequence[str]]) -> tuple[float, float]:
        """Of the words and ends of texts, and the share of unknown words."""
        bits, events, unknown, words = 0.0, 0, 0, 0
        for text in texts:
            padded = self._padded(text)
            words += len(text)
            unknown += padded.count("<unknown>")
            for at in range(2, len(padded)):
                bits -= math.log2(self._probability(padded[at - 2 : at + 1]))
                events += 1
        return float(2 ** (bits / max(1, events))), unknown / max(1, words)

    def _probability(self, gram: Sequence[str]) -> float:
        probability = _WEIGHTS[3] / (len(self._words) + 2)
        for size, weight in ((1, _WEIGHTS[2]), (2, _WEIGHTS[1]), (3, _WEIGHTS[0])):
            context = self._counts[size - 1][tuple(gram[3 - size : 2])] if size > 1 else self._counts[0][()]
            if context:
                probability += weight * self._counts[size][tuple(gram[3 - size :])] / context
        return probability


def echoes(
    flat: Sequence[Sequence[str]], scripts: Sequence[Sequence[Sequence[str]]], common: set[str]
) -> tuple[float, float]:
    """How often neighbouring sentences, and random ones, share a word of content."""

    def content(text: Sequence[str]) -> set[str]:
        return {word for word in text if len(word) > 2 and word not in common}

    rng = random.Random(0)
    pairs = [(content(a), content(b)) for script in scripts for a, b in pairwise(script)]
    mixed = [(content(rng.choice(flat)), content(rng.choice(flat))) for _ in range(50_000)]
    near, random_share = (sum(bool(a & b) for a, b in some) / max(1, len(some)) for some in (pairs, mixed))
    return near, random_share


def places(parsed: Sequence[TaggedText], name: str) -> list[float]:
    """Shares of the tag's places: at a sentence's edge, behind a comma or dash, inside a clause."""
    found = Counter[str]()
    for text in parsed:
        ends = {0, len(text.words), *text.sentence_ends}
        for tag in text.tags:
            if tag.name == name and text.words:
                mark = text.words[tag.gap - 1].text[-1:] if tag.gap else ""
                dash = text.source[: tag.start].rstrip()[-1:] == "-"
                found["edge" if tag.gap in ends else "comma" if mark in ",;:.…" or dash else "inside"] += 1
    return [found[place] / found.total() for place in ("edge", "comma", "inside")] if found else []


Emotion = tuple[str, str]
"""Words, and the emotion in which they are said."""


def emotions_of(
    parsed: Sequence[TaggedText], labels: Sequence[Sequence[bool] | None] | None = None, wanted: bool = True
) -> list[Emotion]:
    """Every emotion of the texts; with labels only those that are told, or untold."""
    found = []
    for number, text in enumerate(parsed):
        for scope in text.scopes:
            tag = text.tags[scope.tag]
            label = labels[number] if labels else None
            if labels and (label is None or label[scope.tag] is not wanted):
                continue
            if tag.category is Category.EMOTION and scope.first_word < scope.last_word:
                words = " ".join(word.plain for word in text.words[scope.first_word : scope.last_word])
                found.append((words, tag.name))
    return found


def told_by_words(emotions: Sequence[Emotion], of: Sequence[Emotion] | None = None) -> tuple[float, float]:
    """How often a classifier finds the emotion from the words, and how often the most frequent is right; of some."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    texts, labels = zip(*emotions, strict=True)
    features = CountVectorizer(ngram_range=(1, 2), min_df=2).fit_transform(texts)
    predicted = cross_val_predict(LogisticRegression(max_iter=1_000), features, labels, cv=5)
    chosen = set(of) if of is not None else None
    right = [
        (label == guess, label)
        for text, label, guess in zip(texts, labels, predicted, strict=True)
        if chosen is None or (text, label) in chosen
    ]
    return (
        sum(is_right for is_right, _ in right) / len(right),
        Counter(label for _, label in right).most_common(1)[0][1] / len(right),
    )


def gap_score(parsed: Sequence[TaggedText], tag: str, other: Sequence[TaggedText] | None = None) -> float:
    """The area under the ROC curve of a text-only tagger of gaps; where another source is given, on that."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    def of(texts: Sequence[TaggedText]) -> tuple[list[dict[str, float]], list[bool], list[int]]:
        texts = list(texts)
        if len(texts) > _MOST_TEXTS:
            texts = random.Random(0).sample(texts, _MOST_TEXTS)
        rows, found, groups = [], [], []
        for number, text in enumerate(texts):
            for row, is_there in gaps_of(text, tag):
                rows.append(row)
                found.append(is_there)
                groups.append(number)
        return rows, found, groups

    tagger = make_pipeline(DictVectorizer(), LogisticRegression(max_iter=60))
    rows, found, groups = of(parsed)
    if other is None:
        scores = cross_val_predict(tagger, rows, found, groups=groups, cv=GroupKFold(3), method="decision_function")
        return float(roc_auc_score(found, scores))
    tagger.fit(rows, found)
    rows, found, _ = of(other)
    return float(roc_auc_score(found, tagger.decision_function(rows)))


def gaps_of(text: TaggedText, tag: str) -> Iterator[tuple[dict[str, float], bool]]:
    """What is seen of each gap (of each word, for capitals) without the tags, and whether the tag is there."""
    words = [word.plain.lower().strip('.,!?;:-"') for word in text.words]
    ends = set(text.sentence_ends)
    there = set(text.emphasised) if tag == "CAPITALS" else {item.gap for item in text.tags if item.name == tag}
    for place in range(len(words) + (tag != "CAPITALS")):
        before = words[place - 1] if place else "<s>"
        after = words[place] if place < len(words) else "</s>"
        kind = "edge" if place in ends or not place else "inside"
        row = {f"before {before}": 1.0, f"after {after}": 1.0, kind: 1.0, "length": min(len(words), 40) / 40}
        if place + 1 < len(words):
            row[f"second {words[place + 1]}"] = 1.0
        yield row, place in there


def nearest(texts: Sequence[Sequence[str]], talk: Sequence[Sequence[str]]) -> float:
    """The greatest ROUGE-L of any text to any segment of some length."""
    from rapidfuzz import process
    from rapidfuzz.distance import Indel

    from evoxtral.corpus.similarity import Encoder

    encoder = Encoder()
    segments = [encoder.encode(" ".join(text)) for text in talk if len(text) >= 5]
    queries = [encoder.encode(" ".join(text)) for text in texts]
    return float(process.cdist(queries, segments, scorer=Indel.normalized_similarity, workers=1).max())


if __name__ == "__main__":
    sys.exit(main())
