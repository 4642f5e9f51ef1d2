"""Baselines that never hear the audio: what a model must beat to be shown to listen.

All are given the words of the reference without tags and emphasis, which is more than a model gets. Knows texts
only, never audio.
"""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from evoxtral.bench.alignment import comparable
from evoxtral.tags import TaggedText, insert_tags, parse, plain_text

NO_TAGS, MOST_FREQUENT, TEXT_ONLY = "no_tags", "most_frequent_tag", "text_only"
# The one that listens, and knows no tags: beside it words are put.
WHISPER_BASE = "whisper_base"

# Share of the training texts on which the text-only tagger chooses its threshold.
_TUNING_SHARE = 0.2
# More texts teach a bag of words little and take minutes.
_MOST_TEXTS = 2000
_THRESHOLDS = tuple(step / 50 for step in range(1, 40))


def baseline_hypotheses(references: Sequence[str], training: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """What each baseline makes of the words of tagged references, and a note for each baseline that could not be made.

    Args:
        references: tagged texts of the test set; only their words are looked at.
        training: tagged texts to learn from.
    """
    words = [plain_text(reference) for reference in references]
    made = {NO_TAGS: words}
    notes = []
    tag = most_frequent_tag(training)
    if tag is None:
        return made, ["baselines most_frequent_tag and text_only: the training texts hold no known tag"]
    made[MOST_FREQUENT] = [at_sentence_starts(text, tag) for text in words]
    try:
        tagger = _tagger(tuple(training))
    except ImportError:
        notes.append("baseline text_only needs scikit-learn: pip install 'evoxtral[bench]'")
    else:
        made[TEXT_ONLY] = [tagger.tag(text) for text in words]
    return made, notes


def most_frequent_tag(texts: Sequence[str]) -> str | None:
    """The known tag that occurs most often, the first in the alphabet among equals; None where there is none."""
    counts = Counter(tag.name for text in texts for tag in parse(text).tags if tag.known)
    return min(counts, key=lambda name: (-counts[name], name)) if counts else None


def at_sentence_starts(text: str, tag: str) -> str:
    """The text with the tag before each of its sentences."""
    starts = sorted({0, *parse(text).sentence_ends} - {len(parse(text).words)})
    return insert_tags(text, [(start, tag) for start in starts])


class TextTagger:
    """Guesses from the words where tags belong: for each tag a logistic regression over the gaps between words.

    A tag is written where its probability exceeds one threshold for all tags: the one with the best F1 (presence, all
    tags) on a fifth of the training texts that nothing is learnt from. At most 2,000 texts are used.

    Raises:
        ImportError: scikit-learn is not installed.
    """

    def __init__(self, training: Sequence[str]) -> None:
        texts = [parse(text) for text in training[:_MOST_TEXTS]]
        held_out = max(1, int(len(texts) * _TUNING_SHARE))
        learnt, tuning = (texts[:-held_out], texts[-held_out:]) if len(texts) > 1 else (texts, texts)
        self._models = _fit(learnt)
        found = [_probabilities(self._models, text) for text in tuning]
        self._threshold = max(_THRESHOLDS, key=lambda threshold: _presence_f1(tuning, found, threshold))

    def tag(self, text: str) -> str:
        """A text without tags, with the tags that its words suggest."""
        found = _probabilities(self._models, parse(text))
        return insert_tags(text, _above(found, self._threshold))


@lru_cache(maxsize=1)  # half a minute, for each of two sets in one report
def _tagger(training: tuple[str, ...]) -> TextTagger:
    return TextTagger(training)


# Tag name -> classifier of gaps; the vectoriser is shared.
_Models = tuple[Any, dict[str, Any]]


def _fit(texts: Sequence[TaggedText]) -> _Models:
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    gaps: list[dict[str, float]] = []
    labels: list[set[str]] = []
    for text in texts:
        here: list[set[str]] = [set() for _ in range(len(text.words) + 1)]
        for tag in text.tags:
            if tag.known:
                here[tag.gap].add(tag.name)
        gaps += _gap_features(text)
        labels += here
    vectoriser = DictVectorizer()
    features = vectoriser.fit_transform(gaps)
    # liblinear takes 32-bit indices only.
    features.indices, features.indptr = features.indices.astype("int32"), features.indptr.astype("int32")
    models: dict[str, Any] = {}
    for name in sorted(set().union(*labels)):
        wanted = [name in label for label in labels]
        if not all(wanted):
            models[name] = LogisticRegression(solver="liblinear", C=4.0, tol=0.01).fit(features, wanted)
    return vectoriser, models


def _gap_features(text: TaggedText) -> list[dict[str, float]]:
    """For each gap: the words around it, how the word before ends, and what its sentence and the whole text say."""
    words = ["<start>", "<start>", *(comparable(word.plain) for word in text.words), "<end>", "<end>", "<end>"]
    whole = {f"text={word}": 0.3 for word in set(words)}
    bounds = sorted({0, *text.sentence_ends})
    sentence_of = [index for index, (first, last) in enumerate(pairwise(bounds)) for _ in range(first, last)]
    sentences = [{f"sentence={word}": 1.0 for word in words[2 + a : 2 + b]} for a, b in pairwise(bounds)]
    features = []
    for gap in range(len(text.words) + 1):
        before, after = words[gap + 1], words[gap + 2]
        ending = text.words[gap - 1].text.lstrip("\"'“‘(") if gap else ""
        mark = "".join(character for character in ending if not character.isalnum() and character not in "'’-")
        at_start = gap in bounds
        features.append(
            {
                f"before={before}": 1.0,
                f"after={after}": 1.0,
                f"second before={words[gap]}": 1.0,
                f"second after={words[gap + 3]}": 1.0,
                f"around={before} {after}": 1.0,
                f"ahead={after} {words[gap + 3]}": 1.0,
                f"mark={mark}": 1.0,
                f"sentence start={at_start}": 1.0,
                f"edge={'start' if gap == 0 else 'end' if gap == len(text.words) else ''}": 1.0,
                **whole,
                **(sentences[sentence_of[gap]] if gap < len(text.words) else {}),
            }
        )
    return features


def _probabilities(models: _Models, text: TaggedText) -> list[tuple[int, str, float]]:
    """Every (gap, tag, probability) above the lowest threshold, by gap."""
    vectoriser, classifiers = models
    features = vectoriser.transform(_gap_features(text))
    found = []
    for name, classifier in classifiers.items():
        for gap, probability in enumerate(classifier.predict_proba(features)[:, 1]):
            if probability > _THRESHOLDS[0]:
                found.append((gap, name, float(probability)))
    return sorted(found)


def _above(found: Sequence[tuple[int, str, float]], threshold: float) -> list[tuple[int, str]]:
    return [(gap, name) for gap, name, probability in found if probability > threshold]


def _presence_f1(
    texts: Sequence[TaggedText], found: Sequence[Sequence[tuple[int, str, float]]], threshold: float
) -> float:
    matched = total = 0
    for text, probabilities in zip(texts, found, strict=True):
        expected = Counter(tag.name for tag in text.tags)
        written = Counter(name for _, name in _above(probabilities, threshold))
        matched += (expected & written).total()
        total += expected.total() + written.total()
    return 2 * matched / total if total else 0.0
