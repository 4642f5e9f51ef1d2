"""How much scripts are like what people say: words, coherence, places of tags, and how far tags follow from the words.

    python benchmarks/script_naturalness.py icsi_meetings.jsonl.xz common_voice_en.txt NAME=corpus/scripts.jsonl ...

The yardsticks are the ICSI meetings (segments as JSON lines, CC BY 4.0) and Common Voice's sentences (CC0). Each corpus
of scripts is the `scripts.jsonl` of a folder that `evoxtral corpus scripts` wrote, or lines of objects with `text`.

- perplexity: of the spoken words under a trigram model of nine tenths of both yardsticks, interpolated with fixed
  weights (Jelinek and Mercer 1980); the yardsticks' own rows are the tenth that it has not seen.
- echo: how often neighbouring sentences of a script (segments of a meeting) share a word of content, and how often two
  sentences of different scripts do; their ratio is what holds the sentences together.
- places: where [laughs] and [pause] stand: at a sentence's edge, behind a comma, inside a clause.
- told: how often a text-only classifier (logistic regression on words, five folds) finds the emotion of a sentence, and
  how often the most frequent emotion would be right.
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

from evoxtral.tags import Category, TaggedText, parse

_WEIGHTS = (0.4, 0.35, 0.2, 0.05)  # of trigrams, pairs, words, and of any word at all
_COMMON_WORDS = 300  # the most frequent words of the meetings carry no content


def main() -> int:
    meetings, voices = Path(sys.argv[1]), Path(sys.argv[2])
    with lzma.open(meetings, "rt", encoding="utf-8") as lines:
        segments = [json.loads(line) for line in lines]
    talk = [spoken(re.sub(r"\[[^\]]+\]", " ", segment["tagged"])) for segment in segments]
    read = [spoken(line) for line in voices.read_text("utf-8").splitlines()]
    model = Trigrams([text for lines in (talk, read) for index, text in enumerate(lines) if index % 10])
    common = {word for word, _ in Counter(word for text in talk for word in text).most_common(_COMMON_WORDS)}

    print(f"{'':14}{'perplexity':>11}{'unknown':>9}{'echo':>7}{'at random':>10}{'ratio':>7}", end="")
    print(f"{'laughs edge/comma/inside':>26}{'pause edge/comma/inside':>26}{'told':>7}{'majority':>9}")
    parsed = [parse(segment["tagged"]) for segment in segments]
    turns = [text for text in talk if len(text) >= 4]
    row("ICSI", model, talk[::10], echoes(turns, [turns], common), parsed)
    row("Common Voice", model, read[::10], None, [])
    for argument in sys.argv[3:]:
        name, _, file = argument.partition("=")
        texts = [scripts_text(json.loads(line)) for line in Path(file).read_text("utf-8").splitlines()]
        parsed = [parse(text) for text in texts]
        sentences = [list(sentences_of(text)) for text in parsed]
        flat = [sentence for script in sentences for sentence in script]
        row(name, model, flat, echoes(flat, sentences, common), parsed, told(parsed))
    return 0


def row(
    name: str,
    model: "Trigrams",
    texts: Sequence[Sequence[str]],
    echo: tuple[float, float] | None,
    parsed: Sequence[TaggedText],
    accuracy: tuple[float, float] | None = None,
) -> None:
    perplexity, unknown = model.perplexity(texts)
    print(f"{name:14}{perplexity:11.0f}{unknown:9.1%}", end="")
    print(f"{echo[0]:7.1%}{echo[1]:10.1%}{echo[0] / echo[1]:7.1f}" if echo else " " * 24, end="")
    for tag in ("laughs", "pause"):
        shares = places(parsed, tag)
        print(f"{' / '.join(f'{share:.0%}' for share in shares):>26}" if shares else " " * 26, end="")
    print(f"{accuracy[0]:7.1%}{accuracy[1]:9.1%}" if accuracy else "")


def scripts_text(item: dict[str, str]) -> str:
    return item.get("tagged_text") or item["text"]


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
    return tuple(sum(bool(a & b) for a, b in some) / max(1, len(some)) for some in (pairs, mixed))  # type: ignore[return-value]


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


def told(parsed: Sequence[TaggedText]) -> tuple[float, float]:
    """How often a classifier finds a sentence's emotion from its words, and how often the most frequent is right."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    texts, labels = [], []
    for text in parsed:
        for scope in text.scopes:
            tag = text.tags[scope.tag]
            if tag.category is Category.EMOTION and scope.first_word < scope.last_word:
                texts.append(" ".join(word.plain for word in text.words[scope.first_word : scope.last_word]))
                labels.append(tag.name)
    features = CountVectorizer(ngram_range=(1, 2), min_df=2).fit_transform(texts)
    scores = cross_val_score(LogisticRegression(max_iter=1_000), features, labels, cv=5)
    return float(scores.mean()), Counter(labels).most_common(1)[0][1] / len(labels)


if __name__ == "__main__":
    sys.exit(main())
